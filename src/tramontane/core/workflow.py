"""The workflow execution as a whole: its end, its output, pausing (runtime specification,
sections 1.6, 1.7, 3.5 and 10.2)."""

from __future__ import annotations

from tramontane.core import reverse
from tramontane.core.context import EMPTY_CONTEXT, Context
from tramontane.core.draft import Draft
from tramontane.core.events import ChildCompleted, ChildPaused, PauseAsked, StopAsked
from tramontane.core.scope import evaluate, scope
from tramontane.core.state import ActionExecution, HistoryKey, Task
from tramontane.core.texts import (
    FAILED_TASKS,
    check_failed,
    check_size,
    cut,
    illegal_change,
    output_on_error_failed,
    plain,
)
from tramontane.errors import BadRequestError, IllegalStateError, SizeLimitError
from tramontane.states import CANCELLED, ERROR, IDLE, PAUSED, RUNNING, SUCCESS, may_change
from tramontane.values import EMPTY, FrozenDict, deep_merge, size_of


def require_change(draft: Draft, wanted: str) -> None:
    """Refuse a state change that the transition table forbids.

    Raises:
        IllegalStateError: with the text that clients know.
    """
    execution = draft.execution
    if not may_change(execution.state, wanted):
        raise IllegalStateError(
            illegal_change(execution.state, wanted, execution.workflow_name, execution.id)
        )


# -- the end ------------------------------------------------------------------------------


def check_completion(draft: Draft) -> None:
    """End the workflow if nothing is left to do (runtime specification, section 1.6)."""
    if draft.execution.state != RUNNING or draft.has_incomplete_tasks():
        return
    tasks = list(draft.open_tasks())
    cancelled = sorted({task.name for task in tasks if task.state == CANCELLED})
    failed = [task for task in tasks if task.state == ERROR and not task.error_handled]
    if cancelled:
        end(draft, CANCELLED, f"Cancelled tasks: {', '.join(cancelled)}")
    elif failed:
        end(draft, ERROR, _failure_text(draft, failed))
    else:
        _end_well(draft)


def _end_well(draft: Draft) -> None:
    execution = draft.execution
    try:
        end(draft, SUCCESS, None)
    except SizeLimitError as error:
        end(draft, ERROR, error.message)
    except BadRequestError as error:
        end(draft, ERROR, check_failed(execution.id, execution.workflow_name, error.message))


def end(draft: Draft, state: str, info: str | None) -> None:
    """Make the execution final: output, state, word to the parent.

    Raises:
        EvaluationError, SizeLimitError: ``output`` of a success; nothing has changed then.
    """
    info = None if info is None else cut(info)
    output = FrozenDict({"result": info})
    if state == SUCCESS:
        output = _success_output(draft)
    elif state == ERROR:
        info, output = _error_output(draft, info)
    draft.update_execution(state=state, state_info=info, output=output, finished_at=draft.env.now, backlog=())
    execution = draft.execution
    if execution.parent_id is not None:
        draft.send(execution.parent_id, ChildCompleted(execution.id, execution.run, state, output, info))


def let_start(draft: Draft, tasks: list[Task]) -> None:
    """Let tasks that are created but not begun start all the same, though the workflow is about to be
    paused or final: what one budget leaves over must not decide whether they run."""
    for task in tasks:
        if task.phase == "new" and task.state == IDLE:
            draft.update_task(task, outlives_end=True)


def _success_output(draft: Draft) -> FrozenDict:
    data = final_data(draft)
    if draft.spec.output is None:
        output = data.to_dict()
    else:
        output = FrozenDict(evaluate(draft, draft.spec.output, scope(draft, None, data)))
    check_size(output, draft.env.settings.field_size_limit_kb, "WorkflowExecution", "output")
    return output


def _error_output(draft: Draft, info: str | None) -> tuple[str | None, FrozenDict]:
    data = final_data(draft)
    extra = data.to_dict()
    if draft.spec.output_on_error is not None:
        try:
            extra = FrozenDict(evaluate(draft, draft.spec.output_on_error, scope(draft, None, data)))
        except BadRequestError as error:
            info = output_on_error_failed(draft.spec.output_on_error_data, error.message, info)
            extra = EMPTY
    output = deep_merge({"result": info}, extra)
    return info, _fit(output, draft.env.settings.field_size_limit_kb)


def _fit(output: FrozenDict, limit_kb: int) -> FrozenDict:
    """Cut the texts of an error output so that it fits the field size limit."""
    if limit_kb < 0 or size_of(output) // 1024 <= limit_kb:
        return output
    room = limit_kb * 1024
    others = sum(size_of(value) for value in output.values() if not isinstance(value, str))
    texts = [name for name, value in output.items() if isinstance(value, str)]
    names = sum(len(name) + 6 for name in output)
    share = max(0, (room - others - names) // max(1, len(texts)) - 8)
    fitted = {name: cut(value, share) if isinstance(value, str) else value for name, value in output.items()}
    if size_of(FrozenDict(fitted)) // 1024 > limit_kb:
        return FrozenDict({"result": cut(plain(output.get("result")), max(0, room - 32))})
    return FrozenDict(fitted)


def final_data(draft: Draft) -> Context:
    """Data of all end tasks merged in order of completion (runtime specification, section 3.5)."""
    if draft.spec.type == "reverse":
        target = reverse.target_task(draft)
        return EMPTY_CONTEXT if target is None else draft.outbound(target)
    ends = [task for task in draft.open_tasks() if task.is_completed and not task.next_tasks]
    if not ends:
        return EMPTY_CONTEXT
    return draft.merge_tasks(sorted(ends, key=lambda task: task.completed_seq))


def _failure_text(draft: Draft, failed: list[Task]) -> str:
    draft.require(*(HistoryKey("children", task.id) for task in failed))
    failed = sorted(failed, key=lambda task: (task.name, task.seq))
    names = ", ".join(dict.fromkeys(task.name for task in failed))
    lines = [f"{FAILED_TASKS}{names}", ""]
    length = 0
    for task in failed:
        lines += _task_lines(draft, task)
        length += sum(map(len, lines[-3:]))
        if length > 100_000:
            break
    return "\n".join(lines) + "\n"


def _task_lines(draft: Draft, task: Task) -> list[str]:
    lines = [f"  {task.name} [task_ex_id={task.id}] -> {task.state_info}"]
    for position, child in enumerate(draft.children(task.id)):
        if child.state != ERROR:
            continue
        kind = "action_ex_id" if isinstance(child, ActionExecution) else "wf_ex_id"
        result = child.result
        if not isinstance(child, ActionExecution):
            result = None if result is None else result.get("result")
        text = "Unknown" if result is None else plain(result)
        lines.append(f"    [{kind}={child.id}, idx={position}]: {text}")
    return lines


# -- pausing ------------------------------------------------------------------------------


def pause(draft: Draft, info: str | None, by_parent: bool = False) -> None:
    """RUNNING → PAUSED, sub-workflows too; the caller's side follows unless it asked.

    Raises:
        IllegalStateError: the execution is completed or idle.
    """
    if draft.execution.state == PAUSED:
        return
    require_change(draft, PAUSED)
    draft.update_execution(state=PAUSED, state_info=info)
    for call in draft.open_subworkflows():
        if call.state == PAUSED:
            continue
        draft.tell(call.id, PauseAsked(by_parent=True))
        draft.update_child(call, state=PAUSED)
        mark_paused(draft, call.task_id)
    parent = draft.execution.parent_id
    if parent is not None and not by_parent:
        draft.tell(parent, ChildPaused(draft.execution.id))


def mark_paused(draft: Draft, task_id: str | None) -> None:
    """A task whose child is paused is PAUSED itself."""
    task = None if task_id is None else draft.find_task(task_id)
    if task is not None and task.state == RUNNING and draft.progress(task.id).paused > 0:
        draft.update_task(task, state=PAUSED)


def mark_running(draft: Draft, task_id: str | None) -> None:
    """A PAUSED task runs again when none of its children is paused."""
    task = None if task_id is None else draft.find_task(task_id)
    if task is not None and task.state == PAUSED and draft.progress(task.id).paused == 0:
        draft.update_task(task, state=RUNNING)
        if draft.task_spec(task).with_items is not None:
            draft.later("items", task.id)


def cancel_subworkflows(draft: Draft, message: str | None, state: str = CANCELLED) -> None:
    """Pass a stop on to all sub-workflows that have not ended."""
    for call in draft.open_subworkflows():
        draft.tell(call.id, StopAsked(state, message, by_parent=True, recursive=state == ERROR))
