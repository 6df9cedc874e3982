"""The world of a test: definitions with mocks in it, in which nothing has effects outside.

Each action's result comes from a mock, or from the action itself where it is pure (its result
follows from its input). Anything else ends the case with a :class:`CaseProblem` that says what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from tramontane.actions.registry import Descriptor, InstantiationError, Registry
from tramontane.core.adhoc import real_name
from tramontane.core.decision import ActionInfo, ActionKey, FoundWorkflow, Key, WorkflowKey
from tramontane.core.state import ActionExecution, Execution
from tramontane.core.texts import invalid_input
from tramontane.lang import load_workflow
from tramontane.lang.spec import AdhocActionSpec, WorkflowSpec
from tramontane.rehearsal import FakeAction, Job, Outcome, World, gives, waits
from tramontane.rehearsal.library import Library
from tramontane.rehearsal.script import Script
from tramontane.results import Result
from tramontane.testing.cases import ByInput, ByItem, InTurn, Mock, Mocks
from tramontane.testing.definitions import Definitions
from tramontane.testing.matching import contains
from tramontane.values import FrozenDict, encode, freeze

MOCKED: Final = "mocked-workflow"
"""The action that a mocked workflow consists of."""

_MARK: Final = "mock-"  # begins the hash of mocked workflows
_MESSAGE: Final = "<% isDict(task().result) and task().result.get(result) or task().result %>"

_SHOWN_INPUT: Final = 300


class CaseProblem(Exception):
    """The case can't go on; the text says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class MockedAction:
    """An ad-hoc action that a mock stands in for: its input is still checked."""

    spec: AdhocActionSpec
    is_sync: bool

    @property
    def name(self) -> str:
        return self.spec.name

    def check_input(self, given: Mapping[str, Any]) -> str | None:
        declared = {each.name: each for each in self.spec.input}
        missing = [name for name, each in declared.items() if each.is_required and name not in given]
        unexpected = [name for name in given if name not in declared]
        if missing or unexpected:
            return invalid_input(self.spec.name, "AdhocActionDescriptor", missing, unexpected)
        return None

    def settle(self, given: Mapping[str, Any], action_id: str) -> Result | None:
        return None


class StageLibrary(Library):
    """Definitions as uploaded, with mocked workflows and actions in their places."""

    def __init__(self, registry: Registry, definitions: Definitions, mocks: Mocks) -> None:
        super().__init__(registry, (), settles=False)
        definitions.fill(self)
        self._mocks = mocks
        self.full_names: dict[str, str] = {}  # of a workbook's actions that are called by their short names
        self._mocked = {
            name: mocked_workflow(name, definitions.workflows.get(name)) for name in mocks.workflows
        }

    def workflow(self, name: str, namespace: str = "") -> FoundWorkflow | None:
        return self._mocked.get(name) or super().workflow(name, namespace)

    def answer(self, key: Key) -> Any:
        found = super().answer(key)
        match key:
            case WorkflowKey(name, _, workbook):
                names = [name] if workbook is None else [f"{workbook}.{name}", name]
                return next((self._mocked[each] for each in names if each in self._mocked), found)
            case ActionKey(name, _, workbook):
                return self._action_info(name, workbook, found)
        return found

    def _action_info(
        self, name: str, workbook: str | None, found: AdhocActionSpec | ActionInfo | None
    ) -> Any:
        """An action that isn't here may be mocked by its task: the job will tell."""
        is_sync = name not in self._mocks.asynchronous
        if found is None:
            return FakeAction(name, is_sync)
        if isinstance(found, AdhocActionSpec):
            full = name if workbook is None else f"{workbook}.{name}"
            self.full_names[name] = full
            if name in self._mocks.actions or full in self._mocks.actions:
                return MockedAction(found, is_sync and full not in self._mocks.asynchronous)
        return found


def mocked_workflow(name: str, spec: WorkflowSpec | None = None) -> FoundWorkflow:
    """A workflow of one task that ends as a script says; it takes the same input as the real one.

    An error that is a map with ``result`` becomes its whole output, as those of real workflows are.
    """
    data: FrozenDict = freeze(
        {
            "version": "2.0",
            "name": name,
            "input": None if spec is None else spec.data.get("input"),
            "output": "<% task(mock).result %>",
            "output-on-error": "<% isDict(task(mock).result) and task(mock).result or {} %>",
            "tasks": {
                "mock": {
                    "version": "2.0",
                    "name": "mock",
                    "type": "direct",
                    "action": MOCKED,
                    "on-error": [{"fail": {"msg": _MESSAGE}}],
                }
            },
        }
    )
    mark = f"{_MARK}{name}"
    return FoundWorkflow(mark, name, "", None, mark, load_workflow(data))


def is_mocked(execution: Execution) -> bool:
    """Tell whether an execution runs a mocked workflow."""
    return execution.spec_hash.startswith(_MARK)


@dataclass(frozen=True, slots=True)
class Call:
    """An action that was called."""

    name: str
    workflow: str
    task: str
    input: FrozenDict


@dataclass(slots=True)
class StageScript(Script):
    """Says how each job ends; remembers all calls."""

    mocks: Mocks = field(default_factory=Mocks)
    registry: Registry = field(default_factory=Registry)
    full_names: Mapping[str, str] = field(default_factory=dict)
    world: World | None = None
    calls: list[Call] = field(default_factory=list)
    _turns: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def outcome(self, job: Job) -> Outcome:
        action = job.action
        if action.name == MOCKED:
            mock = self.mocks.workflows[job.workflow_name]
            return self._take(mock, self._input_of(action), 0, (id(mock),))
        real = real_name(action.name, action.adhoc)
        self.calls.append(Call(action.name, job.workflow_name, str(action.task_name), action.input))
        task = action.task_name or ""
        for key in ((job.workflow_name, task), (None, task)):
            if (found := self.mocks.tasks.get(key)) is not None:
                place = (id(found), action.execution_id, action.index)
                return self._take(found, action.input, action.index, place)
        for name in (action.name, self.full_names.get(action.name, ""), real):
            if (found := self.mocks.actions.get(name)) is not None:
                return self._take(found, action.input, action.index, (id(found),))
        return self._computed(job, real)

    def _input_of(self, action: ActionExecution) -> FrozenDict:
        """The input of the workflow that an action belongs to."""
        assert self.world is not None and action.execution_id is not None
        given: FrozenDict = self.world.states[action.execution_id].execution.input
        return given

    def _take(self, mock: Mock, given: FrozenDict, index: int, counted: tuple[Any, ...]) -> Outcome:
        match mock:
            case InTurn(outcomes):
                number = self._turns[counted]
                self._turns[counted] += 1
                return outcomes[min(number, len(outcomes) - 1)]
            case ByItem(mocks):
                return self._take(mocks[min(index, len(mocks) - 1)], given, index, (*counted, index))
            case ByInput(choices):
                for number, (wanted, inner) in enumerate(choices):
                    if contains(wanted, given):
                        return self._take(inner, given, index, (*counted, number))
        raise CaseProblem(
            f"no mock 'by-input' fits an action that is called with {_shown(given)}\n"
            "Add a choice for it, or one without 'input' for all others."
        )

    def _computed(self, job: Job, name: str) -> Outcome:
        descriptor = self.registry.find(name)
        if descriptor is None:
            raise CaseProblem(self._unknown(job, name))
        if job.dry_run and not descriptor.is_pure:
            return gives(None)
        computed = compute(descriptor, job.action, job.dry_run)
        if computed is None:
            raise CaseProblem(_unmocked(job, name))
        return computed

    def _unknown(self, job: Job, name: str) -> str:
        close = get_close_matches(name, [each.name for each in self.registry.all()], 1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        return (
            f"the task '{job.action.task_name}' calls the action '{name}'{hint}, which isn't installed here "
            f"and has no mock\n{_advice(job, name)}"
        )


def compute(descriptor: Descriptor, action: ActionExecution, dry_run: bool = False) -> Outcome | None:
    """Run a pure action, with its delay in simulated time; None: the action isn't pure."""
    if not descriptor.is_pure:
        return None
    if not action.is_sync:
        return waits()
    settled = descriptor.settle(action.input, action.id, dry_run)
    if settled is not None:
        return Outcome(settled)
    try:
        made = descriptor.instantiate(action.input)
    except InstantiationError as error:
        return Outcome(Result(error=str(error)))
    computed = made.compute()
    result = computed if isinstance(computed, Result) else Result(freeze(computed))
    return Outcome(result, float(getattr(made, "delay", getattr(made, "seconds", 0))))


def _unmocked(job: Job, name: str) -> str:
    return (
        f"the task '{job.action.task_name}' calls the action '{name}', which has effects outside and no "
        f"mock; it would get {_shown(job.action.input)}\n{_advice(job, name)}"
    )


def _advice(job: Job, name: str) -> str:
    return (
        "Say what it gives, for this task or for all calls of the action:\n"
        f"  mock: {{tasks: {{{job.action.task_name}: {{result: …}}}}}}\n"
        f"  mock: {{actions: {{{name}: {{result: …}}}}}}"
    )


def _shown(value: Any) -> str:
    text = encode(value)
    return text if len(text) <= _SHOWN_INPUT else text[:_SHOWN_INPUT] + "…"


def build_world(
    registry: Registry,
    definitions: Definitions,
    mocks: Mocks,
    environments: Mapping[str, Any],
) -> tuple[World, StageScript]:
    """Make a world whose library and script are a test's."""
    world = World(registry=registry, settles=False)
    library = StageLibrary(registry, definitions, mocks)
    script = StageScript({}, mocks=mocks, registry=registry, full_names=library.full_names, world=world)
    world.library = library
    world.script = script
    for name, variables in environments.items():
        world.library.add_environment(name, variables)
    return world, script
