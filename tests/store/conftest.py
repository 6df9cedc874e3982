"""The store's suite runs on MariaDB too, where there is one."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator

import asyncmy
import pytest
import sqlalchemy as sa
from asyncmy import errors

from tramontane.store.migrations import upgrade

VARIABLE = "TRAMONTANE_TEST_MARIADB"
LOCAL = "mariadb://root@127.0.0.1:3306"


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """URL of a new MariaDB database; its user must be allowed to create some."""
    server = sa.make_url(os.environ.get(VARIABLE, LOCAL))
    name = f"tramontane_{uuid.uuid4().hex}"
    try:
        asyncio.run(_administer(server, f"CREATE DATABASE {name}"))
    except (OSError, errors.MySQLError) as error:
        pytest.skip(f"no MariaDB: set {VARIABLE} or start a local one ({error})")
    try:
        url = server.set(database=name).render_as_string(hide_password=False)
        asyncio.run(upgrade(url))
        yield url
    finally:
        asyncio.run(_administer(server, f"DROP DATABASE {name}"))


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a new database: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def _administer(server: sa.URL, statement: str) -> None:
    connection = await asyncmy.connect(
        host=server.host or "127.0.0.1",
        port=server.port or 3306,
        user=server.username or "root",
        password=server.password or "",
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
    finally:
        await connection.ensure_closed()
