"""Executions as wholes: written by turns, loaded for turns, deleted as trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.errors import NotAllowedError
from tramontane.states import COMPLETED
from tramontane.store import codec, commit, schema, statements
from tramontane.store.again import again_when_busy
from tramontane.store.codec import RowReader
from tramontane.store.commit import CommitOutcome
from tramontane.store.database import Database
from tramontane.store.dialect import Query
from tramontane.store.errors import LostValueError, NewerRecordError
from tramontane.store.queries import chunks
from tramontane.store.records import InboxRow, StoredExecution, TurnWrite
from tramontane.store.references import hashes

_BY_EXECUTION = (
    schema.tasks,
    schema.action_executions,
    schema.subworkflows,
    schema.past_runs,
    schema.inbox,
    schema.timers,
    schema.jobs,
)


class Executions:
    """The engine's way to its executions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = _LoadQueries(database)

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
        """Load everything that a turn of the execution needs; None: there is no such execution.

        Raises:
            NewerRecordError: a later version has written it.
        """
        return (await self.load_many([execution_id])).get(execution_id)

    async def load_many(self, execution_ids: Sequence[str]) -> dict[str, StoredExecution]:
        """Load several executions by few queries; ids that don't exist are left out.

        The records of up to a few hundred are of one moment; whatever changes later makes the turn lose
        its race.
        """
        loaded: dict[str, StoredExecution] = {}
        for part in chunks(execution_ids):
            try:
                loaded.update(await self._queries.run(part))
            except LostValueError:  # deleted between the rows and the values that they refer to, perhaps
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


class _LoadQueries:
    """The statements of :meth:`Executions.load_many`, written once per database."""

    def __init__(self, database: Database) -> None:
        self._dialect = database.dialect
        self._big_values = database.big_values
        self._newest = database.formats.newest
        wanted = self._dialect.any_of(1)
        ended = ", ".join(f"'{state}'" for state in sorted(COMPLETED))
        self._texts = (
            f"SELECT {_names('e', schema.executions, codec.read_execution)}, e_head.seq, e_head.run, "
            "e_head.version, e_head.parked, e_head.takeovers, e_head.format "
            "FROM heads AS e_head JOIN executions AS e ON e.id=e_head.id "
            f"WHERE e_head.id {wanted}",
            f"SELECT {_names('t', schema.tasks, codec.read_task)} FROM tasks AS t "
            f"WHERE t.execution_id {wanted} ORDER BY t.seq",
            f"SELECT {_names('a', schema.action_executions, codec.read_action)} FROM action_executions AS a "
            f"WHERE a.execution_id {wanted} ORDER BY a.seq",
            f"SELECT {_names('s', schema.subworkflows, codec.read_subworkflow)}, "
            f"CASE WHEN s.state IN ({ended}) THEN c.output END "
            "FROM subworkflows AS s LEFT JOIN executions AS c ON c.id=s.id "
            f"WHERE s.execution_id {wanted} ORDER BY s.seq",
            f"SELECT {_names('p', schema.past_runs, codec.read_past_run)} FROM past_runs AS p "
            f"WHERE p.execution_id {wanted} ORDER BY p.task_id, p.run",
            f"SELECT {_names('t', schema.timers, codec.read_timer)} FROM timers AS t "
            f"WHERE t.execution_id {wanted} ORDER BY t.due_at",
            f"SELECT {_names('i', schema.inbox, codec.read_inbox)} FROM inbox AS i "
            f"WHERE i.execution_id {wanted} AND i.format<={self._newest} ORDER BY i.created_at, i.id",
            "SELECT h.id, r.params, r.id FROM heads AS h JOIN executions AS r ON r.id=h.root_id "
            f"WHERE h.root_id<>h.id AND h.id {wanted}",
        )

    async def run(self, ids: Sequence[str]) -> dict[str, StoredExecution]:
        parameters = (self._dialect.array(ids),)
        queries: list[Query] = [(text, parameters) for text in self._texts]
        heads, tasks, actions, calls, past, timers, inbox, roots = await self._dialect.fetch(queries)
        if any(row[-1] > self._newest for row in heads):
            raise _newer(ids)
        of_executions = (
            (tasks, codec.read_task, "tasks"),
            (actions, codec.read_action, "actions"),
            (calls, codec.read_subworkflow, "subworkflows"),
            (past, codec.read_past_run, "past_runs"),
            (timers, codec.read_timer, "timers"),
            (inbox, codec.read_inbox, "inbox"),
        )
        find = await self._big_values.fetch(
            chain(
                (key for row in heads for key in codec.read_execution.references(row)),
                (key for rows, reader, _ in of_executions for row in rows for key in reader.references(row)),
                ((row[2], each) for row in roots for each in hashes(row[1] or "")),
            )
        )
        found: dict[str, StoredExecution] = {}
        for *fields, version, parked, takeovers, number in heads:
            execution = codec.read_execution(fields, find)
            found[execution.id] = StoredExecution(
                execution, version, parked=parked, takeovers=takeovers, format=number
            )
        for rows, reader, place in of_executions:
            for row in rows:
                record = reader(row, find)
                owner = found.get(record.execution_id)
                if owner is not None:
                    getattr(owner, place).append(record)
        for execution_id, params, _ in roots:
            if execution_id in found:
                found[execution_id].root_params = codec.big_json_value(params, find)
        return found


def _newer(ids: Sequence[str]) -> NewerRecordError:
    return NewerRecordError(
        "A later version of the service has written this execution in a format that this node doesn't know; "
        f"nothing was accepted. Ask another node [id={', '.join(ids)}]"
    )


def _names(alias: str, table: sa.Table, reader: RowReader) -> str:
    return ", ".join(f'{alias}."{name}"' for name in reader.names if name in table.c)
