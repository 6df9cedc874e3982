"""What a test file says: cases with mocks, steps and expectations. Plain data, read by
:mod:`tramontane.testing.reading`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tramontane.rehearsal import Outcome
from tramontane.values import EMPTY, FrozenDict

TaskName = tuple[str | None, str]
"""A workflow's full name (None: whichever) and a task of it."""


@dataclass(frozen=True, slots=True)
class InTurn:
    """One outcome per run; the last one stands for all further runs."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class ByItem:
    """One mock per item of a ``with-items`` task; the last one stands for all further items."""

    mocks: tuple[Mock, ...]


@dataclass(frozen=True, slots=True)
class ByInput:
    """The first mock whose input fits what the action is called with."""

    choices: tuple[tuple[FrozenDict, Mock], ...]


Mock = InTurn | ByItem | ByInput


@dataclass(frozen=True, slots=True)
class Mocks:
    """Stand-ins, the most specific first: of tasks, of actions, of whole sub-workflows.

    ``asynchronous`` names the mocked actions whose result somebody reports later.
    """

    tasks: Mapping[TaskName, Mock] = field(default_factory=dict)
    actions: Mapping[str, Mock] = field(default_factory=dict)
    workflows: Mapping[str, Mock] = field(default_factory=dict)
    asynchronous: frozenset[str] = frozenset()

    def over(self, others: Mocks) -> Mocks:
        """These mocks, and of ``others`` those that aren't given here."""
        return Mocks(
            {**others.tasks, **self.tasks},
            {**others.actions, **self.actions},
            {**others.workflows, **self.workflows},
            self.asynchronous | (others.asynchronous - self.actions.keys()),
        )

    def without(self, workflow: str) -> Mocks:
        """These mocks for a test of ``workflow`` itself."""
        others = {name: mock for name, mock in self.workflows.items() if name != workflow}
        return Mocks(self.tasks, self.actions, others, self.asynchronous)


Operation = Literal["pause", "resume", "cancel", "stop", "rerun", "skip", "report"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that an operator does.

    ``at``: seconds after the start. ``task`` and ``state``: as soon as this task (None: the workflow)
    has reached the state. Without either: when nothing happens by itself any more.
    """

    operation: Operation
    at: float | None = None
    task: TaskName | None = None
    state: str | None = None
    subject: TaskName | None = None  # the task of a re-run, skip or report
    item: int = 0
    message: str | None = None
    target_state: str = "ERROR"  # of a stop
    reset: bool = True
    env: FrozenDict | None = None
    outcome: Outcome | None = None  # of a report


@dataclass(frozen=True, slots=True)
class TaskExpectation:
    """Which tasks ran. Names without a workflow are those of the workflow under test."""

    exactly: tuple[TaskName, ...] | None = None
    include: tuple[TaskName, ...] = ()
    exclude: tuple[TaskName, ...] = ()
    order: tuple[TaskName, ...] = ()
    states: Mapping[TaskName, str] = field(default_factory=dict)
    runs: Mapping[TaskName, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Simulated seconds from the start to the end."""

    at_least: float = 0
    at_most: float = float("inf")


UNASKED = object()
"""Stands for a value about which nothing is expected."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a case must end. ``refused``: the start itself must fail with this text."""

    state: str = "SUCCESS"
    refused: str | None = None
    state_info: tuple[str, ...] = ()
    output: Any = UNASKED
    output_contains: FrozenDict = EMPTY
    published: Mapping[TaskName, FrozenDict] = field(default_factory=dict)
    tasks: TaskExpectation = TaskExpectation()
    calls: Mapping[str, int | tuple[Any, ...]] = field(default_factory=dict)
    elapsed: Elapsed | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test. ``line`` is where it stands in its file, ``run_for`` how long it is watched at most."""

    name: str
    line: int
    workflow: str
    input: FrozenDict = EMPTY
    params: FrozenDict = EMPTY
    env: Any = None
    environments: FrozenDict = EMPTY
    mocks: Mocks = Mocks()
    steps: tuple[Step, ...] = ()
    run_for: float | None = None
    expect: Expectation = Expectation()
