"""Publish: which variables a completed task hands on (runtime specification, section 3.3)."""

from __future__ import annotations

from functools import lru_cache, reduce

from tramontane.core.draft import Draft
from tramontane.core.scope import DataScope, evaluate, task_scope
from tramontane.core.state import Task
from tramontane.core.texts import check_size
from tramontane.expressions import CompiledStructure, compile_structure
from tramontane.lang.spec import OnClause, TaskSpec
from tramontane.states import ERROR, SKIPPED, SUCCESS
from tramontane.values import EMPTY, FrozenDict, deep_merge


def publish(draft: Draft, task: Task) -> Task:
    """Evaluate and take over what the task publishes in its state; branch variables before global ones.

    A skipped task that publishes nothing keeps what its failed run published.

    Raises:
        EvaluationError, SizeLimitError: nothing was published then.
    """
    branch_source, global_source = _sources(draft.task_spec(task), task.state)
    if branch_source is None and global_source is None:
        return task
    where = task_scope(draft, task)
    branch = _evaluated(draft, branch_source, where)
    shared = _evaluated(draft, global_source, where)
    limit = draft.env.settings.field_size_limit_kb
    check_size(branch, limit, "TaskExecution", "published")
    if shared:
        execution = draft.execution
        draft.update_execution(
            globals=deep_merge(execution.globals, shared),
            published_global=deep_merge(execution.published_global, shared),
        )
    return draft.update_task(task, published=branch, published_global=shared)


def _evaluated(draft: Draft, source: CompiledStructure | None, where: DataScope) -> FrozenDict:
    if source is None:
        return EMPTY
    value = evaluate(draft, source, where)
    return value if isinstance(value, FrozenDict) else FrozenDict(value)


def _sources(spec: TaskSpec, state: str) -> tuple[CompiledStructure | None, CompiledStructure | None]:
    """Variables by scope: on-complete's beat the plain attribute's, which beat the clause's."""
    clauses: dict[str, tuple[FrozenDict, OnClause]] = {
        SUCCESS: (spec.publish, spec.on_success),
        ERROR: (spec.publish_on_error, spec.on_error),
        SKIPPED: (spec.publish_on_skip, spec.on_skip),
    }
    if state not in clauses:
        return None, None
    plain, clause = clauses[state]
    own, complete = clause.publish, spec.on_complete.publish
    branches = [plain]
    shared: list[FrozenDict] = []
    if own is not None:
        branches.insert(0, own.branch)
        shared.append(own.global_)
    if complete is not None:
        branches.append(complete.branch)
        shared.append(complete.global_)
    return _merged(*branches), _merged(*shared)


def _merged(*maps: FrozenDict) -> CompiledStructure | None:
    given = tuple(each for each in maps if each)
    return _compiled(given) if given else None


@lru_cache(maxsize=8192)
def _compiled(maps: tuple[FrozenDict, ...]) -> CompiledStructure:
    """Merge raw maps and compile the result, once for all executions of a definition."""
    return compile_structure(reduce(deep_merge, maps))
