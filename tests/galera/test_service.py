"""Three nodes on three servers of a Galera cluster, under load, while servers and nodes die and come back.

The short form runs with the other tests; ``make chaos SEEDS="1 2 3"`` runs the long one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import pytest
from tests.chaos.cluster import NODE, PATIENCE, WORKER, Cluster, a_cluster
from tests.chaos.flows import NO_POOLS, Kinds
from tests.chaos.load import Load
from tests.chaos.outside import an_outside
from tests.chaos.test_chaos import chances, nothing_left, tell
from tests.galera.servers import GaleraCluster

_FLOWS: Final = (*NO_POOLS, "worked", "worked_again")


@dataclass
class Stage:
    cluster: Cluster
    galera: GaleraCluster
    chance: Random


async def lose_server(stage: Stage) -> None:
    """A server is gone at once; a little later it is back, and catches up."""
    victim = stage.chance.choice(stage.galera.servers)
    stage.galera.kill(victim)
    await asyncio.sleep(stage.chance.uniform(1, 3))  # the others go on without it
    await stage.galera.rejoin(victim)


async def lose_most_servers(stage: Stage) -> None:
    """Two of three servers are gone: the third takes nothing, and says so, until it is told to go on."""
    victims = stage.chance.sample(stage.galera.servers, 2)
    for victim in victims:
        stage.galera.kill(victim)
    (left,) = (server for server in stage.galera.servers if server not in victims)
    async with asyncio.timeout(PATIENCE):
        for node in stage.cluster.of("node"):
            while not await _refuses(stage.cluster, node.base):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.05)
    await stage.galera.go_on_alone(left)
    for victim in victims:
        await stage.galera.rejoin(victim)


async def _refuses(cluster: Cluster, base: str) -> bool:
    """Tell whether a node answers that it takes nothing now, and when to come again."""
    body = {"workflow_name": "waiting", "input": {"url": "nowhere"}}
    limit = aiohttp.ClientTimeout(5)  # nobody knows what becomes of calls that were under way
    with contextlib.suppress(TimeoutError):
        async with cluster.session.post(f"{base}/executions", json=body, timeout=limit) as answer:
            assert answer.status in (201, 503), await answer.text()
            return answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    return False


async def lose_node(stage: Stage) -> None:
    """A node and the server that it talks to are gone at the same moment."""
    victim = stage.chance.choice(stage.cluster.of("node"))
    server = stage.galera.servers[stage.cluster.of("node").index(victim)]
    stage.galera.kill(server)
    stage.cluster.kill(victim)
    await stage.cluster.add(victim.plan)
    await stage.galera.rejoin(server)


async def lose_everything(stage: Stage) -> None:
    """All servers and all processes are gone at once; everything is started again."""
    victims = [*stage.cluster.up]
    for victim in victims:
        stage.cluster.kill(victim)
    for server in stage.galera.servers:
        stage.galera.kill(server)
    await stage.galera.found_again()
    await stage.cluster.add_all(victim.plan for victim in victims)


@dataclass(frozen=True)
class Fault:
    """``lost``: kinds of processes whose running actions may be lost by it."""

    do: Callable[[Stage], Awaitable[None]]
    lost: Kinds = frozenset()


SHORT: Final = {
    "a server is killed and joins again": Fault(lose_server),
    "two servers are killed": Fault(lose_most_servers),
    "a node is killed with its server": Fault(lose_node, frozenset({"node"})),
}
LONG: Final = SHORT | {
    "another server is killed and joins again": Fault(lose_server),
    "everything is killed": Fault(lose_everything, frozenset({"node", "worker"})),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", metafunc.config.getoption("chaos_seed") or [1])


def test_nothing_is_lost_done_twice_or_hangs_when_servers_die_and_join_again(
    seed: int, request: pytest.FixtureRequest, galera: GaleraCluster, galera_database: str, tmp_path: Path
) -> None:
    async def test() -> None:
        schedule = LONG if request.config.getoption("chaos_seed") else SHORT
        names = [*schedule]
        chances(seed, "faults").shuffle(names)
        url = galera.url(galera_database)
        plans = [replace(NODE, database=each) for each in ways_in(galera, galera_database)]
        async with (
            an_outside(chances(seed, "outside")) as outside,
            a_cluster(url, tmp_path, (*plans, WORKER), chances(seed, "calls")) as cluster,
        ):
            stage = Stage(cluster, galera, chances(seed, "victims"))
            load = Load(cluster, outside, chances(seed, "load"), _FLOWS)
            await load.prepare()
            for name in names:
                await one_round(stage, load, name, schedule[name])
            await nothing_left(cluster)

    asyncio.run(test())


def ways_in(galera: GaleraCluster, database: str) -> list[str]:
    """A URL for each node: each begins with another server."""
    one, two, three = galera.servers
    return [
        galera.url(database, *order) for order in ((one, two, three), (two, three, one), (three, one, two))
    ]


async def one_round(stage: Stage, load: Load, name: str, fault: Fault) -> None:
    """One fault in the middle of the load; afterwards everything must have ended as it should."""
    began, enough = time.perf_counter(), asyncio.Event()
    load.begin_round()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(enough))
        await load.acknowledged(stage.chance.randint(4, len(_FLOWS)))
        await fault.do(stage)
        enough.set()
    tell(name, await load.check(fault.lost), time.perf_counter() - began)
