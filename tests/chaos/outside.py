"""The world outside: what workflows do to it is counted."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

_FAILURES = 2
_SLOWEST = 0.4


class Outside:
    """An HTTP server; ``hits`` counts the calls of each path, ``/<kind>/<execution>/<place>``."""

    def __init__(self, chance: random.Random) -> None:
        self.hits: Counter[str] = Counter()
        self.url = ""
        self._chance = chance

    async def handle(self, request: web.Request) -> web.Response:
        kind, _, place = request.path.strip("/").split("/")
        self.hits[request.path] += 1
        await asyncio.sleep(self._chance.random() * _SLOWEST)  # what nodes may die in
        if kind == "flaky" and self.hits[request.path] <= _FAILURES:
            return web.json_response({"said": "not yet"}, status=500)
        return web.json_response({"said": place})


@asynccontextmanager
async def an_outside(chance: random.Random) -> AsyncIterator[Outside]:
    outside = Outside(chance)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", outside.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        outside.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield outside
    finally:
        await runner.cleanup()
