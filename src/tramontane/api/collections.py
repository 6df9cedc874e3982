"""What the list and the single read of every resource have in common."""

# ruff: noqa: ARG001 (handlers have one signature, whatever they need of it)
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer, encoder, page
from tramontane.api.listing import ListKind, ListRequest, next_link, parse, words
from tramontane.api.request import Request
from tramontane.api.values_in import is_uuid
from tramontane.auth import Caller
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError, NotFoundError
from tramontane.store.reads.fields import Field
from tramontane.store.reads.listing import Condition
from tramontane.store.reads.objects import Row, read_by_id, read_by_name, read_page
from tramontane.store.reads.visibility import Viewer

Items = list[dict[str, Any]]
Finish = Callable[[Api, ListRequest, Items], Awaitable[None]]
"""Adds what no column holds to the items of a page."""


@dataclass(frozen=True, slots=True)
class _Everybody:
    """Sees the objects of all projects without being an administrator."""

    project_id: str
    is_admin: bool = True


async def list_objects(
    api: Api,
    request: Request,
    kind: ListKind,
    *,
    fixed: Iterable[Condition] = (),
    finish: Finish | None = None,
) -> Response:
    """Answer a list request; ``fixed`` conditions come from the path."""
    asked = parse(kind, request.query, api.settings.max_limit, fixed)
    viewer = _viewer(api, request.caller, kind, asked)
    found = await read_page(api.reader, kind.resource, asked.query, viewer, asked.wants_total)
    encode = encoder(asked.query.fields)
    items = [encode(row) for row in found.rows]
    link = _next(request, kind, asked, items) if items else None
    if finish is not None:
        await finish(api, asked, items)
    return page(kind.collection, items, link, found.total)


def _viewer(api: Api, caller: Caller, kind: ListKind, asked: ListRequest) -> Viewer:
    for name, rule in kind.guarded.items():
        if name in asked.used and asked.switches.get(name, True):
            enforce(api.rules, rule, caller)
    return _Everybody(caller.project_id) if asked.switches.get("all_projects") else caller


def _next(request: Request, kind: ListKind, asked: ListRequest, items: Items) -> str | None:
    limit = asked.query.limit
    if limit is None or len(items) < limit:
        return None
    order = [(key.field.name, key.descending) for key in asked.query.sort]
    return next_link(
        request.base_url, kind.collection, order, asked.link, limit, items[-1]["id"], asked.requested
    )


def chosen_fields(kind: ListKind, given: str | None) -> tuple[tuple[Field, ...], frozenset[str]]:
    """Read the ``fields`` of a single read: the columns to read, and the names that were asked for.

    Raises:
        BadRequestError: for a name that the resource doesn't have.
    """
    columns = kind.resource.by_name
    names = words(given or "")
    if not names:
        return kind.resource.fields, frozenset((*columns, *kind.computed))
    allowed = (*columns, *kind.computed, *kind.absent)
    for name in names:
        if name not in allowed:
            raise BadRequestError(f"Unknown field '{name}'. Allowed fields: {', '.join(allowed)}.")
    wanted = dict.fromkeys(
        ("id", *names, *(more for name in names for more in kind.shown_with.get(name, ())))
    )
    return tuple(columns[name] for name in wanted if name in columns), frozenset(wanted)


async def show_by_id(api: Api, request: Request, kind: ListKind) -> Response:
    """Answer the request for one object by its id."""
    fields, _ = chosen_fields(kind, request.allow_parameters("fields").get("fields"))
    row = await read_by_id(api.reader, kind.resource, fields, request.arguments["id"], request.caller)
    return answer(encoded(fields, row))


async def find_either(
    api: Api,
    request: Request,
    kind: ListKind,
    fields: tuple[Field, ...],
    namespace: str | None = None,
) -> Row:
    """Read the object that the path's ``identifier`` names: by id, else by name in this namespace.

    Raises:
        NotFoundError: when there is none, or none that the caller may see.
    """
    identifier = request.arguments["identifier"]
    if is_uuid(identifier):
        try:
            return await read_by_id(api.reader, kind.resource, fields, identifier, request.caller)
        except NotFoundError:
            pass
    return await read_by_name(api.reader, kind.resource, fields, identifier, namespace, request.caller)


def encoded(fields: tuple[Field, ...], row: Row) -> dict[str, Any]:
    return encoder(fields)(row)


def only(item: Mapping[str, Any], names: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """Keep the named attributes of an object."""
    return {name: value for name, value in item.items() if name in names}


async def missing_identifier(api: Api, request: Request) -> Response:
    """Answer a call that names no object although it needs one."""
    raise BadRequestError("The identifier of the object is missing in the path.")
