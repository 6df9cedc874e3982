"""Workflows of any size, for benchmarks."""

from __future__ import annotations


def chain(name: str, length: int) -> str:
    """Tasks one after the other, each with an action and a variable that the next one reads."""
    lines = [
        "version: '2.0'",
        f"{name}:",
        "  input: [{x: seed}]",
        "  output: {x: <% $.x.len() %>}",
        "  tasks:",
    ]
    for n in range(length):
        lines += [
            f"    t{n}:",
            f"      action: std.echo output={n}",
            "      publish: {last: <% task().result %>}",
        ]
        if n == 0:
            lines[-1] = "      publish: {x: <% $.x %>, last: 0}"
        if n < length - 1:
            lines.append(f"      on-success: t{n + 1}")
    return "\n".join(lines) + "\n"


def fan(name: str, width: int) -> str:
    """Tasks side by side, and a join of all of them."""
    lines = ["version: '2.0'", f"{name}:", "  tasks:"]
    for n in range(width - 1):
        lines += [f"    t{n}: {{action: std.echo output={n}, on-success: meet}}"]
    return "\n".join([*lines, "    meet: {join: all}"]) + "\n"


def stages(name: str, tasks: int) -> str:
    """Stages of ten tasks: each forks into eight that publish a variable of their own, and joins them."""
    lines = ["version: '2.0'", f"{name}:", "  tasks:"]
    for stage in range(max(1, tasks // 10)):
        middle = [f"s{stage}_{n}" for n in range(8)]
        lines += [f"    fork{stage}:"]
        if stage:
            lines += [f"      action: std.echo output=<% $.v{stage - 1}_0 %>"]
        lines += [f"      on-success: [{', '.join(middle)}]"]
        for n, task in enumerate(middle):
            lines += [
                f"    {task}:",
                f"      action: std.echo output={n}",
                f"      publish: {{v{stage}_{n}: <% task().result %>}}",
                f"      on-success: join{stage}",
            ]
        lines += [f"    join{stage}:", "      join: all"]
        if stage < max(1, tasks // 10) - 1:
            lines += [f"      on-success: fork{stage + 1}"]
    return "\n".join(lines) + "\n"


def loop(name: str, rounds: int) -> str:
    """One task that starts itself again, so many times."""
    return f"""version: '2.0'
{name}:
  vars: {{n: 0}}
  output: {{n: <% $.n %>}}
  tasks:
    first:
      on-success: step
    step:
      action: std.echo output=<% $.n %>
      publish: {{n: <% $.n + 1 %>}}
      on-success:
        - step: <% $.n < {rounds} %>
"""


def waiting_after_loop(name: str, rounds: int, waits: int) -> str:
    """A loop of so many rounds, then tasks one after the other that wait for their result from outside."""
    lines = [
        loop(name, rounds).rstrip(),
        f"        - wait0: <% $.n >= {rounds} %>",
    ]
    for n in range(waits):
        lines += [f"    wait{n}:", "      action: std.async_noop"]
        if n < waits - 1:
            lines += [f"      on-success: wait{n + 1}"]
    return "\n".join(lines) + "\n"


def items(name: str, count: int, action: str, concurrency: int = 0) -> str:
    """One task over so many items."""
    limit = f"\n      concurrency: {concurrency}" if concurrency else ""
    return f"""version: '2.0'
{name}:
  output: {{count: <% task(a).result.len() %>}}
  tasks:
    a:
      with-items: i in <% range({count}) %>
      action: {action}{limit}
"""
