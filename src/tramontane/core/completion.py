"""What happens when a task completes, in this order: state, publish, keep-result, after-policies,
next commands, dispatch (runtime specification, section 2.2)."""

from __future__ import annotations

from typing import Any

from tramontane.core import policies, reverse, routing, workflow
from tramontane.core.draft import Draft
from tramontane.core.joins_state import drop_acceptance
from tramontane.core.publishing import publish
from tramontane.core.scope import evaluate, task_scope
from tramontane.core.state import ActionExecution, Task
from tramontane.core.texts import (
    FAILED_ON,
    completion_failed,
    cut,
    delayed,
    run_failed,
    task_completion_failed,
)
from tramontane.errors import BadRequestError
from tramontane.states import DELAYED, ERROR, PAUSED, SUCCESS, WAITING
from tramontane.values import EMPTY, FrozenDict


def complete_task(
    draft: Draft, task: Task, state: str, info: str | None = None, *, waited: bool = False
) -> None:
    """Complete a task whose action part is over; ``waited``: its wait-after is over too."""
    if task.is_completed:
        return
    before = draft.execution
    if draft.task_spec(task).policies.timeout is not None:
        draft.drop_timer(task, "timeout")
    try:
        done = draft.update_task(
            task,
            state=state,
            state_info=None if info is None else cut(info),
            phase="done",
            pending=None,
            finished_at=draft.env.now,
            completed_seq=draft.next_seq(),
        )
        done = publish(draft, done)
        _drop_results(draft, done)
        held = not before.is_completed and _after_policies(draft, done, waited)
        if held:
            return
        follow(draft, draft.task(task.id))
    except BadRequestError as error:
        draft.update_execution(globals=before.globals, published_global=before.published_global)
        fail_completion(draft, draft.task(task.id), error, waited=waited)


def follow(draft: Draft, task: Task) -> None:
    """Work out and carry out what follows a completed task.

    Raises:
        EvaluationError: a guard, a message, or the output for a ``succeed``.
    """
    if draft.spec.type == "reverse":
        _follow_reverse(draft, task)
        return
    final = draft.execution.is_completed
    commands = [] if final else routing.next_commands(draft, task)
    task = routing.record(draft, task, commands)
    routing.follow_up(draft, task, commands)


def _follow_reverse(draft: Draft, task: Task) -> None:
    execution = draft.execution
    if execution.is_completed or execution.state == PAUSED:
        draft.update_task(task, next_tasks=(), processed=execution.is_completed)
        return
    ready = reverse.ready_tasks(draft, after=task.name)
    draft.update_task(task, next_tasks=tuple((name, None) for name, _ in ready), processed=True)
    for name, causes in ready:
        routing.create_task(draft, name, causes)
    if not ready:
        draft.later("check")


# -- structural errors --------------------------------------------------------------------


def fail_start(draft: Draft, task: Task, error: BadRequestError) -> None:
    """The workflow text can't be carried out before the action: task and workflow fail at once."""
    _fail_structurally(draft, task, run_failed(error.message, draft.execution.workflow_name, task.name))


def fail_completion(draft: Draft, task: Task, error: BadRequestError, *, waited: bool = False) -> None:
    """The same after the action part; ``waited``: when its wait-after was over."""
    name = None if waited else _action_name(draft, task)
    workflow_name = draft.execution.workflow_name
    if name is None:
        text = task_completion_failed(error.message, workflow_name, task.name)
    else:
        text = completion_failed(error.message, workflow_name, task.name, name)
    _fail_structurally(draft, task, text)


def _fail_structurally(draft: Draft, task: Task, text: str) -> None:
    text = cut(text)
    draft.update_task(
        task,
        state=ERROR,
        state_info=text,
        phase="done",
        pending=None,
        published=EMPTY,
        published_global=EMPTY,
        next_tasks=None,
        error_handled=False,
        processed=False,
        finished_at=draft.env.now,
        completed_seq=task.completed_seq or draft.next_seq(),
    )
    draft.drop_timer(task, "timeout")
    if draft.execution.is_completed:
        return
    if draft.execution.state != PAUSED:
        workflow.let_start(draft, draft.incomplete_tasks())
    workflow.end(draft, ERROR, text)


def _action_name(draft: Draft, task: Task) -> str | None:
    children = draft.children(task.id)
    if not children:
        return None
    last = children[-1]
    if isinstance(last, ActionExecution):
        return last.name
    return draft.task_spec(task).data.get("workflow")


# -- after the action part ----------------------------------------------------------------


def _drop_results(draft: Draft, task: Task) -> None:
    keep = draft.task_spec(task).keep_result
    if keep is None or evaluate(draft, keep, task_scope(draft, task)):
        return
    empty = FrozenDict({"result": None})
    for child in draft.children(task.id):
        if isinstance(child, ActionExecution) and child.output not in (None, empty):
            draft.update_child(child, output=empty)


def _after_policies(draft: Draft, task: Task, waited: bool) -> bool:
    """Apply wait-after, fail-on and retry; tell whether the task is held by one of them."""
    wanted = draft.task_spec(task).policies
    if wanted.wait_after is not None and not waited and "wait_after_policy" not in task.runtime_context:
        seconds = policies.wait_after(draft, task, wanted)
        if seconds:
            _wait_after(draft, task, seconds)
            return True
    if task.state == SUCCESS and policies.fails_on(draft, task, wanted):
        task = draft.update_task(task, state=ERROR, state_info=FAILED_ON)
    return wanted.retry is not None and _retry(draft, task)


def _wait_after(draft: Draft, task: Task, seconds: int) -> None:
    task = draft.update_task(
        task,
        state=DELAYED,
        state_info=delayed("wait-after", seconds),
        phase="after",
        pending=(task.state, task.state_info),
        runtime_context=with_entry(task, "wait_after_policy", FrozenDict({"skip": True})),
    )
    draft.set_timer(task, "wait-after", seconds)


def _retry(draft: Draft, task: Task) -> bool:
    policy = draft.task_spec(task).policies.retry
    assert policy is not None
    limits = policies.retry(draft, task, policy)
    if limits.count == 0:
        return False
    wants = task.state in (SUCCESS, ERROR) and policies.wants_retry(draft, task, policy)
    if not wants or task.retry_no >= limits.count:
        if task.retry_no == 0:
            draft.update_task(task, runtime_context=with_entry(task, "retry_task_policy", EMPTY))
        return False
    drop_acceptance(draft, task)
    number = task.retry_no + 1
    task = draft.update_task(
        task,
        state=WAITING if task.is_join else DELAYED,
        state_info=delayed("retry", limits.delay),
        phase="retry",
        retry_no=number,
        item_todo=None,
        generation=task.generation + 1,
        finished_at=None,
        runtime_context=with_entry(task, "retry_task_policy", FrozenDict({"retry_no": number})),
    )
    if limits.delay:
        draft.set_timer(task, "retry", limits.delay)
    else:
        end_retry_delay(draft, task)
    return True


def end_retry_delay(draft: Draft, task: Task) -> None:
    """The delay before an iteration is over; a join is evaluated again first."""
    draft.update_task(task, phase="again")
    draft.later("join" if task.is_join else "start", task.id)


def with_entry(task: Task, name: str, value: Any) -> FrozenDict:
    """The task's runtime context with one entry set."""
    return FrozenDict({**task.runtime_context, name: value})
