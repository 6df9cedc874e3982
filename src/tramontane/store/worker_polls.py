"""Polls of workers, in the order in which a worker made them.

A worker has one poll under way, but one that it gave up may still be on its way, or in a node that was
frozen. It must not take away what the worker got by a later one: polls carry a number, the last one is
kept in the worker's row of the register, and what an earlier one asks for is not done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.store import codec, schema
from tramontane.store.again import again_when_busy
from tramontane.store.database import Database
from tramontane.store.served import Served

_KIND: Final = "worker"
_NUMBER: Final = "poll"


class WorkerPolls:
    """The register's rows of workers, and their claims as a poll tells them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._served = Served(database)

    async def begin(
        self,
        process_id: str,
        name: str,
        info: Mapping[str, Any],
        number: int | None,
        held: Collection[tuple[str, int]],
    ) -> int | None:
        """Enter a worker that polls, or show that it lives; free claims that aren't among the (action id,
        attempt) pairs that it holds. Give the poll's number (None was given: the next one).

        None: a poll with this number, or a later one, was here before; nothing is done.
        """
        if pools := info.get("pools"):
            await self._served.remember_pools(pools)
        while True:
            try:
                return await self._begin(process_id, name, info, number, held)
            except IntegrityError:  # another node took the worker's first poll at the same time
                continue

    @again_when_busy
    async def _begin(
        self,
        process_id: str,
        name: str,
        info: Mapping[str, Any],
        number: int | None,
        held: Collection[tuple[str, int]],
    ) -> int | None:
        async with self._database.write() as connection:
            last = await self._last(connection, process_id)
            mine = (0 if last is None else last) + 1 if number is None else number
            if last is not None and mine <= last:
                return None
            values = {"info": codec.json_text({**info, _NUMBER: mine})}
            if last is None:
                await self._enter(connection, process_id, name, values)
            else:
                await self._show_life(connection, process_id, values)
            await _free(connection, process_id, held)
        return mine

    @again_when_busy
    async def go_on(self, process_id: str, number: int, held: Collection[tuple[str, int]]) -> bool:
        """Show that a worker lives whose poll waits; False: the worker has given this poll up."""
        async with self._database.write() as connection:
            if await self._last(connection, process_id) != number:
                return False
            await self._show_life(connection, process_id, {})
            # What an earlier poll claimed after this one had begun will reach nobody.
            await _free(connection, process_id, held)
        return True

    async def _last(self, connection: AsyncConnection, process_id: str) -> int | None:
        """The number of a worker's last poll, whose row is locked by this; None: there is no row."""
        nodes = schema.nodes
        text = await connection.scalar(
            sa.select(nodes.c.info).where(nodes.c.id == process_id).with_for_update()
        )
        return None if text is None else int(codec.json_value(text).get(_NUMBER, 0))

    async def _enter(
        self, connection: AsyncConnection, process_id: str, name: str, values: Mapping[str, Any]
    ) -> None:
        now = self._now()
        await connection.execute(
            sa.insert(schema.nodes).values(
                id=process_id, name=name, kind=_KIND, heartbeat=0, heartbeat_at=now, started_at=now, **values
            )
        )

    async def _show_life(
        self, connection: AsyncConnection, process_id: str, values: Mapping[str, Any]
    ) -> None:
        nodes = schema.nodes
        await connection.execute(
            sa.update(nodes)
            .where(nodes.c.id == process_id)
            .values(heartbeat=nodes.c.heartbeat + 1, heartbeat_at=self._now(), **values)
        )

    def _now(self) -> sa.ColumnElement[int]:
        return sa.literal_column(self._database.dialect.now_sql, sa.BigInteger())


async def _free(connection: AsyncConnection, process_id: str, held: Collection[tuple[str, int]]) -> None:
    """Give back what a process has claimed and never began."""
    jobs = schema.jobs
    rows = await connection.execute(
        sa.select(jobs.c.action_id, jobs.c.attempt).where(jobs.c.claimed_by == process_id)
    )
    lost = [action_id for action_id, attempt in rows if (action_id, attempt) not in held]
    if lost:
        await connection.execute(
            sa.update(jobs)
            .where(jobs.c.action_id.in_(lost), jobs.c.claimed_by == process_id)
            .values(claimed_by=None)
        )
