"""Cutting one page out of a table: conditions, order, keyset paging.

Paging goes by the sort keys of the last item seen, never by counting rows, so that neither a deep
page nor rows that come and go cost anything or lose an item. Nulls sort as the lowest value, and the
id is always the last key, so the order is total.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from sqlalchemy import ColumnElement, Select, and_, bindparam, false, func, literal, not_, or_, select

from tramontane.store.packing import Memory, Packing
from tramontane.store.reads.fields import Field, Resource
from tramontane.store.reads.sql import characters, contains, order_key, same_json
from tramontane.store.reads.whole import with_root

Operator = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "nin", "has"]
OPERATORS: Final = ("eq", "neq", "gt", "gte", "lt", "lte", "in", "nin", "has")

_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Condition:
    """``field operator values``: one value, or for ``in`` and ``nin`` (and on tags) any number.

    Values are of the field's kind: times are microseconds, JSON documents frozen values.
    """

    field: Field
    operator: Operator
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    field: Field
    descending: bool = False


def full_order(sort: Sequence[SortKey]) -> tuple[SortKey, ...]:
    """Add to each key what orders rows in which it is the same; what is ordered already is left out."""
    keys: dict[ColumnElement[Any], SortKey] = {}
    for key in sort:
        keys.setdefault(key.field.column, key)
        if key.field.then is not None:
            then = SortKey(Field("", key.field.then, "int", nullable=False), key.descending)
            keys.setdefault(key.field.then, then)
    return tuple(keys.values())


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list. ``fields`` are the ones to read; ``nulls`` must be null; ``limit`` None: all."""

    fields: tuple[Field, ...]
    conditions: tuple[Condition, ...] = ()
    nulls: tuple[Field, ...] = ()
    sort: tuple[SortKey, ...] = ()
    limit: int | None = None
    marker: str | None = None


def clause(condition: Condition) -> ColumnElement[bool]:
    """Put a condition into SQL; a null column satisfies none."""
    conditions = [_clause(condition)]
    item = condition.field
    if item.present is not None:
        conditions.insert(0, item.present)
    if item.narrow is not None and condition.operator in ("eq", "in"):
        narrower = item.narrow(condition.values)
        if narrower is not None:
            conditions.append(narrower)
    return and_(*conditions) if len(conditions) > 1 else conditions[0]


def _clause(condition: Condition) -> ColumnElement[bool]:
    match condition.field.kind:
        case "time":
            return _time_clause(condition)
        case "tags":
            return _tags_clause(condition)
        case "json":
            return _json_clause(condition)
        case _:
            return _plain_clause(condition.field.column, condition.operator, _written(condition))


def _written(condition: Condition) -> tuple[Any, ...]:
    """Give the values as parameters, or, if they are known beforehand, as part of the statement."""
    known = condition.field.in_plans
    if not known.issuperset(condition.values):
        return condition.values
    return tuple(bindparam(None, value, unique=True, literal_execute=True) for value in condition.values)


def _plain_clause(
    column: ColumnElement[Any], operator: Operator, values: tuple[Any, ...]
) -> ColumnElement[bool]:
    match operator:
        case "eq" | "in":
            return column == values[0] if len(values) == 1 else column.in_(values)
        case "neq" | "nin":
            return column != values[0] if len(values) == 1 else column.not_in(values)
        case "has":
            return contains(column, literal(values[0]))
        case _:
            return _compared(column, operator, values[0])


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "gt": operators.gt,
    "gte": operators.ge,
    "lt": operators.lt,
    "lte": operators.le,
}


def _compared(column: ColumnElement[Any], operator: str, value: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = _COMPARISONS[operator](column, value)
    return found


def _time_clause(condition: Condition) -> ColumnElement[bool]:
    """Compare whole seconds, since clients see no more of a stored time than that."""
    column = condition.field.column
    if condition.operator in ("eq", "neq", "in", "nin"):
        matches = [_same_second(column, value) for value in condition.values]
        found: ColumnElement[bool] = or_(false(), *matches)
        if condition.operator in ("eq", "in"):
            return found
        return and_(column.is_not(None), not_(found))
    moment = condition.values[0]
    this_second = moment - moment % _SECOND
    next_second = this_second + _SECOND
    at_or_after = this_second if moment == this_second else next_second
    match condition.operator:
        case "gt":
            return _compared(column, "gte", next_second)
        case "gte":
            return _compared(column, "gte", at_or_after)
        case "lt":
            return _compared(column, "lt", at_or_after)
        case _:
            return _compared(column, "lt", next_second)


def _same_second(column: ColumnElement[Any], moment: int) -> ColumnElement[bool]:
    if moment % _SECOND:
        return false()
    return and_(column >= moment, column < moment + _SECOND)


def _tags_clause(condition: Condition) -> ColumnElement[bool]:
    """Match whole tags in the JSON text of their list.

    The brackets are replaced by commas, so that each tag stands between two of them; inside a tag a
    quotation mark is always escaped, which makes ``,"tag",`` unmistakable.
    """
    column = condition.field.column
    listed = literal(",").concat(func.substr(column, 2, characters(column) - 2)).concat(literal(","))
    has = [contains(listed, literal(f",{orjson.dumps(tag).decode()},")) for tag in condition.values]
    if condition.operator in ("eq", "has"):
        return and_(column.is_not(None), *has)
    if condition.operator == "in":
        return or_(false(), *has)
    return and_(column.is_not(None), not_(or_(false(), *has)))


def _json_clause(condition: Condition) -> ColumnElement[bool]:
    column = condition.field.column
    same = or_(*(same_json(column, literal(text)) for text in _stored_forms(condition)))
    return and_(column.is_not(None), same if condition.operator == "eq" else not_(same))


def _stored_forms(condition: Condition) -> list[str]:
    """The texts that may stand for a document: big values are compared by their hashes, thus letter by
    letter; rows of earlier versions hold them themselves."""
    document = condition.values[0]
    texts = [orjson.dumps(document).decode()]
    if condition.field.may_refer:
        packed = Packing(Memory()).write(document, "", whole=condition.field.column.info["big"] == "whole")
        if packed != texts[0]:
            texts.append(packed)
    return texts


def after_marker(sort: Sequence[SortKey], marker: Sequence[Any]) -> ColumnElement[bool]:
    """Select what comes behind a row with these sort values."""
    choices: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for key, value in zip(sort, marker, strict=True):
        beyond = _beyond(key, value)
        if beyond is not None:
            choices.append(and_(*same, beyond))
        same.append(key.field.is_null if value is None else key.field.value == value)
    return or_(false(), *choices)


def _beyond(key: SortKey, value: Any) -> ColumnElement[bool] | None:
    column = key.field.value
    if value is None:
        return None if key.descending else not_(key.field.is_null)
    if not key.descending:
        return _compared(column, "gt", value)
    return or_(column < value, key.field.is_null) if key.field.nullable else _compared(column, "lt", value)


def page_select(
    resource: Resource,
    query: ListQuery,
    visible: Sequence[ColumnElement[bool]],
    marker: Sequence[Any] | None,
) -> Select[Any]:
    """Write the statement that reads one page: the query's fields, in order, and maybe the root."""
    columns = with_root(resource, query.fields, (item.value.label(item.name) for item in query.fields))
    statement = select(*columns).select_from(resource.source)
    statement = statement.where(*_filters(query, visible))
    if marker is not None:
        statement = statement.where(after_marker(full_order(query.sort), marker))
    statement = statement.order_by(
        *(order_key(key.field.value, key.descending, key.field.nullable) for key in full_order(query.sort))
    )
    return statement if query.limit is None else statement.limit(query.limit)


def count_select(resource: Resource, query: ListQuery, visible: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Write the statement that counts everything the query's conditions let through."""
    return select(func.count()).select_from(resource.source).where(*_filters(query, visible))


def marker_select(
    resource: Resource, query: ListQuery, visible: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """Write the statement that reads the sort values of the marker's row."""
    keys = [key.field.value.label(f"k{number}") for number, key in enumerate(full_order(query.sort))]
    return select(*keys).select_from(resource.source).where(resource.id.column == query.marker, *visible)


def _filters(query: ListQuery, visible: Sequence[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    return [
        *visible,
        *(clause(condition) for condition in query.conditions),
        *(item.is_null for item in query.nulls),
    ]
