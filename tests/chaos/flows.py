"""The load: one workflow of each kind that can go wrong differently, and how each must end.

Actions that may be sent again (``safe-rerun``) leave no trace of a fault in the outcome. One that may not
is lost with the process that ran it: its workflow notes which path it took, and the outside tells whether
the action ran. Paths outside are ``/<rule>/<execution>/<place>``; the rules are told in
:mod:`tests.chaos.outside`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DOCUMENT: Final = """
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

pooled:
  input: [url]
  output:
    path: <% $.path %>
  tasks:
    act:
      action: std.http url='<% $.url %>/once/<% execution().id %>/act'
      target: blue
      publish: {path: done}
      publish-on-error: {path: lost}
      on-success: done
      on-error: lost
    done: {action: std.noop}
    lost: {action: std.noop}

pooled_items:
  input: [url]
  output:
    all: <% $.all %>
  tasks:
    each:
      with-items: i in <% range(3) %>
      action: std.http url='<% $.url %>/hit/<% execution().id %>/<% $.i %>'
      target: blue
      safe-rerun: true
      publish:
        all: <% task().result.select($.content.said) %>

worked:
  input: [url]
  output:
    path: <% $.path %>
  tasks:
    act:
      action: chaos.once url='<% $.url %>/once/<% execution().id %>/act'
      publish: {path: done}
      publish-on-error: {path: lost}
      on-success: done
      on-error: lost
    done: {action: std.noop}
    lost: {action: std.noop}

worked_again:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    act:
      action: chaos.safe url='<% $.url %>/hit/<% execution().id %>/act'
      safe-rerun: true
      publish:
        said: <% task().result %>

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

items_once:
  input: [url]
  output:
    path: <% $.path %>
  tasks:
    act:
      with-items: i in <% range(4) %>
      concurrency: 2
      action: std.http url='<% $.url %>/once/<% execution().id %>/<% $.i %>'
      publish: {path: done}
      publish-on-error: {path: lost}
      on-success: done
      on-error: lost
    done: {action: std.noop}
    lost: {action: std.noop}

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

refused:
  input: [url]
  output:
    status: <% $.status %>
  tasks:
    act:
      action: std.http url='<% $.url %>/refuse/<% execution().id %>/act'
      safe-rerun: true
      publish-on-error:
        status: <% task().result.status %>
      on-success: done
      on-error: handled
    done: {action: std.noop}
    handled: {action: std.noop}

overdue:
  input: [url]
  output:
    path: <% $.path %>
  tasks:
    act:
      action: std.http url='<% $.url %>/hang/<% execution().id %>/act'
      timeout: 2
      publish-on-error: {path: late}
      on-success: done
      on-error: late
    done: {action: std.noop}
    late: {action: std.noop}

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

tree:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    grow:
      with-items: i in <% range(2) %>
      workflow: branch url=<% $.url %>
      publish:
        said: <% task().result.select($.said) %>

branch:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    before: {action: std.noop, wait-after: 1, on-success: call}
    call:
      workflow: child url=<% $.url %>
      publish:
        said: <% task().result.said %>

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

backwards:
  type: reverse
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    base:
      action: std.http url='<% $.url %>/hit/<% execution().id %>/base'
      safe-rerun: true
      publish:
        said: <% task().result.content.said %>
    other: {action: std.noop, wait-before: 1}
    goal:
      action: std.noop
      requires: [base, other]
    unneeded: {action: std.noop}

big:
  input: [url, blob]
  output:
    blob: <% $.again %>
    size: <% $.size %>
  tasks:
    fetch:
      action: std.http url='<% $.url %>/big/<% execution().id %>/blob'
      safe-rerun: true
      publish:
        fetched: <% task().result.content.said %>
      on-success: pass
    pass:
      workflow: carrier blob=<% $.blob %> fetched=<% $.fetched %>
      publish:
        again: <% task().result.blob %>
        size: <% task().result.size %>

carrier:
  input: [blob, fetched]
  output:
    blob: <% $.blob %>
    size: <% $.size %>
  tasks:
    measure:
      action: std.echo output=<% $.fetched %>
      wait-before: 1
      publish:
        size: <% len(task().result) %>

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

held_tree:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    call:
      workflow: branch url=<% $.url %>
      publish:
        said: <% task().result.said %>

gated:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    first: {action: std.noop, on-success: second}
    second:
      action: std.http url='<% $.url %>/hit/<% execution().id %>/second'
      safe-rerun: true
      pause-before: true
      publish:
        said: <% task().result.content.said %>

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

stopped:
  input: [url]
  tasks:
    call:
      workflow: endless url=<% $.url %>
      on-complete: never
    never: {action: std.noop}

endless:
  input: [url]
  tasks:
    act: {action: std.async_noop, safe-rerun: true, on-complete: never}
    never: {action: std.noop}

mended:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    act:
      action: std.http url='<% $.url %>/broken/<% execution().id %>/act'
      publish:
        said: <% task().result.content.said %>
      on-success: after
    after: {action: std.noop}

mended_deep:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    call:
      workflow: middle url=<% $.url %>
      publish:
        said: <% task().result.said %>
      on-success: after
    after: {action: std.noop}

middle:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    call:
      workflow: mended url=<% $.url %>
      publish:
        said: <% task().result.said %>
"""

BLOB: Final = "carried along unchanged, " * 1200
"""What goes into an execution and must come out of it: 30 KB."""

FETCHED: Final = 40_000
"""How long the text is that the outside gives to :path:`/big/`."""

Kinds = frozenset[str]
_ANYBODY: Final = frozenset({"node", "executor"})
"""Who runs actions without a target."""


@dataclass(frozen=True)
class Way:
    """One end of an execution that is right.

    ``output`` None: any. ``tasks``: how often each is there, by name and state. ``lost_by``: right only
    when a process of these kinds was lost, and an action with it. ``ran``: places outside that were
    reached exactly once.
    """

    output: Mapping[str, Any] | None
    tasks: Mapping[tuple[str, str], int]
    state: str = "SUCCESS"
    lost_by: Kinds = frozenset()
    ran: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flow:
    """A kind of execution. ``tree``: how many executions of each workflow are below it."""

    ways: tuple[Way, ...]
    given: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tree: Mapping[str, int] = field(default_factory=dict)


def _tasks(*names: str, **others: str) -> Counter[tuple[str, str]]:
    """``names`` end well; ``others``: names and states."""
    return Counter([*((name, "SUCCESS") for name in names), *others.items()])


def _only(output: Mapping[str, Any], *names: str, **more: Any) -> Flow:
    """A flow that nothing may lead astray."""
    return Flow((Way(output, _tasks(*names)),), **more)


def _done_or_lost(lost_by: Kinds, *places: str, **said: tuple[Any, Any]) -> Flow:
    """A flow that knows what became of the action of its task ``act``."""
    done = {"path": "done", **{name: value for name, (value, _) in said.items()}}
    lost = {"path": "lost", **{name: value for name, (_, value) in said.items()}}
    return Flow(
        (
            Way(done, _tasks("act", "done"), ran=places),
            Way(lost, _tasks("lost", act="ERROR"), lost_by=lost_by),
        )
    )


FLOWS: Final[Mapping[str, Flow]] = {
    "gather": _only({"parts": ["a", "b", "c"]}, "a", "b", "c", "meet"),
    "once": _done_or_lost(_ANYBODY, "act"),
    "pooled": _done_or_lost(frozenset({"executor"}), "act"),
    "pooled_items": _only({"all": ["0", "1", "2"]}, "each"),
    "worked": _done_or_lost(frozenset({"worker"}), "act"),
    "worked_again": _only({"said": "act"}, "act"),
    "items": _only({"all": ["0", "1", "2", "3", "4"]}, "each"),
    "items_once": _done_or_lost(_ANYBODY, "0", "1", "2", "3"),
    "retrying": _only({"said": "act"}, "act"),
    "refused": Flow((Way({"status": 500}, _tasks("handled", act="ERROR")),)),
    "overdue": Flow((Way({"path": "late"}, _tasks("late", act="ERROR")),)),
    "parent": _only({"said": ["act", "act"]}, "left", "right", "meet", tree={"child": 2}),
    "tree": _only({"said": ["act", "act"]}, "grow", tree={"branch": 2, "child": 2}),
    "waiting": _only({"said": "late"}, "first", "second"),
    "backwards": _only({"said": "base"}, "base", "other", "goal", params={"task_name": "goal"}),
    "big": _only({"blob": BLOB, "size": FETCHED}, "fetch", "pass", given={"blob": BLOB}, tree={"carrier": 1}),
    "held": _only({"said": "on"}, "first", "second"),
    "held_tree": _only({"said": "act"}, "call", tree={"branch": 1, "child": 1}),
    "gated": _only({"said": "second"}, "first", "second"),
    "outside": _done_or_lost(_ANYBODY, said=("from outside", None)),
    "stopped": Flow((Way(None, _tasks(call="CANCELLED"), "CANCELLED"),), tree={"endless": 1}),
    "mended": _only({"said": "act"}, "act", "after"),
    "mended_deep": _only({"said": "act"}, "call", "after", tree={"middle": 1, "mended": 1}),
}

NO_POOLS: Final = tuple(name for name in FLOWS if not name.startswith(("pooled", "worked")))
"""Flows for nodes that are alone."""
