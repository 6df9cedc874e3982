"""Watching what others do: definitions that they have changed, and how far the queues of jobs are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tramontane.runtime.loop import Loop
from tramontane.service.work import NodeWork


class CatalogWatch:
    """Calls ``refresh`` (:meth:`tramontane.service.catalog.Catalog.refresh`) in rounds: definitions that
    other nodes have changed are forgotten within a second."""

    def __init__(self, refresh: Callable[[], Awaitable[None]], *, poll_seconds: float = 1.0) -> None:
        self._refresh = refresh
        self.loop = Loop("catalog", self._look, poll_seconds)

    async def start(self) -> None:
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        await self._refresh()
        return None


class QueueWatch:
    """Sees how far the queues are that this node puts jobs into; it asks nothing while there are none."""

    def __init__(self, work: NodeWork, *, poll_seconds: float = 0.5) -> None:
        self._work = work
        self.loop = Loop("queue", self._look, poll_seconds)

    async def start(self) -> None:
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        await self._work.look_at_queue()
        return None
