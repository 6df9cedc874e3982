"""Clients that use a cluster while it is hurt, and the account of what they were promised."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from typing import Any

from tests.chaos.cluster import PATIENCE, Cluster
from tests.chaos.flows import DOCUMENT, MODELS, Model
from tests.chaos.outside import Outside

from tramontane.core.reports import LOST

_CLIENTS = 4
_ENDED = ("SUCCESS", "ERROR", "CANCELLED")


class Load:
    """Starts executions of all kinds and remembers every call that was acknowledged."""

    def __init__(self, cluster: Cluster, outside: Outside, chance: random.Random) -> None:
        self.started: dict[str, str] = {}  # execution -> workflow
        self.reported: set[str] = set()  # executions whose action's result was taken
        self._cluster = cluster
        self._outside = outside
        self._chance = chance
        self._acknowledged = asyncio.Condition()

    async def prepare(self) -> None:
        status, answer = await self._cluster.call("POST", "/workflows", DOCUMENT)
        assert status == 201, answer

    async def acknowledged(self, count: int) -> None:
        """Wait until so many starts were acknowledged."""
        async with asyncio.timeout(PATIENCE), self._acknowledged:
            await self._acknowledged.wait_for(lambda: len(self.started) >= count)

    async def run(self, rounds: int) -> None:
        """Every client plays each workflow ``rounds`` times, in an order of its own."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_CLIENTS):
                names = [*MODELS] * rounds
                self._chance.shuffle(names)
                group.create_task(self._client(names))

    async def _client(self, names: list[str]) -> None:
        for name in names:
            execution_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
            await self._start(execution_id, name)
            if name == "held":
                await self._hold(execution_id)
            if name == "outside":
                await self._report(execution_id)
            if self._chance.random() < 0.3:
                await self._start(execution_id, name)  # whoever got no answer asks again

    async def _start(self, execution_id: str, name: str) -> None:
        body = {"id": execution_id, "workflow_name": name, "input": {"url": self._outside.url}}
        status, answer = await self._cluster.call("POST", "/executions", body)
        assert (status, answer["id"], answer["workflow_name"]) == (201, execution_id, name), answer
        async with self._acknowledged:
            self.started[execution_id] = name
            self._acknowledged.notify_all()

    async def _hold(self, execution_id: str) -> None:
        """Pause and resume; whoever asks afterwards, whichever node, sees what was acknowledged."""
        path = f"/executions/{execution_id}"
        await self._cluster.call("PUT", path, {"state": "PAUSED"})
        _, seen = await self._cluster.call("GET", path)
        assert seen["state"] in ("PAUSED", *_ENDED), seen
        await self._cluster.call("PUT", path, {"state": "RUNNING"})

    async def _report(self, execution_id: str) -> None:
        """Bring a result twice, as somebody who didn't hear the first answer."""
        action_id = await self._action(execution_id)
        body = {"state": "SUCCESS", "output": {"said": "from outside"}}
        for _ in range(2):
            status, answer = await self._cluster.call("PUT", f"/action_executions/{action_id}", body)
            if status == 200 and answer["state"] == "SUCCESS":
                self.reported.add(execution_id)

    async def _action(self, execution_id: str) -> str:
        """The id of the action of task ``act``, as soon as there is one."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for task in await self._tasks(execution_id):
                    path = f"/tasks/{task['id']}/action_executions"
                    actions = (await self._cluster.call("GET", path))[1]["action_executions"]
                    if task["name"] == "act" and actions:
                        return str(actions[0]["id"])
                await asyncio.sleep(0.05)

    async def _tasks(self, execution_id: str) -> list[dict[str, Any]]:
        _, listed = await self._cluster.call("GET", "/tasks", workflow_execution_id=execution_id)
        tasks: list[dict[str, Any]] = listed["tasks"]
        return tasks

    # -- the account ----------------------------------------------------------------------

    async def check(self, *, may_lose: bool) -> Counter[str]:
        """See that everything ended as its model says; count the ways that were taken."""
        ways: Counter[str] = Counter()
        for execution_id, name in self.started.items():
            model = await self._ended(execution_id, name)
            assert may_lose or not model.loses, f"{name} {execution_id} lost its action without a reason"
            ways[f"{name} lost" if model.loses else name] += 1
            if model.loses:
                assert execution_id not in self.reported, f"a result of {execution_id} was taken and lost"
            elif name == "once":
                assert self._outside.hits[f"/once/{execution_id}/act"] == 1, execution_id
        for path, hits in self._outside.hits.items():
            assert hits == 1 or not path.startswith("/once/"), f"{path} ran {hits} times"
        return ways

    async def _ended(self, execution_id: str, name: str) -> Model:
        """Wait for the end; it must be one of the model's."""
        async with asyncio.timeout(PATIENCE):
            state = ""
            while state not in _ENDED:
                status, execution = await self._cluster.call("GET", f"/executions/{execution_id}", wait=10)
                assert status == 200, f"acknowledged, and gone: {name} {execution_id}"
                state = execution["state"]
        assert state == "SUCCESS", execution
        tasks = await self._tasks(execution_id)
        assert all(task["state"] in _ENDED for task in tasks), tasks
        output, names = json.loads(execution["output"]), Counter(task["name"] for task in tasks)
        found = [each for each in MODELS[name] if (output, names) == (each.output, each.tasks)]
        assert found, (name, execution, names)
        if found[0].loses:
            reasons = [task["state_info"] for task in tasks if task["name"] == "act"]
            assert LOST in reasons[0], reasons
        return found[0]
