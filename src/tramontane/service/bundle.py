"""Bundles: what needs the consent of everything on the way up to the root.

A re-run or skip inside a sub-workflow revives its ancestors. The path is decided together, child
first, and written as one: all win or none, and a refusal by an ancestor refuses the request. The
locks of all slots on the path are held meanwhile, taken in the order of their ids, so that two
bundles never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

from tramontane.core.events import AnyEvent, ChildRevived, RerunAsked, SkipAsked
from tramontane.core.state import Execution
from tramontane.errors import NotFoundError, UnavailableError
from tramontane.service.cache import Guard, Slot, Slots, Submission
from tramontane.service.changes import Delivery
from tramontane.service.committer import Lost, Won
from tramontane.service.deciding import Ids
from tramontane.service.ports import ExecutionStore
from tramontane.service.turn import Turn, Turns, VanishedError, as_error

_ATTEMPTS = 50

Deliver = Callable[[Delivery], None]


class Reviver:
    """Re-runs and skips tasks anywhere in a tree."""

    def __init__(self, turns: Turns, slots: Slots, store: ExecutionStore, new_id: Callable[[], str]) -> None:
        self._turns = turns
        self._slots = slots
        self._store = store
        self._new_id = new_id

    async def revive(
        self,
        execution_id: str,
        event: RerunAsked | SkipAsked,
        guard: Guard | None,
        deliver: Deliver,
        done: Callable[[Sequence[Slot]], None],
    ) -> Execution:
        """Carry a request out; ``done`` gets the slots that were locked when they are free again.

        Raises:
            NotFoundError, TramontaneError: the request is refused; nothing has changed.
            UnavailableError: nothing was written.
            EventFailedError, ParkedError: see there.
        """
        ids = Ids(self._new_id)
        for attempt in range(_ATTEMPTS):
            ids.rewind()
            slots = [self._slots.get(each) for each in await self._path(execution_id)]
            try:
                async with contextlib.AsyncExitStack() as locks:
                    for slot in sorted(slots, key=lambda each: each.id):
                        await locks.enter_async_context(slot)
                    outcome = await self._attempt(slots, event, guard, ids, deliver)
            finally:
                done(slots)
            if isinstance(outcome, Execution):
                return outcome
            if outcome.in_doubt:
                ids = Ids(self._new_id)  # rows may have the others
            await asyncio.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 8)))
        raise UnavailableError("The executions on the way to the root change too fast; try again.")

    async def _path(self, execution_id: str) -> list[str]:
        """The execution and its ancestors, child first."""
        path: list[str] = []
        current: str | None = execution_id
        while current is not None:
            path.append(current)
            stored = await self._store.load(current)
            if stored is None:
                raise _not_found(current)
            current = stored.execution.parent_id
        return path

    async def _attempt(
        self,
        slots: Sequence[Slot],
        event: RerunAsked | SkipAsked,
        guard: Guard | None,
        ids: Ids,
        deliver: Deliver,
    ) -> Execution | Lost:
        """Decide the way up and commit it."""
        won = False
        try:
            turns = await self._decide(slots, event, guard, ids)
            assert slots[0].state is not None
            execution = slots[0].state.execution
            if not turns:
                won = True
                return execution
            verdict = await self._turns.commit(turns, deliver)
            if isinstance(verdict, Won):
                won = True
                return execution
            if isinstance(verdict, Lost):
                return verdict
            raise as_error(verdict)
        finally:
            if not won:
                for slot in slots:
                    slot.forget()

    async def _decide(
        self, slots: Sequence[Slot], event: RerunAsked | SkipAsked, guard: Guard | None, ids: Ids
    ) -> list[Turn]:
        """Decide the request, then its consequence for each ancestor, until nothing changes."""
        turns: list[Turn] = []
        request: AnyEvent = event
        for slot in slots:
            turn = await self._decide_one(slot, request, guard, ids)
            if turn.changes.is_empty:
                break
            turns.append(turn)
            guard = None
            assert slot.state is not None
            request = ChildRevived(slot.id, slot.state.execution.run, event.env)
        return turns

    async def _decide_one(self, slot: Slot, request: AnyEvent, guard: Guard | None, ids: Ids) -> Turn:
        batch: list[Submission] = []
        try:
            await self._turns.load(slot, batch)
        except VanishedError:
            raise _not_found(slot.id) from None
        submission = Submission((request,), guard=guard)
        turn = await self._turns.decide(slot, [*batch, submission], ids)
        for refused, refusal in turn.refused:
            if refused is submission:
                raise refusal
        return turn


def _not_found(execution_id: str) -> NotFoundError:
    return NotFoundError(f"Workflow execution not found [id={execution_id}]")
