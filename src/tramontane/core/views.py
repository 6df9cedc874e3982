"""Records as expressions see them: ``execution()``, ``task()``, ``executions(…)``, ``tasks(…)``.

Source: expression specification, section 6. This execution is shown as the decision has it, others as
they were committed last, which the decision has looked up. Lists keep their order: executions oldest
first, the tasks of a sub-workflow behind the task that called it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tramontane.core.decision import ExecutionsKey, TasksKey
from tramontane.core.draft import Draft, NeedsData
from tramontane.core.state import AnyChild, Execution, Micros, SubWorkflow, Task
from tramontane.errors import EvaluationError
from tramontane.values import FrozenDict, FrozenList

Map = Mapping[str, Any]


class TaskView(Mapping[str, Any]):
    """A task as expressions see it; its result is put together only when it is read."""

    KEYS = (
        "id",
        "name",
        "workflow_execution_id",
        "spec",
        "state",
        "state_info",
        "result",
        "published",
        "type",
        "created_at",
        "updated_at",
    )

    __slots__ = ("_draft", "_task")

    def __init__(self, draft: Draft, task: Task) -> None:
        self._draft = draft
        self._task = task

    def __getitem__(self, name: str) -> Any:
        task = self._task
        match name:
            case "result":
                return task_result(self._draft, task)
            case "spec":
                return self._draft.task_spec(task).data
            case "workflow_execution_id":
                return task.execution_id
            case "created_at" | "updated_at":
                return time_text(getattr(task, name))
            case "id" | "name" | "state" | "state_info" | "published" | "type":
                return getattr(task, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.KEYS)

    def __len__(self) -> int:
        return len(self.KEYS)


def time_text(moment: Micros | None) -> str | None:
    """Write a time the way clients parse it: ``YYYY-MM-DD HH:MM:SS``, UTC."""
    if moment is None:
        return None
    return f"{dt.datetime.fromtimestamp(moment // 1_000_000, dt.UTC):%Y-%m-%d %H:%M:%S}"


def task_result(draft: Draft, task: Task) -> Any:
    """The result of a task (runtime specification, section 3.6)."""
    children = draft.accepted_children(task.id)
    if draft.task_spec(task).with_items is not None:
        return FrozenList([child.result for child in sorted(children, key=_index)])
    if not children:
        return FrozenList()
    if len(children) == 1:
        return children[0].result
    return FrozenList([child.result for child in children])


def _index(child: AnyChild) -> int:
    return child.index


def execution_view(execution: Execution, spec_data: FrozenDict) -> FrozenDict:
    """What ``execution()`` gives: exactly eight keys."""
    return FrozenDict(
        {
            "id": execution.id,
            "name": execution.workflow_name,
            "spec": spec_data,
            "input": execution.input,
            "params": execution.params,
            "created_at": time_text(execution.created_at),
            "updated_at": time_text(execution.updated_at),
            "root_execution_id": None if execution.is_root else execution.root_id,
        }
    )


def list_executions(draft: Draft, key: ExecutionsKey) -> list[Map]:
    """Return the records that ``executions(…)`` gives.

    Raises:
        EvaluationError: a time can't be read, an argument is no text.
        NeedsData: the others must be looked up first.
    """
    _check_texts("executions", key.id, key.root_execution_id, key.state)
    own = draft.execution
    fits = _fits(own, key)
    found: Sequence[Map] = draft.look_up(key)
    place = next((number for number, each in enumerate(found) if each["id"] == own.id), len(found))
    others = [each for each in found if each["id"] != own.id]
    return [*others[:place], *([execution_record(own)] if fits else ()), *others[place:]]


def _check_texts(function: str, *given: Any) -> None:
    """What isn't text can be no id and no state, nor can it be looked up."""
    for value in given:
        if value is not None and not isinstance(value, str):
            raise EvaluationError(f"{function}() takes ids and states as text, not {type(value).__name__}")


def _fits(execution: Execution, key: ExecutionsKey) -> bool:
    """Tell whether the conditions hold for an execution."""
    root_id = None if execution.is_root else execution.root_id
    since = None if key.from_time is None else moment(key.from_time)
    until = None if key.to_time is None else moment(key.to_time)
    return (
        key.id in (None, execution.id)
        and key.root_execution_id in (None, root_id)
        and key.state in (None, execution.state)
        and (since is None or execution.created_at >= since)
        and (until is None or execution.created_at < until)
    )


def moment(text: Any) -> Micros:
    """Read a time that an expression gives, UTC unless it says otherwise.

    Raises:
        EvaluationError: it is no time.
    """
    try:
        read = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise EvaluationError(
            f"executions(): '{text}' is no time; write it like 2026-01-31 12:00:00"
        ) from None
    return round(read.replace(tzinfo=read.tzinfo or dt.UTC).timestamp() * 1_000_000)


def execution_record(execution: Execution) -> FrozenDict:
    """An execution as ``executions(…)`` shows it."""
    return FrozenDict(
        {
            "name": execution.workflow_name,
            "id": execution.id,
            "workflow_id": execution.workflow_id,
            "workflow_name": execution.workflow_name,
            "workflow_namespace": execution.workflow_namespace,
            "description": execution.description,
            "tags": list(execution.tags),
            "params": execution.params,
            "task_execution_id": execution.parent_task_id,
            "root_execution_id": None if execution.is_root else execution.root_id,
            "state": execution.state,
            "state_info": execution.state_info,
            "input": execution.input,
            "output": execution.output,
            "created_at": time_text(execution.created_at),
            "updated_at": time_text(execution.updated_at),
            "project_id": execution.project_id,
        }
    )


def list_tasks(draft: Draft, key: TasksKey) -> list[Map]:
    """Return the maps that ``tasks(…)`` gives.

    Raises:
        EvaluationError: an argument is of the wrong kind.
        NeedsData: those of other executions must be looked up first.
    """
    _check_texts("tasks", key.workflow_execution_id, key.state)
    own_id = draft.execution.id
    if key.workflow_execution_id == own_id:
        return _own_tasks(draft, key)
    found: Sequence[Map] = draft.look_up(key)
    if key.workflow_execution_id is not None:
        return list(found)
    place = next(
        (number for number, each in enumerate(found) if each["workflow_execution_id"] == own_id), len(found)
    )
    others = [each for each in found if each["workflow_execution_id"] != own_id]
    # Every execution is among them: going down from this one would show tasks twice.
    own = _own_tasks(draft, TasksKey(own_id, False, key.state, key.flat))
    return [*others[:place], *own, *others[place:]]


def _own_tasks(draft: Draft, key: TasksKey) -> list[Map]:
    calls = {task.id: _calls(draft.children(task.id)) for task in draft.all_tasks()}
    below = _tasks_below(draft, [call for each in calls.values() for call in each], key)
    found: list[Map] = []
    for task in draft.all_tasks():
        if is_listed(task, calls[task.id], key):
            found.append(TaskView(draft, task))
        found.extend(each for call in calls[task.id] for each in below.get(call.id, ()))
    return found


def _tasks_below(draft: Draft, calls: Sequence[SubWorkflow], key: TasksKey) -> Mapping[str, Sequence[Map]]:
    """Look up the tasks of sub-workflows and of all below them, by the sub-workflow."""
    if not key.recursive:
        return {}
    keys = {call.id: TasksKey(call.id, True, key.state, key.flat) for call in calls}
    missing = [each for each in keys.values() if each not in draft.env.known]
    if missing:
        raise NeedsData(*missing)
    return {call_id: draft.look_up(each) for call_id, each in keys.items()}


def _calls(children: Sequence[AnyChild]) -> list[SubWorkflow]:
    return [child for child in children if isinstance(child, SubWorkflow)]


def is_listed(task: Task, calls: Sequence[SubWorkflow], key: TasksKey) -> bool:
    """Tell whether a task is among those asked for; ``calls`` are its sub-workflow executions.

    With ``flat`` a task is left out that only repeats the state of what it called.
    """
    if key.state is not None and task.state != key.state:
        return False
    return not (key.flat and any(call.state == task.state for call in calls))
