"""Workbooks (REST endpoints, section 3)."""

# ruff: noqa: ARG001 (handlers have one signature, whatever they need of it)
from __future__ import annotations

from typing import Final

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, list_objects
from tramontane.api.context import Api
from tramontane.api.definitions import workbook_data
from tramontane.api.encoding import answer, definition_answer, no_content
from tramontane.api.faults import HttpError
from tramontane.api.handlers import uploads
from tramontane.api.kinds import WORKBOOK_LIST
from tramontane.api.request import Request
from tramontane.store.reads.objects import read_by_name
from tramontane.store.reads.resources import WORKBOOKS

_RESOURCE: Final = "workbooks"


async def list_workbooks(api: Api, request: Request) -> Response:
    return await list_objects(api, request, WORKBOOK_LIST)


async def show_workbook(api: Api, request: Request) -> Response:
    given = request.allow_parameters("namespace", "fields")
    fields, _ = chosen_fields(WORKBOOK_LIST, given.get("fields"))
    row = await read_by_name(
        api.reader,
        WORKBOOKS,
        fields,
        request.arguments["name"],
        given.get("namespace", ""),
        request.caller,
    )
    return answer(encoded(fields, row))


async def create_workbook(api: Api, request: Request) -> Response:
    options = uploads.upload_options(api, request, _RESOURCE)
    created = await api.services.workbooks.create(request.caller, await uploads.document(request), options)
    return definition_answer(uploads.warned(workbook_data(created.rows[0]), created.warnings), 201)


async def update_workbook(api: Api, request: Request) -> Response:
    options = uploads.upload_options(api, request, _RESOURCE)
    changed = await api.services.workbooks.update(request.caller, await uploads.document(request), options)
    return definition_answer(uploads.warned(workbook_data(changed.rows[0]), changed.warnings), 200)


async def no_update_by_path(api: Api, request: Request) -> Response:
    raise HttpError(404, "A workbook is updated at /v2/workbooks; its name is in the document.")


async def delete_workbook(api: Api, request: Request) -> Response:
    namespace = request.allow_parameters("namespace").get("namespace", "")
    await api.services.workbooks.delete(request.caller, request.arguments["name"], namespace)
    return no_content()


async def validate_workbook(api: Api, request: Request) -> Response:
    return await uploads.validate(api, request, "workbook")
