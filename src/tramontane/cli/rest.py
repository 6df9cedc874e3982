"""A small client of the REST API, over HTTP or straight into an application of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote, urlencode

import aiohttp
from starlette.types import ASGIApp, Message

from tramontane.values import decode, encode

Send = Callable[[str, str, Mapping[str, str], bytes], Awaitable[tuple[int, bytes]]]
"""Sends (method, path with query, headers, body) and gives (status, body)."""


class RestError(Exception):
    """The service answered with an error; the message is the one for users."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RestClient:
    """Requests with JSON bodies and answers below ``/v2``."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def get(self, path: str, **query: str) -> Any:
        return await self._call("GET", path, query)

    async def post(self, path: str, body: Any) -> Any:
        return await self._call("POST", path, {}, "application/json", encode(body))

    async def put(self, path: str, body: Any) -> Any:
        return await self._call("PUT", path, {}, "application/json", encode(body))

    async def upload(self, path: str, text: str) -> Any:
        """Send a definition."""
        return await self._call("POST", path, {}, "text/plain", text)

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], content_type: str = "", body: str = ""
    ) -> Any:
        target = f"/v2/{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        headers = {"accept": "application/json"}
        if content_type:
            headers["content-type"] = f"{content_type}; charset=utf-8"
        status, answer = await self._send(method, target, headers, body.encode())
        if status >= 400:
            raise RestError(status, _fault(status, answer))
        return decode(answer) if answer else None


def _fault(status: int, answer: bytes) -> str:
    try:
        return str(decode(answer)["faultstring"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}: {answer.decode(errors='replace').strip()}"


def send_to_app(app: ASGIApp) -> Send:
    """Call an ASGI application without any network."""

    async def send(method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
            + [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        status, parts = 500, []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await app(scope, receive, collect)
        return status, b"".join(parts)

    return send


@asynccontextmanager
async def connect(url: str, always: Mapping[str, str] | None = None) -> AsyncIterator[RestClient]:
    """Talk to the service at ``url`` (without ``/v2``); ``always`` are headers of every request."""
    async with aiohttp.ClientSession(headers=always) as session:

        async def send(
            method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, bytes]:
            async with session.request(method, url + target, headers=headers, data=body or None) as answer:
                return answer.status, await answer.read()

        yield RestClient(send)
