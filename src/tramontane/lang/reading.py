"""Reads inside the expressions of a workflow: names that nothing defines, values that nothing reads.

All of it is a warning at most, for a workflow may run well in spite of it, and where a doubt remains nothing
is said: names that are looked up with care (``get``, ``default``), or only known at run time, data that is
handed on as a whole. What sees which variables is the runtime specification's section 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tramontane.expressions.reads import INTERNAL_ROOTS, Reads, function_names
from tramontane.lang.findings import quoted
from tramontane.lang.flow import MAX_TASKS, Order
from tramontane.lang.flow_check import check_flow
from tramontane.lang.graph import Routes, find_routes, required_tasks, task_map
from tramontane.lang.load import parameters
from tramontane.lang.places import (
    Place,
    Published,
    Sight,
    action_places,
    item_variables,
    places_of,
    published_by,
)
from tramontane.lang.policy_check import Checks
from tramontane.lang.spec import COMMANDS
from tramontane.lang.tasks import command_name
from tramontane.lang.yaml_loader import Path

MAX_FINDINGS = 100
"""So many findings of a workflow are told; one wrong name may stand in thousands of places."""

_OPENING = r"(?:\$\??\.|\b_\.|\b_\[\s*['\"])"


def look_inside(checks: Checks, workflow: Mapping[str, Any], path: Path) -> None:
    """Warn about what a sound workflow can't mean: routes that come to nothing, names that don't fit."""
    if not checks.findings.is_worth_reading:
        return
    tasks = task_map(workflow)
    routes = None
    if workflow.get("type") != "reverse":
        defaults = workflow.get("task-defaults")
        routes = find_routes(tasks, defaults if isinstance(defaults, Mapping) else {})
        check_flow(checks, tasks, routes, path)
    _check_names(checks, workflow, routes, path)


def look_inside_action(checks: Checks, action: Mapping[str, Any], path: Path) -> None:
    """Warn about functions in an ad-hoc action that don't exist; its variables may come from any workflow."""
    if not checks.findings.is_worth_reading:
        return
    report = _Report(checks, path)
    for place in action_places(action):
        reads = checks.expressions.reads(place.text)
        if reads is not None:
            _check_functions(place, reads, report)


def _check_names(checks: Checks, workflow: Mapping[str, Any], routes: Routes | None, path: Path) -> None:
    places = [
        (place, reads) for place in places_of(workflow) if (reads := checks.expressions.reads(place.text))
    ]
    published = list(published_by(workflow))
    report = _Report(checks, path)
    names = _Names(workflow, published, _order(workflow, routes), _tested(places))
    for place, reads in places:
        names.check(place, reads, report)
    _check_unread(workflow, published, places, report)


def _order(workflow: Mapping[str, Any], routes: Routes | None) -> Order | None:
    tasks = task_map(workflow)
    if len(tasks) > MAX_TASKS:
        return None
    followers: dict[str, dict[str, None]] = {name: {} for name in tasks}
    if routes is not None:
        for name in tasks:
            for target in routes.targets(name):
                if target.name in tasks and target.name not in COMMANDS:
                    followers[name][target.name] = None
        return Order(followers)
    defaults = workflow.get("task-defaults")
    shared = defaults if isinstance(defaults, Mapping) else {}
    for name, task in tasks.items():
        for needed in required_tasks(name, task, shared):
            if needed in followers:
                followers[needed][name] = None
    return Order(followers)


def _tested(places: Iterable[tuple[Place, Reads]]) -> frozenset[str]:
    return frozenset(name for _, reads in places for name in reads.tested)


class _Report:
    """Takes the findings of one workflow, up to a limit."""

    def __init__(self, checks: Checks, path: Path) -> None:
        self.nearest = checks.findings.nearest
        self._findings = checks.findings
        self._path = path
        self._left = MAX_FINDINGS

    def at(self, place: Place, pattern: str, message: str) -> None:
        """Warn about what ``pattern`` finds in an expression."""
        start = place.whole.find(place.text)
        match = re.search(pattern, place.text)
        self._add(place.path, message, within=max(start, 0) + (match.start() if match else 0))

    def at_key(self, path: Path, message: str) -> None:
        self._add(path, message, of_key=True)

    def _add(self, path: Path, message: str, *, of_key: bool = False, within: int = -1) -> None:
        if self._left:
            self._left -= 1
            self._findings.warning((*self._path, *path), message, of_key=of_key, within=within)


class _Names:
    """The names that a workflow defines, and who sees them."""

    def __init__(
        self,
        workflow: Mapping[str, Any],
        published: Iterable[Published],
        order: Order | None,
        tested: frozenset[str],
    ) -> None:
        self._tasks = task_map(workflow)
        self._order = order
        self._tested = tested
        self._inputs = frozenset(parameter.name for parameter in parameters(workflow.get("input")))
        variables = workflow.get("vars")
        self._vars = frozenset(variables) if isinstance(variables, Mapping) else frozenset()
        self._items = {name: item_variables(task) for name, task in self._tasks.items()}
        self._publishers: dict[str, dict[str, None]] = {}
        always = set(self._inputs | self._vars | INTERNAL_ROOTS)
        globals_ = set(self._vars | INTERNAL_ROOTS)
        for item in published:
            if item.is_global:
                globals_.add(item.name)
            if item.is_global or item.task is None:
                always.add(item.name)
            else:
                self._publishers.setdefault(item.name, {})[item.task] = None
        self._always = frozenset(always)
        self._globals = frozenset(globals_)
        self._behind: dict[str, int] = {}

    def check(self, place: Place, reads: Reads, report: _Report) -> None:
        """Warn about the names in one expression."""
        for name in sorted(reads.needed - self._tested):
            problem = self._problem(name, place)
            if problem is not None:
                report.at(place, rf"{_OPENING}{re.escape(name)}\b", problem + self._hint(name, report))
        for name in sorted(reads.tasks - self._tasks.keys()):
            hint = report.nearest(name, self._tasks)
            report.at(place, r"\btask\b", f"there is no task {quoted(name)} in this workflow{hint}")
        for name in sorted(reads.globals - self._globals):
            scope = ", only a variable of a branch" if name in self._publishers else ""
            report.at(
                place,
                r"\bglobal\b",
                f"there is no global variable {quoted(name)}{scope}: this is always null",
            )
        _check_functions(place, reads, report)

    def _hint(self, name: str, report: _Report) -> str:
        if name in self._publishers or any(name in items for items in self._items.values()):
            return ""
        return report.nearest(name, {*self._always, *self._publishers} - INTERNAL_ROOTS)

    def _problem(self, name: str, place: Place) -> str | None:
        """Return what is wrong with reading a variable in a place, or None."""
        if place.sight is Sight.START:
            if name in self._inputs or name in INTERNAL_ROOTS:
                return None
            if name in self._vars:
                return f"'vars' don't see each other, and {quoted(name)} is no input"
            return f"nothing defines the variable {quoted(name)} before 'vars': it is no input"
        if name in self._always or self._is_item(name, place):
            return None
        publishers = self._publishers.get(name)
        if publishers is not None:
            return None if self._comes_before(name, publishers, place) else _too_late(name, publishers, place)
        if place.task is not None and name in self._items[place.task]:
            return f"the with-items variable {quoted(name)} can't be read here, only in the task's input"
        return (
            f"nothing defines the variable {quoted(name)}: it is no input, not in 'vars', and never published"
        )

    def _is_item(self, name: str, place: Place) -> bool:
        if place.sight is Sight.ANYWHERE:
            return any(name in items for items in self._items.values())
        if place.task is None or place.sight not in (Sight.ITEM, Sight.TARGET):
            return False
        if place.sight is Sight.TARGET:
            given = self._tasks[place.task].get("input")
            if not isinstance(given, Mapping) or name in given:
                return True  # the action's input may come from anywhere
        return name in self._items[place.task]

    def _comes_before(self, name: str, publishers: Mapping[str, None], place: Place) -> bool:
        if place.task is None or self._order is None:
            return True
        if place.sight is Sight.AFTER and place.task in publishers:
            return True
        if name not in self._behind:
            behind = 0
            for publisher in publishers:
                behind |= self._order.after[publisher]
            self._behind[name] = behind
        return bool(self._behind[name] & self._order.bits[place.task])


def _check_functions(place: Place, reads: Reads, report: _Report) -> None:
    """Warn about what is unknown in any expression."""
    for name in sorted(reads.functions):
        hint = report.nearest(name, function_names())
        report.at(place, rf"\b{re.escape(name)}\s*\(", f"unknown function {quoted(name)}{hint}")
    for name in sorted(reads.filters):
        report.at(place, rf"\b{re.escape(name)}\b", f"unknown filter or test {quoted(name)}")
    for name in sorted(reads.bare):
        report.at(place, rf"(?<![\w.]){re.escape(name)}\b", _bare_problem(name))


def _too_late(name: str, publishers: Mapping[str, None], place: Place) -> str:
    if place.task in publishers and len(publishers) == 1:
        if place.sight is Sight.BEFORE:
            return (
                f"{quoted(name)} is published by this task: what it publishes together doesn't see each other"
            )
        return f"{quoted(name)} is only published by this task, when it has ended"
    shown = ", ".join(quoted(task) for task in list(publishers)[:3])
    more = " and others" if len(publishers) > 3 else ""
    return f"{quoted(name)} is only published by {shown}{more}, and no route leads from there to here"


def _bare_problem(name: str) -> str:
    if name.startswith("$"):
        return f"{quoted(name)} is always null: a variable is read as '$.{name[1:]}'"
    return f"{quoted(name)} is undefined: a variable is read as '_.{name}'"


def _check_unread(
    workflow: Mapping[str, Any],
    published: Iterable[Published],
    places: Iterable[tuple[Place, Reads]],
    report: _Report,
) -> None:
    """Warn about published variables that nothing reads, where that is certain.

    Without ``output`` all of them are the output, and without ``output-on-error`` all of them are part of
    what a failed execution gives.
    """
    has_outputs = all(isinstance(workflow.get(key), Mapping) for key in ("output", "output-on-error"))
    if not has_outputs or _may_read_by_itself(workflow):
        return
    read: set[str] = set()
    for _, reads in places:
        if reads.everything or reads.publishes:
            return
        read |= reads.needed | reads.tested | reads.possible | reads.globals
    for item in published:
        if item.name not in read:
            report.at_key(
                item.path, f"nothing in this workflow reads {quoted(item.name)}, which is published here"
            )


def _may_read_by_itself(workflow: Mapping[str, Any]) -> bool:
    """Tell whether some action may be an ad-hoc action: these see the variables of the workflow, too."""
    for task in task_map(workflow).values():
        name = command_name(task.get("action"))
        if name is not None and ("." not in name or any(mark in name for mark in ("<%", "{{", "{%"))):
            return True
    return False
