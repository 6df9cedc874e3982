"""Resources as tables of fields: which column holds what, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause, case, not_

Kind = Literal["text", "uuid", "json", "time", "bool", "int", "tags"]
"""``json`` and ``tags`` columns hold JSON text, ``time`` ones microseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One attribute of a resource.

    ``is_filter``: lists can be filtered by it. ``in_lists``: items of a list show it unless other
    fields are asked for. ``present``, where given, says which rows have a value at all: in the others
    the attribute is null whatever the column holds. ``then`` orders rows in which it is the same: what
    is created in one turn has one time, but an order all the same. ``in_plans``: values so different in
    number that a plan must be made for each; they stand in the statement instead of beside it. ``narrow``
    gives a condition that values imply, by which a database finds rows in an index.
    """

    name: str
    column: ColumnElement[Any]
    kind: Kind = "text"
    is_filter: bool = True
    in_lists: bool = True
    nullable: bool = True
    present: ColumnElement[bool] | None = None
    then: ColumnElement[Any] | None = None
    narrow: Callable[[tuple[Any, ...]], ColumnElement[bool] | None] | None = None
    in_plans: frozenset[str] = frozenset()

    @property
    def value(self) -> ColumnElement[Any]:
        """The attribute as it is read and sorted by."""
        return self.column if self.present is None else case((self.present, self.column))

    @property
    def may_refer(self) -> bool:
        """Whether the column's texts may refer to big values."""
        return "big" in getattr(self.column, "info", ())

    @property
    def is_null(self) -> ColumnElement[bool]:
        return self.column.is_(None) if self.present is None else not_(self.present)


@dataclass(frozen=True, eq=False)
class Resource:
    """A kind of object that lists and single reads show.

    ``title`` names one of them to people; ``source`` is the table behind it, ``project`` its owner
    column and ``scope`` the column that makes a row public (None: rows are never public). ``root`` says
    whose big values its rows may refer to (None: they refer to none).
    """

    title: str
    source: FromClause
    fields: tuple[Field, ...]
    project: ColumnElement[Any]
    scope: ColumnElement[Any] | None = None
    root: ColumnElement[Any] | None = None
    by_name: Mapping[str, Field] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {item.name: item for item in self.fields})

    @cached_property
    def id(self) -> Field:
        return self.by_name["id"]

    @cached_property
    def list_fields(self) -> tuple[Field, ...]:
        return tuple(item for item in self.fields if item.in_lists)
