"""A picture in DOT, the language of Graphviz."""

from __future__ import annotations

from tramontane.drawing.picture import Edge, EdgeKind, Node, Picture
from tramontane.drawing.style import EDGE_COLOURS, EDGE_DASHES, NODE_COLOURS

_HEAD = """    rankdir=TB
    node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]
    edge [fontname="Helvetica", fontsize=9, fontcolor="#555555"]
"""


def to_dot(picture: Picture) -> str:
    """Return the text of a directed graph."""
    lines = [f"digraph {_quoted(picture.title)} {{", f'    label={_quoted(picture.title)}; labelloc="t"']
    lines += _HEAD.splitlines()
    lines += [f"    n{place} [{_node(node)}]" for place, node in enumerate(picture.nodes)]
    lines += [f"    n{edge.source} -> n{edge.target} [{_edge(edge)}]" for edge in picture.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _node(node: Node) -> str:
    fill, stroke = NODE_COLOURS[node.kind]
    label = [node.name, *filter(None, (node.does, ", ".join(node.marks)))]
    attributes = {"label": "\n".join(label), "fillcolor": fill, "color": stroke}
    if node.is_command:
        attributes |= {"shape": "ellipse", "style": "filled"}
    elif node.is_join:
        attributes |= {"shape": "hexagon", "style": "filled"}
    elif node.is_repeated:
        attributes |= {"shape": "box3d", "style": "filled"}
    elif node.kind == "others":
        attributes["style"] = "rounded,dashed"
    if node.kind == "workflow":
        attributes["peripheries"] = "2"
    if node.is_start:
        attributes["penwidth"] = "2.5"
    return ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())


def _edge(edge: Edge) -> str:
    attributes = {"color": EDGE_COLOURS[edge.kind], "tooltip": _tooltip(edge)}
    if edge.label:
        attributes["label"] = edge.label
    if EDGE_DASHES[edge.kind]:
        attributes["style"] = _STYLES[edge.kind]
    return ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())


_STYLES: dict[EdgeKind, str] = {"on-error": "dashed", "on-skip": "dotted", "on-complete": "bold"}


def _tooltip(edge: Edge) -> str:
    return f"{edge.kind}: {edge.guard}" if edge.guard else edge.kind


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
