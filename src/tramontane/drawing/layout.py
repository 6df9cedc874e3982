"""Places of a drawing: where each box stands, and the way of each edge between them.

Layers come from :mod:`.layers`. Within them every box is drawn towards the mean of its neighbours, with
the least movement that keeps them apart; edges through several layers count more, so they stay straight.
All lengths are pixels; x grows to the right, y downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tramontane.drawing.layers import Layers, find_layers

Size = tuple[float, float]
Point = tuple[float, float]

GAP = 30.0
"""Space between two boxes of a layer."""
_DUMMY_GAP = 16.0
_LAYER_GAP = 46.0
_HALF_LAYER_GAP = 24.0
_ROUNDS = 40
_PORT_GAP = 20.0
_PORT_MARGIN = 14.0


@dataclass(frozen=True, slots=True)
class Route:
    """The way of an edge, from its source to its target: ``points`` in pairs, each pair a straight
    vertical line within one layer; between the pairs it curves. ``label`` is the middle of its label."""

    points: tuple[Point, ...]
    label: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """``centres`` of the boxes; ``routes`` of the edges (empty for one from a box to itself)."""

    centres: tuple[Point, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


def lay_out(
    boxes: Sequence[Size],
    edges: Sequence[tuple[int, int]],
    labels: Sequence[Size | None],
    margins: Sequence[float] | None = None,
) -> Layout:
    """Find places for boxes, the edges between them, and the labels of these.

    ``margins`` are what each box needs to its left and to its right besides its own width.

    Raises:
        TooLargeError: nobody could read the drawing.
    """
    has_labels = any(labels)
    layers = find_layers(len(boxes), edges, 2 if has_labels else 1)
    widened = [
        (width + 2 * margin, height)
        for (width, height), margin in zip(boxes, margins or [0.0] * len(boxes), strict=True)
    ]
    sizes = _all_sizes(widened, layers, labels)
    x = _columns(len(boxes), layers, sizes)
    tops, bottoms = _rows(layers, sizes, _HALF_LAYER_GAP if has_labels else _LAYER_GAP)
    centres = tuple(
        (x[node], (tops[layers.layer[node]] + bottoms[layers.layer[node]]) / 2) for node in range(len(boxes))
    )
    ports = _ports(boxes, layers, x)
    routes = []
    for number, chain in enumerate(layers.chains):
        ends = ports.get((number, True), 0.0), ports.get((number, False), 0.0)
        route = _route(chain, ends, x, layers.layer, boxes, centres, tops, bottoms)
        label = None
        if labels[number] and chain:
            row = layers.layer[chain[1]]
            label = (x[chain[1]], (tops[row] + bottoms[row]) / 2)
        routes.append(Route(tuple(reversed(route)) if layers.is_turned[number] else tuple(route), label))
    width = max((x[node] + sizes[node][0] / 2 for node in range(len(x))), default=0.0)
    return Layout(centres, tuple(routes), width, bottoms[-1] if bottoms else 0.0)


def _all_sizes(boxes: Sequence[Size], layers: Layers, labels: Sequence[Size | None]) -> list[Size]:
    """Return the sizes of boxes and dummies; the first dummy of a labelled edge holds its label."""
    sizes: list[Size] = [*boxes, *[(0.0, 0.0)] * (len(layers.layer) - len(boxes))]
    for chain, label in zip(layers.chains, labels, strict=True):
        if label is not None and chain:
            sizes[chain[1]] = label
    return sizes


def _rows(layers: Layers, sizes: Sequence[Size], gap: float) -> tuple[list[float], list[float]]:
    """Return where each layer begins and ends."""
    tops, bottoms = [], []
    y = 0.0
    for row in layers.order:
        tops.append(y)
        bottoms.append(y + max((sizes[node][1] for node in row), default=0.0))
        y = bottoms[-1] + gap
    return tops, bottoms


def _columns(count: int, layers: Layers, sizes: Sequence[Size]) -> list[float]:
    x = [0.0] * len(sizes)
    gaps = [_gaps(row, count, sizes) for row in layers.order]
    for row, between in zip(layers.order, gaps, strict=True):
        position = 0.0
        for node, gap in zip(row, [0.0, *between], strict=True):
            position += gap
            x[node] = position
    for round_number in range(_ROUNDS):
        is_down = round_number % 2 == 0
        rows = list(zip(layers.order, gaps, strict=True))
        # The first rounds bring the rows under each other, the later ones weigh both neighbours.
        both = round_number >= _ROUNDS // 4
        for row, between in rows if is_down else reversed(rows):
            _pull(row, between, count, layers, x, both=both, is_down=is_down)
    _straighten(layers, gaps, x)
    left = min((x[node] - sizes[node][0] / 2 for node in range(len(x))), default=0.0)
    return [value - left for value in x]


def _straighten(layers: Layers, gaps: Sequence[Sequence[float]], x: list[float]) -> None:
    """Put the dummies of an edge under each other as far as their neighbours leave room for that."""
    place = {node: index for row in layers.order for index, node in enumerate(row)}

    def room(node: int) -> tuple[float, float]:
        row, index, between = layers.order[layers.layer[node]], place[node], gaps[layers.layer[node]]
        left = x[row[index - 1]] + between[index - 1] if index else float("-inf")
        right = x[row[index + 1]] - between[index] if index + 1 < len(row) else float("inf")
        return left, right

    for chain in layers.chains:
        run: list[int] = []
        left, right = float("-inf"), float("inf")
        for node in chain[1:-1]:
            lowest, highest = room(node)
            if max(left, lowest) > min(right, highest):
                _align(run, left, right, x)
                run, left, right = [], float("-inf"), float("inf")
            run.append(node)
            left, right = max(left, lowest), min(right, highest)
        _align(run, left, right, x)


def _align(run: Sequence[int], left: float, right: float, x: list[float]) -> None:
    if run and left <= right:
        middle = sorted(x[node] for node in run)[len(run) // 2]
        for node in run:
            x[node] = min(max(middle, left), right)


def _gaps(row: Sequence[int], count: int, sizes: Sequence[Size]) -> list[float]:
    """Return the distances that the centres of a row's neighbours must keep."""
    gaps = []
    for left, right in pairwise(row):
        gap = GAP if left < count and right < count else _DUMMY_GAP
        gaps.append((sizes[left][0] + sizes[right][0]) / 2 + gap)
    return gaps


def _pull(
    row: Sequence[int],
    gaps: Sequence[float],
    count: int,
    layers: Layers,
    x: list[float],
    *,
    both: bool,
    is_down: bool,
) -> None:
    wanted, weights = [], []
    for node in row:
        neighbours: list[int] = []
        if both or is_down:
            neighbours += layers.upper.get(node, ())
        if both or not is_down:
            neighbours += layers.lower.get(node, ())
        total = weight = 0.0
        for other in neighbours:
            strength = 1.0 + 3.0 * (node >= count) + 3.0 * (other >= count)
            total += strength * x[other]
            weight += strength
        wanted.append(total / weight if weight else x[node])
        weights.append(weight or 0.1)
    for node, place in zip(row, spread(wanted, weights, gaps), strict=True):
        x[node] = place


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the places nearest to the wanted ones (least weighted squares) that keep order and gaps.

    Neighbours that would come too close are moved as one block to their weighted mean.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of members
    for place, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, members = place - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_members = blocks.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight += other_weight
            members += other_members
        blocks.append((mean, weight, members))
    means = [mean for mean, _, members in blocks for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _ports(boxes: Sequence[Size], layers: Layers, x: Sequence[float]) -> dict[tuple[int, bool], float]:
    """Return where each edge leaves its upper end (True) and reaches its lower one (False)."""
    sides: dict[tuple[int, bool], list[tuple[float, int]]] = {}
    for number, chain in enumerate(layers.chains):
        if chain:
            sides.setdefault((chain[0], True), []).append((x[chain[1]], number))
            sides.setdefault((chain[-1], False), []).append((x[chain[-2]], number))
    ports: dict[tuple[int, bool], float] = {}
    for (node, is_upper), found in sides.items():
        room = boxes[node][0] / 2 - _PORT_MARGIN
        found.sort()
        gap = min(_PORT_GAP, 2 * room / max(1, len(found) - 1))
        for index, (other, number) in enumerate(found):
            offset = (index - (len(found) - 1) / 2) * gap
            if len(found) == 1 and abs(other - x[node]) < room:
                offset = other - x[node]  # straight down, if the box is wide enough
            ports[number, is_upper] = x[node] + offset
    return ports


def _route(
    chain: Sequence[int],
    ends: tuple[float, float],
    x: Sequence[float],
    layer: Sequence[int],
    boxes: Sequence[Size],
    centres: Sequence[Point],
    tops: Sequence[float],
    bottoms: Sequence[float],
) -> list[Point]:
    """Return the way from the upper to the lower end: inside each layer straight, in pairs of points."""
    if not chain:
        return []
    first, last = chain[0], chain[-1]
    points: list[Point] = [
        (ends[0], centres[first][1] + boxes[first][1] / 2),
        (ends[0], bottoms[layer[first]]),
    ]
    for node in chain[1:-1]:
        points += [(x[node], tops[layer[node]]), (x[node], bottoms[layer[node]])]
    return [
        *points,
        (ends[1], tops[layer[last]]),
        (ends[1], centres[last][1] - boxes[last][1] / 2),
    ]
