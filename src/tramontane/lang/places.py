"""Where expressions stand in a workflow, and what is published where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from tramontane.lang.clauses import CLAUSES, ClauseTarget, read_clause
from tramontane.lang.expression_check import may_hold_expression
from tramontane.lang.graph import task_map
from tramontane.lang.oneline import OneLine, OneLineError, parse_command, parse_parameters
from tramontane.lang.withitems import Items, WithItemsError, entries, parse_items
from tramontane.lang.yaml_loader import Path


class Sight(Enum):
    """Which variables an expression sees."""

    START = auto()  # 'vars': the input
    END = auto()  # output: everything that was published
    ANYWHERE = auto()  # task-defaults: what the task sees that it is for
    ITEM = auto()  # a task's input and the like: what came before, and the with-items variables
    BEFORE = auto()  # the list of with-items, and publish: what came before
    AFTER = auto()  # conditions behind a task: also what it has published itself
    TARGET = auto()  # 'target': also the action's input


@dataclass(frozen=True, slots=True)
class Place:
    """One expression text: ``whole`` is the value at ``path`` that it is a part of."""

    path: Path
    text: str
    whole: str
    sight: Sight
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """One published variable; ``task`` is None under ``task-defaults``."""

    name: str
    path: Path
    task: str | None
    is_global: bool


_AFTER_KEYS = ("fail-on", "keep-result")
_BEFORE_KEYS = (
    *("wait-before", "wait-after", "timeout", "concurrency", "pause-before"),
    *("safe-rerun", "dry-run", "safe-input", "async-heartbeats-enabled"),
)
_PUBLISHES = ("publish", "publish-on-error", "publish-on-skip")


def places_of(workflow: Mapping[str, Any]) -> Iterator[Place]:
    """Yield every text in a workflow that may hold an expression; paths begin at the workflow."""
    yield from _tree(workflow.get("vars"), ("vars",), Sight.START, None)
    for key in ("output", "output-on-error"):
        yield from _tree(workflow.get(key), (key,), Sight.END, None)
    defaults = workflow.get("task-defaults")
    if isinstance(defaults, Mapping):
        for place in _task_places(defaults, ("task-defaults",), None):
            yield Place(place.path, place.text, place.whole, Sight.ANYWHERE)
    for name, task in task_map(workflow).items():
        yield from _task_places(task, ("tasks", name), name)


def action_places(action: Mapping[str, Any]) -> Iterator[Place]:
    """Yield every text in an ad-hoc action that may hold an expression; paths begin at the action."""
    yield from _command(action.get("base"), ("base",), None)
    for key in ("base-input", "output"):
        yield from _tree(action.get(key), (key,), Sight.ANYWHERE, None)


def _task_places(task: Mapping[str, Any], path: Path, name: str | None) -> Iterator[Place]:
    for key, value in task.items():
        place = (*path, key)
        if key in ("action", "workflow"):
            yield from _command(value, place, name)
        elif key == "input":
            yield from _tree(value, place, Sight.ITEM, name)
        elif key in _PUBLISHES:
            yield from _tree(value, place, Sight.BEFORE, name)
        elif key in CLAUSES:
            yield from _clause(value, place, name)
        elif key == "with-items":
            yield from _lists(value, place, name)
        elif key == "retry":
            yield from _retry(value, place, name)
        elif key == "target":
            yield from _tree(value, place, Sight.TARGET, name)
        elif key in _BEFORE_KEYS:
            yield from _tree(value, place, Sight.ITEM, name)
        elif key in _AFTER_KEYS:
            yield from _tree(value, place, Sight.AFTER, name)


def _tree(value: Any, path: Path, sight: Sight, task: str | None) -> Iterator[Place]:
    """Yield the texts in a value; keys are never evaluated."""
    if isinstance(value, str):
        if may_hold_expression(value):
            yield Place(path, value, value, sight, task)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tree(item, (*path, key), sight, task)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _tree(item, (*path, index), sight, task)


def _parts(value: Any, path: Path, whole: str, sight: Sight, task: str | None) -> Iterator[Place]:
    """Yield the texts in what was parsed out of one line."""
    for place in _tree(value, (), sight, task):
        yield Place(path, place.text, whole, sight, task)


def _command(value: Any, path: Path, task: str | None) -> Iterator[Place]:
    if not isinstance(value, str):
        return
    try:
        line: OneLine = parse_command(value)
    except OneLineError:
        return
    yield from _parts([line.command, line.parameters], path, value, Sight.ITEM, task)


def _retry(value: Any, path: Path, task: str | None) -> Iterator[Place]:
    if isinstance(value, str):
        try:
            parts: Mapping[str, Any] = parse_parameters(value).parameters
        except OneLineError:
            return
    else:
        parts = value if isinstance(value, Mapping) else {}
    for key, part in parts.items():
        sight = Sight.AFTER if key in ("break-on", "continue-on") else Sight.ITEM
        if isinstance(value, str):
            yield from _parts(part, path, value, sight, task)
        else:
            yield from _tree(part, (*path, key), sight, task)


def _lists(value: Any, path: Path, task: str | None) -> Iterator[Place]:
    for index, (text, items) in enumerate(_items(value)):
        place = (*path, index) if isinstance(value, list) else path
        if items is not None:
            yield from _parts(items.values, place, text, Sight.BEFORE, task)


def _items(value: Any) -> Iterator[tuple[str, Items | None]]:
    for text in entries(value):
        try:
            yield text, parse_items(text)
        except (WithItemsError, TypeError):
            yield text, None


def item_variables(task: Mapping[str, Any]) -> frozenset[str]:
    """Return the with-items variables of a task."""
    return frozenset(items.variable for _, items in _items(task.get("with-items")) if items is not None)


def _clause(value: Any, path: Path, task: str | None) -> Iterator[Place]:
    clause = read_clause(value)
    if clause.publish:
        yield from _tree(clause.publish, (*path, "publish"), Sight.BEFORE, task)
    for target in clause.targets:
        yield from _target(target, (*path, *target.place), task)


def _target(target: ClauseTarget, path: Path, task: str | None) -> Iterator[Place]:
    if target.guard is not None:
        yield from _tree(target.guard, path, Sight.AFTER, task)
    if target.parameters:
        whole = target.guard if target.guard is not None else target.text
        yield from _parts(target.parameters, path, whole, Sight.AFTER, task)


def published_by(workflow: Mapping[str, Any]) -> Iterator[Published]:
    """Yield everything that a workflow publishes."""
    defaults = workflow.get("task-defaults")
    if isinstance(defaults, Mapping):
        yield from _published(defaults, ("task-defaults",), None)
    for name, task in task_map(workflow).items():
        yield from _published(task, ("tasks", name), name)


def _published(task: Mapping[str, Any], path: Path, name: str | None) -> Iterator[Published]:
    for key in _PUBLISHES:
        for variable in _keys(task.get(key)):
            yield Published(variable, (*path, key, variable), name, False)
    for clause in CLAUSES:
        publish = read_clause(task.get(clause)).publish or {}
        for scope in ("branch", "global"):
            for variable in _keys(publish.get(scope)):
                place = (*path, clause, "publish", scope, variable)
                yield Published(variable, place, name, scope == "global")


def _keys(value: Any) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []
