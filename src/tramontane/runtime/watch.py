"""Watching the catalog: definitions that other nodes have changed are forgotten within a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tramontane.runtime.loop import Loop


class CatalogWatch:
    """Calls ``refresh`` (:meth:`tramontane.service.catalog.Catalog.refresh`) in rounds."""

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
