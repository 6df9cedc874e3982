"""Small shared pieces of SQLAlchemy statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from tramontane.store.codec import RowReader

T = TypeVar("T")

IN_LIMIT = 500
"""So many values go into one ``IN`` list."""


def chunks(values: Sequence[T], size: int = IN_LIMIT) -> Iterator[Sequence[T]]:
    """Cut a long list."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def columns(table: sa.Table, reader: RowReader) -> list[sa.Column[Any]]:
    """The columns of a table in the order that the reader of its records wants."""
    return [table.c[name] for name in reader.names if name in table.c]


def records(reader: RowReader, rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Build records that refer to nothing (others: :meth:`BigValues.records`)."""
    return [reader(row) for row in rows]
