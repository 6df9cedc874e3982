"""MariaDB databases for tests.

The server is the one that the environment variable TRAMONTANE_TEST_MARIADB names (a URL whose user may
create databases), else a local one at the usual port; where there is none such tests are skipped. Making
the tables takes a while, emptying them doesn't: databases are lent again and again.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncmy
import pytest
import sqlalchemy as sa
from asyncmy import errors

from tramontane.store.migrations import VERSION_TABLE, upgrade
from tramontane.store.schema import metadata

VARIABLE = "TRAMONTANE_TEST_MARIADB"
LOCAL = "mariadb://root@127.0.0.1:3306"


class MariaDBServer:
    """A server, and the databases on it that tests take in turn."""

    def __init__(self, url: str) -> None:
        self._server = sa.make_url(url)
        self._revision = ""
        self._all: list[str] = []
        self._free: list[str] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Have a database with empty tables for the length of a block; give its URL.

        Whoever adds or drops tables takes one of his own (:meth:`empty`).
        """
        name = self._free.pop() if self._free else self._made()
        yield self._url(name)
        self._clear(name)
        self._free.append(name)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Have a database without tables for the length of a block; give its URL."""
        name = _name()
        self._execute([f"CREATE DATABASE {name}"])
        try:
            yield self._url(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        for name in self._all:
            self._drop(name)

    def _made(self) -> str:
        name = _name()
        self._execute([f"CREATE DATABASE {name}"])
        self._all.append(name)
        self._revision = asyncio.run(upgrade(self._url(name)))
        return name

    def _clear(self, name: str) -> None:
        """Take out all rows; whoever is still connected is of a test that is over."""
        self._execute(
            [
                *self._ends_of(name),
                *(f"DELETE FROM {name}.{table}" for table in metadata.tables if table != "catalog"),
                f"UPDATE {name}.catalog SET version=0",
                f"UPDATE {name}.{VERSION_TABLE} SET version_num='{self._revision}'",
            ]
        )

    def _drop(self, name: str) -> None:
        self._execute([*self._ends_of(name), f"DROP DATABASE {name}"])

    def _ends_of(self, name: str) -> list[str]:
        rows = self._execute([f"SELECT id FROM information_schema.processlist WHERE db='{name}'"])
        return [f"KILL {number}" for (number,) in rows]

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def _execute(self, statements: list[str]) -> list[Any]:
        return asyncio.run(administer(self._server, statements))


def _name() -> str:
    return f"tramontane_{uuid.uuid4().hex}"


async def administer(server: sa.URL, statements: list[str]) -> list[Any]:
    """Execute statements as the user whom a URL names; give the rows of the last."""
    connection = await asyncmy.connect(
        host=server.host or "127.0.0.1",
        port=server.port or 3306,
        user=server.username or "root",
        password=server.password or "",
        autocommit=True,
    )
    try:
        async with connection.cursor() as cursor:
            for statement in statements:
                try:
                    await cursor.execute(statement)
                except errors.OperationalError as error:
                    if error.args[0] != _NO_SUCH_THREAD:
                        raise
            return list(await cursor.fetchall())
    finally:
        await connection.ensure_closed()


_NO_SUCH_THREAD = 1094


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    url = os.environ.get(VARIABLE, LOCAL)
    try:
        asyncio.run(administer(sa.make_url(url), ["SELECT 1"]))
    except (OSError, errors.MySQLError) as error:
        pytest.skip(f"no MariaDB: set {VARIABLE} or start a local one ({error})")
    server = MariaDBServer(url)
    yield server
    server.close()


@pytest.fixture
def mariadb_url(mariadb_server: MariaDBServer) -> Iterator[str]:
    """URL of a new MariaDB database."""
    with mariadb_server.lent() as url:
        yield url


@pytest.fixture
def empty_mariadb_url(mariadb_server: MariaDBServer) -> Iterator[str]:
    """URL of a new MariaDB database without any table."""
    with mariadb_server.empty() as url:
        yield url
