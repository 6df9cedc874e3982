"""Results of tasks, put together from their accepted children (runtime specification, section 3.6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, literal, select, union_all

from tramontane.store.reads.objects import Reader
from tramontane.store.reads.whole import whole_rows
from tramontane.store.schema import action_executions, executions, subworkflows, tasks

_WRAPPER: Final = '{"result":'


async def task_results(reader: Reader, task_ids: Sequence[str]) -> Mapping[str, str]:
    """Give the result of each task as JSON text: its one child's, or the list of all of them.

    A task with items always has a list, in the order of the items; a task without any accepted child
    has an empty one.
    """
    with_items = {
        row[0]: row[1] is not None for row in await reader.fetch(_ITEM_COUNTS, {"ids": list(task_ids)})
    }
    found: dict[str, list[str]] = defaultdict(list)
    parameters = {"ids": list(task_ids)}
    rows = await whole_rows(reader, lambda: reader.fetch(_CHILDREN, parameters), (1,))
    for task_id, output, is_action in rows:
        found[task_id].append(_result_text(output, bool(is_action)))
    return {
        task_id: children[0]
        if len(children := found[task_id]) == 1 and not with_items.get(task_id)
        else f"[{','.join(children)}]"
        for task_id in task_ids
    }


async def task_result(
    reader: Reader, task_id: str, execution_id: str, *, is_call: bool, has_items: bool
) -> str:
    """Give the result of one task as JSON text; ``is_call``: it calls sub-workflows."""
    statement, parameters = _ACTIONS_OF_TASK, {"task_id": task_id}
    if is_call:
        statement, parameters = _CALLS_OF_TASK, {"task_id": task_id, "execution_id": execution_id}
    rows = await whole_rows(reader, lambda: reader.lookup(statement, parameters), (0,))
    children = [_result_text(output, is_action=not is_call) for (output,) in rows]
    return children[0] if len(children) == 1 and not has_items else f"[{','.join(children)}]"


def _result_text(output: str | None, is_action: bool) -> str:
    """Cut an action's result out of its output; a sub-workflow's output is its result as it is."""
    if output is None:
        return "null"
    if not is_action:
        return output
    if output.startswith(_WRAPPER):
        return output[len(_WRAPPER) : -1]
    return orjson.dumps(orjson.loads(output).get("result")).decode()


def _children() -> Select[Any]:
    actions = select(
        action_executions.c.task_id.label("task_id"),
        action_executions.c.index.label("position"),
        action_executions.c.seq.label("seq"),
        action_executions.c.output.label("output"),
        literal(1).label("is_action"),
        action_executions.c.root_id.label("root"),
    ).where(
        action_executions.c.task_id.in_(bindparam("ids", expanding=True)),
        action_executions.c.accepted.is_(True),
    )
    calls = (
        select(
            subworkflows.c.task_id,
            subworkflows.c.index,
            subworkflows.c.seq,
            executions.c.output,
            literal(0),
            executions.c.root_id,
        )
        .select_from(
            tasks.join(subworkflows, subworkflows.c.execution_id == tasks.c.execution_id).join(
                executions, executions.c.id == subworkflows.c.id
            )
        )
        .where(
            tasks.c.id.in_(bindparam("ids", expanding=True)),
            subworkflows.c.task_id == tasks.c.id,
            subworkflows.c.accepted.is_(True),
        )
    )
    both = union_all(actions, calls).subquery()
    return select(both.c.task_id, both.c.output, both.c.is_action, both.c.root).order_by(
        both.c.position, both.c.seq
    )


_CHILDREN: Final = _children()
_ITEM_COUNTS: Final = select(tasks.c.id, tasks.c.item_count).where(
    tasks.c.id.in_(bindparam("ids", expanding=True))
)
_ACTIONS_OF_TASK: Final = (
    select(action_executions.c.output, action_executions.c.root_id)
    .where(action_executions.c.task_id == bindparam("task_id"), action_executions.c.accepted.is_(True))
    .order_by(action_executions.c.index, action_executions.c.seq)
)
_CALLS_OF_TASK: Final = (
    select(executions.c.output, executions.c.root_id)
    .select_from(subworkflows.join(executions, executions.c.id == subworkflows.c.id))
    .where(
        subworkflows.c.execution_id == bindparam("execution_id"),
        subworkflows.c.task_id == bindparam("task_id"),
        subworkflows.c.accepted.is_(True),
    )
    .order_by(subworkflows.c.index, subworkflows.c.seq)
)
