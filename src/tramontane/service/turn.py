"""One turn: load, decide, commit, and then what follows. Joins the core with the store.

A turn feeds a batch of submissions to the core one by one; the slot's state takes over each decision
at once, and everything that changed becomes one write of the group commit. If that fails, the
state in the slot is worth nothing any more and must be forgotten. Effects are released here, after
the commit and never before. *When* turns run is :mod:`tramontane.service.engine`'s part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tramontane.core.checkpoint import from_data as checkpoint_from
from tramontane.core.checkpoint import past_of
from tramontane.core.decision import StartRequest
from tramontane.core.events import ActionLost, TimerFired, from_data
from tramontane.core.memory import ExecutionState
from tramontane.core.priorities import priority_of
from tramontane.core.state import Execution, HistoryKey
from tramontane.errors import TramontaneError, UnavailableError
from tramontane.service.apart import ProcessDiedError
from tramontane.service.cache import Slot, Submission
from tramontane.service.catalog import Catalog, Known
from tramontane.service.changes import Changes, Delivery, Effects
from tramontane.service.checkpoints import Checkpoints
from tramontane.service.committer import Committer, Lost, Refused, Unwritten, Verdict, Won
from tramontane.service.deciding import Decider, Ids
from tramontane.service.ports import ExecutionStore, Jobs, Timers, Witness
from tramontane.service.queueing import JobQueue
from tramontane.service.turnstile import Turnstile
from tramontane.store.records import TurnWrite
from tramontane.values import EMPTY

log = logging.getLogger(__name__)

_ROWS = 500
"""Inbox rows that join one turn; the rest waits for the next."""

_TAKEOVERS = 3
"""An execution that was taken over so often without a commit may have ended the nodes that ran it."""

_BREATH = 0.01
"""Seconds of deciding after which others get their turn on the event loop."""


class InternalError(TramontaneError):
    """The service has a bug that this request runs into; nothing was changed."""

    code = "internal"


class VanishedError(Exception):
    """There is no such execution (any more)."""


class ParkedError(Exception):
    """Nobody is to run this execution."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EventFailedError(Exception):
    """Handling this submission raised something that nobody foresaw."""

    def __init__(self, submission: Submission, cause: Exception) -> None:
        super().__init__(str(cause))
        self.submission = submission
        self.cause = cause


@dataclass(slots=True)
class Turn:
    """What one attempt changes, and what each submission is to be told."""

    slot: Slot
    changes: Changes
    accepted: list[Submission] = field(default_factory=list)
    refused: list[tuple[Submission, TramontaneError]] = field(default_factory=list)
    voids_checkpoint: bool = False

    @property
    def takeovers(self) -> int:
        """What the counter of takeovers is to be: 0, unless the turn only notes what was lost with a node."""
        events = [event for submission in self.accepted for event in submission.events]
        only_losses = bool(events) and all(isinstance(event, ActionLost) for event in events)
        return self.slot.takeovers if only_losses else 0


@dataclass(slots=True)
class TurnStatistics:
    """Counters for metrics; they only ever grow."""

    turns: int = 0
    events: int = 0
    started: int = 0
    completed: int = 0


class Turns:
    """The steps of a turn. The caller holds the lock of every slot that it passes in."""

    def __init__(
        self,
        *,
        node_id: str,
        store: ExecutionStore,
        catalog: Catalog,
        committer: Committer,
        decider: Decider,
        jobs: Jobs,
        queue: JobQueue,
        timers: Timers,
        new_id: Callable[[], str],
        exclusive: bool,
    ) -> None:
        """``exclusive``: no other node writes to the database, so what is cached is never stale."""
        self._node_id = node_id
        self._store = store
        self._catalog = catalog
        self._committer = committer
        self._decider = decider
        self._jobs = jobs
        self._queue = queue
        self._timers = timers
        self._new_id = new_id
        self._exclusive = exclusive
        self._turnstile = Turnstile()
        self._checkpoints = Checkpoints(catalog, decider.settings)
        self.statistics = TurnStatistics()
        self.witnesses: list[Witness] = []

    @property
    def delayed_decisions(self) -> int:
        """How often a decision had to wait for its turn."""
        return self._turnstile.delayed

    # -- loading --------------------------------------------------------------------------

    async def load(self, slot: Slot, batch: list[Submission]) -> None:
        """Fill the slot; inbox rows that wait for it join the batch, rows used up meanwhile leave it.

        Raises:
            VanishedError: there is no such execution.
            UnavailableError: the database can't be read.
        """
        slot.stale = False
        stored = await self._store.load_open(slot.id)
        if stored is None:
            raise VanishedError
        params = stored.execution.params if stored.root_params is None else stored.root_params
        slot.state = ExecutionState.from_records(
            stored.execution,
            stored.tasks,
            stored.actions,
            stored.subworkflows,
            stored.past_runs,
            params.get("env", EMPTY),
            None if stored.checkpoint is None else past_of(checkpoint_from(stored.checkpoint)),
        )
        slot.version = stored.version
        slot.parked = stored.parked
        slot.takeovers = stored.takeovers
        slot.format = stored.format
        there = {row.id for row in stored.inbox}
        batch[:] = [each for each in batch if each.row_id is None or each.row_id in there]
        known = {each.row_id for each in batch}
        rows = [row for row in stored.inbox if row.id not in known]
        waiting = [Submission((from_data(row.payload),), row_id=row.id, durable=True) for row in rows]
        batch.extend(waiting[:_ROWS])
        slot.pending.extend(waiting[_ROWS:])

    # -- deciding -------------------------------------------------------------------------

    async def prepare(self, slot: Slot, batch: list[Submission], ids: Ids) -> Turn:
        """Decide the batch over the slot's state, which is loaded if it must be.

        Raises:
            VanishedError, ParkedError, UnavailableError
            EventFailedError: a bug showed.
        """
        was_cached = slot.state is not None and not slot.stale
        if not was_cached:
            await self.load(slot, batch)
        turn = await self.decide(slot, batch, ids)
        if turn.changes.is_empty and was_cached and not self._exclusive:
            # Nothing to write means that no version is compared: look whether the state is today's.
            await self.load(slot, batch)
            ids.rewind()
            turn = await self.decide(slot, batch, ids)
        return turn

    async def decide(self, slot: Slot, batch: Sequence[Submission], ids: Ids) -> Turn:
        """Feed the batch to the core; the slot's state takes over each decision at once.

        Raises:
            ParkedError, EventFailedError, UnavailableError
            ProcessDiedError: the execution ends the process that runs it.
        """
        if slot.parked is not None:
            raise ParkedError(slot.parked)
        state = slot.state
        assert state is not None
        turn = Turn(slot, Changes(state.execution, slot.version, self._decider.now(), ids))
        spec = await self._catalog.spec(state.execution.spec_hash)
        known = self._catalog.known(state.execution.project_id)
        self.statistics.turns += 1
        await self._await_turn(state.execution)
        loop = asyncio.get_running_loop()
        began = loop.time()
        fed: set[str] = set()
        apart = slot.takeovers >= _TAKEOVERS

        async def recall(keys: Sequence[HistoryKey]) -> None:
            for key, found in (await self._store.recall(slot.id, keys)).items():
                state.recall(key, found)

        for submission in batch:
            if loop.time() > began + _BREATH:
                self._turnstile.took(loop.time() - began)
                await self._await_turn(state.execution)
                began = loop.time()
            if submission.row_id is not None:
                if submission.row_id in fed or slot.has_seen(submission.row_id):
                    continue
                fed.add(submission.row_id)
                turn.changes.consume(submission.row_id)
            self.statistics.events += 1
            try:
                if submission.guard is not None:
                    submission.guard(state.execution)
                for event in submission.events:
                    if isinstance(event, TimerFired) and _is_current(state, event):
                        turn.changes.drop_timer(event.task_id, event.timer)
                    decision = await self._decider.decide(
                        spec, state, event, known, ids, recall, is_alone=self._turnstile.is_alone, apart=apart
                    )
                    turn.voids_checkpoint |= state.voids(decision.records())
                    state.apply(decision)
                    turn.changes.add(decision)
            except (UnavailableError, ProcessDiedError):
                raise
            except TramontaneError as refusal:
                turn.refused.append((submission, refusal))
                _note_refusal(state.execution, submission, refusal)
            except Exception as error:
                raise EventFailedError(submission, error) from error
            else:
                turn.accepted.append(submission)
        self._turnstile.took(loop.time() - began)
        return turn

    async def _await_turn(self, execution: Execution) -> None:
        priority = priority_of(execution.params)
        await self._turnstile.enter(execution.project_id, execution.root_id, priority)

    # -- committing -----------------------------------------------------------------------

    async def commit(self, turns: Sequence[Turn], deliver: Callable[[Delivery], None]) -> Verdict:
        """Write turns (several: a bundle, which wins or loses as one); release effects if they win.

        Raises:
            UnavailableError: the node is shutting down.
        """
        bundle = self._new_id() if len(turns) > 1 else None
        written = [turn.changes.write(self._node_id, self._jobs, self._queue, bundle) for turn in turns]
        for turn, (write, _) in zip(turns, written, strict=True):
            write.format = max(turn.slot.format, self._store.written_format)
            write.takeovers = turn.takeovers
        taken = [
            await self._checkpoints.note(turn.slot, write, voided=turn.voids_checkpoint)
            for turn, (write, _) in zip(turns, written, strict=True)
        ]
        verdict = await self._write(written)
        if isinstance(verdict, Won):
            for turn, (write, effects), checkpoint in zip(turns, written, taken, strict=True):
                _advance(turn.slot, write)
                self._checkpoints.written(turn.slot, write, checkpoint)
                self._release(write, effects, deliver)
        return verdict

    async def create(
        self, slot: Slot, request: StartRequest, ids: Ids, deliver: Callable[[Delivery], None]
    ) -> Verdict:
        """Decide and write a start; the slot holds the new execution's state if it wins.

        Raises:
            TramontaneError: the start is refused.
        """
        known: Known = self._catalog.known(request.project_id)
        params = request.params or EMPTY
        await self._turnstile.enter(request.project_id, request.execution_id, priority_of(params))
        began = asyncio.get_running_loop().time()
        decision = await self._decider.create(request, known, ids)
        self._turnstile.took(asyncio.get_running_loop().time() - began)
        changes = Changes(None, 0, self._decider.now(), ids)
        changes.add(decision)
        write, effects = changes.write(self._node_id, self._jobs, self._queue)
        write.format = self._store.written_format
        verdict = await self._write([(write, effects)])
        if isinstance(verdict, Won):
            self.statistics.started += 1
            slot.state = ExecutionState.from_records(
                decision.execution, root_env=decision.execution.params.get("env", EMPTY)
            )
            slot.state.apply(decision)
            _advance(slot, write)
            self._release(write, effects, deliver)
        return verdict

    async def _write(self, written: Sequence[tuple[TurnWrite, Effects]]) -> Verdict:
        """Hand turns to the group commit; slots that were reserved for their jobs are kept if it wins."""
        reserved = sum(len(effects.claimed) for _, effects in written)
        won = False
        try:
            verdict = await self._committer.commit([write for write, _ in written])
            won = isinstance(verdict, Won)
            if isinstance(verdict, Lost) and verdict.in_doubt:
                self._jobs.doubt([job for _, effects in written for job, _ in effects.claimed])
        finally:
            if not won:
                self._jobs.release(reserved)
        return verdict

    def _release(self, write: TurnWrite, effects: Effects, deliver: Callable[[Delivery], None]) -> None:
        """Release what follows a durable turn. Whatever is lost here is found again by its row."""
        for job, action in effects.claimed:
            self._jobs.begin(job, action)
        if effects.has_unclaimed:
            self._jobs.wake()
        for action_id, interrupt in effects.dropped_jobs:
            self._jobs.drop(action_id, interrupt)
        for task_id, kind in effects.dropped_timers:
            self._timers.forget(task_id, kind)
        for timer in effects.timers:
            self._timers.note(timer)
        for delivery in effects.deliveries:
            deliver(delivery)
        for witness in self.witnesses:
            witness(write)
        before = write.before
        if write.execution.is_completed and (before is None or not before.is_completed):
            self.statistics.completed += 1


def as_error(verdict: Unwritten | Refused) -> TramontaneError:
    """Give the error that tells a caller of an unlucky verdict."""
    if isinstance(verdict, Unwritten):
        return verdict.error
    return InternalError(f"The change can't be stored: {verdict.reason}")


def _advance(slot: Slot, write: TurnWrite) -> None:
    slot.version = write.version + 1
    slot.takeovers = write.takeovers
    slot.format = write.format
    slot.conflicts = 0
    slot.failures = 0
    for row_id in write.consumed_inbox:
        slot.saw(row_id)


def _is_current(state: ExecutionState, event: TimerFired) -> bool:
    """Tell whether the fired timer's row is the one of now: a newer one has to stay."""
    task = state.tasks.get(event.task_id)
    return task is None or task.is_completed or task.generation == event.generation


def _note_refusal(execution: Execution, submission: Submission, refusal: TramontaneError) -> None:
    """Nobody waits to be told about an inbox row: the log is."""
    if submission.answer is None:
        log.warning(
            "event refused execution_id=%s event=%s reason=%s",
            execution.id,
            type(submission.events[0]).__name__,
            refusal.message,
        )
