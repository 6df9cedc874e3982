"""PostgreSQL: batches as one array per column, heads taken with ``SKIP LOCKED``.

The few hot statements run on raw connections of their own. All of them are look-ups by key, so these
connections do without sequential scans and hash joins: a plan made while a table was small stays
right when it is large.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tramontane.store.batch import Batch
from tramontane.store.dialect import Query
from tramontane.store.errors import (
    ContentionError,
    DatabaseSetupError,
    DatabaseUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TakenError,
)
from tramontane.store.servers import Servers, ServerURL
from tramontane.store.statements import HEADS_NEW, Statement

_SESSION = {
    "application_name": "tramontane",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "10000",
    "lock_timeout": "5000",
    "client_encoding": "UTF8",
    "jit": "off",
}
_HOT_SESSION = _SESSION | {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_DURABLE = frozenset({"on", "remote_apply"})
_CONNECT_SECONDS = 10
_READERS = 10

_LOCK = "SELECT id, version FROM heads WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE SKIP LOCKED"

_STORED = (
    "SELECT b.root_id, b.hash FROM unnest($1::text[], $2::text[]) AS v(root_id, hash) "
    "JOIN big_values b ON b.root_id=v.root_id AND b.hash=v.hash"
)

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_CHANNEL = "tramontane"

_HELD = """
SELECT (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND d.datname = current_database()
"""

_CONTENTION = frozenset({"55P03", "57014"})
_INFRASTRUCTURE_CLASSES = frozenset({"08", "25", "28", "3D", "53", "57", "58", "XX"})
"""Classes of SQLSTATE that speak of the server and the way to it, not of what was sent."""


class PostgreSQL:
    """Connections to one PostgreSQL database."""

    name = "postgresql"
    now_sql = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"

    def __init__(self, url: ServerURL, *, hints: bool = True) -> None:
        self._servers = Servers(url, _DATABASE_ERRORS)
        # Of several servers one takes writes; of a single one the check at the start tells.
        self._wanted = "any" if len(url.urls) == 1 else "read-write"
        self._shown = url.shown()
        self._password = url.first.password
        self._idle: dict[str, list[Any]] = {"commit": [], "load": []}
        self._rendered: dict[Statement, str] = {}
        self._hints = hints
        self._lock: Any = None  # a connection whose life shows this process's
        self._lock_turn = asyncio.Lock()
        self._heard: Callable[[str], None] | None = None
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: self._open(_SESSION),
            pool_size=_READERS,
            max_overflow=0,
            pool_pre_ping=True,
            pool_timeout=10,
        )
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = engine

    @classmethod
    async def connect(cls, url: ServerURL, *, hints: bool = True) -> PostgreSQL:
        """Connect, and check that the server can be trusted with data.

        ``hints`` False: no advisory lock is taken or looked at, nothing is notified or listened to.

        Raises:
            DatabaseSetupError: the server can't be reached, refuses, or isn't durable.
        """
        dialect = cls(url, hints=hints)
        try:
            connection = await dialect._open(_HOT_SESSION)
        except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseSetupError(
                f"the database {dialect._shown} can't be opened: {dialect._words(error)}"
            ) from None
        try:
            await dialect._check(connection)
        except BaseException:
            connection.terminate()
            raise
        dialect._idle["commit"].append(connection)
        return dialect

    async def _open(self, settings: dict[str, str]) -> Any:
        async def connect(url: sa.URL) -> Any:
            return await asyncpg.connect(
                url.set(drivername="postgresql").render_as_string(hide_password=False),
                server_settings=settings,
                timeout=_CONNECT_SECONDS,
                command_timeout=60,
                target_session_attrs=self._wanted,
            )

        return await self._servers.open(connect)

    async def _check(self, connection: Any) -> None:
        for setting, wanted, allowed in (
            ("synchronous_commit", "on", _DURABLE),
            ("fsync", "on", frozenset({"on"})),
            ("transaction_read_only", "off", frozenset({"off"})),
            ("server_encoding", "UTF8", frozenset({"UTF8"})),
        ):
            value = await connection.fetchval("SELECT current_setting($1)", setting)
            if value not in allowed:
                raise DatabaseSetupError(
                    f"the database {self._shown} has '{setting}' set to '{value}'; it must be '{wanted}'"
                )

    def _words(self, error: BaseException) -> str:
        text = str(error).strip() or type(error).__name__
        return text.replace(self._password, "***") if self._password else text

    @property
    def reader(self) -> AsyncEngine:
        return self._reader

    @property
    def writer(self) -> AsyncEngine:
        return self._writer

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def _hot(self, use: str, opening: str | None = None) -> AsyncIterator[Any]:
        """Lend a raw connection; one that an error or a cancellation left in doubt is thrown away.

        ``opening`` is executed first; idle connections that fail at it (the server was restarted) are
        replaced.
        """
        idle = self._idle[use]
        connection = await self._take(idle, opening)
        try:
            yield connection
        except (ContentionError, RefusedError, TakenError):
            idle.append(connection)
            raise
        except BaseException:
            connection.terminate()
            raise
        idle.append(connection)

    async def _take(self, idle: list[Any], opening: str | None) -> Any:
        while idle:
            connection = idle.pop()
            if connection.is_closed():
                continue
            try:
                if opening is not None:
                    await connection.execute(opening)
            except _DATABASE_ERRORS:
                connection.terminate()
            else:
                return connection
        try:
            connection = await self._open(_HOT_SESSION)
            if opening is not None:
                await connection.execute(opening)
        except _DATABASE_ERRORS as error:
            raise DatabaseUnavailableError(
                f"the database can't be reached: {self._words(error)}; nothing was stored"
            ) from error
        return connection

    # -- the batch ------------------------------------------------------------------------

    async def write(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        async with self._hot("commit", "BEGIN") as connection:
            try:
                lost = await self._write(connection, batch, taken)
            except (TakenError, RefusedError):
                await self._undo(connection)
                raise
            except _DATABASE_ERRORS as error:
                translated = self._translate(error)
                if not isinstance(translated, DatabaseUnavailableError):
                    await self._undo(connection)
                raise translated from error
            await self._commit(connection, batch.token)
            return lost

    @staticmethod
    async def _undo(connection: Any) -> None:
        """Roll back; if that fails, the server does it, and the connection isn't used again."""
        try:
            await connection.execute("ROLLBACK")
        except _DATABASE_ERRORS:
            connection.terminate()

    async def _write(self, connection: Any, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        known = batch.known_ids
        versions = dict(await connection.fetch(_LOCK, known)) if known else {}
        keys = batch.doubtful
        stored = await connection.fetch(_STORED, *map(list, zip(*keys, strict=True))) if keys else ()
        plan = batch.plan(versions, taken, frozenset(map(tuple, stored)))
        for statement, rows in plan.writes:
            await self._execute(connection, statement, rows)
        return plan.lost

    async def _commit(self, connection: Any, token: int) -> None:
        try:
            await connection.execute("COMMIT")
        except _DATABASE_ERRORS as error:
            translated = self._translate(error)
            if isinstance(translated, DatabaseUnavailableError):
                raise OutcomeUnknownError(
                    f"the connection broke while committing: {self._words(error)}", token
                ) from error
            raise translated from error

    async def _execute(self, connection: Any, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
        sql = self._rendered.get(statement)
        if sql is None:
            sql = self._rendered[statement] = render(statement)
        columns = [list(column) for column in zip(*rows, strict=True)]
        if statement is HEADS_NEW:
            inserted = {head_id for (head_id,) in await connection.fetch(sql, *columns)}
            if len(inserted) < len(rows):
                raise TakenError(frozenset(row[0] for row in rows) - inserted)
            return
        tag = await connection.execute(sql, *columns)
        written = int(tag.rpartition(" ")[2])
        if statement.must_match and written != len(rows):
            raise statement.missing(len(rows) - written)

    # -- reads ----------------------------------------------------------------------------

    async def fetch(self, queries: Sequence[Query]) -> list[list[tuple[Any, ...]]]:
        try:
            return await self._fetch(queries)
        except DatabaseUnavailableError:
            # An idle connection may have been dead for long: a read is worth a second try on a new one.
            for connection in self._idle["load"]:
                connection.terminate()
            return await self._fetch(queries)

    async def _fetch(self, queries: Sequence[Query]) -> list[list[tuple[Any, ...]]]:
        is_one = len(queries) == 1
        async with self._hot("load", None if is_one else _SNAPSHOT) as connection:
            try:
                found = [
                    [tuple(row) for row in await connection.fetch(sql, *parameters)]
                    for sql, parameters in queries
                ]
                if not is_one:
                    await connection.execute("COMMIT")
                return found
            except _DATABASE_ERRORS as error:
                words = self.unavailable(error)
                if words is None:
                    raise  # the query itself is wrong: trying again won't help
                raise DatabaseUnavailableError(words) from error

    def any_of(self, place: int) -> str:
        return f"= ANY(${place}::text[])"

    def array(self, values: Iterable[str]) -> Any:
        return list(values)

    # -- locks of sessions ----------------------------------------------------------------

    async def hold(self, name: str) -> bool:
        if not self._hints:
            return False
        # A connection takes one statement at a time, and words are said between the rounds of the lock.
        async with self._lock_turn:
            return await self._hold(name)

    async def _hold(self, name: str) -> bool:
        held = self._lock is not None and not self._lock.is_closed()
        try:
            if held:
                await self._lock.execute("SELECT 1")
                return True
            self._lock = await self._open(_SESSION)
            await self._lock.execute("SELECT pg_try_advisory_lock($1)", _lock_key(name))
            if self._heard is not None:
                await self._lock.add_listener(_CHANNEL, self._hear)
        except _DATABASE_ERRORS:
            self._drop_lock()
        return False

    def listen(self, heard: Callable[[str], None]) -> None:
        self._heard = heard

    def _hear(self, connection: Any, pid: int, _channel: str, word: str) -> None:
        if self._heard is not None and pid != connection.get_server_pid():
            self._heard(word)

    async def say(self, word: str) -> None:
        async with self._lock_turn:
            if self._lock is None or self._lock.is_closed():
                return
            try:
                await self._lock.execute("SELECT pg_notify($1, $2)", _CHANNEL, word)
            except _DATABASE_ERRORS:
                self._drop_lock()

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock.terminate()
            self._lock = None

    async def held(self, names: Sequence[str]) -> frozenset[str] | None:
        if not self._hints:
            return None
        keys = {_lock_key(name): name for name in names}
        rows = (await self.fetch([(_HELD, ())]))[0]
        return frozenset(keys[key] for (key,) in rows if key in keys)

    # -- errors ---------------------------------------------------------------------------

    def _translate(self, error: BaseException) -> Exception:
        words = self._words(error)
        state = getattr(error, "sqlstate", None) or ""
        if state[:2] == "40" or state in _CONTENTION:
            return ContentionError(words)
        if self._is_infrastructure(error):
            return DatabaseUnavailableError(f"the database can't be written: {words}; nothing was stored")
        return RefusedError(words)

    @staticmethod
    def _is_infrastructure(error: BaseException) -> bool:
        state = getattr(error, "sqlstate", None)
        if state:
            return state[:2] in _INFRASTRUCTURE_CLASSES
        if isinstance(error, (ValueError, OverflowError)):
            return False  # a parameter that can't be sent; the driver has an InterfaceError for it too
        return isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError))

    def unavailable(self, error: BaseException) -> str | None:
        cause = error.__cause__ or error
        state = getattr(cause, "sqlstate", None) or ""
        if state[:2] == "40" or state in _CONTENTION:
            return f"the database is too busy: {self._words(cause)}; try again"
        if self._is_infrastructure(cause):
            return f"the database can't be reached: {self._words(cause)}"
        return None

    def is_busy(self, error: BaseException) -> bool:
        state = getattr(error.__cause__ or error, "sqlstate", None) or ""
        return state[:2] == "40"

    async def close(self) -> None:
        await self._writer.dispose()
        self._drop_lock()
        for connections in self._idle.values():
            for connection in connections:
                try:
                    await asyncio.wait_for(connection.close(), 5)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection.terminate()
            connections.clear()


_DATABASE_ERRORS = (
    OSError,
    TimeoutError,
    UnicodeError,
    OverflowError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def render(statement: Statement) -> str:
    """Write the SQL of a statement; each parameter is the array of one column."""
    table = _quote(statement.table.name)
    arrays = ", ".join(
        f"${place}::{_array_type(statement.table.c[name])}" for place, name in enumerate(statement.columns, 1)
    )
    columns = ", ".join(map(_quote, statement.columns))
    match = " AND ".join(f"{table}.{_quote(name)}=v.{_quote(name)}" for name in statement.key)
    if statement.kind == "delete":
        return f"DELETE FROM {table} USING unnest({arrays}) AS v({columns}) WHERE {match}"
    if statement.kind == "update":
        changes = ", ".join(f"{_quote(name)}=v.{_quote(name)}" for name in statement.changes)
        return f"UPDATE {table} SET {changes} FROM unnest({arrays}) AS v({columns}) WHERE {match}"
    insert = f"INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT"
    if statement.kind == "upsert":
        key = ", ".join(map(_quote, statement.key))
        changes = ", ".join(f"{_quote(name)}=excluded.{_quote(name)}" for name in statement.changes)
        return f"{insert} ({key}) DO UPDATE SET {changes}"
    return f"{insert} DO NOTHING" + (" RETURNING id" if statement.kind == "insert-new" else "")


def _array_type(column: sa.Column[Any]) -> str:
    match column.type:
        case sa.Boolean():
            return "bool[]"
        case sa.BigInteger():
            return "int8[]"
        case sa.SmallInteger():
            return "int2[]"
        case sa.Integer():
            return "int4[]"
        case _:
            return "text[]"


def _quote(name: str) -> str:
    return f'"{name}"'
