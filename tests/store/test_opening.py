"""Opening a database: URLs, ownership of files, schema versions, words for what is wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Index
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from tests.store import records as make

from tramontane.store.database import Database, open_database
from tramontane.store.dialects import connect
from tramontane.store.errors import DatabaseSetupError, SchemaError
from tramontane.store.executions import Executions
from tramontane.store.migrations import VERSION_TABLE, check, upgrade
from tramontane.store.schema import has_partial_indexes, metadata

SECRET = "s3cret-word"

HOLD = """
import asyncio, sys
from tramontane.store.database import open_database
async def main():
    database = await open_database(sys.argv[1])
    print("open", flush=True)
    sys.stdin.read()
    await database.close()
asyncio.run(main())
"""


def opening_fails(url: str) -> str:
    """Open a database that can't be opened, and give the message."""

    async def run() -> None:
        await (await open_database(url)).close()

    with pytest.raises(DatabaseSetupError) as caught:
        asyncio.run(run())
    return caught.value.message


def set_revision(url: str, revision: str) -> None:
    async def run(database: Database) -> None:
        async with database.write() as connection:
            await connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num='{revision}'"))

    make.with_database(url, run)


# -- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "no database URL"),
        ("oracle://user:pw@host/db", "'oracle' aren't supported"),
        ("mysql+pymysql://user:pw@host/db", "aren't supported"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/db", "can't be opened"),
        (f"postgresql://u:{SECRET}@no-such-host.invalid/db", "can't be opened"),
        (f"postgresql://u:{SECRET}@127.0.0.1:port/db", "no database URL"),
    ],
)
def test_a_url_that_leads_nowhere_is_explained_without_its_password(url: str, words: str) -> None:
    message = opening_fails(url)
    assert words in message
    assert SECRET not in message
    assert "pw" not in message


def test_a_missing_database_of_a_server_is_named(postgresql_server: str) -> None:
    url = sa.make_url(postgresql_server).set(database="no_such_database", password=SECRET)
    message = opening_fails(url.render_as_string(hide_password=False))
    assert '"no_such_database" does not exist' in message
    assert SECRET not in message


def test_relative_and_absolute_sqlite_urls_name_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def run() -> None:
        await (await open_database("sqlite:///here.sqlite")).close()
        await (await open_database(f"sqlite:///{tmp_path}/there.sqlite")).close()

    asyncio.run(run())
    assert (tmp_path / "here.sqlite").exists()
    assert (tmp_path / "there.sqlite").exists()


def test_a_database_in_memory_is_new_each_time() -> None:
    async def test(database: Database) -> bool:
        store = Executions(database)
        was_used = await store.is_used("e1")
        await make.start(store, make.execution())
        return was_used

    assert [make.with_database("sqlite://", test) for _ in range(2)] == [False, False]


def test_a_file_in_a_missing_directory_is_explained(tmp_path: Path) -> None:
    assert "check that its directory exists" in opening_fails(f"sqlite:///{tmp_path}/none/file")


# -- files ----------------------------------------------------------------------------------------


def test_a_file_that_another_process_has_open_is_refused_until_that_process_is_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/test.sqlite"
    with make.python(HOLD, url) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            message = opening_fails(url)
            assert "in use by another process" in message
            assert str(holder.pid) in message
        finally:
            holder.kill()  # SIGKILL: nothing is cleaned up
    make.with_database(url, lambda database: Executions(database).is_used("e1"))


def test_a_file_can_be_opened_once_in_a_process(sqlite_url: str) -> None:
    async def test(_database: Database) -> None:
        with pytest.raises(DatabaseSetupError, match="already open in this process"):
            await open_database(sqlite_url)

    make.with_database(sqlite_url, test)
    make.with_database(sqlite_url, lambda database: Executions(database).is_used("e1"))


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and they are longer than the header of a database file")
    before = path.read_bytes()
    assert "is no SQLite database" in opening_fails(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    message = opening_fails(f"sqlite:///{path}")
    assert "damaged" in message
    assert str(path) in message
    assert "backup" in message


def test_a_database_of_another_application_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "foreign.sqlite"
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE songs (title TEXT)")
    foreign.commit()
    foreign.close()
    message = opening_fails(f"sqlite:///{path}")
    assert "belongs to another application" in message
    assert "'songs'" in message


def test_a_server_with_tables_of_our_names_from_elsewhere_is_refused(empty_postgresql_url: str) -> None:
    async def occupy() -> None:
        engine = create_async_engine(sa.make_url(empty_postgresql_url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as connection:
            await connection.execute(sa.text("CREATE TABLE tasks (id text)"))
        await engine.dispose()

    asyncio.run(occupy())
    assert "belongs to another application" in opening_fails(empty_postgresql_url)


# -- durability -----------------------------------------------------------------------------------


def test_the_sessions_of_sqlite_are_durable(sqlite_url: str) -> None:
    async def test(database: Database) -> None:
        async with database.write() as connection:
            assert await connection.scalar(sa.text("PRAGMA synchronous")) == 2
            assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert await database.dialect.fetch([("PRAGMA synchronous", ())]) == [[(2,)]]

    make.with_database(sqlite_url, test)


def test_reading_connections_of_sqlite_can_not_write(sqlite_url: str) -> None:
    async def test(database: Database) -> None:
        async with database.read() as connection:
            with pytest.raises(OperationalError, match="readonly"):
                await connection.execute(sa.text("DELETE FROM heads"))

    make.with_database(sqlite_url, test)


def test_a_server_whose_database_gives_up_durability_is_refused(postgresql_url: str) -> None:
    async def test(database: Database) -> None:
        async with database.write() as connection:
            name = await connection.scalar(sa.text("SELECT current_database()"))
            await connection.execute(sa.text(f'ALTER DATABASE "{name}" SET default_transaction_read_only=on'))

    make.with_database(postgresql_url, test)
    assert "'transaction_read_only' set to 'on'" in opening_fails(postgresql_url)


def test_the_sessions_of_postgresql_are_durable_and_do_not_wait_for_ever(postgresql_url: str) -> None:
    async def test(database: Database) -> None:
        for setting, value in (
            ("synchronous_commit", "on"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("lock_timeout", "5s"),
        ):
            query = f"SELECT current_setting('{setting}')"
            async with database.write() as connection:
                assert await connection.scalar(sa.text(query)) == value
            assert await database.dialect.fetch([(query, ())]) == [[(value,)]]

    make.with_database(postgresql_url, test)


# -- schema versions ------------------------------------------------------------------------------


def test_an_empty_database_gets_its_tables_when_it_is_opened(
    tmp_path: Path, empty_postgresql_url: str
) -> None:
    for url in (f"sqlite:///{tmp_path}/new.sqlite", empty_postgresql_url):
        assert make.with_database(url, lambda database: Executions(database).is_used("e1")) is False


def test_an_empty_database_fails_the_check_which_names_the_command(empty_postgresql_url: str) -> None:
    with pytest.raises(SchemaError, match="tramontane db upgrade"):
        asyncio.run(check(empty_postgresql_url))
    revision = asyncio.run(upgrade(empty_postgresql_url))
    asyncio.run(check(empty_postgresql_url))
    assert asyncio.run(upgrade(empty_postgresql_url)) == revision


def test_a_database_of_a_later_version_is_refused(database_url: str) -> None:
    set_revision(database_url, "9999")
    message = opening_fails(database_url)
    assert "newer than this version" in message
    assert "tramontane db upgrade" in message
    with pytest.raises(SchemaError, match="newer"):
        asyncio.run(check(database_url))
    with pytest.raises(SchemaError, match="newer"):
        asyncio.run(upgrade(database_url))


def test_a_shared_database_of_an_earlier_version_is_refused_until_it_is_upgraded(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a later head, the present revision is an earlier one.
    monkeypatch.setattr(
        "tramontane.store.migrations.ScriptDirectory.get_current_head", lambda _directory: "later"
    )
    message = opening_fails(postgresql_url)
    assert "older than this version" in message
    assert "run 'tramontane db upgrade'" in message
    with pytest.raises(SchemaError, match="older"):
        asyncio.run(check(postgresql_url))


def differences(connection: Connection) -> list[object]:
    """What the tables lack, or have too much."""

    def is_here(item: object, _name: str, kind: str, _reflected: bool, _other: object) -> bool:
        is_rare = kind == "index" and isinstance(item, Index) and item.columns.keys()[0] == "state"
        return not is_rare or has_partial_indexes(connection.dialect.name)

    opts = {"version_table": VERSION_TABLE, "include_object": is_here}
    context = MigrationContext.configure(connection, opts=opts)
    return list(compare_metadata(context, metadata))


def test_tables_of_the_first_version_become_those_of_today_with_what_they_hold(
    empty_shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(connection: Connection) -> dict[str, int]:
        """Put a row into every table; give how many there are."""
        tables = sa.MetaData()
        tables.reflect(connection)
        counts = {}
        for name, table in tables.tables.items():
            if name not in (VERSION_TABLE, "catalog"):
                row = {
                    column.name: 1 if isinstance(column.type, sa.Integer) else "x" for column in table.columns
                }
                row |= {each.name: True for each in table.columns if isinstance(each.type, sa.Boolean)}
                connection.execute(table.insert().values(row))
            counts[name] = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        return counts

    def count(connection: Connection, names: Iterable[str]) -> dict[str, int]:
        return {name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) or 0 for name in names}

    async def test() -> None:
        with monkeypatch.context() as first:
            real = command.upgrade
            first.setattr(command, "upgrade", lambda config, _head: real(config, "0001"))
            await upgrade(empty_shared_url)
        dialect = await connect(empty_shared_url)
        async with dialect.writer.begin() as connection:
            before = await connection.run_sync(fill)
        await upgrade(empty_shared_url)
        async with dialect.reader.connect() as connection:
            assert await connection.run_sync(count, before) == before
            assert await connection.run_sync(differences) == []
        await dialect.close()

    asyncio.run(test())


def test_the_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    async def test(database: Database) -> None:
        async with database.write() as connection:
            assert await connection.run_sync(differences) == []

    make.with_database(database_url, test)


def test_two_upgrades_of_one_server_at_a_time_end_with_one_schema(empty_shared_url: str) -> None:
    async def run() -> None:
        await asyncio.gather(*(upgrade(empty_shared_url) for _ in range(3)))
        await check(empty_shared_url)

    asyncio.run(run())
