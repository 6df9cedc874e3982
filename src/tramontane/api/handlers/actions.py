"""Actions: installed ones, and those that people define (REST endpoints, section 6)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from tramontane.api.action_list import action_page, brought_data, dynamic_data, installed_data, stored_data
from tramontane.api.context import Api
from tramontane.api.definitions import action_data
from tramontane.api.encoding import answer, definition_answer, no_content
from tramontane.api.handlers import uploads
from tramontane.api.request import Request
from tramontane.api.values_in import is_uuid
from tramontane.errors import NotFoundError
from tramontane.store.reads.fields import Resource
from tramontane.store.reads.objects import Row, not_found, read_by_id, read_by_name
from tramontane.store.reads.resources import ACTIONS, CODE_ACTIONS

_RESOURCE: Final = "actions"


async def list_actions(api: Api, request: Request) -> Response:
    return await action_page(api, request)


async def show_action(api: Api, request: Request) -> Response:
    """Show an action: an ad-hoc one by name (in its namespace, then in the default one) or id, a dynamic,
    an installed one or one of workers by name."""
    given = request.allow_parameters("namespace", "fields")
    identifier = request.arguments["identifier"]
    namespace = request.arguments.get("namespace", given.get("namespace", ""))
    row = await _stored(api, request, identifier, namespace)
    if row is not None:
        return answer(stored_data(row))
    code = await _named(api, request, CODE_ACTIONS, identifier, namespace)
    if code is not None:
        return answer(await dynamic_data(api, code))
    installed = api.services.registry.find(identifier)
    if installed is not None:
        return answer(installed_data(installed))
    brought = await brought_data(api, request.caller, identifier)
    if brought is None:
        raise not_found(ACTIONS, identifier, namespace)
    return answer(brought)


async def _stored(api: Api, request: Request, identifier: str, namespace: str) -> Row | None:
    found = await _named(api, request, ACTIONS, identifier, namespace)
    if found is not None:
        return found
    if is_uuid(identifier):
        try:
            return await read_by_id(api.reader, ACTIONS, ACTIONS.fields, identifier, request.caller)
        except NotFoundError:
            return None
    return None


async def _named(api: Api, request: Request, resource: Resource, name: str, namespace: str) -> Row | None:
    for place in dict.fromkeys((namespace, "")):
        try:
            return await read_by_name(api.reader, resource, resource.fields, name, place, request.caller)
        except NotFoundError:
            continue
    return None


async def create_actions(api: Api, request: Request) -> Response:
    options = uploads.upload_options(api, request, _RESOURCE)
    created = await api.services.actions.create(request.caller, await uploads.document(request), options)
    items = [action_data(row) for row in created.rows]
    return definition_answer(uploads.warned({"actions": items}, created.warnings), 201)


async def update_actions(api: Api, request: Request) -> Response:
    """Update actions by their names, or the one that the path names; the answer is always a list."""
    options = uploads.upload_options(api, request, _RESOURCE, "identifier")
    identifier = request.arguments.get("identifier") or request.query.get("identifier")
    text = await uploads.document(request)
    if identifier:
        changed = await api.services.actions.replace(request.caller, identifier, text, options)
    else:
        changed = await api.services.actions.update(request.caller, text, options)
    items = [action_data(row) for row in changed.rows]
    return definition_answer(uploads.warned({"actions": items}, changed.warnings), 200)


async def delete_action(api: Api, request: Request) -> Response:
    given = request.allow_parameters("namespace")
    namespace = request.arguments.get("namespace", given.get("namespace", ""))
    await api.services.actions.delete(request.caller, request.arguments["identifier"], namespace)
    return no_content()


async def validate_actions(api: Api, request: Request) -> Response:
    return await uploads.validate(api, request, "actions")
