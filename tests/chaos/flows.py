"""The load: one workflow of each kind that can go wrong differently, and how each must end.

Actions that may be sent again (``safe-rerun``) leave no trace of a fault in the outcome. One that may not
is lost with its node: its workflow notes which path it took, and the outside tells whether the action ran.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DOCUMENT = """
version: '2.0'

gather:
  input: [url]
  output:
    parts: <% [$.a, $.b, $.c] %>
  tasks:
    a:
      action: std.http url='<% $.url %>/hit/<% execution().id %>/a'
      safe-rerun: true
      publish:
        a: <% task().result.content.said %>
      on-success: meet
    b:
      action: std.http url='<% $.url %>/hit/<% execution().id %>/b'
      safe-rerun: true
      publish:
        b: <% task().result.content.said %>
      on-success: meet
    c:
      action: std.http url='<% $.url %>/hit/<% execution().id %>/c'
      safe-rerun: true
      publish:
        c: <% task().result.content.said %>
      on-success: meet
    meet:
      join: all

once:
  input: [url]
  output:
    path: <% $.path %>
  tasks:
    act:
      action: std.http url='<% $.url %>/once/<% execution().id %>/act'
      publish: {path: done}
      publish-on-error: {path: lost}
      on-success: done
      on-error: lost
    done: {action: std.noop}
    lost: {action: std.noop}

items:
  input: [url]
  output:
    all: <% $.all %>
  tasks:
    each:
      with-items: i in <% range(5) %>
      concurrency: 2
      action: std.http url='<% $.url %>/hit/<% execution().id %>/<% $.i %>'
      safe-rerun: true
      publish:
        all: <% task().result.select($.content.said) %>

retrying:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    act:
      action: std.http url='<% $.url %>/flaky/<% execution().id %>/act'
      retry: {count: 9, delay: 1}
      publish:
        said: <% task().result.content.said %>

parent:
  input: [url]
  output:
    said: <% [$.left, $.right] %>
  tasks:
    left:
      workflow: child url=<% $.url %>
      publish:
        left: <% task().result.said %>
      on-success: meet
    right:
      workflow: child url=<% $.url %>
      publish:
        right: <% task().result.said %>
      on-success: meet
    meet:
      join: all

child:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    act:
      action: std.http url='<% $.url %>/hit/<% execution().id %>/act'
      safe-rerun: true
      publish:
        said: <% task().result.content.said %>
      on-success: after
    after: {action: std.noop}

waiting:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    first: {action: std.noop, wait-after: 1, on-success: second}
    second:
      action: std.echo output='late'
      wait-before: 1
      publish:
        said: <% task().result %>

held:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    first: {action: std.noop, wait-before: 1, on-success: second}
    second:
      action: std.echo output='on'
      publish:
        said: <% task().result %>

outside:
  input: [url]
  output:
    path: <% $.path %>
    said: <% $.said %>
  tasks:
    act:
      action: std.async_noop
      publish:
        path: done
        said: <% task().result.said %>
      publish-on-error: {path: lost, said: null}
      on-success: done
      on-error: lost
    done: {action: std.noop}
    lost: {action: std.noop}
"""


@dataclass(frozen=True)
class Model:
    """``output`` and ``tasks`` (how often each is there) of an execution that ended as it must."""

    output: Mapping[str, Any]
    tasks: Mapping[str, int]
    loses: bool = False  # takes this way only when the node that ran its action was lost


def _tasks(*names: str) -> Counter[str]:
    return Counter(names)


MODELS: dict[str, tuple[Model, ...]] = {
    "gather": (Model({"parts": ["a", "b", "c"]}, _tasks("a", "b", "c", "meet")),),
    "once": (
        Model({"path": "done"}, _tasks("act", "done")),
        Model({"path": "lost"}, _tasks("act", "lost"), loses=True),
    ),
    "items": (Model({"all": ["0", "1", "2", "3", "4"]}, _tasks("each")),),
    "retrying": (Model({"said": "act"}, _tasks("act")),),
    "parent": (Model({"said": ["act", "act"]}, _tasks("left", "right", "meet")),),
    "waiting": (Model({"said": "late"}, _tasks("first", "second")),),
    "held": (Model({"said": "on"}, _tasks("first", "second")),),
    "outside": (
        Model({"path": "done", "said": "from outside"}, _tasks("act", "done")),
        Model({"path": "lost", "said": None}, _tasks("act", "lost"), loses=True),
    ),
}
