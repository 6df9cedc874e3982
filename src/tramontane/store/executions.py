"""Executions as wholes: written by turns, loaded for turns, deleted as trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.core.state import HistoryKey, Recalled
from tramontane.errors import NotAllowedError
from tramontane.states import COMPLETED
from tramontane.store import codec, commit, schema, statements
from tramontane.store.again import again_when_busy
from tramontane.store.commit import CommitOutcome
from tramontane.store.database import Database
from tramontane.store.errors import LostValueError
from tramontane.store.loading import LoadQueries, OpenQueries
from tramontane.store.queries import chunks
from tramontane.store.records import InboxRow, StoredExecution, TurnWrite
from tramontane.store.references import hashes

_BY_EXECUTION = (
    schema.tasks,
    schema.action_executions,
    schema.subworkflows,
    schema.past_runs,
    schema.checkpoints,
    schema.inbox,
    schema.timers,
    schema.jobs,
)


class Executions:
    """The engine's way to its executions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = LoadQueries(database)
        self._open_queries = OpenQueries(database)

    @property
    def written_format(self) -> int:
        """The format that every process that takes part can read."""
        return self._database.formats.written

    # -- writing --------------------------------------------------------------------------

    async def commit(self, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
        """See :func:`tramontane.store.commit.commit`."""
        return await commit.commit(self._database, turns, node_id)

    async def prepare(self, turns: Sequence[TurnWrite]) -> int:
        """See :func:`tramontane.store.commit.prepare`."""
        return await commit.prepare(self._database, turns)

    @again_when_busy
    async def committed(self, execution_ids: Sequence[str], token: int) -> frozenset[str]:
        """Of these executions, those whose heads a commit with this token has written last, or created.

        Waits for transactions of broken connections that the server hasn't finished yet. An execution
        that somebody else has written since counts as not committed: reload it and decide again.

        Raises:
            DatabaseUnavailableError: can't be told now; ask again.
        """
        heads = schema.heads
        found: set[str] = set()
        async with self._database.write() as connection:
            nested = await connection.begin_nested()
            for part in chunks(sorted(execution_ids)):
                await self._wait_for_inserts(connection, part)
                rows = await connection.execute(
                    sa.select(heads.c.id)
                    .where(heads.c.id.in_(part), (heads.c.token == token) | (heads.c.first_token == token))
                    .order_by(heads.c.id)
                    .with_for_update()
                )
                found.update(rows.scalars())
            await nested.rollback()
        return frozenset(found)

    async def _wait_for_inserts(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """Insert heads for the sake of the wait alone; the caller takes them back."""
        if self._database.name == "sqlite":
            return
        from_ids = [
            {
                "id": each,
                "root_id": "",
                "version": 0,
                "token": 0,
                "first_token": 0,
                "state": "",
                "seq": 0,
                "run": 0,
            }
            for each in ids
        ]
        if self._database.name == "postgresql":
            await connection.execute(
                postgresql.insert(schema.heads).values(from_ids).on_conflict_do_nothing()
            )
        else:
            await connection.execute(sa.insert(schema.heads).prefix_with("IGNORE").values(from_ids))

    async def was_committed(self, execution_id: str, token: int) -> bool:
        """As :meth:`committed`, for one execution."""
        return execution_id in await self.committed([execution_id], token)

    async def post(self, rows: Sequence[InboxRow]) -> None:
        """Write inbox rows on their own; a row whose id is there already is left as it is.

        Raises:
            DatabaseUnavailableError: nothing was written.
            OutcomeUnknownError: maybe; posting the same rows again is harmless.
        """
        packing = self._database.big_values.packing()
        number = self._database.formats.written
        written = [(statements.INBOX, (*codec.write_inbox(each, packing), number)) for each in rows]
        await commit.write_rows(self._database, written, packing.found)

    @again_when_busy
    async def discard_all(self, execution_id: str) -> None:
        """Delete all inbox rows of an execution that doesn't exist any more."""
        async with self._database.write() as connection:
            await connection.execute(
                sa.delete(schema.inbox).where(schema.inbox.c.execution_id == execution_id)
            )

    async def park(self, execution_id: str, reason: str) -> None:
        """Mark an execution as one that nobody runs any more, and why."""
        await self._set_parked(execution_id, reason)

    async def unpark(self, execution_id: str) -> None:
        """Let an execution run again."""
        await self._set_parked(execution_id, None)

    @again_when_busy
    async def _set_parked(self, execution_id: str, reason: str | None) -> None:
        heads = schema.heads
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(heads).where(heads.c.id == execution_id).values(parked=reason, takeovers=0)
            )

    # -- loading --------------------------------------------------------------------------

    async def load(self, execution_id: str) -> StoredExecution | None:
        """Load an execution with all its records; None: there is no such execution.

        Raises:
            NewerRecordError: a later version has written it.
        """
        return (await self.load_many([execution_id])).get(execution_id)

    async def load_open(self, execution_id: str) -> StoredExecution | None:
        """Load what a turn of the execution needs: from its checkpoint on, if there is one.

        Raises:
            NewerRecordError: a later version has written it.
        """
        try:
            return await self._open_queries.load(execution_id)
        except LostValueError:  # as above
            return await self._open_queries.load(execution_id)

    async def recall(self, execution_id: str, keys: Sequence[HistoryKey]) -> dict[HistoryKey, Recalled]:
        """Give the records that a checkpoint has left out and a decision has asked for."""
        try:
            return await self._open_queries.recall(execution_id, keys)
        except LostValueError:
            return await self._open_queries.recall(execution_id, keys)

    async def load_many(self, execution_ids: Sequence[str]) -> dict[str, StoredExecution]:
        """Load several executions by few queries; ids that don't exist are left out.

        The records of up to a few hundred are of one moment; whatever changes later makes the turn lose
        its race.
        """
        loaded: dict[str, StoredExecution] = {}
        for part in chunks(execution_ids):
            try:
                loaded.update(await self._queries.run(part))
            except LostValueError:  # deleted between the rows and their values, perhaps
                loaded.update(await self._queries.run(part))
        return loaded

    async def root_params(self, root_id: str) -> Any:
        """The parameters of a tree's root, its environment among them; None: there is no such execution."""
        executions = schema.executions
        async with self._database.read() as connection:
            text = await connection.scalar(sa.select(executions.c.params).where(executions.c.id == root_id))
        find = await self._database.big_values.fetch((root_id, each) for each in hashes(text or ""))
        return codec.big_json_value(text, find)

    async def is_used(self, execution_id: str) -> bool:
        """Whether any project has an execution of this id."""
        heads = schema.heads
        async with self._database.read() as connection:
            found = await connection.scalar(sa.select(heads.c.id).where(heads.c.id == execution_id))
        return found is not None

    # -- deleting -------------------------------------------------------------------------

    @again_when_busy
    async def delete(
        self, execution_id: str, *, only_completed: bool = False, inbox: Sequence[InboxRow] = ()
    ) -> list[str]:
        """Delete an execution with everything below it; return the ids of what was deleted.

        ``inbox`` rows (for the caller of a sub-workflow, say) are written in the same transaction,
        unless there was nothing to delete.

        Raises:
            NotAllowedError: ``only_completed``, and the execution itself isn't.
        """
        big_values = self._database.big_values
        places: list[str] = []
        async with self._database.write() as connection:
            ids = await self._lock_tree(connection, execution_id)
            if not ids:
                return []
            if only_completed:
                await self._require_completed(connection, execution_id)
            for part in chunks(ids):
                places += await big_values.delete(connection, part)
                for table in _BY_EXECUTION:
                    await connection.execute(sa.delete(table).where(table.c.execution_id.in_(part)))
                for table in (schema.executions, schema.heads):
                    await connection.execute(sa.delete(table).where(table.c.id.in_(part)))
            if inbox:
                columns, number = statements.INBOX.columns, self._database.formats.written
                packing = big_values.packing()
                await connection.execute(
                    sa.insert(schema.inbox),
                    [
                        dict(zip(columns, (*codec.write_inbox(each, packing), number), strict=True))
                        for each in inbox
                    ],
                )
                await big_values.add(connection, packing.found)
        await big_values.clear(places)
        return ids

    async def _lock_tree(self, connection: AsyncConnection, top: str) -> list[str]:
        """Lock the heads of a sub-tree, from the top down: who is locked can't get children any more."""
        locked: list[str] = []
        level = await self._lock(connection, [top])
        while level:
            locked += level
            level = await self._lock(connection, await self._children_of(connection, level))
        return locked

    @staticmethod
    async def _lock(connection: AsyncConnection, ids: Iterable[str]) -> list[str]:
        heads = schema.heads
        found: list[str] = []
        for part in chunks(sorted(ids)):
            rows = await connection.execute(
                sa.select(heads.c.id).where(heads.c.id.in_(part)).order_by(heads.c.id).with_for_update()
            )
            found.extend(rows.scalars())
        return found

    @staticmethod
    async def _children_of(connection: AsyncConnection, ids: Sequence[str]) -> list[str]:
        executions = schema.executions
        found: list[str] = []
        for part in chunks(ids):
            rows = await connection.execute(
                sa.select(executions.c.id).where(executions.c.parent_id.in_(part))
            )
            found.extend(rows.scalars())
        return found

    @staticmethod
    async def _require_completed(connection: AsyncConnection, execution_id: str) -> None:
        heads = schema.heads
        state = await connection.scalar(sa.select(heads.c.state).where(heads.c.id == execution_id))
        if state not in COMPLETED:
            raise NotAllowedError(
                f"Only completed executions can be deleted. Use force to delete this one "
                f"[id={execution_id}, state={state}]"
            )
