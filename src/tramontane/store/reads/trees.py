"""Executions with everything below them, read level by level inside the database.

Whatever the size of a tree: one statement for its executions, one for their tasks, one for their
actions. Order inside a tree: an execution, then task by task (as they were created) what each task
called, with their own descendants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import CTE, Integer, Select, and_, bindparam, func, literal, select

from tramontane.states import ERROR, SUCCESS
from tramontane.store.reads.fields import Field
from tramontane.store.reads.objects import Reader, Row
from tramontane.store.reads.resources import EXECUTIONS
from tramontane.store.reads.whole import places_of, whole_rows, with_root
from tramontane.store.schema import action_executions, executions, jobs, nodes, tasks

NO_LIMIT: Final = 2**31 - 1
_HISTORY: Final = 20


@dataclass(frozen=True, slots=True)
class Branch:
    """One execution of a tree: its row, how deep it stands, and which execution and task called it."""

    row: Row
    id: str
    depth: int
    parent_id: str | None
    parent_task_id: str | None


async def read_branches(
    reader: Reader,
    fields: tuple[Field, ...],
    *,
    execution_id: str | None = None,
    task_id: str | None = None,
    max_depth: int = -1,
    errors_only: bool = False,
) -> list[Branch]:
    """Read an execution (or those that a task called) and all descendants, parents before children.

    ``max_depth`` below zero: no limit. ``errors_only`` leaves out what tasks called that are not in
    ERROR, with everything below.
    """
    start = "execution" if execution_id is not None else "task"
    parameters = {
        "start": execution_id if execution_id is not None else task_id,
        "deepest": _deepest(max_depth),
    }
    statement = _branches(fields, start, errors_only)
    places = tuple(place + 4 for place in places_of(fields))
    rows = await whole_rows(reader, lambda: reader.fetch(statement, parameters), places)
    found = [Branch(row[4:], row[0], row[1], row[2], row[3]) for row in rows]
    return _preorder(found)


def _deepest(max_depth: int) -> int:
    return min(max_depth, NO_LIMIT) if max_depth >= 0 else NO_LIMIT


def _preorder(found: Sequence[Branch]) -> list[Branch]:
    called: dict[str, list[Branch]] = defaultdict(list)
    for branch in found:
        if branch.depth > 0 and branch.parent_id is not None:
            called[branch.parent_id].append(branch)
    ordered: list[Branch] = []
    waiting = [branch for branch in reversed(found) if branch.depth == 0]
    while waiting:
        branch = waiting.pop()
        ordered.append(branch)
        waiting.extend(reversed(called[branch.id]))
    return ordered


@lru_cache(maxsize=64)
def _branches(fields: tuple[Field, ...], start: str, errors_only: bool) -> Select[Any]:
    tree = _tree(start, errors_only)
    caller = tasks.alias("caller")
    return (
        select(
            tree.c.id,
            tree.c.depth,
            executions.c.parent_id,
            executions.c.parent_task_id,
            *with_root(EXECUTIONS, fields, (item.value.label(f"_{item.name}") for item in fields)),
        )
        .select_from(
            tree.join(executions, executions.c.id == tree.c.id).outerjoin(
                caller, caller.c.id == executions.c.parent_task_id
            )
        )
        .order_by(tree.c.depth, caller.c.seq, executions.c.index, executions.c.created_at, executions.c.id)
    )


def _tree(start: str, errors_only: bool) -> CTE:
    """Ids and depths of everything at and below the start; ``deepest`` is a parameter."""
    first = executions.c.id if start == "execution" else executions.c.parent_task_id
    base = select(executions.c.id, literal(0, Integer).label("depth")).where(first == bindparam("start"))
    tree = base.cte("tree", recursive=True)
    child = executions.alias("child")
    below = select(child.c.id, tree.c.depth + 1).select_from(tree.join(child, child.c.parent_id == tree.c.id))
    if errors_only:
        caller = tasks.alias("calling")
        below = below.join(caller, and_(caller.c.id == child.c.parent_task_id, caller.c.state == ERROR))
    return tree.union_all(below.where(tree.c.depth < bindparam("deepest")))


@dataclass(frozen=True, slots=True)
class ReportRows:
    """What a report is made of; tasks and actions in order of creation."""

    executions: Sequence[Branch]
    tasks: Sequence[Row]
    actions: Sequence[Row]


_REPORTED: Final = tuple(
    EXECUTIONS.by_name[name]
    for name in ("id", "workflow_name", "created_at", "updated_at", "state", "state_info")
)


async def read_report(reader: Reader, execution_id: str, max_depth: int, errors_only: bool) -> ReportRows:
    """Read a tree for its report. Called executions stand one level deeper than the deepest tasks."""
    deepest = _deepest(max_depth)
    branches = await read_branches(
        reader,
        _REPORTED,
        execution_id=execution_id,
        max_depth=max_depth + 1 if max_depth >= 0 else -1,
        errors_only=errors_only,
    )
    parameters = {"start": execution_id, "deepest": deepest}
    return ReportRows(
        branches,
        await reader.fetch(_report_tasks(errors_only), parameters),
        await reader.fetch(_report_actions(errors_only), parameters),
    )


@lru_cache(maxsize=2)
def _report_tasks(errors_only: bool) -> Select[Any]:
    tree = _tree("execution", errors_only)
    statement = select(
        tasks.c.execution_id,
        tasks.c.id,
        tasks.c.name,
        tasks.c.created_at,
        tasks.c.updated_at,
        tasks.c.state,
        tasks.c.state_info,
        tasks.c.retry_no,
    ).select_from(tree.join(tasks, tasks.c.execution_id == tree.c.id))
    if errors_only:
        statement = statement.where(tasks.c.state == ERROR)
    return statement.order_by(tasks.c.seq, tasks.c.id)


@lru_cache(maxsize=2)
def _report_actions(errors_only: bool) -> Select[Any]:
    tree = _tree("execution", errors_only)
    actions = action_executions
    source = (
        tree.join(actions, actions.c.execution_id == tree.c.id)
        .outerjoin(jobs, jobs.c.action_id == actions.c.id)
        .outerjoin(nodes, nodes.c.id == jobs.c.claimed_by)
    )
    statement = select(
        actions.c.task_id,
        actions.c.id,
        actions.c.name,
        actions.c.created_at,
        actions.c.updated_at,
        actions.c.state,
        actions.c.state_info,
        actions.c.accepted,
        nodes.c.heartbeat_at,  # of the process that runs it, while one does
    )
    if errors_only:
        source = source.join(tasks, and_(tasks.c.id == actions.c.task_id, tasks.c.state == ERROR))
    return statement.select_from(source).order_by(actions.c.index, actions.c.seq, actions.c.id)


async def count_tasks(
    reader: Reader, execution_id: str, max_depth: int = -1, errors_only: bool = False
) -> Mapping[str, int]:
    """Count the tasks of a tree by state."""
    parameters = {"start": execution_id, "deepest": _deepest(max_depth)}
    return {row[0]: row[1] for row in await reader.fetch(_task_counts(errors_only), parameters)}


@lru_cache(maxsize=2)
def _task_counts(errors_only: bool) -> Select[Any]:
    tree = _tree("execution", errors_only)
    statement = select(tasks.c.state, func.count()).select_from(
        tree.join(tasks, tasks.c.execution_id == tree.c.id)
    )
    if errors_only:
        statement = statement.where(tasks.c.state == ERROR)
    return statement.group_by(tasks.c.state)


async def average_duration(reader: Reader, workflow_id: str) -> float | None:
    """Average time in microseconds that the latest successful executions of a workflow took."""
    rows = await reader.fetch(_DURATIONS, {"workflow_id": workflow_id})
    spans = [ended - begun for begun, ended in rows]
    return sum(spans) / len(spans) if spans else None


_DURATIONS: Final = (
    select(executions.c.created_at, executions.c.finished_at)
    .where(
        executions.c.workflow_id == bindparam("workflow_id"),
        executions.c.state == SUCCESS,
        executions.c.finished_at.is_not(None),
    )
    .order_by(executions.c.created_at.desc())
    .limit(_HISTORY)
)
