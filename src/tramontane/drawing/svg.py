"""A picture as SVG: boxes under each other, smooth arrows between them, a legend below.

One file without scripts, fonts or links, so that it can be put anywhere. What is cut short in a label
stands in full in the tooltip (``<title>``) of its box or arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tramontane.drawing.layout import Layout, Point, Route, Size, lay_out
from tramontane.drawing.picture import Edge, EdgeKind, Node, Picture, shortened
from tramontane.drawing.style import EDGE_COLOURS, EDGE_DASHES, EDGE_WIDTHS, NODE_COLOURS
from tramontane.drawing.text_width import text_width

FONT = "Helvetica, Arial, 'Segoe UI', 'DejaVu Sans', sans-serif"
INK = "#0f172a"
FAINT = "#64748b"

_NAME, _SMALL, _MARK = 13.0, 11.0, 10.0
_PADDING = 14.0
_MARGIN = 28.0
_TITLE = 34.0
_START = 26.0  # room above the first layer for the dots that mark starts
_STACK = 5.0  # how far the second sheet of a repeated task looks out
_LOOP = 30.0
_MARK_HEIGHT = 16.0
_ARROW = 8.0
_LEGEND = 44.0
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class _Box:
    """What a node looks like: its size, and the room that a loop to itself needs at its sides."""

    node: Node
    width: float
    height: float
    side: float = 0.0


def to_svg(picture: Picture) -> str:
    """Return an SVG document.

    Raises:
        TooLargeError: the workflow has so many long transitions that the drawing would be a tangle.
    """
    loops = {edge.source: edge for edge in picture.edges if edge.source == edge.target}
    boxes = [_box(node, loops.get(place)) for place, node in enumerate(picture.nodes)]
    labels: list[Size | None] = [
        (text_width(edge.label, _MARK) + 10, _MARK + 6) if edge.label and edge.source != edge.target else None
        for edge in picture.edges
    ]
    layout = lay_out(
        [(box.width, box.height) for box in boxes],
        [(edge.source, edge.target) for edge in picture.edges],
        labels,
        [box.side for box in boxes],
    )
    legend = list(_legend(picture))
    legend_width = sum(width for _, width in legend)
    width = max(layout.width, legend_width, text_width(picture.title, 16, bold=True)) + 2 * _MARGIN
    top = _MARGIN + _TITLE + (_START if any(node.is_start for node in picture.nodes) else 0)
    height = top + layout.height + (_LEGEND if legend else 0) + _MARGIN
    left = (width - layout.width) / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'width="{_n(width)}" height="{_n(height)}" font-family="{FONT}">',
        f"<title>{escape(picture.title)}</title>",
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>',
        _text(_MARGIN, _MARGIN + 14, picture.title, 16, INK, bold=True, anchor="start"),
        f'<g transform="translate({_n(left)} {_n(top)})">',
        *_body(picture, boxes, layout, loops),
        "</g>",
    ]
    x, y = _MARGIN, height - _MARGIN
    for kind, entry_width in legend:
        lines.append(_legend_entry(kind, x, y))
        x += entry_width
    return "\n".join([*lines, "</svg>"]) + "\n"


def _body(picture: Picture, boxes: list[_Box], layout: Layout, loops: dict[int, Edge]) -> Iterator[str]:
    for edge, route in zip(picture.edges, layout.routes, strict=True):
        if route.points:
            yield _edge(edge, route, picture)
    for place, edge in loops.items():
        yield _loop(edge, boxes[place], layout.centres[place])
    for box, centre in zip(boxes, layout.centres, strict=True):
        yield "".join(_node(box, centre))
    for edge, route in zip(picture.edges, layout.routes, strict=True):
        if route.label is not None:
            yield _label(edge.label, route.label, EDGE_COLOURS[edge.kind])


# Boxes


def _box(node: Node, loop: Edge | None) -> _Box:
    if node.is_command:
        if node.kind == "noop":
            return _Box(node, 44, 22)
        width = text_width(node.name, _SMALL, bold=True)
        if node.does:
            width = max(width, text_width(node.does, _MARK))
        return _Box(node, width + 28, 38 if node.does else 24)
    marks = sum(_mark_width(mark) + 5 for mark in node.marks) - 5
    width = max(
        text_width(_name(node), _NAME, bold=True),
        text_width(node.does, _SMALL),
        marks,
        64,
    )
    height = (46 if node.does else 30) + (_MARK_HEIGHT + 7 if node.marks else 0)
    side = 0.0
    if loop is not None:
        side = _LOOP + (text_width(loop.label, _MARK) + 8 if loop.label else 0)
    return _Box(node, width + 2 * _PADDING, height, side)


def _name(node: Node) -> str:
    return shortened(node.name, _LONGEST_NAME)


def _node(box: _Box, centre: Point) -> Iterator[str]:
    node = box.node
    x, y = centre[0] - box.width / 2, centre[1] - box.height / 2
    fill, stroke = NODE_COLOURS[node.kind]
    yield f'<g class="{node.kind}"><title>{escape(_tooltip(node))}</title>'
    if node.is_command:
        yield _rectangle(x, y, box, fill, stroke, box.height / 2)
        middle = centre[1] - (7 if node.does else 0)
        yield _text(centre[0], middle + 4, node.name, _SMALL, stroke, bold=True)
        if node.does:
            yield _text(centre[0], centre[1] + 12, node.does, _MARK, INK)
        yield "</g>"
        return
    if node.is_start:
        yield _start_mark(centre[0], y)
    if node.is_repeated:
        for sheet in (2 * _STACK, _STACK):
            yield _rectangle(x + sheet, y + sheet / 1.4, box, fill, stroke, 8)
    yield _rectangle(x, y, box, fill, stroke, 8, thick=node.is_start)
    if node.kind == "workflow":
        inner = _Box(node, box.width - 8, box.height - 8)
        yield _rectangle(x + 4, y + 4, inner, "none", stroke, 5, faint=True)
    yield _text(centre[0], y + 20, _name(node), _NAME, INK, bold=True)
    yield _text(centre[0], y + 36, node.does, _SMALL, FAINT)
    if node.marks:
        yield from _marks(node, centre[0], y + box.height - _MARK_HEIGHT - 8)
    yield "</g>"


def _marks(node: Node, middle: float, y: float) -> Iterator[str]:
    """Draw the remarks of a task as pills in a row."""
    x = middle - (sum(_mark_width(mark) + 5 for mark in node.marks) - 5) / 2
    for mark in node.marks:
        width = _mark_width(mark)
        yield (
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(_MARK_HEIGHT)}" '
            f'rx="{_n(_MARK_HEIGHT / 2)}" fill="#e2e8f0"/>'
        )
        yield _text(x + width / 2, y + 11.5, mark, _MARK, "#334155")
        x += width + 5


def _mark_width(mark: str) -> float:
    return text_width(mark, _MARK) + 14


def _start_mark(x: float, top: float) -> str:
    return (
        f'<circle cx="{_n(x)}" cy="{_n(top - 20)}" r="4.5" fill="{INK}"/>'
        f'<path d="M{_n(x)} {_n(top - 16)}V{_n(top - 6)}" stroke="{INK}" stroke-width="1.6"/>'
        f"{_arrow_head((x, top), True, INK)}"
    )


def _rectangle(
    x: float,
    y: float,
    box: _Box,
    fill: str,
    stroke: str,
    radius: float,
    *,
    thick: bool = False,
    faint: bool = False,
) -> str:
    width = 2 if thick else 0.8 if faint else 1.2
    dashes = ' stroke-dasharray="5 3"' if box.node.kind == "others" else ""
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(box.width)}" height="{_n(box.height)}" '
        f'rx="{_n(radius)}" fill="{fill}" stroke="{stroke}" stroke-width="{width}"{dashes}/>'
    )


def _tooltip(node: Node) -> str:
    return "\n".join(filter(None, (node.name, node.does, ", ".join(node.marks))))


# Arrows


def _edge(edge: Edge, route: Route, picture: Picture) -> str:
    colour = EDGE_COLOURS[edge.kind]
    points = route.points
    points_down = points[-1][1] >= points[-2][1] and points[-1][1] > points[0][1]
    # The line ends inside the arrow head, so that its end doesn't show beside the tip.
    tip = points[-1]
    end = (tip[0], tip[1] - _ARROW + 2 if points_down else tip[1] + _ARROW - 2)
    path = _path((*points[:-1], end))
    ends = f"{picture.nodes[edge.source].name} → {picture.nodes[edge.target].name}"
    guard = f"\n{edge.guard}" if edge.guard else ""
    return (
        f'<g class="{edge.kind}"><title>{escape(f"{ends}, {edge.kind}{guard}")}</title>'
        f'<path d="{path}" fill="none" {_line(edge.kind)}/>'
        f"{_arrow_head(tip, points_down, colour)}</g>"
    )


def _path(points: Iterable[Point]) -> str:
    """Join pairs of points by straight lines, and the pairs by curves that leave them vertically."""
    pieces: list[str] = []
    last: Point | None = None
    for number, (x, y) in enumerate(points):
        if last is None:
            pieces.append(f"M{_n(x)} {_n(y)}")
        elif number % 2 or abs(x - last[0]) < 0.5:
            pieces.append(f"L{_n(x)} {_n(y)}")
        else:
            middle = (last[1] + y) / 2
            pieces.append(f"C{_n(last[0])} {_n(middle)} {_n(x)} {_n(middle)} {_n(x)} {_n(y)}")
        last = (x, y)
    return "".join(pieces)


def _arrow_head(tip: Point, points_down: bool, colour: str) -> str:
    x, y = tip
    back = y - _ARROW if points_down else y + _ARROW
    return (
        f'<path d="M{_n(x)} {_n(y)}L{_n(x - _ARROW / 2)} {_n(back)}H{_n(x + _ARROW / 2)}Z" fill="{colour}"/>'
    )


def _loop(edge: Edge, box: _Box, centre: Point) -> str:
    """Draw an arrow from a box to itself, at its right side."""
    colour = EDGE_COLOURS[edge.kind]
    x, y = centre[0] + box.width / 2, centre[1]
    path = f"M{_n(x)} {_n(y + 10)}h8a10 10 0 0 0 0 -20h-2"
    head = f'<path d="M{_n(x)} {_n(y - 10)}l{_n(_ARROW)} -4v8Z" fill="{colour}"/>'
    label = (
        ""
        if not edge.label
        else _label(edge.label, (x + _LOOP + _label_width(edge.label) / 2 - 6, y), colour)
    )
    guard = f"\n{edge.guard}" if edge.guard else ""
    return (
        f'<g class="{edge.kind}"><title>{escape(f"{box.node.name}, {edge.kind}{guard}")}</title>'
        f'<path d="{path}" fill="none" {_line(edge.kind)}/>{head}{label}</g>'
    )


def _label(text: str, middle: Point, colour: str) -> str:
    width = _label_width(text)
    return (
        f'<g><rect x="{_n(middle[0] - width / 2)}" y="{_n(middle[1] - 8)}" width="{_n(width)}" height="16" '
        f'rx="3" fill="#ffffff" fill-opacity="0.92"/>'
        f"{_text(middle[0], middle[1] + 3.5, text, _MARK, colour)}</g>"
    )


def _label_width(text: str) -> float:
    return text_width(text, _MARK) + 8


def _line(kind: EdgeKind) -> str:
    dashes = f' stroke-dasharray="{EDGE_DASHES[kind]}"' if EDGE_DASHES[kind] else ""
    return f'stroke="{EDGE_COLOURS[kind]}" stroke-width="{EDGE_WIDTHS[kind]}"{dashes}'


# Legend and text


def _legend(picture: Picture) -> Iterator[tuple[EdgeKind, float]]:
    for kind in picture.edge_kinds:
        yield kind, 62 + text_width(kind, _SMALL)


def _legend_entry(kind: EdgeKind, x: float, y: float) -> str:
    return (
        f'<path d="M{_n(x)} {_n(y)}h30" fill="none" {_line(kind)}/>'
        f'<path d="M{_n(x + 36)} {_n(y)}l-8 -4v8Z" fill="{EDGE_COLOURS[kind]}"/>'
        f"{_text(x + 42, y + 4, kind, _SMALL, FAINT, anchor='start')}"
    )


def _text(
    x: float, y: float, text: str, size: float, colour: str, *, bold: bool = False, anchor: str = "middle"
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}" '
        f'text-anchor="{anchor}"{weight}>'
        f"{escape(text)}</text>"
    )


def _n(value: float) -> str:
    """Write a length with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
