"""Column types that behave alike on SQLite, PostgreSQL and MariaDB.

Text compares by code point and case-sensitively everywhere (SQLite's default; the ``C`` collation
on PostgreSQL, a binary one on MariaDB), so that sorting, paging and filters give the same answers.
"""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

ID_LENGTH = 36


def identifier() -> TypeEngine[str]:
    """An id: up to 36 characters."""
    return name(ID_LENGTH)


def name(length: int) -> TypeEngine[str]:
    """Short text of at most ``length`` characters; fit for indexes."""
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
    )


def large_text() -> TypeEngine[str]:
    """Text of any length."""
    return (
        sa.Text()
        .with_variant(sa.Text(collation="C"), "postgresql")
        .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
    )


def micros() -> TypeEngine[int]:
    """A moment: whole microseconds since 1970-01-01 UTC."""
    return sa.BigInteger()


def json_column(column_name: str, *, nullable: bool = True) -> sa.Column[Any]:
    """A column that holds JSON text (:func:`tramontane.values.encode`); SQL's null stands for JSON's."""
    return sa.Column(column_name, large_text(), nullable=nullable, info={"json": True})


def value_column(column_name: str, *, kind: Literal["whole", "inside", "slots"] = "whole") -> sa.Column[Any]:
    """A JSON column whose big values are stored by themselves (:mod:`tramontane.store.packing`).

    If only what is ``inside`` is, the value itself stays in the row whatever its size: it grows by being
    written again, and a copy of each state that it was in would be kept. ``slots``: the variables of a
    checkpoint are.
    """
    info = {"json": True, "big": kind}
    return sa.Column(column_name, large_text(), nullable=True, info=info)


def format_column() -> sa.Column[Any]:
    """The number of the record's format; a node leaves records alone whose number it doesn't know."""
    return sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1")
