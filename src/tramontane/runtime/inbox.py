"""The inbox: wake-ups in memory are quick, this loop makes sure that a lost one doesn't matter."""

from __future__ import annotations

from collections.abc import Callable

from tramontane.runtime.loop import Loop
from tramontane.service.work import NodeWork

_FULL = 500


class InboxPoll:
    """Finds executions whose inbox rows nobody has taken."""

    def __init__(
        self,
        work: NodeWork,
        *,
        poll_seconds: float | Callable[[], float] = 1.0,
        grace_seconds: float = 1.0,
    ) -> None:
        """``grace_seconds``: how long rows are left to the node that ran their execution last."""
        self._work = work
        self._grace = grace_seconds
        self.loop = Loop("inbox", self._poll, poll_seconds)

    def wake(self) -> None:
        """Rows were written that nobody was woken for: they may be this node's."""
        self.loop.wake()

    async def start(self) -> None:
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _poll(self) -> float | None:
        found = await self._work.look_at_inboxes(self._grace)
        return 0.1 if found >= _FULL else None
