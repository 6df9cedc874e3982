"""What more nodes bring, and what it costs to ask a node that doesn't run the execution.

    python -m bench.cluster [--database postgresql://…] [--nodes 1 2 3] [--executions N]

All nodes, the database and the client share the machine: on few cores more nodes can't be faster, only
not much slower.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

from bench.nodes import cluster
from bench.server import Server

_CLIENTS = 8
_DOCUMENT = """
version: '2.0'
steps:
  tasks:
    a: {action: std.echo output=1, on-success: b}
    b: {action: std.noop, on-success: c}
    c: {action: std.noop}
open:
  tasks:
    wait: {action: std.async_noop}
"""


async def throughput(servers: Sequence[Server], count: int) -> float:
    """Executions a second, started and waited for by clients that go round the nodes."""
    turn = itertools.cycle(servers)

    async def client() -> None:
        for _ in range(count // _CLIENTS):
            await next(turn).run("steps")

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return count // _CLIENTS * _CLIENTS / (time.perf_counter() - started)


async def latencies(owner: Server, asked: Server, count: int) -> list[float]:
    """Seconds for changing an execution that ``owner`` runs by calls to ``asked``."""
    execution_id = await owner.start("open")
    times = []
    for number in range(count):
        # The owner's turn before each call makes the other's knowledge out of date.
        await _describe(owner, execution_id, f"before {number}")
        started = time.perf_counter()
        await _describe(asked, execution_id, f"call {number}")
        times.append(time.perf_counter() - started)
    return times


async def _describe(server: Server, execution_id: str, text: str) -> None:
    url = f"{server.base}/executions/{execution_id}"
    async with server.session.put(url, json={"description": text}) as answer:
        changed: dict[str, Any] = await answer.json()
    if answer.status != 200 or changed["description"] != text:
        raise RuntimeError(f"not changed: {changed}")


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
    options.add_argument("--nodes", type=int, nargs="*", default=[1, 2, 3])
    options.add_argument("--executions", type=int, default=400)
    given = options.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for size in given.nodes:
        async with cluster(given.database) as nodes:
            for _ in range(size):
                await nodes.add()
            await nodes.all[0].upload(_DOCUMENT)
            await throughput(nodes.all, 10 * _CLIENTS)
            rate = await throughput(nodes.all, given.executions)
            print(f"{size} nodes, {_CLIENTS} clients: {rate:.0f} executions/s", flush=True)
            for title, asked in (("its own node", nodes.all[0]), ("another node", nodes.all[-1])):
                if size > 1:
                    times = await latencies(nodes.all[0], asked, 40)
                    median, worst = statistics.median(times) * 1e3, max(times) * 1e3
                    print(f"  a change by {title}: p50 {median:.1f} ms, worst {worst:.1f} ms", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
