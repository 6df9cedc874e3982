"""What differs between databases, as one interface: each module of a database implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from tramontane.store.batch import Batch

Query = tuple[str, tuple[Any, ...]]


class Dialect(Protocol):
    """An open database: SQLAlchemy engines for everything, raw connections for the few hot statements."""

    name: str  # sqlite | postgresql | mariadb
    now_sql: str  # the server's time in microseconds, as an expression

    @property
    def reader(self) -> AsyncEngine:
        """Engine for reads: each statement on its own."""

    @property
    def writer(self) -> AsyncEngine:
        """Engine for rare writes, in transactions."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Hold this around a transaction of ``writer`` (SQLite has one writer at a time)."""

    async def write(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        """Execute a batch in one transaction and return the ids of turns that lost their race.

        Raises:
            TakenError: heads to be inserted exist; nothing was written.
            RefusedError: some row can't be stored; nothing was written.
            ContentionError: run it again; nothing was written.
            DatabaseUnavailableError: nothing was written.
            OutcomeUnknownError: the COMMIT may have happened.
        """

    async def fetch(self, queries: Sequence[Query]) -> list[list[tuple[Any, ...]]]:
        """Run reads one after the other over one snapshot, on a connection apart from the writer's.

        Parameters are ``$1``, ``$2`` …; lists go through :meth:`array` and :meth:`any_of`.
        """

    def any_of(self, place: int) -> str:
        """SQL for "is one of the values in the parameter ``$place``"."""

    def array(self, values: Iterable[str]) -> Any:
        """A parameter for :meth:`any_of`."""

    async def hold(self, name: str) -> bool:
        """Hold a lock of this name for as long as this session lives; called again and again.

        Returns whether it was held without a break since the last call. A hint only: where a
        database has no such locks, or keeps them apart on each of its servers, False.
        """

    async def held(self, names: Sequence[str]) -> frozenset[str] | None:
        """Which of these locks living sessions hold; None: nothing is known."""

    def listen(self, heard: Callable[[str], None]) -> None:
        """Call ``heard`` with what other processes say (:meth:`say`) while a lock is held.

        A hint only: words may be lost, and where a database can't pass them on none ever come.
        """

    async def say(self, word: str) -> None:
        """Tell the other processes on this database a word; failing to is no error."""

    def unavailable(self, error: BaseException) -> str | None:
        """Words for an error of the infrastructure; None: it is something else."""

    def is_busy(self, error: BaseException) -> bool:
        """Whether the transaction was rolled back only because others were in its way."""

    async def close(self) -> None:
        """Give everything back; the database can be opened again at once."""
