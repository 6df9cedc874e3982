"""Executions: starting, watching, changing, deleting (REST endpoints, section 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, list_objects
from tramontane.api.context import Api
from tramontane.api.encoding import answer, no_content
from tramontane.api.handlers.results import add_results
from tramontane.api.kinds import EXECUTION_LIST, EXECUTION_TASK_LIST
from tramontane.api.listing import read_condition
from tramontane.api.media import json_type, read_object
from tramontane.api.priorities import read_priority
from tramontane.api.records import execution_data, started_data
from tramontane.api.request import Request
from tramontane.api.values_in import (
    Converter,
    anything,
    checked,
    flag,
    json_object,
    read_only,
    require_uuid,
    short_text,
    text,
)
from tramontane.errors import BadRequestError
from tramontane.service.services import ExecutionChange, StartOrder
from tramontane.states import COMPLETED
from tramontane.store.reads.executions import PARKED
from tramontane.store.reads.objects import read_by_id
from tramontane.store.reads.resources import EXECUTIONS, TASKS
from tramontane.values import FrozenDict

START: Final[dict[str, Converter]] = {
    "id": short_text(36),
    "workflow_id": text,
    "workflow_name": text,
    "workflow_namespace": text,
    "input": json_object,
    "params": json_object,
    "description": short_text(255),
    "source_execution_id": text,
    "project_id": read_only,
    **dict.fromkeys(
        (
            "tags",
            "task_execution_id",
            "root_execution_id",
            "state",
            "state_info",
            "output",
            "created_at",
            "updated_at",
            "published_global",
        ),
        anything,
    ),
}

CHANGE: Final[dict[str, Converter]] = {
    **dict.fromkeys(START, anything),
    "state": text,
    "state_info": text,
    "description": short_text(255),
    "params": json_object,
    "project_id": read_only,
}
_STATES: Final = ("RUNNING", "PAUSED", "SUCCESS", "ERROR", "CANCELLED")
_WITHOUT_GLOBALS: Final = tuple(item for item in EXECUTIONS.fields if item.name != "published_global")
_WITH_REASON: Final = (*EXECUTIONS.fields, PARKED)
_STATE: Final = (EXECUTIONS.by_name["state"],)
_LONGEST_KEY: Final = 255
_KEY: Final = re.compile(rf"[ -~]{{1,{_LONGEST_KEY}}}")


async def list_executions(api: Api, request: Request) -> Response:
    return await list_objects(api, request, EXECUTION_LIST)


async def show_execution(api: Api, request: Request) -> Response:
    """Show one execution; with ``wait`` as soon as it is completed, or when those seconds are over.

    One that nobody can run any more says why under ``parked``.
    """
    given = request.allow_parameters("fields", "wait")
    fields, _ = chosen_fields(EXECUTION_LIST, given.get("fields"))
    execution_id = request.arguments["id"]
    seconds = _seconds(api, given.get("wait"))
    if seconds:
        (state,) = await read_by_id(api.reader, EXECUTIONS, _STATE, execution_id, request.caller)
        if state not in COMPLETED:
            await api.services.executions.wait(execution_id, seconds)
    if fields is EXECUTIONS.fields:
        fields = _WITH_REASON
    execution = encoded(
        fields, await read_by_id(api.reader, EXECUTIONS, fields, execution_id, request.caller)
    )
    if execution.get("parked", "") is None:
        del execution["parked"]
    return answer(execution)


def _seconds(api: Api, given: str | None) -> float:
    """How long a caller wants to wait, cut to what the server allows."""
    if given is None:
        return 0.0
    try:
        seconds = float(given)
    except ValueError:
        raise BadRequestError(f"'wait' must be a number of seconds, not '{given}'.") from None
    if not 0 <= seconds < float("inf"):
        raise BadRequestError(f"'wait' must be a number of seconds from 0 on, not '{given}'.")
    return min(seconds, api.settings.max_wait_seconds)


async def start_execution(api: Api, request: Request) -> Response:
    """Start a workflow; with ``wait`` the answer comes when it is completed, or after those seconds.

    What was started before under the same id or ``Idempotency-Key`` is shown as it is now.
    """
    given = request.allow_parameters("wait")
    seconds = _seconds(api, given.get("wait"))
    body = checked(read_object(request.headers, await request.body()), START)
    workflow = body.get("workflow_id") or body.get("workflow_name")
    source = body.get("source_execution_id") or None
    read_priority(api, request, body.get("params"))
    if not workflow and not source:
        raise BadRequestError(
            "Workflow ID or workflow name must be provided. Workflow namespace is recommended."
        )
    order = StartOrder(
        # A name beside a source doesn't change which workflow runs.
        workflow=body.get("workflow_id") or (None if source else body.get("workflow_name")) or None,
        namespace=body.get("workflow_namespace"),
        input=body.get("input"),
        params=body.get("params"),
        description=body.get("description", ""),
        execution_id=body.get("id") or None,
        source_id=source,
        key=_key(request, body),
    )
    started = await api.services.executions.start(request.caller, order)
    if started.is_new and not seconds:
        return answer(started_data(started.execution), 201)
    if seconds and (started.is_new or started.execution.state not in COMPLETED):
        await api.services.executions.wait(started.execution.id, seconds)
    row = await read_by_id(api.reader, EXECUTIONS, _WITHOUT_GLOBALS, started.execution.id, request.caller)
    return answer(encoded(_WITHOUT_GLOBALS, row), 201)


def _key(request: Request, body: Mapping[str, Any]) -> str | None:
    """The key under which the start happens at most once."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    key = given.strip()
    if not _KEY.fullmatch(key):
        raise BadRequestError(
            f"The header Idempotency-Key must hold 1 to {_LONGEST_KEY} characters of visible ASCII."
        )
    if body.get("id"):
        raise BadRequestError("Give the execution an 'id' or the header Idempotency-Key, not both.")
    return key


async def change_execution(api: Api, request: Request) -> Response:
    """Change state, description or environment; the checks come in the order of the specification."""
    request.allow_parameters()
    raw = read_object(request.headers, await request.body())
    execution_id = request.arguments["id"]
    await read_by_id(api.reader, EXECUTIONS, _STATE, execution_id, request.caller)
    body = checked(raw, CHANGE)
    params = body.get("params") or FrozenDict()
    change = ExecutionChange(
        state=body.get("state") or None,
        state_info=body.get("state_info"),
        description=body.get("description") or None,
        env=_env(params),
        priority=read_priority(api, request, params),
        recursive=bool(params.get("recursive_terminate")),
        force=bool(params.get("force_cancel")),
    )
    _check_change(change)
    return answer(execution_data(await api.services.executions.change(request.caller, execution_id, change)))


def _env(params: FrozenDict) -> FrozenDict | None:
    env = params.get("env")
    if not env:
        return None
    if not isinstance(env, FrozenDict):
        raise BadRequestError(f"'params.env' must be an object, not {json_type(env)}.")
    return env


def _check_change(change: ExecutionChange) -> None:
    if (change.state, change.description, change.env, change.priority) == (None, None, None, None):
        raise BadRequestError("The property state, description, or env is not provided for update.")
    if change.state is None:
        return
    if change.priority is not None:
        raise BadRequestError("The priority must be updated separately from state.")
    if change.description is not None:
        raise BadRequestError("The description must be updated separately from state.")
    if change.env is not None and change.state != "RUNNING":
        raise BadRequestError("The env can only be changed together with the state RUNNING, or alone.")
    if change.state not in _STATES:
        raise BadRequestError(
            f"Cannot change state to {change.state}. Allowed states are: {', '.join(_STATES)}."
        )


async def delete_execution(api: Api, request: Request) -> Response:
    force = flag("force", request.allow_parameters("force").get("force", ""))
    execution_id = request.arguments["id"]
    await read_by_id(api.reader, EXECUTIONS, _STATE, execution_id, request.caller)
    await api.services.executions.delete(request.caller, execution_id, force)
    return no_content()


async def list_execution_tasks(api: Api, request: Request) -> Response:
    execution_id = require_uuid("id", request.arguments["id"])
    await read_by_id(api.reader, EXECUTIONS, _STATE, execution_id, request.caller)
    fixed = read_condition(TASKS.by_name["workflow_execution_id"], execution_id)
    return await list_objects(api, request, EXECUTION_TASK_LIST, fixed=(fixed,), finish=add_results)
