"""The engine: when turns run, and who is told what.

What happens to an execution enters by :meth:`Engine.submit` (requests), :meth:`Engine.report`
(results, timers) or :meth:`Engine.deliver` (inbox rows), and waits in the execution's slot:

    pending events -> [load] -> decide … decide -> commit -> answers, wake-ups, local jobs
                        ^                            |
                        +------ lost: forget --------+

Turns of one execution never overlap; turns of different ones are independent. A turn that lost its
race is run again a little later over freshly loaded state, with the same ids. An event that can't
be handled because of a bug is tried three times; a caller then gets the error, while an event that
nobody would bring again parks the execution: its state stays as it is, its reason is shown, the
others go on. Queues are bounded: beyond them requests are refused before anything is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from tramontane.clock import Clock
from tramontane.core.decision import CoreSettings, StartRequest
from tramontane.core.events import AnyEvent, Continued, RerunAsked, SkipAsked, TimerFired, to_data
from tramontane.core.state import Execution, Micros
from tramontane.errors import (
    ConflictError,
    ExecutionParkedError,
    IllegalStateError,
    NotFoundError,
    TramontaneError,
    UnavailableError,
)
from tramontane.service.apart import ProcessDiedError
from tramontane.service.bundle import Reviver
from tramontane.service.cache import Guard, Slot, Slots, Submission
from tramontane.service.catalog import Catalog
from tramontane.service.changes import Delivery
from tramontane.service.committer import Committer, Lost, Refused, Unwritten, Won
from tramontane.service.deciding import Decider, DecidingLimits, Ids
from tramontane.service.ports import ExecutionStore, Jobs, Timers, Witness
from tramontane.service.queueing import JobQueue
from tramontane.service.turn import (
    EventFailedError,
    InternalError,
    ParkedError,
    Turns,
    TurnStatistics,
    VanishedError,
    as_error,
)
from tramontane.store.errors import LostValueError, NewerRecordError
from tramontane.store.records import InboxRow, TurnWrite
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_FAILURES = 3
_STARTS = 10
_ENDS = 10_000
_SHARE = 8
"""So many times as many requests of one project may wait as there is room left."""

_LATELY = 5.0
_PAUSE = 0.5
"""Seconds before a turn is tried again that the database didn't take."""

_LOST_PAUSE = 2.0
"""Seconds before an execution is tried again that lacks a value."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """``waiting``: requests in memory before others are refused; ``events``: of one turn;
    ``executions``: cached ones; ``records``: what these hold, all together."""

    waiting: int = 10_000
    events: int = 500
    executions: int = 5_000
    records: int = 200_000
    deciding: DecidingLimits = field(default_factory=DecidingLimits)


@dataclass(slots=True)
class EngineStatistics:
    """Counters for metrics; they only ever grow."""

    conflicts: int = 0
    failures: int = 0
    parked: int = 0


class Engine:
    """Turns of all executions that this node runs."""

    def __init__(
        self,
        *,
        node_id: str,
        store: ExecutionStore,
        catalog: Catalog,
        committer: Committer,
        clock: Clock,
        new_id: Callable[[], str],
        jobs: Jobs,
        queue: JobQueue,
        timers: Timers,
        settings: CoreSettings,
        limits: EngineLimits,
        exclusive: bool,
    ) -> None:
        """``exclusive``: no other node writes to the database, so what is cached is never stale."""
        self.node_id = node_id
        self.new_id = new_id
        self.statistics = EngineStatistics()
        self._store = store
        self._committer = committer
        self._limits = limits
        self._exclusive = exclusive
        self._decider = Decider(clock, settings, limits.deciding)
        self._slots = Slots(limits.executions, limits.records)
        self._turns = Turns(
            node_id=node_id,
            store=store,
            catalog=catalog,
            committer=committer,
            decider=self._decider,
            jobs=jobs,
            queue=queue,
            timers=timers,
            new_id=new_id,
            exclusive=exclusive,
        )
        self._turns.witnesses.append(self._tell_ended)
        self._reviver = Reviver(self._turns, self._slots, store, new_id)
        self._waiting = 0
        self._waiting_of: dict[str, int] = {}
        self._accepting = True
        self._hands_over = False
        self._on_stray: Callable[[], None] = _nobody
        self._on_missed: Callable[[], None] = _nobody
        self._ended: dict[str, list[asyncio.Future[Execution | None]]] = {}
        self._ends: OrderedDict[str, float] = OrderedDict()  # which executions ended lately, and when

    @property
    def waiting(self) -> int:
        """Requests that have been accepted and not answered."""
        return self._waiting

    @property
    def cached(self) -> int:
        """How many executions have a slot."""
        return len(self._slots)

    @property
    def cached_records(self) -> int:
        """How many tasks, actions and calls of sub-workflows they hold."""
        return self._slots.records

    def is_cached(self, execution_id: str) -> bool:
        """Tell whether the execution has a slot here: then its end on this node is heard of."""
        return execution_id in self._slots

    @property
    def turn_statistics(self) -> TurnStatistics:
        return self._turns.statistics

    @property
    def delayed_decisions(self) -> int:
        return self._turns.delayed_decisions

    @property
    def slow_decisions(self) -> int:
        return self._decider.slow_decisions

    def now(self) -> Micros:
        """The present moment in microseconds."""
        return self._decider.now()

    def on_stray(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when inbox rows were written for executions that aren't in memory here."""
        self._on_stray = wake

    def on_missed(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when an execution may have inbox rows that came while its turn was under way."""
        self._on_missed = wake

    def watch(self, witness: Witness) -> None:
        """Call ``witness`` with every turn that became durable on this node."""
        self._turns.witnesses.append(witness)

    # -- entrances ------------------------------------------------------------------------

    async def start(self, request: StartRequest) -> Execution:
        """Create a root execution and wait until it is durable; its first tasks run along.

        Raises:
            ConflictError: an execution of this id exists.
            UnavailableError: nothing was accepted, or nothing could be written.
            TramontaneError: the start is refused; there is no execution.
        """
        async with self._admitted(request.project_id):
            slot = self._slots.get(request.execution_id)
            try:
                async with slot:
                    return await self._create(slot, request)
            finally:
                self._release(slot)

    async def _create(self, slot: Slot, request: StartRequest) -> Execution:
        ids = Ids(self.new_id)
        for attempt in range(_STARTS):
            ids.rewind()
            verdict = await self._turns.create(slot, request, ids, self._take_delivery)
            if isinstance(verdict, Won):
                assert slot.state is not None
                return slot.state.execution
            if not isinstance(verdict, Lost):
                raise as_error(verdict)
            if await self._store.load(slot.id) is not None:
                raise ConflictError(f"A workflow execution with this id exists already [id={slot.id}]")
            await _back_off(attempt)
        raise UnavailableError("The database takes no new executions now; nothing was started. Try again.")

    async def submit(self, execution_id: str, *events: AnyEvent, guard: Guard | None = None) -> Execution:
        """Bring a caller's request; give the execution as the commit that holds it left it.

        Of several events the later ones must be such that nothing refuses them.

        Raises:
            NotFoundError: no such execution.
            UnavailableError: nothing was accepted, or nothing could be written.
            TramontaneError: the request is refused; nothing has changed.
        """
        async with self._admitted():
            return await self._enter(execution_id, Submission(events, _future(), guard))

    async def revive(
        self, execution_id: str, event: RerunAsked | SkipAsked, guard: Guard | None = None
    ) -> Execution:
        """Re-run or skip a task, together with everything on the way up to the root.

        All ancestors agree or nothing changes.

        Raises:
            as :meth:`submit`
        """
        async with self._admitted():
            try:
                return await self._reviver.revive(
                    execution_id, event, guard, self._take_delivery, self._wake_all
                )
            except EventFailedError as failure:
                self.statistics.failures += 1
                log.error("revival failed execution_id=%s", execution_id, exc_info=failure.cause)
                raise InternalError("The service failed to handle the request; see its log.") from None
            except ParkedError as parked:
                raise IllegalStateError(f"An execution on the way is parked: {parked.reason}") from None
            except ProcessDiedError as death:
                log.error("revival failed execution_id=%s reason=%s", execution_id, death)
                raise InternalError(f"Nothing was changed: {death}.") from None

    async def report(self, execution_id: str, event: AnyEvent) -> Execution:
        """Bring what nobody else would bring again (a result, a due timer); returns after its commit.

        It is held in memory until a commit takes it, whatever happens to the database meanwhile.

        Raises:
            NotFoundError, IllegalStateError …: it will never be taken.
        """
        return await self._enter(execution_id, Submission((event,), _future(), durable=True))

    def deliver(self, execution_id: str, event: AnyEvent, row_id: str) -> None:
        """Bring an inbox row that was written; its turn deletes it. Twice does no harm."""
        slot = self._slots.get(execution_id)
        if slot.has_seen(row_id):
            return
        slot.pending.append(Submission((event,), row_id=row_id, durable=True))
        self._wake(slot)

    def look(self, execution_id: str) -> None:
        """Have an execution look at its inbox: there are rows that nobody brought. One that has a
        turn under way may be using them up: whether some are left is asked for when it is over."""
        slot = self._slots.get(execution_id)
        if slot.is_idle:
            slot.stale = True
            self._wake(slot)
        else:
            slot.was_missed = True

    def doubt(self, execution_ids: Sequence[str]) -> None:
        """Executions were taken over from another node: the next turn of each loads it."""
        for execution_id in execution_ids:
            slot = self._slots.find(execution_id)
            if slot is not None:
                slot.stale = True

    def go_on(self, execution_id: str) -> None:
        """Have an execution find its open work in its records: it was taken over from another node."""
        slot = self._slots.get(execution_id)
        slot.stale = True
        slot.pending.append(Submission((Continued(),), durable=True))
        self._wake(slot)

    async def unpark(self, execution_id: str) -> None:
        """Let an execution run again that was left alone; it finds its open work in its records."""
        await self._store.unpark(execution_id)
        self.go_on(execution_id)

    @contextlib.asynccontextmanager
    async def _admitted(self, project_id: str = "") -> AsyncIterator[None]:
        """Count a request in, unless too many wait already. The more wait, the fewer may be of one project:
        the busiest is refused first, and there is always room for the others."""
        if not self._accepting:
            raise UnavailableError("The node is shutting down; nothing was accepted. Ask another node.")
        if self._waiting >= self._limits.waiting or self._committer.is_full:
            raise UnavailableError(
                "Too many requests are waiting on this node; nothing was accepted. Try again."
            )
        own = self._waiting_of.get(project_id, 0)
        if own >= _SHARE * (self._limits.waiting - self._waiting):
            raise UnavailableError(
                "Too many requests of this project are waiting on this node; nothing was accepted. Try again."
            )
        self._waiting += 1
        self._waiting_of[project_id] = own + 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._waiting_of[project_id] -= 1
            if not self._waiting_of[project_id]:
                del self._waiting_of[project_id]

    async def _enter(self, execution_id: str, submission: Submission) -> Execution:
        slot = self._slots.get(execution_id)
        slot.pending.append(submission)
        self._wake(slot)
        assert submission.answer is not None
        return await submission.answer

    def _take_delivery(self, delivery: Delivery) -> None:
        """Wake an execution of this node; whose the others are is for the poll to find out."""
        if self._hands_over:
            self._on_stray()
        elif self._exclusive or delivery.is_new or delivery.execution_id in self._slots:
            self.deliver(delivery.execution_id, delivery.event, delivery.row_id)
        else:
            self._on_stray()

    # -- the end of executions ------------------------------------------------------------

    async def ended(self, execution_id: str, seconds: float) -> Execution | None:
        """Wait until this node sees the execution end; None when it takes longer, or the node stops."""
        if not self._accepting:
            return None
        future: asyncio.Future[Execution | None] = asyncio.get_running_loop().create_future()
        self._ended.setdefault(execution_id, []).append(future)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return None
        finally:
            waiting = self._ended.get(execution_id, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._ended.pop(execution_id, None)

    def ended_lately(self, execution_id: str) -> bool:
        """Tell whether this node has just seen the execution end. False proves nothing."""
        moment = self._ends.get(execution_id)
        return moment is not None and asyncio.get_running_loop().time() - moment < _LATELY

    def _tell_ended(self, turn: TurnWrite) -> None:
        if not turn.execution.is_completed:
            self._ends.pop(turn.execution.id, None)
        else:
            self._ends[turn.execution.id] = asyncio.get_running_loop().time()
            if len(self._ends) > _ENDS:
                self._ends.popitem(last=False)
            for future in self._ended.pop(turn.execution.id, ()):
                if not future.done():
                    future.set_result(turn.execution)

    @contextlib.asynccontextmanager
    async def held(self, execution_id: str) -> AsyncIterator[None]:
        """Keep turns of an execution from running on this node for the length of a block."""
        slot = self._slots.get(execution_id)
        try:
            async with slot:
                try:
                    yield
                finally:
                    slot.forget()
        finally:
            self._release(slot)

    async def forget(self, execution_ids: Sequence[str]) -> None:
        """Drop what is cached of executions that were deleted, once their turns are over."""
        for execution_id in execution_ids:
            async with self.held(execution_id):
                pass

    # -- start and stop -------------------------------------------------------------------

    @property
    def is_accepting(self) -> bool:
        return self._accepting

    def refuse(self) -> None:
        """Accept no more requests, and let nobody wait for an end any more; results and timers are taken."""
        self._accepting = False
        for futures in self._ended.values():
            for future in futures:
                if not future.done():
                    future.set_result(None)

    def hand_over(self) -> None:
        """Leave what turns send to executions to the other nodes: this one works off what it has."""
        self.refuse()
        self._hands_over = True

    @property
    def turns(self) -> list[asyncio.Task[None]]:
        """What works off turns at this moment, one task for each execution."""
        return [slot.runner for slot in self._slots.busy() if slot.runner is not None]

    async def drain(self, seconds: float) -> None:
        """Accept no more requests and let running turns come to their end, for so long at most."""
        if self._accepting:
            self.refuse()
        runners = self.turns
        if runners:
            await asyncio.wait(runners, timeout=seconds)

    async def close(self) -> None:
        """End for good. Turns that are still running are broken off; nothing of them was answered."""
        self.refuse()
        runners = self.turns
        for runner in runners:
            runner.cancel()
        await asyncio.gather(*runners, return_exceptions=True)
        self._decider.close()

    # -- running turns --------------------------------------------------------------------

    def _wake(self, slot: Slot) -> None:
        if slot.runner is None:
            slot.runner = asyncio.create_task(self._run(slot), name=f"turn {slot.id}")

    def _wake_all(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            if slot.pending:
                self._wake(slot)
            else:
                self._release(slot)

    def _release(self, slot: Slot) -> None:
        """An execution that is over, or of which nothing is known, needs no slot."""
        if slot.failures == 0 and (slot.state is None or slot.state.execution.is_completed):
            self._slots.discard(slot)
        else:
            self._slots.weigh(slot)

    async def _run(self, slot: Slot) -> None:
        """Turns of one execution, until nothing is pending."""
        try:
            while slot.pending or slot.stale:
                async with slot:
                    pause = await self._turn(slot)
                if pause:
                    await asyncio.sleep(pause)
        finally:
            slot.runner = None
            for submission in slot.pending:
                submission.fail(UnavailableError("The node is shutting down."))
            slot.pending.clear()
            if slot.was_missed:
                slot.was_missed = False
                self._on_missed()
            self._release(slot)

    async def _turn(self, slot: Slot) -> float:
        """Take what is pending and work it off; return how long to wait before the next turn."""
        taken = [slot.pending.popleft() for _ in range(min(len(slot.pending), self._limits.events))]
        batch = [each for each in taken if not each.is_abandoned]
        try:
            return await self._work_off(slot, batch)
        except asyncio.CancelledError:
            slot.forget()
            slot.pending.extendleft(reversed(batch))
            raise
        except Exception as error:
            return await self._after_breakdown(slot, batch, error)

    async def _work_off(self, slot: Slot, batch: list[Submission]) -> float:
        """Attempt the batch until it is committed or every part of it has its answer."""
        ids = Ids(self.new_id)
        looked = slot.stale
        while batch or slot.stale:
            ids.rewind()
            try:
                verdict = await self._attempt(slot, batch, ids)
            except VanishedError:
                await self._answer_vanished(slot, batch, looked)
                return 0.0
            except ParkedError as parked:
                await self._answer_parked(slot, batch, parked.reason)
                return 0.0
            except ProcessDiedError as death:
                await self._park(
                    slot, batch, f"Nodes ended three times while they had the execution; {death}"
                )
                return 0.0
            except NewerRecordError as error:
                await self._leave_to_newer(slot, batch, error)
                return 0.0
            except EventFailedError as failure:
                slot.forget()
                await self._after_failure(slot, batch, failure)
                continue
            except UnavailableError as error:
                verdict = Unwritten(error)
            except LostValueError as error:
                # It may be brought back. Until then nothing can be done, and nothing gets lost.
                log.error("execution can't be loaded execution_id=%s error=%s", slot.id, error.message)
                slot.forget()
                slot.pending.extendleft(reversed(_fail_requests(batch, error)))
                return _LOST_PAUSE
            if isinstance(verdict, Won):
                return 0.0
            slot.forget()
            if isinstance(verdict, Unwritten):
                slot.pending.extendleft(reversed(_fail_requests(batch, verdict.error)))
                return _PAUSE
            if isinstance(verdict, Lost):
                self.statistics.conflicts += 1
                slot.conflicts += 1
                if verdict.in_doubt:
                    ids = Ids(self.new_id)  # rows may have the others
                await _back_off(slot.conflicts)
            else:
                await self._after_refusal(slot, batch, verdict.reason)
        return 0.0

    async def _attempt(
        self, slot: Slot, batch: list[Submission], ids: Ids
    ) -> Won | Lost | Unwritten | Refused:
        """Decide the batch and commit it; answers follow when it is durable."""
        turn = await self._turns.prepare(slot, batch, ids)
        if not turn.changes.is_empty:
            verdict = await self._turns.commit([turn], self._take_delivery)
            if not isinstance(verdict, Won):
                return verdict
        assert slot.state is not None
        for submission in turn.accepted:
            submission.succeed(slot.state.execution)
        for submission, refusal in turn.refused:
            submission.fail(refusal)
        return Won()

    # -- trouble --------------------------------------------------------------------------

    async def _answer_vanished(self, slot: Slot, batch: list[Submission], looked: bool) -> None:
        if looked or any(each.row_id is not None for each in batch):
            try:
                await self._store.discard_all(slot.id)
            except UnavailableError:
                log.info("inbox rows of a deleted execution are left for later execution_id=%s", slot.id)
        for submission in batch:
            submission.fail(NotFoundError(f"Workflow execution not found [id={slot.id}]"))

    async def _leave_to_newer(self, slot: Slot, batch: list[Submission], error: NewerRecordError) -> None:
        """A later version has written the execution: nodes of that version find in its inbox what this one
        would have brought. Timers are rows already."""
        waiting = [*batch, *slot.pending]
        rows = [
            InboxRow(self.new_id(), slot.id, slot.id, FrozenDict(to_data(event)), self.now())
            for each in waiting
            if each.durable and each.row_id is None
            for event in each.events
            if not isinstance(event, TimerFired)
        ]
        if rows:
            await self._store.post(rows)
        batch.clear()
        slot.pending.clear()
        slot.forget()
        for submission in waiting:
            submission.fail(error)

    async def _after_failure(self, slot: Slot, batch: list[Submission], failure: EventFailedError) -> None:
        """A bug: try again; at the third time tell the caller, or park the execution."""
        submission, cause = failure.submission, failure.cause
        submission.failures += 1
        self.statistics.failures += 1
        log.error(
            "event failed execution_id=%s event=%s try=%d",
            slot.id,
            type(submission.events[0]).__name__,
            submission.failures,
            exc_info=cause,
        )
        if submission.failures < _FAILURES:
            return
        if not submission.durable:
            submission.fail(InternalError("The service failed to handle the request; see its log."))
            batch.remove(submission)
            return
        reason = f"{type(submission.events[0]).__name__}: {type(cause).__name__}: {cause}"
        await self._park(slot, batch, reason)

    async def _after_breakdown(self, slot: Slot, batch: list[Submission], error: Exception) -> float:
        """Something unforeseen around the events: requests fail, the rest is kept and tried again."""
        slot.forget()
        slot.failures += 1
        self.statistics.failures += 1
        log.error("turn failed execution_id=%s try=%d", slot.id, slot.failures, exc_info=error)
        kept = _fail_requests(batch, InternalError("The service failed to handle the request; see its log."))
        try:
            if slot.failures >= _FAILURES:
                await self._park(slot, kept, f"{type(error).__name__}: {error}")
                slot.failures = 0
        except UnavailableError:
            log.info("parking waits for the database execution_id=%s", slot.id)
        slot.pending.extendleft(reversed(kept))
        return _PAUSE

    async def _after_refusal(self, slot: Slot, batch: list[Submission], reason: str) -> None:
        """The turn can't be stored. Requests are refused; if it isn't theirs, the execution is parked."""
        for submission in list(batch):
            submission.failures += 1
            if not submission.durable:
                submission.fail(InternalError(f"The change can't be stored: {reason}"))
                batch.remove(submission)
        if batch and batch[0].failures >= _FAILURES:
            await self._park(slot, batch, reason)

    async def _park(self, slot: Slot, batch: list[Submission], reason: str) -> None:
        """Leave an execution alone: its state stays as it is, the reason is stored."""
        self.statistics.parked += 1
        log.error("execution parked execution_id=%s reason=%s", slot.id, reason)
        await self._store.park(slot.id, reason)
        await self._answer_parked(slot, batch, reason)

    async def _answer_parked(self, slot: Slot, batch: list[Submission], reason: str) -> None:
        """Refuse requests; what nobody would bring again is kept in the inbox."""
        execution = None if slot.state is None else slot.state.execution
        root_id = slot.id if execution is None else execution.root_id
        waiting = [*batch, *slot.pending]
        batch.clear()
        slot.pending.clear()
        slot.forget()
        rows = [
            InboxRow(self.new_id(), slot.id, root_id, FrozenDict(to_data(event)), self.now())
            for each in waiting
            if each.durable and each.row_id is None
            for event in each.events
        ]
        if rows:
            await self._store.post(rows)
        text = f"The execution is parked, nobody runs it until it is resumed [id={slot.id}]: {reason}"
        for submission in waiting:
            submission.fail(_refusal(submission, execution) or ExecutionParkedError(text))


def _refusal(submission: Submission, execution: Execution | None) -> TramontaneError | None:
    """Why a request is refused in any case: for whom the execution doesn't exist it isn't parked either."""
    if submission.guard is None or execution is None:
        return None
    try:
        submission.guard(execution)
    except TramontaneError as refusal:
        return refusal
    return None


def _nobody() -> None:
    return None


def _future() -> asyncio.Future[Execution]:
    return asyncio.get_running_loop().create_future()


def _fail_requests(batch: list[Submission], error: TramontaneError) -> list[Submission]:
    """Tell callers that nothing was written; keep what nobody else would bring again."""
    kept = []
    for submission in batch:
        if submission.durable:
            kept.append(submission)
        else:
            submission.fail(error)
    return kept


async def _back_off(times: int) -> None:
    """Wait at random, the longer the more often a race was lost in a row."""
    await asyncio.sleep(random.uniform(0, 0.005 * 2 ** min(times, 8)))
