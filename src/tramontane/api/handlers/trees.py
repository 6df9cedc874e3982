"""Sub-executions and the report (REST endpoints, sections 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from tramontane.api import report
from tramontane.api.context import Api
from tramontane.api.encoding import answer, encoder
from tramontane.api.request import Request
from tramontane.api.values_in import flag, require_uuid, whole_number
from tramontane.states import ERROR, RUNNING
from tramontane.store.reads.fields import Field
from tramontane.store.reads.objects import read_by_id
from tramontane.store.reads.resources import EXECUTIONS, TASKS
from tramontane.store.reads.trees import Branch, average_duration, count_tasks, read_branches, read_report

Fields = tuple[Field, ...]

_WITH_OUTPUT: Final[Fields] = tuple(item for item in EXECUTIONS.fields if item.name != "published_global")
_CLOCK: Final = tuple(EXECUTIONS.by_name[name] for name in ("state", "created_at", "workflow_id"))
_STATE: Final = (TASKS.by_name["state"],)


async def list_sub_executions(api: Api, request: Request) -> Response:
    """An execution followed by all executions below it."""
    execution_id = require_uuid("id", request.arguments["id"])
    max_depth, errors_only, fields = _tree_parameters(request)
    await read_by_id(api.reader, EXECUTIONS, _CLOCK, execution_id, request.caller)
    branches = await read_branches(
        api.reader, fields, execution_id=execution_id, max_depth=max_depth, errors_only=errors_only
    )
    return _executions(branches, fields)


async def list_task_executions(api: Api, request: Request) -> Response:
    """What a task called, each followed by all executions below it."""
    task_id = request.arguments["id"]
    max_depth, errors_only, fields = _tree_parameters(request)
    (state,) = await read_by_id(api.reader, TASKS, _STATE, task_id, request.caller)
    if errors_only and state != ERROR:
        return answer({"executions": []})
    branches = await read_branches(
        api.reader, fields, task_id=task_id, max_depth=max_depth, errors_only=errors_only
    )
    return _executions(branches, fields)


def _tree_parameters(request: Request) -> tuple[int, bool, Fields]:
    given = request.allow_parameters("errors_only", "max_depth", "include_output")
    fields = (
        _WITH_OUTPUT if flag("include_output", given.get("include_output", "")) else EXECUTIONS.list_fields
    )
    return (
        whole_number("max_depth", given.get("max_depth", "-1")),
        flag("errors_only", given.get("errors_only", "")),
        fields,
    )


def _executions(branches: Sequence[Branch], fields: Fields) -> Response:
    encode = encoder(fields)
    return answer({"executions": [encode(branch.row) for branch in branches]})


async def show_report(api: Api, request: Request) -> Response:
    execution_id = require_uuid("id", request.arguments["id"])
    given = request.allow_parameters("errors_only", "max_depth", "statistics_only")
    errors_only = flag("errors_only", given.get("errors_only", ""))
    max_depth = whole_number("max_depth", given.get("max_depth", "-1"))
    state, created_at, workflow_id = await read_by_id(
        api.reader, EXECUTIONS, _CLOCK, execution_id, request.caller
    )
    average = None
    if state == RUNNING and workflow_id is not None:
        average = await average_duration(api.reader, workflow_id)
    left = report.estimate(state, created_at, api.now(), average)
    if flag("statistics_only", given.get("statistics_only", "")):
        counts = await count_tasks(api.reader, execution_id, max_depth, errors_only)
        return answer({"statistics": report.statistics(counts, left)})
    rows = await read_report(api.reader, execution_id, max_depth, errors_only)
    return answer(
        {
            "statistics": report.statistics(report.task_counts(rows), left),
            "root_workflow_execution": report.tree(rows, max_depth),
        }
    )
