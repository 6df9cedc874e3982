"""What the API needs of the use cases: the contracts for executions, tasks and actions, and the bundle.

Callers are passed in by whoever authenticated them; every use case looks objects up as that caller sees
them and raises :class:`tramontane.errors.NotFoundError` for the others. All answers are given after
their commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tramontane.actions.registry import Registry
from tramontane.core.state import ActionExecution, Execution, Json, Task
from tramontane.results import Result
from tramontane.service.actions import Actions
from tramontane.service.caller import Caller
from tramontane.service.checking import Checker
from tramontane.service.code import CodeSources, DynamicActions
from tramontane.service.cron_triggers import CronTriggers
from tramontane.service.definitions import Workflows
from tramontane.service.environments import Environments
from tramontane.service.event_triggers import EventTriggers
from tramontane.service.limits import LimitUseCases
from tramontane.service.members import Members
from tramontane.service.workbooks import Workbooks
from tramontane.service.workers import WorkerActions, WorkerUseCases
from tramontane.values import EMPTY, FrozenDict

MaintenanceStatus = Literal["RUNNING", "PAUSING", "PAUSED"]


@dataclass(frozen=True, slots=True)
class StartOrder:
    """A start as asked for over the API (REST endpoints, section 7, "start").

    ``workflow`` is an id or a name, in ``namespace`` (None: not given); without one it is the source's.
    ``input`` and ``params`` None: not given. ``execution_id``: the caller's own choice, never empty; or
    ``key``: starts of one project with the same key are one start.
    """

    workflow: str | None
    namespace: str | None = None
    input: FrozenDict | None = None
    params: FrozenDict | None = None
    description: str | None = ""
    execution_id: str | None = None
    source_id: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionChange:
    """What a client wants changed; None: leave it. ``state`` is one that a client may ask for.

    ``recursive`` (with ERROR): sub-executions and running actions end too. ``force`` (with CANCELLED):
    at once.
    """

    state: Literal["RUNNING", "PAUSED", "SUCCESS", "ERROR", "CANCELLED"] | None = None
    state_info: str | None = None
    description: str | None = None
    env: FrozenDict | None = None
    priority: int | None = None
    recursive: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """``is_new`` is false when an execution with the chosen id or key existed: nothing was started then."""

    execution: Execution
    is_new: bool = True


class Executions(Protocol):
    async def start(self, caller: Caller, order: StartOrder) -> Started:
        """Start a workflow; or find the execution that has the chosen id or key already."""

    async def change(self, caller: Caller, execution_id: str, change: ExecutionChange) -> Execution:
        """Change state, description or environment; give the execution as it is afterwards."""

    async def delete(self, caller: Caller, execution_id: str, force: bool) -> None:
        """Delete an execution with everything below it; an unfinished one only by force."""

    async def wait(self, execution_id: str, seconds: float) -> None:
        """Return when the execution is completed, or when the time is over."""


@dataclass(frozen=True, slots=True)
class ForkOrder:
    """A fork as asked for: at ``tasks`` (names or ids), under the definition ``workflow`` (an id, or a name
    in ``namespace``; None: exactly the one that the source ran).

    ``input`` is laid over the source's input, ``env`` over its environment.
    """

    tasks: Sequence[str]
    workflow: str | None = None
    namespace: str | None = None
    input: FrozenDict = EMPTY
    env: FrozenDict = EMPTY
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ForkPreview:
    """What a fork would do. ``new`` names tasks that run first because only the new definition has them,
    ``changed`` tasks that are taken over although they are defined differently now."""

    source_id: str
    workflow_id: str | None
    workflow_name: str
    is_same_definition: bool
    reused: Sequence[Task]
    again: Sequence[tuple[Task, str]]  # with a reason: asked, unfinished or follows
    new: Sequence[str]
    changed: Sequence[str]
    warnings: Sequence[str]


class Forks(Protocol):
    async def preview(self, caller: Caller, execution_id: str, order: ForkOrder) -> ForkPreview:
        """Tell what a fork would take over and run again; nothing is started."""

    async def fork(self, caller: Caller, execution_id: str, order: ForkOrder) -> Execution:
        """Start a new execution that takes over what an ended one has done before some tasks."""


class Tasks(Protocol):
    async def rerun(self, caller: Caller, task_id: str, reset: bool, env: FrozenDict | None) -> None:
        """Run a task in ERROR again."""

    async def skip(self, caller: Caller, task_id: str, env: FrozenDict | None) -> None:
        """Skip a task in ERROR."""


@dataclass(frozen=True, slots=True)
class RunOrder:
    """An action to be run outside of any workflow (actions, section 10)."""

    name: str
    namespace: str = ""
    input: FrozenDict = EMPTY
    description: str | None = None
    run_sync: bool = False
    save_result: bool = False
    target: str | None = None
    timeout: int | None = None


class Maintenance(Protocol):
    """Pausing the whole service (:class:`tramontane.service.maintenance.Maintenance`)."""

    @property
    def status(self) -> MaintenanceStatus:
        """The status that this node has seen last."""

    async def read(self) -> MaintenanceStatus:
        """Give the status as it is now."""

    async def change(self, wanted: Literal["RUNNING", "PAUSED"]) -> MaintenanceStatus:
        """Pause the service or let it go on; give the status that it has then."""

    async def running_tasks(self) -> int:
        """Count the tasks that still run, on all nodes."""


class ActionExecutions(Protocol):
    async def reported(self, action_ids: Sequence[str]) -> Mapping[str, ActionExecution]:
        """Of these action executions, those whose result is durable, though their workflow's turn is
        still to take it; as they are with it."""

    async def run(self, caller: Caller, order: RunOrder) -> ActionExecution | Result:
        """Run an action: its stored execution, or the bare result if nothing is stored."""

    async def update(
        self,
        caller: Caller,
        action_execution_id: str,
        state: Literal["RUNNING", "PAUSED", "SUCCESS", "ERROR", "CANCELLED"],
        output: Json,
    ) -> ActionExecution:
        """Report a result (``output`` is the value itself), pause or resume; the execution afterwards."""

    async def delete(self, caller: Caller, action_execution_id: str) -> None:
        """Delete a completed execution that belongs to no task."""


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases that the API calls, and the two helpers that it shares with them."""

    checker: Checker
    registry: Registry
    workflows: Workflows
    workbooks: Workbooks
    actions: Actions
    environments: Environments
    members: Members
    code_sources: CodeSources
    dynamic_actions: DynamicActions
    cron_triggers: CronTriggers
    event_triggers: EventTriggers
    maintenance: Maintenance
    executions: Executions
    forks: Forks
    tasks: Tasks
    action_executions: ActionExecutions
    workers: WorkerUseCases
    limits: LimitUseCases
    brought: WorkerActions
