"""Routing: which commands follow from a completed task, and carrying them out.

Source: runtime specification, sections 2.3 to 2.6.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tramontane.core import joins_state, workflow
from tramontane.core.draft import Draft
from tramontane.core.scope import evaluate, outbound_scope
from tramontane.core.state import Cause, Task
from tramontane.core.texts import message
from tramontane.lang.spec import COMMANDS, Clause
from tramontane.states import ERROR, PAUSED, SKIPPED, SUCCESS
from tramontane.values import FrozenDict, FrozenList


class NextCommand(msgspec.Struct, frozen=True, array_like=True):
    """One item of the list that follows a completion: a task to create or an engine command."""

    name: str
    event: str
    message: str | None = None

    @property
    def is_task(self) -> bool:
        return self.name not in COMMANDS


_CLAUSES: dict[str, tuple[Clause, ...]] = {
    SUCCESS: ("on-success", "on-complete"),
    ERROR: ("on-error", "on-complete"),
}


def next_commands(draft: Draft, task: Task) -> list[NextCommand]:
    """Evaluate the clauses that count for the task's state, in document order.

    Raises:
        EvaluationError: a guard or a message can't be evaluated.
    """
    if task.state == SKIPPED:
        return _commands_of(draft, task, "on-skip") or _commands_of(draft, task, "on-success")
    commands: list[NextCommand] = []
    for clause in _CLAUSES.get(task.state, ()):
        commands += _commands_of(draft, task, clause)
    return commands


def _commands_of(draft: Draft, task: Task, clause: Clause) -> list[NextCommand]:
    targets = draft.task_spec(task).clause(clause).targets
    if not targets:
        return []
    where = outbound_scope(draft, task)
    commands = []
    for target in targets:
        if target.guard is not None and not evaluate(draft, target.guard, where):
            continue
        text = None
        if target.parameters is not None:
            parameters = evaluate(draft, target.parameters, where)
            text = message(parameters.get("msg"))
        commands.append(NextCommand(target.name, clause, text))
    return commands


def record(draft: Draft, task: Task, commands: list[NextCommand]) -> Task:
    """Store what follows: the names of tasks, and whether an error counts as handled."""
    following = tuple((each.name, each.event) for each in commands if each.is_task)
    handled = task.error_handled
    if task.state == ERROR:
        handled = any(each.event == "on-error" for each in commands)
    return draft.update_task(task, next_tasks=following, error_handled=handled)


def dispatch(draft: Draft, task: Task, commands: list[NextCommand]) -> None:
    """Carry out one completion's list of commands (runtime specification, section 2.5).

    Raises:
        EvaluationError: a ``succeed`` whose ``output`` can't be evaluated.
    """
    todo = [each for each in commands if each.name != "noop"]
    position = next((at for at, each in enumerate(todo) if not each.is_task), len(todo))
    ending = todo[position] if position < len(todo) else None
    created = _create_all(draft, task, todo[:position])
    if ending is None:
        return
    if ending.name == "pause":
        workflow.let_start(draft, [draft.task(new) for new in created])
        rest = [list(each) for each in _plain(todo[position + 1 :])]
        backlog = [*draft.execution.backlog, [task.id, rest]] if rest else list(draft.execution.backlog)
        draft.update_execution(backlog=FrozenList(_frozen(backlog)))
        workflow.pause(draft, ending.message)
        return
    workflow.let_start(draft, draft.incomplete_tasks())
    workflow.end(draft, ERROR if ending.name == "fail" else SUCCESS, ending.message)


def _plain(commands: list[NextCommand]) -> list[tuple[str, str, str | None]]:
    return [(each.name, each.event, each.message) for each in commands]


def _frozen(items: list[Any]) -> list[Any]:
    return [FrozenList(_frozen(item)) if isinstance(item, list) else item for item in items]


def _create_all(draft: Draft, task: Task, commands: list[NextCommand]) -> list[str]:
    plain = [each for each in commands if draft.spec.tasks[each.name].join is None]
    # Naming a join twice triggers it once; of two clauses the last one counts.
    joins = {each.name: each.event for each in commands if draft.spec.tasks[each.name].join is not None}
    created = [
        create_task(draft, each.name, (Cause(task.id, task.run),), _triggered_by(task, each.event)).id
        for each in plain
    ]
    return created + [joins_state.trigger(draft, name, task, joins[name]) for name in sorted(joins)]


def _triggered_by(task: Task, event: str) -> FrozenDict:
    entry = FrozenDict({"task_id": task.id, "event": event})
    return FrozenDict({"triggered_by": FrozenList([entry])})


def create_task(
    draft: Draft, name: str, causes: tuple[Cause, ...] = (), runtime_context: FrozenDict | None = None
) -> Task:
    """Create a task in IDLE and queue its start."""
    task = joins_state.new_task(draft, name, causes, runtime_context or FrozenDict())
    draft.later("start", task.id)
    return task


def lost_routes(draft: Draft, task: Task) -> None:
    """Have joins evaluated again that can be reached by a clause of ``task`` that was not taken."""
    taken = {name for name, _ in task.next_tasks or ()}
    spec = draft.task_spec(task)
    clauses = (spec.on_success, spec.on_error, spec.on_complete, spec.on_skip)
    named = {target.name for clause in clauses for target in clause.targets if not target.is_command}
    if named <= taken:
        return
    waiting = {join.name: join.id for join in draft.waiting_joins()}
    for name in sorted(named - taken):
        for join in sorted(joins_state.reachable(draft, name) & waiting.keys()):
            draft.later("join", waiting[join])


def follow_up(draft: Draft, task: Task, commands: list[NextCommand]) -> None:
    """After a completion is recorded: dispatch, check for the end, look at joins."""
    if draft.execution.state == PAUSED:
        return
    if draft.execution.is_completed:
        draft.update_task(task, processed=True)
        return
    task = draft.update_task(task, processed=True)
    dispatch(draft, task, commands)
    if not task.next_tasks:
        draft.later("check")
    lost_routes(draft, task)
