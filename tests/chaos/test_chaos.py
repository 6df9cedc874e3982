"""Nodes are killed, frozen and cut off in the middle of a steady load; nothing acknowledged is lost.

The short form runs with the other tests; ``make chaos SEEDS="1 2 3"`` runs the long one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.chaos.cluster import Cluster, a_cluster
from tests.chaos.faults import FAULTS, kill
from tests.chaos.load import Load
from tests.chaos.outside import an_outside

from tramontane.store import schema
from tramontane.store.database import open_database
from tramontane.store.work import Work


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", metafunc.config.getoption("chaos_seed") or [1])


def test_nothing_is_lost_or_done_twice_when_nodes_die_sleep_and_lose_the_database(
    seed: int, rounds: int, postgresql_url: str, tmp_path: Path
) -> None:
    async def test() -> None:
        chance = random.Random(seed)
        faults = [*FAULTS.values()] * rounds
        chance.shuffle(faults)
        async with an_outside(chance) as outside, a_cluster(postgresql_url, tmp_path, 3, chance) as cluster:
            load = Load(cluster, outside, chance)
            await load.prepare()
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(rounds))
                for number, fault in enumerate(faults, 1):
                    await load.acknowledged(32 * rounds * number // (len(faults) + 1))
                    await fault(cluster, chance)
            report(seed, await load.check(may_lose=True))
            await nothing_left(cluster)

    asyncio.run(test())


def test_one_node_on_a_file_carries_on_after_each_death(
    seed: int, rounds: int, sqlite_url: str, tmp_path: Path
) -> None:
    async def test() -> None:
        chance = random.Random(seed)
        async with an_outside(chance) as outside, a_cluster(sqlite_url, tmp_path, 1, chance) as cluster:
            load = Load(cluster, outside, chance)
            await load.prepare()
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(rounds))
                for number in (1, 2):
                    await load.acknowledged(32 * rounds * number // 3)
                    await kill(cluster, chance)
            report(seed, await load.check(may_lose=True))
            for node in [*cluster.up]:
                cluster.kill(node)  # the file is one process's
            await nothing_left(cluster)

    asyncio.run(test())


def test_without_faults_nothing_is_lost_between_nodes(seed: int, postgresql_url: str, tmp_path: Path) -> None:
    async def test() -> None:
        chance = random.Random(seed)
        async with an_outside(chance) as outside, a_cluster(postgresql_url, tmp_path, 2, chance) as cluster:
            load = Load(cluster, outside, chance)
            await load.prepare()
            await load.run(1)
            await load.check(may_lose=False)
            await nothing_left(cluster)

    asyncio.run(test())


async def nothing_left(cluster: Cluster) -> None:
    """No execution is open, also none that nobody was told of, and no row waits for anybody."""
    for node in cluster.all:
        assert "Traceback" not in node.said, node.said
    database = await open_database(cluster.database)
    try:
        async with database.read() as connection:
            for table in (schema.inbox, schema.timers, schema.jobs):
                rows = (await connection.execute(sa.select(table))).all()
                assert not rows, (table.name, rows)
        assert await Work(database).nodes_with_executions() == []
    finally:
        await database.close()


def report(seed: int, ways: Counter[str]) -> None:
    print(f"seed {seed}: " + ", ".join(f"{count} {way}" for way, count in sorted(ways.items())))
