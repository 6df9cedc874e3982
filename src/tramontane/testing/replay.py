"""Replaying a past execution: today's definitions over the results that its actions gave then.

Results are matched by task, item and run: the third run of a task's action for its item 2 gets what the
third run of that item gave. Pure actions are computed anew; what has no recorded result never ends.
What operators did (pausing, running again, skipping) isn't done again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tramontane.actions.registry import Registry
from tramontane.core.adhoc import real_name
from tramontane.core.decision import ActionKey, FoundWorkflow, Key, WorkflowKey
from tramontane.core.state import ActionExecution, Task
from tramontane.errors import NotFoundError, TramontaneError
from tramontane.lang.spec import AdhocActionSpec
from tramontane.rehearsal import FakeAction, Job, Outcome, Run, World, waits
from tramontane.rehearsal.library import Library
from tramontane.rehearsal.script import Script
from tramontane.states import IDLE, WAITING, is_completed
from tramontane.testing.definitions import Definitions, names_text
from tramontane.testing.matching import differences, same
from tramontane.testing.playing import MAX_STEPS
from tramontane.testing.recording import RecordedExecution, RecordedRun, RecordedTask, result_of
from tramontane.testing.stage import MOCKED, MockedAction, compute, is_mocked, mocked_workflow
from tramontane.values import EMPTY, FrozenDict, encode

_NOT_BEGUN: Final = frozenset({IDLE, WAITING})
_LEFT_OUT: Final = frozenset(
    {"env", "namespace", "notify", "root_execution_id", "task_execution_id", "index", "source_execution_id"}
)
"""Parameters that don't matter in a world of its own, or are given otherwise."""

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that goes differently today. ``lines`` show then (``-``) and now (``+``)."""

    title: str
    lines: tuple[str, ...] = ()


@dataclass(slots=True)
class Replayed:
    """What became of a replay; ``run`` None: the start was refused."""

    recording: RecordedExecution
    run: Run | None = None
    same_tasks: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


class ReplayLibrary(Library):
    """Definitions of today; what they lack is filled in by what was recorded."""

    def __init__(self, registry: Registry, definitions: Definitions) -> None:
        super().__init__(registry, (), settles=False)
        definitions.fill(self)
        self._recorded: dict[str, FoundWorkflow] = {}

    def workflow(self, name: str, namespace: str = "") -> FoundWorkflow | None:
        return super().workflow(name, namespace) or self._recorded.get(name)

    def answer(self, key: Key) -> Any:
        found = super().answer(key)
        match key:
            case WorkflowKey(name) if found is None:
                return self._recorded.setdefault(name, mocked_workflow(name))
            case ActionKey(name) if found is None:
                return FakeAction(name)
            case ActionKey() if isinstance(found, AdhocActionSpec) and not self._is_pure(key):
                # What was recorded has gone through the outputs of ad-hoc actions already.
                return MockedAction(found, True)
        return found

    def _is_pure(self, key: ActionKey) -> bool:
        seen: set[str] = set()
        while isinstance(found := super().answer(key), AdhocActionSpec) and key.name not in seen:
            seen.add(key.name)
            key = ActionKey(found.base, key.namespace, None)
        descriptor = self.descriptor(key.name)
        return descriptor is not None and descriptor.is_pure


Place = tuple[str, int]
"""A task's name and an item's index."""


@dataclass(slots=True)
class ReplayScript(Script):
    """Gives each run what its counterpart gave; notes what has none, or was called otherwise."""

    recording: RecordedExecution | None = None
    registry: Registry = field(default_factory=Registry)
    world: World | None = None
    lacking: list[Difference] = field(default_factory=list)
    called_otherwise: list[Difference] = field(default_factory=list)
    _known: dict[str, RecordedExecution | None] = field(default_factory=dict)
    _recorded: dict[str, Mapping[Place, list[RecordedRun]]] = field(default_factory=dict)
    _numbers: Counter[tuple[str, Place]] = field(default_factory=Counter)

    def outcome(self, job: Job) -> Outcome:
        action = job.action
        execution_id = action.execution_id or ""
        recorded = self.recorded_of(execution_id)
        if action.name == MOCKED:
            return self._whole(recorded, job)
        descriptor = self.registry.find(real_name(action.name, action.adhoc))
        computed = None if descriptor is None else compute(descriptor, action, job.dry_run)
        if computed is not None and computed.result is not None:
            return computed
        place = (str(action.task_name), action.index)
        number = self._numbers[execution_id, place]
        self._numbers[execution_id, place] += 1
        if recorded is None or number >= len(runs := self._runs_in(recorded, execution_id)[place]):
            self._note_lacking(job, number)
            return waits()
        run = runs[number]
        if run.action != action.name:
            self._note_lacking(job, number, f"  then it called {run.action}")
            return waits()
        if not same(run.input, action.input):
            title = f"{self._name(job, number)} gets another input (its recorded result is used all the same)"
            self.called_otherwise.append(Difference(title, tuple(differences(run.input, action.input))))
        return waits() if run.outcome is None else Outcome(run.outcome, run.seconds)

    def recorded_of(self, execution_id: str) -> RecordedExecution | None:
        """The counterpart of an execution of this world."""
        if execution_id not in self._known:
            self._known[execution_id] = self._find_counterpart(execution_id)
        return self._known[execution_id]

    def _find_counterpart(self, execution_id: str) -> RecordedExecution | None:
        assert self.world is not None
        execution = self.world.states[execution_id].execution
        if execution.parent_id is None:
            return self.recording
        parent = self.recorded_of(execution.parent_id)
        if parent is None:
            return None
        state = self.world.states[execution.parent_id]
        name = state.tasks[execution.parent_task_id or ""].name
        own = [
            call.id
            for call in state.subworkflows.values()
            if call.index == execution.index and state.tasks[call.task_id or ""].name == name
        ]
        calls = [
            call.execution
            for task in parent.tasks
            if task.name == name
            for call in task.calls
            if call.index == execution.index
        ]
        number = own.index(execution_id)
        return calls[number] if number < len(calls) else None

    def _runs_in(self, recorded: RecordedExecution, execution_id: str) -> Mapping[Place, list[RecordedRun]]:
        if execution_id not in self._recorded:
            found: dict[Place, list[RecordedRun]] = defaultdict(list)
            for task in recorded.tasks:
                for run in task.runs:
                    found[task.name, run.index].append(run)
            self._recorded[execution_id] = found
        return self._recorded[execution_id]

    def _whole(self, recorded: RecordedExecution | None, job: Job) -> Outcome:
        """The outcome of a sub-workflow that today's definitions don't hold."""
        if recorded is None:
            title = (
                f"the sub-workflow '{job.workflow_name}' has no recorded result, and no definition is given"
            )
            self.lacking.append(Difference(title))
            return waits()
        result = result_of(recorded.state, recorded.output)
        return waits() if result is None else Outcome(result)

    def _note_lacking(self, job: Job, number: int, *more: str) -> None:
        text = encode(job.action.input)
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        self.lacking.append(
            Difference(f"{self._name(job, number)} has no recorded result", (f"  called with {shown}", *more))
        )

    def _name(self, job: Job, number: int) -> str:
        action: ActionExecution = job.action
        own = self.recording is not None and job.workflow_name == self.recording.workflow_name
        name = str(action.task_name) if own else f"{job.workflow_name}/{action.task_name}"
        item = f"[{action.index}]" if action.index else ""
        again = f", run {number + 1}," if number else ""
        return f"{name}{item} ({action.name}){again}"


def replay(
    recording: RecordedExecution, definitions: Definitions, registry: Registry, workflow: str | None = None
) -> Replayed:
    """Run today's definitions over a recording and compare.

    Raises:
        NotFoundError: the definitions don't hold the workflow.
    """
    name = definitions.workflow(workflow or recording.workflow_name)
    if name is None:
        raise NotFoundError(
            f"The definitions hold no workflow '{workflow or recording.workflow_name}'; they hold "
            f"{names_text(definitions.workflows)}"
        )
    world = World(registry=registry, settles=False)
    world.library = ReplayLibrary(registry, definitions)
    script = ReplayScript({}, recording=recording, registry=registry, world=world)
    world.script = script
    world.now = recording.created_at or world.now
    replayed = Replayed(recording)
    params = {key: value for key, value in recording.params.items() if key not in _LEFT_OUT}
    env = recording.params.get("env") or EMPTY
    try:
        replayed.run = world.start(name, recording.input, env=env, **params)
    except TramontaneError as error:
        replayed.differences.append(Difference("the start is refused", (f"+ {error.message}",)))
        return replayed
    for _ in range(MAX_STEPS):
        if not world.step():
            break
    else:
        replayed.differences.append(Difference(f"the workflow is still busy after {MAX_STEPS} steps"))
    replayed.differences += script.lacking
    replayed.differences += script.called_otherwise
    _compare(replayed, script, replayed.run, recording, "")
    return replayed


def _compare(
    replayed: Replayed, script: ReplayScript, run: Run, recorded: RecordedExecution, path: str
) -> None:
    """Compare one execution with its counterpart, then those below it."""
    found = replayed.differences
    then, now = _by_name(recorded.tasks), _by_name(run.all_tasks())
    for name in dict.fromkeys([*then, *now]):
        shown = f"{path}{name}"
        mismatches = list(_compare_tasks(shown, then.get(name, []), now.get(name, []), run.state))
        found.extend(mismatches)
        if not mismatches:
            replayed.same_tasks.append(shown)
    for call in run.world.runs():
        execution = call.execution
        if execution.parent_id != run.id or (counterpart := script.recorded_of(call.id)) is None:
            continue
        if not is_mocked(execution):
            task = run.world.states[run.id].tasks[execution.parent_task_id or ""].name
            _compare(replayed, script, call, counterpart, f"{path}{task}/")
    if not path:
        found.extend(_compare_ends(run, recorded))


def _by_name(tasks: Any) -> dict[str, list[Any]]:
    """Tasks that have begun, by name."""
    found: dict[str, list[Any]] = {}
    for task in tasks:
        if task.state not in _NOT_BEGUN:
            found.setdefault(task.name, []).append(task)
    return found


def _compare_tasks(name: str, then: list[RecordedTask], now: list[Task], state: str) -> Iterator[Difference]:
    if not now:
        what = "doesn't run any more" if is_completed(state) else "isn't reached"
        yield Difference(f"{name} {what}", (f"- {then[-1].state}",))
        return
    if not then:
        yield Difference(f"{name} runs, which it didn't", (f"+ {now[-1].state}",))
        return
    if len(then) != len(now):
        yield Difference(f"how often {name} is executed", (f"- {len(then)}", f"+ {len(now)}"))
    before, after = then[-1], now[-1]
    if before.state != after.state:
        info = [f"  {line}" for line in (after.state_info or "").splitlines()[:4]]
        yield Difference(f"the state of {name}", (f"- {before.state}", f"+ {after.state}", *info))
    if not same(before.published, after.published):
        yield Difference(f"what {name} publishes", tuple(differences(before.published, after.published)))


def _compare_ends(run: Run, recorded: RecordedExecution) -> Iterator[Difference]:
    if run.state != recorded.state:
        info = [f"  {line}" for line in (run.info or "").splitlines()[:8]]
        yield Difference("the state at the end", (f"- {recorded.state}", f"+ {run.state}", *info))
    output = _without_ids(run.output)
    if is_completed(run.state) and not same(_without_ids(recorded.output), output):
        yield Difference("the output", tuple(differences(_without_ids(recorded.output), output)))


def _without_ids(output: FrozenDict) -> Any:
    """An output without the text of a failure, which holds ids and is shown with the state."""
    text = output.get("result") if output else None
    if isinstance(text, str) and text.startswith("Failure caused by error in tasks"):
        return {**output, "result": text.splitlines()[0]}
    return output
