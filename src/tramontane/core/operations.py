"""What clients, parents and the node ask of an execution: pause, resume, stop, go on, another environment.

Source: runtime specification, sections 7.4 and 10.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tramontane.core import reverse, routing, workflow
from tramontane.core.children import drop_job
from tramontane.core.completion import complete_task, fail_completion, follow
from tramontane.core.draft import Draft
from tramontane.core.events import (
    ChildResumed,
    EnvironmentChanged,
    EnvironmentMerged,
    PauseAsked,
    ResumeAsked,
    StopAsked,
)
from tramontane.core.routing import NextCommand
from tramontane.core.state import ActionExecution, Task
from tramontane.core.texts import check_size
from tramontane.errors import BadRequestError
from tramontane.states import CANCELLED, ERROR, IDLE, PAUSED, RUNNING, SUCCESS, WAITING
from tramontane.values import EMPTY, FrozenDict, FrozenList, deep_merge

FORCE_CANCELLED = "Task was failed due to workflow force cancel."
TERMINATED = "Task was failed due to recursive termination of the workflow."


def begin(draft: Draft) -> None:
    """Create the first tasks of a RUNNING execution that has none."""
    if draft.execution.is_completed or draft.has_tasks:
        return
    if draft.spec.type == "reverse":
        for name, causes in reverse.ready_tasks(draft):
            routing.create_task(draft, name, causes)
    else:
        for name in draft.spec.start_tasks:
            routing.create_task(draft, name)
    draft.later("check")


def go_on(draft: Draft) -> None:
    """Find all work that is open in the records and queue it (what one decision's budget left over,
    what was held by a pause, what a dead node had not begun)."""
    if not draft.has_tasks:
        begin(draft)
        return
    if draft.spec.type == "reverse" and draft.execution.state == RUNNING:
        for name, causes in reverse.ready_tasks(draft):
            routing.create_task(draft, name, causes)
    for task in draft.incomplete_tasks():
        if task.state == WAITING and task.phase != "retry":
            draft.later("join", task.id)
        elif task.phase in ("new", "held", "ready", "again"):
            draft.later("start", task.id)
        elif task.phase == "active" and draft.task_spec(task).with_items is not None:
            draft.later("items", task.id)
    draft.later("check")


# -- pause and resume ---------------------------------------------------------------------


def _is_overtaken(draft: Draft, event: PauseAsked | ResumeAsked | StopAsked) -> bool:
    """Tell whether the parent has said something newer; take note of what is the newest."""
    if not event.by_parent or not event.sent:
        return False
    if event.sent <= draft.execution.parent_seq:
        return True
    draft.execution = replace(draft.execution, parent_seq=event.sent)
    return False


def pause(draft: Draft, event: PauseAsked) -> None:
    if _is_overtaken(draft, event) or (event.by_parent and draft.execution.is_completed):
        return
    workflow.pause(draft, event.message, by_parent=event.by_parent)


def resume_asked(draft: Draft, event: ResumeAsked) -> None:
    if _is_overtaken(draft, event) or draft.execution.state not in (PAUSED, IDLE):
        return
    if event.env:
        if draft.execution.is_root:
            merge_environment(draft, event.env)
        else:
            draft.send(draft.execution.root_id, EnvironmentMerged(event.env))
    resume(draft, by_parent=event.by_parent)


def resume(draft: Draft, by_parent: bool = False) -> None:
    """PAUSED → RUNNING: children first, then what was held, then what completed meanwhile."""
    for call in draft.open_subworkflows():
        if call.state == PAUSED:
            draft.tell(call.id, ResumeAsked(by_parent=True))
            draft.update_child(call, state=RUNNING)
            workflow.mark_running(draft, call.task_id)
    backlog = draft.execution.backlog
    draft.update_execution(state=RUNNING, state_info=None, backlog=())
    parent = draft.execution.parent_id
    if parent is not None and not by_parent:
        draft.tell(parent, ChildResumed(draft.execution.id))
    unprocessed = unprocessed_tasks(draft)
    for position, (task_id, commands) in enumerate(backlog):
        if draft.execution.state == PAUSED:  # by a further pause command in the backlog
            kept = [*draft.execution.backlog, *backlog[position:]]
            draft.update_execution(backlog=FrozenList(kept))
            break
        _dispatch_held(draft, draft.task(task_id), [NextCommand(*each) for each in commands])
    for task in unprocessed:
        process_completed(draft, task)
    go_on(draft)


def unprocessed_tasks(draft: Draft) -> list[Task]:
    """Tasks that completed during a pause."""
    return [
        task
        for task in draft.open_tasks()
        if task.is_completed and not task.processed and task.next_tasks is not None
    ]


def process_completed(draft: Draft, task: Task) -> None:
    """Compute again, and carry out, what follows a task that completed during a pause."""
    if draft.execution.state != RUNNING:
        return
    if draft.spec.type == "reverse":
        follow(draft, task)
        return
    try:
        commands = routing.next_commands(draft, task)
    except BadRequestError as error:
        fail_completion(draft, task, error)
        return
    task = draft.update_task(task, processed=True)
    _dispatch_held(draft, task, [each for each in commands if each.name != "pause"])
    routing.lost_routes(draft, task)


def _dispatch_held(draft: Draft, task: Task, commands: list[NextCommand]) -> None:
    if draft.execution.is_completed:
        return
    try:
        routing.dispatch(draft, task, commands)
    except BadRequestError as error:
        fail_completion(draft, draft.task(task.id), error)


# -- stop ---------------------------------------------------------------------------------


def stop(draft: Draft, event: StopAsked) -> None:
    """End the execution as told (runtime specification, section 10.4).

    Raises:
        IllegalStateError, EvaluationError: the request is refused.
    """
    if _is_overtaken(draft, event):
        return
    execution = draft.execution
    if event.state == SUCCESS:
        if execution.state != SUCCESS:
            workflow.require_change(draft, SUCCESS)
            workflow.end(draft, SUCCESS, event.message)
        return
    if execution.is_completed:
        return
    if event.state == CANCELLED or event.recursive:
        workflow.cancel_subworkflows(draft, event.message, event.state)
    workflow.end(draft, event.state, event.message)
    if event.recursive or event.force:
        _end_tasks(draft, FORCE_CANCELLED if event.force else TERMINATED)


def _end_tasks(draft: Draft, text: str) -> None:
    """Interrupt running actions and complete all tasks at once (large users, L7 and L9)."""
    for task in draft.incomplete_tasks():
        for child in draft.children(task.id):
            if isinstance(child, ActionExecution) and not child.is_completed:
                drop_job(draft, child, interrupt=True)
                draft.update_child(
                    child,
                    state=ERROR,
                    output=FrozenDict({"result": text}),
                    accepted=True,
                )
        complete_task(draft, draft.task(task.id), ERROR, text)


# -- environment --------------------------------------------------------------------------


def merge_environment(draft: Draft, env: Any) -> None:
    """Deep-merge ``env`` into the root's environment and tell all descendants.

    Raises:
        SizeLimitError
    """
    merged = deep_merge(draft.root_env, env)
    params = FrozenDict({**draft.execution.params, "env": merged})
    check_size(params, draft.env.settings.field_size_limit_kb, "WorkflowExecution", "params")
    draft.update_execution(params=params)
    change_environment(draft, merged)


def change_environment(draft: Draft, env: FrozenDict) -> None:
    draft.root_env = env
    for call in draft.open_subworkflows():
        draft.tell(call.id, EnvironmentChanged(env))


def environment_changed(draft: Draft, event: EnvironmentChanged) -> None:
    """The parent tells the root's environment; one that comes late has been replaced already."""
    if event.sent:
        if event.sent <= draft.execution.env_seq:
            return
        draft.execution = replace(draft.execution, env_seq=event.sent)
    change_environment(draft, event.env)


def environment_merged(draft: Draft, event: EnvironmentMerged) -> None:
    """A client (or a descendant's resume) changes the environment.

    Raises:
        SizeLimitError
    """
    if draft.execution.is_root:
        merge_environment(draft, event.env)
        return
    own = deep_merge(draft.execution.params.get("env", EMPTY), event.env)
    draft.update_execution(params=FrozenDict({**draft.execution.params, "env": own}))
