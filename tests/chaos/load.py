"""Clients that use a cluster while it is hurt, and the account of what they were promised."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.chaos.cluster import PATIENCE, Cluster
from tests.chaos.flows import DOCUMENT, FLOWS, Flow, Kinds, Way
from tests.chaos.outside import Outside

from tramontane.core.reports import LOST

_CLIENTS: Final = 4
_PACE: Final = (0.2, 1.0)
"""Seconds between two starts of a client."""

_LATEST: Final = 3.0
"""Seconds by which a call that comes twice may be late."""

_AGAIN: Final = 0.3
"""The share of calls that come twice."""

_ENDED: Final = ("SUCCESS", "ERROR", "CANCELLED")
_EACH_ATTEMPT: Final = ("flaky", "broken")
"""Rules of places outside that each attempt of an action may reach once."""


class Load:
    """Starts executions of all kinds and remembers every call that was acknowledged."""

    def __init__(
        self, cluster: Cluster, outside: Outside, chance: random.Random, names: Sequence[str] = tuple(FLOWS)
    ) -> None:
        self.started: dict[str, str] = {}  # execution -> workflow
        self.reported: set[str] = set()  # executions whose action's result was taken
        self._names = names
        self._cluster = cluster
        self._outside = outside
        self._chance = chance
        self._acknowledged = asyncio.Condition()

    async def prepare(self) -> None:
        """Have everything known that the load needs."""
        await self._cluster.workers_known(f"{self._outside.url}/hit/nothing/known")
        status, answer = await self._cluster.call("POST", "/workflows", DOCUMENT)
        assert status == 201, answer

    def begin_round(self) -> None:
        """The account is of one round: what was before is settled."""
        self.started.clear()
        self.reported.clear()

    async def acknowledged(self, count: int) -> None:
        """Wait until so many starts of this round were acknowledged."""
        async with asyncio.timeout(PATIENCE), self._acknowledged:
            await self._acknowledged.wait_for(lambda: len(self.started) >= count)

    async def run(self, enough: asyncio.Event) -> None:
        """Play every workflow once, in an order by chance, and go on until ``enough`` is set."""
        names = [*self._names]
        self._chance.shuffle(names)
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._client(names[number::_CLIENTS], enough, group))

    async def _client(self, names: Sequence[str], enough: asyncio.Event, group: asyncio.TaskGroup) -> None:
        for name in names:
            await self._begin(name, group)
        while not enough.is_set():
            await self._begin(self._chance.choice(self._names), group)

    async def _begin(self, name: str, group: asyncio.TaskGroup) -> None:
        execution_id = await self._start(name, group)
        if name in self._PARTS:
            group.create_task(self._PARTS[name](self, execution_id))
        await asyncio.sleep(self._chance.uniform(*_PACE))

    # -- starting ---------------------------------------------------------------------------

    async def _start(self, name: str, group: asyncio.TaskGroup) -> str:
        """Start an execution by an id of one's own or with a key; whoever got no answer asks again."""
        flow = FLOWS[name]
        body = {
            "workflow_name": name,
            "input": {"url": self._outside.url, **flow.given},
            "params": dict(flow.params),
        }
        mark, headers = str(uuid.UUID(int=self._chance.getrandbits(128), version=4)), {}
        if self._chance.random() < 0.5:
            body["id"] = mark
        else:
            headers["Idempotency-Key"] = mark
        again = self._chance.random() < _AGAIN
        if again and self._chance.random() < 0.5:
            group.create_task(self._same_start(name, body, headers, None, 0.0))
        execution_id = await self._same_start(name, body, headers, body.get("id"), 0.0)
        async with self._acknowledged:
            self.started[execution_id] = name
            self._acknowledged.notify_all()
        if again:
            late = self._chance.random() * _LATEST
            group.create_task(self._same_start(name, body, headers, execution_id, late))
        return execution_id

    async def _same_start(
        self, name: str, body: Mapping[str, Any], headers: Mapping[str, str], known: Any, delay: float
    ) -> str:
        await asyncio.sleep(delay)
        status, answer = await self._cluster.call("POST", "/executions", body, headers)
        assert (status, answer.get("workflow_name")) == (201, name), answer
        assert known in (None, answer["id"]), f"started twice: {known} and {answer['id']}"
        return str(answer["id"])

    # -- what clients do with executions ------------------------------------------------------

    async def _hold(self, execution_id: str) -> None:
        """Pause and resume; whoever asks afterwards, whichever node, sees what was acknowledged."""
        path = f"/executions/{execution_id}"
        status, answer = await self._cluster.call("PUT", path, {"state": "PAUSED"})
        _, seen = await self._cluster.call("GET", path)
        assert status != 200 or seen["state"] in ("PAUSED", *_ENDED), (answer, seen)
        await self._cluster.call("PUT", path, {"state": "RUNNING"})
        await self._resume_late(execution_id)

    async def _hold_tree(self, execution_id: str) -> None:
        """Pause while sub-workflows are under way, which are paused first; resume."""
        path = f"/executions/{execution_id}"
        status, answer = await self._cluster.call("PUT", path, {"state": "PAUSED"})
        if status == 200 and answer["state"] not in _ENDED:
            await self._until_state(execution_id, "PAUSED", *_ENDED)
        await self._cluster.call("PUT", path, {"state": "RUNNING"})

    async def _open(self, execution_id: str) -> None:
        """Let an execution go on that paused itself."""
        await self._until_state(execution_id, "PAUSED", *_ENDED)
        await self._cluster.call("PUT", f"/executions/{execution_id}", {"state": "RUNNING"})
        await self._resume_late(execution_id)

    async def _resume_late(self, execution_id: str) -> None:
        """Ask once more for what was done long ago, by then perhaps of an execution that is over."""
        await asyncio.sleep(self._chance.random() * _LATEST)
        await self._cluster.call("PUT", f"/executions/{execution_id}", {"state": "RUNNING"})

    async def _report(self, execution_id: str) -> None:
        """Bring a result twice, as somebody who didn't hear the first answer, and much later another."""
        path = f"/action_executions/{await self._action(execution_id)}"
        body = {"state": "SUCCESS", "output": {"said": "from outside"}}
        for _ in range(2):
            status, answer = await self._cluster.call("PUT", path, body)
            if status == 200 and answer["state"] == "SUCCESS":
                self.reported.add(execution_id)
        await asyncio.sleep(self._chance.random() * _LATEST)
        status, answer = await self._cluster.call(
            "PUT", path, {"state": "SUCCESS", "output": {"said": "late"}}
        )
        assert status != 200 or "from outside" in answer["output"], answer

    async def _stop(self, execution_id: str) -> None:
        """Cancel a tree that would never end, and tell it of a result when it is over."""
        (below,) = await self._below(execution_id, 1)
        action_id = await self._action(below["id"])
        path = f"/executions/{execution_id}"
        status, answer = await self._cluster.call("PUT", path, {"state": "CANCELLED"})
        if status == 200:
            await self._until_state(execution_id, "CANCELLED")
        else:
            assert (await self._until_state(execution_id, *_ENDED)) == "CANCELLED", answer
        await self._until_state(below["id"], "CANCELLED")  # told by the caller, a little later
        result = {"state": "SUCCESS", "output": {"said": "late"}}
        await self._cluster.call("PUT", f"/action_executions/{action_id}", result)
        await self._cluster.call("PUT", path, {"state": "CANCELLED"})

    async def _mend(self, execution_id: str) -> None:
        """Re-run what failed until it succeeds; a re-run that was acknowledged is a new attempt."""
        while await self._until_state(execution_id, *_ENDED) == "ERROR":
            owner = execution_id
            if self.started[execution_id] == "mended_deep":
                below = await self._below(execution_id, 2)
                owner = next(each["id"] for each in below if each["workflow_name"] == "mended")
            task = next(each for each in await self._tasks(owner) if each["name"] == "act")
            before = len(await self._actions(task["id"]))
            again = {"state": "RUNNING", "reset": True}
            status, answer = await self._cluster.call("PUT", f"/tasks/{task['id']}", again)
            if status == 200:
                after = len(await self._actions(task["id"]))
                assert after > before, f"a re-run was acknowledged, and lost: {answer}"

    _PARTS: Final = {
        "held": _hold,
        "held_tree": _hold_tree,
        "gated": _open,
        "outside": _report,
        "stopped": _stop,
        "mended": _mend,
        "mended_deep": _mend,
    }

    # -- looking ----------------------------------------------------------------------------

    async def _until_state(self, execution_id: str, *wanted: str) -> str:
        """Wait for a state of an execution.

        Raises:
            AssertionError: it hangs; why, as the service sees it, is told.
        """
        status, execution = 0, {"state": ""}
        try:
            async with asyncio.timeout(PATIENCE):
                while execution["state"] not in wanted:
                    path, seconds = f"/executions/{execution_id}", 0 if "PAUSED" in wanted else 5
                    status, execution = await self._cluster.call("GET", path, wait=seconds)
                    assert status == 200, f"acknowledged, and gone: {execution_id} {execution}"
                    if execution["state"] in _ENDED:
                        break
                    if not seconds:
                        await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(await self._why(execution)) from None
        assert execution["state"] in wanted, (wanted, execution)
        return str(execution["state"])

    async def _why(self, execution: Mapping[str, Any]) -> str:
        """What keeps an execution and those below it from going on."""
        found = [execution, *await self._below(str(execution["id"]), 0)]
        lines = [f"{execution.get('workflow_name')} {execution.get('id')} hangs"]
        for each in found:
            if each["state"] not in _ENDED:
                _, told = await self._cluster.call("GET", f"/executions/{each['id']}/blockers")
                lines.append(json.dumps(told, indent=1))
        return "\n".join(lines)

    async def _below(self, execution_id: str, least: int) -> list[dict[str, Any]]:
        """The sub-workflows of a tree, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE):
            while True:
                _, listed = await self._cluster.call("GET", "/executions", root_execution_id=execution_id)
                found: list[dict[str, Any]] = listed["executions"]
                if len(found) >= least:
                    return found
                await asyncio.sleep(0.05)

    async def _action(self, execution_id: str) -> str:
        """The id of the action of task ``act``, as soon as there is one."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for task in await self._tasks(execution_id):
                    if task["name"] == "act" and (actions := await self._actions(task["id"])):
                        return str(actions[0]["id"])
                await asyncio.sleep(0.05)

    async def _actions(self, task_id: str) -> list[dict[str, Any]]:
        _, listed = await self._cluster.call("GET", f"/tasks/{task_id}/action_executions")
        actions: list[dict[str, Any]] = listed["action_executions"]
        return actions

    async def _result(self, action_id: str) -> Any:
        _, action = await self._cluster.call("GET", f"/action_executions/{action_id}")
        return json.loads(action["output"]).get("result")

    async def _tasks(self, execution_id: str) -> list[dict[str, Any]]:
        _, listed = await self._cluster.call("GET", "/tasks", workflow_execution_id=execution_id)
        tasks: list[dict[str, Any]] = listed["tasks"]
        return tasks

    # -- the account ----------------------------------------------------------------------

    async def check(self, lost: Kinds = frozenset()) -> Counter[str]:
        """See that everything that was started in this round ended as it must; count the ways.

        ``lost``: the kinds of processes whose actions may be lost by what happened.
        """
        ways: Counter[str] = Counter()
        places = asyncio.Semaphore(_CLIENTS)

        async def account(execution_id: str, name: str) -> None:
            async with places:
                way = await self._check_one(execution_id, name, lost)
                ways[f"{name} lost" if way.lost_by else name] += 1

        async with asyncio.TaskGroup() as group:
            for execution_id, name in self.started.items():
                group.create_task(account(execution_id, name))
        for path, hits in self._outside.hits.items():
            assert hits == 1 or not path.startswith(("/once/", "/hang/")), f"{path} ran {hits} times"
        return ways

    async def _check_one(self, execution_id: str, name: str, lost: Kinds) -> Way:
        flow = FLOWS[name]
        await self._until_state(execution_id, *_ENDED)
        _, execution = await self._cluster.call("GET", f"/executions/{execution_id}")
        tasks = await self._tasks(execution_id)
        way = _way_taken(flow, execution, tasks)
        assert way is not None, f"{name} ended in no way that is right: {execution} {tasks}"
        for place in way.ran:
            assert self._outside.hits[f"/once/{execution_id}/{place}"] == 1, (name, execution_id, place)
        if way.lost_by:
            assert way.lost_by & lost, f"{name} {execution_id} lost its action without a reason: {tasks}"
            assert execution_id not in self.reported, f"a result of {execution_id} was taken and lost"
            (act,) = (task for task in tasks if task["name"] == "act")
            results = [await self._result(each["id"]) for each in await self._actions(act["id"])]
            assert any(LOST in str(each) for each in results), results
        await self._check_tree(execution_id, flow)
        await self._check_attempts(execution_id, tasks)
        return way

    async def _check_tree(self, execution_id: str, flow: Flow) -> None:
        """Sub-workflows were started once each, and are over."""
        if flow.tree:
            below = await self._below(execution_id, 0)
            assert Counter(each["workflow_name"] for each in below) == flow.tree, below
            assert all(each["state"] in _ENDED for each in below), below
            for each in below:
                if each["workflow_name"] == "mended":
                    await self._check_attempts(each["id"], await self._tasks(each["id"]))

    async def _check_attempts(self, execution_id: str, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Without ``safe-rerun`` each attempt of an action ran once at most."""
        for rule in _EACH_ATTEMPT:
            if hits := self._outside.hits[f"/{rule}/{execution_id}/act"]:
                (act,) = (task for task in tasks if task["name"] == "act")
                attempts = len(await self._actions(act["id"]))
                assert hits <= attempts, f"{execution_id} ran {hits} times in {attempts} attempts"


def _way_taken(flow: Flow, execution: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> Way | None:
    """The way of a flow that an execution took; None: one that isn't right."""
    names = Counter((task["name"], task["state"]) for task in tasks)
    output = json.loads(execution["output"] or "{}")
    for way in flow.ways:
        if (execution["state"], names) == (way.state, way.tasks) and way.output in (None, output):
            return way
    return None
