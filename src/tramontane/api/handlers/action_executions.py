"""Action executions: running an action, reporting its result, watching (REST endpoints, section 9)."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, list_objects
from tramontane.api.context import Api
from tramontane.api.encoding import answer, no_content
from tramontane.api.kinds import ACTION_EXECUTION_LIST
from tramontane.api.media import read_object
from tramontane.api.records import action_execution_data, unsaved_run_data
from tramontane.api.reported import finish_list, show_reported
from tramontane.api.request import Request
from tramontane.api.values_in import (
    Converter,
    anything,
    boolean,
    checked,
    json_object,
    json_value,
    short_text,
    text,
)
from tramontane.errors import BadRequestError, NotAllowedError
from tramontane.results import Result
from tramontane.service.services import RunOrder
from tramontane.states import COMPLETED, ERROR, SUCCESS
from tramontane.store.reads.objects import read_by_id
from tramontane.store.reads.resources import ACTION_EXECUTIONS
from tramontane.values import EMPTY, FrozenDict

_ATTRIBUTES: Final = (*ACTION_EXECUTIONS.by_name, "tags", "params")
RUN: Final[dict[str, Converter]] = {
    **dict.fromkeys(_ATTRIBUTES, anything),
    "name": short_text(255),
    "workflow_namespace": short_text(255),
    "description": text,
    "input": json_object,
    "params": json_object,
}
UPDATE: Final[dict[str, Converter]] = {
    **dict.fromkeys(_ATTRIBUTES, anything),
    "state": text,
    "output": json_value,
}
_ReportState = Literal["RUNNING", "PAUSED", "SUCCESS", "ERROR", "CANCELLED"]
_LONGEST_TIMEOUT: Final = 10**9
_REPORT_STATES: Final = ("SUCCESS", "ERROR", "CANCELLED", "PAUSED", "RUNNING")
_FOR_DELETE: Final = tuple(ACTION_EXECUTIONS.by_name[name] for name in ("task_execution_id", "state"))


async def list_action_executions(api: Api, request: Request) -> Response:
    return await list_objects(api, request, ACTION_EXECUTION_LIST, finish=finish_list)


async def show_action_execution(api: Api, request: Request) -> Response:
    fields, _ = chosen_fields(ACTION_EXECUTION_LIST, request.allow_parameters("fields").get("fields"))
    action_id = request.arguments["id"]
    row = await read_by_id(api.reader, ACTION_EXECUTIONS, fields, action_id, request.caller)
    shown = encoded(fields, row)
    await show_reported(api, [shown])
    return answer(shown)


async def run_action(api: Api, request: Request) -> Response:
    """Run an action outside of any workflow. One that fails is an answer like any other."""
    request.allow_parameters()
    order = _run_order(checked(read_object(request.headers, await request.body()), RUN))
    outcome = await api.services.action_executions.run(request.caller, order)
    if isinstance(outcome, Result):
        return answer(unsaved_run_data(order, outcome), 201)
    return answer(action_execution_data(outcome), 201)


def _run_order(body: dict[str, Any]) -> RunOrder:
    if not body.get("name"):
        raise BadRequestError("Please provide at least action name to run action.")
    params: FrozenDict = body.get("params") or EMPTY
    return RunOrder(
        name=body["name"],
        namespace=body.get("workflow_namespace") or "",
        input=body.get("input") or EMPTY,
        description=body.get("description"),
        run_sync=bool(boolean("params.run_sync", params.get("run_sync"))),
        save_result=bool(boolean("params.save_result", params.get("save_result"))),
        target=text("params.target", params.get("target")),
        timeout=_timeout(params.get("timeout")),
    )


def _timeout(given: Any) -> int | None:
    if given is None:
        return None
    if isinstance(given, str) and given.isascii() and given.isdigit():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= _LONGEST_TIMEOUT:
        raise BadRequestError(f"'params.timeout' must be a whole number of seconds, not {given!r}.")
    return given or None


async def update_action_execution(api: Api, request: Request) -> Response:
    """Report the result of an action that somebody else runs; or pause it, or let it go on."""
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), UPDATE)
    state = body.get("state")
    if state not in _REPORT_STATES:
        raise BadRequestError(
            f"The state of an action execution must be one of {', '.join(_REPORT_STATES)}, not {state}."
        )
    updated = await api.services.action_executions.update(
        request.caller,
        request.arguments["id"],
        cast("_ReportState", state),
        _reported(state, body.get("output")),
    )
    return answer(action_execution_data(updated))


def _reported(state: str, output: Any) -> Any:
    """What the result is when none was given."""
    if state == SUCCESS:
        return EMPTY if output is None else output
    if state == ERROR:
        return output or "Unknown error"
    return None


async def delete_action_execution(api: Api, request: Request) -> Response:
    request.allow_parameters()
    action_id = request.arguments["id"]
    task_id, state = await read_by_id(api.reader, ACTION_EXECUTIONS, _FOR_DELETE, action_id, request.caller)
    if not api.settings.allow_action_execution_deletion:
        raise NotAllowedError("Action execution deletion is not allowed.")
    if task_id is not None:
        raise NotAllowedError("Only ad-hoc action execution can be deleted.")
    if state not in COMPLETED:
        raise NotAllowedError("Only completed action execution can be deleted.")
    await api.services.action_executions.delete(request.caller, action_id)
    return no_content()
