"""Server-sent events: an answer that goes on until there is nothing more to say, or nobody listens.

Nothing is queued: what feeds a stream waits until the client has taken what was written. A client that
takes nothing for half a minute is sent away; it can come back for the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tramontane.errors import UnavailableError

log = logging.getLogger(__name__)

MEDIA: Final = "text/event-stream"
_STUCK: Final = 30.0

Write = Callable[[bytes], Awaitable[None]]
Feed = Callable[[Write], Awaitable[None]]
"""Writes events until there are no more."""


def event(name: str, data: Any, event_id: str) -> bytes:
    """Write one event; ``data`` goes out as JSON."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), name.encode(), orjson.dumps(data))


class EventStream(Response):
    """Answers with whatever the feed writes. Errors of the feed end the stream: what comes next is the
    client's to ask for again."""

    media_type = MEDIA

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.status_code = 200
        self.background = None
        # Caches and proxies must hand events on at once.
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

        async def write(chunk: bytes) -> None:
            async with asyncio.timeout(_STUCK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})

        feeding = asyncio.ensure_future(self._feed(write))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((feeding, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (feeding, leaving):
                each.cancel()
            outcome, _ = await asyncio.gather(feeding, leaving, return_exceptions=True)
        if isinstance(outcome, (TimeoutError, OSError)):
            log.info("an event stream was closed: its client takes nothing")
            return
        if isinstance(outcome, UnavailableError):
            log.info("an event stream was closed: %s", outcome.message)
        elif isinstance(outcome, Exception):
            log.error("an event stream failed", exc_info=outcome)
        if not isinstance(outcome, asyncio.CancelledError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
