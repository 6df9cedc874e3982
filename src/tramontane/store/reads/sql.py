"""The few SQL expressions that the databases spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType


class contains(FunctionElement[bool]):
    """Whether the first text holds the second one, letter by letter, case and all."""

    type = Boolean()
    inherit_cache = True


@compiles(contains)
def _contains(element: contains, compiler: SQLCompiler, **kw: Any) -> str:
    whole, part = element.clauses
    return f"(instr({compiler.process(whole, **kw)}, {compiler.process(part, **kw)}) > 0)"


@compiles(contains, "postgresql")
def _contains_postgresql(element: contains, compiler: SQLCompiler, **kw: Any) -> str:
    whole, part = element.clauses
    return f"(strpos({compiler.process(whole, **kw)}, CAST({compiler.process(part, **kw)} AS TEXT)) > 0)"


class characters(FunctionElement[int]):
    """How many characters a text has."""

    type = Integer()
    inherit_cache = True


@compiles(characters)
def _characters(element: characters, compiler: SQLCompiler, **kw: Any) -> str:
    (text,) = element.clauses
    return f"length({compiler.process(text, **kw)})"


@compiles(characters, "mysql")
@compiles(characters, "mariadb")
def _characters_mysql(element: characters, compiler: SQLCompiler, **kw: Any) -> str:
    (text,) = element.clauses
    return f"char_length({compiler.process(text, **kw)})"


class same_json(FunctionElement[bool]):
    """Whether two JSON texts stand for equal documents, whatever the order of their keys."""

    type = Boolean()
    inherit_cache = True


@compiles(same_json, "sqlite")
def _same_json_sqlite(element: same_json, compiler: SQLCompiler, **kw: Any) -> str:
    ours, theirs = (compiler.process(side, **kw) for side in element.clauses)
    left, right = _sqlite_leaves(ours), _sqlite_leaves(theirs)
    equal = f"NOT EXISTS ({left} EXCEPT {right}) AND NOT EXISTS ({right} EXCEPT {left})"
    return f"(CASE WHEN json_valid({ours}) THEN {equal} ELSE 0 END)"


def _sqlite_leaves(text: str) -> str:
    return f"SELECT fullkey, CASE type WHEN 'real' THEN 'integer' ELSE type END, atom FROM json_tree({text})"


@compiles(same_json, "postgresql")
def _same_json_postgresql(element: same_json, compiler: SQLCompiler, **kw: Any) -> str:
    ours, theirs = (compiler.process(side, **kw) for side in element.clauses)
    equal = f"CAST({ours} AS jsonb) = CAST({theirs} AS jsonb)"
    return f"(CASE WHEN {ours} ~ '{_NO_JSONB}' THEN false ELSE {equal} END)"


@compiles(same_json, "mysql")
@compiles(same_json, "mariadb")
def _same_json_mysql(element: same_json, compiler: SQLCompiler, **kw: Any) -> str:
    ours, theirs = (compiler.process(side, **kw) for side in element.clauses)
    if (compiler.dialect.server_version_info or _JSON_EQUALS) >= _JSON_EQUALS:
        return f"COALESCE(JSON_EQUALS({ours}, {theirs}), FALSE)"
    return f"COALESCE(JSON_CONTAINS({ours}, {theirs}) AND JSON_CONTAINS({theirs}, {ours}), FALSE)"


_JSON_EQUALS = (10, 7)
"""The release that brought the function; what older ones have doesn't tell [1, 2] from [2, 1]."""


_NO_JSONB = r"NaN|Infinity|\\u0000|\\u[dD][89abcdefABCDEF]"
"""What stored texts may hold that PostgreSQL's type refuses; such documents equal none that it takes."""


class in_partial_index(FunctionElement[Any]):
    """The condition of a partial index, for SQLite, which uses one only where it stands word by word."""

    type = NullType()  # of a Boolean it would be asked whether it equals 1
    inherit_cache = True


@compiles(in_partial_index)
def _in_partial_index(_element: in_partial_index, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "true"


@compiles(in_partial_index, "sqlite")
def _in_partial_index_sqlite(element: in_partial_index, compiler: SQLCompiler, **kw: Any) -> str:
    (condition,) = element.clauses
    return compiler.process(condition, **kw)


class nulls_lowest(FunctionElement[Any]):
    """A sort key (ascending or descending) in which null comes before everything else."""

    inherit_cache = True


@compiles(nulls_lowest)
def _nulls_lowest(element: nulls_lowest, compiler: SQLCompiler, **kw: Any) -> str:
    (key,) = element.clauses
    return compiler.process(key, **kw)


@compiles(nulls_lowest, "postgresql")
def _nulls_lowest_postgresql(element: nulls_lowest, compiler: SQLCompiler, **kw: Any) -> str:
    (key,) = element.clauses
    text = compiler.process(key, **kw)
    return f"{text} NULLS LAST" if text.endswith(" DESC") else f"{text} NULLS FIRST"


def order_key(column: ColumnElement[Any], descending: bool, nullable: bool) -> ColumnElement[Any]:
    """Sort by ``column``; where it can be null, nulls count as the lowest value on every database."""
    key = column.desc() if descending else column.asc()
    return nulls_lowest(key) if nullable else key
