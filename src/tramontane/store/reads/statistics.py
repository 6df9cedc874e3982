"""Counts of items, and the errors of a tree that nothing has handled (large users, L2 and L4).

Only what failed is looked at: from an execution down through its tasks in ERROR without a handler to
what they called. One statement for its executions, one for the tasks, one for the actions of some
hundred tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CTE, Select, and_, bindparam, func, or_, select, union_all

from tramontane.states import COMPLETED, ERROR
from tramontane.store.queries import chunks
from tramontane.store.reads.objects import Reader, Row
from tramontane.store.reads.whole import whole_rows
from tramontane.store.schema import action_executions, executions, subworkflows, tasks


@dataclass(frozen=True, slots=True)
class FailedTree:
    """Rows of what failed, in order of creation.

    ``executions``: id, calling task's id, name, state, state_info. ``tasks``: execution's id, id, name,
    state_info, number of items (None: no with-items). ``actions``: task's id, id, name, input and output
    (JSON texts), index.
    """

    executions: Sequence[Row]
    tasks: Sequence[Row]
    actions: Sequence[Row]


async def read_errors(reader: Reader, execution_id: str) -> FailedTree:
    parameters = {"start": execution_id}
    branches = await reader.fetch(_FAILED_EXECUTIONS, parameters)
    failed = await reader.fetch(_FAILED_TASKS, parameters)
    actions: list[Row] = []
    for some in chunks(failed):
        actions += await _failed_actions(reader, [row[1] for row in some])
    return FailedTree(branches, failed, actions)


async def _failed_actions(reader: Reader, task_ids: Sequence[str]) -> Sequence[Row]:
    parameters = {"task_ids": task_ids}
    return await whole_rows(reader, lambda: reader.fetch(_FAILED_ACTIONS, parameters), (3, 4))


_UNHANDLED: Final = and_(tasks.c.state == ERROR, tasks.c.error_handled.is_(False))


def _tree() -> CTE:
    """Ids of an execution and of all that failed below it by tasks whose errors were not handled."""
    tree = select(executions.c.id).where(executions.c.id == bindparam("start")).cte("failed", recursive=True)
    child = executions.alias("child")
    below = (
        select(child.c.id)
        .select_from(tree.join(child, child.c.parent_id == tree.c.id))
        .join(tasks, and_(tasks.c.id == child.c.parent_task_id, _UNHANDLED))
        .where(child.c.state == ERROR)
    )
    return tree.union_all(below)


def _executions() -> Select[Any]:
    tree = _tree()
    return (
        select(
            executions.c.id,
            executions.c.parent_task_id,
            executions.c.workflow_name,
            executions.c.state,
            executions.c.state_info,
        )
        .select_from(tree.join(executions, executions.c.id == tree.c.id))
        .order_by(executions.c.index, executions.c.created_at, executions.c.id)
    )


def _tasks() -> Select[Any]:
    tree = _tree()
    return (
        select(tasks.c.execution_id, tasks.c.id, tasks.c.name, tasks.c.state_info, tasks.c.item_count)
        .select_from(tree.join(tasks, and_(tasks.c.execution_id == tree.c.id, _UNHANDLED)))
        .order_by(tasks.c.seq, tasks.c.id)
    )


def _actions() -> Select[Any]:
    # By lists of tasks, not by a join with the tree: so no database begins with all actions that there are.
    actions = action_executions
    return (
        select(
            actions.c.task_id,
            actions.c.id,
            actions.c.name,
            actions.c.input,
            actions.c.output,
            actions.c.index,
            actions.c.root_id,
        )
        .where(actions.c.task_id.in_(bindparam("task_ids", expanding=True)), actions.c.state == ERROR)
        .order_by(actions.c.index, actions.c.seq, actions.c.id)
    )


_FAILED_EXECUTIONS: Final = _executions()
_FAILED_TASKS: Final = _tasks()
_FAILED_ACTIONS: Final = _actions()


async def count_items(reader: Reader, execution_id: str, task_id: str) -> Mapping[str, int]:
    """Count the items of a task that have begun, by state.

    Of an item that was run several times the run that counts is the accepted one, or the one that is
    under way now.
    """
    rows = await reader.fetch(_ITEMS, {"execution_id": execution_id, "task_id": task_id})
    return {row[0]: row[1] for row in rows}


def _items() -> Select[Any]:
    children = []
    for table in (action_executions, subworkflows):
        under_way = and_(table.c.generation == tasks.c.generation, table.c.state.not_in(COMPLETED))
        children.append(
            select(table.c.state)
            .select_from(tasks.join(table, table.c.task_id == tasks.c.id))
            .where(
                tasks.c.id == bindparam("task_id"),
                table.c.execution_id == bindparam("execution_id"),
                or_(table.c.accepted.is_(True), under_way),
            )
        )
    found = union_all(*children).subquery()
    return select(found.c.state, func.count()).group_by(found.c.state)


_ITEMS: Final = _items()
