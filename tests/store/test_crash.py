"""A process that is killed while it commits loses nothing that was acknowledged, and leaves no halves."""

from __future__ import annotations

import sqlalchemy as sa
from tests.store import records as make

from tramontane.store import schema
from tramontane.store.database import Database
from tramontane.store.executions import Executions

COMMITTING = """
import asyncio, sys
from itertools import count
from tests.store import records as make
from tramontane.store.database import open_database
from tramontane.store.executions import Executions
from tramontane.store.records import TurnWrite

async def main():
    store = Executions(await open_database(sys.argv[1]))
    for number in count():
        turns = []
        for place in range(20):
            execution = make.execution(f"e{number}-{place}", seq=2)
            task = make.task(execution, f"t{number}-{place}")
            action = make.action(execution, f"a{number}-{place}", task_id=task.id)
            turns.append(TurnWrite(execution, None, 0, tasks=[task], actions=[action]))
        if all(outcome.is_committed for outcome in await store.commit(turns, "n1")):
            print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_acknowledged_before_a_kill_is_there_and_whole(database_url: str) -> None:
    acknowledged = []
    with make.python(COMMITTING, database_url) as process:
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) == 30:
                process.kill()
    assert len(acknowledged) >= 30

    async def test(database: Database) -> None:
        store = Executions(database)
        ids = [f"e{number}-{place}" for number in acknowledged for place in range(20)]
        loaded = await store.load_many(ids)
        assert sorted(loaded) == sorted(ids)
        async with database.read() as connection:
            counts = [
                await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in (schema.heads, schema.executions, schema.tasks, schema.action_executions)
            ]
        assert len(set(counts)) == 1
        assert counts[0] % 20 == 0
        await make.start(store, make.execution("after"))

    make.with_database(database_url, test)
