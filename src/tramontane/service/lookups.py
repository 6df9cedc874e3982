"""Records of other executions, as ``executions(…)`` and ``tasks(…)`` show them to expressions.

Source: expression specification, section 6. What is read is what was committed last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tramontane.core.decision import Env, ExecutionsKey, TasksKey
from tramontane.core.draft import Draft
from tramontane.core.memory import ExecutionState
from tramontane.core.state import SubWorkflow
from tramontane.core.views import TaskView, is_listed, moment, time_text
from tramontane.lang.spec import WorkflowSpec
from tramontane.service.ports import ExecutionStore
from tramontane.store.reads.listing import Condition, ListQuery, SortKey
from tramontane.store.reads.objects import Reader, read_page
from tramontane.store.reads.resources import EXECUTIONS
from tramontane.store.records import StoredExecution
from tramontane.store.tenancy import Visibility
from tramontane.values import EMPTY, FrozenDict, decode, freeze

_LIMIT: Final = 10_000
"""So many records are read at most: an expression isn't the place to look at more."""

_FIELDS: Final = tuple(field for field in EXECUTIONS.fields if field.name != "published_global")
_ID: Final = (EXECUTIONS.by_name["id"],)
_ORDER: Final = (SortKey(EXECUTIONS.by_name["created_at"]), SortKey(EXECUTIONS.by_name["id"]))

LoadSpec = Callable[[str], Awaitable[WorkflowSpec]]


class StoredRecords:
    """Reads from the store (:class:`tramontane.service.catalog.Records`)."""

    def __init__(self, reader: Reader, store: ExecutionStore) -> None:
        self._reader = reader
        self._store = store

    async def executions(self, key: ExecutionsKey, project_id: str) -> list[Any]:
        """Give the records of a project's executions, oldest first.

        Raises:
            EvaluationError: a time can't be read.
        """
        query = ListQuery(_FIELDS, _conditions(key), sort=_ORDER, limit=_LIMIT)
        page = await read_page(self._reader, EXECUTIONS, query, Visibility(project_id))
        return [_execution(row) for row in page.rows]

    async def tasks(self, key: TasksKey, project_id: str, spec: LoadSpec) -> list[Any]:
        """Give task maps of one execution (``recursive``: and of those below it), or of all."""
        if key.workflow_execution_id is not None:
            return await self._tasks_of(key.workflow_execution_id, key, project_id, spec)
        query = ListQuery(_ID, sort=_ORDER, limit=_LIMIT)
        page = await read_page(self._reader, EXECUTIONS, query, Visibility(project_id))
        found: list[Any] = []
        for (execution_id,) in page.rows:
            found += await self._tasks_of(execution_id, _flat(key), project_id, spec)
        return found

    async def _tasks_of(self, execution_id: str, key: TasksKey, project_id: str, spec: LoadSpec) -> list[Any]:
        stored = await self._store.load(execution_id)
        if stored is None or stored.execution.project_id != project_id:
            return []
        draft = _draft(await spec(stored.execution.spec_hash), stored)
        found: list[Any] = []
        for task in stored.tasks:
            calls = [call for call in draft.children(task.id) if isinstance(call, SubWorkflow)]
            if is_listed(task, calls, key):
                found.append(freeze(dict(TaskView(draft, task))))
            if key.recursive:
                for call in calls:
                    found += await self._tasks_of(call.id, key, project_id, spec)
        return found


def _flat(key: TasksKey) -> TasksKey:
    """All executions are read one by one: going down from each would show tasks twice."""
    return TasksKey(key.workflow_execution_id, False, key.state, key.flat)


def _draft(spec: WorkflowSpec, stored: StoredExecution) -> Draft:
    """Lay an empty draft over records, so that they can be looked at the way expressions do."""
    state = ExecutionState.from_records(
        stored.execution, stored.tasks, stored.actions, stored.subworkflows, stored.past_runs
    )
    return Draft(spec, state, Env(now=0, new_id=str, new_uuid=str))


def _conditions(key: ExecutionsKey) -> tuple[Condition, ...]:
    fields = EXECUTIONS.by_name
    found: list[Condition] = []
    for name in ("id", "root_execution_id", "state"):
        value = getattr(key, name)
        if value is not None:
            found.append(Condition(fields[name], "eq", (value,)))
    if key.from_time is not None:
        found.append(Condition(fields["created_at"], "gte", (moment(key.from_time),)))
    if key.to_time is not None:
        found.append(Condition(fields["created_at"], "lt", (moment(key.to_time),)))
    return tuple(found)


def _execution(row: Sequence[Any]) -> FrozenDict:
    record = {field.name: _value(field.kind, value) for field, value in zip(_FIELDS, row, strict=True)}
    return FrozenDict({"name": record["workflow_name"], **record})


def _value(kind: str, value: Any) -> Any:
    if kind == "time":
        return time_text(value)
    if kind in ("json", "tags"):
        return decode(value) if value is not None else (EMPTY if kind == "json" else None)
    return value
