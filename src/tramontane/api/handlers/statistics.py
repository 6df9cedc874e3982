"""Counts of tasks and items, and what went wrong in a tree (large users, L2 to L4)."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.error_report import error_entries
from tramontane.api.request import Request
from tramontane.api.values_in import flag, require_uuid
from tramontane.errors import NotFoundError
from tramontane.states import (
    CANCELLED,
    DELAYED,
    ERROR,
    IDLE,
    PAUSED,
    RUNNING,
    SKIPPED,
    SUCCESS,
    WAITING,
)
from tramontane.store.reads.objects import read_by_id
from tramontane.store.reads.resources import EXECUTIONS, TASKS
from tramontane.store.reads.statistics import count_items, read_errors
from tramontane.store.reads.tasks import WITH_ITEMS
from tramontane.store.reads.trees import count_tasks

_STATES = (RUNNING, SUCCESS, ERROR, IDLE, PAUSED, SKIPPED, WAITING, DELAYED, CANCELLED)
_ID = (EXECUTIONS.by_name["id"],)
_ITEMS = (TASKS.by_name["workflow_execution_id"], WITH_ITEMS)


async def show_errors(api: Api, request: Request) -> Response:
    """All errors of a tree that nothing has handled, each with what it is part of."""
    execution_id = await _execution(api, request)
    request.allow_parameters()
    return answer({"errors": error_entries(await read_errors(api.reader, execution_id))})


async def show_task_statistics(api: Api, request: Request) -> Response:
    """Count the tasks of an execution by state; with all sub-workflows unless ``current_only``."""
    execution_id = await _execution(api, request)
    given = request.allow_parameters("current_only")
    deepest = 0 if flag("current_only", given.get("current_only", "")) else -1
    return answer(_counts(await count_tasks(api.reader, execution_id, deepest)))


async def show_item_statistics(api: Api, request: Request) -> Response:
    """Count the items of a task with ``with-items`` by state; IDLE are those that haven't begun."""
    task_id = require_uuid("id", request.arguments["id"])
    request.allow_parameters()
    execution_id, item_count = await read_by_id(api.reader, TASKS, _ITEMS, task_id, request.caller)
    if item_count is None:
        raise NotFoundError(f"The task '{task_id}' has no items: it isn't one with with-items.")
    counts = dict(await count_items(api.reader, execution_id, task_id))
    begun = sum(counts.values())
    counts[IDLE] = counts.get(IDLE, 0) + max(item_count - begun, 0)
    return answer(_counts(counts))


async def _execution(api: Api, request: Request) -> str:
    execution_id = require_uuid("id", request.arguments["id"])
    await read_by_id(api.reader, EXECUTIONS, _ID, execution_id, request.caller)
    return execution_id


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {"TOTAL": sum(counts.values()), **{state: counts.get(state, 0) for state in _STATES}}
