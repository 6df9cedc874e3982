"""Schema versions: which one a database has, and how it gets the one that this code needs.

Each revision in ``versions`` only adds, so that nodes of the last release go on working while a
database is upgraded. Nothing but ``upgrade`` (and the opening of an empty database) changes tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tramontane.store.dialect import Dialect
from tramontane.store.dialects import connect
from tramontane.store.errors import DatabaseSetupError, SchemaError
from tramontane.store.outages import told_as_outages
from tramontane.store.schema import metadata
from tramontane.store.sqlite import SQLite

VERSION_TABLE = "tramontane_schema"
_ADVISORY_LOCK = 0x7472616D6F6E  # one upgrade at a time

Standing = Literal["empty", "current", "older", "newer"]


async def upgrade(url: str) -> str:
    """Bring the database at ``url`` to the schema of this code; return the revision it has then.

    Raises:
        SchemaError: the tables are newer than this code.
        DatabaseSetupError: the database can't be opened.
    """
    dialect = await connect(url)
    try:
        return await _upgrade(dialect)
    finally:
        await dialect.close()


async def check(url: str) -> None:
    """Make sure that the database at ``url`` has the schema of this code.

    Raises:
        SchemaError: it has another one, or none.
    """
    dialect = await connect(url)
    try:
        standing = await _standing(dialect)
    finally:
        await dialect.close()
    _refuse(standing)


async def prepare_schema(dialect: Dialect) -> None:
    """Give an empty database its tables; refuse one with a schema of another version.

    A SQLite file is brought up to date by the process that owns it; a server that others may share is not.
    """
    standing = await _standing(dialect)
    if isinstance(dialect, SQLite):
        is_ours = dialect.is_owner and standing in ("empty", "older")
    else:
        is_ours = standing == "empty"
    if is_ours:
        await _upgrade(dialect)
    else:
        _refuse(standing)


def _refuse(standing: Standing) -> None:
    if standing == "empty":
        raise SchemaError("the database has no tables yet; run 'tramontane db upgrade'")
    if standing == "older":
        raise SchemaError(
            "the tables of the database are older than this version of the service; "
            "make a backup, then run 'tramontane db upgrade'"
        )
    if standing == "newer":
        raise SchemaError(
            "the tables of the database are newer than this version of the service "
            "('tramontane db upgrade' was run by a later one); install that version"
        )


async def _standing(dialect: Dialect) -> Standing:
    with told_as_outages(dialect):
        async with dialect.reader.connect() as connection:
            return await connection.run_sync(_read_standing)


async def _upgrade(dialect: Dialect) -> str:
    with told_as_outages(dialect):
        return await _upgrade_now(dialect)


async def _upgrade_now(dialect: Dialect) -> str:
    async with dialect.exclusive(), dialect.writer.begin() as connection:
        if dialect.name == "postgresql":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        elif dialect.name == "mariadb":
            await connection.execute(sa.select(sa.func.get_lock(f"tramontane-{_ADVISORY_LOCK}", 60)))
        return await connection.run_sync(_run_upgrade)


def _run_upgrade(connection: Connection) -> str:
    standing = _read_standing(connection)
    if standing == "newer":
        _refuse(standing)
    config = _config()
    if standing != "current":
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return _head(config)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _head(config: Config) -> str:
    head = ScriptDirectory.from_config(config).get_current_head()
    if head is None:
        raise DatabaseSetupError("this installation lacks its schema files; install it again")
    return head


def _read_standing(connection: Connection) -> Standing:
    tables = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        strangers = tables if connection.dialect.name == "sqlite" else tables & metadata.tables.keys()
        if strangers:
            raise DatabaseSetupError(
                f"the database belongs to another application (it has the tables {_some(strangers)}); "
                "name an empty one"
            )
        return "empty"
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    current = context.get_current_revision()
    script = ScriptDirectory.from_config(_config())
    if current is None:
        return "empty"
    if current == script.get_current_head():
        return "current"
    known = {revision.revision for revision in script.walk_revisions()}
    return "older" if current in known else "newer"


def _some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(f"'{name}'" for name in shown) + (" …" if len(names) > len(shown) else "")
