"""Pictures of small workflows."""

from __future__ import annotations

import re
import textwrap

from tramontane.drawing import Edge, Picture, picture_of
from tramontane.lang import parse_workflows


def picture(text: str) -> Picture:
    """Return the picture of the only workflow in a text without its version line; ``t: {}`` does nothing."""
    filled = re.sub(r"(\w): \{\}", r"\1: {description: x}", textwrap.dedent(text))
    [workflow] = parse_workflows(f"version: '2.0'\n{filled}").workflows
    return picture_of(workflow.data)


def arrows(drawn: Picture) -> list[str]:
    """Write the edges as ``source kind target [label]``."""
    return [
        f"{_name(drawn, edge.source)} {edge.kind} {_name(drawn, edge.target)}{_label(edge)}"
        for edge in drawn.edges
    ]


def _name(drawn: Picture, place: int) -> str:
    return drawn.nodes[place].name


def _label(edge: Edge) -> str:
    return f" [{edge.label}]" if edge.label else ""


EVERYTHING = """
    deploy:
      input: [vms]
      task-defaults: {on-error: clean_up}
      tasks:
        prepare:
          action: std.http url='http://h'
          retry: {count: 3, delay: 1}
          on-success: [build, {ask: <% $.vms.len() > 10 %>}]
        ask: {pause-before: true, on-success: build}
        build:
          with-items: vm in <% $.vms %>
          workflow: build_one
          timeout: 60
          on-success: [check, check_again]
          on-complete: noop
        check: {on-success: done}
        check_again: {on-success: [{check_again: <% $.again %>}, done]}
        done: {join: all, on-success: "succeed(msg='all is \\"well\\" & <done>')"}
        clean_up: {on-complete: fail, on-skip: pause}
"""
"""A workflow with every kind of node and edge."""
