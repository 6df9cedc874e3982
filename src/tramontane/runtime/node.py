"""A node: its services in the order in which they start, and stop again.

Starting: enter the register, carry on what dead processes left, then take work. Stopping: refuse
requests, take no more work, let actions and turns come to their end, give back what is left.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from tramontane.errors import UnavailableError
from tramontane.runtime.executor import Executor
from tramontane.runtime.inbox import InboxPoll
from tramontane.runtime.loop import Loop
from tramontane.runtime.maintenance import MaintenanceWatch
from tramontane.runtime.recovery import Heartbeat, Reaper, TargetWatch
from tramontane.runtime.timers import TimerService
from tramontane.runtime.wakeups import Wakeups
from tramontane.runtime.watch import CatalogWatch
from tramontane.service.committer import Committer
from tramontane.service.engine import Engine
from tramontane.service.work import NodeWork

log = logging.getLogger(__name__)

_TURNS_SECONDS = 10.0
"""How long turns may take to come to their end when the node stops."""


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
    maintenance: MaintenanceWatch
    heartbeat: Heartbeat
    reaper: Reaper
    targets: TargetWatch
    wakeups: Wakeups
    claims: Loop | None
    grace_seconds: float
    on_jobs: Callable[[], None]

    async def start(self) -> None:
        """Start everything; when this returns, requests can be served."""
        await self.committer.start()
        await self.heartbeat.start()
        await self.reaper.start()
        await self.watch.start()
        await self.maintenance.start()
        self.executor.begin_if(self.heartbeat.is_sure)
        await self.executor.start()
        if self.claims is not None:
            await self.claims.start()
        await self.timers.start()
        self.engine.on_stray(self._wake_for_rows)
        self.executor.on_unclaimed(self.on_jobs)
        await self.wakeups.start()
        await self.inbox.start()
        await self.targets.start()
        log.info("node started node_id=%s", self.work.node_id)

    def _wake_for_rows(self) -> None:
        """This node wrote inbox rows for executions that aren't in its memory."""
        self.inbox.wake()
        self.wakeups.tell("inbox")

    async def stop(self) -> None:
        """Stop everything. What is cut short is carried on by others, or by the next start."""
        self.engine.refuse()
        await self.targets.stop()
        await self.inbox.stop()
        await self.wakeups.stop()
        await self.timers.stop()
        await self.reaper.stop()
        await self.maintenance.stop()
        await self.watch.stop()
        await self.executor.stop(self.grace_seconds)
        if self.claims is not None:
            await self.claims.stop()
        with contextlib.suppress(UnavailableError):
            await self.work.lose_claims(self.work.node_id)
        await self.engine.drain(_TURNS_SECONDS)
        await self.engine.close()
        await self.committer.stop()
        await self.heartbeat.stop()
        with contextlib.suppress(UnavailableError):
            await self.work.leave()
        log.info("node stopped node_id=%s", self.work.node_id)
