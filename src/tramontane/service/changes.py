"""From decisions to what one turn writes, and what follows once that is durable.

A turn may hold several decisions; of each record the last version is written, and commands that
undo one another (a job begun and dropped, a timer set and dropped) leave no row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from tramontane.core.adhoc import real_name
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
from tramontane.core.decision import Decision
from tramontane.core.events import AnyEvent, Continued, Started, to_data
from tramontane.core.priorities import priority_of
from tramontane.core.state import ActionExecution, Execution, Micros, PastRun, SubWorkflow, Task, Timer
from tramontane.service.pools import pool_of
from tramontane.service.ports import Jobs
from tramontane.service.queueing import JobQueue
from tramontane.store.records import InboxRow, JobRow, TurnWrite
from tramontane.values import FrozenDict


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event whose inbox row was written; ``is_new``: to an execution that this turn created."""

    execution_id: str
    event: AnyEvent
    row_id: str
    is_new: bool = False


@dataclass(slots=True)
class Effects:
    """What follows a turn once it is durable. Each has a row behind it: losing them delays only."""

    deliveries: list[Delivery] = field(default_factory=list)
    claimed: list[tuple[JobRow, ActionExecution]] = field(default_factory=list)
    has_unclaimed: bool = False
    dropped_jobs: list[tuple[str, bool]] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    dropped_timers: list[tuple[str, str]] = field(default_factory=list)


class Changes:
    """Collects the decisions of one turn of one execution."""

    def __init__(
        self, before: Execution | None, version: int, now: Micros, new_id: Callable[[], str]
    ) -> None:
        self._before = before
        self._version = version
        self._now = now
        self._new_id = new_id
        self._execution: Execution | None = before
        self._tasks: dict[str, Task] = {}
        self._actions: dict[str, ActionExecution] = {}
        self._subworkflows: dict[str, SubWorkflow] = {}
        self._past_runs: list[PastRun] = []
        self._children: dict[str, Execution] = {}
        self._inbox: list[InboxRow] = []
        self._deliveries: list[Delivery] = []
        self._consumed: list[str] = []
        self._timers: dict[tuple[str, str], Timer] = {}
        self._dropped_timers: dict[tuple[str, str], None] = {}
        self._jobs: dict[str, RunAction] = {}
        self._dropped_jobs: dict[str, bool] = {}

    @property
    def is_empty(self) -> bool:
        """Nothing to write: no record is new and no inbox row is used up."""
        return (
            self._execution is self._before
            and not self._consumed
            and not self._tasks
            and not self._actions
            and not self._subworkflows
            and not self._past_runs
            and not self._inbox
            and not self._children
            and not self._jobs
            and not self._dropped_jobs
            and not self._timers
            and not self._dropped_timers
        )

    def consume(self, row_id: str) -> None:
        self._consumed.append(row_id)

    def drop_timer(self, task_id: str, kind: str) -> None:
        self._timers.pop((task_id, kind), None)
        self._dropped_timers[task_id, kind] = None

    def add(self, decision: Decision) -> None:
        self._execution = decision.execution
        self._tasks.update(decision.tasks)
        self._actions.update(decision.actions)
        self._subworkflows.update(decision.subworkflows)
        self._past_runs.extend(decision.past_runs)
        for command in decision.commands:
            self._add_command(command, decision.execution)

    def _add_command(self, command: AnyCommand, execution: Execution) -> None:
        match command:
            case RunAction(action=action):
                self._jobs[action.id] = command
            case DropJob(action_id=action_id, interrupt=interrupt):
                self._jobs.pop(action_id, None)
                self._dropped_jobs[action_id] = interrupt
            case SetTimer(timer=timer):
                self._timers[timer.task_id, timer.kind] = timer
                self._dropped_timers.pop((timer.task_id, timer.kind), None)
            case DropTimer(task_id=task_id, kind=kind):
                self.drop_timer(task_id, kind)
            case StartSubWorkflow(execution=child):
                self._children[child.id] = child
                if not child.is_completed:  # a fork's sub-workflow has done its work elsewhere
                    self._post(child.id, child.root_id, Started(), is_new=True)
            case Send(execution_id=target, root_id=root_id, event=event):
                self._post(target, root_id, event, is_new=target in self._children)
            case Continue():
                self._post(execution.id, execution.root_id, Continued())
            case _:
                assert_never(command)

    def _post(self, target: str, root_id: str, event: AnyEvent, *, is_new: bool = False) -> None:
        row = InboxRow(self._new_id(), target, root_id, FrozenDict(to_data(event)), self._now)
        self._inbox.append(row)
        self._deliveries.append(Delivery(target, event, row.id, is_new))

    def write(
        self, node_id: str, jobs: Jobs, queue: JobQueue, bundle: str | None = None
    ) -> tuple[TurnWrite, Effects]:
        """Give what is to be written, and its effects; slots are reserved for the jobs run here."""
        execution = self._execution
        assert execution is not None, "a turn without any decision has nothing to write"
        effects = Effects(
            deliveries=self._deliveries,
            dropped_jobs=list(self._dropped_jobs.items()),
            timers=list(self._timers.values()),
            dropped_timers=list(self._dropped_timers),
        )
        priority = priority_of(execution.params)
        rows = []
        for command in self._jobs.values():
            action = self._actions.get(command.action.id, command.action)
            row = queue.enter(self._job(command, action, execution), action, priority, node_id, jobs)
            if row.claimed_by is None:
                effects.has_unclaimed = True
            else:
                effects.claimed.append((row, action))
            rows.append(row)
        turn = TurnWrite(
            execution=execution,
            before=self._before,
            version=self._version,
            tasks=list(self._tasks.values()),
            actions=list(self._actions.values()),
            subworkflows=list(self._subworkflows.values()),
            past_runs=self._past_runs,
            children=list(self._children.values()),
            inbox=self._inbox,
            consumed_inbox=self._consumed,
            timers=effects.timers,
            dropped_timers=effects.dropped_timers,
            jobs=rows,
            dropped_jobs=list(self._dropped_jobs),
            bundle=bundle,
        )
        return turn, effects

    def _job(self, command: RunAction, action: ActionExecution, execution: Execution) -> JobRow:
        name = real_name(action.name, action.adhoc)
        return JobRow(
            action_id=action.id,
            execution_id=execution.id,
            root_id=execution.root_id,
            project_id=action.project_id,
            action_name=name,
            pool=pool_of(name, action.target),
            attempt=action.attempt,
            safe_rerun=action.safe_rerun,
            timeout=action.timeout,
            dry_run=command.dry_run,
            context=FrozenDict({"execution": command.context, "security": execution.security}),
            claimed_by=None,
            created_at=self._now,
        )
