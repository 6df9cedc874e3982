"""The open database, whatever kind it is: where queries get their connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.store.big_values import BigValues
from tramontane.store.dialect import Dialect
from tramontane.store.dialects import connect
from tramontane.store.formats import Formats
from tramontane.store.migrations import prepare_schema
from tramontane.store.outages import told_as_outages
from tramontane.store.outside import Outside, open_outside


class Database:
    """Connections to one database; close it when done.

    Use :meth:`read` for queries, :meth:`write` for rare transactions; turns go through
    :func:`tramontane.store.commit.commit`.
    """

    def __init__(self, dialect: Dialect, outside: Outside | None = None) -> None:
        """``outside``: where new big values are kept instead of here."""
        self.dialect = dialect
        self.big_values = BigValues(dialect, outside)
        self.formats = Formats()

    @property
    def name(self) -> str:
        """``sqlite``, ``postgresql`` or ``mariadb``."""
        return self.dialect.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, outside any transaction."""
        with told_as_outages(self.dialect):
            async with self.dialect.reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back when an error leaves it.

        Raises:
            DatabaseBusyError: others were in the way, it was rolled back
                (:func:`tramontane.store.again.again_when_busy` runs it again).
        """
        with told_as_outages(self.dialect):
            async with self.dialect.exclusive(), self.dialect.writer.begin() as connection:
                yield connection

    async def close(self) -> None:
        await self.dialect.close()


async def open_database(
    url: str, *, beside: bool = False, hints: bool = True, big_values: str = "database"
) -> Database:
    """Open the database at ``url``; an empty one gets its tables.

    ``beside``: open a SQLite file even while another process owns it, for small changes that no
    process keeps in memory. ``hints``: use locks of sessions and notifications where there are some.
    ``big_values``: where those are kept (:mod:`tramontane.store.outside`).

    Raises:
        DatabaseSetupError: a URL is wrong, the server refuses, the file belongs to somebody else.
        SchemaError: the tables aren't those of this version; see :mod:`tramontane.store.migrations`.
        DatabaseUnavailableError: it went away meanwhile.
    """
    outside = open_outside(big_values)
    if outside is not None:
        await outside.check()
    dialect = await connect(url, beside=beside, hints=hints)
    try:
        await prepare_schema(dialect)
    except BaseException:
        await dialect.close()
        raise
    return Database(dialect, outside)
