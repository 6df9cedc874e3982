"""A decision in the making: new versions of records laid over a state that stays as it is.

Handlers read and write through a draft. If it is thrown away (data missing, request refused,
evaluation too slow) nothing has happened. Work that follows from work (start this task, look at
that join) waits in ``queue``; what doesn't fit the budget is found again from the records by a
``Continued`` event, so the queue itself needs no storing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from msgspec.structs import replace

from tramontane.core.commands import AnyCommand, Continue, DropTimer, Send, SetTimer
from tramontane.core.context import EMPTY_CONTEXT, Context, merge_all, overlay_all
from tramontane.core.decision import Decision, Env, Key, Needs
from tramontane.core.events import AnyEvent, AnyWord
from tramontane.core.memory import NO_PROGRESS, ExecutionState, Progress
from tramontane.core.state import (
    ActionExecution,
    AnyChild,
    Cause,
    Execution,
    HistoryKey,
    PastRun,
    SubWorkflow,
    Task,
    Timer,
)
from tramontane.expressions.api import Interrupt
from tramontane.lang.spec import TaskSpec, WorkflowSpec
from tramontane.results import Result
from tramontane.values import FrozenDict

SECOND = 1_000_000

Work = Literal["start", "items", "result", "join", "check"]
"""Kinds of queued work: begin a task, start further items, take a result that the engine itself has
computed, evaluate a join, see whether all is done."""


class NeedsData(Interrupt):
    """Leaves a decision whose data must be looked up first; passes through expressions untouched."""

    def __init__(self, *keys: Key | HistoryKey) -> None:
        super().__init__()
        self.needs = Needs(keys)


class Draft:
    """The records of one decision over ``state``."""

    def __init__(self, spec: WorkflowSpec, state: ExecutionState, env: Env) -> None:
        self.spec = spec
        self.state = state
        self.env = env
        self.execution: Execution = state.execution
        self.root_env: FrozenDict = state.root_env
        self.tasks: dict[str, Task] = {}
        self.actions: dict[str, ActionExecution] = {}
        self.subworkflows: dict[str, SubWorkflow] = {}
        self.past_runs: list[PastRun] = []
        self.commands: list[AnyCommand] = []
        self.contexts: dict[tuple[str, int], Context] = {}
        self.items: dict[tuple[str, int], Any] = {}
        self._new_causes: set[str] = set()
        self._named: dict[str, list[str]] = {}
        self._children: dict[str, list[str]] = {}
        self._touched_children: dict[str, dict[str, None]] = {}
        self._outbound: dict[tuple[str, int], tuple[Context, Any, Context]] = {}
        self._progress: dict[str, Progress] = {}
        self._queue: deque[tuple[Work, str]] = deque()
        self._queued: set[tuple[Work, str]] = set()
        self._results: dict[str, Result] = {}
        self._is_cut = False
        self.steps = 0
        self._changes = 0
        self._counted = 0

    # -- the queue ------------------------------------------------------------------------

    def later(self, work: Work, subject: str = "") -> None:
        """Queue ``work`` on a task (``check``: on the execution, empty subject), once."""
        item = (work, subject)
        if item not in self._queued:
            self._queued.add(item)
            self._queue.append(item)

    def take_later(self, action_id: str, result: Result) -> None:
        """Queue the result of an action that the engine has settled: tasks that were created
        together all start before the first of them completes."""
        self._results[action_id] = result
        self.later("result", action_id)

    def take_result(self, action_id: str) -> Result:
        return self._results.pop(action_id)

    def next_work(self) -> tuple[Work, str] | None:
        """Take the next piece of queued work.

        When the budget is used up only results are left to be taken, since no record holds them;
        all other work is found again by a ``Continued`` event. Work that changes nothing costs
        nothing, so that every decision comes further.
        """
        if self._changes != self._counted:
            self._counted = self._changes
            self.steps += 1
        while self._queue:
            item = self._queue.popleft()
            self._queued.discard(item)
            if item[0] == "result":
                return item
            if self.steps < self.env.max_steps:
                return item
            self._is_cut = True
        if self._is_cut:
            self._is_cut = False
            self.commands.append(Continue())
        return None

    @property
    def steps_left(self) -> int:
        return max(1, self.env.max_steps - self.steps)

    def decision(self) -> Decision:
        return Decision(
            execution=self.execution,
            tasks=self.tasks,
            actions=self.actions,
            subworkflows=self.subworkflows,
            past_runs=self.past_runs,
            commands=self.commands,
            root_env=None if self.root_env is self.state.root_env else self.root_env,
            contexts=self.contexts,
            items=self.items,
        )

    # -- the execution --------------------------------------------------------------------

    def update_execution(self, **changes: Any) -> Execution:
        self.execution = replace(self.execution, updated_at=self.env.now, **changes)
        return self.execution

    def next_seq(self) -> int:
        seq = self.execution.seq + 1
        self.execution = replace(self.execution, seq=seq)
        return seq

    def send(self, execution_id: str, event: AnyEvent) -> None:
        self.commands.append(Send(execution_id, self.execution.root_id, event))

    def tell(self, execution_id: str, word: AnyWord) -> None:
        """Send a word to the parent or a child; of two of them the later one counts, in whatever order
        they come."""
        self.send(execution_id, replace(word, sent=self.next_seq()))

    def look_up(self, key: Key) -> Any:
        """Return what was looked up for ``key``, or leave the decision to have it looked up."""
        try:
            return self.env.known[key]
        except KeyError:
            raise NeedsData(key) from None

    def require(self, *keys: HistoryKey) -> None:
        """Leave the decision unless everything that ``keys`` stand for is in memory, or doesn't exist."""
        missing = [key for key in keys if self.state.lacks(key)]
        if missing:
            raise NeedsData(*missing)

    # -- tasks ----------------------------------------------------------------------------

    @property
    def has_tasks(self) -> bool:
        return bool(self.state.tasks or self.tasks or not self.state.is_whole)

    def task(self, task_id: str) -> Task:
        found = self.find_task(task_id)
        if found is None:
            raise KeyError(task_id)
        return found

    def find_task(self, task_id: str) -> Task | None:
        found = self._task_here(task_id)
        if found is None:
            self.require(HistoryKey("task", task_id))
        return found

    def find_tasks(self, task_ids: Iterable[str]) -> list[Task]:
        """Those of these tasks that exist."""
        self.require(*(HistoryKey("task", each) for each in task_ids if self._task_here(each) is None))
        found = (self._task_here(each) for each in task_ids)
        return [task for task in found if task is not None]

    def _task_here(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id) or self.state.tasks.get(task_id)

    def task_spec(self, task: Task) -> TaskSpec:
        return self.spec.tasks[task.name]

    def put_task(self, task: Task) -> Task:
        self._changes += 1
        old = self._task_here(task.id)
        self.tasks[task.id] = task
        if old is None:
            self._named.setdefault(task.name, []).append(task.id)
            return task
        if old.generation != task.generation:
            self._recount(task)
        if old.causes is not task.causes:
            self._new_causes.add(task.id)
            self.contexts.pop((task.id, task.run), None)
        elif old.run != task.run:
            known = self._known_context(old.id, old.run)
            if known is not None:
                self.contexts[task.id, task.run] = known
        return task

    def update_task(self, task: Task, **changes: Any) -> Task:
        return self.put_task(replace(task, updated_at=self.env.now, **changes))

    def all_tasks(self) -> Iterator[Task]:
        """All tasks, those created in this decision last."""
        self.require(HistoryKey("all"))
        return self.open_tasks()

    def open_tasks(self) -> Iterator[Task]:
        """All tasks that are no history: the others have completed well, and others have followed them."""
        for task_id, task in self.state.tasks.items():
            yield self.tasks.get(task_id, task)
        for ids in self._named.values():
            for task_id in ids:
                yield self.tasks[task_id]

    def incomplete_tasks(self) -> list[Task]:
        """Tasks that block the end of the workflow, oldest first."""
        ids = set(self.state.incomplete) if not self.tasks else {*self.state.incomplete, *self.tasks}
        tasks = [self.task(task_id) for task_id in ids]
        return sorted((task for task in tasks if not task.is_completed), key=lambda task: task.seq)

    def has_incomplete_tasks(self) -> bool:
        if any(not task.is_completed for task in self.tasks.values()):
            return True
        return any(task_id not in self.tasks for task_id in self.state.incomplete)

    def newest(self, name: str) -> Task | None:
        """The execution of a task that was created last."""
        ids = self._named.get(name) or self.state.named.get(name)
        if not ids:
            self.require(HistoryKey("named", name))
            return None
        return self.task(ids[-1])

    def require_newest(self, names: Iterable[str]) -> None:
        """Have the newest executions of all these tasks at hand, by one look-up."""
        if not self.state.is_whole:
            here = self._named.keys() | self.state.named.keys()
            self.require(*(HistoryKey("named", name) for name in names if name not in here))

    def waiting_joins(self) -> list[Task]:
        joins = {**self.state.waiting_joins}
        for task in self.tasks.values():
            if task.is_join:
                joins[task.name] = task.id
        found = [self.task(task_id) for task_id in joins.values()]
        return [task for task in found if task.state == "WAITING"]

    # -- children -------------------------------------------------------------------------

    def child(self, child_id: str) -> AnyChild | None:
        found = self._child_here(child_id)
        if found is None:
            self.require(HistoryKey("child", child_id))
        return found

    def _child_here(self, child_id: str) -> AnyChild | None:
        return self.actions.get(child_id) or self.subworkflows.get(child_id) or self.state.child(child_id)

    def put_child(self, child: AnyChild) -> None:
        self._changes += 1
        old = self._child_here(child.id)
        if isinstance(child, ActionExecution):
            self.actions[child.id] = child
        else:
            self.subworkflows[child.id] = child
        if child.task_id is None:
            return
        if old is None:
            self._children.setdefault(child.task_id, []).append(child.id)
        self._touched_children.setdefault(child.task_id, {})[child.id] = None
        generation = self.task(child.task_id).generation
        progress = self.progress(child.task_id)
        if old is not None:
            progress = progress.changed(old, generation, -1)
        self._progress[child.task_id] = progress.changed(child, generation, 1)

    def update_child(self, child: AnyChild, **changes: Any) -> AnyChild:
        new: AnyChild = replace(child, updated_at=self.env.now, **changes)
        self.put_child(new)
        return new

    def children(self, task_id: str) -> list[AnyChild]:
        """Children of a task, oldest first."""
        self.require(HistoryKey("children", task_id))
        ids = [*self.state.children.get(task_id, ()), *self._children.get(task_id, ())]
        return self._children_of(ids)

    def counting_children(self, task_id: str) -> list[AnyChild]:
        """Children of a task that are accepted or incomplete, oldest first."""
        self.require(HistoryKey("counting", task_id))
        ids = {**self.state.counting.get(task_id, {}), **self._touched_children.get(task_id, {})}
        found = [child for child in self._children_of(ids) if child.accepted or not child.is_completed]
        return sorted(found, key=lambda child: child.seq)

    def _children_of(self, ids: Iterable[str]) -> list[AnyChild]:
        found = [self._child_here(child_id) for child_id in ids]
        return [child for child in found if child is not None]

    def accepted_children(self, task_id: str) -> list[AnyChild]:
        found = self.counting_children(task_id)
        return [child for child in found if child.accepted and child.is_completed]

    def open_subworkflows(self, task_id: str | None = None) -> list[SubWorkflow]:
        """Calls of sub-workflows that have not ended, of one task or of all."""
        merged = {**self.state.subworkflows, **self.subworkflows}
        return [
            call
            for call in merged.values()
            if not call.is_completed and (task_id is None or call.task_id == task_id)
        ]

    def progress(self, task_id: str) -> Progress:
        found = self._progress.get(task_id)
        return found if found is not None else self.state.progress.get(task_id, NO_PROGRESS)

    def _recount(self, task: Task) -> None:
        progress = NO_PROGRESS
        for child in self.counting_children(task.id):
            progress = progress.changed(child, task.generation, 1)
        self._progress[task.id] = progress

    # -- timers ---------------------------------------------------------------------------

    def set_timer(self, task: Task, kind: str, seconds: int) -> None:
        due = self.env.now + seconds * SECOND
        timer = Timer(task.id, kind, task.execution_id, task.root_id, due, task.generation)
        self.commands.append(SetTimer(timer))

    def drop_timer(self, task: Task, kind: str) -> None:
        self.commands.append(DropTimer(task.id, kind))

    # -- data -----------------------------------------------------------------------------

    def inherited(self, task: Task) -> Context:
        """What a task inherited (its *in_context*)."""
        return self._inherited(task.id, task.run)

    def outbound(self, task: Task) -> Context:
        """What followers of a task inherit: inherited data with its publishes over them."""
        return self._outbound_of(task.id, task.run)

    def merge_tasks(self, tasks: list[Task]) -> Context:
        """Merge the outbound data of tasks, given in order of completion."""
        return self._merge([(task.id, task.run) for task in tasks])

    def _merge(self, runs: list[tuple[str, int]]) -> Context:
        outbound = [self._outbound_of(*run) for run in runs]
        if len(outbound) == 1:
            return outbound[0]
        if self.env.settings.context_versioning:
            return merge_all(outbound)
        return overlay_all(outbound, [self._run_of(*run)[0] for run in runs])

    def _outbound_of(self, task_id: str, run: int) -> Context:
        """Inherited data with a run's publishes over them; the same object for all that follow in a row."""
        inherited, published = self._inherited(task_id, run), self._run_of(task_id, run)[0]
        known = self._outbound.get((task_id, run))
        if known is None or known[0] is not inherited or known[1] is not published:
            known = inherited, published, self._published_over(inherited, published)
            self._outbound[task_id, run] = known
        return known[2]

    def _published_over(self, context: Context, published: Any) -> Context:
        return context.publish(published, deep=self.env.settings.merge_strategy == "merge")

    def _run_of(self, task_id: str, run: int) -> tuple[Any, tuple[Cause, ...]]:
        task = self._task_here(task_id)
        if task is not None and task.run == run:
            return task.published, task.causes
        for past in self.past_runs:
            if past.task_id == task_id and past.run == run:
                return past.published, past.causes
        found = self.state.past_runs.get((task_id, run))
        if found is None:
            self.require(HistoryKey("all"))
            raise KeyError(task_id, run)
        return found.published, found.causes

    def _inherited(self, task_id: str, run: int) -> Context:
        """Work out inherited data from causes, without recursion: routes may be very long."""
        known = self._known_context(task_id, run)
        if known is not None:
            return known
        stack = [(task_id, run)]
        while stack:
            top = stack[-1]
            causes = [(cause.task_id, cause.run) for cause in self._run_of(*top)[1]]
            missing = [cause for cause in causes if self._known_context(*cause) is None]
            if missing:
                stack.extend(missing)
                continue
            self.contexts[top] = self._merge(causes) if causes else EMPTY_CONTEXT
            stack.pop()
        return self.contexts[task_id, run]

    def _known_context(self, task_id: str, run: int) -> Context | None:
        known = self.contexts.get((task_id, run))
        if known is None and task_id not in self._new_causes:
            known = self.state.contexts.get((task_id, run))
        return known
