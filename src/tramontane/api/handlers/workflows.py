"""Workflow definitions (REST endpoints, section 4)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, find_either, list_objects
from tramontane.api.context import Api
from tramontane.api.definitions import workflow_data
from tramontane.api.encoding import answer, definition_answer, no_content
from tramontane.api.handlers import uploads
from tramontane.api.kinds import WORKFLOW_LIST
from tramontane.api.request import Request

_RESOURCE: Final = "workflows"


async def list_workflows(api: Api, request: Request) -> Response:
    return await list_objects(api, request, WORKFLOW_LIST)


async def show_workflow(api: Api, request: Request) -> Response:
    given = request.allow_parameters("namespace", "fields")
    fields, _ = chosen_fields(WORKFLOW_LIST, given.get("fields"))
    row = await find_either(api, request, WORKFLOW_LIST, fields, given.get("namespace", ""))
    return answer(encoded(fields, row))


async def create_workflows(api: Api, request: Request) -> Response:
    options = uploads.upload_options(api, request, _RESOURCE)
    created = await api.services.workflows.create(request.caller, await uploads.document(request), options)
    items = [workflow_data(row) for row in created.rows]
    return definition_answer(uploads.warned({"workflows": items}, created.warnings), 201)


async def update_workflows(api: Api, request: Request) -> Response:
    """Update workflows by their names, or the one that ``identifier`` names."""
    options = uploads.upload_options(api, request, _RESOURCE, "identifier")
    identifier = request.arguments.get("identifier") or request.query.get("identifier")
    text = await uploads.document(request)
    if identifier:
        changed = await api.services.workflows.replace(request.caller, identifier, text, options)
        return definition_answer(uploads.warned(workflow_data(changed.rows[0]), changed.warnings), 200)
    changed = await api.services.workflows.update(request.caller, text, options)
    items = [workflow_data(row) for row in changed.rows]
    return definition_answer(uploads.warned({"workflows": items}, changed.warnings), 200)


async def delete_workflow(api: Api, request: Request) -> Response:
    namespace = request.allow_parameters("namespace").get("namespace", "")
    await api.services.workflows.delete(request.caller, request.arguments["identifier"], namespace)
    return no_content()


async def validate_workflows(api: Api, request: Request) -> Response:
    return await uploads.validate(api, request, "workflows")
