"""Processes that take part: each start of a node or executor is a row with a moving counter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.core.state import Micros
from tramontane.store import codec, schema
from tramontane.store.again import again_when_busy
from tramontane.store.database import Database
from tramontane.store.dialects import connect
from tramontane.store.errors import DatabaseSetupError, DatabaseUnavailableError
from tramontane.store.served import Served

_CLOSE_SECONDS = 5.0

LEAVING: Final = "leaving"
LEFT: Final = "left"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A process. ``name`` and ``info`` are for people.

    ``kind``: ``node``, ``executor`` or ``worker``; a node that is about to end is ``leaving``, one that ended
    in order while executions still name it has ``left``.
    """

    id: str
    name: str
    kind: str
    info: Any
    heartbeat: int
    heartbeat_at: Micros
    started_at: Micros
    format: int = 1  # up to which it reads records


@contextlib.asynccontextmanager
async def open_pulse(url: str, node_id: str) -> AsyncIterator[Callable[[], Awaitable[Micros | None]]]:
    """Connect for a process's heartbeat alone, in whatever event loop; gives what beats (:meth:`Nodes.beat`).

    Raises:
        DatabaseUnavailableError: the database can't be reached.
    """
    try:
        dialect = await connect(url)
    except DatabaseSetupError as error:
        raise DatabaseUnavailableError(error.message) from error
    nodes = Nodes(Database(dialect))
    try:
        yield lambda: nodes.beat(node_id)
    finally:
        with contextlib.suppress(TimeoutError):  # a server that doesn't answer must not hold the next try up
            async with asyncio.timeout(_CLOSE_SECONDS):
                await dialect.close()


class Nodes:
    """The register of processes, and the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._served = Served(database)

    @again_when_busy
    async def register(self, node_id: str, name: str, kind: str, info: Any) -> Micros:
        """Enter a process that has just started, and what ``pools`` its ``info`` names; return the
        database's time."""
        if pools := info.get("pools"):
            await self._served.remember_pools(pools)
        async with self._database.write() as connection:
            now = await self._now(connection)
            await connection.execute(
                sa.insert(schema.nodes).values(
                    id=node_id,
                    name=name,
                    kind=kind,
                    info=codec.json_text(info),
                    heartbeat=0,
                    heartbeat_at=now,
                    started_at=now,
                    format=self._database.formats.newest,
                )
            )
        return now

    @again_when_busy
    async def beat(self, node_id: str) -> Micros | None:
        """Move the counter; return the database's time. None: the process was declared dead."""
        nodes = schema.nodes
        async with self._database.write() as connection:
            now = await self._now(connection)
            result = await connection.execute(
                sa.update(nodes)
                .where(nodes.c.id == node_id)
                .values(heartbeat=nodes.c.heartbeat + 1, heartbeat_at=now)
            )
        return now if result.rowcount else None

    async def known_pools(self) -> frozenset[str]:
        """Every pool that some process has ever served."""
        return await self._served.pools()

    async def hold(self, node_id: str) -> bool:
        """Keep the lock that shows this process's life; see :meth:`Dialect.hold`."""
        return await self._database.dialect.hold(node_id)

    async def alive(self, node_ids: Sequence[str]) -> frozenset[str] | None:
        """Processes whose sessions hold their lock; None: this database can't tell.

        Raises:
            DatabaseUnavailableError
        """
        return await self._database.dialect.held(node_ids)

    async def all(self) -> list[NodeRow]:
        """Every process in the register, oldest first; what they can read is what is written from now on."""
        nodes = schema.nodes
        names = [name for name in NodeRow.__slots__ if isinstance(name, str)]
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(*(nodes.c[name] for name in names)).order_by(nodes.c.started_at, nodes.c.id)
            )
            found = [
                NodeRow(row.id, row.name, row.kind, codec.json_value(row.info), *row[4:]) for row in rows
            ]
        # Workers call over HTTP and read no record.
        self._database.formats.learn(node.format for node in found if node.kind not in ("worker", LEFT))
        return found

    @again_when_busy
    async def remove(self, node_id: str) -> bool:
        """Take a process out, because it ends or by the verdict that it is dead; False: it isn't there."""
        async with self._database.write() as connection:
            result = await connection.execute(sa.delete(schema.nodes).where(schema.nodes.c.id == node_id))
        return bool(result.rowcount)

    @again_when_busy
    async def mark(self, node_id: str, kind: str) -> None:
        """Change the kind of a process."""
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(schema.nodes).where(schema.nodes.c.id == node_id).values(kind=kind)
            )

    async def now(self) -> Micros:
        """The database's time."""
        async with self._database.read() as connection:
            return await self._now(connection)

    async def _now(self, connection: AsyncConnection) -> Micros:
        expression = self._database.dialect.now_sql
        return (
            await connection.execute(sa.select(sa.literal_column(expression, sa.BigInteger())))
        ).scalar_one()
