"""An execution in memory: its records with the indexes that decisions need, and drafts over them.

:class:`ExecutionState` is what a node caches. A decision never changes it: it writes to a
:class:`~tramontane.core.draft.Draft`, whose records :meth:`ExecutionState.apply` takes over once
the decision stands. Everything here can be rebuilt from rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tramontane.core.context import Context
from tramontane.core.decision import Decision
from tramontane.core.state import (
    ActionExecution,
    AnyChild,
    Execution,
    HistoryKey,
    PastRun,
    Recalled,
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

CHECKPOINT_CHANGES = 1000
"""Records that change before a checkpoint is worth its price."""


class Past(msgspec.Struct, frozen=True):
    """What a state knows of records that it was built without (:mod:`tramontane.core.checkpoint`).

    ``kept``: ids of the records up to ``seq`` that it was built with; ``names``: of tasks that it has no
    execution of, though there are some. Tasks in ``partial`` have further
    children, those in ``uncounted`` accepted ones, which count as ``progress`` tells.
    """

    seq: int
    kept: frozenset[str]
    names: frozenset[str]
    partial: frozenset[str]
    uncounted: frozenset[str]
    progress: Mapping[str, tuple[int, ...]]
    contexts: Mapping[tuple[str, int], Context]
    runs: Mapping[str, int]  # of the kept tasks: data of this run and of later ones is here
    weight: int


class ExecutionState:
    """Records of one execution with their indexes; of a long one perhaps without its history.

    In memory are at least all incomplete tasks and children, and of each task name that has any
    execution here the newest one.
    """

    def __init__(self, execution: Execution, root_env: FrozenDict = EMPTY) -> None:
        self.execution = execution
        self.root_env = root_env
        self.tasks: dict[str, Task] = {}
        self.actions: dict[str, ActionExecution] = {}
        self.subworkflows: dict[str, SubWorkflow] = {}
        self.past_runs: dict[tuple[str, int], PastRun] = {}
        self.named: dict[str, list[str]] = {}  # task name -> ids, oldest first
        self.children: dict[str, list[str]] = {}  # task id -> child ids, oldest first
        self.counting: dict[str, dict[str, None]] = {}  # those of them that are accepted or incomplete
        self.incomplete: set[str] = set()
        self.waiting_joins: dict[str, str] = {}  # task name -> id of joins in WAITING
        self.progress: dict[str, Progress] = {}
        # Memos: what decisions that stand have worked out from records.
        self.contexts: dict[tuple[str, int], Context] = {}
        self.items: dict[tuple[str, int], Any] = {}
        self.graph: dict[str, frozenset[str]] = {}  # what the document says of routes, by task name
        # History that isn't here.
        self.is_whole = True
        self.past: Past | None = None  # the checkpoint that is stored
        self.left: set[str] = set()  # names of tasks all of whose executions were left out
        self.partial: set[str] = set()  # tasks some of whose children aren't here
        self.uncounted: set[str] = set()  # … among them accepted ones
        self.recalled: set[str] = set()  # tasks that are here again, and as they were
        self.absent: set[HistoryKey] = set()  # asked for, and there is no such record
        self.changes = 0  # since the last checkpoint, or the last attempt
        self.checkpoint_weight = 0  # what that one cost, in records

    @classmethod
    def from_records(
        cls,
        execution: Execution,
        tasks: Iterable[Task] = (),
        actions: Iterable[ActionExecution] = (),
        subworkflows: Iterable[SubWorkflow] = (),
        past_runs: Iterable[PastRun] = (),
        root_env: FrozenDict | None = None,
        past: Past | None = None,
    ) -> ExecutionState:
        """Rebuild the state from rows; ``root_env`` is the environment of the tree's root.

        ``past``: the rows are those that a checkpoint names, and what was created since.
        """
        state = cls(execution, EMPTY if root_env is None else root_env)
        if past is not None:
            state._begin_from(past)
        for task in sorted(tasks, key=lambda each: each.seq):
            state._take_task(task)
        children: list[AnyChild] = [*actions, *subworkflows]
        for child in sorted(children, key=lambda each: each.seq):
            state._take_child(child)
        for past_run in past_runs:
            state.past_runs[past_run.task_id, past_run.run] = past_run
        state.changes = state.size - (0 if past is None else len(past.kept))
        return state

    def note_no_checkpoint(self) -> None:
        """None was worth its price: the next attempt waits until half as much has changed."""
        self.changes = 0
        self.checkpoint_weight = self.size // 4

    def drop_checkpoint(self) -> None:
        """The stored checkpoint is gone; what isn't in memory can be recalled all the same."""
        self.past = None

    def _begin_from(self, past: Past) -> None:
        self.is_whole = False
        self.past = past
        self.left.update(past.names)
        self.partial.update(past.partial)
        self.uncounted.update(past.uncounted)
        self.progress.update((task_id, Progress(*counts)) for task_id, counts in past.progress.items())
        self.contexts.update(past.contexts)
        self.checkpoint_weight = past.weight

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
        self.changes += len(decision.tasks) + len(decision.actions) + len(decision.subworkflows)

    @property
    def size(self) -> int:
        """How many records are in memory."""
        return len(self.tasks) + len(self.actions) + len(self.subworkflows) + len(self.past_runs)

    @property
    def is_due_for_checkpoint(self) -> bool:
        """So much has changed since the last one, or the last attempt, that another is worth its price."""
        return self.changes >= max(CHECKPOINT_CHANGES, 2 * self.checkpoint_weight)

    def every_child(self) -> Iterator[AnyChild]:
        yield from self.actions.values()
        yield from self.subworkflows.values()

    def children_of(self, task_id: str) -> list[AnyChild]:
        """Children of a task that are in memory, oldest first."""
        found = [self.child(child_id) for child_id in self.children.get(task_id, ())]
        return [child for child in found if child is not None]

    def child(self, child_id: str) -> AnyChild | None:
        return self.actions.get(child_id) or self.subworkflows.get(child_id)

    def _take_task(self, task: Task) -> None:
        old = self.tasks.get(task.id)
        self.tasks[task.id] = task
        self.recalled.discard(task.id)
        if old is None:
            self.named.setdefault(task.name, []).append(task.id)
            self.left.discard(task.name)
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
        self._note_counting(child)
        generation = self.tasks[child.task_id].generation
        progress = self.progress.get(child.task_id, NO_PROGRESS)
        if old is not None:
            progress = progress.changed(old, generation, -1)
        self.progress[child.task_id] = progress.changed(child, generation, 1)

    def _recount(self, task: Task) -> None:
        progress = NO_PROGRESS
        for child_id in self.counting.get(task.id, ()):
            child = self.child(child_id)
            if child is not None:
                progress = progress.changed(child, task.generation, 1)
        self.progress[task.id] = progress

    def _note_counting(self, child: AnyChild) -> None:
        counting = self.counting.setdefault(child.task_id or "", {})
        if child.accepted or not child.is_completed:
            counting[child.id] = None
        else:
            counting.pop(child.id, None)

    # -- history --------------------------------------------------------------------------

    def lacks(self, key: HistoryKey) -> bool:
        """Tell whether records may exist that ``key`` stands for and that aren't here."""
        if self.is_whole or key in self.absent:
            return False
        if key.what == "children":
            return key.name in self.partial
        if key.what == "counting":
            return key.name in self.uncounted
        if key.what == "named":
            return key.name in self.left
        return True

    def recall(self, key: HistoryKey, found: Recalled) -> None:
        """Take records in that ``key`` has asked for. What is here already is newer, and stays."""
        for task in found.tasks:
            if task.id not in self.tasks:
                self.tasks[task.id] = task
                self.named.setdefault(task.name, []).append(task.id)
                self.recalled.add(task.id)
                self.partial.add(task.id)
                self.uncounted.add(task.id)
        for past_run in found.past_runs:
            self.past_runs.setdefault((past_run.task_id, past_run.run), past_run)
        for name in {task.name for task in found.tasks}:
            self.left.discard(name)
            self.named[name].sort(key=lambda task_id: self.tasks[task_id].seq)
        self._recall_children([*found.actions, *found.subworkflows])
        match key.what:
            case "all":
                self._complete(list(self.tasks))
                self.tasks = dict(sorted(self.tasks.items(), key=lambda item: item[1].seq))
                self.is_whole = True
            case "task" | "child":
                named = {task.id for task in found.tasks if task.id == key.name}
                callers = {child.task_id or "" for child in (*found.actions, *found.subworkflows)}
                self._complete(named | callers)
            case "children":
                self._complete([key.name])
            case "counting":
                self._recount_all([key.name])
        self.absent.add(key)

    def _recall_children(self, children: Sequence[AnyChild]) -> None:
        for child in children:
            if self.child(child.id) is not None:
                continue
            table: dict[str, Any] = self.actions if isinstance(child, ActionExecution) else self.subworkflows
            table[child.id] = child
            self.children.setdefault(child.task_id or "", []).append(child.id)
            self._note_counting(child)
        for task_id in {child.task_id or "" for child in children}:
            self.children[task_id].sort(key=self._seq_of)

    def _seq_of(self, child_id: str) -> int:
        child = self.child(child_id)
        return 0 if child is None else child.seq

    def _complete(self, task_ids: Iterable[str]) -> None:
        """All children of these tasks are here now."""
        task_ids = list(task_ids)
        self.partial.difference_update(task_ids)
        self._recount_all(task_ids)

    def _recount_all(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            if task_id in self.uncounted:
                self.uncounted.discard(task_id)
                self._recount(self.tasks[task_id])

    def voids(self, decided: Iterable[Task | AnyChild]) -> bool:
        """Tell whether what was decided makes the stored checkpoint wrong: a record has changed that it has
        left out, or what a task inherits."""
        past = self.past
        return past is not None and any(
            each.seq <= past.seq
            and (each.id not in past.kept or (isinstance(each, Task) and self._inherits_otherwise(each)))
            for each in decided
        )

    def _inherits_otherwise(self, task: Task) -> bool:
        """Tell whether a task has other causes than when its context was stored."""
        assert self.past is not None
        old = self.tasks[task.id]
        is_known = (task.id, task.run) in self.past.contexts
        return is_known and old.causes is not task.causes and old.causes != task.causes
