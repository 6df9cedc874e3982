"""The engine's question and answer: what ``decide`` is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tramontane.core.commands import AnyCommand
from tramontane.core.context import Context
from tramontane.core.state import ActionExecution, Execution, HistoryKey, Micros, PastRun, SubWorkflow, Task
from tramontane.lang.spec import WorkflowSpec
from tramontane.results import Result
from tramontane.values import FrozenDict

if TYPE_CHECKING:
    from tramontane.core.fork import ForkPlan


@dataclass(frozen=True, slots=True)
class ActionKey:
    """Look up an action: ``<workbook>.<name>``, then ``name``; in ``namespace``, then the empty one.

    Found: an ``AdhocActionSpec`` or an :class:`ActionInfo`; ``None``: there is none.
    """

    name: str
    namespace: str
    workbook: str | None


@dataclass(frozen=True, slots=True)
class WorkflowKey:
    """Look up a workflow by the same rules. Found: a :class:`FoundWorkflow`."""

    name: str
    namespace: str
    workbook: str | None


@dataclass(frozen=True, slots=True)
class EnvironmentKey:
    """A stored environment's variables, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class ExecutionsKey:
    """Records for ``executions(…)``: a list of maps (expression specification, section 6)."""

    id: str | None = None
    root_execution_id: str | None = None
    state: str | None = None
    from_time: str | None = None
    to_time: str | None = None


@dataclass(frozen=True, slots=True)
class TasksKey:
    """Records for ``tasks(…)`` that this execution can't answer from its own state: a list of task maps."""

    workflow_execution_id: str | None
    recursive: bool
    state: str | None
    flat: bool


Key = ActionKey | WorkflowKey | EnvironmentKey | ExecutionsKey | TasksKey


class ActionInfo(Protocol):
    """A real action, as the engine sees it (``actions.registry.Descriptor``)."""

    @property
    def name(self) -> str: ...
    @property
    def is_sync(self) -> bool: ...
    def check_input(self, given: Mapping[str, Any]) -> str | None: ...
    def settle(self, given: Mapping[str, Any], action_id: str) -> Result | None: ...


@dataclass(frozen=True, slots=True)
class FoundWorkflow:
    """A stored workflow, ready to be started."""

    id: str
    name: str
    namespace: str
    workbook_name: str | None
    spec_hash: str
    spec: WorkflowSpec


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Options that change what the engine decides (runtime specification, sections 3 and 11)."""

    field_size_limit_kb: int = 10240
    merge_strategy: str = "replace"
    context_versioning: bool = True


@dataclass(frozen=True, slots=True)
class Env:
    """Everything that isn't state: time, ids, what was looked up, limits.

    ``new_id`` gives ids that sort in order of creation, ``new_uuid`` random ones (the function
    ``uuid()``). ``known`` holds what earlier ``Needs`` asked for; ``soft_seconds`` bounds one
    evaluation before :class:`tramontane.expressions.api.TooSlow` asks to decide again elsewhere (None:
    only the hard limit); ``max_steps`` bounds one decision, the rest follows by a ``Continued`` event.
    """

    now: Micros
    new_id: Callable[[], str]
    new_uuid: Callable[[], str]
    known: Mapping[Key, Any] = field(default_factory=dict)
    settings: CoreSettings = CoreSettings()
    soft_seconds: float | None = None
    max_steps: int = 500


@dataclass(frozen=True, slots=True)
class Needs:
    """The decision lacks these; nothing was changed. Look them up and ask again."""

    keys: tuple[Key | HistoryKey, ...]


@dataclass(slots=True)
class Decision:
    """New versions of the records that changed, and what is to be done once they are durable."""

    execution: Execution
    tasks: dict[str, Task] = field(default_factory=dict)
    actions: dict[str, ActionExecution] = field(default_factory=dict)
    subworkflows: dict[str, SubWorkflow] = field(default_factory=dict)
    past_runs: list[PastRun] = field(default_factory=list)
    commands: list[AnyCommand] = field(default_factory=list)
    root_env: FrozenDict | None = None  # when the environment of the tree's root changed
    contexts: dict[tuple[str, int], Context] = field(default_factory=dict)  # memo, never stored
    items: dict[tuple[str, int], Any] = field(default_factory=dict)  # memo, never stored

    def records(self) -> Iterator[Task | ActionExecution | SubWorkflow]:
        """Tasks and children that changed."""
        yield from self.tasks.values()
        yield from self.actions.values()
        yield from self.subworkflows.values()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A start as the caller asked for it; ``params`` may hold ``env``, ``task_name``, ``evaluate_env`` …

    With ``fork`` it begins where the plan says (:mod:`tramontane.core.fork`).
    """

    execution_id: str
    project_id: str
    workflow: FoundWorkflow
    input: Any
    params: Any
    description: str | None = ""
    security: Any = None
    fork: ForkPlan | None = None
