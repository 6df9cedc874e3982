"""Colours and lines that all formats share. Kinds of edges differ in dashes too, for those who can't
tell the colours apart and for printers."""

from __future__ import annotations

from tramontane.drawing.picture import EdgeKind, NodeKind

NODE_COLOURS: dict[NodeKind, tuple[str, str]] = {  # fill, outline
    "action": ("#f8fafc", "#64748b"),
    "workflow": ("#f5f3ff", "#7c3aed"),
    "others": ("#ffffff", "#94a3b8"),
    "noop": ("#f1f5f9", "#94a3b8"),
    "fail": ("#fee2e2", "#dc2626"),
    "succeed": ("#dcfce7", "#16a34a"),
    "pause": ("#fef3c7", "#d97706"),
}
EDGE_COLOURS: dict[EdgeKind, str] = {
    "on-success": "#15803d",
    "on-error": "#dc2626",
    "on-complete": "#475569",
    "on-skip": "#d97706",
    "requires": "#475569",
}
EDGE_DASHES: dict[EdgeKind, str] = {  # as SVG's stroke-dasharray; empty: a full line
    "on-success": "",
    "on-error": "6 4",
    "on-complete": "",
    "on-skip": "2 4",
    "requires": "",
}
EDGE_WIDTHS: dict[EdgeKind, float] = {
    "on-success": 1.6,
    "on-error": 1.6,
    "on-complete": 2.6,
    "on-skip": 1.8,
    "requires": 1.6,
}
