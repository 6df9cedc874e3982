"""Layers of a drawing: which node stands on which, and in what order from left to right.

Cycles are opened by turning edges round, layers are longest paths, long edges pass the layers between
through stand-ins (*dummies*), and the order follows from barycentres, a few sweeps down and up.
Positions are integers: nodes first, as the caller numbers them, then the dummies.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 12
MAX_DUMMIES = 50_000


class TooLargeError(Exception):
    """The graph has so many long edges that nobody could read the drawing."""


@dataclass(slots=True)
class Layers:
    """``order`` holds the positions of each layer; ``chains`` the way of each edge from its upper to its
    lower end; ``is_turned`` tells which edges point upwards. Edges from a node to itself have no chain."""

    order: list[list[int]]
    layer: list[int]
    chains: list[list[int]]
    is_turned: list[bool]
    upper: dict[int, list[int]] = field(default_factory=dict)
    lower: dict[int, list[int]] = field(default_factory=dict)


def find_layers(count: int, edges: Sequence[tuple[int, int]], length: int) -> Layers:
    """Return the layers of ``count`` nodes; every edge spans at least ``length`` of them.

    Raises:
        TooLargeError: the long edges would need more dummies than are drawn.
    """
    turned = _turn_cycles(count, edges)
    downward = [
        (target, source) if is_turned else (source, target)
        for (source, target), is_turned in zip(edges, turned, strict=True)
    ]
    layer = _longest_paths(count, downward, length)
    layers = Layers([], layer, [], turned)
    _add_dummies(layers, downward)
    layers.order = _first_order(count, layers)
    _sort_layers(layers)
    return layers


def _turn_cycles(count: int, edges: Sequence[tuple[int, int]]) -> list[bool]:
    """Walk through the graph depth first; tell which edges lead back to a node still under way."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    has_inbound = [False] * count
    for number, (source, target) in enumerate(edges):
        if source != target:
            outgoing[source].append(number)
            has_inbound[target] = True
    turned = [False] * len(edges)
    status = [0] * count  # 0 new, 1 under way, 2 done
    for start in sorted(range(count), key=lambda node: has_inbound[node]):
        if status[start]:
            continue
        status[start] = 1
        stack = [(start, iter(outgoing[start]))]
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                status[node] = 2
                stack.pop()
                continue
            target = edges[following][1]
            if status[target] == 1:
                turned[following] = True
            elif status[target] == 0:
                status[target] = 1
                stack.append((target, iter(outgoing[target])))
    return turned


def _longest_paths(count: int, edges: Sequence[tuple[int, int]], length: int) -> list[int]:
    layer = [0] * count
    waiting = [0] * count
    outgoing: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        if source != target:
            outgoing[source].append(target)
            waiting[target] += 1
    ready = [node for node in range(count) if not waiting[node]]
    while ready:
        node = ready.pop()
        for target in outgoing[node]:
            layer[target] = max(layer[target], layer[node] + length)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return layer


def _add_dummies(layers: Layers, edges: Sequence[tuple[int, int]]) -> None:
    layer = layers.layer
    needed = sum(max(0, layer[target] - layer[source] - 1) for source, target in edges)
    if needed > MAX_DUMMIES:
        raise TooLargeError
    for source, target in edges:
        if source == target:
            layers.chains.append([])
            continue
        chain = [source]
        for between in range(layer[source] + 1, layer[target]):
            chain.append(len(layer))
            layer.append(between)
        chain.append(target)
        layers.chains.append(chain)
        for above, below in pairwise(chain):
            layers.lower.setdefault(above, []).append(below)
            layers.upper.setdefault(below, []).append(above)


def _first_order(count: int, layers: Layers) -> list[list[int]]:
    """Put positions into their layers in the order in which a walk from the top meets them."""
    order: list[list[int]] = [[] for _ in range(max(layers.layer, default=-1) + 1)]
    seen: set[int] = set()
    roots = [node for node in range(count) if node not in layers.upper]
    for root in roots:
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                order[layers.layer[node]].append(node)
                stack.extend(reversed(layers.lower.get(node, [])))
    return order


def _sort_layers(layers: Layers) -> None:
    """Reduce crossings: sort by barycentres down and up, keep the best order that was met."""
    best = [list(row) for row in layers.order]
    fewest = crossings(layers)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        is_down = sweep % 2 == 0
        rows = layers.order[1:] if is_down else layers.order[-2::-1]
        neighbours = layers.upper if is_down else layers.lower
        place = {node: index for row in layers.order for index, node in enumerate(row)}
        for row in rows:
            _sort_row(row, neighbours, place)
        _exchange(layers)
        found = crossings(layers)
        if found < fewest:
            fewest, best = found, [list(row) for row in layers.order]
    layers.order = best


def _sort_row(row: list[int], neighbours: dict[int, list[int]], place: dict[int, int]) -> None:
    def barycentre(node: int) -> float:
        others = neighbours.get(node)
        return sum(place[other] for other in others) / len(others) if others else place[node]

    row.sort(key=barycentre)
    place.update((node, index) for index, node in enumerate(row))


def _exchange(layers: Layers) -> None:
    """Exchange neighbours in a layer as long as that saves crossings."""
    place = {node: index for row in layers.order for index, node in enumerate(row)}
    for row in layers.order:
        for index in range(len(row) - 1):
            left, right = row[index], row[index + 1]
            if _pair_crossings(layers, place, right, left) < _pair_crossings(layers, place, left, right):
                row[index], row[index + 1] = right, left
                place[left], place[right] = index + 1, index


def _pair_crossings(layers: Layers, place: dict[int, int], left: int, right: int) -> int:
    """Count the crossings between the edges of two neighbours if they stood in this order."""
    total = 0
    for neighbours in (layers.upper, layers.lower):
        ours = [place[other] for other in neighbours.get(left, ())]
        theirs = sorted(place[other] for other in neighbours.get(right, ()))
        total += sum(bisect_right(theirs, other - 1) for other in ours)
    return total


def crossings(layers: Layers) -> int:
    """Count how many pairs of edges cross between neighbouring layers."""
    place = {node: index for row in layers.order for index, node in enumerate(row)}
    total = 0
    for row in layers.order:
        seen: list[int] = []
        for node in row:
            ends = [place[below] for below in layers.lower.get(node, ())]
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
