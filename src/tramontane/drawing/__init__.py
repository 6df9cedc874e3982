"""Drawings of workflows: tasks as boxes, transitions as arrows; as Mermaid, DOT or SVG text.

:func:`picture_of` reads a stored workflow into nodes and edges, and each format is a function from
that to text. Nothing here runs another program: the SVG's places are worked out by :mod:`.layout`.
"""

from tramontane.drawing.dot import to_dot
from tramontane.drawing.mermaid import to_mermaid
from tramontane.drawing.picture import Edge, Node, Picture, picture_of
from tramontane.drawing.svg import to_svg

__all__ = ["Edge", "Node", "Picture", "picture_of", "to_dot", "to_mermaid", "to_svg"]
