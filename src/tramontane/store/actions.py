"""Action executions outside any workflow: run for a caller, stored when asked to."""

from __future__ import annotations

import sqlalchemy as sa

from tramontane.core.state import ActionExecution
from tramontane.states import COMPLETED
from tramontane.store import codec, schema, statements
from tramontane.store.commit import write_rows
from tramontane.store.database import Database
from tramontane.store.queries import columns
from tramontane.store.records import JobRow


class StandaloneActions:
    """Records of actions that belong to no task. They have no fence: their state is compared instead."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, action: ActionExecution, job: JobRow | None) -> None:
        """Store a new action execution with the job that runs it (None: it is over already).

        Raises:
            ValueError: the database refuses the data.
        """
        rows = [(statements.ACTIONS_NEW, codec.write_action(action))]
        if job is not None:
            rows.append((statements.JOBS, codec.write_job(job)))
        await write_rows(self._database, rows)

    async def get(self, action_id: str) -> ActionExecution | None:
        """Read any action execution, of a task or stand-alone, of any project."""
        actions = schema.action_executions
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(*columns(actions, codec.read_action)).where(actions.c.id == action_id)
            )
            row = rows.first()
        if row is None:
            return None
        action: ActionExecution = codec.read_action(row)
        return action

    async def update(self, action: ActionExecution, attempt: int | None = None) -> bool:
        """Store a new version of an unfinished stand-alone action; its job goes when it is completed.

        ``attempt``: only if it is still the one under way. False: nothing was changed, since the action
        is completed, gone, or in another attempt.
        """
        actions, jobs = schema.action_executions, schema.jobs
        row = dict(zip(statements.ACTIONS.columns, codec.write_action_changes(action), strict=True))
        conditions = [actions.c.id == row.pop("id"), actions.c.state.not_in(COMPLETED)]
        if attempt is not None:
            conditions.append(actions.c.attempt == attempt)
        async with self._database.write() as connection:
            result = await connection.execute(
                sa.update(actions).where(actions.c.execution_id.is_(None), *conditions).values(row)
            )
            if result.rowcount == 0:
                return False
            if action.is_completed:
                await connection.execute(sa.delete(jobs).where(jobs.c.action_id == action.id))
        return True

    async def delete(self, action_id: str) -> bool:
        """Delete a completed stand-alone action execution; False: there is no such one."""
        actions = schema.action_executions
        async with self._database.write() as connection:
            result = await connection.execute(
                sa.delete(actions).where(
                    actions.c.id == action_id,
                    actions.c.execution_id.is_(None),
                    actions.c.state.in_(COMPLETED),
                )
            )
        return bool(result.rowcount)
