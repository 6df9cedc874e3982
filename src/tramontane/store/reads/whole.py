"""Rows as clients see them: with the big values that their JSON texts refer to.

Values are fetched by one query more, and only if some text refers to one. Statements give the root of
the tree, whose values they are, as the last column.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import ColumnElement

from tramontane.store.errors import LostValueError
from tramontane.store.packing import Key
from tramontane.store.reads.fields import Field, Resource
from tramontane.store.references import MARK, expand, hashes

Row = Sequence[Any]


class Texts(Protocol):
    """What fetches the texts of big values (:meth:`tramontane.store.big_values.BigValues.texts`)."""

    async def texts(self, keys: Iterable[Key]) -> Callable[[str], str]: ...


@lru_cache(maxsize=512)
def places_of(fields: tuple[Field, ...]) -> tuple[int, ...]:
    """The places of those fields whose texts may refer to big values."""
    return tuple(place for place, item in enumerate(fields) if item.may_refer)


def with_root(
    resource: Resource, fields: tuple[Field, ...], columns: Iterable[ColumnElement[Any]]
) -> list[ColumnElement[Any]]:
    """Add the root to the columns of a statement if one of the fields may need it."""
    found = list(columns)
    if resource.root is not None and places_of(fields):
        found.append(resource.root.label("_root"))
    return found


async def whole_rows(
    texts: Texts, read: Callable[[], Awaitable[Sequence[Row]]], places: Sequence[int]
) -> Sequence[Row]:
    """Read rows, and write big values in the places of references; the root's column is cut off.

    Without ``places`` there is no such column.

    Raises:
        LostValueError
    """
    if not places:
        return await read()
    try:
        return await _expanded(texts, await read(), places)
    except LostValueError:  # deleted between the rows and the values, perhaps: then it isn't there any more
        return await _expanded(texts, await read(), places)


async def _expanded(texts: Texts, rows: Sequence[Row], places: Sequence[int]) -> list[Row]:
    keys = {
        (row[-1], content_hash)
        for row in rows
        for place in places
        if row[place] is not None and MARK in row[place]
        for content_hash in hashes(row[place])
    }
    if not keys and not any(MARK in (row[place] or "") for row in rows for place in places):
        return [row[:-1] for row in rows]
    find = await texts.texts(keys)
    found: list[Row] = []
    for row in rows:
        values = list(row[:-1])
        for place in places:
            if values[place] is not None:
                values[place] = expand(values[place], find)
        found.append(tuple(values))
    return found
