"""The errors of a tree as one flat list, in the order of the tree (large users, L2)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tramontane.states import ERROR
from tramontane.store.reads.objects import Row
from tramontane.store.reads.statistics import FailedTree
from tramontane.values import decode, encode

Entry = dict[str, Any]


def error_entries(tree: FailedTree) -> list[Entry]:
    """List executions, tasks and actions in ERROR: each before what it consists of."""
    tasks_of: dict[str, list[Row]] = defaultdict(list)
    for row in tree.tasks:
        tasks_of[row[0]].append(row)
    actions_of: dict[str, list[Row]] = defaultdict(list)
    for row in tree.actions:
        actions_of[row[0]].append(row)
    called_by: dict[str, list[Row]] = defaultdict(list)
    shown = {row[1] for row in tree.tasks}
    start = None
    for row in tree.executions:
        if row[1] in shown:
            called_by[row[1]].append(row)
        else:
            start = row
    entries: list[Entry] = []
    waiting: list[Entry | Row] = [] if start is None else [start]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            entries.append(item)
            waiting.extend(reversed(called_by[item["id"]]))
            continue
        execution_id = item[0]
        if item[3] == ERROR:
            entries.append(_execution(item, is_start=item is start))
        for task in reversed(tasks_of[execution_id]):
            actions = [_action(task, *each) for each in enumerate(actions_of[task[1]])]
            waiting.extend(reversed([_task(task), *actions]))
    return entries


def _execution(row: Row, is_start: bool) -> Entry:
    execution_id, task_id, name, _, state_info = row
    return {
        "id": execution_id,
        "parent_id": None if is_start else task_id,
        "type": "WORKFLOW",
        "name": name,
        # What follows the first line repeats the errors below.
        "error": state_info.split("\n", 1)[0] if state_info else state_info,
    }


def _task(row: Row) -> Entry:
    execution_id, task_id, name, state_info, _ = row
    return {"id": task_id, "parent_id": execution_id, "type": "TASK", "name": name, "error": state_info}


def _action(task: Row, attempt: int, row: Row) -> Entry:
    """An action; ``idx`` is its item, or without items its attempt."""
    task_id, action_id, name, given, output, index = row
    return {
        "id": action_id,
        "parent_id": task_id,
        "type": "ACTION",
        "name": name,
        "error": _error(output),
        "attributes": "{}",
        "params": given,
        "idx": attempt if task[4] is None else index,
    }


def _error(output: str | None) -> str | None:
    """What went wrong as text; data is shown as JSON."""
    error = None if output is None else (decode(output) or {}).get("result")
    return error if error is None or isinstance(error, str) else encode(error)
