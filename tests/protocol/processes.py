"""Nodes and executors as :mod:`tramontane.compose` wires them, on simulated machines.

Everything that runs is the real thing: engine, turns, committer, executor, timers, inbox, heartbeat,
reaper, wake-ups. Stand-ins are the database, the definitions (which are known), time, and what actions
do outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from tests.protocol.loop import Lane, LaneLoop
from tests.protocol.memory import MemoryDatabase
from tests.protocol.network import Network
from tests.protocol.outside import Outside
from tests.protocol.stores import (
    MemoryExecutions,
    MemoryJobs,
    MemoryNodes,
    MemoryRecords,
    MemoryWork,
)

from tramontane.actions.registry import Registry
from tramontane.core.decision import CoreSettings, FoundWorkflow, Key
from tramontane.core.state import ActionExecution
from tramontane.errors import UnavailableError
from tramontane.rehearsal.library import Library
from tramontane.results import Result
from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.executor import Executor
from tramontane.runtime.executor_process import ExecutorProcess
from tramontane.runtime.heartbeat import Heartbeat
from tramontane.runtime.inbox import InboxPoll
from tramontane.runtime.loop import Loop
from tramontane.runtime.node import Node
from tramontane.runtime.recovery import Reaper
from tramontane.runtime.stranded import StrandedWatch
from tramontane.runtime.timers import TimerService
from tramontane.runtime.wakeups import Wakeups
from tramontane.runtime.watch import CatalogWatch, QueueWatch
from tramontane.service.action_executions import ActionExecutionUseCases
from tramontane.service.catalog import Catalog
from tramontane.service.committer import Committer
from tramontane.service.credentials import Credentials
from tramontane.service.deciding import DecidingLimits
from tramontane.service.engine import Engine, EngineLimits
from tramontane.service.executions import ExecutionUseCases
from tramontane.service.ids import SortableIds
from tramontane.service.queueing import JobQueue
from tramontane.service.remote import ExecutorWork, ResultPosts
from tramontane.service.standalone import OutsideWorkflow, StandAloneResults
from tramontane.service.tasks import TaskUseCases
from tramontane.service.trusts import NoTrusts
from tramontane.service.work import NodeWork
from tramontane.store.limits import LimitBook
from tramontane.store.records import JobRow
from tramontane.values import freeze

LEASE = 4.0
HEARTBEAT = 0.5
_EPOCH = 1_767_225_600.0
_FAR = 1e6

CREDENTIALS = Credentials(("secret",), NoTrusts())


class KnownDefinitions(Catalog):
    """A catalog whose definitions are all in memory."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._specs = {found.spec_hash: found.spec for found in library._workflows.values()}

    def remembered(self, key: Key, project_id: str) -> Any:
        return self._library.answer(key)

    async def look_up(self, key: Key, project_id: str) -> Any:
        return self._library.answer(key)

    async def spec(self, spec_hash: str) -> Any:
        return self._specs[spec_hash]

    async def workflow_to_start(self, identifier: str, namespace: str, viewer: Any) -> FoundWorkflow | None:
        return self._library.workflow(identifier, namespace)


class SimulatedExecutor(Executor):
    """Its actions happen in the simulated outside world."""

    machines: Machines

    async def _execute(self, job: JobRow, action: ActionExecution) -> Result | None:
        machines = self.machines
        if (job.action_id, job.attempt) in machines.database.lost_claims:
            machines.note(f"the action {action.id} begins although its claim was taken away")
        return await machines.outside.run(action)


class _Service:
    """Stands for a background service that the protocol has no part in."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@dataclass
class Machines:
    """What all processes share: the database, the way to it, the words between them."""

    loop: LaneLoop
    chance: Random
    database: MemoryDatabase
    network: Network
    outside: Outside
    library: Library
    note: Callable[[str], None]
    has_hints: bool = True
    lost_words: float = 0.2
    max_steps: int = 500
    all: list[Process] = field(default_factory=list)
    locks: dict[str, Process] = field(default_factory=dict)

    @property
    def alive(self) -> list[Process]:
        return [each for each in self.all if not each.lane.is_dead]

    @property
    def nodes(self) -> list[ServingNode]:
        return [each for each in self.alive if isinstance(each, ServingNode)]

    async def say(self, speaker: Process, word: str) -> None:
        if not self.has_hints:
            return
        for each in self.alive:
            if each is not speaker and self.chance.random() >= self.lost_words:
                each.lane.at(self.loop.time() + 0.05 * self.chance.random(), each.hear, word)


class SessionNodes(MemoryNodes):
    """The register, with the locks that sessions hold."""

    def __init__(self, machines: Machines, process: Process) -> None:
        super().__init__(machines.database)
        self._machines = machines
        self._process = process

    async def hold(self, node_id: str) -> bool:
        machines = self._machines
        if not machines.has_hints:
            return False

        def serve() -> bool:
            was_held = machines.locks.get(node_id) is self._process
            machines.locks[node_id] = self._process
            return was_held

        try:
            return await machines.database.atomically(serve)
        except UnavailableError:
            return False

    async def alive(self, node_ids: Sequence[str]) -> frozenset[str] | None:
        machines = self._machines
        if not machines.has_hints:
            return None
        return await machines.database.atomically(lambda: frozenset(machines.locks) & frozenset(node_ids))


class Process:
    """A process from its start to its end; it is started once."""

    def __init__(self, machines: Machines, name: str) -> None:
        self.machines = machines
        self.name = name
        self.lane: Lane = machines.loop.lane(name)
        self.is_up = False
        self.is_stopping = False
        chance = machines.chance
        # Clocks of machines are wrong by hours; the database's time must be what counts.
        offset = chance.choice((0.0, -7200.0, 86_400.0))
        self.clock = DatabaseClock(lambda: _EPOCH + offset, machines.loop.time)
        self.new_id = SortableIds(self.clock, Random(chance.getrandbits(64)))
        machines.all.append(self)
        self.lane.spawn(self._live())

    async def _live(self) -> None:
        while True:
            try:
                await self.start()
                self.is_up = True
                return
            except UnavailableError:
                await asyncio.sleep(0.5)
            except Exception as error:
                self.machines.note(f"{self.name} can't start: {type(error).__name__}: {error}")
                return

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    def hear(self, word: str) -> None:
        raise NotImplementedError

    def retire(self) -> None:
        """Stop as a process does that was asked to."""
        self.is_stopping = True
        self.lane.spawn(self._retire())

    async def _retire(self) -> None:
        await self.stop()
        self.lose_session()
        self.lane.kill()

    def kill(self, *, lingers: bool) -> None:
        """End at once; ``lingers``: the server doesn't notice that its sessions are gone."""
        self.lane.kill()
        if not lingers:
            self.machines.network.cut(self.lane)
            self.lose_session()

    def lose_session(self) -> None:
        locks = self.machines.locks
        for name in [name for name, owner in locks.items() if owner is self]:
            del locks[name]

    def _executor(self, slots: int) -> SimulatedExecutor:
        if slots and self.machines.outside.hangs:
            slots = 50
        executor = SimulatedExecutor(Registry(), cast(Any, None), slots=slots)
        executor.machines = self.machines
        return executor

    def _heartbeat(self, work: Any, kind: str, declared_dead: Callable[[], Any]) -> Heartbeat:
        return Heartbeat(
            work,
            self.clock,
            name=self.name,
            kind=kind,
            info=freeze({"pools": []}),
            seconds=HEARTBEAT,
            declared_dead=declared_dead,
            monotonic=self.machines.loop.time,
        )


class ServingNode(Process):
    """A node, and the use cases that callers reach on it."""

    engine: Engine
    executions: ExecutionUseCases
    actions: ActionExecutionUseCases
    tasks: TaskUseCases
    runtime: Node

    async def start(self) -> None:
        machines, chance = self.machines, self.machines.chance
        database = machines.database
        store, records = MemoryExecutions(database), MemoryRecords(database)
        catalog = KnownDefinitions(machines.library)
        node_id = self.new_id()
        committer = Committer(store, node_id)
        book = LimitBook(machines.loop.time)
        queue = JobQueue(book, lambda: round(self.clock.now().timestamp() * 1_000_000))
        has_others = any(isinstance(each, RunningExecutor) for each in machines.alive)
        executor = self._executor(chance.choice((0 if has_others else 1, 1, 3, 50)))
        timers = TimerService()
        self.engine = engine = Engine(
            node_id=node_id,
            store=store,
            catalog=catalog,
            committer=committer,
            clock=self.clock,
            new_id=self.new_id,
            jobs=executor,
            queue=queue,
            timers=timers,
            settings=CoreSettings(),
            limits=EngineLimits(
                executions=chance.choice((1, 5_000)),
                events=chance.choice((1, 500)),
                deciding=DecidingLimits(soft_seconds=_FAR, max_steps=machines.max_steps),
            ),
            exclusive=False,
        )
        self.actions = ActionExecutionUseCases(
            engine,
            catalog,
            records,
            executor,
            queue,
            MemoryJobs(database, book),
            self.clock,
            credentials=CREDENTIALS,
            field_size_limit_kb=10_240,
            allow_deletion=False,
        )
        alone = StandAloneResults(records, OutsideWorkflow(self.clock), engine.now, 10_240)
        posts = ResultPosts(store, alone, self.new_id, engine.now, lambda _: self._inbox_written())
        work = NodeWork(
            engine,
            self.actions,
            MemoryJobs(database, book),
            MemoryWork(database),
            SessionNodes(machines, self),
            posts,
            queue,
        )
        executor.connect(work)
        timers.connect(work)
        self._inbox = inbox = InboxPoll(work)

        async def nothing() -> None:
            return None

        def executions_came() -> None:
            inbox.wake()
            timers.refresh()

        self._wakeups = Wakeups(
            lambda word: machines.say(self, word),
            {"inbox": inbox.wake, "jobs": executor.look, "given": executions_came},
        )
        self.executions = ExecutionUseCases(
            engine, catalog, store, records, CREDENTIALS, MemoryJobs(database, book)
        )
        self.tasks = TaskUseCases(engine, records)
        self.runtime = Node(
            engine=engine,
            committer=committer,
            work=work,
            executor=executor,
            timers=timers,
            inbox=inbox,
            watch=CatalogWatch(nothing, poll_seconds=_FAR),
            maintenance=cast(Any, _Service()),
            heartbeat=self._heartbeat(work, "node", executor.accept_verdict),
            reaper=Reaper(
                work,
                lease_seconds=LEASE,
                exclusive=False,
                monotonic=machines.loop.time,
                taken=executions_came,
            ),
            targets=cast(Any, _Service()),
            wakeups=self._wakeups,
            queue=QueueWatch(work),
            stranded=StrandedWatch(work, seconds=3.0),
            claims=Loop("claims", executor.check_claims, HEARTBEAT),
            grace_seconds=2.0,
            on_jobs=lambda: self._wakeups.tell("jobs"),
        )
        await self.runtime.start()

    def _inbox_written(self) -> None:
        self._inbox.wake()
        self._wakeups.tell("inbox")

    async def stop(self) -> None:
        await self.runtime.stop()

    def hear(self, word: str) -> None:
        if self.is_up:
            self._wakeups.hear(word)


class RunningExecutor(Process):
    """A process that only runs actions."""

    async def start(self) -> None:
        machines = self.machines
        database = machines.database
        executor = self._executor(3)
        self._wakeups = Wakeups(lambda word: machines.say(self, word), {"jobs": executor.look})

        def told(_: str) -> None:
            self._wakeups.tell("inbox")

        def now() -> int:
            return round(self.clock.now().timestamp() * 1_000_000)

        alone = StandAloneResults(MemoryRecords(database), OutsideWorkflow(self.clock), now, 10_240)
        posts = ResultPosts(MemoryExecutions(database), alone, self.new_id, now, told)
        book = LimitBook(machines.loop.time)
        work = ExecutorWork(
            self.new_id(),
            MemoryJobs(database, book),
            book,
            SessionNodes(machines, self),
            posts,
            self.new_id,
            now,
            told,
        )
        executor.connect(work)
        self.process = ExecutorProcess(
            work=work,
            executor=executor,
            heartbeat=self._heartbeat(work, "executor", executor.accept_verdict),
            wakeups=self._wakeups,
            grace_seconds=2.0,
            look_seconds=HEARTBEAT,
        )
        await self.process.start()

    async def stop(self) -> None:
        await self.process.stop()

    def hear(self, word: str) -> None:
        if self.is_up:
            self._wakeups.hear(word)
