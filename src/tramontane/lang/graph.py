"""The routes between the tasks of a workflow, with ``task-defaults`` applied.

Routes are what both the checks of a document and the loaded spec are built on (runtime
specification, section 2.4; language specification, sections 4.3 to 4.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tramontane.lang.clauses import CLAUSES, NOTHING, ClauseTarget, ReadClause, read_clause
from tramontane.lang.spec import COMMANDS, Clause

RESERVED_TASK = "version"
"""A name inside ``tasks`` that never is a task."""


@dataclass(frozen=True, slots=True)
class Route:
    """The targets that count for a task's clause, and the publishes that go with them, weakest first."""

    targets: tuple[ClauseTarget, ...] = ()
    publishes: tuple[Mapping[str, Any], ...] = ()
    from_defaults: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes of a direct workflow.

    ``drops_bare_maps``: the document only works the way Mistral reads it, without any clause of the
    form ``{target: guard}``.
    """

    by_task: dict[str, dict[Clause, Route]]
    inbound: dict[str, tuple[str, ...]]
    start_tasks: tuple[str, ...]
    drops_bare_maps: bool = False
    _empty: dict[Clause, Route] = field(default_factory=dict)

    def of(self, task: str) -> Mapping[Clause, Route]:
        return self.by_task.get(task, self._empty)

    def targets(self, task: str) -> Iterable[ClauseTarget]:
        for route in self.of(task).values():
            yield from route.targets


def task_map(workflow: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the tasks of a workflow's data, in document order."""
    tasks = workflow.get("tasks")
    if not isinstance(tasks, Mapping):
        return {}
    return {name: task for name, task in tasks.items() if name != RESERVED_TASK and isinstance(task, Mapping)}


def find_routes(tasks: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> Routes:
    """Return the routes; a ``{target: guard}`` clause counts unless the workflow has no start then."""
    routes = _collect(tasks, defaults, drop_bare_maps=False)
    if routes.start_tasks or not _has_bare_map(tasks, defaults):
        return routes
    fewer = _collect(tasks, defaults, drop_bare_maps=True)
    return fewer if fewer.start_tasks else routes


def _has_bare_map(tasks: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> bool:
    return any(
        isinstance(owner.get(clause), Mapping) and read_clause(owner[clause]).bare_map
        for owner in (defaults, *tasks.values())
        for clause in CLAUSES
    )


def _collect(
    tasks: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any], *, drop_bare_maps: bool
) -> Routes:
    known = COMMANDS | tasks.keys()

    def read(owner: Mapping[str, Any], clause: Clause) -> ReadClause:
        result = read_clause(owner[clause])
        if result.bare_map and (drop_bare_maps or any(t.name not in known for t in result.targets)):
            return NOTHING
        return result

    shared = {clause: read(defaults, clause) for clause in CLAUSES if clause in defaults}
    by_task: dict[str, dict[Clause, Route]] = {}
    inbound: dict[str, dict[str, None]] = {}
    named: set[str] = set()  # a task that is called like a command starts no more for being named
    for name, task in tasks.items():
        routes: dict[Clause, Route] = {}
        for clause in CLAUSES:
            own = read(task, clause) if clause in task else NOTHING
            if own is not NOTHING or clause in shared:
                routes[clause] = _combined(name, own, shared.get(clause, NOTHING))
        for route in routes.values():
            for target in route.targets:
                named.add(target.name)
                if target.name in tasks and target.name not in COMMANDS:
                    inbound.setdefault(target.name, {})[name] = None
        if routes:
            by_task[name] = routes
    starts = tuple(name for name in tasks if name not in named)
    sources = {name: tuple(inbound[name]) for name in tasks if name in inbound}
    return Routes(by_task, sources, starts, drop_bare_maps)


def _combined(task: str, own: ReadClause, default: ReadClause) -> Route:
    """Own targets win; without any, those of the defaults apply, and their publish too."""
    own_publish = (own.publish,) if own.publish else ()
    if own.targets or default is NOTHING:
        return Route(own.targets, own_publish)
    targets = tuple(target for target in default.targets if target.name != task)
    publishes = ((default.publish,) if default.publish else ()) + own_publish
    return Route(targets, publishes, from_defaults=True)


def unreachable(tasks: Iterable[str], routes: Routes) -> list[str]:
    """Return the tasks that no route from a start task leads to, in document order.

    Those that are called like a command are left out: no route can lead to them.
    """
    seen = set(routes.start_tasks)
    front = list(seen)
    while front:
        for target in routes.targets(front.pop()):
            if target.name not in seen and target.name not in COMMANDS:
                seen.add(target.name)
                front.append(target.name)
    return [task for task in tasks if task not in seen and task not in COMMANDS]


def required_tasks(task: str, data: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a task of a reverse workflow requires: its own and the default ones, not itself."""
    names: dict[str, None] = {}
    for owner in (data, defaults):
        value = owner.get("requires")
        entries = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        names.update(dict.fromkeys(entry for entry in entries if isinstance(entry, str) and entry))
    names.pop(task, None)
    return tuple(names)


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names along some cycle (the first one again at the end), or an empty list."""
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        trail: dict[str, None] = {start: None}
        iterators = [iter(edges[start])]
        while iterators:
            following = next(iterators[-1], None)
            if following is None:
                iterators.pop()
                done.add(trail.popitem()[0])
            elif following in trail:
                names = list(trail)
                return [*names[names.index(following) :], following]
            elif following not in done and following in edges:
                trail[following] = None
                iterators.append(iter(edges[following]))
    return []
