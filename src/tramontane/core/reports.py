"""Reports that reach an execution: results of actions, ends of sub-workflows, timers.

Every report is idempotent: one that comes twice, or too late, changes nothing.
"""

from __future__ import annotations

from msgspec.structs import replace

from tramontane.core import operations, policies, workflow
from tramontane.core.children import complete_action, complete_call, drop_job
from tramontane.core.commands import RunAction
from tramontane.core.completion import complete_task, end_retry_delay
from tramontane.core.draft import Draft
from tramontane.core.events import (
    ActionCompleted,
    ActionLost,
    ActionPaused,
    ActionResumed,
    ChildCompleted,
    ChildDeleted,
    ChildPaused,
    ChildResumed,
    TimerFired,
)
from tramontane.core.starting import action_context, is_dry_run
from tramontane.core.state import ActionExecution, SubWorkflow, Task
from tramontane.core.texts import timed_out
from tramontane.errors import BadRequestError, IllegalStateError, NotFoundError
from tramontane.results import Result
from tramontane.states import ERROR, PAUSED, RUNNING, may_change
from tramontane.values import FrozenDict

LOST = (
    "Request to run an action was redelivered, but it cannot be re-run safely. "
    "Whoever ran it has died before reporting a result; set 'safe-rerun: true' on the task "
    "if the action may run twice."
)


# -- actions ------------------------------------------------------------------------------


def action_completed(draft: Draft, event: ActionCompleted) -> None:
    """Take the result of an action; a client's report of a completed one is refused.

    Raises:
        NotFoundError, IllegalStateError: for reports by clients (``attempt`` None).
    """
    action = draft.child(event.action_id)
    by_client = event.attempt is None
    if not isinstance(action, ActionExecution):
        if by_client:
            raise NotFoundError(f"Action execution not found [id={event.action_id}]")
        return
    if action.is_completed:
        if by_client:
            raise IllegalStateError(f"Action {action.id} is already completed")
        return
    if not by_client and event.attempt != action.attempt:
        return
    drop_job(draft, action, interrupt=by_client)
    complete_action(draft, action, Result(event.data, event.error, event.cancel))


def action_lost(draft: Draft, event: ActionLost) -> None:
    """The claim on an action was lost: send it again if that is safe, else fail it."""
    action = draft.child(event.action_id)
    if not isinstance(action, ActionExecution) or action.is_completed or event.attempt != action.attempt:
        return
    if not action.safe_rerun or action.task_id is None:
        drop_job(draft, action)
        complete_action(draft, action, Result(error=LOST))
        return
    again = replace(action, attempt=action.attempt + 1, updated_at=draft.env.now)
    draft.put_child(again)
    task = draft.task(action.task_id)
    dry_run = is_dry_run(draft, task)
    draft.commands.append(RunAction(again, action_context(task, again), dry_run))


def action_paused(draft: Draft, event: ActionPaused) -> None:
    """A client pauses an asynchronous action: action, task and workflow are PAUSED.

    Raises:
        NotFoundError, IllegalStateError
    """
    action = _action_for_client(draft, event.action_id, PAUSED)
    if action.is_sync:
        raise IllegalStateError(
            "Transition to the PAUSED state is only supported for asynchronous action execution."
        )
    draft.update_child(action, state=PAUSED)
    workflow.mark_paused(draft, action.task_id)
    if draft.execution.state == RUNNING:
        workflow.pause(draft, None)


def action_resumed(draft: Draft, event: ActionResumed) -> None:
    """A client resumes a paused action; the workflow follows when no task of it is PAUSED.

    Raises:
        NotFoundError, IllegalStateError
    """
    action = _action_for_client(draft, event.action_id, RUNNING)
    draft.update_child(action, state=RUNNING)
    workflow.mark_running(draft, action.task_id)
    _resume_unless_paused_tasks(draft)


def _action_for_client(draft: Draft, action_id: str, wanted: str) -> ActionExecution:
    action = draft.child(action_id)
    if not isinstance(action, ActionExecution):
        raise NotFoundError(f"Action execution not found [id={action_id}]")
    if not may_change(action.state, wanted):
        raise IllegalStateError(f"Invalid state transition from {action.state} to {wanted}.")
    return action


def _resume_unless_paused_tasks(draft: Draft) -> None:
    if draft.execution.state != PAUSED:
        return
    if all(task.state != PAUSED for task in draft.incomplete_tasks()):
        operations.resume(draft)


# -- sub-workflows ------------------------------------------------------------------------


def child_completed(draft: Draft, event: ChildCompleted) -> None:
    call = draft.child(event.child_id)
    if not isinstance(call, SubWorkflow) or event.run < call.run:
        return
    if call.is_completed and event.run == call.run:
        return
    complete_call(draft, call, event.state, event.output, event.state_info, event.run)


def _teller(draft: Draft, event: ChildPaused | ChildResumed) -> SubWorkflow | None:
    """The call of an open sub-workflow that tells something new."""
    call = draft.child(event.child_id)
    if not isinstance(call, SubWorkflow) or call.is_completed:
        return None
    return None if event.sent and event.sent <= call.child_seq else call


def child_paused(draft: Draft, event: ChildPaused) -> None:
    call = _teller(draft, event)
    if call is None:
        return
    draft.update_child(call, state=PAUSED, child_seq=event.sent)
    workflow.mark_paused(draft, call.task_id)
    if draft.execution.state == RUNNING:
        workflow.pause(draft, None)


def child_resumed(draft: Draft, event: ChildResumed) -> None:
    call = _teller(draft, event)
    if call is None:
        return
    draft.update_child(call, state=RUNNING, child_seq=event.sent)
    workflow.mark_running(draft, call.task_id)
    _resume_unless_paused_tasks(draft)


def child_deleted(draft: Draft, event: ChildDeleted) -> None:
    call = draft.child(event.child_id)
    if isinstance(call, SubWorkflow) and not call.is_completed:
        text = "The sub-workflow execution was deleted."
        complete_call(draft, call, ERROR, FrozenDict({"result": text}), text, call.run)


# -- timers -------------------------------------------------------------------------------


def timer_fired(draft: Draft, event: TimerFired) -> None:
    """A delay is over, or time is up; timers of an earlier iteration do nothing."""
    task = draft.find_task(event.task_id)
    if task is None or task.is_completed or task.generation != event.generation:
        return
    match event.timer, task.phase:
        case "wait-before", "before":
            draft.update_task(task, phase="ready")
            draft.later("start", task.id)
        case "retry", "retry":
            end_retry_delay(draft, task)
        case "wait-after", "after":
            state, info = task.pending
            complete_task(draft, task, state, info, waited=True)
        case "timeout", phase if phase != "after":
            _time_out(draft, task)


def _time_out(draft: Draft, task: Task) -> None:
    try:
        seconds = policies.timeout(draft, task, draft.task_spec(task).policies)
    except BadRequestError:
        seconds = 0
    for kind in ("wait-before", "retry"):
        draft.drop_timer(task, kind)
    complete_task(draft, task, ERROR, timed_out(seconds))
