"""Life and death of nodes: this one's heartbeat, and carrying on what dead ones left.

Every process has an id per start and a row whose counter moves while it lives. A process is dead
when its counter hasn't moved for the lease on *this* node's monotonic clock, while this node itself
could read it all the time: clock jumps and a database that was away kill nobody. On a database that
one process owns, every earlier process is dead when the next one opens it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.loop import Loop
from tramontane.service.work import NodeWork
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)


class Heartbeat:
    """Registers this process and keeps its counter moving."""

    def __init__(
        self,
        work: NodeWork,
        clock: DatabaseClock | None,
        *,
        name: str,
        info: FrozenDict,
        seconds: float,
        declared_dead: Callable[[], Awaitable[None]],
    ) -> None:
        """``declared_dead`` is called when others have buried this process, before it goes on as new."""
        self._work = work
        self._clock = clock
        self._name = name
        self._info = info
        self._declared_dead = declared_dead
        self.loop = Loop("heartbeat", self._beat, seconds, at_once=False)

    async def start(self) -> None:
        await self._register()
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _register(self) -> None:
        self._correct(await self._work.register(self._name, "node", self._info))

    async def _beat(self) -> float | None:
        now = await self._work.beat()
        if now is None:
            log.error("this node was declared dead; it breaks off what it lost and goes on")
            await self._declared_dead()
            await self._register()
        else:
            self._correct(now)
        return None

    def _correct(self, micros: int) -> None:
        if self._clock is not None:
            self._clock.correct(micros)


@dataclass(slots=True)
class _Seen:
    heartbeat: int
    moved_at: float


class Reaper:
    """Judges other processes by their counters and buries the dead."""

    def __init__(
        self,
        work: NodeWork,
        *,
        lease_seconds: float,
        exclusive: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``exclusive``: this process owns the database, all others are dead."""
        self._work = work
        self._lease = lease_seconds
        self._exclusive = exclusive
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}
        self._looked_at: float | None = None
        self.loop = Loop("reaper", self._look, max(0.05, lease_seconds / 5), at_once=False)
        self.buried = 0

    async def start(self) -> None:
        if self._exclusive:
            for process_id in {*(node.id for node in await self._work.others()), *await self._work.absent()}:
                await self._bury(process_id)
            return
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        now = self._monotonic()
        others = await self._work.others()
        if self._looked_at is not None and now - self._looked_at > self._lease / 2:
            # This node was away itself: what it hasn't seen says nothing about others.
            self._seen.clear()
        self._looked_at = now
        for node in others:
            seen = self._seen.get(node.id)
            if seen is None or seen.heartbeat != node.heartbeat:
                self._seen[node.id] = _Seen(node.heartbeat, now)
            elif now - seen.moved_at > self._lease:
                await self._bury(node.id)
                del self._seen[node.id]
        for process_id in await self._work.absent():
            await self._bury(process_id)
        return None

    async def _bury(self, process_id: str) -> None:
        log.warning("process is dead, its work is carried on node_id=%s", process_id)
        await self._work.bury(process_id)
        self.buried += 1
        await asyncio.sleep(0)


class TargetWatch:
    """Fails actions whose target names an executor that doesn't exist: they mustn't wait for ever."""

    def __init__(self, work: NodeWork, *, pools: Collection[str], seconds: float = 60.0) -> None:
        self._work = work
        self._pools = pools
        self._seconds = seconds
        self.loop = Loop("targets", self._look, seconds / 6)

    async def start(self) -> None:
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        await self._work.fail_unserved(self._pools, self._seconds)
        return None
