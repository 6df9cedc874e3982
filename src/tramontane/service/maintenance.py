"""Maintenance: pausing the whole service, and letting it go on (REST endpoints, section 2).

``PUT /maintenance`` only sets the status. Every node then pauses the running executions that it ran
last, batch by batch, and one of them sets PAUSED when nothing is left running. Back to RUNNING, the
nodes resume what was paused for this reason, and nothing else. All of that is done by rounds of
:meth:`Maintenance.step` over what the database says, so it goes on wherever it stopped.

Requests ask for the status that this node has seen last. Other nodes see a change within
``POLL_SECONDS``: PAUSED is set only when that time has passed, so nothing starts behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

from tramontane.core.events import AnyEvent, PauseAsked, ResumeAsked
from tramontane.core.state import Execution, Micros
from tramontane.errors import BadRequestError, TramontaneError, UnavailableError
from tramontane.service.cache import Guard
from tramontane.store.maintenance import MaintenanceState, Status

log = logging.getLogger(__name__)

REASON: Final = "Paused for maintenance."
"""``state_info`` of what was paused; by it those are found that are to be resumed."""

POLL_SECONDS: Final = 1.0
_SOON: Final = 0.1
_BATCH: Final = 200
_SETTLE: Final = round(2 * POLL_SECONDS * 1_000_000)


class Store(Protocol):
    """Implemented by :class:`tramontane.store.maintenance.MaintenanceStore`."""

    async def state(self) -> MaintenanceState: ...
    async def change(self, before: Status, after: Status, now: Micros) -> bool: ...
    async def to_pause(self, node_id: str, limit: int) -> list[str]: ...
    async def to_resume(self, node_id: str | None, reason: str, limit: int) -> list[str]: ...
    async def has_running(self) -> bool: ...
    async def running_tasks(self) -> int: ...


class Executions(Protocol):
    """The engine, as far as it is needed here (:class:`tramontane.service.engine.Engine`)."""

    @property
    def node_id(self) -> str: ...
    def now(self) -> Micros: ...
    async def submit(self, execution_id: str, *events: AnyEvent, guard: Guard | None = None) -> Execution: ...


class Maintenance:
    """The status as this node knows it, and this node's part in following it."""

    def __init__(self, engine: Executions, store: Store, *, exclusive: bool) -> None:
        """``exclusive``: there is no other node."""
        self._engine = engine
        self._store = store
        self._exclusive = exclusive
        self._state = MaintenanceState()
        self._has_paused = True  # there may be executions to resume that nobody has looked for yet
        self._on_change: Callable[[], None] = _nobody

    @property
    def status(self) -> Status:
        """The status that this node has seen last."""
        return self._state.status

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when this node has changed the status."""
        self._on_change = wake

    async def read(self) -> Status:
        """Give the status as it is now."""
        await self._look()
        return self.status

    async def running_tasks(self) -> int:
        """Count the tasks that still run, on all nodes."""
        return await self._store.running_tasks()

    async def change(self, wanted: Literal["RUNNING", "PAUSED"]) -> Status:
        """Pause the service or let it go on; give the status that it has then.

        Raises:
            UnavailableError: the status is being changed by others at the same moment.
        """
        for _ in range(3):
            status = await self.read()
            if status == wanted or (wanted == "PAUSED" and status == "PAUSING"):
                return status
            after: Status = "RUNNING" if wanted == "RUNNING" else "PAUSING"
            if await self._store.change(status, after, self._engine.now()):
                log.info("maintenance %s -> %s", status, after)
                await self._look()
                self._on_change()
                return after
        raise UnavailableError("Somebody else changes the state of maintenance; try again.")

    async def step(self) -> float | None:
        """Do this node's next piece of work; give the pause before the next, None the usual one."""
        await self._look()
        match self.status:
            case "PAUSING":
                return await self._pause()
            case "RUNNING":
                return await self._resume()
            case _:
                return None

    async def _look(self) -> None:
        state = await self._store.state()
        if state != self._state:
            self._state = state
            self._has_paused = True

    async def _pause(self) -> float:
        found = await self._store.to_pause(self._engine.node_id, _BATCH)
        # As if a parent asked: what has ended meanwhile ignores it, and no parent is told.
        await self._bring(found, PauseAsked(REASON, by_parent=True))
        if (
            not found
            and self._is_settled()
            and not await self._store.has_running()
            and not await self._store.running_tasks()
            and await self._store.change("PAUSING", "PAUSED", self._engine.now())
        ):
            log.info("maintenance PAUSING -> PAUSED")
            await self._look()
        return _SOON

    async def _resume(self) -> float | None:
        """Resume what this node ran last; then what dead nodes may have left."""
        if not self._has_paused:
            return None
        found = await self._store.to_resume(self._engine.node_id, REASON, _BATCH)
        if not found and self._is_settled():
            found = await self._store.to_resume(None, REASON, _BATCH)
            self._has_paused = bool(found)
        await self._bring(found, ResumeAsked(by_parent=True), _paused_by_us)
        return _SOON if self._has_paused else None

    def _is_settled(self) -> bool:
        """Tell whether all nodes know the status by now."""
        return self._exclusive or self._engine.now() - self._state.since >= _SETTLE

    async def _bring(self, found: Iterable[str], event: AnyEvent, guard: Guard | None = None) -> None:
        """Bring an event to executions; one that refuses it is seen to in a later round, if at all."""
        requests = [self._engine.submit(execution_id, event, guard=guard) for execution_id in found]
        for outcome in await asyncio.gather(*requests, return_exceptions=True):
            if isinstance(outcome, TramontaneError) and not isinstance(outcome, UnavailableError):
                log.info("not paused or resumed for maintenance: %s", outcome.message)
            elif isinstance(outcome, BaseException):
                raise outcome


class ChangedMeanwhileError(BadRequestError):
    """The execution isn't paused for maintenance any more."""


def _paused_by_us(execution: Execution) -> None:
    if execution.state_info != REASON:
        raise ChangedMeanwhileError("The execution isn't paused for maintenance any more.")


def _nobody() -> None:
    """Nobody wants to know."""
