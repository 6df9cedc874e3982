"""Single records by id, and action executions that belong to no workflow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tramontane.core.state import ActionExecution, Execution
from tramontane.states import COMPLETED
from tramontane.store import codec, schema, statements
from tramontane.store.again import again_when_busy
from tramontane.store.codec import RowReader
from tramontane.store.commit import write_rows
from tramontane.store.database import Database
from tramontane.store.executions import Executions
from tramontane.store.queries import chunks, columns
from tramontane.store.records import InboxRow, JobRow, TaskPlace

_MOST_EVENTS = 1000
_ACTION = re.compile(r'"action_id":"([^"]+)"')


def _action_of(payload: str) -> str | None:
    """Find the action that an event in its stored form is about, without reading the whole of it."""
    found = _ACTION.search(payload)
    return found[1] if found else None


class SingleRecords:
    """Reads by id, of any project. Stand-alone actions have no fence: what they were is compared instead."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._executions = Executions(database)

    async def execution(self, execution_id: str) -> Execution | None:
        """Read an execution without what belongs to it."""
        executions, heads = schema.executions, schema.heads
        found: Execution | None = await self._one(
            codec.read_execution,
            sa.select(*columns(executions, codec.read_execution), heads.c.seq, heads.c.run)
            .join_from(executions, heads, heads.c.id == executions.c.id)
            .where(executions.c.id == execution_id),
        )
        return found

    async def task_place(self, task_id: str) -> TaskPlace | None:
        """Tell which execution a task belongs to, and whose it is."""
        tasks = schema.tasks
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(tasks.c.execution_id, tasks.c.project_id).where(tasks.c.id == task_id)
                )
            ).first()
        return None if row is None else TaskPlace(row.execution_id, row.project_id)

    async def action(self, action_id: str) -> ActionExecution | None:
        """Read an action execution, of a task or stand-alone."""
        actions = schema.action_executions
        found: ActionExecution | None = await self._one(
            codec.read_action,
            sa.select(*columns(actions, codec.read_action)).where(actions.c.id == action_id),
        )
        return found

    async def waiting_events(self, action_ids: Sequence[str]) -> Sequence[InboxRow]:
        """Read the events about these actions that still wait, oldest first; of very many not all."""
        inbox, actions = schema.inbox, schema.action_executions
        wanted = frozenset(action_ids)
        found: list[Any] = []
        async with self._database.read() as connection:
            for ids in chunks(action_ids):
                whose = sa.select(actions.c.execution_id).where(
                    actions.c.id.in_(ids), actions.c.execution_id.is_not(None)
                )
                rows = await connection.execute(
                    sa.select(*columns(inbox, codec.read_inbox))
                    .where(inbox.c.execution_id.in_(whose))
                    .order_by(inbox.c.created_at, inbox.c.id)
                    .limit(_MOST_EVENTS)
                )
                found += [row for row in rows if _action_of(row.payload) in wanted]
        return await self._database.big_values.records(codec.read_inbox, found)

    async def _one(self, reader: RowReader, statement: sa.Select[Any]) -> Any:
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        return (await self._database.big_values.records(reader, [row]))[0]

    async def delete_execution(self, execution_id: str, told: InboxRow | None) -> Sequence[str]:
        """Delete an execution with everything below it, and write ``told``, in one transaction."""
        return await self._executions.delete(execution_id, inbox=() if told is None else (told,))

    async def add_action(self, action: ActionExecution, job: JobRow | None) -> None:
        """Store a new stand-alone action with the job that runs it (None: nothing is to be run).

        Raises:
            ValueError: the database refuses the data.
        """
        packing = self._database.big_values.packing()
        rows = [(statements.ACTIONS_NEW, codec.write_action(action, packing))]
        if job is not None:
            rows.append((statements.JOBS, (*codec.write_job(job, packing), self._database.formats.written)))
        await write_rows(self._database, rows, packing.found)

    @again_when_busy
    async def change_action(self, before: ActionExecution, after: ActionExecution, drop_job: bool) -> bool:
        """Write ``after``, unless the record isn't as ``before`` (state, attempt) any more: False then."""
        actions, jobs = schema.action_executions, schema.jobs
        big_values = self._database.big_values
        packing = big_values.packing()
        row = dict(zip(statements.ACTIONS.columns, codec.write_action_changes(after, packing), strict=True))
        del row["id"]
        await big_values.place(packing.found)
        async with self._database.write() as connection:
            changed = await connection.execute(
                sa.update(actions)
                .where(
                    actions.c.id == before.id,
                    actions.c.execution_id.is_(None),
                    actions.c.state == before.state,
                    actions.c.attempt == before.attempt,
                )
                .values(row)
            )
            if changed.rowcount:
                await big_values.add(connection, packing.found)
            if changed.rowcount and drop_job:
                await connection.execute(sa.delete(jobs).where(jobs.c.action_id == before.id))
        return bool(changed.rowcount)

    @again_when_busy
    async def delete_action(self, action_id: str) -> bool:
        """Delete a completed stand-alone action; False: there is no such one."""
        actions = schema.action_executions
        places: list[str] = []
        async with self._database.write() as connection:
            deleted = await connection.execute(
                sa.delete(actions).where(
                    actions.c.id == action_id,
                    actions.c.execution_id.is_(None),
                    actions.c.state.in_(COMPLETED),
                )
            )
            if deleted.rowcount:
                places = await self._database.big_values.delete(connection, [action_id])
        await self._database.big_values.clear(places)
        return bool(deleted.rowcount)
