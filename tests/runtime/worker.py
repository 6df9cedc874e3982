"""A node in a process of its own that starts executions until it is killed.

Called with a database URL and a prefix for ids; writes the id of every execution that was
acknowledged to its standard output, one a line.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from itertools import count

from tests.service.harness import ALICE, a_node, upload

from tramontane.errors import ConflictError
from tramontane.service.services import StartOrder

WORKFLOWS = """
line:
  task-defaults: {safe-rerun: true}
  tasks:
    a: {action: std.sleep seconds=0, on-success: b}
    b: {action: std.noop, on-success: c}
    c: {action: std.sleep seconds=0, on-success: d}
    d: {action: std.echo output=1}
items:
  tasks:
    a: {with-items: i in <% range(5) %>, concurrency: 2, action: std.sleep seconds=0, safe-rerun: true,
        on-success: b}
    b: {action: std.noop}
timer:
  tasks:
    a: {action: std.noop, wait-before: 1, on-success: b}
    b: {action: std.sleep seconds=0, safe-rerun: true}
leaf:
  tasks:
    l: {action: std.sleep seconds=0, safe-rerun: true, on-success: m}
    m: {action: std.noop}
tree:
  tasks:
    s: {workflow: leaf, on-success: t}
    t: {workflow: leaf, on-success: z}
    z: {action: std.noop}
"""

TASKS = {"line": "abcd", "items": "ab", "timer": "ab", "tree": "stz"}
NAMES = tuple(TASKS)


async def main(url: str, prefix: str) -> None:
    async with a_node(url) as node:
        with suppress(ConflictError):  # an earlier process has done it
            await upload(node, WORKFLOWS)
        numbers = count()

        async def start_on_and_on() -> None:
            while True:
                number = next(numbers)
                execution_id = f"{NAMES[number % len(NAMES)]}-{prefix}-{number}"
                order = StartOrder(NAMES[number % len(NAMES)], execution_id=execution_id)
                await node.services.executions.start(ALICE, order)
                print(execution_id, flush=True)

        await asyncio.gather(*(start_on_and_on() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
