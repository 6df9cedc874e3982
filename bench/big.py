"""Big executions in figures: does their cost grow in step with their size?

    python -m bench.big [--database postgresql://…] [--only NAME …] [--sizes N …]

``tasks`` runs executions of many tasks, ``items`` one ``with-items`` over many items, ``long`` executions
whose state has left memory and is loaded again, ``cost`` counts what a task costs in the database
while contexts grow. What a task costs should be the same in every column.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from bench.documents import chain, fan, items, loop, stages, waiting_after_loop
from bench.server import Server, serving
from bench.statements import Cost, costs

_PATIENT = {"TRAMONTANE_MAX_WAIT_SECONDS": "600"}
Shapes = dict[str, Callable[[str, int], str]]

_SHAPES: Shapes = {
    "chain": chain,
    "fan-out, all joined": fan,
    "stages of 10 that publish and join": stages,
    "loop by on-success": loop,
}
_ITEMS: Shapes = {
    "std.echo": lambda name, count: items(name, count, "std.echo output=<% $.i %>"),
    "std.echo, concurrency 20": lambda name, count: items(name, count, "std.echo output=<% $.i %>", 20),
    "std.sleep seconds=0": lambda name, count: items(name, count, "std.sleep seconds=0"),
    "std.sleep seconds=0, concurrency 20": lambda name, count: items(name, count, "std.sleep seconds=0", 20),
}


async def many_tasks(database: str | None, sizes: Sequence[int]) -> None:
    for what, shape in _SHAPES.items():
        await _grow(what, shape, database, sizes)


async def many_items(database: str | None, sizes: Sequence[int]) -> None:
    for what, shape in _ITEMS.items():
        await _grow(f"with-items, {what}", shape, database, sizes)
    await _reported(database, sizes)


async def _grow(
    what: str, shape: Callable[[str, int], str], database: str | None, sizes: Sequence[int]
) -> None:
    async with serving(database, **_PATIENT) as (server, _):
        await _run_small(server, shape)
        for size in sizes:
            name = f"sized_{size}_{time.time_ns()}"
            await server.upload(shape(name, size))
            idle = server.resident_megabytes()
            started = time.perf_counter()
            await server.run(name, wait=600)
            seconds = time.perf_counter() - started
            _show(f"{what}, {size:,}", seconds, size, server.resident_megabytes() - idle)


async def _run_small(server: Server, shape: Callable[[str, int], str]) -> None:
    name = f"warm_{time.time_ns()}"
    await server.upload(shape(name, 100))
    await server.run(name)


async def _reported(database: str | None, sizes: Sequence[int]) -> None:
    """Items whose results come over REST, from 16 clients."""
    async with serving(database, **_PATIENT) as (server, _):
        for size in sizes:
            name = f"reported_{size}_{time.time_ns()}"
            await server.upload(items(name, size, "std.async_noop"))
            idle = server.resident_megabytes()
            execution_id = await server.start(name)
            actions = await _actions(server, execution_id, size)
            times: list[float] = []
            started = time.perf_counter()

            async def client(part: Sequence[str], times: list[float] = times) -> None:
                for action_id in part:
                    begun = time.perf_counter()
                    await server.complete(action_id)
                    times.append(time.perf_counter() - begun)

            await asyncio.gather(*(client(actions[n::16]) for n in range(16)))
            await server.wait_for(execution_id)
            seconds = time.perf_counter() - started
            grown = server.resident_megabytes() - idle
            _show(f"with-items, reported over REST, {size:,}", seconds, size, grown)
            print(f"{'':<52} a report: p50 {statistics.median(times) * 1e3:.1f} ms, worst {max(times):.2f} s")


async def _actions(server: Server, execution_id: str, count: int) -> list[str]:
    (task,) = await server.all_ids(f"executions/{execution_id}/tasks")
    while True:
        found = await server.all_ids(f"tasks/{task}/action_executions")
        if len(found) == count:
            return found
        await asyncio.sleep(1)


async def long_lives(database: str | None, sizes: Sequence[int]) -> None:
    """What an event costs an execution whose state isn't in memory, by the length of its history."""
    async with serving(database, TRAMONTANE_CACHED_EXECUTIONS="1", **_PATIENT) as (server, _):
        await server.upload(loop("other", 1))
        for size in sizes:
            name = f"long_{size}_{time.time_ns()}"
            await server.upload(waiting_after_loop(name, size, waits=5))
            execution_id = await server.start(name)
            times = []
            for _ in range(5):
                action_id = await _open_action(server)
                await server.run("other")
                await server.run("other")
                begun = time.perf_counter()
                await server.complete(action_id)
                times.append(time.perf_counter() - begun)
            await server.wait_for(execution_id)
            print(
                f"{f'a report after {size:,} tasks, state not in memory':<52} "
                f"p50 {statistics.median(times) * 1e3:8.1f} ms, worst {max(times) * 1e3:.1f} ms",
                flush=True,
            )


async def _open_action(server: Server) -> str:
    """Find the one action that waits for its result."""
    while True:
        found = await server.all_ids("action_executions", state="RUNNING")
        if found:
            return found[0]
        await asyncio.sleep(0.2)


async def cost(database: str | None, sizes: Sequence[int]) -> None:
    """Statements, rows and bytes of a task while what it inherits grows."""
    for size in sizes:
        _show_cost(f"stages, {size:,} tasks with a variable each", await costs(database, stages, size))
    for kilobytes in (1, 100, 1000):
        found = await costs(database, chain, 500, payload=kilobytes * 1024)
        _show_cost(f"chain of 500 that hands on {kilobytes:,} KB", found)


def _show_cost(what: str, found: Cost) -> None:
    print(
        f"{what:<52} a task: {found.statements:6.3f} statements, {found.rows:5.2f} rows, "
        f"{found.bytes:7.0f} bytes; big, once: {found.big:,} bytes",
        flush=True,
    )


def _show(what: str, seconds: float, count: int, megabytes: float) -> None:
    each = seconds / count * 1e6
    print(f"{what:<52} {seconds:8.2f} s {each:8.0f} µs each {megabytes:+8.0f} MB", flush=True)


_PARTS: dict[str, tuple[Callable[[str | None, Sequence[int]], Awaitable[None]], tuple[int, ...]]] = {
    "tasks": (many_tasks, (1_000, 5_000, 20_000)),
    "items": (many_items, (1_000, 10_000, 50_000)),
    "long": (long_lives, (100, 1_000, 20_000)),
    "cost": (cost, (100, 1_000, 5_000)),
}


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", help="database URL; a new SQLite file by default")
    options.add_argument("--only", nargs="*", choices=_PARTS, default=list(_PARTS))
    options.add_argument("--sizes", nargs="*", type=int, help="instead of each part's own")
    given = options.parse_args()
    kind = (given.database or "sqlite").partition(":")[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}, {kind}"
    )
    for name in given.only:
        part, sizes = _PARTS[name]
        await part(given.database, given.sizes or sizes)


if __name__ == "__main__":
    asyncio.run(main())
