"""Cron triggers (REST endpoints, section 10)."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, find_either, list_objects
from tramontane.api.context import Api
from tramontane.api.definitions import cron_trigger_data
from tramontane.api.encoding import answer, no_content
from tramontane.api.kinds import CRON_TRIGGER_LIST
from tramontane.api.media import json_type, read_object
from tramontane.api.priorities import read_priority
from tramontane.api.request import Request
from tramontane.api.values_in import (
    Converter,
    anything,
    checked,
    json_object,
    one_of,
    positive,
    read_only,
    short_text,
    taking,
    text,
)
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError
from tramontane.service.cron_triggers import CronOrder
from tramontane.service.schedule import LONGEST_PATTERN
from tramontane.store.reads.resources import CRON_TRIGGERS
from tramontane.values import EMPTY

_EPOCH: Final = dt.datetime(1970, 1, 1)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


@taking({"type": ["string", "null"], "pattern": r"^\d{4}-\d\d?-\d\d? \d\d?:\d\d?$"})
def _first_time(name: str, value: Any) -> int | None:
    """A time in whole minutes (UTC), in microseconds since 1970."""
    if value is None:
        return None
    try:
        moment = dt.datetime.strptime(value, "%Y-%m-%d %H:%M")
    except (TypeError, ValueError):
        shown = f"'{value}'" if isinstance(value, str) else json_type(value)
        raise BadRequestError(
            f"'{name}' must be a time in the form YYYY-MM-DD HH:MM (UTC), not {shown}."
        ) from None
    return (moment - _EPOCH) // _MICROSECOND


MODEL: Final[dict[str, Converter]] = {
    **dict.fromkeys(CRON_TRIGGERS.by_name, anything),
    "name": short_text(200),
    "workflow_id": text,
    "workflow_name": text,
    "workflow_input": json_object,
    "workflow_params": json_object,
    "pattern": short_text(LONGEST_PATTERN),
    "first_execution_time": _first_time,
    "remaining_executions": positive,
    "scope": one_of("private", "public"),
    "project_id": read_only,
}


async def list_cron_triggers(api: Api, request: Request) -> Response:
    return await list_objects(api, request, CRON_TRIGGER_LIST)


async def show_cron_trigger(api: Api, request: Request) -> Response:
    fields, _ = chosen_fields(CRON_TRIGGER_LIST, request.allow_parameters("fields").get("fields"))
    return answer(encoded(fields, await find_either(api, request, CRON_TRIGGER_LIST, fields)))


async def create_cron_trigger(api: Api, request: Request) -> Response:
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), MODEL)
    if body.get("scope") == "public":
        enforce(api.rules, "cron_triggers:publicize", request.caller)
    read_priority(api, request, body.get("workflow_params"))
    order = CronOrder(
        name=body.get("name"),
        workflow=body.get("workflow_id") or body.get("workflow_name"),
        input=body.get("workflow_input") or EMPTY,
        params=body.get("workflow_params") or EMPTY,
        pattern=body.get("pattern"),
        first_time=body.get("first_execution_time"),
        count=body.get("remaining_executions"),
        scope=body.get("scope") or "private",
    )
    return answer(cron_trigger_data(await api.services.cron_triggers.create(request.caller, order)), 201)


async def delete_cron_trigger(api: Api, request: Request) -> Response:
    request.allow_parameters()
    await api.services.cron_triggers.delete(request.caller, request.arguments["identifier"])
    return no_content()
