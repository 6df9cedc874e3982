"""Sharing of workflows (REST endpoints, section 5)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.definitions import member_data
from tramontane.api.encoding import answer, no_content
from tramontane.api.media import read_object
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, anything, checked, one_of, require_uuid, short_text
from tramontane.auth import NoAuthentication
from tramontane.errors import BadRequestError
from tramontane.service.members import STATUSES
from tramontane.store.definition_records import MemberRow

MODEL: Final[dict[str, Converter]] = {
    **dict.fromkeys(MemberRow.__slots__, anything),
    "member_id": short_text(80),
}
ANSWER: Final[dict[str, Converter]] = {**MODEL, "status": one_of(*STATUSES)}


def _workflow_id(api: Api, request: Request) -> str:
    """The workflow of the path; without authentication there is nobody to share it with."""
    if isinstance(api.authenticator, NoAuthentication):
        raise BadRequestError("Sharing workflows needs authentication, which is switched off here.")
    request.allow_parameters()
    return require_uuid("workflow id", request.arguments["identifier"])


async def list_members(api: Api, request: Request) -> Response:
    rows = await api.services.members.shares(request.caller, _workflow_id(api, request))
    return answer({"members": [_shown(row) for row in rows]})


async def show_member(api: Api, request: Request) -> Response:
    workflow_id = _workflow_id(api, request)
    row = await api.services.members.find(request.caller, workflow_id, request.arguments["member_id"])
    return answer(_shown(row))


def _shown(row: MemberRow) -> dict[str, Any]:
    return {"updated_at": None, **member_data(row)}


async def create_member(api: Api, request: Request) -> Response:
    workflow_id = _workflow_id(api, request)
    body = checked(read_object(request.headers, await request.body()), MODEL)
    if not body.get("member_id"):
        raise BadRequestError("'member_id' must name the project to share the workflow with.")
    row = await api.services.members.share(request.caller, workflow_id, body["member_id"])
    return answer(member_data(row), 201)


async def update_member(api: Api, request: Request) -> Response:
    workflow_id = _workflow_id(api, request)
    body = checked(read_object(request.headers, await request.body()), ANSWER)
    if not body.get("status"):
        raise BadRequestError(f"'status' must be one of {', '.join(STATUSES)}.")
    member_id = request.arguments["member_id"]
    row = await api.services.members.answer(request.caller, workflow_id, member_id, body["status"])
    return answer(_shown(row))


async def delete_member(api: Api, request: Request) -> Response:
    workflow_id = _workflow_id(api, request)
    await api.services.members.withdraw(request.caller, workflow_id, request.arguments["member_id"])
    return no_content()
