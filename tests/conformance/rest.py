"""The world of a rehearsal, played on a real node: uploads, starts and reads go over REST.

:class:`RestWorld` and :class:`RestRun` offer what :class:`tramontane.rehearsal.World` and
:class:`~tramontane.rehearsal.Run` do, so that one test body holds for the engine alone and for the
service on each database. Every world is a project of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.api.lab import Answer
from tests.conformance.records import ActionShown, CallShown, ExecutionShown, TaskShown
from tests.conformance.station import Service, Station

from tramontane.core.decision import CoreSettings
from tramontane.core.state import Micros
from tramontane.errors import NotFoundError, TramontaneError
from tramontane.rehearsal.script import Job, Outcome, Script, Scripted
from tramontane.values import encode, freeze

SECOND = 1_000_000
_STEPS = 100_000


@dataclass(frozen=True, order=True)
class _Coming:
    """The end of an action at a moment of the test's time: it goes on, or its outcome is reported."""

    moment: Micros
    number: int
    action_id: str = field(compare=False)
    sleeper: asyncio.Future[None] | None = field(default=None, compare=False)
    outcome: Outcome | None = field(default=None, compare=False)


class RestLibrary:
    """Uploads definitions and environments."""

    def __init__(self, world: RestWorld) -> None:
        self._world = world

    def add_workflows(self, text: str, namespace: str = "") -> None:
        """Upload a document of workflows; those that exist are updated."""
        self._upload("workflows", text, namespace)

    def add_workbook(self, text: str, namespace: str = "") -> None:
        self._upload("workbooks", text, namespace)

    def add_actions(self, text: str, namespace: str = "") -> None:
        self._upload("actions", text, namespace)

    def _upload(self, kind: str, text: str, namespace: str) -> None:
        url = f"/v2/{kind}?namespace={quote(namespace)}"
        answer = self._world.ask("POST", url, text)
        if answer.status == 409:
            answer = self._world.ask("PUT", url, text)
        checked(answer)

    def remove_workflow(self, name: str, namespace: str = "") -> None:
        self._world.request("DELETE", f"/v2/workflows/{name}?namespace={quote(namespace)}")

    def add_environment(self, name: str, variables: Mapping[str, Any]) -> None:
        self._world.request("POST", "/v2/environments", {"name": name, "variables": variables})


class RestWorld:
    """Definitions and executions of one project of a node.

    Args:
        station: where nodes run.
        text: a document of workflows (more can be added to ``library``).
        script: what actions give, as for a rehearsal.
        environments: stored ones, by name.
        settings: options of the node.
    """

    def __init__(
        self,
        station: Station,
        text: str | None = None,
        *,
        script: Mapping[str, Scripted] | None = None,
        environments: Mapping[str, Mapping[str, Any]] | None = None,
        settings: CoreSettings | None = None,
    ) -> None:
        self.project = station.new_project()
        self.service: Service = station.service(settings or CoreSettings())
        self.service.begin_second()
        self.service.stages[self.project] = self
        self.library = RestLibrary(self)
        self._script = Script(script or {})
        self._indexes: dict[str, int] = {}
        self._coming: list[_Coming] = []
        self._count = 0
        self._roots: list[str] = []
        if text is not None:
            self.library.add_workflows(text)
        for name, variables in (environments or {}).items():
            self.library.add_environment(name, variables)

    # -- what clients do ------------------------------------------------------------------

    def ask(self, method: str, url: str, body: Any = None) -> Answer:
        """Send a request and let the node do everything that follows at once."""
        return self.service.run(self._ask(method, url, body))

    async def _ask(self, method: str, url: str, body: Any = None) -> Answer:
        answer = await self.service.call(self.project, method, url, body)
        if method != "GET":
            await self.service.settle()
        return answer

    def request(self, method: str, url: str, body: Any = None) -> Any:
        """Send a request; give the data of the answer.

        Raises:
            TramontaneError: of the class and with the text that the answer names.
        """
        return checked(self.ask(method, url, body))

    def items(self, url: str) -> list[dict[str, Any]]:
        """The items of a list, in order of creation."""
        data = self.request("GET", url)
        (key,) = set(data) - {"next"}
        assert "next" not in data, "the list has more than one page"
        items: list[dict[str, Any]] = data[key]
        return items

    def start(
        self,
        name: str,
        input: Mapping[str, Any] | None = None,
        *,
        env: Any = None,
        namespace: str = "",
        description: str | None = "",
        **params: Any,
    ) -> RestRun:
        if env is not None:
            params["env"] = env
        body = {
            "workflow_name": name,
            "workflow_namespace": namespace,
            "input": input or {},
            "params": params,
            "description": description,
        }
        started = self.request("POST", "/v2/executions", body)
        self._roots.append(started["id"])
        return RestRun(self, started["id"])

    def delete(self, execution_id: str, *, force: bool = False) -> None:
        self.request("DELETE", f"/v2/executions/{execution_id}?force={force}")

    def report_action(self, action_id: str, data: Any = None) -> Any:
        body = {"state": "SUCCESS", "output": json_text(data)}
        return self.request("PUT", f"/v2/action_executions/{action_id}", body)

    def lose_job(self, action_id: str) -> None:
        """Whoever ran an action has died; it is this node, so the others that it runs are lost with it."""
        assert action_id in self._indexes, "the action isn't run here"
        self.service.run(self._lose_jobs())

    async def _lose_jobs(self) -> None:
        runtime = self.service.node.runtime
        await runtime.work.lose_claims(runtime.work.node_id)
        runtime.executor.wake()
        await self.service.settle()

    def run_of(self, execution_id: str) -> RestRun:
        return RestRun(self, execution_id)

    def runs(self) -> list[RestRun]:
        """Return all executions, oldest first."""
        return [RestRun(self, item["id"]) for item in self.items("/v2/executions")]

    # -- time -----------------------------------------------------------------------------

    @property
    def now(self) -> Micros:
        return self.service.now

    def run(self, *, limit: int = _STEPS) -> None:
        """Go on until nothing happens by itself any more; time jumps ahead when all else is done."""
        self.service.run(self._run_until(None, limit))

    def settle(self, *, limit: int = _STEPS) -> None:
        """Do everything that is to be done at this moment."""
        self.service.run(self._run_until(self.now, limit))

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, and do everything that falls due."""
        until = self.now + round(seconds * SECOND)
        self.service.run(self._run_until(until, _STEPS))
        self.service.run(self._move_to(until))

    def step(self) -> bool:
        """Let one action end, or go to the next moment at which something happens; False: nothing will."""
        return self.service.run(self._step())

    async def _step(self) -> bool:
        await self.service.settle()
        if ended := [each for each in self._coming if each.moment <= self.now]:
            await self._end(min(ended))
            return True
        due = await self._next_due()
        if due is not None:
            await self._move_to(due)
        return due is not None

    async def _move_to(self, moment: Micros) -> None:
        await self.service.move_to(moment)
        await self.service.settle()

    async def _run_until(self, until: Micros | None, limit: int) -> None:
        await self.service.settle()
        for _ in range(limit):
            due = await self._next_due()
            if due is None or (until is not None and due > until):
                return
            await self._move_to(due)
            await self._end_actions()
        raise RuntimeError(f"the executions are still busy after {limit} steps")

    async def _next_due(self) -> Micros | None:
        timer = await self.service.next_timer(frozenset(self._roots))
        due = [each.moment for each in self._coming] + ([] if timer is None else [timer])
        return min(due, default=None)

    async def _end_actions(self) -> None:
        """Let the actions end whose time has come, one after the other as they were begun."""
        for each in sorted(each for each in self._coming if each.moment <= self.now):
            if each in self._coming:  # else nobody wants it any more
                await self._end(each)

    async def _end(self, coming: _Coming) -> None:
        self._coming.remove(coming)
        if coming.sleeper is not None:
            coming.sleeper.set_result(None)
            self.service.waiting.discard(coming.action_id)
        elif coming.outcome is not None:
            await self._report(coming.action_id, coming.outcome)
        await self.service.settle()

    # -- the stage of scripted actions -------------------------------------------------------

    def outcome(self, job: Job) -> Outcome | None:
        return self._script.outcome(job)

    def note_index(self, action_id: str, index: int) -> None:
        self._indexes[action_id] = index

    def index_of(self, action_id: str, otherwise: int) -> int:
        return self._indexes.get(action_id, otherwise)

    async def passes(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(self.now + round(seconds * SECOND))

    async def never(self) -> None:
        await self._sleep(None)

    async def _sleep(self, until: Micros | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        action_id = task.get_name().removeprefix("action ")
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        coming = _Coming(until or 0, self._next_number(), action_id, sleeper)
        if until is not None:
            self._coming.append(coming)
        self.service.waiting.add(action_id)
        self.service.moved.set()
        try:
            await sleeper
        finally:
            self.service.waiting.discard(action_id)
            if coming in self._coming:
                self._coming.remove(coming)

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    def report_later(self, action_id: str, outcome: Outcome) -> None:
        due = self.now + round(outcome.seconds * SECOND)
        self._coming.append(_Coming(due, self._next_number(), action_id, outcome=outcome))

    async def _report(self, action_id: str, outcome: Outcome) -> None:
        assert outcome.result is not None
        body = {"state": outcome.result.state, "output": json_text(outcome.result.value)}
        await self._ask("PUT", f"/v2/action_executions/{action_id}", body)

    # -- the end ----------------------------------------------------------------------------

    def close(self) -> None:
        """Leave nothing behind that would go on in the next test."""
        if self.service.stages.get(self.project) is self:
            self.service.run(self._close())

    async def _close(self) -> None:
        for root in self._roots:
            await self._ask("DELETE", f"/v2/executions/{root}?force=true")
        for action_id in self._indexes:
            task = self.service.node.runtime.executor.tasks.get(action_id)
            if task is not None:
                task.cancel()
        await self.service.settle()
        del self.service.stages[self.project]


class RestRun:
    """Reads and drives one workflow execution over REST.

    A task is named by its name (the newest execution of it) or by what was read of it.
    """

    def __init__(self, world: RestWorld, execution_id: str) -> None:
        self.world = world
        self.id = execution_id

    @property
    def _url(self) -> str:
        return f"/v2/executions/{self.id}"

    # -- reading --------------------------------------------------------------------------

    @property
    def execution(self) -> ExecutionShown:
        return ExecutionShown.of(self.world.request("GET", self._url))

    @property
    def state(self) -> str:
        return self.execution.state

    @property
    def info(self) -> str | None:
        return self.execution.state_info

    @property
    def output(self) -> Any:
        return self.execution.output

    def _task_items(self, name: str | None = None) -> list[dict[str, Any]]:
        return self.world.items(f"{self._url}/tasks{'' if name is None else f'?name={quote(name)}'}")

    def all_tasks(self) -> list[TaskShown]:
        return [self._task_shown(item["id"]) for item in self._task_items()]

    def _task_shown(self, task_id: str) -> TaskShown:
        return TaskShown.of(self.world.request("GET", f"/v2/tasks/{task_id}"))

    def names(self) -> list[str]:
        return [item["name"] for item in self._task_items()]

    def states(self) -> dict[str, str]:
        return {item["name"]: item["state"] for item in self._task_items()}

    def tasks(self, name: str) -> list[TaskShown]:
        return [self._task_shown(item["id"]) for item in self._task_items(name)]

    def task(self, name: str) -> TaskShown:
        return self._task_shown(self._newest(name))

    def _newest(self, name: str) -> str:
        found = self._task_items(name)
        if not found:
            raise NotFoundError(f"task '{name}' was not started")
        task_id: str = found[-1]["id"]
        return task_id

    def _task_id(self, task: str | TaskShown) -> str:
        return self._newest(task) if isinstance(task, str) else task.id

    def result(self, task: str | TaskShown) -> Any:
        """Return ``task(name).result``."""
        return self._task_shown(self._task_id(task)).result

    def actions(self, task: str | TaskShown) -> list[ActionShown]:
        items = self.world.items(f"/v2/tasks/{self._task_id(task)}/action_executions?include_output=true")
        return [
            ActionShown.of(item, self.world.index_of(item["id"], place)) for place, item in enumerate(items)
        ]

    def action(self, task: str | TaskShown, index: int = 0) -> ActionShown:
        """Return the newest action execution of a task (of one item)."""
        return [action for action in self.actions(task) if action.index == index][-1]

    def running(self, task: str | TaskShown) -> list[ActionShown]:
        return [action for action in self.actions(task) if action.state == "RUNNING"]

    def calls(self, task: str | TaskShown) -> list[CallShown]:
        fields = "id,task_execution_id,params,state,output,created_at"
        url = f"/v2/tasks/{self._task_id(task)}/workflow_executions?fields={fields}"
        return [CallShown.of(item) for item in self.world.items(url)]

    def sub(self, task: str | TaskShown, index: int = 0) -> RestRun:
        """Return the newest sub-workflow execution of a task (of one item)."""
        call = [call for call in self.calls(task) if call.index == index][-1]
        return RestRun(self.world, call.id)

    # -- operations -----------------------------------------------------------------------

    def _change(self, **change: Any) -> Any:
        return self.world.request("PUT", self._url, change)

    def pause(self) -> Any:
        return self._change(state="PAUSED")

    def resume(self, env: Any = None) -> Any:
        return self._change(state="RUNNING", params={} if env is None else {"env": env})

    def stop(self, state: str, message: str | None = None, **options: bool) -> Any:
        names = {"recursive": "recursive_terminate", "force": "force_cancel"}
        params = {names[name]: value for name, value in options.items()}
        return self._change(state=state, state_info=message, params=params)

    def change_env(self, env: Any) -> Any:
        return self._change(params={"env": env})

    def rerun(self, task: str | TaskShown, *, reset: bool = True, env: Any = None) -> Any:
        change = {"state": "RUNNING", "reset": reset, "env": None if env is None else env}
        return self.world.request("PUT", f"/v2/tasks/{self._task_id(task)}", change)

    def skip(self, task: str | TaskShown, *, env: Any = None) -> Any:
        change = {"state": "SKIPPED", "env": None if env is None else env}
        return self.world.request("PUT", f"/v2/tasks/{self._task_id(task)}", change)

    def delete(self, *, force: bool = False) -> None:
        self.world.delete(self.id, force=force)

    def report(
        self,
        task: str | TaskShown,
        data: Any = None,
        *,
        error: Any = None,
        cancel: bool = False,
        index: int = 0,
    ) -> Any:
        """Report the result of a task's newest action."""
        if cancel:
            return self._report(task, index, "CANCELLED", None)
        if error is not None:
            return self._report(task, index, "ERROR", error)
        return self._report(task, index, "SUCCESS", data)

    def _report(self, task: str | TaskShown, index: int, state: str, output: Any) -> Any:
        body = {"state": state} if output is None else {"state": state, "output": json_text(output)}
        return self.world.request("PUT", f"/v2/action_executions/{self.action(task, index).id}", body)

    def pause_action(self, task: str | TaskShown, index: int = 0) -> Any:
        return self._report(task, index, "PAUSED", None)

    def resume_action(self, task: str | TaskShown, index: int = 0) -> Any:
        return self._report(task, index, "RUNNING", None)


def json_text(value: Any) -> str:
    """The text form of an output: only so can a text be told from the JSON that it may look like."""
    return encode(freeze(value))


def checked(answer: Answer) -> Any:
    """Give the data of a good answer.

    Raises:
        TramontaneError: of the class whose code the answer names, with its text.
    """
    if answer.status < 300:
        return answer.json if answer.body else None
    fault = answer.json
    error = _ERRORS[fault["code"]].__new__(_ERRORS[fault["code"]])
    TramontaneError.__init__(error, fault["faultstring"])
    raise error


def _family(kind: type[TramontaneError]) -> Iterator[type[TramontaneError]]:
    yield kind
    for heir in kind.__subclasses__():
        yield from _family(heir)


_ERRORS: Mapping[str, type[TramontaneError]] = {kind.code: kind for kind in _family(TramontaneError)}
