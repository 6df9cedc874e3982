"""Going back: a failed task is run again or skipped, and all that had ended because of it runs again.

Source: runtime specification, sections 10.5 and 10.6. Inside a sub-workflow every execution on the way
up to the root takes part (:func:`child_revived`), all or none.
"""

from __future__ import annotations

from typing import Any

from tramontane.core import workflow
from tramontane.core.completion import follow
from tramontane.core.draft import Draft
from tramontane.core.events import ChildRevived, RerunAsked, SkipAsked
from tramontane.core.joins_state import archive, drop_acceptance, needed
from tramontane.core.operations import go_on, merge_environment, process_completed, unprocessed_tasks
from tramontane.core.publishing import publish
from tramontane.core.state import Execution, HistoryKey, SubWorkflow, Task
from tramontane.core.texts import SKIPPED as SKIPPED_TEXT
from tramontane.core.texts import WAITING as WAITING_TEXT
from tramontane.errors import BadRequestError, IllegalStateError, NotFoundError
from tramontane.states import CANCELLED, ERROR, IDLE, PAUSED, RUNNING, SKIPPED, WAITING
from tramontane.values import EMPTY, deep_merge


def rerun(draft: Draft, event: RerunAsked) -> None:
    """Run a failed task again (runtime specification, section 10.5).

    Raises:
        NotFoundError, IllegalStateError, BadRequestError: the request is refused.
    """
    task, was = _failed_task(draft, event.task_id), draft.execution
    if not event.reset and draft.task_spec(task).with_items is None:
        raise BadRequestError(
            f"Only a task with 'with-items' can be run again without reset; '{task.name}' has none"
        )
    if not _revive(draft, event.env):
        return
    archive(draft, task)
    drop_acceptance(draft, task, failed_only=not event.reset)
    draft.update_task(
        task,
        state=WAITING if task.is_join else IDLE,
        state_info=WAITING_TEXT if task.is_join else None,
        phase="new",
        run=task.run + 1,
        generation=task.generation + 1,
        retry_no=0,
        processed=False,
        next_tasks=None,
        published=EMPTY,
        published_global=EMPTY,
        runtime_context=EMPTY,
        item_todo=None if event.reset else (),  # which are left to do shows when the items are known
        hits=needed(draft, task.name) if task.is_join else 0,
        finished_at=None,
        outlives_end=False,
    )
    draft.later("join" if task.is_join else "start", task.id)
    _take_up(draft, was)


def skip(draft: Draft, event: SkipAsked) -> None:
    """Skip a failed task: the workflow goes on as by its on-skip (runtime specification, section 10.6).

    Raises:
        NotFoundError, IllegalStateError, EvaluationError: the request is refused.
    """
    task, was = _failed_task(draft, event.task_id), draft.execution
    if not _revive(draft, event.env):
        return
    archive(draft, task)
    task = draft.update_task(
        task,
        state=SKIPPED,
        state_info=SKIPPED_TEXT,
        run=task.run + 1,
        processed=False,
        runtime_context=EMPTY,
        finished_at=draft.env.now,
        completed_seq=draft.next_seq(),
    )
    follow(draft, publish(draft, task))
    _take_up(draft, was)


def _failed_task(draft: Draft, task_id: str) -> Task:
    task = draft.find_task(task_id)
    if task is None:
        raise NotFoundError(f"Task execution not found [id={task_id}]")
    if task.state != ERROR:
        raise IllegalStateError(
            f"Only a task in state ERROR can be run again or skipped; '{task.name}' is in {task.state} "
            f"[task_ex_id={task.id}]"
        )
    return task


def _revive(draft: Draft, env: Any) -> bool:
    """Set the execution RUNNING again; tell whether it may go on (a PAUSED one stays as it is)."""
    execution = draft.execution
    if env and execution.state not in (IDLE, PAUSED, ERROR):
        raise IllegalStateError(
            "Updating env to workflow execution is only permitted if it is in IDLE, PAUSED, or ERROR state."
        )
    if execution.state == PAUSED:
        return False
    workflow.require_change(draft, RUNNING)
    draft.update_execution(
        state=RUNNING,
        state_info=None,
        finished_at=None,
        run=execution.run + (1 if execution.is_completed else 0),
    )
    if env and execution.is_root:
        merge_environment(draft, env)
    elif env:
        # The root takes it over in the same bundle; what starts here must see it already.
        draft.root_env = deep_merge(draft.root_env, env)
    return True


def _take_up(draft: Draft, was: Execution) -> None:
    """Go on with what the end left lying, now that the execution runs again: tasks that had not begun
    or were delayed, and what completed during a pause that the end cut short."""
    if not was.is_completed:
        return
    for task in unprocessed_tasks(draft):
        process_completed(draft, task)
    go_on(draft)


def child_revived(draft: Draft, event: ChildRevived) -> None:
    """A sub-workflow runs again: so do the calling task and this execution.

    Raises:
        IllegalStateError: this execution ended well and can't be revived.
    """
    was = draft.execution
    call = draft.child(event.child_id)
    if not isinstance(call, SubWorkflow):
        raise NotFoundError(f"Workflow execution not found [id={event.child_id}]")
    if draft.execution.state != PAUSED:
        _revive(draft, None)
    if event.env and draft.execution.is_root:
        merge_environment(draft, event.env)
    task = draft.task(call.task_id or "")
    draft.require(HistoryKey("children", task.id))
    generation = _place_of(draft, call, task)
    if task.is_completed and generation == task.generation:
        archive(draft, task)
        draft.update_task(
            task,
            state=RUNNING,
            state_info=None,
            phase="active",
            run=task.run + 1,
            processed=False,
            next_tasks=None,
            started_at=draft.env.now,
            finished_at=None,
            item_count=None,  # which items are left to do is found out anew
            item_todo=(),
            item_next=0,
        )
        if draft.task_spec(task).with_items is not None:
            draft.later("items", task.id)
    draft.update_child(call, state=RUNNING, accepted=False, run=event.run, generation=generation, output=None)
    _take_up(draft, was)


_REPLACED = -1  # the generation of a call that no run of its task counts any more


def _place_of(draft: Draft, call: SubWorkflow, task: Task) -> int:
    """The generation in which a revived call counts. An older call of a task that failed takes the
    place of its successor; where the task runs or has succeeded without it, it runs on its own."""
    if call.generation == task.generation or task.state not in (ERROR, CANCELLED):
        return call.generation
    successors = [
        child
        for child in draft.children(task.id)
        if child.index == call.index and child.generation == task.generation
    ]
    if not all(child.is_completed for child in successors):
        return call.generation
    for child in successors:
        draft.update_child(child, accepted=False, generation=_REPLACED)
    return task.generation
