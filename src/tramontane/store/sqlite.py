"""SQLite: one process owns the file, one thread of it writes.

The batch goes to the writer's thread in one call; there, rows are written by statements of up to 64
rows, because each execution of a statement gives the interpreter lock away and must win it back.
Reads have connections of their own (WAL: they never wait for the writer, nor it for them).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from tramontane.store.batch import Batch
from tramontane.store.dialect import Query
from tramontane.store.errors import (
    ContentionError,
    DatabaseSetupError,
    DatabaseUnavailableError,
    FileInUseError,
    OutcomeUnknownError,
    RefusedError,
    TakenError,
)
from tramontane.store.packing import Key
from tramontane.store.statements import HEADS_NEW, Statement

T = TypeVar("T")

MAGIC = b"SQLite format 3\0"
_CHUNKS = (64, 16, 4, 1)
_SWITCH_INTERVAL = 0.0005
_READERS = 4


class FileLock:
    """Ownership of a database file: a lock on a file beside it, gone with the process however it ends.

    The lock is the process's own (children that it forks don't inherit it), so opening twice within
    one process is noticed by a register.
    """

    _held: set[Path] = set()  # noqa: RUF012 (as the lock itself, one per process)

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        if self._path in self._held:
            raise DatabaseSetupError(f"the database file '{database}' is already open in this process")
        try:
            self._file = self._path.open("a+")
        except OSError as error:
            raise DatabaseSetupError(
                f"the database file '{database}' can't be opened: {error.strerror}; "
                "check that its directory exists and may be written to"
            ) from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read().strip()
            self._file.close()
            by = f" (process {owner})" if owner else ""
            raise FileInUseError(
                f"the database file '{database}' is in use by another process{by}; only one process may "
                "have it open. Stop that one, or use PostgreSQL to run several"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        self._held.add(self._path)

    def release(self) -> None:
        self._held.discard(self._path)
        self._file.close()


@contextmanager
def _setup_errors(path: Path) -> Iterator[None]:
    """Say in an operator's words why a file can't be used."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise DatabaseSetupError(f"the database file '{path}' can't be opened: {error}") from error
        raise DatabaseSetupError(
            f"the file '{path}' is damaged or no SQLite database ({error}); "
            "restore it from a backup, or name another file"
        ) from error


class SQLite:
    """One open SQLite file."""

    name = "sqlite"
    now_sql = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"

    def __init__(self, path: Path | None, *, beside: bool = False) -> None:
        """Open ``path``; None: a database that vanishes when it is closed.

        ``beside``: open it even while another process owns it, for small changes that no process keeps
        in memory; SQLite's own locks are enough for them.
        """
        self._scratch: Path | None = None
        if path is None:
            shared_memory = Path("/dev/shm")
            self._scratch = Path(
                tempfile.mkdtemp(prefix="tramontane-", dir=shared_memory if shared_memory.is_dir() else None)
            )
            path = self._scratch / "database"
        self._path = path.resolve()
        self._check_header()
        self._lock = self._own(beside)
        self._turn = asyncio.Lock()
        self._rendered: dict[tuple[Statement, int], str] = {}
        self._writing = ThreadPoolExecutor(1, "tramontane-writer")
        self._reading = ThreadPoolExecutor(1, "tramontane-loader")
        try:
            with _setup_errors(self._path):
                self._writer = self._connect()
                self._loader = self._connect()
                self._loader.execute("PRAGMA query_only=ON")
        except BaseException:
            self._disown()
            raise
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
        self._read_engine = self._engine(_READERS, "AUTOCOMMIT")
        self._write_engine = self._engine(1, None)
        sa.event.listen(
            self._write_engine.sync_engine,
            "begin",
            lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"),
        )

    def _own(self, beside: bool) -> FileLock | None:
        try:
            return FileLock(self._path)
        except FileInUseError:
            if not beside:
                raise
            return None

    def _disown(self) -> None:
        if self._lock is not None:
            self._lock.release()

    @property
    def is_owner(self) -> bool:
        """False when another process owns the file, and this one stands beside it."""
        return self._lock is not None

    def _check_header(self) -> None:
        try:
            with self._path.open("rb") as file:
                start = file.read(len(MAGIC))
        except FileNotFoundError:
            return
        except OSError as error:
            raise DatabaseSetupError(
                f"the database file '{self._path}' can't be opened: {error.strerror}"
            ) from error
        if start and start != MAGIC:
            raise DatabaseSetupError(
                f"the file '{self._path}' is no SQLite database; name another file (or an empty one)"
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=500, timeout=10
        )
        _prepare(connection)
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        if mode != "wal" or level < 2:
            raise DatabaseSetupError(
                f"the database file '{self._path}' can't be written safely "
                f"(journal mode '{mode}', synchronous {level}); use a local file system"
            )
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection

    def _engine(self, size: int, isolation: Any) -> AsyncEngine:
        options = {} if isolation is None else {"isolation_level": isolation}
        engine = create_async_engine(
            sa.URL.create("sqlite+aiosqlite", database=str(self._path)),
            poolclass=AsyncAdaptedQueuePool,
            pool_size=size,
            max_overflow=0,
            connect_args={"timeout": 10},
            **options,
        )

        def connected(dbapi_connection: Any, _record: Any) -> None:
            dbapi_connection.isolation_level = None
            cursor = dbapi_connection.cursor()
            for pragma in _PRAGMAS:
                cursor.execute(pragma)
            if isolation is not None:
                cursor.execute("PRAGMA query_only=ON")
            cursor.close()

        sa.event.listen(engine.sync_engine, "connect", connected)
        return engine

    @property
    def reader(self) -> AsyncEngine:
        return self._read_engine

    @property
    def writer(self) -> AsyncEngine:
        return self._write_engine

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        async with self._turn:
            yield

    # -- the batch ------------------------------------------------------------------------

    async def write(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        async with self._turn:
            return await _in_thread(self._writing, lambda: self._write(batch, taken))

    def _write(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            versions = {}
            for head_id in batch.known_ids:
                for (version,) in connection.execute("SELECT version FROM heads WHERE id=?", (head_id,)):
                    versions[head_id] = version
            plan = batch.plan(versions, taken, self._stored(batch.doubtful))
            for statement, rows in plan.writes:
                self._execute(statement, rows)
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            self._roll_back()
            raise _translate(error) from error
        except BaseException:
            self._roll_back()
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            still_open = connection.in_transaction
            self._roll_back()
            if still_open:
                raise _translate(error) from error
            raise OutcomeUnknownError(
                f"the database failed while committing: {error}", batch.token
            ) from error
        return plan.lost

    def _stored(self, keys: Sequence[Key]) -> frozenset[Key]:
        query = "SELECT 1 FROM big_values WHERE root_id=? AND hash=?"
        return frozenset(key for key in keys if self._writer.execute(query, key).fetchone())

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _execute(self, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
        written = 0
        for part in _chunks(rows):
            sql = self._sql(statement, len(part))
            cursor = self._writer.execute(sql, [value for row in part for value in row])
            if statement is HEADS_NEW:
                inserted = {head_id for (head_id,) in cursor}
                if len(inserted) < len(part):
                    raise TakenError(frozenset(row[0] for row in part) - inserted)
            written += cursor.rowcount
        if statement.must_match and written != len(rows):
            raise statement.missing(len(rows) - written)

    def _sql(self, statement: Statement, rows: int) -> str:
        sql = self._rendered.get((statement, rows))
        if sql is None:
            sql = self._rendered[statement, rows] = render(statement, rows)
        return sql

    # -- reads ----------------------------------------------------------------------------

    async def fetch(self, queries: Sequence[Query]) -> list[list[tuple[Any, ...]]]:
        return await _in_thread(self._reading, lambda: self._fetch(queries))

    def _fetch(self, queries: Sequence[Query]) -> list[list[tuple[Any, ...]]]:
        try:
            self._loader.execute("BEGIN")
            try:
                return [
                    self._loader.execute(sql.replace("$", "?"), parameters).fetchall()
                    for sql, parameters in queries
                ]
            finally:
                self._loader.execute("COMMIT")
        except sqlite3.Error as error:
            raise DatabaseUnavailableError(f"the database can't be read: {error}") from error

    def any_of(self, place: int) -> str:
        return f"IN (SELECT value FROM json_each(${place}))"

    def array(self, values: Iterable[str]) -> Any:
        return json.dumps(list(values))

    async def hold(self, name: str) -> bool:
        return False  # nobody else has the file open

    async def held(self, names: Sequence[str]) -> frozenset[str] | None:
        return None

    def listen(self, heard: Callable[[str], None]) -> None:
        """Nobody can speak here."""

    async def say(self, word: str) -> None:
        """Nobody can hear here."""

    def unavailable(self, error: BaseException) -> str | None:
        if isinstance(error, sqlite3.OperationalError):
            return f"the database file '{self._path}' can't be used now: {error}"
        return None

    def is_busy(self, error: BaseException) -> bool:
        return False  # there is one writer at a time

    async def close(self) -> None:
        await self._read_engine.dispose()
        await self._write_engine.dispose()
        self._writing.shutdown()
        self._reading.shutdown()
        self._loader.close()
        self._writer.close()
        self._disown()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


_PRAGMAS = (
    "PRAGMA busy_timeout=10000",
    "PRAGMA synchronous=FULL",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16384",
)


def _prepare(connection: sqlite3.Connection) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


async def _in_thread(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Run ``work`` in its thread; a cancelled caller still waits for the end of what was begun."""
    future = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def _translate(error: Exception) -> Exception:
    text = str(error)
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in text or "busy" in text:
            return ContentionError(text)
        return DatabaseUnavailableError(f"the database can't be written: {text}; nothing was stored")
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
    ):
        return DatabaseUnavailableError(f"the database can't be written: {text}; nothing was stored")
    return RefusedError(text)


def _chunks(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Cut into few sizes, so that few different statements are prepared."""
    start, left = 0, len(rows)
    for size in _CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start += size
            left -= size


def render(statement: Statement, rows: int) -> str:
    """Write the SQL of a statement for so many rows."""
    table = _quote(statement.table.name)
    columns = ", ".join(map(_quote, statement.columns))
    row = "(" + ", ".join("?" * len(statement.columns)) + ")"
    values = ", ".join([row] * rows)
    if statement.kind == "delete":
        match = " AND ".join(f"{_quote(name)}=?" for name in statement.columns)
        return f"DELETE FROM {table} WHERE " + " OR ".join([f"({match})"] * rows)
    if statement.kind == "update":
        changes = ", ".join(
            f"{_quote(name)}=v.column{place}" for place, name in enumerate(statement.columns, 1) if place > 1
        )
        return f"UPDATE {table} SET {changes} FROM (VALUES {values}) AS v WHERE {table}.id=v.column1"
    insert = f"INSERT INTO {table} ({columns}) VALUES {values} ON CONFLICT"
    if statement.kind == "upsert":
        key = ", ".join(map(_quote, statement.key))
        changes = ", ".join(f"{_quote(name)}=excluded.{_quote(name)}" for name in statement.changes)
        return f"{insert} ({key}) DO UPDATE SET {changes}"
    return f"{insert} DO NOTHING" + (" RETURNING id" if statement.kind == "insert-new" else "")


def _quote(name: str) -> str:
    return f'"{name}"'
