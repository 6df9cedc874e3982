"""Records of joins: one per workflow execution and join task, used again in every round.

Deciding whether a join runs is :mod:`tramontane.core.joins`; here are its creation and the
triggers that reach it (runtime specification, sections 4.1, 4.5 and 4.6).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from tramontane.core.draft import Draft
from tramontane.core.state import Cause, PastRun, Task
from tramontane.core.texts import WAITING as WAITING_TEXT
from tramontane.lang.spec import TaskSpec
from tramontane.states import ERROR, WAITING
from tramontane.values import EMPTY, FrozenDict, FrozenList


def new_task(draft: Draft, name: str, causes: tuple[Cause, ...], runtime_context: FrozenDict) -> Task:
    """Make the record of a task execution: IDLE, or WAITING for a join."""
    spec = draft.spec.tasks[name]
    execution = draft.execution
    is_join = spec.join is not None
    task = Task(
        id=draft.env.new_id(),
        execution_id=execution.id,
        root_id=execution.root_id,
        project_id=execution.project_id,
        name=name,
        type=spec.type,
        workflow_name=execution.workflow_name,
        workflow_namespace=execution.workflow_namespace,
        workflow_id=execution.workflow_id,
        seq=draft.next_seq(),
        created_at=draft.env.now,
        state=WAITING if is_join else "IDLE",
        state_info=WAITING_TEXT if is_join else None,
        tags=spec.tags,
        is_join=is_join,
        causes=causes,
        runtime_context=runtime_context,
    )
    return draft.put_task(task)


def needed(draft: Draft, name: str) -> int:
    """How many inbound tasks must trigger the join."""
    join = draft.spec.tasks[name].join
    return join if isinstance(join, int) else len(draft.spec.inbound.get(name, ()))


def trigger(draft: Draft, name: str, source: Task, event: str) -> str:
    """A completed task leads to a join: create it, count the trigger, or begin a new round.

    Returns:
        the id of the join's record.
    """
    join = draft.newest(name)
    if join is None:
        join = draft.put_task(replace(new_task(draft, name, (), EMPTY), hits=1))
        draft.later("join", join.id)
    elif join.state == WAITING:
        join = draft.update_task(join, hits=join.hits + 1)
        # In an execution that ended once, triggers may have been thrown away: hits tell nothing there.
        if join.hits >= needed(draft, name) or draft.execution.run > 0:
            draft.later("join", join.id)
    elif join.is_completed and (_was_failed_by(join, source) or _was_counted(draft, join, source)):
        draft.later("join", new_round(draft, join).id)
    elif not _was_counted(draft, join, source):
        _note_late_arrival(draft, join, source, event)
    return join.id


def _was_failed_by(join: Task, source: Task) -> bool:
    """Tell whether the join failed because ``source`` didn't trigger it; now, after a re-run, it does."""
    return join.state == ERROR and source.name in join.runtime_context.get("failed_by", ())


def _was_counted(draft: Draft, join: Task, source: Task) -> bool:
    ids = {cause.task_id for cause in join.causes}
    ids |= {entry["task_id"] for entry in join.runtime_context.get("triggered_by", ())}
    return any(task.name == source.name for task in draft.find_tasks(ids))


def _note_late_arrival(draft: Draft, join: Task, source: Task, event: str) -> None:
    entry = FrozenDict({"task_id": source.id, "event": event})
    known = join.runtime_context.get("triggered_by", FrozenList())
    context = FrozenDict({**join.runtime_context, "triggered_by": FrozenList([*known, entry])})
    draft.update_task(join, runtime_context=context)
    draft.later("check")


def new_round(draft: Draft, join: Task) -> Task:
    """Put a completed join back to WAITING; followers of the earlier round keep its data."""
    archive(draft, join)
    drop_acceptance(draft, join)
    return draft.update_task(
        join,
        state=WAITING,
        state_info=WAITING_TEXT,
        phase="new",
        run=join.run + 1,
        generation=join.generation + 1,
        retry_no=0,
        item_todo=None,
        round_seq=draft.execution.seq,
        hits=needed(draft, join.name),  # triggers of earlier rounds count too: look at each further one
        causes=(),
        published=EMPTY,
        published_global=EMPTY,
        runtime_context=EMPTY,
        processed=False,
        started_at=None,
        finished_at=None,
    )


def archive(draft: Draft, task: Task) -> None:
    """Keep the data of a run that ends here, for those who inherited from it."""
    draft.past_runs.append(
        PastRun(task.id, task.run, task.execution_id, task.root_id, task.published, task.causes)
    )


def drop_acceptance(draft: Draft, task: Task, failed_only: bool = False) -> None:
    """Take back the acceptance of a task's children (of the failed ones alone)."""
    for child in draft.counting_children(task.id):
        if child.accepted and not (failed_only and child.state == "SUCCESS"):
            draft.update_child(child, accepted=False)


def reachable(draft: Draft, name: str) -> frozenset[str]:
    """Names of the joins that can be reached from a task, itself included, by any clause."""
    known = draft.state.graph.get(name)
    if known is None:
        known = draft.state.graph[name] = reachable_joins(draft.spec.tasks, name)
    return known


def reachable_joins(tasks: Mapping[str, TaskSpec], name: str) -> frozenset[str]:
    """As :func:`reachable`, without the memory of an execution."""
    seen = {name}
    stack = [name]
    while stack:
        spec = tasks[stack.pop()]
        for clause in (spec.on_success, spec.on_error, spec.on_complete, spec.on_skip):
            for target in clause.targets:
                if not target.is_command and target.name not in seen:
                    seen.add(target.name)
                    stack.append(target.name)
    return frozenset(each for each in seen if tasks[each].join is not None)
