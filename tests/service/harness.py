"""What tests of use cases share: nodes on real databases, callers, documents, faults on purpose."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from tramontane import compose
from tramontane.auth import Caller
from tramontane.clock import Clock
from tramontane.compose import OpenNode, open_node
from tramontane.config import Settings
from tramontane.core.state import ActionExecution, Execution, Task
from tramontane.service.caller import Caller as AnyCaller
from tramontane.service.definitions import UploadOptions
from tramontane.service.services import StartOrder
from tramontane.store.commit import CommitOutcome
from tramontane.store.errors import DatabaseUnavailableError, OutcomeUnknownError
from tramontane.store.executions import Executions
from tramontane.store.records import StoredExecution, TurnWrite
from tramontane.values import freeze

T = TypeVar("T")

ALICE = Caller("alice", roles=frozenset({"member"}))
BOB = Caller("bob", roles=frozenset({"member"}))
ADMIN = Caller("operators", roles=frozenset({"admin"}), is_admin=True)

PATIENCE = 60.0
"""Seconds after which a test that waits for something is broken, not slow."""


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine; whatever it waits for must happen."""

    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE):
            return await test

    return asyncio.run(bounded())


@asynccontextmanager
async def a_node(url: str, clock: Clock | None = None, **settings: Any) -> AsyncIterator[OpenNode]:
    """A node on the database, without anything that is installed on this machine."""
    chosen = {"load_action_plugins": False, "shutdown_grace_seconds": 1.0, **settings}
    async with open_node(Settings(database=url, **chosen), clock=clock) as node:
        yield node


async def upload(node: OpenNode, text: str, caller: Caller = ALICE, namespace: str = "") -> None:
    await node.services.workflows.create(
        caller, "version: '2.0'\n" + text, UploadOptions(namespace=namespace)
    )


async def start(node: OpenNode, workflow: str, caller: AnyCaller = ALICE, **order: Any) -> Execution:
    """Start a workflow; ``input`` and ``params`` may be plain maps."""
    for name in ("input", "params"):
        if name in order:
            order[name] = freeze(order[name])
    return (await node.services.executions.start(caller, StartOrder(workflow, **order))).execution


async def play(node: OpenNode, workflow: str, caller: AnyCaller = ALICE, **order: Any) -> Execution:
    """Start a workflow and give the execution as it is when it has ended."""
    return await finished(node, (await start(node, workflow, caller, **order)).id)


async def finished(node: OpenNode, execution_id: str) -> Execution:
    await node.services.executions.wait(execution_id, PATIENCE)
    execution = await read(node, execution_id)
    assert execution.is_completed, f"{execution.state}: {execution.state_info}"
    return execution


async def stored(node: OpenNode, execution_id: str) -> StoredExecution:
    found = await Executions(node.database).load(execution_id)
    assert found is not None
    return found


async def read(node: OpenNode, execution_id: str) -> Execution:
    return (await stored(node, execution_id)).execution


async def task(node: OpenNode, execution_id: str, name: str) -> Task:
    """The newest execution of a task."""
    found = [each for each in (await stored(node, execution_id)).tasks if each.name == name]
    return found[-1]


async def action(node: OpenNode, execution_id: str, name: str) -> ActionExecution:
    """The newest action of a task."""
    loaded = await stored(node, execution_id)
    ids = {each.id for each in loaded.tasks if each.name == name}
    return [each for each in loaded.actions if each.task_id in ids][-1]


async def until(node: OpenNode, execution_id: str, state: str, task_name: str | None = None) -> None:
    """Wait until an execution (or its task) is in a state, looking after each commit of the node."""
    committed = asyncio.Event()
    node.engine.watch(lambda _: committed.set())
    while True:
        committed.clear()
        loaded = await stored(node, execution_id)
        states = [each.state for each in loaded.tasks if each.name == task_name]
        if (states[-1:] == [state]) if task_name else (loaded.execution.state == state):
            return
        await committed.wait()


async def still(holds: Callable[[], bool]) -> None:
    """Wait as long as something holds that no event tells the end of."""
    while holds():  # noqa: ASYNC110 (there is nothing else to wait for)
        await asyncio.sleep(0.001)


class Faults:
    """Decides, from a seed, how each commit goes wrong, if it does."""

    def __init__(self, seed: int, share: float) -> None:
        self._random = random.Random(seed)
        self.share = share
        self.happened: dict[str, int] = {}
        self._kinds: list[str] = []

    def next(self) -> str | None:
        if self._random.random() >= (self.share if self.happened else bool(self.share)):
            return None  # the first commit goes wrong in any case, if any is to
        if not self._kinds:
            self._kinds = ["refused", "lost", "unknown-written", "unknown-unwritten"]
            self._random.shuffle(self._kinds)
        kind = self._kinds.pop()
        self.happened[kind] = self.happened.get(kind, 0) + 1
        return kind


class FaultyExecutions(Executions):
    """The real store, with commits that go wrong the ways that databases know."""

    faults = Faults(0, 0.0)
    away = 0  # so many commits in a row don't reach the database
    _unwritten: frozenset[int] = frozenset()

    async def commit(self, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
        if self.away:
            type(self).away -= 1
            raise DatabaseUnavailableError("the database is away")
        match self.faults.next():
            case "refused":
                raise DatabaseUnavailableError("the connection broke before anything was written")
            case "lost":
                return [CommitOutcome("lost") for _ in turns]
            case "unknown-written":
                await super().commit(turns, node_id)
                raise OutcomeUnknownError("the connection broke during the commit", await self._token(turns))
            case "unknown-unwritten":
                raise OutcomeUnknownError("the connection broke during the commit", -1)
            case _:
                return await super().commit(turns, node_id)

    async def _token(self, turns: Sequence[TurnWrite]) -> int:
        """The token that the commit just given to the heads."""
        async with self._database.read() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT token FROM heads WHERE id IN ("
                + ",".join(f"'{turn.execution.id}'" for turn in turns)
                + ") ORDER BY version"
            )
            tokens = [token for (token,) in rows]
        return int(tokens[-1]) if tokens else -1


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[FaultyExecutions]:
    """Make nodes use the faulty store; set ``faults`` of the class that this gives."""

    class Store(FaultyExecutions):
        pass

    monkeypatch.setattr(compose, "Executions", Store)
    return Store
