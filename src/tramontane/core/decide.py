"""The engine's front door: :func:`create` begins an execution, :func:`decide` takes it further.

One event at a time: the handler of its kind changes a draft, queued work follows until nothing is
left or the budget is used up, and the draft's records become the decision. Start reading at
``_handle`` (what each event does) and ``_WORK`` (what follows from it): a task starts in
:mod:`tramontane.core.starting` and completes in :mod:`tramontane.core.completion`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from tramontane.core import fork, operations, priorities, reports, revival, workflow
from tramontane.core.children import complete_action
from tramontane.core.creation import create_execution
from tramontane.core.decision import Decision, Env, Needs, StartRequest
from tramontane.core.draft import Draft, NeedsData, Work
from tramontane.core.events import (
    ActionCompleted,
    ActionLost,
    ActionPaused,
    ActionResumed,
    AnyEvent,
    ChildCompleted,
    ChildDeleted,
    ChildPaused,
    ChildResumed,
    ChildRevived,
    Continued,
    DescriptionChanged,
    EnvironmentChanged,
    EnvironmentMerged,
    PauseAsked,
    PriorityChanged,
    RerunAsked,
    ResumeAsked,
    SkipAsked,
    Started,
    StopAsked,
    TimerFired,
)
from tramontane.core.items import start_items
from tramontane.core.joins import evaluate_join
from tramontane.core.memory import ExecutionState
from tramontane.core.starting import start_task
from tramontane.core.state import ActionExecution
from tramontane.lang.spec import WorkflowSpec
from tramontane.values import EMPTY


def create(request: StartRequest, env: Env) -> Decision | Needs:
    """Start a root execution: its record, its first tasks, and all that follows at once.

    Raises:
        InvalidInputError, EvaluationError, SizeLimitError, BadRequestError: nothing was started.
        TooSlow: ask again where it delays nobody.
    """
    try:
        execution = create_execution(request, env)
        state = ExecutionState(execution, execution.params.get("env", EMPTY))
        draft = Draft(request.workflow.spec, state, env)
        if request.fork is None:
            operations.begin(draft)
        else:
            fork.begin(draft, request.fork)
        _settle(draft)
        return draft.decision()
    except NeedsData as missing:
        return missing.needs


def decide(spec: WorkflowSpec, state: ExecutionState, event: AnyEvent, env: Env) -> Decision | Needs:
    """Work out what ``event`` changes. ``state`` stays as it is until it is told to apply the decision.

    Raises:
        TramontaneError: the event is a request that is refused; nothing changes.
        TooSlow: ask again where it delays nobody.
    """
    draft = Draft(spec, state, env)
    try:
        _handle(draft, event)
        _settle(draft)
        return draft.decision()
    except NeedsData as missing:
        return missing.needs


def _handle(draft: Draft, event: AnyEvent) -> None:
    match event:
        case Started():
            operations.begin(draft)
        case Continued():
            operations.go_on(draft)
        case ActionCompleted():
            reports.action_completed(draft, event)
        case ActionPaused():
            reports.action_paused(draft, event)
        case ActionResumed():
            reports.action_resumed(draft, event)
        case ActionLost():
            reports.action_lost(draft, event)
        case TimerFired():
            reports.timer_fired(draft, event)
        case PauseAsked():
            operations.pause(draft, event)
        case ResumeAsked():
            operations.resume_asked(draft, event)
        case StopAsked():
            operations.stop(draft, event)
        case RerunAsked():
            revival.rerun(draft, event)
        case SkipAsked():
            revival.skip(draft, event)
        case EnvironmentMerged():
            operations.environment_merged(draft, event)
        case EnvironmentChanged():
            operations.environment_changed(draft, event)
        case PriorityChanged():
            priorities.change_priority(draft, event.priority)
        case DescriptionChanged():
            draft.update_execution(description=event.description)
        case ChildCompleted():
            reports.child_completed(draft, event)
        case ChildPaused():
            reports.child_paused(draft, event)
        case ChildResumed():
            reports.child_resumed(draft, event)
        case ChildRevived():
            revival.child_revived(draft, event)
        case ChildDeleted():
            reports.child_deleted(draft, event)
        case _:
            assert_never(event)


def _check(draft: Draft, _: str) -> None:
    workflow.check_completion(draft)


def _take_result(draft: Draft, action_id: str) -> None:
    action, result = draft.child(action_id), draft.take_result(action_id)
    if isinstance(action, ActionExecution) and not action.is_completed:
        complete_action(draft, action, result)


_WORK: dict[Work, Callable[[Draft, str], Any]] = {
    "start": start_task,
    "items": start_items,
    "result": _take_result,
    "join": evaluate_join,
    "check": _check,
}


def _settle(draft: Draft) -> None:
    """Do the queued work, and what follows from it, as far as the budget goes."""
    while (work := draft.next_work()) is not None:
        _WORK[work[0]](draft, work[1])
