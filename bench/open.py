"""Many open executions: what a node needs to keep them waiting, and how quickly they go on.

    python -m bench.open [--database postgresql://…] [--count N] [--only actions timers]

``actions`` wait for a result from outside (``std.async_noop``); some thousands of them, taken at random,
get it. ``timers`` wait in ``wait-before``: some fall due meanwhile, others are stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from bench.server import Server, serving

More = Callable[[], dict[str, float]]

_CLIENTS = 16
_DOCUMENT = """
version: '2.0'
actions:
  input: [order]
  tasks:
    wait:
      action: std.async_noop
      publish: {answer: <% task().result %>}
      on-success: after
    after: {action: std.echo output=<% $.order %>}
timers:
  input: [order, seconds]
  tasks:
    wait:
      wait-before: <% $.seconds %>
      action: std.echo output=<% $.order %>
"""


async def waiting_for_actions(server: Server, count: int) -> None:
    await _start(server, "actions", count, lambda: {})
    actions = await server.all_ids("action_executions", state="RUNNING")
    chosen = random.Random(7).sample(actions, min(5_000, count // 4))
    _show_times("a result from outside", await _timed(chosen, server.complete))
    _show_memory(server, f"after {len(chosen):,} of them have ended")


async def waiting_for_timers(server: Server, count: int) -> None:
    seconds = random.Random(7)
    started = time.monotonic()
    longest = count / 800 + 30

    def soon_or_later() -> dict[str, float]:
        near = seconds.random() < 0.03
        return {"seconds": round(longest - (time.monotonic() - started)) if near else 36_000}

    executions = await _start(server, "timers", count, soon_or_later)
    chosen = seconds.sample(executions, min(5_000, count // 4))
    _show_times("a stop from outside", await _timed(chosen, server.stop))
    await asyncio.sleep(max(0.0, started + longest + 3 - time.monotonic()))
    ended = await server.all_ids("executions", state="SUCCESS", workflow_name="timers")
    _show_memory(server, f"after {len(ended):,} timers fell due and {len(chosen):,} stops")


async def _start(server: Server, workflow: str, count: int, more: More) -> list[str]:
    """Start so many executions; give their ids."""
    _show_memory(server, "idle")
    numbers = iter(range(count))
    executions: list[str] = []

    async def client() -> None:
        for number in numbers:
            order = {"id": number, "customer": f"customer {number}", "lines": ["bolt", "nut"]}
            executions.append(await server.start(workflow, input={"order": order, **more()}))

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    seconds = time.perf_counter() - begun
    print(f"{f'{count:,} starts, {workflow}':<52} {seconds:8.1f} s, {count / seconds:,.0f}/s", flush=True)
    _show_memory(server, f"{count:,} open")
    return executions


async def _timed(ids: Sequence[str], ask: Callable[[str], Awaitable[None]]) -> list[float]:
    """Ask about each of ``ids``, from a few clients; give the seconds that each took."""
    waiting = iter(ids)
    times: list[float] = []

    async def client() -> None:
        for each in waiting:
            begun = time.perf_counter()
            await ask(each)
            times.append(time.perf_counter() - begun)

    await asyncio.gather(*(client() for _ in range(4)))
    return times


def _show_times(what: str, times: Sequence[float]) -> None:
    p50, p99 = statistics.median(times), sorted(times)[len(times) * 99 // 100]
    print(f"{what:<52} p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, worst {max(times) * 1e3:.0f} ms")


def _show_memory(server: Server, when: str) -> None:
    print(f"{f'resident memory, {when}':<52} {server.resident_megabytes():8.0f} MB", flush=True)


_PARTS: dict[str, Callable[[Server, int], Awaitable[None]]] = {
    "actions": waiting_for_actions,
    "timers": waiting_for_timers,
}


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", help="database URL; a new SQLite file by default")
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--only", nargs="*", choices=_PARTS, default=list(_PARTS))
    given = options.parse_args()
    kind = (given.database or "sqlite").partition(":")[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}, {kind}"
    )
    for name in given.only:
        async with serving(given.database) as (server, _):
            await server.upload(_DOCUMENT)
            await _PARTS[name](server, given.count)


if __name__ == "__main__":
    asyncio.run(main())
