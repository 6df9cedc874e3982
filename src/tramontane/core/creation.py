"""Creating an execution: input, environment, variables (runtime specification, sections 7.1 and 10.1).

Used for the start by a client and, inside a parent's decision, for sub-workflows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from tramontane.core import reverse
from tramontane.core.decision import Env, EnvironmentKey, StartRequest
from tramontane.core.draft import Draft, NeedsData
from tramontane.core.memory import ExecutionState
from tramontane.core.priorities import with_priority
from tramontane.core.scope import DataScope, EngineFunctions, evaluate, scope
from tramontane.core.state import Execution
from tramontane.core.texts import check_size, invalid_input
from tramontane.errors import BadRequestError, InvalidInputError
from tramontane.expressions import compile_structure
from tramontane.lang.spec import WorkflowSpec
from tramontane.states import IDLE, RUNNING
from tramontane.values import EMPTY, FrozenDict


def create_execution(
    request: StartRequest,
    env: Env,
    parent: Execution | None = None,
    root_env: FrozenDict = EMPTY,
) -> Execution:
    """Build a RUNNING execution without tasks.

    Raises:
        InvalidInputError, EvaluationError, SizeLimitError, BadRequestError: the start is refused.
        NeedsData: the stored environment must be looked up first.
    """
    found = request.workflow
    limit = env.settings.field_size_limit_kb
    given = complete_input(found.spec, request.input)
    check_size(given, limit, "WorkflowExecution", "input")
    params = {**(request.params or {}), "namespace": (request.params or {}).get("namespace", found.namespace)}
    with_priority(params, parent)
    own_env = _environment(params.get("env"), env)
    execution = Execution(
        id=request.execution_id,
        root_id=request.execution_id if parent is None else parent.root_id,
        project_id=request.project_id,
        workflow_name=found.name,
        workflow_namespace=found.namespace,
        workflow_id=found.id,
        spec_hash=found.spec_hash,
        created_at=env.now,
        updated_at=env.now,
        parent_id=None if parent is None else parent.id,
        workbook_name=found.workbook_name,
        description=request.description,
        tags=found.spec.tags,
        input=given,
        security=request.security,
        state=IDLE,
    )
    draft = Draft(found.spec, ExecutionState(execution, own_env if parent is None else root_env), env)
    if params.get("evaluate_env", True) is not False:
        own_env = _evaluated_env(draft, own_env)
    params["env"] = own_env
    check_size(FrozenDict(params), limit, "WorkflowExecution", "params")
    draft.execution = replace(draft.execution, params=FrozenDict(params))
    if parent is None:
        draft.root_env = own_env
    if found.spec.type == "reverse":
        reverse.check_target(found.spec, params.get("task_name"))
    variables = EMPTY
    if found.spec.vars is not None:
        variables = FrozenDict(evaluate(draft, found.spec.vars, scope(draft, None)))
    return replace(draft.execution, globals=variables, state=RUNNING)


def complete_input(spec: WorkflowSpec, given: Any) -> FrozenDict:
    """Check the names of a workflow's input, and add what it leaves to its defaults.

    Raises:
        InvalidInputError: parameters are missing or unexpected.
    """
    given = EMPTY if given is None else given
    declared = {parameter.name: parameter for parameter in spec.input}
    missing = [name for name, each in declared.items() if each.is_required and name not in given]
    unexpected = [name for name in given if name not in declared]
    if missing or unexpected:
        raise InvalidInputError(invalid_input(spec.name, spec.class_name, missing, unexpected))
    defaults = {name: each.default for name, each in declared.items() if not each.is_required}
    return FrozenDict({**defaults, **given}) if defaults else given


def _environment(given: Any, env: Env) -> FrozenDict:
    if given is None:
        return EMPTY
    if isinstance(given, Mapping):
        return given if isinstance(given, FrozenDict) else FrozenDict(given)
    if isinstance(given, str):
        key = EnvironmentKey(given)
        if key not in env.known:
            raise NeedsData(key)
        variables = env.known[key]
        if variables is None:
            raise BadRequestError(f"Environment is not found: {given}")
        return FrozenDict(variables)
    raise BadRequestError(f"Unexpected value type for environment [env={given}, type={type(given).__name__}]")


def _evaluated_env(draft: Draft, raw: FrozenDict) -> FrozenDict:
    """Evaluate each value once; ``env()`` is the raw environment meanwhile."""
    structure = compile_structure(raw)
    if structure.constant:
        return raw
    own = Draft(draft.spec, ExecutionState(draft.execution, raw), draft.env)
    where = DataScope({"__env": raw}, EngineFunctions(own, None))
    return FrozenDict(evaluate(own, structure, where))
