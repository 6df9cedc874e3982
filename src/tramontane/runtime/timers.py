"""Timers: near ones wait in memory, all are found by polling.

Implements :class:`tramontane.service.ports.Timers`. A timer is a row; firing it twice or late does no
harm, losing it from memory delays it to the next poll.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging

from tramontane.errors import UnavailableError
from tramontane.runtime.loop import Loop
from tramontane.service.work import NodeWork, Timer

log = logging.getLogger(__name__)

_Key = tuple[str, str, int]


class TimerService:
    """Fires the timers of this node's executions, and overdue ones of others."""

    def __init__(
        self, *, poll_seconds: float = 1.0, horizon_seconds: float = 60.0, capacity: int = 100_000
    ) -> None:
        """Timers beyond ``horizon_seconds``, or beyond ``capacity`` of them, are left to polling."""
        self._horizon = horizon_seconds
        self._capacity = capacity
        self._poll_seconds = poll_seconds
        self._work: NodeWork | None = None
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()
        self._wanted: dict[tuple[str, str], Timer] = {}
        self._firing: set[_Key] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.ticking = Loop("timers", self._tick, poll_seconds)
        self.polling = Loop("timer poll", self._poll, poll_seconds)
        self._is_fresh = False
        self.fired = 0

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """What tells executions of due timers at this moment."""
        return frozenset(self._tasks)

    @property
    def has_due(self) -> bool:
        """Whether a timer in memory is due that hasn't been fired yet."""
        assert self._work is not None
        return bool(self._heap) and self._heap[0][0] <= self._work.now()

    @property
    def has_next(self) -> bool:
        """Whether memory knows a timer to come."""
        return bool(self._heap)

    def connect(self, work: NodeWork) -> None:
        self._work = work

    async def start(self) -> None:
        assert self._work is not None
        await self._refresh()
        await self.ticking.start()
        await self.polling.start()

    async def stop(self) -> None:
        await self.polling.stop()
        await self.ticking.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refresh(self) -> None:
        """This node was given executions: get their coming timers, and fire those that are due."""
        self._is_fresh = False
        self.polling.wake()

    async def _refresh(self) -> None:
        assert self._work is not None
        self._is_fresh = True
        for timer in await self._work.coming_timers(self._horizon):
            self.note(timer)

    # -- for the engine -------------------------------------------------------------------

    def note(self, timer: Timer) -> None:
        assert self._work is not None
        key = timer.task_id, timer.kind
        self._wanted.pop(key, None)
        away = timer.due_at - self._work.now()
        if away > self._horizon * 1_000_000 or len(self._heap) >= self._capacity:
            return
        self._wanted[key] = timer
        heapq.heappush(self._heap, (timer.due_at, next(self._order), timer))
        if self._heap[0][2] is timer:
            self.ticking.wake()

    def forget(self, task_id: str, kind: str) -> None:
        self._wanted.pop((task_id, kind), None)

    # -- firing ---------------------------------------------------------------------------

    async def _tick(self) -> float | None:
        """Fire what memory knows to be due; return when to look again."""
        assert self._work is not None
        now = self._work.now()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if self._wanted.get((timer.task_id, timer.kind)) is timer:
                del self._wanted[timer.task_id, timer.kind]
                self._fire(timer)
        if not self._heap:
            return None
        return min(self._poll_seconds, (self._heap[0][0] - now) / 1_000_000 + 0.0005)

    async def _poll(self) -> float | None:
        """Fire what the database knows to be due."""
        assert self._work is not None
        if not self._is_fresh:
            await self._refresh()
        due = await self._work.due_timers()
        fresh = [timer for timer in due if _key(timer) not in self._firing]
        for timer in fresh:
            self.forget(timer.task_id, timer.kind)
            self._fire(timer)
        return 0.05 if len(fresh) > 100 else None

    def _fire(self, timer: Timer) -> None:
        key = _key(timer)
        if key in self._firing:
            return
        self._firing.add(key)
        task = asyncio.create_task(self._report(timer), name=f"timer {timer.task_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, timer: Timer) -> None:
        assert self._work is not None
        try:
            await self._work.fire(timer)
            self.fired += 1
        except UnavailableError as error:
            log.info("timer left for later task_id=%s reason=%s", timer.task_id, error.message)
        except Exception:
            log.exception("timer not fired task_id=%s", timer.task_id)
        finally:
            self._firing.discard(_key(timer))


def _key(timer: Timer) -> _Key:
    return timer.task_id, timer.kind, timer.generation
