"""Event triggers (REST endpoints, section 11)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.collections import list_objects, show_by_id
from tramontane.api.context import Api
from tramontane.api.definitions import event_trigger_data
from tramontane.api.encoding import answer, no_content
from tramontane.api.kinds import EVENT_TRIGGER_LIST
from tramontane.api.media import read_object
from tramontane.api.priorities import read_priority
from tramontane.api.request import Request
from tramontane.api.values_in import (
    Converter,
    checked,
    json_object,
    one_of,
    read_only,
    require_uuid,
    short_text,
    taking,
    text,
)
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError
from tramontane.service.event_triggers import EventChange, EventOrder
from tramontane.values import EMPTY


@taking({"type": ["string", "null"]})
def _uuid(name: str, value: Any) -> str | None:
    given = text(name, value)
    return require_uuid(name, given) if given else None


MODEL: Final[dict[str, Converter]] = {
    "name": short_text(200),
    "workflow_id": _uuid,
    "workflow_input": json_object,
    "workflow_params": json_object,
    "exchange": short_text(80),
    "topic": short_text(80),
    "event": short_text(80),
    "scope": one_of("private", "public"),
    **dict.fromkeys(("id", "created_at", "updated_at", "project_id"), read_only),
}
_FIXED: Final = ("exchange", "topic", "event")


async def list_event_triggers(api: Api, request: Request) -> Response:
    return await list_objects(api, request, EVENT_TRIGGER_LIST)


async def show_event_trigger(api: Api, request: Request) -> Response:
    require_uuid("id", request.arguments["id"])
    return await show_by_id(api, request, EVENT_TRIGGER_LIST)


async def create_event_trigger(api: Api, request: Request) -> Response:
    body = await _body(api, request)
    order = EventOrder(
        workflow_id=body.get("workflow_id") or "",
        exchange=body.get("exchange") or "",
        topic=body.get("topic") or "",
        event=body.get("event") or "",
        name=body.get("name") or "",
        input=body.get("workflow_input") or EMPTY,
        params=body.get("workflow_params") or EMPTY,
        scope=body.get("scope") or "private",
    )
    return answer(event_trigger_data(await api.services.event_triggers.create(request.caller, order)), 201)


async def update_event_trigger(api: Api, request: Request) -> Response:
    trigger_id = require_uuid("id", request.arguments["id"])
    body = await _body(api, request)
    for name in _FIXED:
        if body.get(name):
            raise BadRequestError(f"'{name}' of an event trigger can't be changed; create another trigger.")
    change = EventChange(
        name=body.get("name"),
        workflow_id=body.get("workflow_id"),
        input=body.get("workflow_input"),
        params=body.get("workflow_params"),
        scope=body.get("scope"),
    )
    changed = await api.services.event_triggers.update(request.caller, trigger_id, change)
    return answer(event_trigger_data(changed))


async def _body(api: Api, request: Request) -> dict[str, Any]:
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), MODEL)
    if body.get("scope") == "public":
        enforce(api.rules, "event_triggers:publicize", request.caller)
    read_priority(api, request, body.get("workflow_params"))
    return body


async def delete_event_trigger(api: Api, request: Request) -> Response:
    request.allow_parameters()
    trigger_id = require_uuid("id", request.arguments["id"])
    await api.services.event_triggers.delete(request.caller, trigger_id)
    return no_content()
