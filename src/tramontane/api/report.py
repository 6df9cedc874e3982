"""The report of an execution: statistics and the tree (REST endpoints, section 7, "report")."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tramontane.api.times import shown
from tramontane.states import ERROR, IDLE, PAUSED, RUNNING, SUCCESS
from tramontane.store.reads.objects import Row
from tramontane.store.reads.trees import Branch, ReportRows

_COUNTED: Final = (RUNNING, SUCCESS, ERROR, IDLE, PAUSED)


def statistics(counts: Mapping[str, int], estimated_time: int) -> dict[str, int]:
    """Count the tasks in the five states that are counted; the others aren't in the total either."""
    return {
        "total_tasks_count": sum(counts.get(state, 0) for state in _COUNTED),
        **{f"{state.lower()}_tasks_count": counts.get(state, 0) for state in _COUNTED},
        "estimated_time": estimated_time,
    }


def estimate(state: str, created_at: int, now: int, average: float | None) -> int:
    """Seconds until an execution is likely to end: 0 unless it runs, -1 if nothing is known."""
    if state != RUNNING:
        return 0
    if average is None:
        return -1
    return max(int((average - (now - created_at)) / 1_000_000), 1)


def task_counts(rows: ReportRows) -> Mapping[str, int]:
    return Counter(row[5] for row in rows.tasks)


def tree(rows: ReportRows, max_depth: int) -> dict[str, Any]:
    """Nest the rows of a report; below ``max_depth`` (if it isn't negative) executions have no tasks."""
    tasks_of: dict[str, list[Row]] = defaultdict(list)
    for row in rows.tasks:
        tasks_of[row[0]].append(row)
    actions_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.actions:
        actions_of[row[0]].append(_action(row))
    called: dict[str, list[dict[str, Any]]] = defaultdict(list)
    entries: dict[str, dict[str, Any]] = {}
    for branch in rows.executions:
        entries[branch.id] = _entry(branch.row)
        if branch.depth > 0 and branch.parent_task_id is not None:
            called[branch.parent_task_id].append(entries[branch.id])
    for branch in rows.executions:
        if max_depth < 0 or branch.depth <= max_depth:
            entries[branch.id]["task_executions"] = [
                _task(row, actions_of[row[1]], called[row[1]]) for row in tasks_of[branch.id]
            ]
    return _root(rows.executions, entries)


def _root(branches: Sequence[Branch], entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return entries[next(branch.id for branch in branches if branch.depth == 0)]


def _entry(row: Row) -> dict[str, Any]:
    identifier, name, created_at, updated_at, state, state_info = row
    return {
        "id": identifier,
        "name": name,
        "created_at": shown(created_at),
        "updated_at": shown(updated_at),
        "state": state,
        "state_info": state_info,
    }


def _task(row: Row, actions: list[dict[str, Any]], called: list[dict[str, Any]]) -> dict[str, Any]:
    entry = {**_entry(row[1:7]), "action_executions": actions, "workflow_executions": called}
    if row[7]:
        entry["retry_count"] = row[7]
    return entry


def _action(row: Row) -> dict[str, Any]:
    return {**_entry(row[1:7]), "accepted": bool(row[7]), "last_heartbeat": shown(row[8])}
