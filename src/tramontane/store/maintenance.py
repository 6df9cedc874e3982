"""The service-wide state of maintenance, and what it has to know of executions.

The state is one row of ``service_state``; without it the service runs. Which executions were paused for
maintenance is told by their ``state_info``, which the commit that pauses them writes: so nothing else
has to be kept in step with it. Executions that are parked are left out everywhere: nobody runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tramontane.core.state import Micros
from tramontane.states import COMPLETED, PAUSED, RUNNING
from tramontane.store import schema
from tramontane.store.again import again_when_busy
from tramontane.store.codec import json_text, json_value
from tramontane.store.database import Database

Status = Literal["RUNNING", "PAUSING", "PAUSED"]

_NAME: Final = "maintenance"


@dataclass(frozen=True, slots=True)
class MaintenanceState:
    """``since``: when the status was set; 0: never."""

    status: Status = "RUNNING"
    since: Micros = 0


class MaintenanceStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self) -> MaintenanceState:
        table = schema.service_state
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(table.c.value, table.c.updated_at).where(table.c.name == _NAME)
                )
            ).first()
        return MaintenanceState() if row is None else MaintenanceState(json_value(row.value), row.updated_at)

    @again_when_busy
    async def change(self, before: Status, after: Status, now: Micros) -> bool:
        """Set the status if it is still ``before``; tell whether it was."""
        table = schema.service_state
        async with self._database.write() as connection:
            changed = await connection.execute(
                sa.update(table)
                .where(table.c.name == _NAME, table.c.value == json_text(before))
                .values(value=json_text(after), updated_at=now)
            )
            if changed.rowcount or before != "RUNNING":
                return bool(changed.rowcount)
            known = await connection.scalar(sa.select(table.c.name).where(table.c.name == _NAME))
        return known is None and await self._insert(after, now)

    async def _insert(self, status: Status, now: Micros) -> bool:
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    sa.insert(schema.service_state).values(
                        name=_NAME, value=json_text(status), updated_at=now
                    )
                )
        except IntegrityError:  # somebody else was faster
            return False
        return True

    async def to_pause(self, node_id: str, limit: int) -> list[str]:
        """Running executions of a node that no parent will pause."""
        heads, executions, parents = schema.heads, schema.executions, schema.heads.alias("parents")
        return await self._ids(
            _of_node(node_id, RUNNING)
            .join(executions, executions.c.id == heads.c.id)
            .outerjoin(parents, parents.c.id == executions.c.parent_id)
            .where(executions.c.parent_id.is_(None) | parents.c.state.in_(COMPLETED))
            .limit(limit)
        )

    async def to_resume(self, node_id: str | None, reason: str, limit: int) -> list[str]:
        """Paused executions of a node (None: of any) whose ``state_info`` is ``reason``."""
        heads, executions = schema.heads, schema.executions
        return await self._ids(
            _of_node(node_id, PAUSED)
            .join(executions, executions.c.id == heads.c.id)
            .where(executions.c.state_info == reason)
            .limit(limit)
        )

    async def _ids(self, statement: sa.Select[Any]) -> list[str]:
        async with self._database.read() as connection:
            return [row.id for row in await connection.execute(statement)]

    async def has_running(self) -> bool:
        """Tell whether any execution is RUNNING, on whatever node."""
        heads = schema.heads
        statement = sa.select(heads.c.id).where(
            heads.c.node_id.is_not(None), heads.c.state == RUNNING, heads.c.parked.is_(None)
        )
        async with self._database.read() as connection:
            return (await connection.execute(statement.limit(1))).first() is not None

    async def running_tasks(self) -> int:
        """Count the RUNNING tasks of all executions that have not ended."""
        heads, tasks = schema.heads, schema.tasks
        statement = (
            sa.select(sa.func.count())
            .select_from(heads)
            .join(tasks, tasks.c.execution_id == heads.c.id)
            .where(heads.c.node_id.is_not(None), heads.c.parked.is_(None), tasks.c.state == RUNNING)
        )
        async with self._database.read() as connection:
            return int(await connection.scalar(statement) or 0)


def _of_node(node_id: str | None, state: str) -> sa.Select[Any]:
    heads = schema.heads
    ours = heads.c.node_id.is_not(None) if node_id is None else heads.c.node_id == node_id
    return (
        sa.select(heads.c.id)
        .select_from(heads)
        .where(ours, heads.c.state == state, heads.c.parked.is_(None))
        .order_by(heads.c.id)
    )
