"""A workflow as nodes and edges, free of any format.

Tasks become nodes, in document order. Engine commands become small nodes of their own, one for each
task that gives them, since an arrow to one ``fail`` far away would tell less. Transitions that many tasks
have from ``task-defaults`` begin at one node that stands for all of these tasks. Edges point the way
that things happen: in a reverse workflow from the required task to the one that requires it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tramontane.lang.clauses import ClauseTarget
from tramontane.lang.graph import Routes, find_routes, required_tasks, task_map
from tramontane.lang.spec import COMMANDS, Clause
from tramontane.lang.tasks import command_name
from tramontane.lang.withitems import WithItemsError, entries, parse_items
from tramontane.values import EMPTY

NodeKind = Literal["action", "workflow", "others", "noop", "fail", "succeed", "pause"]
EdgeKind = Literal["on-success", "on-error", "on-complete", "on-skip", "requires"]

MAX_GUARD = 32
MAX_TEXT = 36
MAX_SHARED = 4
"""How many tasks have each their own arrow for a transition of ``task-defaults``."""


@dataclass(frozen=True, slots=True)
class Node:
    """A task, or an engine command (its ``kind`` is the command's name then).

    ``does`` names the action or sub-workflow of a task, or is the message of a command; ``marks`` are
    short remarks such as ``join all``. The kind ``others`` stands for many tasks at once.
    """

    name: str
    kind: NodeKind
    does: str = ""
    marks: tuple[str, ...] = ()
    is_start: bool = False
    is_join: bool = False
    is_repeated: bool = False

    @property
    def is_command(self) -> bool:
        return self.kind in COMMANDS


@dataclass(frozen=True, slots=True)
class Edge:
    """A possible transition between two nodes, named by their places in ``Picture.nodes``."""

    source: int
    target: int
    kind: EdgeKind
    guard: str = ""  # the whole expression, without its delimiters

    @property
    def label(self) -> str:
        return shortened(self.guard, MAX_GUARD)


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a drawing shows."""

    title: str
    is_reverse: bool
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def edge_kinds(self) -> tuple[EdgeKind, ...]:
        """The kinds of edges that occur, in the order of a legend."""
        present = {edge.kind for edge in self.edges}
        return tuple(kind for kind in _LEGEND if kind in present)


_LEGEND: tuple[EdgeKind, ...] = ("on-success", "on-error", "on-complete", "on-skip", "requires")


def picture_of(workflow: Mapping[str, Any]) -> Picture:
    """Return the picture of a stored workflow (``WorkflowDocument.data``)."""
    tasks = task_map(workflow)
    defaults = workflow.get("task-defaults")
    defaults = defaults if isinstance(defaults, Mapping) else EMPTY
    if workflow.get("type") == "reverse":
        places = {name: place for place, name in enumerate(tasks)}
        nodes = tuple(_task(name, task, defaults, is_start=False) for name, task in tasks.items())
        edges = tuple(
            Edge(places[needed], places[name], "requires")
            for name, task in tasks.items()
            for needed in required_tasks(name, task, defaults)
            if needed in places
        )
        return Picture(workflow["name"], True, nodes, edges)
    routes = find_routes(tasks, defaults)
    starts = frozenset(routes.start_tasks)
    drawn = [_task(name, task, defaults, is_start=name in starts) for name, task in tasks.items()]
    edges = tuple(_draw_routes(drawn, routes))
    return Picture(workflow["name"], False, tuple(drawn), edges)


def _draw_routes(nodes: list[Node], routes: Routes) -> Iterator[Edge]:
    """Yield the edges of a direct workflow; nodes for its commands are added to ``nodes``."""
    places = {node.name: place for place, node in enumerate(nodes)}
    commands: dict[tuple[int, str, str], int] = {}
    shared = _shared_clauses(places, routes)
    drawn: dict[Clause, int] = {}
    for task, own_place in places.items():
        for clause, route in routes.of(task).items():
            source, targets = own_place, route.targets
            if clause in shared and route.from_defaults:
                if clause in drawn:
                    continue
                source = drawn[clause] = len(nodes)
                nodes.append(_others(clause, is_all=shared[clause] >= len(places) - 1))
                targets = _all_targets(places, routes, clause)
            for target in targets:
                if target.name in COMMANDS:
                    place = _command(nodes, commands, source, target)
                elif target.name in places:
                    place = places[target.name]
                else:
                    continue  # a document that was never checked may name what doesn't exist
                yield Edge(source, place, clause, bare_expression(target.guard or ""))


def _shared_clauses(tasks: Iterable[str], routes: Routes) -> dict[Clause, int]:
    """Return the clauses of ``task-defaults`` that so many tasks have that they are drawn once."""
    counts = Counter(
        clause for task in tasks for clause, route in routes.of(task).items() if route.from_defaults
    )
    return {clause: count for clause, count in counts.items() if count > MAX_SHARED}


def _others(clause: Clause, *, is_all: bool) -> Node:
    return Node("every task", "others", "" if is_all else f"without its own {clause}")


def _all_targets(tasks: Iterable[str], routes: Routes, clause: Clause) -> tuple[ClauseTarget, ...]:
    """Return the targets of a default clause: of the task that has most, since each lacks itself."""
    found = [
        route.targets for task in tasks if (route := routes.of(task).get(clause)) and route.from_defaults
    ]
    return max(found, key=len)


def _command(
    nodes: list[Node], commands: dict[tuple[int, str, str], int], source: int, target: ClauseTarget
) -> int:
    """Return the node of a command; the same one given twice by a task with the same message is one."""
    message = (target.parameters or {}).get("msg")
    text = "" if message is None else str(message)
    place = commands.get((source, target.name, text))
    if place is None:
        place = commands[source, target.name, text] = len(nodes)
        kind: NodeKind = next(kind for kind in _COMMAND_KINDS if kind == target.name)
        nodes.append(Node(target.name, kind, shortened(text, MAX_TEXT)))
    return place


_COMMAND_KINDS: tuple[NodeKind, ...] = ("noop", "fail", "succeed", "pause")


def _task(name: str, task: Mapping[str, Any], defaults: Mapping[str, Any], *, is_start: bool) -> Node:
    workflow = None if task.get("action") else command_name(task.get("workflow"))
    action = command_name(task.get("action")) or "std.noop"
    join = task.get("join")
    loops = [] if task.get("with-items") is None else _loop_variables(task["with-items"])
    marks = [f"join {join}"] if join else []
    marks += [f"each {variable}" for variable in loops]
    marks += _policy_marks(task, defaults)
    return Node(
        name=name,
        kind="action" if workflow is None else "workflow",
        does=shortened(bare_expression(action if workflow is None else workflow), MAX_TEXT),
        marks=tuple(marks),
        is_start=is_start,
        is_join=bool(join),
        is_repeated=bool(loops),
    )


def _loop_variables(value: Any) -> list[str]:
    variables = []
    for text in entries(value):
        try:
            variables.append(parse_items(text).variable)
        except WithItemsError:
            continue
    return variables


def _policy_marks(task: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    """Yield marks for what holds a task up or repeats it."""

    def policy(key: str) -> Any:
        own = task.get(key)
        return defaults.get(key) if own is None else own

    if policy("retry"):
        yield "retry"
    for key, mark in _SECONDS.items():
        value = policy(key)
        if isinstance(value, str):
            yield mark
        elif value:
            yield f"{mark} {value:g} s"
    if policy("pause-before"):
        yield "pause before"


_SECONDS = {"wait-before": "wait", "wait-after": "wait after", "timeout": "timeout"}


def bare_expression(text: str) -> str:
    """Take the delimiters off a text that is one expression, and fold its white space."""
    folded = " ".join(text.split())
    for opening, closing in (("<%", "%>"), ("{{", "}}")):
        inner = folded[len(opening) : -len(closing)]
        if folded.startswith(opening) and folded.endswith(closing) and opening not in inner:
            return inner.strip()
    return folded


def shortened(text: str, limit: int) -> str:
    """Fold white space and cut a text to ``limit`` characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 1].rstrip() + "…"
