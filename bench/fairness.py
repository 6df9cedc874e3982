"""What one giant execution or one busy project costs the others, in latency.

    python -m bench.fairness [--database postgresql://…] [--items N] [--seconds N] [--only NAME …]

A small execution, one action long, is started every 50 ms, first on an idle service, then beside

* ``waiting``: items that wait for one of 32 slots, each action taking 20 ms,
* ``starting``: items whose actions are asynchronous, so that nothing but the engine is busy,
* ``projects``: another project's callers who start executions as fast as they are answered.

Server and client share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
from aiohttp import web

from bench.outside import listening
from bench.server import Server, serving

SLOTS = 32
PAUSE = 0.05

DOCUMENT = """version: '2.0'
small:
  input: [url]
  tasks:
    a: {{action: std.http, input: {{url: <% $.url %>}}}}
waiting:
  input: [url]
  tasks:
    a: {{with-items: 'i in <% range({items}) %>', action: std.http, input: {{url: <% $.url %>}}}}
starting:
  tasks:
    a: {{with-items: 'i in <% range({items}) %>', action: std.async_noop}}
"""


@contextlib.asynccontextmanager
async def outside(seconds: float) -> AsyncIterator[str]:
    """An HTTP server that takes its time; give its URL."""

    async def handle(_: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.json_response(1)

    async with listening(handle) as url:
        yield f"{url}/"


async def probe(server: Server, url: str, seconds: float) -> list[float]:
    """Start small executions at a steady pace; give how long each took."""
    times: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        await server.run("small", wait=120, input={"url": url})
        times.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            group.create_task(one())
            await asyncio.sleep(PAUSE)
    return times


async def beside_waiting(server: Server, url: str, seconds: float) -> list[float]:
    giant = await server.start("waiting", input={"url": url})
    await asyncio.sleep(1)
    times = await probe(server, url, seconds)
    await _end(server, giant)
    return times


async def beside_starting(server: Server, url: str, seconds: float) -> list[float]:
    giant = await server.start("starting")
    times = await probe(server, url, seconds)
    await _end(server, giant)
    return times


async def _end(server: Server, execution_id: str) -> None:
    url = f"{server.base}/executions/{execution_id}"
    async with server.session.put(
        url, json={"state": "CANCELLED", "params": {"force_cancel": True}}
    ) as answer:
        await answer.read()


async def beside_another_project(server: Server, url: str, seconds: float) -> list[float]:
    """The busy project has a session of its own, and 200 callers."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers={"X-Auth-Token": TOKENS["busy"]}
    ) as session:
        busy = Server(server.process, 0, session)
        busy.base = server.base
        await busy.upload(DOCUMENT.format(items=1))
        body = {"workflow_name": "small", "input": {"url": url}}

        async def caller() -> None:
            while True:
                async with session.post(f"{busy.base}/executions", json=body) as answer:
                    await answer.read()
                if answer.status != 201:
                    await asyncio.sleep(0.1)

        callers = [asyncio.create_task(caller()) for _ in range(200)]
        try:
            await asyncio.sleep(2)
            return await probe(server, url, seconds)
        finally:
            for each in callers:
                each.cancel()
            await asyncio.gather(*callers, return_exceptions=True)


Scenario = Callable[[Server, str, float], Awaitable[list[float]]]
SCENARIOS: dict[str, tuple[str, Scenario]] = {
    "idle": ("alone", probe),
    "waiting": ("beside items that wait for slots", beside_waiting),
    "starting": ("beside items that start", beside_starting),
    "projects": ("beside a busy project", beside_another_project),
}
TOKENS: dict[str, str] = {}


def issue_tokens(database: str) -> None:
    for project in ("quiet", "busy"):
        command = [sys.executable, "-m", "tramontane", "token", "create"]
        TOKENS[project] = subprocess.run(
            [*command, "--database", database, "--project", project],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", help="database URL; a new SQLite file by default")
    options.add_argument("--items", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=15.0)
    options.add_argument("--only", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    given = options.parse_args()
    os.environ["TRAMONTANE_EXECUTOR_SLOTS"] = str(SLOTS)
    os.environ["TRAMONTANE_HTTP_DENIED_CIDRS"] = ""
    os.environ["TRAMONTANE_AUTH"] = "token"
    kind = (given.database or "sqlite").partition(":")[0]
    load = os.getloadavg()[0]
    python = f"Python {platform.python_version()}"
    print(f"{platform.machine()}, {os.cpu_count()} cores, {python}, load {load:.1f}, {kind}")
    print(f"{given.items:,} items".ljust(36) + f" {'count':>6} {'p50':>9} {'p99':>9} {'longest':>9}")
    for name in given.only:
        title, scenario = SCENARIOS[name]
        async with outside(0.02) as url, serving(given.database) as (server, file):
            issue_tokens(given.database or f"sqlite:///{file}")
            await server.ready()  # connections that were idle meanwhile are gone
            server.session.headers["X-Auth-Token"] = TOKENS["quiet"]
            with contextlib.suppress(RuntimeError):  # a database that was used before has them
                await server.upload(DOCUMENT.format(items=given.items))
            times = sorted(await scenario(server, url, given.seconds))
            p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
            row = (statistics.median(times), p99, times[-1])
            print(
                f"{title:<36} {len(times):>6} " + " ".join(f"{each * 1e3:>6.0f} ms" for each in row),
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(main())
