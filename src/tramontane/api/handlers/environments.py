"""Environments (REST endpoints, section 12)."""

# ruff: noqa: ARG001 (handlers have one signature, whatever they need of it)
from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, list_objects
from tramontane.api.context import Api
from tramontane.api.definitions import environment_data
from tramontane.api.encoding import answer, no_content
from tramontane.api.kinds import ENVIRONMENT_LIST
from tramontane.api.media import read_object
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, checked, json_object, one_of, short_text, text
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError
from tramontane.service.environments import EnvironmentContent
from tramontane.store.reads.objects import read_by_name
from tramontane.store.reads.resources import ENVIRONMENTS

MODEL: Final[dict[str, Converter]] = {
    "name": short_text(200),
    "description": text,
    "variables": json_object,
    "scope": one_of("private", "public"),
}


async def list_environments(api: Api, request: Request) -> Response:
    return await list_objects(api, request, ENVIRONMENT_LIST)


async def show_environment(api: Api, request: Request) -> Response:
    fields, _ = chosen_fields(ENVIRONMENT_LIST, request.allow_parameters("fields").get("fields"))
    name = request.arguments["name"]
    return answer(
        encoded(fields, await read_by_name(api.reader, ENVIRONMENTS, fields, name, None, request.caller))
    )


async def create_environment(api: Api, request: Request) -> Response:
    body = await _body(api, request)
    created = await api.services.environments.create(
        request.caller, body.get("name"), EnvironmentContent.of(body)
    )
    data = environment_data(created)
    # What wasn't sent is absent here, which the command line shows differently from null.
    for name in ("description", "variables"):
        if name not in body:
            del data[name]
    return answer(data, 201)


async def update_environment(api: Api, request: Request) -> Response:
    body = await _body(api, request)
    changed = await api.services.environments.update(
        request.caller, body.get("name"), EnvironmentContent.of(body)
    )
    return answer(environment_data(changed))


async def _body(api: Api, request: Request) -> dict[str, Any]:
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), MODEL)
    if body.get("scope") == "public":
        enforce(api.rules, "environments:publicize", request.caller)
    return body


async def no_update_by_path(api: Api, request: Request) -> Response:
    raise BadRequestError("An environment is updated at /v2/environments; its name is in the body.")


async def delete_environment(api: Api, request: Request) -> Response:
    request.allow_parameters()
    await api.services.environments.delete(request.caller, request.arguments["name"])
    return no_content()
