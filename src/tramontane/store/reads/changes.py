"""What has changed in an execution, or in the tree below it, since some moment.

Rows are asked for by the time of their last change: of each row there is only its latest state. A
*mark* tells cheaply whether there is anything new at all; it moves with every turn.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    Select,
    String,
    and_,
    bindparam,
    case,
    false,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.expression import cast

from tramontane.states import COMPLETED
from tramontane.store.reads.objects import Reader
from tramontane.store.schema import action_executions, executions, heads, tasks

PAGE: Final = 1000
_INFO: Final = 2000
"""So many characters of ``state_info`` are read; single reads show all of it."""


class Mark(NamedTuple):
    """How far a tree has come. ``state`` and ``parked`` are those of the execution on top; ``unfinished``
    counts executions that haven't ended; the others differ when something has changed."""

    state: str
    parked: str | None
    unfinished: int
    executions: int
    versions: int


class Change(NamedTuple):
    """A row as it is now. ``kind``: execution, task or action; ``at``: the last change (microseconds).

    ``owner_id`` is the execution of a task or action, the root of an execution; ``task_id`` the task of
    an action, or the one that called an execution.
    """

    kind: str
    at: int
    id: str
    owner_id: str | None
    task_id: str | None
    name: str
    state: str
    state_info: str | None
    created_at: int
    updated_at: int | None
    accepted: bool


async def read_mark(reader: Reader, execution_id: str, *, recursive: bool) -> Mark | None:
    """Look whether something has changed; None: the execution is gone."""
    parameters = {"start": execution_id}
    if not recursive:
        rows = await reader.lookup(_MARK, parameters)
        return Mark(rows[0][0], rows[0][1], int(rows[0][0] not in COMPLETED), 1, rows[0][2]) if rows else None
    (row,) = await reader.fetch(_TREE_MARK, parameters)
    return None if row[0] is None else Mark(row[0], row[1], int(row[2]), int(row[3]), int(row[4]))


async def read_changes(
    reader: Reader, execution_id: str, since: tuple[int, str], *, recursive: bool
) -> list[Change]:
    """Read the next rows that changed after ``since`` (a time and an id), oldest first, at most a page."""
    parameters = {"start": execution_id, "at": since[0], "after": since[1]}
    return [Change(*row) for row in await reader.fetch(_changes(recursive), parameters)]


def _tree() -> CTE:
    tree = select(executions.c.id).where(executions.c.id == bindparam("start")).cte("tree", recursive=True)
    child = executions.alias("child")
    return tree.union_all(select(child.c.id).select_from(tree.join(child, child.c.parent_id == tree.c.id)))


_MARK: Final = select(heads.c.state, heads.c.parked, heads.c.version).where(heads.c.id == bindparam("start"))


def _tree_mark() -> Select[Any]:
    tree = _tree()
    is_top = heads.c.id == bindparam("start")
    columns: list[Any] = [
        func.max(case((is_top, heads.c.state))),
        func.max(case((is_top, heads.c.parked))),
        func.sum(case((heads.c.state.in_(tuple(sorted(COMPLETED))), 0), else_=1)),
        func.count(),
        func.sum(heads.c.version),
    ]
    return select(*columns).select_from(tree.join(heads, heads.c.id == tree.c.id))


_TREE_MARK: Final = _tree_mark()


@lru_cache(maxsize=2)
def _changes(recursive: bool) -> Select[Any]:
    tree = _tree() if recursive else None
    both = union_all(*(_rows(table, tree) for table in (executions, tasks, action_executions))).subquery()
    is_later = or_(
        both.c.at > bindparam("at"), and_(both.c.at == bindparam("at"), both.c.id > bindparam("after"))
    )
    return select(*both.c).where(is_later).order_by(both.c.at, both.c.id).limit(PAGE)


def _rows(table: Any, tree: CTE | None) -> Select[Any]:
    columns = table.c
    owner = columns.id if table is executions else columns.execution_id
    at = func.coalesce(columns.updated_at, columns.created_at)
    parts = {
        executions: (
            "execution",
            columns.root_id,
            columns.get("parent_task_id"),
            columns.get("workflow_name"),
            false(),
        ),
        tasks: ("task", owner, cast(null(), String()), columns.get("name"), false()),
        action_executions: (
            "action",
            owner,
            columns.get("task_id"),
            columns.get("name"),
            columns.get("accepted"),
        ),
    }
    kind, owner_id, task_id, name, accepted = parts[table]
    rows = select(
        literal(kind).label("kind"),
        at.label("at"),
        columns.id.label("id"),
        owner_id.label("owner_id"),
        task_id.label("task_id"),
        name.label("name"),
        columns.state.label("state"),
        func.substr(columns.state_info, 1, _INFO).label("state_info"),
        columns.created_at.label("created_at"),
        columns.updated_at.label("updated_at"),
        accepted.label("accepted"),
    )
    if tree is None:
        return rows.where(owner == bindparam("start"))
    return rows.select_from(tree.join(table, owner == tree.c.id))
