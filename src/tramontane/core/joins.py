"""Joins: does a WAITING join run, fail, or wait on? (runtime specification, sections 4.2 to 4.4)"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from tramontane.core.completion import complete_task, with_entry
from tramontane.core.draft import Draft
from tramontane.core.joins_state import needed
from tramontane.core.starting import start_task
from tramontane.core.state import Cause, Task
from tramontane.core.texts import failed_by
from tramontane.states import ERROR, RUNNING, WAITING
from tramontane.values import FrozenDict, FrozenList


class Induced(NamedTuple):
    """What one inbound task means for the join."""

    name: str
    state: str  # RUNNING | ERROR | WAITING
    event: str | None
    task: Task | None


def evaluate_join(draft: Draft, join_id: str) -> None:
    """Decide about a WAITING join of a RUNNING workflow; anything else is left alone."""
    join = draft.task(join_id)
    if draft.execution.state != RUNNING or join.state != WAITING or join.phase == "retry":
        return
    inbound = draft.spec.inbound.get(join.name, ())
    draft.require_newest(inbound)
    induced = [_induced_by(draft, name, join.name) for name in inbound]
    running = [each for each in induced if each.state == RUNNING]
    failed = [each for each in induced if each.state == ERROR]
    wanted = needed(draft, join.name)
    if len(running) >= wanted:
        _set_causes(draft, join, running, running)
        start_task(draft, join.id)
    elif len(failed) > len(induced) - wanted:
        shown = failed if draft.spec.tasks[join.name].join == "all" else []
        join = _set_causes(draft, join, running, shown)
        names = FrozenList([each.name for each in failed])
        join = draft.update_task(join, runtime_context=with_entry(join, "failed_by", names))
        complete_task(draft, join, ERROR, failed_by(names))


def _set_causes(draft: Draft, join: Task, running: list[Induced], shown: list[Induced]) -> Task:
    """Record whose data the join inherits, in order of completion, and what caused its state."""
    sources = sorted((each.task for each in running if each.task), key=lambda task: task.completed_seq)
    entries = [FrozenDict({"task_id": each.task.id, "event": each.event}) for each in shown if each.task]
    return draft.update_task(
        join,
        causes=tuple(Cause(task.id, task.run) for task in sources),
        runtime_context=FrozenDict({**join.runtime_context, "triggered_by": FrozenList(entries)}),
    )


def _induced_by(draft: Draft, name: str, join: str) -> Induced:
    task = draft.newest(name)
    if task is None:
        if _route_is_possible(draft, name):
            return Induced(name, WAITING, None, None)
        return Induced(name, ERROR, "impossible route", None)
    if not task.is_completed:
        return Induced(name, WAITING, None, task)
    event = _event_for(task, join)
    if event is None:
        return Induced(name, ERROR, "not triggered", task)
    return Induced(name, RUNNING, event, task)


def _event_for(task: Task, name: str) -> str | None:
    found = None
    for following, event in task.next_tasks or ():
        if following == name:
            found = event
    return found


def _upstream(draft: Draft, name: str) -> set[str]:
    """Names of all tasks from which a task can be reached."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for source in draft.spec.inbound.get(todo.pop(), ()):
            if source not in found:
                found.add(source)
                todo.append(source)
    return found


def _route_is_possible(draft: Draft, name: str) -> bool:
    """Can a task without execution still be reached? Walk back over tasks that have none either.

    What a completed task leads to exists at once, unless it completed in a pause, or was thrown away
    behind a command that ended the workflow.
    """
    seen = {name}
    todo = deque([name])
    if not draft.state.is_whole:
        draft.require_newest(_upstream(draft, name))
    while todo:
        current = todo.popleft()
        inbound = draft.spec.inbound.get(current, ())
        if not inbound:
            return True
        for source in inbound:
            task = draft.newest(source)
            if task is None:
                if source not in seen:
                    seen.add(source)
                    todo.append(source)
            elif not task.is_completed or (not task.processed and _event_for(task, current) is not None):
                return True
    return False
