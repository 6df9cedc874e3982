"""How long executions stand still when their node is gone.

    python -m bench.takeover [--database postgresql://…] [--rounds N] [--lease SECONDS]

Each round starts executions on one of two nodes, which have taken their first step and wait: half of
them in an action that may be sent again, half for a timer that comes due while their node is away.
Then that node is killed (or frozen). Measured is the time from there to the next step of each, as the
other node shows it; the time for which the action or timer would have run in any case is no part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from bench.nodes import Nodes, cluster
from bench.outside import listening
from bench.server import Server

_EXECUTIONS = 4
_DOCUMENT = """
version: '2.0'
acting:
  input: [url]
  tasks:
    first: {action: std.noop, on-success: second}
    second: {action: std.http url=<% $.url %>, safe-rerun: true}
sleeping:
  tasks:
    first: {action: std.noop, on-success: second}
    second: {action: std.noop, wait-before: 1}
"""


class Counterpart:
    """What the actions call: it doesn't answer the first call of a round, and all that follow at once."""

    def __init__(self) -> None:
        self.url = ""
        self.holds = True
        self.held = 0
        self.arrived = asyncio.Condition()

    async def handle(self, _: web.Request) -> web.Response:
        if self.holds:
            async with self.arrived:
                self.held += 1
                self.arrived.notify_all()
            await asyncio.sleep(3600)
        return web.json_response({})

    async def begin(self) -> None:
        self.holds, self.held = True, 0

    async def all_held(self) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.held >= _EXECUTIONS)


@asynccontextmanager
async def a_counterpart() -> AsyncIterator[Counterpart]:
    counterpart = Counterpart()
    async with listening(counterpart.handle) as counterpart.url:
        yield counterpart


async def one_round(nodes: Nodes, counterpart: Counterpart, how: signal.Signals) -> dict[str, list[float]]:
    """Hurt the first node; return the seconds until each execution went on, by workflow."""
    victim, witness = nodes.all
    await counterpart.begin()
    acting = [await victim.start("acting", input={"url": counterpart.url}) for _ in range(_EXECUTIONS)]
    await counterpart.all_held()
    sleeping = [await victim.start("sleeping") for _ in range(_EXECUTIONS)]
    counterpart.holds = False
    hurt = time.perf_counter()
    victim.process.send_signal(how)
    ended = [asyncio.create_task(_ended(witness, each, hurt)) for each in (*acting, *sleeping)]
    times = await asyncio.gather(*ended)
    await nodes.end(victim, signal.SIGKILL)
    await nodes.add()
    return {
        "action sent again": times[:_EXECUTIONS],
        "timer of 1 s, overdue by": [max(0.0, each - 1.0) for each in times[_EXECUTIONS:]],
    }


async def _ended(server: Server, execution_id: str, since: float) -> float:
    url = f"{server.base}/executions/{execution_id}?wait=60"
    async with server.session.get(url) as answer:
        execution: dict[str, Any] = await answer.json()
    if execution["state"] != "SUCCESS":
        raise RuntimeError(f"ended badly or hangs: {execution}")
    return time.perf_counter() - since


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--lease", type=float, default=15.0)
    given = options.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, lease {given.lease:g} s")
    async with (
        a_counterpart() as counterpart,
        cluster(
            given.database,
            TRAMONTANE_LEASE_SECONDS=str(given.lease),
            TRAMONTANE_HTTP_DENIED_CIDRS="",
        ) as nodes,
    ):
        await nodes.add()
        await nodes.add()
        await nodes.all[0].upload(_DOCUMENT)
        for how, title in ((signal.SIGKILL, "killed"), (signal.SIGSTOP, "frozen")):
            found: dict[str, list[float]] = {}
            for _ in range(given.rounds):
                for what, times in (await one_round(nodes, counterpart, how)).items():
                    found.setdefault(what, []).extend(times)
            for what, times in found.items():
                print(
                    f"{title}, {what:<26} median {statistics.median(times):6.2f} s, "
                    f"worst {max(times):6.2f} s of {len(times)}",
                    flush=True,
                )


if __name__ == "__main__":
    asyncio.run(main())
