"""Life and death of others: carrying on what dead processes left.

Every process has an id per start, a row whose counter moves while it lives, and where the database
can do that a lock that its session holds. A node is *suspect* when its lock is free and its counter is
late, or, lock or no lock, when the counter hasn't moved for half of the lease: its executions are taken
at once, which is harmless, because the fence decides who writes. A process is *dead* when its lock is
free and its counter hasn't moved for two seconds, or, lock or no lock, when the counter hasn't moved for
the lease; then its claims are lost. All of that on *this* node's monotonic clock, while this node's own
session stayed up, so that clock jumps and a database that was away kill nobody. On a database that one
process owns, every earlier process is dead when the next one opens it. Workers, which call over HTTP,
have no lock and outlive the nodes that they call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tramontane.runtime.loop import Loop
from tramontane.service.work import LEFT, NodeRow, NodeWork

log = logging.getLogger(__name__)

LOCK_SECONDS = 2.0
"""So long a free lock and a counter at rest must be seen before they are a verdict."""

_LATE_SECONDS = 1.0
"""So long they must be seen before the process is suspect: two heartbeats, usually. (If the lock is held,
half of the lease.)"""

_LOOK_SECONDS = 0.4


@dataclass(slots=True)
class _Seen:
    heartbeat: int
    moved_at: float
    has_lock: bool = True
    is_suspect: bool = False


class Reaper:
    """Judges other processes by their counters and buries the dead."""

    def __init__(
        self,
        work: NodeWork,
        *,
        lease_seconds: float,
        exclusive: bool,
        monotonic: Callable[[], float] = time.monotonic,
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        """``exclusive``: this process owns the database, all others but workers are dead; ``taken`` is called
        when this node has got executions of others."""
        self._work = work
        self._lease = lease_seconds
        self._exclusive = exclusive
        self._monotonic = monotonic
        self._taken = taken
        self._seen: dict[str, _Seen] = {}
        self._living: tuple[str, ...] = ()
        self._rests = False
        self._looked_at: float | None = None
        self._searched_at: float | None = None
        pace = max(0.05, min(_LOOK_SECONDS, lease_seconds / 5))
        # Two looks before the lease is over, so that lost work is under way again within it; but never while
        # the process itself may still be sure of its claims.
        self._verdict_after = max(lease_seconds - 2 * pace, min(lease_seconds, LOCK_SECONDS))
        # Others judge this process by the lock that a round takes back: when the database returns, soon.
        self.loop = Loop("reaper", self._look, pace, at_once=False, longest_pause=pace)
        self.buried = 0

    @property
    def living(self) -> tuple[str, ...]:
        """Ids of other nodes that this one has lately seen alive, and that don't end."""
        return self._living

    async def start(self) -> None:
        if self._exclusive:
            # Workers live on: they call whoever owns the database now.
            gone = {node.id: node.kind == LEFT for node in await self._work.others() if node.kind != "worker"}
            for process_id in {*gone, *await self._work.absent()}:
                await self._bury(process_id, in_order=gone.get(process_id, False))
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    def rest(self) -> None:
        """Judge nobody any more, and only keep this process's own lock: it is about to end."""
        self._rests = True

    async def _look(self) -> float | None:
        now = self._monotonic()
        has_own_lock = await self._work.hold()
        if self._rests:
            return None
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
        self._living = tuple(node.id for node in others if node.kind == "node" and self._is_well(node, now))
        for node in others:
            await self._judge(node, now)
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

    def _is_well(self, node: NodeRow, now: float) -> bool:
        seen = self._seen[node.id]
        return seen.has_lock and now - seen.moved_at < LOCK_SECONDS

    async def _judge(self, node: NodeRow, now: float) -> None:
        seen = self._seen[node.id]
        rested = now - seen.moved_at
        if node.kind == LEFT:
            await self._bury(node.id, in_order=True)
        elif rested > self._verdict_after or (not seen.has_lock and rested > LOCK_SECONDS):
            await self._bury(node.id)
        elif rested > self._late_after(seen) and not seen.is_suspect:
            seen.is_suspect = True
            if taken := await self._work.take_executions(node.id):
                log.warning("node is suspect, its executions are taken node_id=%s count=%d", node.id, taken)
                self._taken()

    def _late_after(self, seen: _Seen) -> float:
        """So many seconds of rest make a process suspect."""
        return self._lease / 2 if seen.has_lock else _LATE_SECONDS

    async def _bury(self, process_id: str, *, in_order: bool = False) -> None:
        if not in_order:
            log.warning("process is dead, its work is carried on node_id=%s", process_id)
        await self._work.bury(process_id, in_order=in_order)
        self._seen.pop(process_id, None)
        self._taken()
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
