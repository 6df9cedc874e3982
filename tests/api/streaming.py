"""A client of an event stream: it takes the events one by one, and may leave or stop taking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Scope

_PATIENCE = 20.0


@dataclass(frozen=True)
class Event:
    id: str
    name: str
    data: dict[str, Any]

    @property
    def state(self) -> Any:
        return self.data.get("state")


class Stream:
    """An open stream; ``async for`` gives its events until the server ends it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_over = False
        self.raw = b""
        self.answered = asyncio.Event()
        """The server has done with the request."""
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._takes = asyncio.Event()
        self._takes.set()
        self._left = asyncio.Event()

    def stop_taking(self) -> None:
        """From now on nothing that the server writes gets through."""
        self._takes.clear()

    def leave(self) -> None:
        self._takes.set()
        self._left.set()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self._takes.wait()
        await self._arrived.put(message)

    async def until(self, text: bytes) -> None:
        """Take what comes until this text is among it."""
        while text not in self.raw:
            self.raw += (await self._next())["body"]

    async def _next(self) -> Message:
        return await asyncio.wait_for(self._arrived.get(), _PATIENCE)

    async def begin(self) -> None:
        start = await self._next()
        self.status = start["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self.is_over:
            message = await self._next()
            self.raw += message.get("body", b"")
            self.is_over = not message.get("more_body", False)
            while b"\n\n" in self.raw:
                text, _, self.raw = self.raw.partition(b"\n\n")
                event = _event(text.decode())
                if event is not None:
                    yield event


def _event(text: str) -> Event | None:
    """Read an event; comments and settings are none."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
    return Event(fields["id"], fields["event"], json.loads(fields["data"])) if "data" in fields else None


@asynccontextmanager
async def opened(app: ASGIApp, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Stream]:
    """Open a stream for the length of the block."""
    parts = urlsplit(url)
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"accept": "text/event-stream", **(headers or {})}.items()
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8989),
    }
    stream = Stream()
    answering = asyncio.create_task(_answer(app, scope, stream))
    try:
        await stream.begin()
        yield stream
    finally:
        stream.leave()
        await asyncio.wait_for(answering, _PATIENCE)


async def _answer(app: ASGIApp, scope: Scope, stream: Stream) -> None:
    try:
        await app(scope, stream.receive, stream.send)
    finally:
        stream.answered.set()


async def events_of(app: ASGIApp, url: str, headers: Mapping[str, str] | None = None) -> list[Event]:
    """Take all events of a stream until the server ends it."""
    async with opened(app, url, headers) as stream:
        assert stream.status == 200, stream.status
        return [event async for event in stream]
