"""What stands before the nodes: it leads each connection to one of those that are up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any


class Balancer:
    """``ports`` tells where nodes listen now. A connection stays at its node until one side ends it."""

    def __init__(self, ports: Callable[[], Sequence[int]], chance: random.Random) -> None:
        self.url = ""
        self._ports = ports
        self._chance = chance

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, IndexError), contextlib.closing(writer):
            there, back = await asyncio.open_connection("127.0.0.1", self._chance.choice(self._ports()))
            with contextlib.closing(back):
                await _first(_copy(reader, back), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


async def _first(*ways: Coroutine[Any, Any, None]) -> None:
    """Until one side is silent for good: HTTP needs no half of a connection."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def a_balancer(ports: Callable[[], Sequence[int]], chance: random.Random) -> AsyncIterator[Balancer]:
    balancer = Balancer(ports, chance)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(balancer.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    balancer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield balancer
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
