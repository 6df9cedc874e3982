"""Dynamic actions: actions of uploaded code (REST endpoints, section 14)."""

# ruff: noqa: ARG001 (handlers have one signature, whatever they need of it)
from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, find_either, list_objects
from tramontane.api.context import Api
from tramontane.api.definitions import dynamic_action_data
from tramontane.api.encoding import answer, no_content
from tramontane.api.kinds import DYNAMIC_ACTION_LIST
from tramontane.api.media import read_object
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, anything, checked, one_of, read_only, short_text, text
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError
from tramontane.service.code import DynamicOrder
from tramontane.service.uploaded_code import LONGEST_CLASS_NAME
from tramontane.store.reads.resources import DYNAMIC_ACTIONS

MODEL: Final[dict[str, Converter]] = {
    **dict.fromkeys(DYNAMIC_ACTIONS.by_name, anything),
    "id": text,
    "name": short_text(255),
    "namespace": short_text(255),
    "class_name": short_text(LONGEST_CLASS_NAME),
    "code_source_id": text,
    "code_source_name": text,
    "scope": one_of("private", "public"),
    "project_id": read_only,
}


async def list_dynamic_actions(api: Api, request: Request) -> Response:
    return await list_objects(api, request, DYNAMIC_ACTION_LIST)


async def show_dynamic_action(api: Api, request: Request) -> Response:
    given = request.allow_parameters("namespace", "fields")
    fields, _ = chosen_fields(DYNAMIC_ACTION_LIST, given.get("fields"))
    row = await find_either(api, request, DYNAMIC_ACTION_LIST, fields, given.get("namespace", ""))
    return answer(encoded(fields, row))


async def create_dynamic_action(api: Api, request: Request) -> Response:
    body = await _body(api, request)
    created = await api.services.dynamic_actions.create(request.caller, _order(body))
    return answer(dynamic_action_data(created), 201)


async def update_dynamic_action(api: Api, request: Request) -> Response:
    """Change the action that the body names by ``id`` or ``name``."""
    body = await _body(api, request)
    identifier = body.get("id") or body.get("name")
    if not identifier:
        raise BadRequestError("The body must name the dynamic action by 'id' or 'name'.")
    changed = await api.services.dynamic_actions.update(request.caller, identifier, _order(body))
    return answer(dynamic_action_data(changed))


async def no_update_by_path(api: Api, request: Request) -> Response:
    raise BadRequestError("A dynamic action is updated at /v2/dynamic_actions; the body names it.")


async def _body(api: Api, request: Request) -> dict[str, Any]:
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), MODEL)
    if body.get("scope") == "public":
        enforce(api.rules, "dynamic_actions:publicize", request.caller)
    return body


def _order(body: dict[str, Any]) -> DynamicOrder:
    return DynamicOrder(
        name=body.get("name"),
        class_name=body.get("class_name"),
        source=body.get("code_source_id") or body.get("code_source_name"),
        namespace=body.get("namespace") or "",
        scope=body.get("scope"),
    )


async def delete_dynamic_action(api: Api, request: Request) -> Response:
    namespace = request.allow_parameters("namespace").get("namespace", "")
    await api.services.dynamic_actions.delete(request.caller, request.arguments["identifier"], namespace)
    return no_content()
