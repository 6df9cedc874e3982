"""MariaDB 10.6 or later, alone or as a Galera cluster: batches as multi-row statements.

Heads are taken with ``SKIP LOCKED`` as on PostgreSQL. Double quotes are identifiers here
(``ANSI_QUOTES``), text is ``utf8mb4`` and compares by code point.

A Galera cluster differs in three ways:

* Locks are known to one server alone. Of two transactions on different servers that change one row the
  second fails at its certification; that comes as a deadlock, even at the COMMIT, nothing was written,
  and it is run again. So whatever may not happen twice must *change* a row that both change: a lock on it
  isn't enough.
* What another server has acknowledged may not be here yet. Reads, and transactions other than batches,
  wait for it (``wsrep_sync_wait``). Batches need not: what is old loses at the fence.
* A server that has lost the others takes connections and refuses statements (1047). Such connections
  are given up, and the next server of the URL is tried.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncmy
import sqlalchemy as sa
from asyncmy import errors
from asyncmy.constants.CLIENT import FOUND_ROWS
from sqlalchemy import ExceptionContext
from sqlalchemy.exc import DisconnectionError
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
from tramontane.store.packing import Key
from tramontane.store.servers import Servers, ServerURL
from tramontane.store.statements import HEADS_NEW, Statement

_SQL_MODE = "ANSI_QUOTES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO"
_SESSION = (
    f"SET SESSION sql_mode='{_SQL_MODE}', innodb_lock_wait_timeout=5, idle_transaction_timeout=10, "
    "tx_isolation='READ-COMMITTED', autocommit=1, max_error_count=0"
)
_CURRENT = "SET SESSION wsrep_sync_wait=7"
"""Reads (and BEGIN), changes and insertions wait for what the cluster has acknowledged before them."""
_ISOLATED = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_NAMES = "SET NAMES utf8mb4 COLLATE utf8mb4_bin"
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60
"""A server that takes longer is gone, also when nobody closed the connection."""
_READERS = 10
_WRITERS = 6
_KEYS = 500
_HOLDS = "SELECT IS_USED_LOCK(%s) = CONNECTION_ID()"
_OLDEST = (10, 6)

_CONTENTION = frozenset({1205, 1213, 1020, 1317, 3572})
"""Lock wait timeout, deadlock (certification failure too), record changed, interrupted by a transaction of
another server, lock not available."""

_ROLLED_BACK = frozenset({1213})
"""What proves at a COMMIT, too, that nothing was written. Everything else leaves it open: with 1180 a server
answers that lost the others while they may have got the transaction."""

_INFRASTRUCTURE = frozenset(
    {1040, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1077, 1079, 1129, 1130, 1152, 1158, 1159, 1160, 1161}
    | {1180, 1184, 1203, 1226, 1290, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031}
)
"""Codes that speak of the server and the way to it: too many connections, shutdown, cluster not ready …"""

_DATABASE_ERRORS = (OSError, TimeoutError, EOFError, asyncio.IncompleteReadError, errors.MySQLError)
_PLACE = re.compile(r"\$(\d+)")


Use = Literal["commit", "load", "read", "change"]
"""What a connection is for: batches, reads of turns, other reads, other transactions."""


class MariaDB:
    """Connections to one MariaDB database."""

    name = "mariadb"
    now_sql = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"

    def __init__(self, url: ServerURL, *, hints: bool = True) -> None:
        self._servers = Servers(url, _DATABASE_ERRORS)
        self._password = url.first.password
        self._shown = url.shown()
        self._idle: dict[Use, list[Any]] = {"commit": [], "load": []}
        self._packet = 2**22
        self._is_cluster = False
        self._hints = hints
        self._lock: Any = None  # a connection whose life shows this process's
        self._lock_turn = asyncio.Lock()
        self._reader = self._pool("read", _READERS)
        self._writer = self._pool("change", _WRITERS)

    def _pool(self, use: Use, size: int) -> AsyncEngine:
        """Connections of one kind. Those for reading commit by themselves from the start: switching that
        on would cost a round trip each time, and lose the connection when the task is cancelled over it."""
        engine = create_async_engine(
            "mariadb+asyncmy://",
            async_creator=lambda: self._open(use),
            pool_size=size,
            max_overflow=0,
            pool_timeout=10,
            pool_reset_on_return=None,  # ``_require_ready`` does it
            skip_autocommit_rollback=True,
        )
        sa.event.listen(engine.sync_engine, "checkout", _require_ready)
        sa.event.listen(engine.sync_engine, "handle_error", _give_up)
        return engine

    @classmethod
    async def connect(cls, url: ServerURL, *, hints: bool = True) -> MariaDB:
        """Connect, and check that the server can be trusted with data.

        ``hints`` False: no lock of a session is taken or looked at.

        Raises:
            DatabaseSetupError: the server can't be reached, refuses, is too old, or isn't durable.
        """
        dialect = cls(url, hints=hints)
        try:
            connection = await dialect._open("commit")
        except (*_DATABASE_ERRORS, ValueError) as error:
            raise DatabaseSetupError(
                f"the database {dialect._shown} can't be opened: {dialect._words(error)}"
            ) from None
        try:
            await dialect._check(connection)
        except BaseException:
            connection.close()
            raise
        dialect._idle["commit"].append(connection)
        return dialect

    async def _open(self, use: Use) -> Any:
        """Connect to a server that is there, and ready: what ``init_command`` does ends with a COMMIT."""

        async def connect(url: sa.URL) -> Any:
            connection = await _connection(url, use)
            try:
                await _execute(connection, _NAMES)
                if use != "commit" and self._is_cluster:
                    await _execute(connection, _CURRENT)
            except BaseException:
                connection.close()
                raise
            return connection

        return await self._servers.open(connect)

    async def _check(self, connection: Any) -> None:
        row = await _one(
            connection,
            "SELECT VERSION(), @@innodb_flush_log_at_trx_commit, @@max_allowed_packet, @@read_only",
        )
        version, flush, packet, read_only = row
        if "MariaDB" not in version or _version(version) < _OLDEST:
            raise DatabaseSetupError(
                f"the database {self._shown} is '{version}'; MariaDB 10.6 or later is needed"
            )
        if read_only:
            raise DatabaseSetupError(f"the database {self._shown} is read-only; name the writable server")
        variables = dict(await _all(connection, "SHOW VARIABLES LIKE 'wsrep_on'"))
        self._is_cluster = variables.get("wsrep_on") == "ON"
        if flush != 1 and not self._is_cluster:
            raise DatabaseSetupError(
                f"the database {self._shown} has 'innodb_flush_log_at_trx_commit' set to '{flush}'; "
                "it must be '1', or commits are lost when the server crashes"
            )
        self._packet = max(2**20, int(packet) // 2)

    def _words(self, error: BaseException) -> str:
        arguments = error.args
        text = str(arguments[1]) if len(arguments) > 1 else str(error).strip() or type(error).__name__
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
    async def _hot(self, use: Use, opening: str | None = None) -> AsyncIterator[Any]:
        """Lend a raw connection; one that an error or a cancellation left in doubt is thrown away."""
        idle = self._idle[use]
        connection = await self._take(use, opening)
        try:
            yield connection
        except (ContentionError, RefusedError, TakenError):
            idle.append(connection)
            raise
        except BaseException:
            connection.close()
            raise
        idle.append(connection)

    async def _take(self, use: Use, opening: str | None) -> Any:
        idle = self._idle[use]
        while idle:
            connection = idle.pop()
            try:
                await _execute(connection, opening or "DO 0")
            except _DATABASE_ERRORS:
                connection.close()
            else:
                return connection
        try:
            connection = await self._open(use)
            if opening is not None:
                await _execute(connection, opening)
        except _DATABASE_ERRORS as error:
            raise DatabaseUnavailableError(
                f"the database can't be reached: {self._words(error)}; nothing was stored"
            ) from error
        return connection

    # -- the batch ------------------------------------------------------------------------

    async def write(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        async with self._hot("commit", "START TRANSACTION") as connection:
            try:
                lost = await self._write(connection, batch, taken)
            except (TakenError, RefusedError):
                await _undo(connection)
                raise
            except (*_DATABASE_ERRORS, UnicodeError) as error:
                translated = self._translate(error)
                if not isinstance(translated, DatabaseUnavailableError):
                    await _undo(connection)
                raise translated from error
            await self._commit(connection, batch.token)
            return lost

    async def _write(self, connection: Any, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        known = batch.known_ids
        versions: dict[str, int] = {}
        if known:
            marks = ", ".join(["%s"] * len(known))
            versions = dict(
                await _all(
                    connection,
                    f"SELECT id, version FROM heads WHERE id IN ({marks}) ORDER BY id FOR UPDATE SKIP LOCKED",
                    known,
                )
            )
        plan = batch.plan(versions, taken, await self._stored(connection, batch.doubtful))
        for statement, rows in plan.writes:
            await self._write_rows(connection, statement, rows)
        return plan.lost

    @staticmethod
    async def _stored(connection: Any, keys: Sequence[Key]) -> frozenset[Key]:
        found: set[Key] = set()
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            marks = ", ".join(["(%s, %s)"] * len(some))
            query = f"SELECT root_id, hash FROM big_values WHERE (root_id, hash) IN ({marks})"
            rows = await _all(connection, query, [each for key in some for each in key])
            found.update((root_id, content_hash) for root_id, content_hash in rows)
        return frozenset(found)

    async def _commit(self, connection: Any, token: int) -> None:
        try:
            await _execute(connection, "COMMIT")
        except _DATABASE_ERRORS as error:
            if _code(error) in _ROLLED_BACK:
                raise ContentionError(self._words(error)) from error
            if _is_too_large(error):
                raise RefusedError(self._words(error)) from error
            raise OutcomeUnknownError(
                f"the server didn't say whether it has committed: {self._words(error)}", token
            ) from error

    async def _write_rows(self, connection: Any, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
        written = 0
        for part in _parts(rows, self._packet):
            sql = render(statement, len(part))
            values = [value for row in part for value in row]
            async with asyncio.timeout(_ANSWER_SECONDS), connection.cursor() as cursor:
                count = await cursor.execute(sql, values)
                if statement is HEADS_NEW:
                    inserted = {row[0] for row in await cursor.fetchall()}
                    if len(inserted) < len(part):
                        raise TakenError(frozenset(row[0] for row in part) - inserted)
            written += count
        if statement.must_match and written != len(rows):
            raise statement.missing(len(rows) - written)

    # -- reads ----------------------------------------------------------------------------

    async def fetch(self, queries: Sequence[Query]) -> list[list[tuple[Any, ...]]]:
        async with self._hot("load", _ISOLATED) as connection:
            try:
                await _execute(connection, "START TRANSACTION READ ONLY")
                found = [await _all(connection, *_numbered(sql, parameters)) for sql, parameters in queries]
                await _execute(connection, "COMMIT")
                return found
            except _DATABASE_ERRORS as error:
                words = self.unavailable(error)
                if words is None:
                    raise  # the query itself is wrong: trying again won't help
                raise DatabaseUnavailableError(words) from error

    def any_of(self, place: int) -> str:
        column = "v VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$'"
        return f"IN (SELECT v FROM JSON_TABLE(${place}, '$[*]' COLUMNS({column})) AS given)"

    def array(self, values: Iterable[str]) -> Any:
        return json.dumps(list(values))

    # -- locks of sessions ----------------------------------------------------------------

    @property
    def _has_locks(self) -> bool:
        """Servers of a cluster don't know each other's."""
        return self._hints and not self._is_cluster

    async def hold(self, name: str) -> bool:
        if not self._has_locks:
            return False
        async with self._lock_turn:  # a connection takes one statement at a time
            return await self._hold(name)

    async def _hold(self, name: str) -> bool:
        held = self._lock is not None
        try:
            if held:
                return await _one(self._lock, _HOLDS, [_lock_name(name)]) == (1,)
            self._lock = await self._open("commit")
            await _one(self._lock, "SELECT GET_LOCK(%s, 0)", [_lock_name(name)])
        except _DATABASE_ERRORS:
            self._drop_lock()
        return False

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def held(self, names: Sequence[str]) -> frozenset[str] | None:
        if not self._has_locks:
            return None
        found: set[str] = set()
        for start in range(0, len(names), _KEYS):
            some = names[start : start + _KEYS]
            questions = ", ".join(f"IS_USED_LOCK(${number})" for number in range(1, len(some) + 1))
            ((users,),) = await self.fetch([(f"SELECT {questions}", tuple(map(_lock_name, some)))])
            found.update(name for name, user in zip(some, users, strict=True) if user is not None)
        return frozenset(found)

    def listen(self, heard: Callable[[str], None]) -> None:
        """Nobody can speak here."""

    async def say(self, word: str) -> None:
        """Nobody can hear here."""

    # -- errors ---------------------------------------------------------------------------

    def _translate(self, error: BaseException) -> Exception:
        words = self._words(error)
        if _code(error) in _CONTENTION:
            return ContentionError(words)
        if _is_infrastructure(error) and not _is_too_large(error):
            return DatabaseUnavailableError(f"the database can't be written: {words}; nothing was stored")
        return RefusedError(words)

    def unavailable(self, error: BaseException) -> str | None:
        cause = error.__cause__ if isinstance(error.__cause__, _DATABASE_ERRORS) else error
        if _code(cause) in _CONTENTION:
            return f"the database is too busy: {self._words(cause)}; try again"
        if _is_infrastructure(cause):
            return f"the database can't be reached: {self._words(cause)}"
        return None

    def is_busy(self, error: BaseException) -> bool:
        cause = error.__cause__ if isinstance(error.__cause__, _DATABASE_ERRORS) else error
        return _code(cause) in _ROLLED_BACK

    async def close(self) -> None:
        self._drop_lock()
        await self._reader.dispose()
        await self._writer.dispose()
        for connections in self._idle.values():
            for connection in connections:
                try:
                    await asyncio.wait_for(connection.ensure_closed(), 5)
                except _DATABASE_ERRORS:
                    connection.close()
            connections.clear()


def _is_too_large(error: BaseException) -> bool:
    """Whether the cluster refuses so much at once (``wsrep_max_ws_size``, ``wsrep_max_ws_rows``)."""
    words = str(error)
    return "writeset size exceeded" in words or "wsrep_max_ws_rows" in words


async def _connection(url: sa.URL, use: Use) -> Any:
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    async with asyncio.timeout(_CONNECT_SECONDS):
        connection = await _connect(url, use)
    if task.cancelling() > before:
        # On Python 3.11 the driver's wait_for swallows a cancellation that comes as it is done.
        connection.close()
        raise asyncio.CancelledError
    return connection


async def _connect(url: sa.URL, use: Use) -> Any:
    return await asyncmy.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username or "root",
        password=url.password or "",
        database=url.database,
        unix_socket=url.query.get("unix_socket"),
        charset="utf8mb4",
        client_flag=FOUND_ROWS,
        init_command=_SESSION,
        autocommit=use != "change",
        read_timeout=_ANSWER_SECONDS if use in ("read", "change") else None,  # the hot ones have another
    )


def _require_ready(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool replace a connection that broke, or whose server has left its cluster.

    Whatever somebody has left undone on it, ends.
    """
    cursor = connection.cursor()
    try:
        cursor.execute("ROLLBACK")
    except _DATABASE_ERRORS as error:
        raise DisconnectionError(str(error)) from error
    finally:
        cursor.close()


def _lock_name(name: str) -> str:
    return f"tramontane {name}"


def _version(text: str) -> tuple[int, int]:
    found = re.search(r"(\d+)\.(\d+)\.\d+-MariaDB", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _code(error: BaseException) -> int:
    code = error.args[0] if isinstance(error, errors.MySQLError) and error.args else 0
    return code if isinstance(code, int) else 0


def _is_infrastructure(error: BaseException) -> bool:
    if isinstance(error, errors.MySQLError):
        return _code(error) in _INFRASTRUCTURE or isinstance(error, errors.InterfaceError)
    return isinstance(error, (OSError, TimeoutError, EOFError))


def _give_up(context: ExceptionContext) -> None:
    """Have the pool throw away what is connected to a server that is gone, or has left its cluster."""
    if _is_infrastructure(context.original_exception):
        context.is_disconnect = True


async def _undo(connection: Any) -> None:
    """Roll back; if that fails, the server does it, and the connection isn't used again."""
    try:
        await _execute(connection, "ROLLBACK")
    except _DATABASE_ERRORS:
        connection.close()


async def _execute(connection: Any, sql: str) -> None:
    async with asyncio.timeout(_ANSWER_SECONDS), connection.cursor() as cursor:
        await cursor.execute(sql)


async def _all(connection: Any, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    async with asyncio.timeout(_ANSWER_SECONDS), connection.cursor() as cursor:
        await cursor.execute(sql, parameters or None)
        return list(await cursor.fetchall())


async def _one(connection: Any, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    return (await _all(connection, sql, parameters))[0]


def _numbered(sql: str, parameters: Sequence[Any]) -> tuple[str, list[Any]]:
    """Turn ``$1`` places into the driver's, repeating a parameter that is used twice."""
    used = [parameters[int(found[1]) - 1] for found in _PLACE.finditer(sql)]
    return _PLACE.sub("%s", sql.replace("%", "%%")), used


def _parts(rows: list[tuple[Any, ...]], most: int) -> Iterator[list[tuple[Any, ...]]]:
    """Cut rows so that a statement stays below what the server takes in one packet."""
    part: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        own = sum(len(value) * 2 if isinstance(value, str) else 20 for value in row)
        if part and (size + own > most or len(part) >= 500):
            yield part
            part, size = [], 0
        part.append(row)
        size += own
    if part:
        yield part


def render(statement: Statement, rows: int) -> str:
    """Write the SQL of a statement for so many rows."""
    table = _quote(statement.table.name)
    columns = ", ".join(map(_quote, statement.columns))
    row = ", ".join(["%s"] * len(statement.columns))
    if statement.kind == "delete":
        places = ", ".join([f"({row})"] * rows)
        return f"DELETE FROM {table} WHERE ({columns}) IN ({places})"
    if statement.kind == "update":
        first = ", ".join(f"%s AS {_quote(name)}" for name in statement.columns)
        values = " UNION ALL ".join([f"SELECT {first}", *[f"SELECT {row}"] * (rows - 1)])
        changes = ", ".join(f"t.{_quote(name)}=v.{_quote(name)}" for name in statement.changes)
        match = " AND ".join(f"t.{_quote(name)}=v.{_quote(name)}" for name in statement.key)
        return f"UPDATE {table} t JOIN ({values}) v ON {match} SET {changes}"
    values = ", ".join([f"({row})"] * rows)
    if statement.kind == "insert-new":
        return f"INSERT IGNORE INTO {table} ({columns}) VALUES {values} RETURNING id"
    changed = statement.changes if statement.kind == "upsert" else statement.key[:1]
    changes = ", ".join(
        f"{_quote(name)}=VALUES({_quote(name)})"
        if statement.kind == "upsert"
        else f"{_quote(name)}={_quote(name)}"
        for name in changed
    )
    return f"INSERT INTO {table} ({columns}) VALUES {values} ON DUPLICATE KEY UPDATE {changes}"


def _quote(name: str) -> str:
    return f'"{name}"'
