"""Forking an ended execution: what it has done is taken over, the rest runs again in a new one.

The planning is :mod:`tramontane.core.fork`'s; here the records are read, the definition is chosen and
the new execution is started like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tramontane.core.decision import FoundWorkflow, StartRequest
from tramontane.core.fork import FORKED_AT, SOURCE, ForkPlan, ForkSource, plan_fork
from tramontane.core.state import Execution
from tramontane.errors import BadRequestError, NotFoundError
from tramontane.service.caller import Caller, may_see
from tramontane.service.catalog import Catalog
from tramontane.service.credentials import Credentials
from tramontane.service.engine import Engine
from tramontane.service.executions import execution_not_found, own_params
from tramontane.service.ports import ExecutionStore, RecordStore
from tramontane.service.services import ForkOrder, ForkPreview
from tramontane.store.records import StoredExecution
from tramontane.values import EMPTY, FrozenDict, FrozenList, deep_merge


class ForkUseCases:
    """What callers do to begin anew in the middle (:class:`tramontane.service.services.Forks`)."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        store: ExecutionStore,
        records: RecordStore,
        credentials: Credentials,
    ) -> None:
        self._engine = engine
        self._catalog = catalog
        self._store = store
        self._records = records
        self._credentials = credentials

    async def preview(self, caller: Caller, execution_id: str, order: ForkOrder) -> ForkPreview:
        """Tell what would be taken over and what would run again; nothing is started.

        Raises:
            as :meth:`fork`
        """
        found, plan = await self._plan(caller, execution_id, order)
        source = plan.source.execution
        again = [
            *((task, "asked") for task in plan.asked),
            *((task, "unfinished") for task in plan.unfinished),
            *((task, "follows") for task in plan.follows),
        ]
        return ForkPreview(
            source_id=source.id,
            workflow_id=found.id,
            workflow_name=found.name,
            is_same_definition=found.spec_hash == source.spec_hash,
            reused=plan.reused,
            again=sorted(again, key=lambda each: each[0].seq),
            new=plan.starts,
            changed=plan.changed,
            warnings=_warnings(plan),
        )

    async def fork(self, caller: Caller, execution_id: str, order: ForkOrder) -> Execution:
        """Start a new execution that takes over what doesn't follow from the tasks of the order.

        Raises:
            NotFoundError: no such execution or workflow for this caller, no such task.
            IllegalStateError: the execution goes on, or is part of another one.
            BadRequestError: the definition, input or environment doesn't fit.
            UnavailableError: nothing was accepted.
        """
        found, plan = await self._plan(caller, execution_id, order)
        source = plan.source.execution
        names = tuple(task.name for task in plan.asked)
        request = StartRequest(
            execution_id=self._engine.new_id(),
            project_id=caller.project_id,
            workflow=found,
            input=_input(source, found, order.input),
            params=_params(source, order, names),
            description=_description(source, order, names),
            security=self._credentials.sealed(caller.security),
            fork=replace(plan, called=await self._called(plan)),
        )
        return await self._engine.start(request)

    async def _plan(
        self, caller: Caller, execution_id: str, order: ForkOrder
    ) -> tuple[FoundWorkflow, ForkPlan]:
        stored = await self._store.load(execution_id)
        if stored is None or not may_see(caller, stored.execution.project_id):
            raise execution_not_found(execution_id)
        if not order.tasks:
            raise BadRequestError("A fork needs the name or id of a task that is to run again.")
        found = await self._workflow(caller, stored.execution, order)
        source = await self._source(stored)
        return found, plan_fork(source, found.spec, order.tasks)

    async def _workflow(self, caller: Caller, source: Execution, order: ForkOrder) -> FoundWorkflow:
        if order.workflow is None:
            return FoundWorkflow(
                id=source.workflow_id or "",
                name=source.workflow_name,
                namespace=source.workflow_namespace,
                workbook_name=source.workbook_name,
                spec_hash=source.spec_hash,
                spec=await self._catalog.spec(source.spec_hash),
            )
        namespace = source.workflow_namespace if order.namespace is None else order.namespace
        found = await self._catalog.workflow_to_start(order.workflow, namespace, caller)
        if found is None:
            raise NotFoundError(
                f"Workflow not found [workflow_identifier={order.workflow}, namespace={namespace}]"
            )
        return found

    async def _source(self, stored: StoredExecution) -> ForkSource:
        return ForkSource(
            execution=stored.execution,
            spec=await self._catalog.spec(stored.execution.spec_hash),
            tasks=stored.tasks,
            actions=stored.actions,
            subworkflows=stored.subworkflows,
            past_runs=stored.past_runs,
        )

    async def _called(self, plan: ForkPlan) -> dict[str, Execution]:
        """The sub-workflow executions whose results are taken over."""
        called: dict[str, Execution] = {}
        for call_id in plan.calls:
            found = await self._records.execution(call_id)
            if found is None:
                raise BadRequestError(
                    "A sub-workflow execution whose result would be taken over was deleted; fork at the "
                    f"task that called it, or before [id={call_id}]"
                )
            called[call_id] = found
        return called


def _input(source: Execution, found: FoundWorkflow, given: FrozenDict) -> FrozenDict:
    """The source's input as far as the definition declares it, and what is given over it."""
    declared = {parameter.name for parameter in found.spec.input}
    kept = FrozenDict({name: value for name, value in source.input.items() if name in declared})
    return deep_merge(kept, given)


def _params(source: Execution, order: ForkOrder, names: Iterable[str]) -> FrozenDict:
    params: dict[str, Any] = {**own_params(source), SOURCE: source.id, FORKED_AT: FrozenList(names)}
    if order.namespace is not None:
        params["namespace"] = order.namespace
    params["env"] = deep_merge(source.params.get("env") or EMPTY, order.env)
    return FrozenDict(params)


def _description(source: Execution, order: ForkOrder, names: Sequence[str]) -> str:
    at = ", ".join(f"'{name}'" for name in names)
    text = f"{order.description or ''} Forked from the execution '{source.id}' at {at}".strip()
    return text if len(text) <= 255 else text[:252] + "..."


def _warnings(plan: ForkPlan) -> list[str]:
    return [
        f"The task '{task.name}' is taken over in {task.state}, so the new execution will end in that state "
        "too; fork at it as well to run it again."
        for task in plan.failed
    ]
