"""What storing does to records: every record can be taken through its stored form and back.

The world uses it to forget what it holds in memory, so that anything that a decision relies on and
that no row holds shows at once.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tramontane.core.checkpoint import from_data as from_checkpoint_data
from tramontane.core.checkpoint import past_of
from tramontane.core.events import AnyEvent, from_data, to_data
from tramontane.core.memory import ExecutionState
from tramontane.core.state import ActionExecution, HistoryKey, PastRun, Recalled, SubWorkflow, Task
from tramontane.values import FrozenDict, decode, encode, freeze

Record = TypeVar("Record", bound=msgspec.Struct)


def stored(record: Record) -> Record:
    """Return the record as it comes back from rows: JSON fields through text, the rest as it is."""
    kind = type(record)
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        value = getattr(record, field.name)
        fields[field.name] = decode(encode(value)) if field.type is Any else value
    return kind(**fields)


def stored_event(event: AnyEvent) -> AnyEvent:
    """Return the event as it comes back from an inbox row."""
    return from_data(decode(encode(freeze(to_data(event)))))


def rebuilt(
    state: ExecutionState, root_env: FrozenDict, checkpoint: FrozenDict | None = None
) -> ExecutionState:
    """Return the same execution as loaded from its rows: without memos, all JSON read anew.

    With the data of a checkpoint only from what is loaded then.
    """
    past = None if checkpoint is None else past_of(from_checkpoint_data(decode(encode(checkpoint))))

    def is_loaded(record: Task | ActionExecution | SubWorkflow) -> bool:
        return past is None or record.id in past.kept or record.seq > past.seq

    def is_near(run: PastRun) -> bool:
        return past is None or run.run >= past.runs.get(run.task_id, run.run + 1)

    return ExecutionState.from_records(
        stored(state.execution),
        [stored(task) for task in state.tasks.values() if is_loaded(task)],
        [stored(action) for action in state.actions.values() if is_loaded(action)],
        [stored(call) for call in state.subworkflows.values() if is_loaded(call)],
        [stored(past_run) for past_run in state.past_runs.values() if is_near(past_run)],
        root_env=root_env,
        past=past,
    )


def recalled(state: ExecutionState, key: HistoryKey) -> Recalled:
    """Give what a key of history stands for, from a state that has all of it."""
    if key.what == "all":
        return Recalled(
            [stored(task) for task in state.tasks.values()],
            [stored(action) for action in state.actions.values()],
            [stored(call) for call in state.subworkflows.values()],
            [stored(past_run) for past_run in state.past_runs.values()],
        )
    if key.what == "named":
        ids = state.named.get(key.name, ())
        return Recalled([stored(state.tasks[each]) for each in ids[-1:]])
    task_id: str | None = key.name
    if key.what == "child":
        child = state.child(key.name)
        task_id = None if child is None else child.task_id
    task = state.tasks.get(task_id or "")
    if task is None:
        return Recalled()
    children = [state.child(each) for each in state.children.get(task.id, ())]
    if key.what == "counting":
        children = [each for each in children if each and (each.accepted or not each.is_completed)]
    tasks = () if key.what in ("children", "counting") else (task, state.tasks[state.named[task.name][-1]])
    return Recalled(
        [stored(each) for each in dict.fromkeys(tasks)],
        [stored(each) for each in children if isinstance(each, ActionExecution)],
        [stored(each) for each in children if isinstance(each, SubWorkflow)],
    )
