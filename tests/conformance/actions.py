"""Actions of a node under test: a script says what they give, and the test's clock when.

:class:`ScriptedRunner` takes the place of what runs actions on the node. It asks the stage of the
execution's project for the outcome; an action that takes time waits in it until the stage says that
the time has passed. What no script mentions is run for real, save that nothing really sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tramontane.actions.base import Action, ActionContext
from tramontane.actions.registry import Descriptor, InstantiationError
from tramontane.actions.runner import ActionRunner
from tramontane.core.state import ActionExecution
from tramontane.rehearsal.script import Job, Outcome
from tramontane.results import Result
from tramontane.store.records import TurnWrite
from tramontane.values import freeze


class JobAction(Action):
    """Takes any input; the script says what it gives."""

    def __init__(self, **others: Any) -> None:
        self.others = others

    def run(self, context: ActionContext) -> Any:
        return None


class AsyncJobAction(JobAction):
    """The same as an asynchronous action: a report says what it gives."""

    def is_sync(self) -> bool:
        return False


class Stage(Protocol):
    """Where executions of one project are played."""

    def outcome(self, job: Job) -> Outcome | None:
        """Say how an action ends; None: the script doesn't mention it."""

    def note_index(self, action_id: str, index: int) -> None:
        """Take down which item an action belongs to, as executors are told."""

    async def passes(self, seconds: float) -> None:
        """Return when so many seconds of the test's time have passed; 0: at once."""

    async def never(self) -> None:
        """Wait until nobody wants the action any more."""

    def close(self) -> None:
        """Leave nothing behind that would go on."""

    def report_later(self, action_id: str, outcome: Outcome) -> None:
        """Report an asynchronous action's result when its time has come."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What is asked for an action: its stage, and how it is to be run for real."""

    stage: Stage
    descriptor: Descriptor
    given: Mapping[str, Any]
    context: ActionContext
    timeout: float | None


class ScriptedRunner:
    """Runs actions as scripts say; give it the stages by ``find``, from the project of an execution."""

    def __init__(self, find: Callable[[str], Stage | None]) -> None:
        self._find = find
        self._real = ActionRunner()
        self._projects: dict[str, str] = {}

    def witness(self, turn: TurnWrite) -> None:
        """Take down whose executions there are."""
        self._projects[turn.execution.id] = turn.execution.project_id

    def _stage(self, context: ActionContext) -> Stage | None:
        project = self._projects.get(context.execution.workflow_execution_id or "")
        return None if project is None else self._find(project)

    async def run_action(
        self,
        descriptor: Descriptor,
        given: Mapping[str, Any],
        context: ActionContext,
        timeout: float | None = None,  # noqa: ASYNC109 (of the interface)
    ) -> Result | None:
        stage = self._stage(context)
        if stage is None:
            return await self._real.run_action(descriptor, given, context, timeout)
        place = _Place(stage, descriptor, given, context, timeout)
        job = _job(place)
        stage.note_index(job.action.id, job.action.index)
        outcome = stage.outcome(job)
        if not descriptor.is_sync:
            if outcome is not None and outcome.result is not None:
                stage.report_later(job.action.id, outcome)
            return None
        if outcome is None:
            return await self._unscripted(place)
        if outcome.result is None:
            await stage.never()
        await stage.passes(outcome.seconds)
        return outcome.result

    async def _unscripted(self, place: _Place) -> Result | None:
        if place.descriptor.action_class is JobAction:
            return Result()
        seconds = 0.0 if place.context.dry_run else _duration(place)
        if not seconds:
            return await self._real.run_action(place.descriptor, place.given, place.context, place.timeout)
        if place.timeout is not None and seconds > place.timeout:
            await place.stage.passes(place.timeout)
            return Result(error=f"Timeout after {place.timeout} seconds")
        await place.stage.passes(seconds)
        return Result(freeze(place.descriptor.instantiate(place.given).compute()))


def _duration(place: _Place) -> float:
    """How long a standard action sleeps."""
    try:
        made = place.descriptor.instantiate(place.given)
    except InstantiationError:
        return 0.0
    return float(getattr(made, "delay", getattr(made, "seconds", 0.0)))


def _job(place: _Place) -> Job:
    execution = place.context.execution
    action = ActionExecution(
        id=execution.action_execution_id or "",
        execution_id=execution.workflow_execution_id,
        root_id=None,
        task_id=execution.task_execution_id,
        index=execution.with_items_index,
        name=place.descriptor.name,
        project_id="",
        task_name=execution.task_name,
        is_sync=place.descriptor.is_sync,
        input=place.given,
        timeout=None if place.timeout is None else int(place.timeout),
    )
    return Job(action, execution.workflow_name or "", place.context.dry_run)
