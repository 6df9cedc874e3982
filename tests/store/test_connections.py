"""Connections come back whatever happens to the tasks that use them."""

from __future__ import annotations

import asyncio
import random

import sqlalchemy as sa

from tramontane.store.database import Database, open_database

_OPEN = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname=current_database() AND pid<>pg_backend_pid() AND backend_type='client backend'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist "
    "WHERE db=database() AND id<>connection_id()",
}


async def _use(database: Database, write: bool) -> None:
    async with database.write() if write else database.read() as connection:
        for _ in range(2):
            await connection.execute(sa.text("SELECT 1"))


def test_tasks_that_are_cancelled_at_any_moment_leave_no_connection_behind(shared_url: str) -> None:
    async def test() -> None:
        chance = random.Random(1)
        for _ in range(5):
            database = await open_database(shared_url)
            for _ in range(8):
                tasks = [asyncio.create_task(_use(database, number % 2 == 0)) for number in range(12)]
                await asyncio.sleep(chance.random() * 0.02)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await database.close()
        watch = await open_database(shared_url)
        await asyncio.wait_for(_all_closed(watch), 30)
        await watch.close()

    asyncio.run(test())


async def _all_closed(watch: Database) -> None:
    """Wait until nobody else is connected; the server takes a moment to notice."""
    while True:
        async with watch.read() as connection:
            others = await connection.scalar(sa.text(_OPEN[watch.name]))
        if others <= _OWN:
            return
        await asyncio.sleep(0.05)


_OWN = 1
"""The connection for commits that opening a database leaves open."""
