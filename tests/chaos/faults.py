"""What happens to a cluster: processes die, sleep too long, lose their connections or their sense of time."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
from tests.chaos import postgresql
from tests.chaos.clocks import JUMPS
from tests.chaos.cluster import CLOCKS, PATIENCE, Cluster, Process
from tests.chaos.flows import Kinds
from tests.chaos.postgresql import Server

NODE: Final[Kinds] = frozenset({"node"})
EXECUTOR: Final[Kinds] = frozenset({"executor"})
WORKER: Final[Kinds] = frozenset({"worker"})

_LOOK: Final = 0.02

_LEFT: Final = {
    "executions": "SELECT 1 FROM heads WHERE node_id = $1 AND state <> 'PAUSED'",
    "claims": "SELECT 1 FROM nodes WHERE id = $1 UNION ALL SELECT 1 FROM jobs WHERE claimed_by = $1",
}
"""What is left of a dead node until others have taken it."""


@dataclass
class Stage:
    """Where faults happen. ``takeovers``: seconds until others had what was left of dead nodes, by
    how these died."""

    cluster: Cluster
    server: Server
    chance: random.Random
    takeovers: dict[str, list[float]] = field(default_factory=dict)

    def any(self, kind: str) -> Process:
        return self.chance.choice(self.cluster.of(kind))


@dataclass(frozen=True)
class Fault:
    """``lost``: kinds of processes whose running actions may be lost by it; all others must not be."""

    do: Callable[[Stage], Coroutine[Any, Any, None]]
    lost: Kinds = frozenset()


# -- nodes --------------------------------------------------------------------------------


async def kill_node(stage: Stage) -> None:
    """A node is gone at once; another one takes its place a little later."""
    victim = stage.any("node")
    await _measured(stage, victim, "kill -9", stage.cluster.kill)
    await stage.cluster.add(victim.plan)


async def freeze_node(stage: Stage) -> None:
    """A node sleeps until the others have buried it, and wakes up in the middle of its work."""
    victim = stage.any("node")
    await _measured(stage, victim, "frozen", stage.cluster.freeze)
    await _thaw(stage, [victim])


async def drain_node(stage: Stage) -> None:
    """A node is asked to stop, as at an upgrade, and hands over what it has."""
    victim = stage.any("node")
    await stage.cluster.ask_to_stop(victim)
    await stage.cluster.add(victim.plan)


async def jump(stage: Stage) -> None:
    """The clock of one node is set ahead, and then far back."""
    victim = await _that_jumps(stage.cluster)
    for number in JUMPS:
        victim.process.send_signal(number)
        await asyncio.sleep(1 + stage.chance.random())  # its work goes on by the wrong clock


# -- the database -------------------------------------------------------------------------


async def cut(stage: Stage) -> None:
    """All connections to the database break, twice in a row."""
    await postgresql.cut(stage.server.url, stage.cluster.database)
    await asyncio.sleep(stage.chance.random())
    await postgresql.cut(stage.server.url, stage.cluster.database)


async def restart(stage: Stage) -> None:
    """The database is stopped in an orderly way and started again."""
    await stage.server.restart()


async def crash(stage: Stage) -> None:
    """The database breaks down and is away for two seconds."""
    await stage.server.crash()


# -- executors and workers ----------------------------------------------------------------


async def lose_executors(stage: Stage) -> None:
    """All executors are gone; new ones come when the old ones have been buried."""
    await _lose(stage, stage.cluster.of("executor"))


async def freeze_executors(stage: Stage) -> None:
    """All executors sleep until they have been buried."""
    await _freeze(stage, stage.cluster.of("executor"))


async def drain_executors(stage: Stage) -> None:
    """Executors are asked to stop, one after another."""
    for victim in stage.cluster.of("executor"):
        await stage.cluster.ask_to_stop(victim)
        await stage.cluster.add(victim.plan)


async def lose_worker(stage: Stage) -> None:
    """A worker is gone; its work is another's."""
    await _lose(stage, [stage.any("worker")])


async def freeze_worker(stage: Stage) -> None:
    """A worker sleeps until it has been buried, and wakes up with old work in its hands."""
    await _freeze(stage, [stage.any("worker")])


# -- everything ---------------------------------------------------------------------------


async def everything(stage: Stage) -> None:
    """All processes are gone at once, the database too; everything is started again."""
    victims = [*stage.cluster.up]
    for victim in victims:
        stage.cluster.kill(victim)
    await stage.server.crash()
    await stage.cluster.add_all(victim.plan for victim in victims)


EVERYTHING: Final = "everything is killed"

FAULTS: Final[dict[str, Fault]] = {
    "a node is killed": Fault(kill_node, NODE),
    "a node is frozen past its lease": Fault(freeze_node, NODE),
    "a node is drained": Fault(drain_node),
    "the clock of a node jumps": Fault(jump),
    "connections are cut": Fault(cut),
    "PostgreSQL is restarted": Fault(restart),
    "PostgreSQL crashes and is away": Fault(crash),
    "all executors are killed": Fault(lose_executors, EXECUTOR),
    "all executors are frozen": Fault(freeze_executors, EXECUTOR),
    "executors are drained": Fault(drain_executors),
    "a worker is killed": Fault(lose_worker, WORKER),
    "a worker is frozen": Fault(freeze_worker, WORKER),
    EVERYTHING: Fault(everything, NODE | EXECUTOR | WORKER),
}


def both(first: Fault, second: Fault) -> Fault:
    """Two faults at the same time."""

    async def do(stage: Stage) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(first.do(stage))
            group.create_task(second.do(stage))

    return Fault(do, first.lost | second.lost)


# -- parts --------------------------------------------------------------------------------


async def _that_jumps(cluster: Cluster) -> Process:
    """The node whose clock can be set, as soon as it is up."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for node in cluster.of("node"):
                if node.plan.module == CLOCKS:
                    return node
            await asyncio.sleep(_LOOK)


async def _lose(stage: Stage, victims: Iterable[Process]) -> None:
    victims = [*victims]
    for victim in victims:
        stage.cluster.kill(victim)
    await _buried(stage, victims)
    await stage.cluster.add_all(victim.plan for victim in victims)


async def _freeze(stage: Stage, victims: Iterable[Process]) -> None:
    victims = [*victims]
    for victim in victims:
        stage.cluster.freeze(victim)
    await _buried(stage, victims)
    await _thaw(stage, victims)


async def _thaw(stage: Stage, victims: Iterable[Process]) -> None:
    """Wake processes that have been buried; they find that out before they go on."""
    await asyncio.sleep(stage.chance.random())
    for victim in victims:
        stage.cluster.thaw(victim)
        if victim.kind != "worker":
            async with asyncio.timeout(PATIENCE):
                while "was declared dead" not in victim.said:  # noqa: ASYNC110 (a file tells nobody)
                    await asyncio.sleep(_LOOK)


async def _measured(stage: Stage, victim: Process, how: str, hurt: Callable[[Process], None]) -> None:
    """Hurt a node, and wait until others have its executions, and then until its claims are settled."""
    database = stage.cluster.database
    node_id = await _ask(database, "SELECT id FROM nodes WHERE name ~ $1", _named(victim))
    began = time.perf_counter()
    hurt(victim)
    for what, query in _LEFT.items():
        await _until_nothing(database, query, node_id)
        stage.takeovers.setdefault(f"{how}, {what}", []).append(time.perf_counter() - began)


async def _buried(stage: Stage, victims: Iterable[Process]) -> None:
    """Wait until processes aren't in the register any more."""
    for victim in victims:
        await _until_nothing(stage.cluster.database, "SELECT 1 FROM nodes WHERE name ~ $1", _named(victim))


async def _until_nothing(database: str, query: str, given: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while await _ask(database, query, given):  # noqa: ASYNC110 (a table tells nobody)
            await asyncio.sleep(_LOOK)


async def _ask(database: str, query: str, given: str) -> Any:
    """A value from the database, as soon as it can be asked."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                connection = await asyncpg.connect(database)
                try:
                    return await connection.fetchval(query, given)
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(_LOOK)


def _named(process: Process) -> str:
    """A pattern of the process's name in the register: host:pid, or of a worker host-pid-…"""
    return rf"[:-]{re.escape(str(process.process.pid))}(-|$)"
