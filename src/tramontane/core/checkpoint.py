"""Checkpoints: what a long execution still needs of its past, so that the rest needn't be in memory.

What has completed and was followed up is history: nothing looks at it again but an expression that
asks for a result, a re-run, or a route that comes back to it, and then it is *recalled*
(:class:`~tramontane.core.decision.HistoryKey`). A checkpoint names the records that are no history,
and holds what can't be worked out without the others: the data that the named ones inherited, and how
the forgotten children of a running task count. An execution is loaded from its last checkpoint and
all that was created since.

    records       t1 ✓  t2 ✓  t3 RUNNING  t4 ✗ unhandled │ t5 RUNNING …
    checkpoint                 t3, t4 and their contexts  │
    loaded                     t3         t4              │ t5 …

A checkpoint never replaces records: without it the execution is loaded whole. It holds as long as
nothing changes that it left out (:meth:`tramontane.core.memory.ExecutionState.voids`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tramontane.core.context import EMPTY_CONTEXT, Context, Slot
from tramontane.core.draft import Draft
from tramontane.core.memory import ExecutionState, Past
from tramontane.core.state import AnyChild, Task
from tramontane.states import CANCELLED, ERROR, WAITING
from tramontane.values import FrozenDict, FrozenList, freeze, size_of

NAMES = 500
"""Of so many task names the newest execution each is kept: joins and ``task(name)`` ask for it."""

_ACCEPTED = 10
"""So many accepted children of a task are kept; of more the number is enough."""

_BYTES_PER_RECORD = 500


class Checkpoint(msgspec.Struct, frozen=True):
    """The stored form of :class:`~tramontane.core.memory.Past`: plain JSON.

    ``seq`` is the execution's counter. ``tasks`` and ``children`` are ids; ``runs`` tells the runs of tasks
    that run for the second time at least, ``names`` the tasks of which nothing is named though they were
    executed. ``partial`` names tasks
    that have further children; of those in ``uncounted`` some are accepted. ``progress`` counts these for
    incomplete tasks (fields of ``Progress`` in order). ``slots`` are variables ``[value, counters]``;
    ``contexts`` are ``[base, {name: slot}]``: the variables that are different from those of the context
    at place ``base`` (null: from nothing; slot null: not there). ``inherited`` tells the context of a
    task's run: ``[task id, run, place]``.
    """

    seq: int
    tasks: tuple[str, ...]
    children: tuple[str, ...]
    runs: Mapping[str, int] = FrozenDict()
    names: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()
    progress: Mapping[str, tuple[int, ...]] = FrozenDict()
    slots: tuple[Any, ...] = ()
    contexts: tuple[Any, ...] = ()
    inherited: tuple[tuple[str, int, int], ...] = ()

    @property
    def weight(self) -> int:
        """About as much as so many records."""
        size = sum(size_of(value) for value, _ in self.slots) // _BYTES_PER_RECORD
        names = sum(len(changed) for _, changed in self.contexts)
        return len(self.tasks) + len(self.children) + len(self.names) // 8 + len(self.slots) + names + size


def to_data(checkpoint: Checkpoint) -> FrozenDict:
    """Give the stored form."""
    data: FrozenDict = freeze(msgspec.structs.asdict(checkpoint))
    return data


def from_data(data: Mapping[str, Any]) -> Checkpoint:
    """Rebuild a checkpoint from its stored form."""
    return Checkpoint(
        seq=data["seq"],
        tasks=tuple(data["tasks"]),
        children=tuple(data["children"]),
        runs=data["runs"],
        names=tuple(data["names"]),
        partial=tuple(data["partial"]),
        uncounted=tuple(data["uncounted"]),
        progress={name: tuple(counts) for name, counts in data["progress"].items()},
        slots=tuple(data["slots"]),
        contexts=tuple(data["contexts"]),
        inherited=tuple((task_id, run, place) for task_id, run, place in data["inherited"]),
    )


# -- taking one ---------------------------------------------------------------------------


def take_checkpoint(draft: Draft, names: int = NAMES) -> Checkpoint | None:
    """Take a checkpoint of the state under an empty draft; None: too little of it is history.

    ``names``: the newest executions of so many task names are kept.
    """
    state = draft.state
    if not state.tasks:
        return None
    tasks = _kept_tasks(state, names)
    children = [child for child in state.every_child() if child.task_id in tasks and not child.is_completed]
    partial, uncounted = state.partial & tasks, state.uncounted & tasks
    for task_id in tasks:
        ended = [child for child in state.children_of(task_id) if child.is_completed]
        accepted = [child for child in ended if child.accepted]
        if len(accepted) <= _ACCEPTED:
            children += accepted
        else:
            uncounted.add(task_id)
        if len(ended) > len(accepted) or task_id in uncounted:
            partial.add(task_id)
    if names and 2 * (len(tasks) + len(children)) > state.size:
        return None
    writer = _ContextWriter()
    kept = sorted((state.tasks[task_id] for task_id in tasks), key=lambda task: task.seq)
    known = [(task, _context(draft, task)) for task in kept]
    inherited = tuple((task.id, task.run, writer.place(each)) for task, each in known if each is not None)
    return Checkpoint(
        seq=state.execution.seq,
        tasks=tuple(task.id for task in kept),
        children=tuple(child.id for child in children),
        runs={task.id: task.run for task in kept if task.run},
        names=tuple(sorted((state.left | state.named.keys()) - {task.name for task in kept})),
        partial=tuple(sorted(partial)),
        uncounted=tuple(sorted(uncounted)),
        progress=_progress(state, kept, children),
        slots=tuple(writer.slots),
        contexts=tuple(writer.contexts),
        inherited=inherited,
    )


def _context(draft: Draft, task: Task) -> Context | None:
    """What a task inherited; None: not known yet, of a join that waits, or of a recalled task that nothing
    has asked about."""
    if task.is_join and task.state == WAITING:
        return None
    if task.id in draft.state.recalled:
        return draft.state.contexts.get((task.id, task.run))
    return draft.inherited(task)


def _kept_tasks(state: ExecutionState, names: int) -> set[str]:
    """Ids of the tasks that are no history."""
    keep = {task.id for task in state.tasks.values() if _matters(task, state.waiting_joins)}
    keep.update(task_id for task_id, _ in state.execution.backlog)
    keep.update(child.task_id for child in state.every_child() if child.task_id and not child.is_completed)
    if len(state.named) <= names:
        keep.update(ids[-1] for ids in state.named.values() if ids[-1] not in state.recalled)
    # Where one execution of a task is in memory, the newest one is.
    keep.update(state.named[state.tasks[task_id].name][-1] for task_id in list(keep))
    return keep


def _matters(task: Task, waiting_joins: Mapping[str, str]) -> bool:
    """Tell whether the end of the execution, or a join that waits, will look at the task."""
    return (
        not task.is_completed
        or not task.processed
        or not task.next_tasks
        or task.state == CANCELLED
        or (task.state == ERROR and not task.error_handled)
        or any(name in waiting_joins for name, _ in task.next_tasks)
    )


def _progress(
    state: ExecutionState, tasks: Iterable[Task], children: Iterable[AnyChild]
) -> dict[str, tuple[int, ...]]:
    """How the children that are left out count for tasks that still count them."""
    open_tasks = [task for task in tasks if not task.is_completed]
    counts = {task.id: state.progress[task.id] for task in open_tasks if task.id in state.progress}
    for child in children:
        task_id = child.task_id or ""
        if task_id in counts:
            counts[task_id] = counts[task_id].changed(child, state.tasks[task_id].generation, -1)
    return {task_id: tuple(msgspec.structs.astuple(each)) for task_id, each in counts.items()}


class _ContextWriter:
    """Writes contexts that share most of what they hold as differences."""

    def __init__(self) -> None:
        self.slots: list[Any] = []
        self.contexts: list[Any] = []
        self._slot_places: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._written: list[Context] = []
        self._seen: dict[int, int] = {}  # contexts that written ones came from -> the place of such a one

    def place(self, context: Context) -> int:
        """Write a context, unless it was already; give its place."""
        known = self._places.get(id(context))
        if known is None:
            known = self._places[id(context)] = self._write(context)
        return known

    def _write(self, context: Context) -> int:
        base, names = None, list(context)
        own: dict[str, None] = {}
        for point in context.line():
            base = self._seen.get(id(point))
            if base is not None:
                names = [*own, *self._written[base].changed_since(point)]
                break
            own.update(dict.fromkeys(point.changed))
        changed = {name: self._slot(context.slot(name)) for name in names}
        self.contexts.append(FrozenList([base, FrozenDict(changed)]))
        self._written.append(context)
        place = len(self._written) - 1
        for point in context.line():
            self._seen.setdefault(id(point), place)
        return place

    def _slot(self, slot: Slot | None) -> int | None:
        if slot is None:
            return None
        place = self._slot_places.get(id(slot))
        if place is None:
            place = self._slot_places[id(slot)] = len(self.slots)
            self.slots.append(FrozenList([slot.value, FrozenDict(slot.counters())]))
        return place


# -- going on from one --------------------------------------------------------------------


def past_of(checkpoint: Checkpoint) -> Past:
    """Give what a state needs that is built from a checkpoint and the records that it names."""
    slots = [Slot(value, dict(counters), ()) for value, counters in checkpoint.slots]
    contexts: list[Context] = []
    for base, changed in checkpoint.contexts:
        origin = EMPTY_CONTEXT if base is None else contexts[base]
        contexts.append(
            origin.with_slots({name: None if at is None else slots[at] for name, at in changed.items()})
        )
    return Past(
        seq=checkpoint.seq,
        kept=frozenset((*checkpoint.tasks, *checkpoint.children)),
        names=frozenset(checkpoint.names),
        partial=frozenset(checkpoint.partial),
        uncounted=frozenset(checkpoint.uncounted),
        progress=checkpoint.progress,
        contexts={(task_id, run): contexts[place] for task_id, run, place in checkpoint.inherited},
        runs={task_id: checkpoint.runs.get(task_id, 0) for task_id in checkpoint.tasks},
        weight=checkpoint.weight,
    )


def shrunk(state: ExecutionState, checkpoint: Checkpoint) -> ExecutionState:
    """The state without what the checkpoint has left out."""
    past = past_of(checkpoint)
    lean = ExecutionState.from_records(
        state.execution,
        [state.tasks[task_id] for task_id in checkpoint.tasks],
        _named(state.actions, past.kept),
        _named(state.subworkflows, past.kept),
        root_env=state.root_env,
        past=past,
    )
    lean.items.update(state.items)
    lean.graph = state.graph
    return lean


def _named(children: Mapping[str, Any], kept: frozenset[str]) -> Iterator[Any]:
    return (child for child in children.values() if child.id in kept)
