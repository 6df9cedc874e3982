"""One execution of a rehearsal, as clients see it and what they may do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tramontane.core.decision import Decision
from tramontane.core.draft import Draft
from tramontane.core.events import (
    ActionCompleted,
    ActionPaused,
    ActionResumed,
    EnvironmentMerged,
    PauseAsked,
    RerunAsked,
    ResumeAsked,
    SkipAsked,
    StopAsked,
)
from tramontane.core.memory import ExecutionState
from tramontane.core.state import ActionExecution, Execution, SubWorkflow, Task
from tramontane.core.views import task_result
from tramontane.errors import NotFoundError
from tramontane.values import freeze

if TYPE_CHECKING:
    from tramontane.rehearsal.world import World


class Run:
    """Reads and drives one workflow execution; always shows it as it is now.

    A task is named by its name (the newest execution of it) or by its record.
    """

    def __init__(self, world: World, execution_id: str) -> None:
        self.world = world
        self.id = execution_id

    # -- reading --------------------------------------------------------------------------

    @property
    def _records(self) -> ExecutionState:
        found = self.world.states.get(self.id)
        if found is None:
            raise NotFoundError(f"Workflow execution not found [id={self.id}]")
        return found

    @property
    def execution(self) -> Execution:
        return self._records.execution

    @property
    def state(self) -> str:
        return self.execution.state

    @property
    def info(self) -> str | None:
        return self.execution.state_info

    @property
    def output(self) -> Any:
        return self.execution.output

    @property
    def is_direct(self) -> bool:
        return self.world.specs[self.id].type == "direct"

    def all_tasks(self) -> list[Task]:
        """Return all tasks in order of creation."""
        return list(self._records.tasks.values())

    def names(self) -> list[str]:
        """Return the names of all tasks in order of creation."""
        return [task.name for task in self.all_tasks()]

    def states(self) -> dict[str, str]:
        """Return the state of each task, the newest execution of a name."""
        return {task.name: task.state for task in self.all_tasks()}

    def tasks(self, name: str) -> list[Task]:
        return [task for task in self.all_tasks() if task.name == name]

    def task(self, name: str) -> Task:
        """Return the newest execution of a task.

        Raises:
            NotFoundError: it has none.
        """
        found = self.tasks(name)
        if not found:
            raise NotFoundError(f"task '{name}' was not started")
        return found[-1]

    def result(self, task: str | Task) -> Any:
        """Return ``task(name).result``."""
        draft = Draft(self.world.specs[self.id], self._records, self.world.env())
        return task_result(draft, self._task(task))

    def _task(self, task: str | Task) -> Task:
        return self.task(task) if isinstance(task, str) else task

    def actions(self, task: str | Task) -> list[ActionExecution]:
        """Return the action executions of a task in order of creation."""
        wanted = self._task(task).id
        return [action for action in self._records.actions.values() if action.task_id == wanted]

    def action(self, task: str | Task, index: int = 0) -> ActionExecution:
        """Return the newest action execution of a task (of one item)."""
        return [action for action in self.actions(task) if action.index == index][-1]

    def running(self, task: str | Task) -> list[ActionExecution]:
        return [action for action in self.actions(task) if action.state == "RUNNING"]

    def calls(self, task: str | Task) -> list[SubWorkflow]:
        wanted = self._task(task).id
        return [call for call in self._records.subworkflows.values() if call.task_id == wanted]

    def sub(self, task: str | Task, index: int = 0) -> Run:
        """Return the newest sub-workflow execution of a task (of one item)."""
        call = [call for call in self.calls(task) if call.index == index][-1]
        return Run(self.world, call.id)

    # -- operations -----------------------------------------------------------------------

    def pause(self) -> Decision:
        return self.world.ask(self.id, PauseAsked())

    def resume(self, env: Any = None) -> Decision:
        return self.world.ask(self.id, ResumeAsked(freeze(env)))

    def stop(self, state: str, message: str | None = None, **options: bool) -> Decision:
        return self.world.ask(self.id, StopAsked(state, message, **options))

    def rerun(self, task: str | Task, *, reset: bool = True, env: Any = None) -> Decision:
        return self.world.ask(self.id, RerunAsked(self._task(task).id, reset, freeze(env)))

    def skip(self, task: str | Task, *, env: Any = None) -> Decision:
        return self.world.ask(self.id, SkipAsked(self._task(task).id, freeze(env)))

    def change_env(self, env: Any) -> Decision:
        return self.world.ask(self.id, EnvironmentMerged(freeze(env)))

    def delete(self, *, force: bool = False) -> None:
        self.world.delete(self.id, force=force)

    def report(
        self,
        task: str | Task,
        data: Any = None,
        *,
        error: Any = None,
        cancel: bool = False,
        index: int = 0,
    ) -> Decision:
        """Report the result of a task's newest action, as a client does."""
        action = self.action(task, index)
        event = ActionCompleted(action.id, freeze(data), freeze(error), cancel)
        return self.world.ask(self.id, event)

    def pause_action(self, task: str | Task, index: int = 0) -> Decision:
        return self.world.ask(self.id, ActionPaused(self.action(task, index).id))

    def resume_action(self, task: str | Task, index: int = 0) -> Decision:
        return self.world.ask(self.id, ActionResumed(self.action(task, index).id))
