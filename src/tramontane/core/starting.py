"""Where a task starts: before-policies, then its action part (runtime specification, sections 6.1,
6.2, 7.1 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from tramontane.core import policies, workflow
from tramontane.core.adhoc import ActionProblem, ResolvedAction, resolve
from tramontane.core.commands import RunAction, StartSubWorkflow
from tramontane.core.completion import complete_task, fail_start, with_entry
from tramontane.core.creation import create_execution
from tramontane.core.decision import ActionKey, StartRequest, WorkflowKey
from tramontane.core.draft import Draft
from tramontane.core.scope import DataScope, EngineFunctions, LayeredData, evaluate, task_scope
from tramontane.core.state import ActionExecution, Execution, SubWorkflow, Task
from tramontane.core.texts import PAUSED_BEFORE, check_size, delayed, info
from tramontane.errors import BadRequestError, InvalidInputError, SizeLimitError
from tramontane.lang.spec import TaskSpec
from tramontane.states import DELAYED, ERROR, IDLE, PAUSED, RUNNING
from tramontane.values import EMPTY, FrozenDict, deep_merge

NOOP = "std.noop"


def start_task(draft: Draft, task_id: str) -> None:
    """Begin a task, or go on with one whose delay is over, unless the workflow is paused or final."""
    task = draft.task(task_id)
    if task.is_completed or _is_held(draft.execution, task):
        return
    try:
        match task.phase:
            case "new":
                _begin(draft, task)
            case "held":
                _begin(draft, task, paused=True)
            case "ready" | "again":
                start_action_part(draft, task)
    except BadRequestError as error:
        fail_start(draft, draft.task(task_id), error)


def _is_held(execution: Execution, task: Task) -> bool:
    """In a paused workflow nothing starts until the resume, in a final one nothing ever; what stood
    before the command that paused or ended it does."""
    if execution.state == PAUSED:
        return not (task.outlives_end and task.phase == "new")
    return execution.is_completed and not task.outlives_end


def _begin(draft: Draft, task: Task, paused: bool = False) -> None:
    """Apply the before-policies; ``paused``: pause-before has done its part already."""
    spec = draft.task_spec(task)
    values = policies.before_policies(draft, task, spec.policies)
    if task.outlives_end and not draft.execution.is_completed:
        task = draft.update_task(task, outlives_end=False)
    if values.pause and not paused and not draft.execution.is_completed:
        draft.update_task(task, state=IDLE, state_info=PAUSED_BEFORE, phase="held")
        workflow.pause(draft, None)
        return
    if spec.policies.concurrency is not None:
        context = with_entry(task, "concurrency", values.concurrency)
        task = draft.update_task(task, concurrency=values.concurrency, runtime_context=context)
    if values.timeout:
        draft.set_timer(task, "timeout", values.timeout)
    if values.wait:
        draft.set_timer(task, "wait-before", values.wait)
        draft.update_task(
            task,
            state=DELAYED,
            state_info=delayed("wait-before", values.wait),
            phase="before",
            runtime_context=with_entry(task, "wait_before_policy", FrozenDict({"skip": True})),
        )
        return
    start_action_part(draft, task)


def start_action_part(draft: Draft, task: Task) -> None:
    """Set the task RUNNING and start its action, sub-workflow or items.

    Raises:
        EvaluationError, PolicyError …: structural errors.
    """
    spec = draft.task_spec(task)
    first_run = task.state in (IDLE, "WAITING") or task.started_at is None
    if task.phase == "again":
        first_run = False
        seconds = policies.timeout(draft, task, spec.policies)
        if seconds:
            draft.set_timer(task, "timeout", seconds)
    changes: dict[str, Any] = {"started_at": draft.env.now} if first_run else {}
    task = draft.update_task(
        task,
        state=RUNNING,
        state_info=None,
        phase="active",
        published=EMPTY,
        published_global=EMPTY,
        finished_at=None,
        item_count=None,
        item_next=0,
        **changes,
    )
    if spec.with_items is not None:
        draft.later("items", task.id)
    else:
        start_child(draft, task, 0, EMPTY)


def start_child(draft: Draft, task: Task, index: int, items: FrozenDict) -> bool:
    """Start the action or sub-workflow of a task (of one item).

    Returns:
        False when it failed in a way that completed the task (an ordinary error).

    Raises:
        EvaluationError …: structural errors.
    """
    prepared = prepare_child(draft, task, items)
    if isinstance(prepared, BadRequestError):
        complete_task(draft, draft.task(task.id), ERROR, prepared.message)
        return False
    launch_child(draft, task, index, prepared)
    return True


Prepared = tuple[ResolvedAction, str | None] | Execution


def prepare_child(draft: Draft, task: Task, items: FrozenDict) -> Prepared | BadRequestError:
    """Evaluate everything a child needs without changing anything.

    Returns:
        what to launch, or an error that is an ordinary one of the task.

    Raises:
        BadRequestError: structural errors (expressions, input that is no map).
    """
    spec = draft.task_spec(task)
    where = task_scope(draft, task, items)
    given: FrozenDict | None = None
    try:
        given = task_input(draft, task, spec, where)
        if spec.workflow is not None:
            return _prepare_subworkflow(draft, task, spec, given)
        return _prepare_action(draft, task, spec, given)
    except (ActionProblem, InvalidInputError, SizeLimitError) as error:
        return error
    except BadRequestError as error:
        if given is None and spec.safe_input is not None and evaluate(draft, spec.safe_input, where):
            return error
        raise


def task_input(draft: Draft, task: Task, spec: TaskSpec, where: DataScope) -> FrozenDict:
    """Evaluate the input of a task.

    Raises:
        EvaluationError; BadRequestError: the input is no map.
    """
    given = evaluate(draft, spec.input, where)
    if not isinstance(given, Mapping):
        raise BadRequestError(
            f"Wrong dynamic input for task: {task.name}. Dict type is expected. "
            f"Actual type: {type(given).__name__}. Actual value: {info(given)}"
        )
    if spec.inline_input is not None:
        given = deep_merge(given, evaluate(draft, spec.inline_input, where))
    return given if isinstance(given, FrozenDict) else FrozenDict(given)


# -- actions ------------------------------------------------------------------------------


def _prepare_action(
    draft: Draft, task: Task, spec: TaskSpec, given: FrozenDict
) -> tuple[ResolvedAction, str | None]:
    execution = draft.execution
    name = NOOP if spec.action is None else evaluate(draft, spec.action, task_scope(draft, task))
    if name in (None, "", {}, []):
        name = NOOP
    if not isinstance(name, str):
        raise ActionProblem(
            f"The action name of task '{task.name}' must be text, but its expression gave a "
            f"value of type '{type(name).__name__}'"
        )
    defaults = draft.root_env.get("__actions")
    if isinstance(defaults, Mapping) and isinstance(defaults.get(name), Mapping):
        given = deep_merge(defaults[name], given)
    resolved = resolve(
        ActionKey(name, execution.params.get("namespace") or "", execution.workbook_name),
        given,
        draft.look_up,
        lambda structure, own: evaluate(draft, structure, _adhoc_scope(draft, task, own)),
    )
    check_size(resolved.input, draft.env.settings.field_size_limit_kb, "ActionExecution", "input")
    target = None
    if spec.target is not None:
        target = evaluate(draft, spec.target, task_scope(draft, task, given))
    return resolved, None if target is None else str(target)


def _adhoc_scope(draft: Draft, task: Task, own: FrozenDict) -> DataScope:
    execution = draft.execution
    layers = (own, {"__env": draft.root_env}, draft.inherited(task), execution.globals)
    return DataScope(LayeredData(layers), EngineFunctions(draft, task.id))


def launch_child(draft: Draft, task: Task, index: int, prepared: Prepared) -> None:
    """Make the child's record and have it run; what has no side effect is settled at once."""
    if isinstance(prepared, Execution):
        _launch_subworkflow(draft, task, index, prepared)
        return
    resolved, target = prepared
    spec = draft.task_spec(task)
    where = task_scope(draft, task)
    action = ActionExecution(
        id=draft.env.new_id(),
        execution_id=task.execution_id,
        root_id=task.root_id,
        task_id=task.id,
        index=index,
        generation=task.generation,
        seq=draft.next_seq(),
        created_at=draft.env.now,
        name=resolved.name,
        project_id=task.project_id,
        workflow_name=task.workflow_name,
        workflow_namespace=task.workflow_namespace,
        task_name=task.name,
        is_sync=resolved.info.is_sync,
        safe_rerun=spec.safe_rerun is not None and bool(evaluate(draft, spec.safe_rerun, where)),
        input=resolved.input,
        adhoc=resolved.adhoc,
        target=target,
    )
    dry_run = is_dry_run(draft, task)
    settled = None if dry_run else resolved.info.settle(resolved.input, action.id)
    if settled is not None:
        draft.put_child(action)
        draft.take_later(action.id, settled)
        return
    limit = spec.policies.timeout
    seconds = policies.timeout(draft, task, spec.policies) if limit is not None else 0
    action = replace(action, timeout=seconds or None)
    draft.put_child(action)
    draft.commands.append(RunAction(action, action_context(task, action), dry_run))


def is_dry_run(draft: Draft, task: Task) -> bool:
    """Tell whether actions of the task are rehearsed only (large users, L5)."""
    spec = draft.task_spec(task)
    if draft.execution.params.get("dry_run") is True:
        return True
    return spec.dry_run is not None and bool(evaluate(draft, spec.dry_run, task_scope(draft, task)))


def action_context(task: Task, action: ActionExecution) -> FrozenDict:
    """What the action gets to know of its surroundings (action specification, section 7)."""
    return FrozenDict(
        {
            "workflow_execution_id": task.execution_id,
            "root_execution_id": task.root_id,
            "task_execution_id": task.id,
            "action_execution_id": action.id,
            "workflow_name": task.workflow_name,
            "task_name": task.name,
            "callback_url": f"/v2/action_executions/{action.id}",
            "with_items_index": action.index,
            "project_id": task.project_id,
        }
    )


# -- sub-workflows ------------------------------------------------------------------------


def _prepare_subworkflow(draft: Draft, task: Task, spec: TaskSpec, given: FrozenDict) -> Execution:
    execution = draft.execution
    assert spec.workflow is not None
    name = evaluate(draft, spec.workflow, task_scope(draft, task))
    if not isinstance(name, str):
        raise ActionProblem(
            f"The workflow name of task '{task.name}' must be text, but its expression gave a "
            f"value of type '{type(name).__name__}'"
        )
    namespace = execution.params.get("namespace") or ""
    found = draft.look_up(WorkflowKey(name, namespace, execution.workbook_name))
    if found is None:
        raise ActionProblem(f"Failed to find workflow [name={name}] [namespace={namespace}]")
    declared = {parameter.name for parameter in found.spec.input}
    own_input = FrozenDict({key: value for key, value in given.items() if key in declared})
    params: dict[str, Any] = {
        "root_execution_id": execution.root_id,
        "task_execution_id": task.id,
        "index": 0,
        "namespace": namespace,
    }
    if execution.params.get("notify") is not None:
        params["notify"] = execution.params["notify"]
    params.update((key, value) for key, value in given.items() if key not in declared)
    request = StartRequest(
        execution_id=draft.env.new_id(),
        project_id=execution.project_id,
        workflow=found,
        input=own_input,
        params=FrozenDict(params),
        description="sub-workflow execution",
        security=execution.security,
    )
    try:
        return create_execution(request, draft.env, parent=execution, root_env=draft.root_env)
    except (ActionProblem, InvalidInputError, SizeLimitError):
        raise
    except BadRequestError as error:
        raise ActionProblem(error.message) from error


def _launch_subworkflow(draft: Draft, task: Task, index: int, child: Execution) -> None:
    child = replace(
        child,
        parent_task_id=task.id,
        index=index,
        params=FrozenDict({**child.params, "index": index}),
    )
    call = SubWorkflow(
        id=child.id,
        execution_id=task.execution_id,
        root_id=task.root_id,
        task_id=task.id,
        index=index,
        generation=task.generation,
        seq=draft.next_seq(),
        created_at=draft.env.now,
    )
    draft.put_child(call)
    draft.commands.append(StartSubWorkflow(child))
