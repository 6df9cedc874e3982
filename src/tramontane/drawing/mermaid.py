"""A picture as a Mermaid flowchart, for Markdown files and wikis that draw it."""

from __future__ import annotations

from tramontane.drawing.picture import Edge, EdgeKind, Node, Picture
from tramontane.drawing.style import EDGE_COLOURS, NODE_COLOURS

_ARROWS: dict[EdgeKind, str] = {
    "on-success": "-->",
    "on-error": "-.->",
    "on-complete": "==>",
    "on-skip": "-.->",
    "requires": "-->",
}
_SHAPES: dict[str, tuple[str, str]] = {
    "action": ("(", ")"),
    "workflow": ("[[", "]]"),
    "join": ("{{", "}}"),
    "command": ("([", "])"),
    "others": ("[/", "/]"),
}
_SPECIAL = {char: f"#{ord(char)};" for char in '#"<>&`\\|[]{}()%;'}


def to_mermaid(picture: Picture) -> str:
    """Return the text of a flowchart."""
    lines = ["---", f"title: {_yaml_text(picture.title)}", "---", "flowchart TD"]
    lines += [f"    n{place}{_shape(node)}" for place, node in enumerate(picture.nodes)]
    lines += [f"    {_edge(edge)}" for edge in picture.edges]
    lines += _link_styles(picture)
    for kind, (fill, stroke) in NODE_COLOURS.items():
        places = [f"n{place}" for place, node in enumerate(picture.nodes) if node.kind == kind]
        if places:
            lines.append(f"    classDef {kind} fill:{fill},stroke:{stroke},color:#111")
            lines.append(f"    class {','.join(places)} {kind}")
    starts = [f"n{place}" for place, node in enumerate(picture.nodes) if node.is_start]
    if starts:
        lines.append("    classDef first stroke-width:3px")
        lines.append(f"    class {','.join(starts)} first")
    return "\n".join(lines) + "\n"


def _shape(node: Node) -> str:
    kind = "command" if node.is_command else "join" if node.is_join else node.kind
    opening, closing = _SHAPES[kind]
    parts = [f"<b>{_escaped(node.name)}</b>"]
    if node.does:
        parts.append(_escaped(node.does))
    if node.marks:
        parts.append(f"<i>{_escaped(', '.join(node.marks))}</i>")
    return f'{opening}"{"<br/>".join(parts)}"{closing}'


def _edge(edge: Edge) -> str:
    label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
    return f"n{edge.source} {_ARROWS[edge.kind]}{label} n{edge.target}"


def _link_styles(picture: Picture) -> list[str]:
    """One line for each colour, since links have no names but their numbers."""
    lines = []
    for kind in picture.edge_kinds:
        numbers = ",".join(str(number) for number, edge in enumerate(picture.edges) if edge.kind == kind)
        lines.append(f"    linkStyle {numbers} stroke:{EDGE_COLOURS[kind]}")
    return lines


def _escaped(text: str) -> str:
    """Write characters that mean something to Mermaid or HTML as entities of Mermaid."""
    return "".join(_SPECIAL.get(char, char) for char in text)


def _yaml_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
