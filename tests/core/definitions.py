"""Workflows whose outcome does not depend on what ends first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Example:
    """A tree of workflows for the simulation.

    ``failing`` says how often the action of a task fails before it succeeds, ``hanging`` whose
    actions never end; ``is_rerun``: failed tasks are run again until the workflow succeeds.
    """

    name: str
    text: str
    state: str = "SUCCESS"
    failing: dict[str, int] = field(default_factory=dict)
    hanging: frozenset[str] = frozenset()
    params: dict[str, Any] = field(default_factory=dict)
    is_rerun: bool = False


DEFINITIONS = (
    Example(
        "diamond",
        """
        wf:
          output: {all: "<% [$.a, $.b, $.c, $.d] %>"}
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, publish: {a: <% task().result %>}, on-success: [b, c]}
            b: {action: job, publish: {b: <% task().result %>}, on-success: d}
            c: {action: job, publish: {c: <% $.a %>}, on-complete: d}
            d: {join: all, action: job, publish: {d: <% $.b + $.c %>}}
        """,
    ),
    Example(
        "joins behind joins",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, on-success: [j1, j2]}
            b: {action: job, on-success: j1, on-error: [h, j2]}
            c: {action: job, on-success: j2}
            j1: {join: all, action: job, on-error: j3, on-success: j3}
            j2: {join: 2, action: job, on-complete: j3}
            j3: {join: all, publish: {end: true}}
            h: {action: job, publish: {h: 1}}
        """,
        state="SUCCESS",
        failing={"b": 99},
    ),
    Example(
        "items",
        """
        wf:
          output: {r: <% $.r %>, n: <% $.n %>}
          task-defaults: {safe-rerun: true}
          tasks:
            a:
              with-items: i in <% range(7) %>
              concurrency: 2
              action: job i=<% $.i %>
              publish: {r: <% task().result %>}
              on-success: j
            b:
              with-items: ['i in [1, 2, 3]', 'k in [4, 5, 6]']
              action: std.echo output=<% $.i + $.k %>
              publish: {n: <% task().result %>}
              on-success: j
            c: {with-items: "i in []", action: job, on-success: j}
            j: {join: all, with-items: "i in [1, 2]", concurrency: 1, action: job}
        """,
    ),
    Example(
        "retries and waits",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, retry: {count: 3, delay: 1}, publish: {a: <% task().result %>}, on-success: j}
            b: {action: job, wait-before: 2, wait-after: 1, publish: {b: 1}, on-success: j}
            c: {action: job, retry: {count: 1, delay: 0}, publish-on-error: {c: 1}, on-error: [d, j]}
            d: {with-items: "i in [1, 2]", action: job, retry: {count: 2, delay: 1}}
            j: {join: all, action: job, retry: {count: 2, delay: 1}, wait-before: 1}
        """,
        failing={"a": 2, "c": 99, "d": 1, "j": 1},
    ),
    Example(
        "timeouts",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, timeout: 200, on-success: j}
            b: {action: ajob, on-success: j}
            c: {action: job, timeout: 1, retry: {count: 2, delay: 1}, on-error: [h, j]}
            h: {}
            j: {join: all}
        """,
        hanging=frozenset({"c"}),
    ),
    Example(
        "sub-workflows",
        """
        wf:
          output: {r: <% $.r %>, e: <% $.e %>}
          task-defaults: {safe-rerun: true}
          tasks:
            a: {workflow: mid p=1, publish: {r: <% task().result %>}, on-success: j}
            b: {workflow: bad, publish-on-error: {e: <% task().result %>}, on-error: j}
            c:
              with-items: i in [1, 2, 3]
              concurrency: 2
              workflow: leaf p=<% $.i %>
              on-success: j
            j: {join: all}
        mid:
          input: [p]
          output: {m: <% $.l %>, env: <% env().k %>}
          task-defaults: {safe-rerun: true}
          tasks:
            x: {workflow: leaf p=<% $.p %>, publish: {l: <% task().result.v %>}, on-success: y}
            y: {action: job}
        leaf:
          input: [p]
          output: {v: <% $.p * 2 %>}
          task-defaults: {safe-rerun: true}
          tasks:
            t: {action: job, on-success: u}
            u: {action: job}
        bad:
          output-on-error: {code: 7}
          task-defaults: {safe-rerun: true}
          tasks:
            t: {action: job, on-success: [{fail: <% true %>}]}
        """,
    ),
    Example(
        "retried sub-workflow",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {workflow: sub, retry: {count: 2, delay: 1}, on-error: b}
            b: {action: job}
        sub:
          task-defaults: {safe-rerun: true}
          tasks:
            t: {action: job, retry: {count: 1, delay: 0}}
        """,
        failing={"t": 99},
    ),
    Example(
        "a join in a cycle",
        """
        wf:
          vars: {n: 0}
          output: {n: <% $.n %>}
          task-defaults: {safe-rerun: true}
          tasks:
            s: {action: job, on-success: [x, y]}
            x: {action: job, on-success: j}
            y: {action: job, on-success: j}
            j:
              join: all
              action: job
              publish: {n: <% $.n + 1 %>}
              on-success: [{x: <% $.n < 4 %>}, {z: <% $.n = 4 %>}]
            z: {publish: {last: <% task(j).result %>}}
        """,
    ),
    Example(
        "a loop",
        """
        wf:
          vars: {n: 0}
          output: {n: <% $.n %>, b: <% $.b %>}
          task-defaults: {safe-rerun: true}
          tasks:
            s: {on-success: [a, b], action: job}
            a:
              action: job
              publish: {n: <% $.n + 1 %>}
              on-success: [{a: <% $.n < 5 %>}, {j: <% $.n = 5 %>}]
            b: {action: job, publish: {b: 1}, on-success: j}
            j: {join: all}
        """,
    ),
    Example(
        "reverse",
        """
        wf:
          type: reverse
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, publish: {s: a}}
            b: {action: job, requires: [a], publish: {s: b}}
            c: {action: job, requires: [a], retry: {count: 1, delay: 1}}
            c2: {workflow: sub, requires: [c]}
            d: {action: job, requires: [b, c2], publish: {seen: <% $.s %>}}
            e: {action: job, requires: [d]}
        sub: {task-defaults: {safe-rerun: true}, tasks: {t: {action: job}}}
        """,
        params={"task_name": "d"},
        failing={"c": 1},
    ),
    Example(
        "unhandled errors",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, on-success: j}
            b: {action: job, on-success: j}
            c: {action: job, on-complete: d}
            d: {action: job, on-success: [e, k]}
            e: {action: job}
            j: {join: all, on-error: k}
            k: {join: one, action: job}
        """,
        state="ERROR",
        failing={"b": 99, "c": 99},
    ),
    Example(
        "pauses",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, on-success: [b, pause, c, j]}
            b: {action: job, pause-before: true, on-success: j}
            c: {action: job, wait-before: 1}
            d: {workflow: sub, on-success: j}
            j: {join: all, action: job}
        sub:
          task-defaults: {safe-rerun: true}
          tasks:
            t: {action: job, pause-before: true, on-success: [pause, u]}
            u: {action: ajob}
        """,
    ),
    Example(
        "reruns",
        """
        wf:
          task-defaults: {safe-rerun: true}
          tasks:
            a: {action: job, publish: {a: 1}, on-success: j}
            b: {workflow: sub, publish: {b: <% task().result %>}, on-success: j}
            c: {with-items: "i in [1, 2]", action: job, on-success: j}
            j: {join: all, action: job, publish: {j: "<% [$.a, $.b] %>"}}
        sub:
          output: {x: <% $.x %>}
          task-defaults: {safe-rerun: true}
          tasks:
            t: {action: job, publish: {x: <% task().result %>}, on-success: u}
            u: {action: job, publish: {y: 1}}
        """,
        failing={"a": 1, "c": 1, "j": 2, "t": 1, "u": 1},
        is_rerun=True,
    ),
    Example(
        "wide",
        "wf:\n  task-defaults: {safe-rerun: true}\n  tasks:\n"
        + "".join(f"    t{n}: {{action: job, publish: {{v{n}: {n}}}, on-success: j}}\n" for n in range(20))
        + "    j: {join: all}\n",
    ),
)

DISORDERLY = (
    Example(
        "items of sub-workflows",
        """
        wf:
          task-defaults: {on-error: h}
          tasks:
            a:
              with-items: i in <% range(5) %>
              concurrency: 2
              workflow: sub p=<% $.i %>
              retry: {count: 1, delay: 1}
              timeout: 30
              on-success: j
            b: {with-items: "i in [1, 2, 3]", action: ajob, wait-after: 2, on-success: j}
            c: {action: ajob, timeout: 5, retry: {count: 2, delay: 1}, on-complete: j}
            j: {join: 2, action: job, pause-before: true, on-skip: h, on-success: [k, succeed, h]}
            k: {workflow: sub p=1}
            h: {join: one, action: job}
        sub:
          input: [p]
          output: {v: <% $.x + $.p %>}
          tasks:
            t: {action: ajob, wait-before: 1, publish: {x: 1}, on-success: [pause, u], on-error: [v, fail]}
            u: {action: job, fail-on: "<% $.p = 3 %>"}
            v: {action: job, wait-before: 2}
        """,
        failing={"j": 1, "h": 1},
    ),
    Example(
        "globals and loops",
        """
        wf:
          vars: {n: 0}
          tasks:
            s: {action: job, on-complete: [x, y]}
            x:
              action: job
              keep-result: false
              on-complete:
                publish: {global: {n: <% $.n + 1 %>}}
                next: [j, {x: <% $.n < 2 %>}]
            y: {workflow: deep, on-complete: j}
            j: {join: all, action: job, on-success: [{y: <% $.n < 3 %>}], on-error: [{x: <% $.n < 4 %>}]}
        deep: {tasks: {d: {workflow: deeper, on-error: [{e: <% global(g) %>}]}, e: {action: job}}}
        deeper: {tasks: {t: {action: ajob, publish: {z: <% env().k %>}}, u: {action: job, on-error: noop}}}
        """,
        failing={"t": 1, "u": 1, "x": 1},
    ),
)
