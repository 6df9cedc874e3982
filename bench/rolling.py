"""What a rolling upgrade costs: the longest pause of any execution while nodes are replaced under load.

    python -m bench.rolling [--database postgresql://…] [--executions N] [--rounds N]

Executions are chains of actions that call this process, which notes the time of each call. A round starts a
new node and ends the oldest by SIGTERM. Requests that no node took (503, or nobody listens any more) are
asked again at another node, as a balancer does; any other failure counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from bench.nodes import Nodes, cluster
from bench.outside import listening

_STEPS = 40
_DOCUMENT = "version: '2.0'\nchain:\n  input: [url]\n  tasks:\n" + "".join(
    f"    t{number}: {{action: std.http url='<% $.url %>/<% execution().id %>'"
    + (f", on-success: t{number + 1}}}\n" if number + 1 < _STEPS else "}\n")
    for number in range(_STEPS)
)
_STEP_SECONDS = 0.05


class Steps:
    """Notes when each execution made a step."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.times.setdefault(request.path, []).append(time.perf_counter())
        await asyncio.sleep(_STEP_SECONDS)
        return web.json_response({})

    def pauses(self, since: float, until: float) -> list[float]:
        """Time between the steps of each execution, of those that were over between these moments."""
        return [
            later - earlier - _STEP_SECONDS
            for times in self.times.values()
            for earlier, later in itertools.pairwise(times)
            if since <= later <= until
        ]


@asynccontextmanager
async def counting() -> AsyncIterator[Steps]:
    steps = Steps()
    async with listening(steps.handle) as steps.url:
        yield steps


class Clients:
    """Run chains one after the other through any node, as a balancer would lead them."""

    def __init__(self, nodes: Nodes, steps: Steps) -> None:
        self.again = 0
        self.failed: list[str] = []
        self.ended = 0
        self._nodes = nodes
        self._steps = steps
        self._next = itertools.count()

    async def run(self) -> None:
        while True:
            started = await self._call(
                "POST", "", {"workflow_name": "chain", "input": {"url": self._steps.url}}
            )
            while started is not None and started["state"] == "RUNNING":
                started = await self._call("GET", f"/{started['id']}?wait=30")
            if started is None or started["state"] != "SUCCESS":
                self.failed.append(str(started)[:300])
            self.ended += 1

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        while True:
            node = self._nodes.all[next(self._next) % len(self._nodes.all)]
            try:
                async with self._nodes.session.request(
                    method, f"{node.base}/executions{path}", json=body
                ) as answer:
                    if answer.status == 503:
                        self.again += 1
                        await asyncio.sleep(0.05)
                        continue
                    return await answer.json()
            except aiohttp.ClientConnectorError:
                self.again += 1
                await asyncio.sleep(0.05)
            except aiohttp.ClientError as error:
                self.failed.append(f"{method} {path}: {type(error).__name__} {error}")
                return None


async def replace(nodes: Nodes, steps: Steps) -> None:
    """Start a new node, end the oldest, and tell of both."""
    began = time.perf_counter()
    await nodes.add()
    report("a node starts", steps.pauses(began, time.perf_counter()))
    oldest = nodes.all[0]
    began = time.perf_counter()
    oldest.process.send_signal(signal.SIGTERM)
    await oldest.process.wait()
    nodes.all.remove(oldest)
    took = time.perf_counter() - began
    await asyncio.sleep(1)
    report(f"another one ends, within {took:.1f} s", steps.pauses(began, time.perf_counter()))


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
    options.add_argument("--executions", type=int, default=12, help="at the same time")
    options.add_argument("--rounds", type=int, default=4)
    given = options.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {given.executions} executions at a time")
    async with (
        counting() as steps,
        cluster(
            given.database, TRAMONTANE_HTTP_DENIED_CIDRS="", TRAMONTANE_SHUTDOWN_GRACE_SECONDS="20"
        ) as nodes,
    ):
        await nodes.add()
        await nodes.add()
        await nodes.all[0].upload(_DOCUMENT)
        clients = Clients(nodes, steps)
        running = [asyncio.create_task(clients.run()) for _ in range(given.executions)]
        await asyncio.sleep(3)
        quiet = time.perf_counter()
        await asyncio.sleep(6)
        report("two nodes, nothing happens", steps.pauses(quiet, time.perf_counter()))
        for _ in range(given.rounds):
            await replace(nodes, steps)
        for each in running:
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running)
        print(
            f"{clients.ended} executions ended, {clients.again} calls asked again at another node, "
            f"{len(clients.failed)} failed {clients.failed[:3]}"
        )


def report(title: str, pauses: list[float]) -> None:
    print(
        f"{title:<32} pause between steps: median {statistics.median(pauses) * 1e3:5.0f} ms, "
        f"longest {max(pauses) * 1e3:6.0f} ms of {len(pauses)}",
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
