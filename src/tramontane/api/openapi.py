"""The API described to programs: an OpenAPI 3.1 document, made of the tables that the API works by.

Paths and who may call them come from the routes, parameters of lists and bodies from what checks
them, attributes from the fields that are read; :mod:`tramontane.api.operations` says what belongs
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tramontane.api.event_stream import MEDIA
from tramontane.api.listing import ListKind
from tramontane.api.operations import HEADERS, OPERATIONS, PARAMETERS, Model, Operation
from tramontane.api.routing import Endpoint
from tramontane.api.schemas import SCHEMAS, TEXT, Schema, ref
from tramontane.api.values_in import schema_of
from tramontane.store.reads.fields import Field

_JSON: Final = "application/json"
_FILTER_MEANINGS: Final = {
    "text": "a text",
    "uuid": "a UUID",
    "json": "a JSON object, compared as a whole",
    "time": "a time such as 2026-01-31 23:59:59 (UTC)",
    "bool": "true or false",
    "int": "a whole number",
    "tags": "tags with commas between them, all of which must be there",
}
_STATUSES: Final[Mapping[int, str]] = {
    200: "Done.",
    201: "Created.",
    204: "Done; there is nothing to tell.",
    400: "The request can't be taken; `faultstring` says why.",
    401: "It isn't known who is calling.",
    403: "The caller may not do this.",
    404: "There is no such thing, or none that the caller may see.",
    406: "The client doesn't accept what would be answered.",
    409: "The name, id or key is used already.",
    413: "The body is larger than the server allows.",
    415: "Bodies of this media type aren't taken.",
    423: "The service is in maintenance.",
    500: "The service failed; its log has more.",
    503: "Nothing was accepted; try again after `Retry-After` seconds.",
}
_ERROR_STATUSES: Final = tuple(status for status in _STATUSES if status >= 400)
_WITHOUT_QUERY: Final = frozenset({"/", "/v2", "/v2/openapi.json", "/healthz", "/readyz"})
"""Endpoints that don't look at parameters."""


def document(routes: Mapping[str, Mapping[str, Endpoint]]) -> dict[str, Any]:
    """Write the document for these routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tramontane",
            "summary": "A durable workflow service, compatible with the REST API (v2) of OpenStack Mistral.",
            "version": "2.0",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {
            path: {
                method.lower(): _operation(path, operation, routes[path][method], operation_id)
                for method, operation, operation_id in operations
            }
            for path, operations in _named(routes).items()
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "What the identity service gave the caller. Not asked for where "
                    "authentication is switched off.",
                }
            },
            "schemas": dict(SCHEMAS),
            "parameters": {name: _parameter(name) for name in PARAMETERS},
            "responses": {str(status): _error(status) for status in _ERROR_STATUSES},
        },
    }


def _named(
    routes: Mapping[str, Mapping[str, Endpoint]],
) -> dict[str, list[tuple[str, Operation, str]]]:
    """Name the operations after their handlers; where one has several, also after what differs."""
    found: dict[str, list[tuple[str, Operation, str]]] = {}
    taken: set[str] = set()
    for path, operations in OPERATIONS.items():
        for method, operation in operations.items():
            name = routes[path][method].handler.__name__
            if name in taken:
                name = f"{name}_by_{path.rpartition('{')[2].rstrip('}')}"
            taken.add(name)
            found.setdefault(path, []).append((method, operation, name))
    return found


def _operation(path: str, operation: Operation, endpoint: Endpoint, operation_id: str) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation_id, "summary": operation.summary}
    parameters = [
        *_path_parameters(path),
        *_list_parameters(operation.lists),
        *_parameters(operation),
        *_headers(operation),
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.document:
        content: dict[str, Any] = {"text/plain": {"schema": TEXT}}
        described["requestBody"] = {
            "required": True,
            "description": f"{operation.document} In UTF-8; the media type is ignored.",
            "content": content,
        }
    elif operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": _body(operation.body, operation.required)}},
        }
    described["responses"] = _responses(path, operation, endpoint)
    if endpoint.is_public:
        described["security"] = []
    return described


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for part in path.split("/"):
        if part.startswith("{"):
            schema = {**TEXT, "minLength": 1}
            yield {"name": part[1:-1], "in": "path", "required": True, "schema": schema}


def _list_parameters(kind: ListKind | None) -> Iterator[dict[str, Any]]:
    if kind is None:
        return
    filters = kind.filters
    for name in kind.parameters:
        yield _filter(kind.resource.by_name[name]) if name in filters else _shared("parameters", name)


def _filter(item: Field) -> dict[str, Any]:
    meaning = f"Only those of this value: {_FILTER_MEANINGS[item.kind]}; or `operator:value`."
    return {"name": item.name, "in": "query", "schema": TEXT, "description": meaning}


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in operation.parameters:
        if name == "name":  # what is created by its name alone must have one
            yield {**_parameter(name), "required": True}
        else:
            yield _shared("parameters", name)


def _shared(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _parameter(name: str) -> dict[str, Any]:
    schema, meaning = PARAMETERS[name]
    return {"name": name, "in": "query", "schema": schema, "description": meaning}


def _headers(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in operation.headers:
        schema, meaning = HEADERS[name]
        yield {"name": name, "in": "header", "schema": schema, "description": meaning}


def _body(model: Model, required: tuple[str, ...]) -> dict[str, Any]:
    found = {name: schema_of(convert) for name, convert in model.items()}
    taken = {name: schema for name, schema in found.items() if schema is not None}
    described: dict[str, Any] = {"type": "object", "properties": taken, "additionalProperties": False}
    return {**described, "required": list(required)} if required else described


def _responses(path: str, operation: Operation, endpoint: Endpoint) -> dict[str, Any]:
    answers: dict[int, Schema | None] = {operation.status: operation.answer, **operation.also}
    responses: dict[str, Any] = {}
    for status, schema in sorted(answers.items()):
        responses[str(status)] = {"description": _STATUSES[status]}
        if schema is not None:
            media = MEDIA if operation.streams else _JSON
            responses[str(status)]["content"] = {media: {"schema": schema}}
    for status in sorted(_errors(path, operation, endpoint)):
        responses[str(status)] = _shared("responses", str(status))
    return responses


def _error(status: int) -> dict[str, Any]:
    return {"description": _STATUSES[status], "content": {_JSON: {"schema": ref("Error")}}}


def _errors(path: str, operation: Operation, endpoint: Endpoint) -> set[int]:
    """The statuses with which an endpoint may refuse."""
    statuses = {406, 415, 503, *operation.errors}
    if path not in _WITHOUT_QUERY:
        statuses.add(400)
    if not endpoint.is_public:
        statuses |= {401} if endpoint.rule is None else {401, 403}
    if "{" in path or operation.lists is not None:
        statuses.add(404)
    if operation.status != 200 or operation.body is not None or operation.document:
        statuses.add(423)
    if operation.body is not None or operation.document:
        statuses.add(413)
    return statuses
