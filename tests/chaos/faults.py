"""What happens to a cluster: nodes die, sleep too long, lose their connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncpg
from tests.chaos.cluster import PATIENCE, Cluster

Fault = Callable[[Cluster, random.Random], Awaitable[None]]


async def kill(cluster: Cluster, chance: random.Random) -> None:
    """A node is gone at once; another one takes its place a little later."""
    cluster.kill(chance.choice(cluster.up))
    await cluster.add()


async def freeze(cluster: Cluster, chance: random.Random) -> None:
    """A node sleeps until the others have buried it, and wakes up in the middle of its work."""
    node = chance.choice(cluster.up)
    cluster.freeze(node)
    try:
        await _gone(cluster, f":{node.process.pid}")
    finally:
        cluster.thaw(node)


async def cut(cluster: Cluster, _: random.Random) -> None:
    """All connections to the database break."""
    connection = await asyncpg.connect(cluster.database)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


FAULTS: dict[str, Fault] = {"kill": kill, "freeze": freeze, "cut": cut}


async def _gone(cluster: Cluster, name: str) -> None:
    """Wait until a node isn't in the register any more."""
    connection = await asyncpg.connect(cluster.database)
    try:
        async with asyncio.timeout(PATIENCE):
            while await connection.fetchval("SELECT 1 FROM nodes WHERE name LIKE '%' || $1", name):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
