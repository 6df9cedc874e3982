"""with-items: evaluating the items and starting them, portion by portion (runtime specification,
sections 5.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tramontane.core.children import note_capacity, settle_items
from tramontane.core.completion import complete_task, fail_start
from tramontane.core.draft import Draft
from tramontane.core.scope import evaluate, task_scope
from tramontane.core.starting import Prepared, launch_child, prepare_child
from tramontane.core.state import Task
from tramontane.core.texts import plain
from tramontane.errors import BadRequestError
from tramontane.lang.spec import WithItems
from tramontane.states import ERROR, RUNNING, SUCCESS
from tramontane.values import FrozenDict

Columns = tuple[tuple[str, list[Any]], ...]


def start_items(draft: Draft, task_id: str) -> None:
    """Start as many items as slots and the budget allow; the rest follows later."""
    task = draft.task(task_id)
    execution = draft.execution
    if task.is_completed or task.phase != "active" or task.state != RUNNING:
        return
    if execution.state != RUNNING and not (execution.is_completed and task.outlives_end):
        return
    try:
        _start_portion(draft, task)
    except BadRequestError as error:
        fail_start(draft, draft.task(task_id), error)


def _start_portion(draft: Draft, task: Task) -> None:
    columns = _columns(draft, task)
    count = len(columns[0][1])
    if task.item_count is None:
        task = _count_items(draft, task, count)
        if count == 0:
            complete_task(draft, task, SUCCESS)
            return
        if not _todo(task, count):
            settle_items(draft, task)
            return
    elif task.item_count != count:
        raise BadRequestError(
            f"The items of task '{task.name}' changed from {task.item_count} to {count} while they ran"
        )
    todo = _todo(task, count)
    first = task.item_next
    last = first + min(_slots(draft, task), len(todo) - first, draft.steps_left)
    if first >= last:
        return
    prepared: list[tuple[int, Prepared]] = []
    failure: BadRequestError | None = None
    for index in todo[first:last]:
        one = prepare_child(draft, task, FrozenDict({name: column[index] for name, column in columns}))
        if isinstance(one, BadRequestError):
            failure = one
            break
        prepared.append((index, one))
    draft.steps += last - first
    task = draft.update_task(task, item_next=last)
    for index, each in prepared:
        launch_child(draft, task, index, each)
    task = draft.task(task.id)
    if failure is not None:
        complete_task(draft, task, ERROR, failure.message)
    elif not task.is_completed and task.phase == "active":
        if task.concurrency:
            task = note_capacity(draft, task)
        if last < len(todo) and _slots(draft, task) > 0:
            draft.later("items", task.id)


def _count_items(draft: Draft, task: Task, count: int) -> Task:
    """Note how many items there are, and which are left to do where a run goes on with an earlier one's
    results (a re-run without reset, or inside a sub-workflow)."""
    todo = task.item_todo
    if todo is not None:
        done = set()
        for child in draft.children(task.id):
            if child.is_completed and child.accepted and child.index >= count:
                draft.update_child(child, accepted=False)  # there are fewer items than at the last run
            elif child.accepted if child.is_completed else child.generation == task.generation:
                done.add(child.index)
        todo = tuple(index for index in range(count) if index not in done)
    return note_capacity(draft, draft.update_task(task, item_count=count, item_todo=todo))


def _todo(task: Task, count: int) -> Sequence[int]:
    return range(count) if task.item_todo is None else task.item_todo


def _slots(draft: Draft, task: Task) -> int:
    if not task.concurrency:
        return 2**31
    progress = draft.progress(task.id)
    return max(0, task.concurrency - progress.running - progress.paused)


def _columns(draft: Draft, task: Task) -> Columns:
    key = (task.id, task.generation)
    known: Columns | None = draft.items.get(key) or draft.state.items.get(key)
    if known is None:
        spec = draft.task_spec(task).with_items
        assert spec is not None
        known = draft.items[key] = _evaluate_columns(draft, task, spec)
    return known


def _evaluate_columns(draft: Draft, task: Task, spec: WithItems) -> Columns:
    where = task_scope(draft, task)
    values = {name: evaluate(draft, source, where) for name, source in spec.variables}
    columns = []
    for name, value in values.items():
        if not isinstance(value, (str, list, tuple, Mapping)) or not isinstance(value, Iterable):
            raise BadRequestError(
                f"Wrong input format for: {_shown(values)}. Iterable type is expected for each value."
            )
        columns.append((name, list(value)))
    if len({len(column) for _, column in columns}) > 1:
        raise BadRequestError(
            f"Wrong input format for: {_shown(values)}. All arrays must have the same length."
        )
    return tuple(columns)


def _shown(values: Mapping[str, Any]) -> str:
    text = plain(FrozenDict(values))
    return text if len(text) <= 500 else text[:500] + "..."
