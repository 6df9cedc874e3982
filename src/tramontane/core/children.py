"""Children of tasks: recording how they end and what that means for their task.

Source: runtime specification, sections 5.3, 5.4, 7.2 and 8.3.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tramontane.core import workflow
from tramontane.core.adhoc import transform
from tramontane.core.commands import DropJob
from tramontane.core.completion import complete_task, fail_completion, with_entry
from tramontane.core.draft import Draft
from tramontane.core.scope import DataScope, EngineFunctions, evaluate
from tramontane.core.state import ActionExecution, AnyChild, SubWorkflow, Task
from tramontane.core.texts import ITEMS_CANCELLED, ITEMS_FAILED, check_size, info
from tramontane.errors import BadRequestError, SizeLimitError
from tramontane.results import Result
from tramontane.states import CANCELLED, ERROR, SUCCESS
from tramontane.values import FrozenDict


def complete_action(draft: Draft, action: ActionExecution, result: Result) -> None:
    """Record the result of an action and let its task go on."""
    failure: BadRequestError | None = None
    if action.adhoc and result.state == SUCCESS:
        try:
            result = Result(data=transform(action.adhoc, result.data, _evaluator(draft, action)))
        except BadRequestError as error:
            failure = error
            result = Result(error=error.message)
    output = FrozenDict({"result": result.value})
    try:
        check_size(output, draft.env.settings.field_size_limit_kb, "ActionExecution", "output")
    except SizeLimitError as error:
        result = Result(error=error.message)
        output = FrozenDict({"result": error.message})
    task = None if action.task_id is None else draft.task(action.task_id)
    done = replace(
        action,
        state=result.state,
        state_info=None,
        output=output,
        accepted=task is None or task.generation == action.generation,
        finished_at=draft.env.now,
        updated_at=draft.env.now,
    )
    draft.put_child(done)
    if task is None:
        return
    if failure is not None and not task.is_completed:
        fail_completion(draft, task, failure)
        return
    child_done(draft, done, None if done.state == SUCCESS else info(result.value))


def drop_job(draft: Draft, action: ActionExecution, interrupt: bool = False) -> None:
    draft.commands.append(DropJob(action.id, interrupt))


def complete_call(
    draft: Draft, call: SubWorkflow, state: str, output: Any, state_info: str | None, run: int
) -> None:
    """Record the end of a sub-workflow and let the calling task go on."""
    task = draft.task(call.task_id or "")
    done = replace(
        call,
        state=state,
        output=output,
        run=run,
        accepted=task.generation == call.generation,
        updated_at=draft.env.now,
    )
    draft.put_child(done)
    text = None
    if state != SUCCESS:
        text = info(output.get("result")) if isinstance(output, FrozenDict) else state_info
    child_done(draft, done, text)


def child_done(draft: Draft, child: AnyChild, text: str | None) -> None:
    """A child has its final state: complete its task, or go on with further items."""
    task = draft.task(child.task_id or "")
    if task.is_completed or task.phase != "active" or child.generation != task.generation:
        return
    if draft.task_spec(task).with_items is not None:
        settle_items(draft, task)
        return
    complete_task(draft, task, child.state, text if child.state != SUCCESS else None)


def settle_items(draft: Draft, task: Task) -> None:
    """Complete a task whose items have all ended, or start further ones in the free slots."""
    progress = draft.progress(task.id)
    if progress.cancelled:
        complete_task(draft, task, CANCELLED, ITEMS_CANCELLED)
    elif task.item_count is not None and progress.accepted >= task.item_count:
        if task.concurrency:
            task = note_capacity(draft, task)
        failed = progress.failed > 0
        complete_task(draft, task, ERROR if failed else SUCCESS, ITEMS_FAILED if failed else None)
    else:
        workflow.mark_running(draft, task.id)
        if task.concurrency:
            note_capacity(draft, draft.task(task.id))
            draft.later("items", task.id)


def note_capacity(draft: Draft, task: Task) -> Task:
    """Show how many slots are free (``runtime_context.with_items``)."""
    progress = draft.progress(task.id)
    free = task.concurrency - progress.running - progress.paused if task.concurrency else None
    shown = FrozenDict({"capacity": free, "count": task.item_count})
    return draft.update_task(task, runtime_context=with_entry(task, "with_items", shown))


def _evaluator(draft: Draft, action: ActionExecution) -> Any:
    def run(structure: Any, data: Any) -> Any:
        return evaluate(draft, structure, DataScope(data, EngineFunctions(draft, action.task_id)))

    return run
