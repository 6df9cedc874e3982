"""Life and death of nodes: this one's heartbeat, and carrying on what dead ones left.

Every process has an id per start, a row whose counter moves while it lives, and where the database
can do that a lock that its session holds. A process is dead when its lock is free *and* its counter
hasn't moved for two seconds, or, lock or no lock, when the counter hasn't moved for the lease: on *this*
node's monotonic clock, while this node's own session stayed up, so that clock jumps and a database
that was away kill nobody. On a database that one process owns, every earlier process is dead when
the next one opens it. Workers, which call over HTTP, have no lock and outlive the nodes that they call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.loop import Loop
from tramontane.service.work import Micros, NodeRow, NodeWork
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)


_BEATS = 3
"""So many heartbeats that didn't get through make a process doubt; the lease is at least as long."""


class Registered(Protocol):
    """This process in the register (:class:`tramontane.service.work.NodeWork` in a node)."""

    async def register(self, name: str, kind: str, info: FrozenDict) -> Micros: ...
    async def beat(self) -> Micros | None: ...


class Heartbeat:
    """Registers this process and keeps its counter moving."""

    def __init__(
        self,
        work: Registered,
        clock: DatabaseClock | None,
        *,
        name: str,
        kind: str = "node",
        info: FrozenDict,
        seconds: float,
        declared_dead: Callable[[], Awaitable[None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``declared_dead`` is called when others have buried this process, before it goes on as new."""
        self._work = work
        self._clock = clock
        self._name = name
        self._kind = kind
        self._info = info
        self._declared_dead = declared_dead
        self._monotonic = monotonic
        self._doubtful_after = min(_LOCK_SECONDS, seconds * _BEATS)
        self._beaten_at = -math.inf
        self.loop = Loop("heartbeat", self._beat, seconds, at_once=False, longest_pause=seconds)

    async def start(self) -> None:
        await self._register()
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    def is_sure(self) -> bool:
        """Tell whether this process has shown its life so lately that nobody can have buried it."""
        return self._monotonic() - self._beaten_at <= self._doubtful_after

    async def _register(self) -> None:
        began = self._monotonic()
        self._correct(await self._work.register(self._name, self._kind, self._info))
        self._beaten_at = began

    async def _beat(self) -> float | None:
        began = self._monotonic()
        now = await self._work.beat()
        if now is None:
            log.error("this process was declared dead; it breaks off what it lost and goes on")
            await self._declared_dead()
            await self._register()
        else:
            self._beaten_at = began
            self._correct(now)
        return None

    def _correct(self, micros: int) -> None:
        if self._clock is not None:
            self._clock.correct(micros)


@dataclass(slots=True)
class _Seen:
    heartbeat: int
    moved_at: float
    has_lock: bool = True


_LOCK_SECONDS = 2.0
"""So long a free lock and a counter at rest must be seen before they are a verdict."""

_LOOK_SECONDS = 0.4


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
        """``exclusive``: this process owns the database, all others but workers are dead."""
        self._work = work
        self._lease = lease_seconds
        self._exclusive = exclusive
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}
        self._looked_at: float | None = None
        self._searched_at: float | None = None
        pace = max(0.05, min(_LOOK_SECONDS, lease_seconds / 5))
        # Others judge this process by the lock that a round takes back: when the database returns, soon.
        self.loop = Loop("reaper", self._look, pace, at_once=False, longest_pause=pace)
        self.buried = 0

    async def start(self) -> None:
        if self._exclusive:
            # Workers live on: they call whoever owns the database now.
            gone = {node.id for node in await self._work.others() if node.kind != "worker"}
            for process_id in {*gone, *await self._work.absent()}:
                await self._bury(process_id)
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        now = self._monotonic()
        has_own_lock = await self._work.hold()
        others = await self._work.others()
        locks = await self._work.alive([node.id for node in others]) if others else None
        locked = locks if has_own_lock else None
        was_cut_off = locks is not None and not has_own_lock  # others may have been too, and need a moment
        if was_cut_off or (self._looked_at is not None and now - self._looked_at > self._lease / 2):
            # This node was away itself: what it hasn't seen says nothing about others.
            self._seen.clear()
        self._looked_at = now
        for node in others:
            self._note(node, now, has_lock=locked is None or node.id in locked or node.kind == "worker")
            if self._is_dead(self._seen[node.id], now):
                await self._bury(node.id)
                del self._seen[node.id]
        if self._searched_at is None or now - self._searched_at > self._lease / 5:
            self._searched_at = now
            for process_id in await self._work.absent():
                await self._bury(process_id)
        return None

    def _note(self, node: NodeRow, now: float, *, has_lock: bool) -> None:
        seen = self._seen.get(node.id)
        if seen is None or seen.heartbeat != node.heartbeat:
            self._seen[node.id] = _Seen(node.heartbeat, now, has_lock)
        elif has_lock and not seen.has_lock:
            self._seen[node.id] = _Seen(node.heartbeat, now)  # it was taken back
        else:
            seen.has_lock = has_lock

    def _is_dead(self, seen: _Seen, now: float) -> bool:
        rested = now - seen.moved_at
        return rested > self._lease or (not seen.has_lock and rested > _LOCK_SECONDS)

    async def _bury(self, process_id: str) -> None:
        log.warning("process is dead, its work is carried on node_id=%s", process_id)
        await self._work.bury(process_id)
        self.buried += 1
        await asyncio.sleep(0)


class TargetWatch:
    """Looks after actions whose target nobody ever served: they mustn't wait for ever."""

    def __init__(
        self, work: NodeWork, *, pools: Collection[str], seconds: float = 60.0, anywhere: bool = False
    ) -> None:
        """``anywhere``: they run wherever there is a place, instead of failing."""
        self._work = work
        self._anywhere = anywhere
        self._pools = pools
        self._seconds = seconds
        self.loop = Loop("targets", self._look, seconds / 6)

    async def start(self) -> None:
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        await self._work.end_unserved(self._pools, self._seconds, anywhere=self._anywhere)
        return None
