"""A node: its services in the order in which they start, and stop again.

Starting: enter the register, carry on what dead processes left, then take work. Stopping: refuse
requests, take no more work, hand the executions to the other nodes, let actions and turns come to their
end, give back what is left.

    hand over                                            the others
    refuse requests, claim nothing more
    give unbegun claims back ───────────── "jobs" ──────▶ claim them
    executions change their node ───────── "given" ─────▶ read their inboxes, know their timers
    actions run on: a result is an inbox row ─ "inbox" ─▶ go on with it
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tramontane.errors import UnavailableError
from tramontane.runtime.executor import Executor
from tramontane.runtime.heartbeat import Heartbeat
from tramontane.runtime.inbox import InboxPoll
from tramontane.runtime.loop import Loop
from tramontane.runtime.maintenance import MaintenanceWatch
from tramontane.runtime.recovery import Reaper, TargetWatch
from tramontane.runtime.stranded import StrandedWatch
from tramontane.runtime.timers import TimerService
from tramontane.runtime.wakeups import Wakeups
from tramontane.runtime.watch import CatalogWatch, QueueWatch
from tramontane.service.committer import Committer
from tramontane.service.engine import Engine
from tramontane.service.work import NodeWork

log = logging.getLogger(__name__)

_TURNS_SECONDS = 10.0
"""How long turns may take to come to their end when the node stops."""

_HAND_OVER_SECONDS = 5.0
"""How long handing over may take; what is left by then, others take over from a node that is gone."""


@dataclass(frozen=True, slots=True)
class Node:
    """Everything that runs in the background of one process.

    ``grace_seconds``: how long running actions may go on when the node stops; ``on_jobs`` is called when
    it wrote jobs for others; ``claims`` looks whether actions of this node were ended through another (None:
    there are no others).
    """

    engine: Engine
    committer: Committer
    work: NodeWork
    executor: Executor
    timers: TimerService
    inbox: InboxPoll
    watch: CatalogWatch
    queue: QueueWatch
    maintenance: MaintenanceWatch
    heartbeat: Heartbeat
    reaper: Reaper
    targets: TargetWatch
    wakeups: Wakeups
    claims: Loop | None
    stranded: StrandedWatch
    grace_seconds: float
    on_jobs: Callable[[], None]
    _handing_over: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def start(self) -> None:
        """Start everything; when this returns, requests can be served."""
        await self.committer.start()
        await self.heartbeat.start()
        await self.reaper.start()
        await self.watch.start()
        await self.queue.start()
        await self.maintenance.start()
        self.executor.begin_if(self.heartbeat.is_sure, self.heartbeat.is_beating)
        await self.executor.start()
        if self.claims is not None:
            await self.claims.start()
        await self.timers.start()
        self.engine.on_stray(self._wake_for_rows)
        self.engine.on_missed(self.inbox.wake)
        self.executor.on_unclaimed(self.on_jobs)
        await self.wakeups.start()
        await self.inbox.start()
        await self.targets.start()
        await self.stranded.start()
        log.info("node started node_id=%s", self.work.node_id)

    def _wake_for_rows(self) -> None:
        """This node wrote inbox rows for executions that aren't in its memory."""
        self.inbox.wake()
        self.wakeups.tell("inbox")

    async def hand_over(self) -> None:
        """Refuse requests, take no more work, and let the other nodes go on with what is under way here.

        Called again, it gives away what was left. Where there is no other node, executions stay.
        """
        async with self._handing_over:
            self.engine.refuse()
            try:
                async with asyncio.timeout(_HAND_OVER_SECONDS):
                    await self.executor.close()
                    await self.work.prepare_to_leave()
                    if peers := self.reaper.living:
                        await self._give_to(peers)
            except (UnavailableError, TimeoutError) as error:
                log.warning("not all was handed over: %s", error)

    async def _give_to(self, peers: Sequence[str]) -> None:
        self.engine.hand_over()
        self.work.pass_results_on()
        self.committer.hand_to(peers[0])
        self.reaper.rest()
        for loop in (self.targets, self.inbox, self.timers, self.maintenance):
            await loop.stop()
        given = 0
        for _ in range(2):
            # Turns that are under way may hold some executions, which are given when they are over.
            given += await self.work.hand_executions_to(peers)
            self.wakeups.tell("given")
            await self.engine.drain(_TURNS_SECONDS)
        if given:
            log.info("handed over node_id=%s executions=%d", self.work.node_id, given)

    async def stop(self) -> None:
        """Stop everything. What is cut short is carried on by others, or by the next start."""
        await self.hand_over()
        await self.stranded.stop()
        await self.targets.stop()
        await self.inbox.stop()
        await self.timers.stop()
        await self.reaper.stop()
        await self.maintenance.stop()
        await self.queue.stop()
        await self.watch.stop()
        await self.executor.stop(self.grace_seconds)
        if self.claims is not None:
            await self.claims.stop()
        with contextlib.suppress(UnavailableError):
            await self.work.lose_claims(self.work.node_id)
        await self.engine.drain(_TURNS_SECONDS)
        await self.engine.close()
        await self.committer.stop()
        await self.wakeups.stop()
        await self.heartbeat.stop()
        with contextlib.suppress(UnavailableError):
            await self.work.leave()
        log.info("node stopped node_id=%s", self.work.node_id)
