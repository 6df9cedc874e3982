"""Random workflow graphs, and a naive model of what must become of them.

Every task but a join is led to by one route at most, so that what runs depends on no order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

CLAUSES = ("on-success", "on-error", "on-complete")


@dataclass
class Route:
    source: str
    clause: str
    is_open: bool  # its guard's value

    def is_taken(self, state: str) -> bool:
        fits = {"on-success": state == "SUCCESS", "on-error": state == "ERROR", "on-complete": True}
        return self.is_open and fits[self.clause]


@dataclass
class Node:
    name: str
    fails: int = 0  # how often before it succeeds
    repeats: int = 0  # retry.count
    items: int | None = None
    wait: int = 0
    join: int | str | None = None
    inbound: list[Route] = field(default_factory=list)
    handler: bool = False  # on-error also holds noop

    @property
    def outcome(self) -> str:
        if self.items == 0:
            return "SUCCESS"
        return "ERROR" if self.fails > self.repeats else "SUCCESS"


@dataclass
class Graph:
    nodes: list[Node]
    failed_joins: set[str] = field(default_factory=set)

    @property
    def has_partial_joins(self) -> bool:
        return any(node.join not in (None, "all") for node in self.nodes)

    def document(self) -> str:
        lines = ["wf:", "  task-defaults: {safe-rerun: true}", "  tasks:"]
        for node in self.nodes:
            lines += [f"    {node.name}:", *(f"      {line}" for line in self._attributes(node))]
        return "\n".join(lines) + "\n"

    def _attributes(self, node: Node) -> list[str]:
        lines = ["action: job", f"publish: {{p_{node.name}: {node.name}}}"]
        lines.append(f"publish-on-error: {{e_{node.name}: {node.name}}}")
        if node.join is not None:
            lines.append(f"join: {node.join}")
        if node.items is not None:
            lines.append(f"with-items: i in {list(range(node.items))}")
            lines.append(f"concurrency: {node.items % 3}")
        if node.repeats:
            lines.append(f"retry: {{count: {node.repeats}, delay: {node.fails % 2}}}")
        if node.wait:
            lines.append(f"wait-before: {node.wait}")
        for clause in CLAUSES:
            targets = [
                f"{{{target.name}: <% {str(route.is_open).lower()} %>}}"
                for target in self.nodes
                for route in target.inbound
                if route.source == node.name and route.clause == clause
            ]
            if clause == "on-error" and node.handler:
                targets.append("noop")
            if targets:
                lines.append(f"{clause}: [{', '.join(targets)}]")
        return lines

    def expected(self) -> tuple[str, dict[str, str], dict[str, Any] | None]:
        """Return the workflow's state, the state of each task that exists, and the output.

        None: it depends on the order; what arrives late at a join that runs or failed already is lost.
        """
        states: dict[str, str] = {}
        self.failed_joins.clear()
        for node in self.nodes:
            state = self._state_of(node, states)
            if state is not None:
                states[node.name] = state
        unhandled = [
            node
            for node in self.nodes
            if states.get(node.name) == "ERROR" and not node.handler and not self._is_handled(node)
        ]
        published = {f"{'p' if state == 'SUCCESS' else 'e'}_{name}": name for name, state in states.items()}
        output = None if unhandled or self.has_partial_joins or self.failed_joins else published
        return ("ERROR" if unhandled else "SUCCESS", states, output)

    def _state_of(self, node: Node, states: dict[str, str]) -> str | None:
        """The inbound tasks of a node stand before it."""
        if not node.inbound:
            return node.outcome
        triggers = {
            route.source
            for route in node.inbound
            if route.source in states and route.is_taken(states[route.source])
        }
        if not triggers:
            return None
        if node.join is None:
            return node.outcome
        inbound = {route.source for route in node.inbound}
        needed = len(inbound) if node.join == "all" else 1 if node.join == "one" else int(node.join)
        if len(triggers) >= needed:
            return node.outcome
        # A join that its routes fail is retried in vain.
        self.failed_joins.add(node.name)
        return "ERROR"

    def _is_handled(self, node: Node) -> bool:
        return any(
            route.source == node.name and route.clause == "on-error" and route.is_open
            for target in self.nodes
            for route in target.inbound
        )


def random_graph(random: Random) -> Graph:
    nodes: list[Node] = []
    for number in range(random.randint(2, 12)):
        node = Node(f"t{number:02}")
        if nodes and random.random() < 0.85:
            _lead_to(node, nodes, random)
        if random.random() < 0.3:
            node.fails = random.choice((1, 2, 99))
        if random.random() < 0.3:
            node.repeats = random.randint(1, 2)
        if random.random() < 0.2:
            node.items = random.randint(0, 4)
        if random.random() < 0.2:
            node.wait = random.randint(1, 2)
        node.handler = random.random() < 0.5
        nodes.append(node)
    return Graph(nodes)


def _lead_to(node: Node, nodes: list[Node], random: Random) -> None:
    is_join = len(nodes) > 1 and random.random() < 0.5
    sources = (
        random.sample(nodes, random.randint(1, min(4, len(nodes)))) if is_join else [random.choice(nodes)]
    )
    for source in sources:
        for clause in random.sample(CLAUSES, random.choice((1, 1, 2)) if is_join else 1):
            node.inbound.append(Route(source.name, clause, random.random() < 0.85))
    if is_join:
        node.join = random.choice(("all", "all", "one", random.randint(1, len(sources))))
