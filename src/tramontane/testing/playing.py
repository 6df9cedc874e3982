"""Playing a case: the world goes on, steps are taken when their moment has come, all is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tramontane.actions.registry import Registry
from tramontane.core.decision import Decision
from tramontane.core.state import Micros, Task
from tramontane.errors import NotFoundError, TramontaneError
from tramontane.rehearsal import Run, World
from tramontane.rehearsal.world import SECOND, Before
from tramontane.results import Result
from tramontane.states import CANCELLED, IDLE, WAITING
from tramontane.testing.cases import Case, Step, TaskName
from tramontane.testing.definitions import Definitions
from tramontane.testing.durations import span_text
from tramontane.testing.stage import Call, CaseProblem, build_world

MAX_STEPS: Final = 20_000
"""So many things may happen in one case; more look like a loop without an end."""

_NOT_BEGUN: Final = frozenset({IDLE, WAITING})


@dataclass(frozen=True, slots=True)
class Change:
    """A task has entered a state."""

    at: Micros
    workflow: str
    task: str
    task_id: str
    state: str

    def is_of(self, name: TaskName) -> bool:
        return self.task == name[1] and name[0] in (None, self.workflow)


@dataclass(slots=True)
class Played:
    """What became of a case. ``refused``: why nothing was started; ``problem``: why it couldn't go on."""

    case: Case
    run: Run | None = None
    refused: str | None = None
    problem: str | None = None
    changes: list[Change] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    began: Micros = 0
    ended: Micros = 0

    @property
    def elapsed(self) -> float:
        """Simulated seconds until the end of the workflow, or until nothing happened any more."""
        finished = None if self.run is None else self.run.execution.finished_at
        return ((self.ended if finished is None else finished) - self.began) / SECOND

    def tasks(self) -> list[tuple[str, Task]]:
        """All tasks with their workflows' names, those of the workflow under test first."""
        if self.run is None:
            return []
        mocked = self.case.mocks.workflows
        runs = [(run.execution.workflow_name, run) for run in self.run.world.runs()]  # its own is the oldest
        return [(name, task) for name, run in runs if name not in mocked for task in run.all_tasks()]

    def tasks_of(self, name: TaskName) -> list[Task]:
        return [
            task for workflow, task in self.tasks() if task.name == name[1] and name[0] in (None, workflow)
        ]

    def began_tasks(self) -> list[TaskName]:
        """Names of the tasks that ran, in the order in which they first began."""
        found = [(each.workflow, each.task) for each in self.changes if each.state not in _NOT_BEGUN]
        return list(dict.fromkeys(found))


def play(case: Case, definitions: Definitions, registry: Registry) -> Played:
    """Run a case to its end."""
    return _Player(case, definitions, registry).play()


class _Player:
    def __init__(self, case: Case, definitions: Definitions, registry: Registry) -> None:
        self._case = case
        self._world, script = build_world(registry, definitions, case.mocks, case.environments)
        self._world.observers.append(self._note)
        self._played = Played(case, calls=script.calls, began=self._world.now)
        self._steps_left = MAX_STEPS
        self._seen: Counter[tuple[TaskName, str]] = Counter()  # changes that steps have used up

    def play(self) -> Played:
        played, world = self._played, self._world
        try:
            self._start()
            if played.run is not None:
                for number, step in enumerate(self._case.steps, 1):
                    self._take_step(number, step)
                self._go_on(self._limit())
        except CaseProblem as problem:
            played.problem = problem.message
        played.ended = world.now
        return played

    def _start(self) -> None:
        case = self._case
        params = {name: value for name, value in case.params.items() if name != "env"}
        env = case.env if case.env is not None else case.params.get("env")
        try:
            self._played.run = self._world.start(case.workflow, case.input, env=env, **params)
        except TramontaneError as error:
            self._played.refused = error.message

    def _limit(self) -> Micros | None:
        seconds = self._case.run_for
        return None if seconds is None else self._played.began + round(seconds * SECOND)

    def _note(self, world: World, before: Before, decision: Decision) -> None:
        workflow = decision.execution.workflow_name
        if workflow in self._case.mocks.workflows:
            return
        for task in decision.tasks.values():
            old = before.tasks.get(task.id)
            if old is None or old.state != task.state or old.run != task.run:
                self._played.changes.append(Change(world.now, workflow, task.name, task.id, task.state))

    # -- time -----------------------------------------------------------------------------

    def _go_on(self, until: Micros | None, holds: Callable[[], bool] | None = None) -> bool:
        """Let things happen until ``holds``, or until nothing more happens; tell whether it holds."""
        while holds is None or not holds():
            if not self._world.step(until):
                return holds is not None and holds()
            self._steps_left -= 1
            if self._steps_left < 0:
                raise CaseProblem(
                    f"the workflow is still busy after {MAX_STEPS} steps and {span_text(self._now())} of "
                    "simulated time; watch it for a while only with 'run-for', or look for an endless loop"
                )
        return True

    def _now(self) -> float:
        return (self._world.now - self._played.began) / SECOND

    # -- steps ----------------------------------------------------------------------------

    def _take_step(self, number: int, step: Step) -> None:
        self._wait_for(number, step)
        try:
            self._operate(step)
        except TramontaneError as error:
            raise CaseProblem(f"step {number} ({step.operation}) was refused: {error.message}") from None

    def _wait_for(self, number: int, step: Step) -> None:
        if step.at is not None:
            moment = self._played.began + round(step.at * SECOND)
            if moment < self._world.now:
                raise CaseProblem(
                    f"step {number} ({step.operation}) comes too late: it is {span_text(self._now())} after "
                    f"the start already, not {span_text(step.at)}"
                )
            self._go_on(moment)
            self._world.now = max(self._world.now, moment)
        elif step.state is None:
            self._go_on(self._limit())
        elif not self._go_on(self._limit(), lambda: self._has_reached(step)):
            what = "the workflow" if step.task is None else f"the task '{step.task[1]}'"
            raise CaseProblem(
                f"step {number} ({step.operation}) waits until {what} is {step.state}, "
                "but that doesn't happen"
            )

    def _has_reached(self, step: Step) -> bool:
        """Every entry into a state makes one step at most go on."""
        run, state = self._played.run, step.state
        assert run is not None and state is not None
        if step.task is None:
            return run.state == state
        seen, changes = self._seen[step.task, state], self._played.changes
        for place in range(seen, len(changes)):
            if changes[place].state == state and changes[place].is_of(step.task):
                self._seen[step.task, state] = place + 1
                return True
        return False

    def _operate(self, step: Step) -> None:
        run = self._played.run
        assert run is not None
        match step.operation:
            case "pause":
                run.pause()
            case "resume":
                run.resume(step.env)
            case "cancel":
                run.stop(CANCELLED, step.message)
            case "stop":
                run.stop(step.target_state, step.message)
            case "rerun":
                where, task = self._find(step)
                where.rerun(task, reset=step.reset, env=step.env)
            case "skip":
                where, task = self._find(step)
                where.skip(task, env=step.env)
            case "report":
                where, task = self._find(step)
                assert step.outcome is not None
                result = step.outcome.result or Result()
                self._check_reported(where, task, step.item)
                where.report(task, result.data, error=result.error, cancel=result.cancel, index=step.item)

    def _find(self, step: Step) -> tuple[Run, Task]:
        """The newest execution of the step's task, in the workflow under test before its sub-workflows."""
        assert step.subject is not None and self._played.run is not None
        workflow, name = step.subject
        for run in self._world.runs():
            if workflow in (None, run.execution.workflow_name) and run.tasks(name):
                return run, run.task(name)
        raise NotFoundError(f"the task '{name}' was not started")

    def _check_reported(self, run: Run, task: Task, index: int) -> None:
        if not any(action.index == index for action in run.actions(task)):
            raise NotFoundError(f"the task '{task.name}' has no action that a result could be reported of")
