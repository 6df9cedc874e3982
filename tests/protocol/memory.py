"""A database in memory with the semantics of the real ones, for the simulation.

Turns are written by the real group commit (:mod:`tramontane.store.commit`) and the real codec: here
is what a database does beneath them. Transactions lock rows and apply their writes when they commit;
who finds a head locked skips it, who wants to insert one that another transaction is about to insert
waits. A transaction that rests for ten seconds is ended by the server. ``test_double.py`` holds all of
it to the suite that the real stores pass.

How a statement reaches the server, and whether its answer comes back, is the :class:`Wire`'s part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tramontane.store import schema
from tramontane.store.batch import Batch, Plan
from tramontane.store.big_values import BigValues
from tramontane.store.codec import Row, RowReader
from tramontane.store.errors import (
    ContentionError,
    DatabaseUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TakenError,
)
from tramontane.store.formats import Formats
from tramontane.store.packing import Found, Key, Memory
from tramontane.store.statements import HEADS_NEW, Statement

T = TypeVar("T")
Record = dict[str, Any]

IDLE_SECONDS = 10.0
LOCK_SECONDS = 5.0

_FIRST_HEAD = {"takeovers": 0, "parked": None}
_BY_EXECUTION = ("tasks", "action_executions", "subworkflows", "past_runs", "inbox", "timers", "jobs")


class Blocked(Exception):
    """A lock is in the way; the server waits for it. Internal."""


class BrokenError(Exception):
    """The connection broke before an answer came: what was asked may have been done. Internal."""


@dataclass(eq=False, slots=True)
class Transaction:
    """What a session has locked, and what it will do when it commits."""

    active_at: float
    locks: set[tuple[str, Any]] = field(default_factory=set)
    writes: list[Callable[[], None]] = field(default_factory=list)
    is_over: bool = False


class Wire(Protocol):
    """The way to the server and back."""

    def now(self) -> float:
        """Seconds, by the server's clock."""

    async def ask(
        self, serve: Callable[[], T], transaction: Transaction | None = None, *, commits: bool = False
    ) -> T:
        """Have the server do something at some moment, and give its answer.

        Raises:
            DatabaseUnavailableError: it was not done.
            BrokenError: it may have been done.
        """


class ShortWire:
    """No way at all: for tests of the database alone."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def ask(
        self, serve: Callable[[], T], transaction: Transaction | None = None, *, commits: bool = False
    ) -> T:
        until = self.now() + LOCK_SECONDS
        while True:
            try:
                return serve()
            except Blocked:
                if self.now() > until:
                    raise ContentionError("lock timeout") from None
            await asyncio.sleep(0.001)


class NoBigValues(BigValues):
    """Big values are no part of the protocol: nothing here is big."""

    def __init__(self) -> None:
        self.memory = Memory()

    async def place(self, found: Mapping[Key, Found]) -> None:
        assert not found

    def committed(self, found: Mapping[Key, Found]) -> None:
        assert not found


class MemoryDatabase:
    """Tables and locks. ``dialect`` is the database itself, as the group commit wants it."""

    name = "memory"

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.big_values = NoBigValues()
        self.tables: dict[str, dict[Any, Record]] = {
            name: {} for name in ("heads", "executions", "nodes", *_BY_EXECUTION)
        }
        self.formats = Formats()
        self.pools: set[str] = set()
        self.lost_claims: set[tuple[str, int]] = set()
        """Attempts whose claims were taken away, by (action id, attempt)."""
        self.committed: list[Callable[[frozenset[str]], None]] = []
        """Called with the ids of the executions whose rows a transaction has changed."""
        self.writing: Callable[[Batch, frozenset[str]], None] | None = None
        """Called with a batch and who lost in it, at the moment in which it becomes durable."""
        self._open: set[Transaction] = set()

    @property
    def dialect(self) -> MemoryDatabase:
        return self

    def rows(self, table: str) -> Iterable[Record]:
        return self.tables[table].values()

    # -- transactions ---------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that is rolled back unless it was committed."""
        transaction = Transaction(self.wire.now())
        self._open.add(transaction)
        try:
            yield transaction
        except (BrokenError, OutcomeUnknownError):
            raise  # what has become of it is the server's to know
        except BaseException:
            self.end(transaction)
            raise
        else:
            self.end(transaction)

    async def ask(self, transaction: Transaction, serve: Callable[[], T], *, commits: bool = False) -> T:
        """Have a statement of a transaction done."""

        def in_time() -> T:
            if transaction.is_over or self._is_idle(transaction):
                self.end(transaction)
                raise DatabaseUnavailableError("the server has ended the session; nothing was stored")
            transaction.active_at = self.wire.now()
            return serve()

        return await self.wire.ask(in_time, transaction, commits=commits)

    def end(self, transaction: Transaction) -> None:
        """Give its locks back; what it hasn't committed never was."""
        transaction.is_over = True
        self._open.discard(transaction)

    def commit(self, transaction: Transaction) -> None:
        for write in transaction.writes:
            write()
        self.end(transaction)

    def _is_idle(self, transaction: Transaction) -> bool:
        return self.wire.now() - transaction.active_at > IDLE_SECONDS

    def is_locked(self, table: str, key: Any, apart_from: Transaction | None = None) -> bool:
        """Whether a living transaction holds this row."""
        for transaction in list(self._open):
            if transaction is not apart_from and (table, key) in transaction.locks:
                if not self._is_idle(transaction):
                    return True
                self.end(transaction)
        return False

    def wait_for(self, table: str, keys: Iterable[Any], own: Transaction | None = None) -> None:
        """Wait until nobody else holds these rows."""
        if any(self.is_locked(table, key, own) for key in keys):
            raise Blocked

    async def atomically(self, serve: Callable[[], T]) -> T:
        """A short transaction: done or not done as a whole, and at one moment."""
        try:
            return await self.wire.ask(serve)
        except BrokenError as error:
            raise DatabaseUnavailableError(f"the database can't be reached: {error}") from error

    def changed(self, execution_ids: Iterable[str | None]) -> None:
        """Tell who watches that rows of these executions are others now."""
        touched = frozenset(each for each in execution_ids if each is not None)
        for tell in self.committed:
            tell(touched)

    # -- the batch ------------------------------------------------------------------------

    async def write(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        """See :meth:`tramontane.store.dialect.Dialect.write`."""
        async with self.transaction() as transaction:
            try:
                plan = await self._prepare(transaction, batch, taken)
            except BrokenError as error:
                raise DatabaseUnavailableError(f"{error}; nothing was stored") from error

            def commit() -> None:
                if self.writing is not None:
                    self.writing(batch, plan.lost)
                self.commit(transaction)
                self.changed(_touched(plan.writes))

            try:
                await self.ask(transaction, commit, commits=True)
            except BrokenError as error:
                raise OutcomeUnknownError(str(error), batch.token) from error
            return plan.lost

    async def _prepare(self, transaction: Transaction, batch: Batch, taken: frozenset[str]) -> Plan:
        """Everything before the COMMIT."""
        known = batch.known_ids
        versions = await self.ask(transaction, lambda: self._lock(transaction, known)) if known else {}
        plan = batch.plan(versions, taken)
        await self.ask(transaction, lambda: self._stage(transaction, plan.writes))
        return plan

    def _lock(self, transaction: Transaction, ids: Sequence[str]) -> dict[str, int]:
        """Lock heads, skipping those that others have locked; give their versions."""
        heads = self.tables["heads"]
        free = [each for each in ids if each in heads and not self.is_locked("heads", each, transaction)]
        transaction.locks.update(("heads", each) for each in free)
        return {each: heads[each]["version"] for each in free}

    def _stage(self, transaction: Transaction, writes: Sequence[tuple[Statement, list[Row]]]) -> None:
        for statement, rows in writes:
            table = statement.table.name
            records = [dict(zip(statement.columns, row, strict=True)) for row in rows]
            keyed = [(_key(statement, record), record) for record in records]
            if statement is HEADS_NEW:
                self.wait_for(table, [key for key, _ in keyed], transaction)
                existing = frozenset(key for key, _ in keyed if key in self.tables[table])
                if existing:
                    raise TakenError(existing)
            gone = sum(key not in self.tables[table] for key, _ in keyed)
            if statement.must_match and gone:
                raise statement.missing(gone)
            for record in records:
                _check(record)
            transaction.locks.update((table, key) for key, _ in keyed)
            transaction.writes.append(lambda do=statement, keyed=keyed: self._apply(do, keyed))  # type: ignore[misc]

    def _apply(self, statement: Statement, keyed: Sequence[tuple[Any, Record]]) -> None:
        table = self.tables[statement.table.name]
        for key, record in keyed:
            match statement.kind:
                case "delete":
                    table.pop(key, None)
                case "update":
                    table[key].update({name: record[name] for name in statement.changes})
                case "upsert" if key in table:
                    table[key].update({name: record[name] for name in statement.changes})
                case _ if key not in table:
                    table[key] = {**_FIRST_HEAD, **record} if statement is HEADS_NEW else record

    # -- reading --------------------------------------------------------------------------

    def of_execution(self, table: str, execution_id: str) -> list[Record]:
        return [row for row in self.tables[table].values() if row["execution_id"] == execution_id]

    def children_of(self, execution_ids: Sequence[str]) -> list[str]:
        return [row["id"] for row in self.rows("executions") if row["parent_id"] in execution_ids]

    def drop_tree(self, top: str) -> list[str]:
        """Delete an execution and everything below it; give the ids of what is gone."""
        gone: list[str] = []
        level = [top] if top in self.tables["heads"] else []
        while level:
            self.wait_for("heads", level)
            gone += level
            level = self.children_of(level)
        for table in _BY_EXECUTION:
            kept = self.tables[table]
            for key in [key for key, row in kept.items() if row["execution_id"] in gone]:
                del kept[key]
        for each in gone:
            self.tables["executions"].pop(each, None)
            self.tables["heads"].pop(each, None)
        return gone


def read(reader: RowReader, record: Record, **extra: Any) -> Any:
    """Build a record from a row, as :class:`RowReader` wants it."""
    return reader([extra[name] if name in extra else record[name] for name in reader.names])


def insert(statement: Statement, row: Row) -> tuple[Any, Record]:
    """Give a row's key and record."""
    record = dict(zip(statement.columns, row, strict=True))
    return _key(statement, record), record


def _key(statement: Statement, record: Record) -> Any:
    return record[statement.key[0]] if len(statement.key) == 1 else tuple(record[n] for n in statement.key)


def _check(record: Record) -> None:
    """Refuse what no database can hold."""
    for value in record.values():
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeError as error:
                raise RefusedError(str(error)) from None


def _touched(writes: Sequence[tuple[Statement, list[Row]]]) -> Iterator[str]:
    for statement, rows in writes:
        name = "id" if statement.table in (schema.heads, schema.executions) else "execution_id"
        if name in statement.columns:
            place = statement.columns.index(name)
            yield from (row[place] for row in rows)
