"""Changes to a template's tree before code is made of it, so that loops tick and structures are weighed."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from tramontane.expressions.jinja_sandbox import BOUND, CONCAT, GUARD


class Watch(NodeTransformer):
    """Puts the environment's own filters around loops' iterables, ``~``, lists, tuples and maps."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, BOUND)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.Tuple(node.nodes, "load", lineno=node.lineno), CONCAT)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return self._guarded(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return self._guarded(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        if node.ctx != "load":
            return node
        return self._guarded(node)

    def _guarded(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        if all(isinstance(child, nodes.Const) for child in node.iter_child_nodes()):
            return node  # type: ignore[no-any-return]
        return _filtered(node, GUARD)


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
