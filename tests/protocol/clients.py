"""Clients of the simulated cluster: they call any node, again at another one when no answer comes, and
remember what they were promised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any
from uuid import UUID

from tests.core.definitions import Example
from tests.protocol.loop import LaneLoop
from tests.protocol.memory import MemoryDatabase, Record
from tests.protocol.processes import Machines, ServingNode

from tramontane.auth import Caller
from tramontane.errors import TramontaneError, UnavailableError
from tramontane.service.services import ExecutionChange, StartOrder
from tramontane.states import COMPLETED, ERROR, PAUSED
from tramontane.values import freeze

CALLER = Caller("p", roles=frozenset({"member"}))
_PATIENCE = 2.0
_LOOK = 0.7

Call = Callable[[ServingNode], Coroutine[Any, Any, Any]]


class NoAnswer(Exception):
    """Nobody knows what has become of the call."""


class Client:
    """Starts an execution and does for it what only people do, until it is over."""

    def __init__(
        self,
        machines: Machines,
        example: Example,
        chance: Random,
        note: Callable[[str], None],
        *,
        pauses: bool,
    ) -> None:
        self.example = example
        self.id = str(UUID(int=chance.getrandbits(128), version=4))
        self.is_acknowledged = False
        self.reported: set[str] = set()  # actions whose result was taken
        self._machines = machines
        self._chance = chance
        self._note = note
        self._pauses = pauses

    @property
    def _loop(self) -> LaneLoop:
        return self._machines.loop

    @property
    def _database(self) -> MemoryDatabase:
        return self._machines.database

    async def live(self) -> None:
        await asyncio.sleep(self._chance.random())
        await self._start()
        if self._pauses:
            await self._pause()
        while True:
            await asyncio.sleep(_LOOK)
            await self._help()

    # -- calls ----------------------------------------------------------------------------

    async def _call(self, call: Call) -> Any:
        """Call nodes until one answers; now and then twice at the same time.

        Raises:
            TramontaneError: the call is refused.
        """
        while True:
            nodes = [each for each in self._machines.nodes if each.is_up]
            if nodes:
                if self._chance.random() < 0.1:
                    self._send(self._chance.choice(nodes), call)
                try:
                    return await self._try(self._chance.choice(nodes), call)
                except (NoAnswer, UnavailableError):
                    pass
            await asyncio.sleep(0.1 + 0.4 * self._chance.random())

    async def _try(self, node: ServingNode, call: Call) -> Any:
        answer = self._send(node, call)
        if self._chance.random() < 0.05:
            raise NoAnswer  # it was lost on the way
        try:
            return await asyncio.wait_for(answer, _PATIENCE)
        except TimeoutError:
            raise NoAnswer from None

    def _send(self, node: ServingNode, call: Call) -> asyncio.Future[Any]:
        """Have a node handle a call, sooner or later, and pass its answer on."""
        answer = self._loop.create_future()

        async def handle() -> None:
            try:
                result, error = await call(node), None
            except TramontaneError as raised:
                result, error = None, raised
            except asyncio.CancelledError:
                raise
            except Exception as raised:
                self._note(f"a call ended with {type(raised).__name__}: {raised}")
                return
            if not answer.done():
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may be gone

        node.lane.spawn(handle())
        return answer

    # -- what is asked --------------------------------------------------------------------

    async def _start(self) -> None:
        order = StartOrder(
            "wf",
            namespace=self.example.name,
            params=freeze({"env": {"k": 1}, **self.example.params}),
            execution_id=self.id,
        )
        started = await self._call(lambda node: node.executions.start(CALLER, order))
        self.is_acknowledged = True
        if started.execution.id != self.id or self.id not in self._database.tables["heads"]:
            self._note(f"the start of {self.id} was acknowledged, and it isn't there")

    async def _pause(self) -> None:
        await self._ask(ExecutionChange(state="PAUSED"))

    async def _ask(self, change: ExecutionChange) -> None:
        try:
            await self._call(lambda node: node.executions.change(CALLER, self.id, change))
        except TramontaneError:
            return
        state = self._database.tables["heads"][self.id]["state"]
        if change.state == PAUSED and state != PAUSED and state not in COMPLETED and not self._is_helped:
            self._note(f"the pause of {self.id} was acknowledged, and it is {state}")

    @property
    def _is_helped(self) -> bool:
        """Whether a resume of this client may be under way, too."""
        return self.example.name == "pauses"

    async def _help(self) -> None:
        """Do what nothing else does: resume, report results, run what failed again."""
        tree = [row for row in self._database.rows("executions") if row["root_id"] == self.id]
        for row in tree:
            if row["state"] == PAUSED:
                await self._quietly(_resume(row["id"]))
        for action in [row for row in self._database.rows("action_executions") if row["root_id"] == self.id]:
            if not action["is_sync"] and action["state"] not in COMPLETED:
                await self._report(action["id"])
        if self.example.is_rerun and self._database.tables["heads"][self.id]["state"] == ERROR:
            await self._run_again(tree)

    async def _report(self, action_id: str) -> None:
        if await self._quietly(lambda node: node.actions.update(CALLER, action_id, "SUCCESS", "reported")):
            self.reported.add(action_id)

    async def _run_again(self, tree: list[Record]) -> None:
        """Run the deepest failed task again, as the model does."""
        calls = {row["task_id"] for row in self._database.rows("subworkflows")}
        for execution in reversed(tree):
            failed = [
                row
                for row in sorted(
                    self._database.of_execution("tasks", execution["id"]), key=lambda row: row["seq"]
                )
                if row["state"] == ERROR and row["id"] not in calls
            ]
            if execution["state"] == ERROR and failed:
                await self._quietly(_rerun(failed[0]["id"]))
                return

    async def _quietly(self, call: Call) -> bool:
        """Call; False when it is refused, as what has happened already is."""
        try:
            await self._call(call)
        except TramontaneError:
            return False
        return True


def _resume(execution_id: str) -> Call:
    return lambda node: node.executions.change(CALLER, execution_id, ExecutionChange(state="RUNNING"))


def _rerun(task_id: str) -> Call:
    return lambda node: node.tasks.rerun(CALLER, task_id, True, None)
