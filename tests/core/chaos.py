"""Drives a world through a random order of everything that may happen, with failures in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import msgspec
from tests.core.invariants import awaited, check_indexes, check_turn

from tramontane.core.decision import Decision
from tramontane.core.events import (
    ActionCompleted,
    ActionPaused,
    ActionResumed,
    AnyEvent,
    ChildCompleted,
    ChildPaused,
    ChildResumed,
    Continued,
    EnvironmentChanged,
    PauseAsked,
    ResumeAsked,
    Started,
    TimerFired,
)
from tramontane.core.memory import ExecutionState
from tramontane.errors import TramontaneError
from tramontane.rehearsal import Run, World
from tramontane.rehearsal.queues import Move

REPEATABLE = (
    ActionCompleted,
    ChildCompleted,
    ChildPaused,
    ChildResumed,
    Continued,
    EnvironmentChanged,
    PauseAsked,
    ResumeAsked,
    Started,
    TimerFired,
)


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong, per step."""

    crash: float = 0.05
    lost_job: float = 0.05
    repeated: float = 0.1
    lost_turn: float = 0.1
    pause: float = 0.02


class ChaoticWorld(World):
    """A world whose turns get lost at times: they are decided again, with the same outcome."""

    def __init__(self, *args: Any, random: Random, faults: Faults, **kwargs: Any) -> None:
        super().__init__(*args, choose=self._choose, finishes=False, **kwargs)
        self.random = random
        self.faults = faults
        self.heard: list[tuple[str, AnyEvent]] = []
        self.observers.append(check_turn)
        self.queues.overtaking = True

    def _choose(self, moves: list[Move]) -> Move:
        return self.random.choice(moves)

    def _decided(self, execution_id: str, event: AnyEvent) -> Decision:
        ids = self._ids
        decision = super()._decided(execution_id, event)
        if isinstance(event, REPEATABLE) and _is_report(event):
            self.heard.append((execution_id, event))
        if self.random.random() < self.faults.lost_turn:
            self._ids = ids
            again = super()._decided(execution_id, event)
            assert records(again) == records(decision)
        return decision


def _is_report(event: AnyEvent) -> bool:
    """Tell whether an event comes by an inbox, where it may come twice, and not from a client."""
    return getattr(event, "attempt", 0) is not None and getattr(event, "by_parent", True)


def records(decision: Decision) -> list[Any]:
    """Everything of a decision that is written."""
    parts = [
        decision.execution,
        *decision.tasks.values(),
        *decision.actions.values(),
        *decision.subworkflows.values(),
        *decision.past_runs,
        *decision.commands,
    ]
    return [msgspec.to_builtins(part) for part in parts]


class Chaos:
    """Goes on with a world until nothing is left to do, hindering it on the way."""

    def __init__(self, world: ChaoticWorld) -> None:
        self.world = world
        self.random = world.random

    def run(self, limit: int = 5_000) -> None:
        """Let everything happen that can; reports what is awaited, resumes what is paused."""
        for _ in range(limit):
            self._hinder()
            if not self.world.step() and not self._help():
                break
        else:
            raise AssertionError("still busy")
        for state in self.world.states.values():
            check_indexes(self.world, state)

    def _happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def _hinder(self) -> None:
        world, faults = self.world, self.world.faults
        if self._happens(faults.crash):
            world.take_over(self.random.choice(list(world.states)))
        if world.queues.jobs and self._happens(faults.lost_job):
            self._lose_a_job()
        if world.heard and self._happens(faults.repeated):
            execution_id, event = self.random.choice(world.heard)
            world.queues.send("echo", execution_id, event)
        if self._happens(faults.pause):
            self._try(self.random.choice(world.runs()).pause)
        if self._happens(faults.pause):
            self._try(self.random.choice(world.runs()).resume)
        for state in list(world.states.values()):
            for action in awaited(state):
                if self._happens(0.1):
                    self._report(state, action.id)

    def meddle(self, steps: int) -> None:
        """Let things happen while clients do whatever they may, wise or not."""
        for _ in range(steps):
            if self._happens(0.3):
                self._try(self._any_call())
            self._hinder()
            self.world.step()

    def _any_call(self) -> Callable[[], Any]:
        """Choose what a client asks, of any execution, task or action."""
        random = self.random
        run = random.choice(self.world.runs())
        calls: list[Callable[[], Any]] = [
            run.pause,
            run.resume,
            lambda: run.resume(env={"k": 2}),
            lambda: run.change_env({"k": 3}),
            lambda: run.stop(random.choice(("SUCCESS", "ERROR", "CANCELLED")), "stopped"),
            lambda: run.stop("ERROR", "ended", recursive=True),
            lambda: run.stop("CANCELLED", "ended", force=True),
        ]
        for task in run.all_tasks():
            if task.state == "ERROR":
                calls += 3 * [partial(run.rerun, task, reset=random.random() < 0.5)]
                calls.append(partial(run.rerun, task, env={"k": 4}))
                calls += 2 * [partial(run.skip, task)]
            for action in run.actions(task):
                if not action.is_completed:
                    calls += [
                        partial(self.world.ask, run.id, ActionPaused(action.id)),
                        partial(self.world.ask, run.id, ActionResumed(action.id)),
                        partial(self.world.ask, run.id, ActionCompleted(action.id, error="reported")),
                        partial(self.world.ask, run.id, ActionCompleted(action.id, cancel=True)),
                    ]
        return random.choice(calls)

    def _lose_a_job(self) -> None:
        """The executor dies; maybe its result arrives all the same, later."""
        jobs = self.world.queues.jobs
        job = jobs[self.random.choice(list(jobs))]
        self.world.lose_job(job.action.id)
        result = job.result
        if result is not None and self._happens(0.5):
            late = ActionCompleted(
                job.action.id, result.data, result.error, result.cancel, attempt=job.action.attempt
            )
            self.world.queues.send("late executor", job.action.execution_id or "", late)

    def _help(self) -> bool:
        """Do what only people do, once all else is done; tell whether there was something."""
        for run in self.world.runs():
            if run.state == "PAUSED":
                run.resume()
                return True
        for state in self.world.states.values():
            for action in awaited(state):
                self._report(state, action.id)
                return True
        return False

    def _report(self, state: ExecutionState, action_id: str) -> None:
        event = ActionCompleted(action_id, data="reported")
        self._try(lambda: self.world.ask(state.execution.id, event))

    def _try(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except TramontaneError:
            return


def outcome(run: Run, *, with_data: bool = True) -> Any:
    """What must be the same for every order: states, results and data, whole trees of them."""
    tasks = []
    for task in run.all_tasks():
        subs = sorted(
            str(outcome(run.world.run_of(call.id), with_data=with_data))
            for call in run.calls(task)
            if call.accepted
        )
        result = None if subs else run.result(task)
        following = [list(each) for each in task.next_tasks or ()] if run.is_direct else None
        data = (task.published, result, following)
        tasks.append((task.name, task.state, data if with_data else None, subs))
    return (run.state, run.output if with_data and run.state == "SUCCESS" else None, sorted(tasks, key=str))
