"""Wake-ups between nodes: words on the database's channel that make others look now instead of soon.

A word may be lost at any time; what it speaks of is a row, and polling finds that anyway. At most one
word of a kind is on its way at a time, however many rows there are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping


class Wakeups:
    """Sends and takes words: ``inbox``, ``jobs``, ``catalog``, ``given`` (executions have a new node)."""

    def __init__(self, say: Callable[[str], Awaitable[None]], wake: Mapping[str, Callable[[], None]]) -> None:
        """``wake``: what is to be woken by each word that is heard."""
        self._say = say
        self._wake = wake
        self._wanted: set[str] = set()
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.heard = 0

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="wake-ups")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def tell(self, word: str) -> None:
        """Have the others look; said once however often it is asked for meanwhile."""
        self._wanted.add(word)
        self._filled.set()

    def hear(self, word: str) -> None:
        """Take a word of another process; one of a later version is ignored."""
        wake = self._wake.get(word)
        if wake is not None:
            self.heard += 1
            wake()

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            words, self._wanted = sorted(self._wanted), set()
            for word in words:
                await self._say(word)
