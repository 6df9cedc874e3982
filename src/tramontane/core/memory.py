"""An execution in memory: its records with the indexes that decisions need, and drafts over them.

:class:`ExecutionState` is what a node caches. A decision never changes it: it writes to a
:class:`~tramontane.core.draft.Draft`, whose records :meth:`ExecutionState.apply` takes over once
the decision stands. Everything here can be rebuilt from rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tramontane.core.context import Context
from tramontane.core.decision import Decision
from tramontane.core.state import (
    ActionExecution,
    AnyChild,
    Execution,
    PastRun,
    SubWorkflow,
    Task,
)
from tramontane.states import CANCELLED, ERROR, PAUSED
from tramontane.values import EMPTY, FrozenDict


class Progress(msgspec.Struct, frozen=True):
    """How the children of a task stand: accepted ones by outcome, and those still at work."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    paused: int = 0

    @property
    def accepted(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    def changed(self, child: AnyChild, generation: int, by: int) -> Progress:
        """Count ``child`` in (``by`` 1) or out (−1)."""
        if child.is_completed:
            if not child.accepted:
                return self
            field = {ERROR: "failed", CANCELLED: "cancelled"}.get(child.state, "succeeded")
        elif child.generation != generation:
            return self
        else:
            field = "paused" if child.state == PAUSED else "running"
        return msgspec.structs.replace(self, **{field: getattr(self, field) + by})


NO_PROGRESS = Progress()


class ExecutionState:
    """Records of one execution with their indexes."""

    def __init__(self, execution: Execution, root_env: FrozenDict = EMPTY) -> None:
        self.execution = execution
        self.root_env = root_env
        self.tasks: dict[str, Task] = {}
        self.actions: dict[str, ActionExecution] = {}
        self.subworkflows: dict[str, SubWorkflow] = {}
        self.past_runs: dict[tuple[str, int], PastRun] = {}
        self.named: dict[str, list[str]] = {}  # task name -> ids, oldest first
        self.children: dict[str, list[str]] = {}  # task id -> child ids, oldest first
        self.incomplete: set[str] = set()
        self.waiting_joins: dict[str, str] = {}  # task name -> id of joins in WAITING
        self.progress: dict[str, Progress] = {}
        # Memos: what decisions that stand have worked out from records.
        self.contexts: dict[tuple[str, int], Context] = {}
        self.items: dict[tuple[str, int], Any] = {}
        self.graph: dict[str, frozenset[str]] = {}  # what the document says of routes, by task name

    @classmethod
    def from_records(
        cls,
        execution: Execution,
        tasks: Iterable[Task] = (),
        actions: Iterable[ActionExecution] = (),
        subworkflows: Iterable[SubWorkflow] = (),
        past_runs: Iterable[PastRun] = (),
        root_env: FrozenDict | None = None,
    ) -> ExecutionState:
        """Rebuild the state from rows; ``root_env`` is the environment of the tree's root."""
        state = cls(execution, EMPTY if root_env is None else root_env)
        for task in sorted(tasks, key=lambda each: each.seq):
            state._take_task(task)
        children: list[AnyChild] = [*actions, *subworkflows]
        for child in sorted(children, key=lambda each: each.seq):
            state._take_child(child)
        for past in past_runs:
            state.past_runs[past.task_id, past.run] = past
        return state

    def apply(self, decision: Decision) -> None:
        """Take over what a decision changed."""
        self.execution = decision.execution
        if decision.root_env is not None:
            self.root_env = decision.root_env
        for task in decision.tasks.values():
            self._take_task(task)
        for action in decision.actions.values():
            self._take_child(action)
        for call in decision.subworkflows.values():
            self._take_child(call)
        for past in decision.past_runs:
            self.past_runs[past.task_id, past.run] = past
        self.contexts.update(decision.contexts)
        self.items.update(decision.items)

    def child(self, child_id: str) -> AnyChild | None:
        return self.actions.get(child_id) or self.subworkflows.get(child_id)

    def _take_task(self, task: Task) -> None:
        old = self.tasks.get(task.id)
        self.tasks[task.id] = task
        if old is None:
            self.named.setdefault(task.name, []).append(task.id)
        elif old.generation != task.generation:
            self._recount(task)
        if task.is_completed:
            self.incomplete.discard(task.id)
            self.items.pop((task.id, task.generation), None)
        else:
            self.incomplete.add(task.id)
        if task.is_join:
            if task.state == "WAITING":
                self.waiting_joins[task.name] = task.id
            else:
                self.waiting_joins.pop(task.name, None)
        if old is not None and old.causes is not task.causes:
            self.contexts.pop((task.id, task.run), None)

    def _take_child(self, child: AnyChild) -> None:
        table: dict[str, Any] = self.actions if isinstance(child, ActionExecution) else self.subworkflows
        old = table.get(child.id)
        table[child.id] = child
        if child.task_id is None:
            return
        if old is None:
            self.children.setdefault(child.task_id, []).append(child.id)
        generation = self.tasks[child.task_id].generation
        progress = self.progress.get(child.task_id, NO_PROGRESS)
        if old is not None:
            progress = progress.changed(old, generation, -1)
        self.progress[child.task_id] = progress.changed(child, generation, 1)

    def _recount(self, task: Task) -> None:
        progress = NO_PROGRESS
        for child_id in self.children.get(task.id, ()):
            child = self.child(child_id)
            if child is not None:
                progress = progress.changed(child, task.generation, 1)
        self.progress[task.id] = progress
