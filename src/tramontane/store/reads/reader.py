"""How the API's reads reach the database.

Lists take a pooled connection, so that a slow one delays nothing else. Lookups by key are compiled
once and go by the shortest way that the dialect has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

from tramontane.store.database import Database
from tramontane.store.packing import Key

Row = Sequence[Any]

_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="numeric_dollar"),
    "postgresql": postgresql.dialect(paramstyle="numeric_dollar"),  # type: ignore[no-untyped-call]
    "mariadb": mysql.dialect(paramstyle="numeric_dollar"),
}


class DatabaseReader:
    """Reads from an open database, outside of any transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(
        self, statement: Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        """Execute a statement and give all rows, values in the order of its columns."""
        async with self._database.read() as connection:
            rows: Sequence[Row] = (await connection.execute(statement, parameters)).all()
        return rows

    async def lookup(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Execute a statement that reads few rows by their keys, and is used again and again."""
        text, names, literals = _compiled(statement, self._database.name)
        values = tuple(parameters[name] if name in parameters else literals[name] for name in names)
        return (await self._database.dialect.fetch([(text, values)]))[0]

    async def texts(self, keys: Iterable[Key]) -> Callable[[str], str]:
        """Fetch the texts of big values; give what finds them by their hashes."""
        return await self._database.big_values.texts(keys)


@lru_cache(maxsize=512)
def _compiled(statement: Select[Any], dialect: str) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
    """The SQL, the names of its parameters in order, and the values that the statement itself gives."""
    compiled = statement.compile(dialect=_DIALECTS[dialect])
    return str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params)
