"""What more nodes bring, and what it costs to ask a node that doesn't run the execution.

    python -m bench.cluster [--database postgresql://…] [--nodes 1 2 4] [--executions N] [--calls N]

All nodes, the database and the client share the machine: on few cores more nodes can't be faster, only
not much slower. Before each measured call the owner of the execution has taken a turn, so what another
node has in memory is never up to date.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bench.nodes import cluster
from bench.server import Server

_CLIENTS = 8
_TASKS = 3
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


# -- calls --------------------------------------------------------------------------------


async def _get(server: Server, path: str) -> dict[str, Any]:
    async with server.session.get(server.base + path) as answer:
        content: dict[str, Any] = await answer.json()
    if answer.status != 200:
        raise RuntimeError(f"GET {path} failed: {content}")
    return content


async def _put(server: Server, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    async with server.session.put(server.base + path, json=body) as answer:
        content: dict[str, Any] = await answer.json()
    if answer.status != 200:
        raise RuntimeError(f"PUT {path} failed: {content}")
    return content


async def _action_of(server: Server, execution_id: str) -> str:
    """The id of the only action of an execution, as soon as there is one."""
    while True:
        for task in (await _get(server, f"/executions/{execution_id}/tasks"))["tasks"]:
            actions = (await _get(server, f"/tasks/{task['id']}/action_executions"))["action_executions"]
            if actions:
                return str(actions[0]["id"])
        await asyncio.sleep(0.01)


async def _read(owner: Server, asked: Server, execution_id: str) -> float:
    await _put(owner, f"/executions/{execution_id}", {"description": "of the owner"})
    return await _timed(_get(asked, f"/executions/{execution_id}"))


async def _change(owner: Server, asked: Server, execution_id: str) -> float:
    path = f"/executions/{execution_id}"
    await _put(owner, path, {"description": "of the owner"})
    return await _timed(_put(asked, path, {"description": "of another"}))


async def _pause(owner: Server, asked: Server, execution_id: str) -> float:
    path = f"/executions/{execution_id}"
    await _put(owner, path, {"description": "of the owner"})
    seconds = await _timed(_put(asked, path, {"state": "PAUSED"}))
    await _put(owner, path, {"state": "RUNNING"})
    return seconds


async def _resume(owner: Server, asked: Server, execution_id: str) -> float:
    path = f"/executions/{execution_id}"
    await _put(owner, path, {"state": "PAUSED"})
    return await _timed(_put(asked, path, {"state": "RUNNING"}))


async def _complete(owner: Server, asked: Server, _: str) -> float:
    """Report the result of an asynchronous action of a new execution, which ends by it."""
    execution_id = await owner.start("open")
    action_id = await _action_of(owner, execution_id)
    path = f"/action_executions/{action_id}"
    return await _timed(_put(asked, path, {"state": "SUCCESS", "output": {"said": 1}}))


async def _start(_: Server, asked: Server, __: str) -> float:
    return await _timed(asked.start("open"))


_CALLS: dict[str, Callable[[Server, Server, str], Awaitable[float]]] = {
    "get": _read,
    "change": _change,
    "pause": _pause,
    "resume": _resume,
    "complete an action": _complete,
    "start": _start,
}


async def _timed(call: Awaitable[Any]) -> float:
    """The seconds that a call takes."""
    started = time.perf_counter()
    await call
    return time.perf_counter() - started


async def latencies(owner: Server, other: Server, count: int) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds of each kind of call about an execution that ``owner`` runs: to it, and to the other node.

    The two take turns, so that what else the machine does hits both.
    """
    execution_id = await owner.start("open")
    found: dict[str, tuple[list[float], list[float]]] = {}
    for name, call in _CALLS.items():
        found[name] = [], []
        for _ in range(count):
            for asked, times in zip((owner, other), found[name], strict=True):
                times.append(await call(owner, asked, execution_id))
    return found


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
    options.add_argument("--nodes", type=int, nargs="*", default=[1, 2, 4])
    options.add_argument("--executions", type=int, default=800)
    options.add_argument("--calls", type=int, default=50)
    given = options.parse_args()
    print(f"{os.cpu_count()} cores")
    for size in given.nodes:
        async with cluster(given.database) as nodes:
            for _ in range(size):
                await nodes.add()
            await nodes.all[0].upload(_DOCUMENT)
            await throughput(nodes.all, 10 * _CLIENTS)
            load = os.getloadavg()[0]
            rate = await throughput(nodes.all, given.executions)
            print(
                f"{size} nodes, {_CLIENTS} clients, load {load:.1f} before: "
                f"{rate:.0f} executions/s, {rate * _TASKS:.0f} tasks/s",
                flush=True,
            )
            if size == 2:
                await tell_latencies(nodes.all[0], nodes.all[1], given.calls)


async def tell_latencies(owner: Server, other: Server, count: int) -> None:
    await latencies(owner, other, 5)
    print(f"  calls, p50 and worst of {count}, load {os.getloadavg()[0]:.1f} before:")
    for name, (own, others) in (await latencies(owner, other, count)).items():
        shown = (
            f"{whose} {statistics.median(times) * 1e3:5.1f} ms, worst {max(times) * 1e3:6.1f} ms"
            for whose, times in (("its own node", own), ("another node", others))
        )
        print(f"  {name:<20}" + " | ".join(shown), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
