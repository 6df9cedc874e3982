"""Running actions outside of workflows, and reporting results from outside (REST endpoints, section 9;
action specification, sections 9 and 10)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from msgspec.structs import replace

from tramontane.clock import Clock
from tramontane.core.adhoc import ResolvedAction, resolve
from tramontane.core.decision import ActionKey
from tramontane.core.events import ActionCompleted, ActionPaused, ActionResumed, AnyEvent, from_data
from tramontane.core.state import ActionExecution, Json, Micros
from tramontane.core.texts import check_size
from tramontane.errors import (
    BadRequestError,
    IllegalStateError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
)
from tramontane.expressions import Budget, CompiledStructure
from tramontane.results import Result
from tramontane.service.caller import Caller, may_see
from tramontane.service.catalog import Catalog
from tramontane.service.credentials import Credentials
from tramontane.service.engine import Engine
from tramontane.service.executions import visible_to
from tramontane.service.pools import pool_of
from tramontane.service.ports import Jobs, LimitedRuns, RecordStore
from tramontane.service.queueing import JobQueue
from tramontane.service.services import RunOrder
from tramontane.service.standalone import OutsideWorkflow, OwnScope, StandAloneResults, ended
from tramontane.states import CANCELLED, ERROR, PAUSED, RUNNING, may_change
from tramontane.store.limits import names_of
from tramontane.store.records import JobRow
from tramontane.values import EMPTY, FrozenDict

_EMPTY_VALUES: tuple[Any, ...] = (None, "", {}, [])

Report = Literal["RUNNING", "PAUSED", "SUCCESS", "ERROR", "CANCELLED"]


class ActionExecutionUseCases:
    """What callers do with action executions (:class:`tramontane.service.services.ActionExecutions`)."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        records: RecordStore,
        jobs: Jobs,
        queue: JobQueue,
        limited: LimitedRuns,
        clock: Clock,
        credentials: Credentials,
        *,
        field_size_limit_kb: int,
        allow_deletion: bool,
    ) -> None:
        self._engine = engine
        self._catalog = catalog
        self._records = records
        self._jobs = jobs
        self._credentials = credentials
        self._queue = queue
        self._limited = limited
        self._functions = OutsideWorkflow(clock)
        self._limit_kb = field_size_limit_kb
        self._results = StandAloneResults(records, self._functions, engine.now, field_size_limit_kb)
        self._allow_deletion = allow_deletion

    # -- run ------------------------------------------------------------------------------

    async def run(self, caller: Caller, order: RunOrder) -> ActionExecution | Result:
        """Run an action: its stored execution, or the bare result if nothing is stored.

        Raises:
            BadRequestError: no such action, wrong input, or asked to wait for an asynchronous one.
            UnavailableError: no executor is free to run it now.
        """
        resolved = await self._resolve(caller, order)
        check_size(resolved.input, self._limit_kb, "ActionExecution", "input")
        is_sync = resolved.info.is_sync
        if order.run_sync and not is_sync:
            raise BadRequestError("Action does not support synchronous execution.")
        if is_sync and (order.run_sync or not order.save_result):
            result = await self._run_now(caller, order, resolved)
            if not order.save_result:
                return result
            return await self._store_finished(caller, order, resolved, result)
        return await self._schedule(caller, order, resolved)

    async def _resolve(self, caller: Caller, order: RunOrder) -> ResolvedAction:
        known: dict[ActionKey, Any] = {}

        def look_up(key: ActionKey) -> Any:
            if key not in known:
                raise _LookUp(key)
            return known[key]

        def evaluate(structure: CompiledStructure, own: FrozenDict) -> Any:
            return structure.evaluate(OwnScope(own, self._functions), Budget())

        while True:
            try:
                return resolve(ActionKey(order.name, order.namespace, None), order.input, look_up, evaluate)
            except _LookUp as missing:
                known[missing.key] = await self._catalog.look_up(missing.key, caller.project_id)

    async def _run_now(self, caller: Caller, order: RunOrder, resolved: ResolvedAction) -> Result:
        result = resolved.info.settle(resolved.input, "")
        if result is None:
            context = FrozenDict({"execution": EMPTY, "security": self._credentials.sealed(caller.security)})
            async with self._slots_of_limits(caller, order, resolved):
                result = await self._jobs.run(resolved.info, resolved.input, context, order.timeout)
        if result is None:
            raise BadRequestError("Action does not support synchronous execution.")
        return self._results.finished(resolved.adhoc, result)

    @asynccontextmanager
    async def _slots_of_limits(
        self, caller: Caller, order: RunOrder, resolved: ResolvedAction
    ) -> AsyncIterator[None]:
        """Hold what limits ask for, while an action runs that a caller waits for.

        Raises:
            UnavailableError: all slots are taken.
        """
        record = self._record(caller, order, resolved)
        job = self._job(caller, order, resolved, record, self._engine.node_id)
        if self._queue.is_free(job, record):
            yield
            return
        is_held = await self._limited.hold(job, names_of(record.name, record.adhoc))
        if is_held is False:
            raise UnavailableError(
                f"All slots that the limits allow for '{order.name}' are taken; nothing was run. Try again."
            )
        try:
            yield
        finally:
            if is_held:
                await self._limited.finish(self._engine.node_id, [job.action_id])
                self._jobs.wake()

    async def _store_finished(
        self, caller: Caller, order: RunOrder, resolved: ResolvedAction, result: Result
    ) -> ActionExecution:
        record = self._record(caller, order, resolved)
        done = replace(ended(record, result, self._engine.now()), updated_at=None)
        await self._records.add_action(done, None)
        return done

    async def _schedule(self, caller: Caller, order: RunOrder, resolved: ResolvedAction) -> ActionExecution:
        record = self._record(caller, order, resolved)
        job = self._job(caller, order, resolved, record, None)
        job = self._queue.enter(job, record, 0, self._engine.node_id, self._jobs)
        is_ours = job.claimed_by is not None
        try:
            await self._records.add_action(record, job)
        except BaseException:
            self._jobs.release(int(is_ours))
            if is_ours:
                self._jobs.doubt([job])  # it may be written all the same
            raise
        if is_ours:
            self._jobs.begin(job, record)
        else:
            self._jobs.wake()
        return record

    def _job(
        self,
        caller: Caller,
        order: RunOrder,
        resolved: ResolvedAction,
        record: ActionExecution,
        claimed_by: str | None,
    ) -> JobRow:
        execution = FrozenDict(
            {
                "action_execution_id": record.id,
                "callback_url": f"/v2/action_executions/{record.id}",
                "project_id": caller.project_id,
            }
        )
        return JobRow(
            action_id=record.id,
            execution_id=None,
            root_id=None,
            project_id=caller.project_id,
            action_name=resolved.info.name,
            pool=pool_of(resolved.info.name, order.target),
            attempt=0,
            safe_rerun=False,
            timeout=order.timeout,
            dry_run=False,
            context=FrozenDict(
                {"execution": execution, "security": self._credentials.sealed(caller.security)}
            ),
            claimed_by=claimed_by,
            created_at=record.created_at,
        )

    def _record(self, caller: Caller, order: RunOrder, resolved: ResolvedAction) -> ActionExecution:
        return ActionExecution(
            id=self._engine.new_id(),
            execution_id=None,
            root_id=None,
            task_id=None,
            name=resolved.name,
            project_id=caller.project_id,
            workflow_namespace=order.namespace,
            is_sync=resolved.info.is_sync,
            input=resolved.input,
            adhoc=resolved.adhoc,
            target=order.target,
            timeout=order.timeout,
            description=order.description,
            created_at=self._engine.now(),
        )

    # -- look -----------------------------------------------------------------------------

    async def reported(self, action_ids: Sequence[str]) -> Mapping[str, ActionExecution]:
        """Of these action executions, those whose result is durable, though their workflow's turn is still
        to take it; as they are with it.

        An executor or a worker has its answer when the result is in the inbox. Whoever looks then must
        not see the action run.
        """
        results: dict[str, tuple[ActionCompleted, Micros]] = {}
        wanted = frozenset(action_ids)
        for row in await self._records.waiting_events(action_ids):
            event = from_data(row.payload)
            if isinstance(event, ActionCompleted) and event.action_id in wanted:
                results.setdefault(event.action_id, (event, row.created_at))
        found = {}
        for action_id, (event, moment) in results.items():
            action = await self._records.action(action_id)
            if action is None or action.is_completed or event.attempt not in (None, action.attempt):
                continue
            result = self._results.finished(action.adhoc, Result(event.data, event.error, event.cancel))
            found[action_id] = ended(action, result, moment)
        return found

    # -- report ---------------------------------------------------------------------------

    async def update(
        self, caller: Caller, action_execution_id: str, state: Report, output: Json
    ) -> ActionExecution:
        """Report a result, pause or resume; the action execution as it is afterwards.

        Raises:
            NotFoundError: no such action execution for this caller.
            IllegalStateError: it is completed already, or can't be paused.
        """
        action = await self._visible(caller, action_execution_id)
        if action.execution_id is None:
            return await self._update_alone(action, state, output)
        guard = visible_to(caller, action.execution_id)
        await self._engine.submit(action.execution_id, _event(action.id, state, output), guard=guard)
        return await self._visible(caller, action_execution_id)

    async def _update_alone(self, action: ActionExecution, state: Report, output: Json) -> ActionExecution:
        while True:
            changed = self._changed(action, state, output)
            if changed is action:
                return action
            if await self._records.change_action(action, changed, drop_job=changed.is_completed):
                if changed.is_completed:
                    self._jobs.drop(action.id, interrupt=True)
                return changed
            again = await self._records.action(action.id)
            if again is None:
                raise _not_found(action.id)
            action = again

    def _changed(self, action: ActionExecution, state: Report, output: Json) -> ActionExecution:
        """Work out the next version of an action that belongs to no task (runtime, section 8.4)."""
        now = self._engine.now()
        if state in (PAUSED, RUNNING):
            if not may_change(action.state, state):
                raise IllegalStateError(f"Invalid state transition from {action.state} to {state}.")
            if state == PAUSED and action.is_sync:
                raise IllegalStateError(
                    "Transition to the PAUSED state is only supported for asynchronous action execution."
                )
            return action if action.state == state else replace(action, state=state, updated_at=now)
        if action.is_completed:
            raise IllegalStateError(f"Action {action.id} is already completed")
        return ended(action, self._results.finished(action.adhoc, _reported(state, output)), now)

    async def complete(self, action_id: str, attempt: int, result: Result) -> None:
        """Take an executor's result (:meth:`StandAloneResults.complete`)."""
        await self._results.complete(action_id, attempt, result)

    # -- delete ---------------------------------------------------------------------------

    async def delete(self, caller: Caller, action_execution_id: str) -> None:
        """Delete a completed execution that belongs to no task.

        Raises:
            NotFoundError: no such action execution for this caller.
            NotAllowedError: deleting is switched off, or this one can't be deleted.
        """
        action = await self._visible(caller, action_execution_id)
        if not self._allow_deletion:
            raise NotAllowedError("Action execution deletion is not allowed.")
        if action.task_id is not None:
            raise NotAllowedError("Only ad-hoc action execution can be deleted.")
        if not action.is_completed:
            raise NotAllowedError("Only completed action execution can be deleted.")
        await self._records.delete_action(action_execution_id)

    async def _visible(self, caller: Caller, action_id: str) -> ActionExecution:
        found = await self._records.action(action_id)
        if found is None or not may_see(caller, found.project_id):
            raise _not_found(action_id)
        return found


class _LookUp(Exception):
    def __init__(self, key: ActionKey) -> None:
        super().__init__(key)
        self.key = key


def _not_found(action_id: str) -> NotFoundError:
    return NotFoundError(f"Action execution not found [id={action_id}]")


def _reported(state: str, output: Json) -> Result:
    if state == CANCELLED:
        return Result(cancel=True)
    if state == ERROR:
        return Result(error="Unknown error" if output in _EMPTY_VALUES else output)
    return Result(data=output)


def _event(action_id: str, state: str, output: Json) -> AnyEvent:
    if state == PAUSED:
        return ActionPaused(action_id)
    if state == RUNNING:
        return ActionResumed(action_id)
    result = _reported(state, output)
    return ActionCompleted(action_id, result.data, result.error, result.cancel)
