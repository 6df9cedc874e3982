"""The API in process: a client that speaks ASGI, and a database behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from starlette.types import ASGIApp, Message, Scope

T = TypeVar("T")

ANY_UUID = "01234567-89ab-cdef-0123-456789abcdef"


class Answer:
    """A response: status, headers (names in lower case) and body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fault(self) -> str:
        """The text of an error for people."""
        data = self.json
        assert isinstance(data, dict)
        text = data["faultstring"]
        assert isinstance(text, str) and text
        return text

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:500]!r}>"


async def call(
    app: ASGIApp,
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    chunks: int = 1,
    root_path: str = "",
) -> Answer:
    """Send one request; the body arrives in so many pieces."""
    parts = urlsplit(url)
    path = quote(parts.path, safe="/%")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "query_string": quote(parts.query, safe="%=&+,:{}\"[]/<>'!@").encode(),
        "headers": [
            (b"host", b"localhost:8989"),
            *((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8989),
    }
    size = -(-len(body) // chunks) or 1
    pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
        for place, piece in enumerate(pieces)
    ]
    outgoing: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        outgoing.append(message)

    await app(scope, receive, send)
    start = outgoing[0]
    received = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    content = b"".join(message.get("body", b"") for message in outgoing[1:])
    return Answer(start["status"], received, content)


class Client:
    """Synchronous calls for tests; the application lives in the runner's event loop."""

    def __init__(
        self, runner: asyncio.Runner, app: ASGIApp, headers: Mapping[str, str] | None = None
    ) -> None:
        self._runner = runner
        self._headers = dict(headers or {})
        self.app = app

    def with_headers(self, headers: Mapping[str, str]) -> Client:
        """The same client, sending these headers along."""
        return Client(self._runner, self.app, {**self._headers, **headers})

    def run(self, work: Awaitable[T]) -> T:
        return self._runner.run(_coroutine(work))

    def call(
        self,
        method: str,
        url: str,
        body: bytes | str | Mapping[str, Any] | list[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        sent = {"content-type": "application/json"} if isinstance(body, (dict, list)) else {}
        if isinstance(body, str):
            body = body.encode()
        elif body is None:
            body = b""
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.run(
            call(self.app, method, url, body, {**sent, **self._headers, **(headers or {})}, **more)
        )

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("GET", url, headers=headers)

    def post(self, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("POST", url, body, headers)

    def put(self, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("PUT", url, body, headers)

    def delete(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("DELETE", url, headers=headers)

    def items(self, url: str) -> list[dict[str, Any]]:
        """The items of a list."""
        answer = self.get(url)
        assert answer.status == 200, answer
        data = answer.json
        (key,) = set(data) - {"next", "total"}
        items = data[key]
        assert isinstance(items, list)
        return items

    def names(self, url: str) -> list[str]:
        return [item["name"] for item in self.items(url)]

    def follow(self, url: str) -> list[list[dict[str, Any]]]:
        """The items of all pages, going by the links."""
        pages = []
        while True:
            data = self.get(url).json
            (key,) = set(data) - {"next", "total"}
            pages.append(data[key])
            if "next" not in data:
                return pages
            url = data["next"].removeprefix("http://localhost:8989")


async def _coroutine(work: Awaitable[T]) -> T:
    return await work


__all__ = ["ANY_UUID", "Answer", "Client", "Coroutine", "call"]
