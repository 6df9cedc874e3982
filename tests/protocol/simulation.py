"""One simulated story: a cluster, its clients, what goes wrong, and what must hold in the end.

Everything follows from the seed: who is there, what is started, which process goes next, how long each
message takes, and the faults. Time is virtual, so minutes take milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any
from unittest.mock import patch

from tests.core.chaos import outcome
from tests.core.definitions import DEFINITIONS, Example
from tests.core.test_simulation import plain
from tests.core.texts import document
from tests.protocol.clients import Client
from tests.protocol.invariants import Violation, Watch, require
from tests.protocol.loop import LaneLoop
from tests.protocol.memory import MemoryDatabase, Record
from tests.protocol.network import Network
from tests.protocol.outside import Outside
from tests.protocol.processes import LEASE, Machines, Process, RunningExecutor, ServingNode
from tests.protocol.stores import MemoryExecutions

from tramontane.actions.pack import standard_registry
from tramontane.clock import Clock
from tramontane.core.memory import ExecutionState
from tramontane.core.reports import LOST
from tramontane.rehearsal import FakeAction, Run, World
from tramontane.rehearsal.library import Library
from tramontane.service import deciding
from tramontane.service.ids import SortableIds
from tramontane.states import COMPLETED
from tramontane.values import EMPTY

FAKES = (FakeAction("job"), FakeAction("ajob", is_sync=False))
PATIENCE = 300.0
"""Virtual seconds after the last fault in which everything must have ended."""

ONCE = Example(
    "once",
    """
    wf:
      tasks:
        a: {action: job, retry: {count: 50, delay: 1}, on-success: [b, c]}
        b: {action: job, retry: {count: 50, delay: 1}, on-success: d}
        c: {action: ajob, retry: {count: 50, delay: 1}, on-success: d}
        d: {join: all, workflow: sub}
    sub:
      tasks:
        e: {action: job, retry: {count: 50, delay: 1}}
    """,
)
"""Its actions must not run twice: one that was lost fails, and the retry is another action."""

EXAMPLES = (ONCE, *(each for each in DEFINITIONS if each.name != "wide"))


@dataclass
class Story:
    """What one seed has given."""

    seed: int
    broken: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0  # virtual
    steps: int = 0

    def __str__(self) -> str:
        happened = ", ".join(self.faults) or "nothing"
        return (
            f"seed {self.seed}: {', '.join(self.examples)}; {happened} went wrong in {self.seconds:.0f} s; "
            + ("; ".join(self.broken[:3]) or "all held")
        )


def tell(seed: int) -> Story:
    """Play the story of a seed."""
    story = Story(seed)
    with _seeded(seed), _Stage(story) as stage:
        stage.play()
    return story


class _Stage:
    """The scene of one story."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._chance = chance = Random(story.seed)
        self._loop = LaneLoop(chance)
        self._network = Network(self._loop, chance, lambda transaction: self._database.end(transaction))
        self._database = MemoryDatabase(self._network)
        self._watch = Watch(self._database)
        self._outside = Outside(chance, self._watch.note)
        self._machines = Machines(
            self._loop,
            chance,
            self._database,
            self._network,
            self._outside,
            library(),
            self._watch.note,
            has_hints=chance.random() < 0.7,
            lost_words=chance.choice((0.0, 0.3, 1.0)),
            max_steps=chance.choice((1, 3, 500)),
        )
        self._network.contention = chance.choice((0.0, 0.0, 0.02))
        self._network.breaks = chance.choice((0.0, 0.0, 0.005, 0.03, 0.08))
        self._network.slowness = chance.choice((1.0, 1.0, 20.0))
        self._clients: list[Client] = []
        self._faults = chance.randrange(7)
        self._is_calm = False
        self._looked_at = -1

    def __enter__(self) -> _Stage:
        self._running = self._loop.running()
        self._running.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.end()
        self._running.__exit__(None, None, None)

    def play(self) -> None:
        chance = self._chance
        for _ in range(chance.choice((1, 2))):
            self._admit(chance.choice(EXAMPLES))
        if chance.random() < 0.4:
            RunningExecutor(self._machines, "executor")
        for _ in range(chance.choice((2, 3))):
            ServingNode(self._machines, f"node {len(self._machines.all)}")
        nemesis = self._loop.lane("nemesis")
        nemesis.spawn(self._hurt())
        self._loop.run(lambda: self._is_calm or bool(self._watch.broken), 1e9)
        self._loop.run(lambda: self._is_over() or bool(self._watch.broken), self._loop.time() + PATIENCE)
        self._settle()
        self._story.seconds, self._story.steps = self._loop.time(), self._loop.steps
        self._story.broken += self._watch.broken
        self._story.broken += [f"{type(error).__name__}: {error}" for error in self._loop.errors]
        if not self._story.broken:
            self._judge()

    def _admit(self, example: Example) -> None:
        client = Client(
            self._machines,
            example,
            self._chance,
            self._watch.note,
            pauses=self._chance.random() < 0.3 and example.name != "pauses",
        )
        self._story.examples.append(example.name)
        self._clients.append(client)
        self._outside.expect(client.id, example)
        self._loop.lane(f"client {len(self._clients)}").spawn(client.live())

    # -- what goes wrong ------------------------------------------------------------------

    async def _hurt(self) -> None:
        faults = (
            self._kill, self._kill, self._freeze, self._freeze, self._nap, self._cut, self._cut_one,
            self._away, self._retire, self._join,
        )  # fmt: skip
        for _ in range(self._faults):
            await asyncio.sleep(self._chance.choice((0.01, 0.3, 2.0, 4.0)) * self._chance.random())
            fault = self._chance.choice(faults)
            self._story.faults.append(fault.__name__.strip("_"))
            await fault()
        await asyncio.sleep(LEASE)
        for process in self._machines.alive:
            if process.lane.is_frozen:
                process.lane.thaw()
        if not self._machines.nodes:
            self._replace(None)
        self._is_calm = True

    def _victim(self) -> Process | None:
        awake = [each for each in self._machines.alive if not each.lane.is_frozen and not each.is_stopping]
        return self._chance.choice(awake) if awake else None

    def _replace(self, process: Process | None) -> None:
        kind = ServingNode if process is None else type(process)
        kind(self._machines, f"process {len(self._machines.all)}")

    async def _kill(self) -> None:
        process = self._victim()
        if process is not None:
            process.kill(lingers=self._chance.random() < 0.3)
            await asyncio.sleep(self._chance.random())
            self._replace(process)

    async def _freeze(self) -> None:
        """A process sleeps until the others have buried it, and wakes up in the middle of its work."""
        await self._sleep(LEASE * (1 + self._chance.random() * 2))

    async def _nap(self) -> None:
        await self._sleep(self._chance.random() * LEASE)

    async def _sleep(self, seconds: float) -> None:
        process = self._victim()
        if process is not None:
            process.lane.freeze()
            process.lane.at(0, _nothing)
            asyncio.get_running_loop().call_later(seconds, self._wake, process)
            await asyncio.sleep(self._chance.choice((0.0, 1.0)) * seconds)

    def _wake(self, process: Process) -> None:
        if not process.lane.is_dead:
            process.lane.thaw()

    async def _cut(self) -> None:
        self._network.cut()
        self._machines.locks.clear()

    async def _cut_one(self) -> None:
        process = self._victim()
        if process is not None:
            self._network.cut(process.lane)
            process.lose_session()

    async def _away(self) -> None:
        await self._cut()
        self._network.away = True
        await asyncio.sleep(self._chance.random() * 4)
        self._network.away = False

    async def _retire(self) -> None:
        process = self._victim()
        if process is not None and process.is_up:
            self._replace(process)
            process.retire()

    async def _join(self) -> None:
        self._replace(None)

    # -- the end --------------------------------------------------------------------------

    def _is_over(self) -> bool:
        if self._looked_at == self._watch.changes:
            return False
        self._looked_at = self._watch.changes
        heads = self._database.tables["heads"]
        return (
            all(head["state"] in COMPLETED for head in heads.values())
            and all(client.is_acknowledged for client in self._clients)
            and not any(self._is_to_run_again(client) for client in self._clients)
        )

    def _is_to_run_again(self, client: Client) -> bool:
        head = self._database.tables["heads"].get(client.id)
        return client.example.is_rerun and head is not None and head["state"] != client.example.state

    def _settle(self) -> None:
        """Let the last rows be used up: late reports, timers of what is over."""
        tables = self._database.tables
        self._loop.run(
            lambda: (
                not (
                    tables["inbox"]
                    or tables["timers"]
                    or any(not self._hangs(row) for row in tables["jobs"].values())
                )
            ),
            self._loop.time() + 30,
        )

    def _hangs(self, row: Record) -> bool:
        """Whether a job is that of an action that never ends, although its task is over."""
        action = self._database.tables["action_executions"].get(row.get("action_id"))
        return action is not None and any(
            client.id == action["root_id"] and action["task_name"] in client.example.hanging
            for client in self._clients
        )

    def _judge(self) -> None:
        try:
            for client in self._clients:
                self._judge_client(client)
            self._judge_rows()
        except Violation as violation:
            self._story.broken.append(str(violation))

    def _judge_client(self, client: Client) -> None:
        example = client.example
        require(client.is_acknowledged, f"the start of {example.name} was never acknowledged")
        heads = self._database.tables["heads"]
        require(client.id in heads, f"{example.name} was acknowledged, and is gone")
        run = self._run(client.id)
        require(run.execution.is_completed, f"{example.name} hangs: {self._where(client.id)}")
        if example is ONCE:
            self._judge_once(run)
        else:
            expected = modelled(example.name)
            require(outcome(run) == expected, f"{example.name} ended as {outcome(run)}, not as {expected}")
        for action in self._database.rows("action_executions"):
            if action["id"] in client.reported:
                require(
                    action["state"] == "SUCCESS" and "reported" in (action["output"] or ""),
                    f"the result of {action['id']} was acknowledged, and lost: {action['state']}",
                )

    def _judge_once(self, run: Run) -> None:
        require(run.state == "SUCCESS", f"{run.id} ended in {run.state}: {run.info}")
        for row in self._database.rows("action_executions"):
            if row["root_id"] == run.id and row["state"] == "ERROR":
                require(LOST in row["output"].replace("\\", ""), f"an action failed: {row['output']}")
                require(self._story.faults, "an action was lost without a reason")
            if row["root_id"] == run.id and row["state"] == "SUCCESS" and row["is_sync"]:
                require(
                    self._outside.begun[row["id"]] == 1,
                    f"{row['id']} succeeded, begun {self._outside.begun[row['id']]} times",
                )

    def _judge_rows(self) -> None:
        for name in ("inbox", "timers", "jobs"):
            left = [row for row in self._database.rows(name) if not self._hangs(row)]
            require(not left, f"rows are left in {name}: {left}")
        for head in self._database.rows("heads"):
            require(head["parked"] is None, f"{head['id']} is parked: {head['parked']}")
            require(head["node_id"] is None, f"{head['id']} is over and belongs to a node")

    def _where(self, root_id: str) -> str:
        """Where a tree stands, for people."""
        found = []
        for head in self._database.rows("heads"):
            if head["root_id"] == root_id and head["state"] not in COMPLETED:
                tasks = [
                    f"{row['name']} {row['state']}/{row['phase']}"
                    for row in self._database.of_execution("tasks", head["id"])
                    if row["state"] not in COMPLETED
                ]
                jobs = [
                    f"job of {row['claimed_by'] or 'nobody'}"
                    for row in self._database.of_execution("jobs", head["id"])
                ]
                found.append(f"{head['id']} {head['state']} ({', '.join(tasks + jobs)})")
        return "; ".join(found)

    def _run(self, execution_id: str) -> Run:
        """Read a tree out of the rows as the model's world shows one."""
        store = MemoryExecutions(self._database)
        world = World(registry=REGISTRY, fakes=FAKES)
        for head in list(self._database.rows("heads")):
            stored = store._stored(head["id"])
            params = stored.execution.params if stored.root_params is None else stored.root_params
            state = ExecutionState.from_records(
                stored.execution, stored.tasks, stored.actions, stored.subworkflows, stored.past_runs,
                params.get("env", EMPTY),
            )  # fmt: skip
            world.states[head["id"]] = state
            world.specs[head["id"]] = _specs()[stored.execution.spec_hash]
        return Run(world, execution_id)


def _nothing() -> None:
    return None


REGISTRY = standard_registry(plugins=[])


@cache
def library() -> Library:
    """The definitions of all examples, each in a namespace of its own."""
    made = Library(REGISTRY, FAKES, settles=True)
    for example in EXAMPLES:
        made.add_workflows(document(example.text), example.name)
    return made


@cache
def _specs() -> dict[str, Any]:
    return {found.spec_hash: found.spec for found in library()._workflows.values()}


@cache
def modelled(name: str) -> Any:
    """How an example must end."""
    return outcome(plain(next(each for each in EXAMPLES if each.name == name)))


async def _run_here(work: Callable[[], Any]) -> Any:
    return work()


def _seeded_ids(clock: Clock) -> SortableIds:
    return SortableIds(clock, Random(random.getrandbits(64)))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Have everything that is random follow from the seed, nothing logged, and no process forked."""
    state = random.getstate()
    random.seed(seed)
    logging.disable(logging.CRITICAL)
    try:
        with (
            patch.object(deciding, "run_apart", _run_here),
            patch.object(deciding, "SortableIds", _seeded_ids),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
        random.setstate(state)
