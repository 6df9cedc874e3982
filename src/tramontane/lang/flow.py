"""What can come after what in a direct workflow, and what can't come at all.

Sets of tasks are bits of integers, so that thousands of tasks cost milliseconds. Everything here is about
a run without intervention: an operator who re-runs or skips a task can bring about more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tramontane.lang.clauses import ClauseTarget
from tramontane.lang.graph import Routes
from tramontane.lang.spec import COMMANDS, Clause

MAX_TASKS = 5_000
"""More tasks than this aren't looked at."""

_ENDING = ("fail", "succeed")
_OUTCOMES: dict[Clause, int] = {  # bits: success, error, skipped
    "on-success": 0b101,  # a skipped task follows on-success when it has no on-skip
    "on-error": 0b010,
    "on-complete": 0b011,
    "on-skip": 0b100,
}
_ERROR = 0b010
_ALL_OUTCOMES = 0b111


@dataclass(frozen=True, slots=True)
class UnmetJoin:
    """A join that can't be met. ``decider`` is the task whose success and error it both needs; without
    one, ``lost`` names the inbound tasks that never lead there."""

    name: str
    decider: str | None = None
    lost: tuple[str, ...] = ()


class Order:
    """Which tasks may run after which: bit sets over ``names``, by the routes of a graph."""

    def __init__(self, followers: Mapping[str, Iterable[str]]) -> None:
        """``followers``: for each task the tasks that may follow it at once."""
        self.names = tuple(followers)
        self.bits = {name: 1 << place for place, name in enumerate(self.names)}
        self._followers = {name: tuple(others) for name, others in followers.items()}
        self.components = _components(self._followers)  # those that are reached last come first
        self.after = self._find_after()

    def _find_after(self) -> dict[str, int]:
        """Return for each task the set of those that may come some time after it (itself in a cycle)."""
        after: dict[str, int] = {}
        for component in self.components:
            found = 0
            for name in component:
                for other in self._followers[name]:
                    found |= self.bits[other] | after.get(other, 0)
            for name in component:
                after[name] = found
        return after

    def is_repeated(self, name: str) -> bool:
        """Tell whether a task is part of a cycle."""
        return bool(self.after[name] & self.bits[name])


def _components(followers: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the strongly connected components, each one before those that lead to it."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    found: list[list[str]] = []
    for start in followers:
        if start in number:
            continue
        number[start] = lowest[start] = len(number)
        stack.append(start)
        waiting.add(start)
        path = [(start, iter(followers[start]))]
        while path:
            name, rest = path[-1]
            for other in rest:
                if other not in number:
                    number[other] = lowest[other] = len(number)
                    stack.append(other)
                    waiting.add(other)
                    path.append((other, iter(followers[other])))
                    break
                if other in waiting:
                    lowest[name] = min(lowest[name], number[other])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[name])
                if lowest[name] == number[name]:
                    component = [stack.pop()]
                    while component[-1] != name:
                        component.append(stack.pop())
                    waiting.difference_update(component)
                    found.append(component)
    return found


def live_targets(targets: Sequence[ClauseTarget]) -> list[ClauseTarget]:
    """Return the targets of a clause that can be taken: none behind an unconditional ending command."""
    live = []
    for target in targets:
        live.append(target)
        if target.name in _ENDING and target.guard is None:
            break
    return live


@dataclass(frozen=True, slots=True)
class _Edge:
    source: str
    outcomes: int


class Flow:
    """The routes of a direct workflow that can be taken."""

    def __init__(self, tasks: Iterable[str], routes: Routes) -> None:
        self._routes = routes
        self._inbound: dict[str, list[_Edge]] = {name: [] for name in tasks}
        followers: dict[str, dict[str, None]] = {name: {} for name in self._inbound}
        for name in self._inbound:
            for clause, route in routes.of(name).items():
                for target in live_targets(route.targets):
                    if target.name in self._inbound and target.name not in COMMANDS:
                        self._inbound[target.name].append(_Edge(name, _OUTCOMES[clause]))
                        followers[name][target.name] = None
        self.order = Order(followers)
        self.reached = self._find_reached()

    def _find_reached(self) -> int:
        reached = 0
        for start in self._routes.start_tasks:
            reached |= self.order.bits[start] | self.order.after[start]
        return reached

    def is_reached(self, name: str) -> bool:
        return bool(self.reached & self.order.bits[name])

    def unmet_joins(self, joins: Mapping[str, int | None]) -> list[UnmetJoin]:
        """Return the joins that can't be met; ``joins``: how many inbound tasks each needs, None: all."""
        found = []
        conflicts = None
        for name, needed in joins.items():
            if not self.is_reached(name):
                continue
            inbound = self._routes.inbound.get(name, ())
            sources = {edge.source for edge in self._inbound[name]}
            lost = tuple(one for one in inbound if one not in sources or not self.is_reached(one))
            if lost and len(inbound) - len(lost) < (len(inbound) if needed is None else needed):
                found.append(UnmetJoin(name, lost=lost))
                continue
            if needed is not None and needed < len(inbound):
                continue
            conflicts = conflicts or _Outcomes(self, joins, self._inbound)
            decider = conflicts.conflict(name)
            if decider is not None:
                found.append(UnmetJoin(name, decider=decider))
        return found


class _Outcomes:
    """Which outcomes of earlier tasks have to come about before a task can run.

    A number has three bits for each task; a bit is set if that outcome is possible. Only tasks that run
    once at most count: one that runs twice can succeed and fail.
    """

    def __init__(
        self, flow: Flow, joins: Mapping[str, int | None], inbound: Mapping[str, Sequence[_Edge]]
    ) -> None:
        self._order = flow.order
        self._joins = joins
        self._inbound = inbound
        self._places = {name: 3 * place for place, name in enumerate(flow.order.names)}
        self._unknown = (1 << 3 * len(self._places)) - 1
        self._ones = int("001" * len(self._places) or "0", 2)
        self._runs_once: dict[str, bool] = {}
        self._created: dict[str, int] = {}
        self._met: dict[str, int] = {}  # joins only: when they run instead of failing at once
        for component in reversed(flow.order.components):
            self._look_at(component, frozenset(component))

    def _look_at(self, component: Sequence[str], members: frozenset[str]) -> None:
        repeated = self._order.is_repeated(component[0])
        outside = [edge for name in component for edge in self._inbound[name] if edge.source not in members]
        for name in component:
            self._runs_once[name] = not repeated and self._is_single(name)
            self._created[name] = self._any_of(outside)
            if name in self._joins and self._joins[name] is None and not repeated:
                self._met[name] = self._all_of(outside)

    def _is_single(self, name: str) -> bool:
        edges = self._inbound[name]
        if name in self._joins:
            return all(self._runs_once[edge.source] for edge in edges)
        return not edges or (len(edges) == 1 and self._runs_once[edges[0].source])

    def _through(self, edge: _Edge) -> int:
        known = self._created[edge.source]
        if not edge.outcomes & _ERROR:
            known = self._met.get(edge.source, known)
        if self._runs_once[edge.source]:
            known &= ~((_ALL_OUTCOMES & ~edge.outcomes) << self._places[edge.source])
        return known

    def _any_of(self, edges: Iterable[_Edge]) -> int:
        possible = 0
        for edge in edges:
            possible |= self._through(edge)
        return possible or self._unknown

    def _all_of(self, edges: Iterable[_Edge]) -> int:
        by_source: dict[str, int] = {}
        for edge in edges:
            by_source[edge.source] = by_source.get(edge.source, 0) | self._through(edge)
        known = self._unknown
        for possible in by_source.values():
            known &= possible
        return known

    def conflict(self, join: str) -> str | None:
        """Return a task of which a join needs more than one outcome, or None."""
        if self._order.is_repeated(join):
            return None
        known = self._all_of(self._inbound[join])
        some = (known | known >> 1 | known >> 2) & self._ones
        missing = self._ones & ~some
        if not missing:
            return None
        place = (missing & -missing).bit_length() - 1
        return self._order.names[place // 3]
