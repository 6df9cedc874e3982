"""Starting, changing and deleting executions (REST endpoints, section 7)."""

from __future__ import annotations

import asyncio
from typing import Any

from tramontane.core.decision import FoundWorkflow, StartRequest
from tramontane.core.events import (
    AnyEvent,
    ChildDeleted,
    DescriptionChanged,
    EnvironmentMerged,
    PauseAsked,
    PriorityChanged,
    ResumeAsked,
    StopAsked,
    to_data,
)
from tramontane.core.fork import FORKED_AT, SOURCE
from tramontane.core.state import Execution
from tramontane.errors import (
    BadRequestError,
    ConflictError,
    ExecutionParkedError,
    NotAllowedError,
    NotFoundError,
)
from tramontane.service.cache import Guard
from tramontane.service.caller import Caller, may_see
from tramontane.service.catalog import Catalog
from tramontane.service.credentials import Credentials
from tramontane.service.engine import Engine
from tramontane.service.idempotency import execution_id_of, require_same_start
from tramontane.service.ports import ExecutionStore, QueuedJobs, RecordStore
from tramontane.service.services import ExecutionChange, Started, StartOrder
from tramontane.states import ERROR, IDLE, PAUSED, RUNNING
from tramontane.store.records import InboxRow
from tramontane.values import EMPTY, FrozenDict, deep_merge

_OF_ITS_PLACE = ("root_execution_id", "task_execution_id", "index", "priority", SOURCE, FORKED_AT)
_LOOK_AGAIN = (0.05, 0.5)
"""Seconds after which a waiting caller's execution is looked up, at first and at last: it may end on another
node."""


class ExecutionUseCases:
    """What callers do with executions (:class:`tramontane.service.services.Executions`)."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        store: ExecutionStore,
        records: RecordStore,
        credentials: Credentials,
        queued: QueuedJobs,
    ) -> None:
        self._engine = engine
        self._catalog = catalog
        self._store = store
        self._records = records
        self._credentials = credentials
        self._queued = queued

    # -- start ----------------------------------------------------------------------------

    async def start(self, caller: Caller, order: StartOrder) -> Started:
        """Start a workflow; an id or a key that is used already gives the execution that has it.

        Raises:
            NotFoundError: no such workflow, no such source.
            ConflictError: the id belongs to an execution that the caller can't see, the key to
                another start.
            BadRequestError: the start is refused; there is no execution.
            UnavailableError: nothing was accepted.
        """
        chosen = order.execution_id
        if order.key is not None:
            chosen = execution_id_of(caller.project_id, order.key)
        if chosen:
            existing = await self._started_before(caller, order, chosen)
            if existing is not None:
                return Started(existing, is_new=False)
        source = None if order.source_id is None else await self._visible(caller, order.source_id)
        request = StartRequest(
            execution_id=chosen or self._engine.new_id(),
            project_id=caller.project_id,
            workflow=await self._workflow(caller, order, source),
            input=_inherited(None if source is None else source.input, order.input),
            params=_inherited(None if source is None else own_params(source), order.params),
            description=_description(order, source),
            security=self._credentials.sealed(caller.security),
        )
        try:
            return Started(await self._engine.start(request))
        except ConflictError:
            existing = await self._started_before(caller, order, request.execution_id)
            if existing is None:
                raise
            return Started(existing, is_new=False)

    async def _started_before(self, caller: Caller, order: StartOrder, execution_id: str) -> Execution | None:
        existing = await self._records.execution(execution_id)
        if existing is not None:
            if not may_see(caller, existing.project_id):
                raise ConflictError(f"The id of the execution is used already [id={execution_id}]")
            if order.key is not None:
                require_same_start(order, existing)
        return existing

    async def _workflow(self, caller: Caller, order: StartOrder, source: Execution | None) -> FoundWorkflow:
        namespace = order.namespace
        if namespace is None:
            namespace = "" if source is None else source.workflow_namespace
        identifier = order.workflow
        if identifier is None and source is not None:
            identifier = source.workflow_id or source.workflow_name
        if not identifier:
            raise BadRequestError(
                "Workflow ID or workflow name must be provided. Workflow namespace is recommended."
            )
        found = await self._catalog.workflow_to_start(identifier, namespace, caller)
        if found is None:
            raise NotFoundError(
                f"Workflow not found [workflow_identifier={identifier}, namespace={namespace}]"
            )
        return found

    async def wait(self, execution_id: str, seconds: float) -> None:
        """Return when the execution is completed or gone, when the time is over, or the node stops."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        is_here = self._engine.is_cached(execution_id)
        pause, longest = _LOOK_AGAIN
        while not self._engine.ended_lately(execution_id) and (left := deadline - loop.time()) > 0:
            if not is_here:
                found = await self._records.execution(execution_id)
                if found is None or found.is_completed or self._engine.ended_lately(execution_id):
                    return
            if await self._engine.ended(execution_id, min(left, pause)) is not None:
                return
            pause = min(longest, pause * 1.5)
            if not self._engine.is_accepting:
                return
            is_here = False

    # -- change ---------------------------------------------------------------------------

    async def change(self, caller: Caller, execution_id: str, change: ExecutionChange) -> Execution:
        """Change state, description or environment; give the execution as it is afterwards.

        Raises:
            NotFoundError: no such execution for this caller.
            NotAllowedError: the environment can't change in this state.
            BadRequestError: the state can't change like this.
        """
        visible = visible_to(caller, execution_id)
        if change.state is not None:
            return await self._change_state(execution_id, change, visible)
        events: list[AnyEvent] = []
        if change.env is not None:
            events.append(EnvironmentMerged(change.env))
        if change.description is not None:
            events.append(DescriptionChanged(change.description))
        if change.priority is not None:
            events.append(PriorityChanged(change.priority))
        if not events:
            raise BadRequestError("The property state, description, or env is not provided for update.")

        def guard(execution: Execution) -> None:
            visible(execution)
            if change.priority is not None and not execution.is_root:
                raise BadRequestError(
                    "A sub-workflow has the priority of its root; change that of the execution "
                    f"{execution.root_id}."
                )
            if change.env is not None and execution.state not in (IDLE, PAUSED, ERROR):
                raise NotAllowedError(
                    "Updating env to workflow execution is only permitted "
                    "if it is in IDLE, PAUSED, or ERROR state."
                )

        changed = await self._engine.submit(execution_id, *events, guard=guard)
        if change.priority is not None:
            await self._queued.change_urgency(execution_id, -change.priority)
        return changed

    async def _change_state(self, execution_id: str, change: ExecutionChange, visible: Guard) -> Execution:
        """Whoever resumes an execution that is parked has mended the reason, or wants it tried again."""
        event = _state_event(change)
        try:
            return await self._engine.submit(execution_id, event, guard=visible)
        except ExecutionParkedError:
            if change.state != RUNNING:
                raise
        await self._engine.unpark(execution_id)
        return await self._engine.submit(execution_id, event, guard=visible)

    # -- delete ---------------------------------------------------------------------------

    async def delete(self, caller: Caller, execution_id: str, force: bool) -> None:
        """Delete an execution with all its tasks, actions and sub-executions.

        An execution that is still needed by the task that called it goes by force only; the task
        then fails.

        Raises:
            NotFoundError: no such execution for this caller.
            NotAllowedError: it isn't completed, and ``force`` isn't given.
        """
        async with self._engine.held(execution_id):
            execution = await self._visible(caller, execution_id)
            gone = await self._store.delete(
                execution_id, only_completed=not force, inbox=self._word_to_parent(execution)
            )
        await self._engine.forget(gone)
        if execution.parent_id is not None and not execution.is_completed:
            self._engine.look(execution.parent_id)

    def _word_to_parent(self, execution: Execution) -> list[InboxRow]:
        if execution.parent_id is None or execution.is_completed:
            return []
        row = InboxRow(
            id=self._engine.new_id(),
            execution_id=execution.parent_id,
            root_id=execution.root_id,
            payload=FrozenDict(to_data(ChildDeleted(execution.id))),
            created_at=self._engine.now(),
        )
        return [row]

    async def _visible(self, caller: Caller, execution_id: str) -> Execution:
        found = await self._records.execution(execution_id)
        if found is None or not may_see(caller, found.project_id):
            raise execution_not_found(execution_id)
        return found


def execution_not_found(execution_id: str) -> NotFoundError:
    return NotFoundError(f"Workflow execution not found [id={execution_id}]")


def visible_to(caller: Caller, execution_id: str) -> Guard:
    """Let a request pass only for a caller who may see the execution."""

    def guard(execution: Execution) -> None:
        if not may_see(caller, execution.project_id):
            raise execution_not_found(execution_id)

    return guard


def _state_event(change: ExecutionChange) -> AnyEvent:
    match change.state:
        case "PAUSED":
            return PauseAsked()
        case "RUNNING":
            return ResumeAsked(change.env)
        case None:
            raise AssertionError("asked for the event of no state")
        case state:
            return StopAsked(state, change.state_info, recursive=change.recursive, force=change.force)


def _inherited(source: Any, own: FrozenDict | None) -> FrozenDict:
    if source is None:
        return EMPTY if own is None else own
    return source if own is None else deep_merge(source, own)


def own_params(source: Execution) -> FrozenDict:
    """The params of a source without what only its place in a tree, or its own source, gave it."""
    return FrozenDict({name: value for name, value in source.params.items() if name not in _OF_ITS_PLACE})


def _description(order: StartOrder, source: Execution | None) -> str | None:
    if source is None:
        return order.description
    return f"{order.description or ''} Based on the execution '{source.id}'".strip()
