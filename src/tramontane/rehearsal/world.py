"""An in-memory world that runs trees of executions with the engine's decisions.

It does what service, store, executors and timers do, with virtual time and without any I/O: an
event becomes a decision, the decision's records replace the old ones, its commands become inbox
events, jobs and timers. What may happen next is chosen by ``choose``; nothing here is random by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from tramontane.actions.registry import Registry
from tramontane.core.checkpoint import take_checkpoint, to_data
from tramontane.core.commands import (
    AnyCommand,
    Continue,
    DropJob,
    DropTimer,
    RunAction,
    Send,
    SetTimer,
    StartSubWorkflow,
)
from tramontane.core.decide import create, decide
from tramontane.core.decision import CoreSettings, Decision, Env, Key, Needs, StartRequest
from tramontane.core.draft import Draft, NeedsData
from tramontane.core.events import (
    ActionCompleted,
    ActionLost,
    AnyEvent,
    ChildDeleted,
    ChildRevived,
    Continued,
    RerunAsked,
    SkipAsked,
    Started,
    TimerFired,
)
from tramontane.core.memory import ExecutionState
from tramontane.core.state import Execution, HistoryKey, Micros, Task
from tramontane.errors import NotAllowedError, NotFoundError
from tramontane.lang.spec import WorkflowSpec
from tramontane.rehearsal.library import Library
from tramontane.rehearsal.queues import Choice, Delivery, Move, Queues
from tramontane.rehearsal.records import rebuilt, recalled, stored, stored_event
from tramontane.rehearsal.run import Run
from tramontane.rehearsal.script import FakeAction, Job, Outcome, Script, Scripted, gives, waits
from tramontane.results import Result
from tramontane.states import PAUSED
from tramontane.values import EMPTY, FrozenDict, freeze

SECOND = 1_000_000
START: Micros = 1_767_225_600 * SECOND  # 2026-01-01 00:00:00 UTC

Question = Callable[[Env], Decision | Needs]


@dataclass(frozen=True, slots=True)
class Before:
    """What a decision replaced: the execution, and the tasks that it changed (None: created by it)."""

    execution: Execution
    tasks: Mapping[str, Task | None]


def _refuse_recall(key: HistoryKey) -> None:
    raise AssertionError(f"nothing was left out of memory, and yet it is asked for: {key}")


Observer = Callable[["World", Before, Decision], None]
"""Called after each turn."""


class World:
    """Definitions and the executions that run them.

    Args:
        text: a document of workflows (more can be added to ``library``).
        script: what actions give (:class:`tramontane.rehearsal.script.Script`).
        registry: the real actions; pure ones are computed, others succeed with null when the script
            is silent about them.
        fakes: actions that exist only here.
        settings: options of the engine.
        max_steps: budget of one decision.
        settles: let the engine settle pure actions itself; otherwise each goes through a job.
            None: it does, unless the script names tasks.
        choose: picks what happens next; None: what became possible first.
        finishes: what a client's call begins is carried through, however small the budget, before
            the call returns; otherwise the rest waits among all that may happen.
        forgets: load each execution from its rows before each turn, without what its last checkpoint
            has left out.
    """

    def __init__(
        self,
        text: str | None = None,
        *,
        script: Mapping[str, Scripted] | None = None,
        registry: Registry | None = None,
        fakes: Iterable[FakeAction] = (),
        environments: Mapping[str, Mapping[str, Any]] | None = None,
        settings: CoreSettings | None = None,
        max_steps: int = 500,
        settles: bool | None = None,
        choose: Choice | None = None,
        finishes: bool = True,
        forgets: bool = False,
    ) -> None:
        self.script = Script(script or {})
        settles = not self.script.names_tasks if settles is None else settles
        self.library = Library(registry or Registry(), fakes, settles=settles)
        if text is not None:
            self.library.add_workflows(text)
        for name, variables in (environments or {}).items():
            self.library.add_environment(name, variables)
        self.settings = settings or CoreSettings()
        self.max_steps = max_steps
        self.choose = choose
        self.finishes = finishes
        self.forgets = forgets
        self.now: Micros = START
        self.queues = Queues()
        self.states: dict[str, ExecutionState] = {}
        self.specs: dict[str, WorkflowSpec] = {}
        self.observers: list[Observer] = []
        self.turns = 0
        self._ids = 0
        self._memories: dict[str, ExecutionState] = {}
        self._checkpoints: dict[str, FrozenDict] = {}
        self._voided: set[str] = set()

    # -- what clients do ------------------------------------------------------------------

    def start(
        self,
        name: str,
        input: Mapping[str, Any] | None = None,
        *,
        env: Any = None,
        namespace: str = "",
        description: str | None = "",
        **params: Any,
    ) -> Run:
        """Start a workflow.

        Raises:
            TramontaneError: the start is refused; no execution exists then.
        """
        found = self.library.workflow(name, namespace)
        if found is None:
            raise NotFoundError(f"Workflow not found [workflow_identifier={name}, namespace={namespace}]")
        if env is not None:
            params["env"] = env
        request = StartRequest(
            execution_id=self._new_id(),
            project_id="project",
            workflow=found,
            input=freeze(input or {}),
            params=freeze(params),
            description=description,
        )
        decision = self._ask(lambda given: create(request, given))
        execution = decision.execution
        self.specs[execution.id] = found.spec
        self.states[execution.id] = ExecutionState(execution, execution.params.get("env", EMPTY))
        self._take(execution.id, decision)
        self._finish_turns(execution.id)
        return Run(self, execution.id)

    def ask(self, execution_id: str, event: AnyEvent) -> Decision:
        """Hand an execution a client's event, as an API call does.

        Raises:
            TramontaneError: the request is refused; nothing has changed.
        """
        if execution_id not in self.states:
            raise NotFoundError(f"Workflow execution not found [id={execution_id}]")
        if isinstance(event, (RerunAsked, SkipAsked)):
            decision = self._ask_with_ancestors(execution_id, event)
        else:
            decision = self._turn(execution_id, event)
        self._finish_turns(execution_id)
        return decision

    def _finish_turns(self, execution_id: str) -> None:
        """Go on at once with what the budget of a client's call left over."""
        while self.finishes and (delivery := self.queues.own_delivery(execution_id)) is not None:
            self._receive(delivery)

    def report_action(self, action_id: str, data: Any = None) -> Decision:
        """Report a result by the action's id alone, as a client does.

        Raises:
            NotFoundError: there is no such action.
        """
        for execution_id, state in self.states.items():
            if action_id in state.actions:
                return self.ask(execution_id, ActionCompleted(action_id, freeze(data)))
        raise NotFoundError(f"Action execution not found [id={action_id}]")

    def _ask_with_ancestors(self, execution_id: str, event: RerunAsked | SkipAsked) -> Decision:
        """Re-run or skip: every execution up to the root agrees, or nothing changes."""
        decisions = [(execution_id, self._decided(execution_id, event))]
        was_paused = self.states[execution_id].execution.state == PAUSED
        child = decisions[0][1].execution
        env = event.env
        while child.parent_id is not None and not was_paused:
            revived = ChildRevived(child.id, child.run, env)
            decisions.append((child.parent_id, self._decided(child.parent_id, revived)))
            child = decisions[-1][1].execution
        for each, decision in decisions:
            self._take(each, decision)
        return decisions[0][1]

    def delete(self, execution_id: str, *, force: bool = False) -> None:
        """Delete an execution with all its descendants.

        Raises:
            NotAllowedError: it, or the parent that waits for it, has not ended, and no force is used.
        """
        execution = self.states[execution_id].execution
        parent = None if execution.parent_id is None else self.states.get(execution.parent_id)
        waited_for = parent is not None and not execution.is_completed
        if not force and (not execution.is_completed or waited_for):
            raise NotAllowedError("only a completed execution can be deleted; use force")
        for each in [state.execution for state in self.states.values()]:
            if each.parent_id == execution_id:
                self.delete(each.id, force=True)
        self.queues.drop_execution(execution_id)
        del self.states[execution_id], self.specs[execution_id]
        if waited_for and parent is not None:
            self.queues.send("client", parent.execution.id, ChildDeleted(execution_id))

    def run_of(self, execution_id: str) -> Run:
        return Run(self, execution_id)

    def runs(self) -> list[Run]:
        """Return all executions, oldest first."""
        return [Run(self, each) for each in self.states]

    # -- time and order -------------------------------------------------------------------

    def run(self, *, limit: int = 100_000) -> None:
        """Go on until nothing happens by itself any more; time jumps ahead when all else is done."""
        self._run_until(None, limit)

    def settle(self, *, limit: int = 100_000) -> None:
        """Do everything that is to be done at this moment."""
        self._run_until(self.now, limit)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, and do everything that falls due."""
        until = self.now + round(seconds * SECOND)
        self._run_until(until, 100_000)
        self.now = until

    def _run_until(self, until: Micros | None, limit: int) -> None:
        for _ in range(limit):
            if not self.step(until):
                return
        raise RuntimeError(f"the executions are still busy after {limit} steps")

    def step(self, until: Micros | None = None) -> bool:
        """Let one thing happen; tell whether there was one (up to the moment ``until``)."""
        move = self._next_move()
        if move is None:
            due = self.queues.next_due()
            if due is None or (until is not None and due > until):
                return False
            self.now = max(self.now, due)
            return True
        self.carry_out(move)
        return True

    def _next_move(self) -> Move | None:
        if self.choose is None:
            return self.queues.first(self.now)
        moves = self.queues.moves(self.now)
        return self.choose(moves) if moves else None

    def carry_out(self, move: Move) -> None:
        """Make one possible thing happen."""
        if move.delivery is not None:
            self._receive(move.delivery)
        elif move.job is not None:
            self._finish(move.job)
        elif move.timer is not None:
            timer = move.timer
            del self.queues.timers[timer.task_id, timer.kind]
            self._turn(move.execution_id, TimerFired(timer.task_id, timer.kind, timer.generation))

    def _receive(self, delivery: Delivery) -> None:
        self.queues.take(delivery)
        self._turn(delivery.execution_id, delivery.event)

    # -- failures -------------------------------------------------------------------------

    def forget(self, execution_id: str) -> None:
        """Throw away what is held in memory of an execution and load it from its rows again."""
        state = self.states[execution_id]
        root = self.states[state.execution.root_id].execution
        root_env = stored(root).params.get("env", EMPTY)
        self.states[execution_id] = rebuilt(state, root_env)

    def take_over(self, execution_id: str) -> None:
        """The node of an execution has died: another one loads it and goes on."""
        self.forget(execution_id)
        self.queues.send("node", execution_id, Continued())

    def lose_job(self, action_id: str) -> None:
        """Whoever ran an action has died."""
        job = self.queues.jobs.pop(action_id)
        self.queues.send("reaper", job.action.execution_id or "", ActionLost(action_id, job.action.attempt))

    # -- turns ----------------------------------------------------------------------------

    def _turn(self, execution_id: str, event: AnyEvent) -> Decision:
        decision = self._decided(execution_id, event)
        self._take(execution_id, decision)
        return decision

    def _decided(self, execution_id: str, event: AnyEvent) -> Decision:
        spec, state = self.specs[execution_id], self.states[execution_id]
        if not self.forgets:
            return self._ask(lambda env: decide(spec, state, stored_event(event), env))
        self.forget(execution_id)
        whole = self.states[execution_id]
        memory = rebuilt(whole, whole.root_env, self._checkpoints.get(execution_id))
        decision = self._ask(
            lambda env: decide(spec, memory, stored_event(event), env),
            lambda key: memory.recall(key, recalled(whole, key)),
        )
        if memory.voids(decision.records()):
            self._voided.add(execution_id)
        memory.apply(decision)
        self._memories[execution_id] = memory
        return decision

    def _ask(self, question: Question, recall: Callable[[HistoryKey], None] = _refuse_recall) -> Decision:
        known: dict[Key, Any] = {}
        asked: set[HistoryKey] = set()
        while True:
            answer = question(self.env(known))
            if isinstance(answer, Decision):
                return answer
            missing = [key for key in answer.keys if key not in known and key not in asked]
            if not missing:
                raise RuntimeError(f"the engine asks again for what it was told: {answer.keys}")
            for key in missing:
                if isinstance(key, HistoryKey):
                    recall(key)
                    asked.add(key)
                else:
                    known[key] = self.library.answer(key)

    def _note_checkpoint(self, execution_id: str) -> None:
        """Keep, drop or take the checkpoint that the next turn begins from: at every third turn all
        that may be left out is."""
        memory = self._memories.pop(execution_id)
        if execution_id in self._voided:
            self._voided.remove(execution_id)
            self._checkpoints.pop(execution_id, None)
        spec = self.specs[execution_id]
        if spec.type == "reverse" or (execution_id in self._checkpoints and self.turns % 3):
            return
        try:
            taken = take_checkpoint(Draft(spec, memory, self.env()), names=0)
        except NeedsData:
            return
        if taken is not None:
            self._checkpoints[execution_id] = to_data(taken)

    def env(self, known: Mapping[Key, Any] | None = None) -> Env:
        """Return what a decision is given besides state and event."""
        return Env(
            now=self.now,
            new_id=self._new_id,
            new_uuid=self._new_id,
            known=known or {},
            settings=self.settings,
            max_steps=self.max_steps,
        )

    def _new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids:08d}"

    def _take(self, execution_id: str, decision: Decision) -> None:
        """Make a decision stand: its records, then its commands."""
        self.turns += 1
        state = self.states[execution_id]
        before = Before(state.execution, {key: state.tasks.get(key) for key in decision.tasks})
        state.apply(decision)
        if execution_id in self._memories:
            self._note_checkpoint(execution_id)
        for command in decision.commands:
            self._carry_out(execution_id, command)
        for observe in self.observers:
            observe(self, before, decision)

    def _carry_out(self, execution_id: str, command: AnyCommand) -> None:
        queues = self.queues
        match command:
            case RunAction(action=action, dry_run=dry_run):
                workflow_name = self.states[execution_id].execution.workflow_name
                self._begin(Job(action, workflow_name, dry_run))
            case DropJob(action_id=action_id):
                queues.jobs.pop(action_id, None)
            case SetTimer(timer=timer):
                queues.set_timer(timer)
            case DropTimer(task_id=task_id, kind=kind):
                queues.timers.pop((task_id, kind), None)
            case StartSubWorkflow(execution=child):
                self._insert(child)
                queues.send(execution_id, child.id, Started())
            case Send(execution_id=target, event=event):
                if target in self.states:
                    queues.send(execution_id, target, event)
            case Continue():
                queues.send(execution_id, execution_id, Continued())
            case _:
                assert_never(command)

    def _insert(self, child: Execution) -> None:
        root = self.states[child.root_id].execution
        child = stored(child)
        self.states[child.id] = ExecutionState.from_records(child, root_env=root.params.get("env", EMPTY))
        found = self.library.workflow(child.workflow_name, child.workflow_namespace)
        assert found is not None and found.spec_hash == child.spec_hash
        self.specs[child.id] = found.spec

    # -- jobs -----------------------------------------------------------------------------

    def _begin(self, job: Job) -> None:
        outcome = self.script.outcome(job)
        if outcome is None:
            outcome = self._computed(job)
        job.result = outcome.result
        job.due_at = None if outcome.result is None else self.now + round(outcome.seconds * SECOND)
        self.queues.add_job(job)

    def _computed(self, job: Job) -> Outcome:
        """Run a pure action for real; what can't be run here succeeds with null."""
        action = job.action
        descriptor = self.library.descriptor(action.name)
        if not action.is_sync:
            return waits()
        if descriptor is None:
            return gives(None)
        given: FrozenDict = action.input
        settled = descriptor.settle(given, action.id, job.dry_run)
        if settled is not None:
            return Outcome(settled)
        made = descriptor.instantiate(given)
        seconds = getattr(made, "delay", getattr(made, "seconds", 0))
        computed = made.compute() if hasattr(made, "compute") else None
        if action.timeout is not None and seconds > action.timeout:
            return Outcome(Result(error=f"timed out after {action.timeout} s"), action.timeout)
        return Outcome(computed if isinstance(computed, Result) else Result(freeze(computed)), seconds)

    def _finish(self, job: Job) -> None:
        assert job.result is not None
        del self.queues.jobs[job.action.id]
        result = job.result
        event = ActionCompleted(
            job.action.id, result.data, result.error, result.cancel, attempt=job.action.attempt
        )
        self._turn(job.action.execution_id or "", event)
