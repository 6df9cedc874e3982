"""Reading pages and single objects. Statements are built once per shape and then only executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import Select, bindparam, select

from tramontane.errors import NotFoundError
from tramontane.store.reads.fields import Field, Resource
from tramontane.store.reads.listing import ListQuery, count_select, marker_select, page_select
from tramontane.store.reads.visibility import (
    PROJECT_PARAMETER,
    Viewer,
    own_first,
    visible,
    visible_to_project,
)
from tramontane.store.reads.whole import Texts, places_of, whole_rows, with_root

Row = Sequence[Any]


class Reader(Texts, Protocol):
    """What reads from the database (:class:`tramontane.store.reads.reader.DatabaseReader`)."""

    async def fetch(
        self, statement: Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        """Execute a statement and give all rows, values in the order of its columns."""

    async def lookup(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Execute a statement that reads few rows by their keys, and is used again and again."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, in the order of the query's fields; ``total`` None: it wasn't asked for."""

    rows: Sequence[Row]
    total: int | None = None


async def read_page(
    reader: Reader, resource: Resource, query: ListQuery, viewer: Viewer, wants_total: bool = False
) -> Page:
    """Read one page of a list.

    Raises:
        NotFoundError: when the marker names nothing that the caller may see.
    """
    conditions = visible(resource, viewer)
    parameters = {} if viewer.is_admin else {PROJECT_PARAMETER: viewer.project_id}
    marker: Row | None = None
    if query.marker is not None:
        found = await reader.fetch(marker_select(resource, query, conditions), parameters)
        if not found:
            raise NotFoundError(f"There is no {resource.title} with the marker's id '{query.marker}'.")
        marker = found[0]
    statement = page_select(resource, query, conditions, marker)
    rows = await whole_rows(reader, lambda: reader.fetch(statement, parameters), places_of(query.fields))
    total = None
    if wants_total:
        total = (await reader.fetch(count_select(resource, query, conditions), parameters))[0][0]
    return Page(rows, total)


async def read_by_id(
    reader: Reader, resource: Resource, fields: tuple[Field, ...], object_id: str, viewer: Viewer
) -> Row:
    """Read the given fields of one object.

    Raises:
        NotFoundError: when there is none, or none that the caller may see.
    """
    parameters = {"id": object_id}
    if not viewer.is_admin:
        parameters[PROJECT_PARAMETER] = viewer.project_id
    statement = _by_id(resource, fields, viewer.is_admin)
    rows = await whole_rows(reader, lambda: reader.lookup(statement, parameters), places_of(fields))
    if not rows:
        raise not_found(resource, object_id)
    return rows[0]


async def read_by_name(
    reader: Reader,
    resource: Resource,
    fields: tuple[Field, ...],
    name: str,
    namespace: str | None,
    viewer: Viewer,
) -> Row:
    """Read the given fields of the object of this name: the caller's own if there are several.

    ``namespace`` None: objects of this kind have none.

    Raises:
        NotFoundError: when there is none, or none that the caller may see.
    """
    parameters = {"name": name, PROJECT_PARAMETER: viewer.project_id}
    if namespace is not None:
        parameters["namespace"] = namespace
    statement = _by_name(resource, fields, namespace is not None, viewer.is_admin)
    rows = await reader.lookup(statement, parameters)
    if not rows:
        raise not_found(resource, name, namespace)
    return rows[0]


def not_found(resource: Resource, identifier: str, namespace: str | None = None) -> NotFoundError:
    place = f" in namespace '{namespace}'" if namespace else ""
    return NotFoundError(f"There is no {resource.title} '{identifier}'{place}.")


@lru_cache(maxsize=256)
def _by_id(resource: Resource, fields: tuple[Field, ...], is_admin: bool) -> Select[Any]:
    statement = _selected(resource, fields).where(resource.id.column == bindparam("id"))
    return statement if is_admin else statement.where(visible_to_project(resource))


@lru_cache(maxsize=256)
def _by_name(
    resource: Resource, fields: tuple[Field, ...], is_namespaced: bool, is_admin: bool
) -> Select[Any]:
    columns = resource.by_name
    statement = _selected(resource, fields).where(columns["name"].column == bindparam("name"))
    if is_namespaced:
        statement = statement.where(columns["namespace"].column == bindparam("namespace"))
    if not is_admin:
        statement = statement.where(visible_to_project(resource))
    return statement.order_by(*own_first(resource)).limit(1)


def _selected(resource: Resource, fields: tuple[Field, ...]) -> Select[Any]:
    columns = with_root(resource, fields, (item.value.label(item.name) for item in fields))
    return select(*columns).select_from(resource.source)
