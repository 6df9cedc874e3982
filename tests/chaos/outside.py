"""The world outside: what workflows do to it is counted."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from tests.chaos.flows import FETCHED

_FAILURES: Final = {"flaky": 2, "broken": 1, "refuse": 10**9}
"""So many calls of a place fail at first, by rule."""

_SLOWEST: Final = 0.4
_FOREVER: Final = 3600.0


class Outside:
    """An HTTP server; ``hits`` counts the calls of each path, ``/<rule>/<execution>/<place>``.

    Rules: ``once`` may be called a single time, ``hit`` any number of times; ``hang`` never answers;
    ``flaky`` fails twice, ``broken`` once, ``refuse`` always; ``big`` answers with much.
    """

    def __init__(self, chance: random.Random) -> None:
        self.hits: Counter[str] = Counter()
        self.url = ""
        self._chance = chance

    async def handle(self, request: web.Request) -> web.Response:
        rule, _, place = request.path.strip("/").split("/")
        self.hits[request.path] += 1
        number = self.hits[request.path]
        await asyncio.sleep(_FOREVER if rule == "hang" else self._chance.random() * _SLOWEST)
        if number <= _FAILURES.get(rule, 0):
            return web.json_response({"said": "not yet"}, status=500)
        return web.json_response({"said": "x" * FETCHED if rule == "big" else place})


@asynccontextmanager
async def an_outside(chance: random.Random) -> AsyncIterator[Outside]:
    outside = Outside(chance)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", outside.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        outside.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield outside
    finally:
        await runner.cleanup()
