"""Code sources: uploaded Python modules (REST endpoints, section 13).

Query parameters that nobody knows are let through here, as clients of Mistral may send some.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, find_either, list_objects
from tramontane.api.context import Api
from tramontane.api.definitions import code_source_data
from tramontane.api.encoding import answer, no_content
from tramontane.api.handlers import uploads
from tramontane.api.kinds import CODE_SOURCE_LIST
from tramontane.api.request import Request
from tramontane.api.values_in import one_of, short_text
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError
from tramontane.store.reads.resources import CODE_SOURCES

_name = short_text(255)
_scope = one_of("private", "public")


@dataclass(frozen=True, slots=True)
class _Options:
    namespace: str
    scope: str


def _options(api: Api, request: Request) -> _Options:
    namespace = _name("namespace", request.query.get("namespace")) or ""
    scope = _scope("scope", request.query.get("scope") or None) or "private"
    if scope == "public":
        enforce(api.rules, "code_sources:publicize", request.caller)
    return _Options(namespace, scope)


async def list_code_sources(api: Api, request: Request) -> Response:
    return await list_objects(api, request, CODE_SOURCE_LIST)


async def show_code_source(api: Api, request: Request) -> Response:
    given = request.allow_parameters("namespace", "fields")
    fields, _ = chosen_fields(CODE_SOURCE_LIST, given.get("fields"))
    if fields is CODE_SOURCES.fields:
        fields = CODE_SOURCES.list_fields
    row = await find_either(api, request, CODE_SOURCE_LIST, fields, given.get("namespace", ""))
    return answer(encoded(fields, row))


async def create_code_source(api: Api, request: Request) -> Response:
    options = _options(api, request)
    name = _name("name", request.query.get("name"))
    if not name:
        raise BadRequestError("The parameter 'name' must give the code source's name.")
    content = await uploads.document(request)
    created = await api.services.code_sources.create(
        request.caller, name, content, options.namespace, options.scope
    )
    return answer(uploads.warned(code_source_data(created.rows[0]), created.warnings), 201)


async def update_code_source(api: Api, request: Request) -> Response:
    """Replace the text of the code source that the path or ``identifier`` names."""
    options = _options(api, request)
    identifier = request.arguments.get("identifier") or request.query.get("identifier")
    if not identifier:
        raise BadRequestError("The parameter 'identifier' must give the code source's id or name.")
    content = await uploads.document(request)
    changed = await api.services.code_sources.update(
        request.caller, identifier, content, options.namespace, options.scope
    )
    return answer(uploads.warned(code_source_data(changed.rows[0]), changed.warnings))


async def delete_code_source(api: Api, request: Request) -> Response:
    namespace = request.allow_parameters("namespace").get("namespace", "")
    await api.services.code_sources.delete(request.caller, request.arguments["identifier"], namespace)
    return no_content()
