"""Schema versions: which one a database has, and how it gets the one that this code needs.

Each revision in ``versions`` only adds, so that nodes of the last release go on working while a
database is upgraded, and may be started again. How far apart two versions are is told by the *generation*
of the schema, a number that a release raises with its first revision, and that the database keeps: tables
of the next generation are used as they are, tables of later ones refused. Nothing but ``upgrade`` (and the
opening of an empty database) changes tables.
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

from tramontane.store.codec import json_text, json_value
from tramontane.store.dialect import Dialect
from tramontane.store.dialects import connect
from tramontane.store.errors import DatabaseSetupError, SchemaError
from tramontane.store.outages import told_as_outages
from tramontane.store.schema import metadata, service_state
from tramontane.store.sqlite import SQLite

VERSION_TABLE = "tramontane_schema"
_ADVISORY_LOCK = 0x7472616D6F6E  # one upgrade at a time

GENERATION = 1
"""Of the tables that this version makes."""

_MARK = "schema"

Standing = Literal["empty", "current", "older", "next", "newer"]
"""``next``: of the generation after this version's, which it can work with; ``newer``: of a later one."""


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
            "the tables of the database are newer than this version of the service can use "
            "('tramontane db upgrade' was run by a later one); install that version: "
            "pip install --upgrade tramontane"
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
    if standing == "next":
        return _current(connection) or ""
    config = _config()
    if standing != "current":
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    _mark(connection)
    return _head(config)


def _mark(connection: Connection) -> None:
    """Note the generation in the database."""
    table = service_state
    known = _generation(connection)
    if known is None:
        values = {"name": _MARK, "value": json_text({"generation": GENERATION}), "updated_at": 0}
        connection.execute(sa.insert(table).values(values))
    elif known < GENERATION:
        connection.execute(
            sa.update(table).where(table.c.name == _MARK).values(value=json_text({"generation": GENERATION}))
        )


def _generation(connection: Connection) -> int | None:
    text = connection.scalar(sa.select(service_state.c.value).where(service_state.c.name == _MARK))
    return None if text is None else int(json_value(text)["generation"])


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()


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
    current = _current(connection)
    script = ScriptDirectory.from_config(_config())
    if current is None:
        return "empty"
    if current == script.get_current_head():
        return "current"
    known = {revision.revision for revision in script.walk_revisions()}
    if current in known:
        return "older"
    return "next" if _generation(connection) == GENERATION + 1 else "newer"


def _some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(f"'{name}'" for name in shown) + (" …" if len(names) > len(shown) else "")
