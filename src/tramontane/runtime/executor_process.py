"""A process that only runs actions: its services in the order in which they start, and stop again.

It keeps no state of executions. Stopping, it takes no more jobs, gives running actions time, and gives
up what is left the way the death of its process would: to be sent again, or failed.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field

from tramontane.errors import UnavailableError
from tramontane.runtime.executor import Executor
from tramontane.runtime.heartbeat import Heartbeat
from tramontane.runtime.loop import Loop
from tramontane.runtime.wakeups import Wakeups
from tramontane.service.remote import ExecutorWork

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExecutorProcess:
    """``grace_seconds``: how long running actions may go on when the process stops; ``look_seconds``:
    how often it looks whether its session is held and its claims are still wanted."""

    work: ExecutorWork
    executor: Executor
    heartbeat: Heartbeat
    wakeups: Wakeups
    grace_seconds: float
    look_seconds: float
    looking: Loop = field(init=False)

    def __post_init__(self) -> None:
        self.looking = Loop("claims", self._look, self.look_seconds, longest_pause=self.look_seconds)

    async def start(self) -> None:
        """Enter the register, then take work."""
        await self.work.hold()
        await self.heartbeat.start()
        await self.looking.start()
        await self.wakeups.start()
        self.executor.begin_if(self.heartbeat.is_sure, self.heartbeat.is_beating)
        await self.executor.start()
        log.info("executor started process_id=%s", self.work.process_id)

    async def stop(self) -> None:
        """Finish what can be finished, give up the rest."""
        await self.executor.stop(self.grace_seconds)
        with contextlib.suppress(UnavailableError):
            await self.work.lose_claims()
        await self.wakeups.stop()
        await self.looking.stop()
        await self.heartbeat.stop()
        with contextlib.suppress(UnavailableError):
            await self.work.leave()
        log.info("executor stopped process_id=%s", self.work.process_id)

    async def _look(self) -> float | None:
        await self.work.hold()
        await self.work.look_around()
        await self.executor.check_claims()
        return None
