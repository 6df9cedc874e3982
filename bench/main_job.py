"""The main job in figures: start, run and finish executions over the REST API.

    python -m bench.main_job [--database postgresql://…] [--only NAME …] [--quick]

Server and client share the machine. SQLite runs with full durability of what is acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.server import Server, serving

Row = tuple[str, str, str]

ONE = "version: '2.0'\none:\n  tasks:\n    a: {action: std.echo output=1}\n"


async def one_at_a_time(server: Server, scale: float) -> list[Row]:
    await server.upload(ONE)
    times = [await _timed(server.run("one")) for _ in range(int(300 * scale) + 20)][20:]
    return [("one task, start to SUCCESS, p50", f"{statistics.median(times) * 1e3:.2f} ms", "< 8 ms")]


async def eight_clients(server: Server, scale: float) -> list[Row]:
    await _upload_once(server, ONE)
    each = int(500 * scale)

    async def client() -> None:
        for _ in range(each):
            await server.run("one")

    seconds = await _timed(_all([client() for _ in range(8)]))
    return [("one task, 8 clients at once", f"{8 * each / seconds:.0f} executions/s", "> 600/s")]


async def chains(server: Server, scale: float) -> list[Row]:
    await server.upload(_chain("chain", 50))
    await server.run("chain", input={"x": "seed"})
    single = [await _timed(server.run("chain", input={"x": "seed"})) for _ in range(int(20 * scale) + 3)]
    count = int(60 * scale) + 4
    seconds = await _timed(_all([server.run("chain", input={"x": "seed"}) for _ in range(count)]))
    return [
        ("chain of 50 std.echo, alone", f"{statistics.median(single) * 1e3:.1f} ms", "< 60 ms"),
        (f"{count} chains of 50 together", f"{count * 50 / seconds:.0f} transitions/s", "> 1,500/s"),
    ]


async def upload(server: Server, _: float) -> list[Row]:
    await server.upload(_expressive("warm", 200))
    times = [await _timed(server.upload(_expressive(f"big{i}", 200))) for i in range(5)]
    return [
        ("upload of 200 tasks full of expressions", f"{statistics.median(times) * 1e3:.0f} ms", "< 300 ms")
    ]


async def wide(server: Server, _: float) -> list[Row]:
    await server.upload(_fan("fan", 100))
    await server.upload(
        "version: '2.0'\nitems:\n  tasks:\n    a:\n      with-items: i in <% range(1000) %>\n"
        "      action: std.echo output=<% $.i %>\n"
    )
    await server.run("fan")
    await server.run("items")
    fan = [await _timed(server.run("fan")) for _ in range(10)]
    items = [await _timed(server.run("items")) for _ in range(5)]
    return [
        ("100 parallel tasks joined", f"{statistics.median(fan) * 1e3:.0f} ms", "< 100 ms"),
        ("with-items over 1,000 items", f"{statistics.median(items) * 1e3:.0f} ms", "< 250 ms"),
    ]


async def big_parameters(server: Server, _: float) -> list[Row]:
    rows: list[Row] = []
    base = 0.0
    for tasks, megabytes in ((1000, 2), (2000, 2), (1000, 4)):
        name = f"params_{tasks}_{megabytes}"
        await server.upload(_reader(name, tasks))
        records = megabytes * 1000
        params = {f"site{n}": {"name": f"n{n}", "data": "x" * 980} for n in range(records)}
        seconds = await _timed(server.run(name, input={"params": params}))
        base = base or seconds
        label = f"{megabytes} MB of parameters, {tasks:,} tasks reading them"
        rows.append((label, f"{seconds:.2f} s ({seconds / base:.1f}x)", "at most 2x" if rows else "< 5 s"))
    return rows


SCENARIOS: dict[str, Callable[[Server, float], Awaitable[list[Row]]]] = {
    "one": one_at_a_time,
    "eight": eight_clients,
    "chains": chains,
    "upload": upload,
    "wide": wide,
    "params": big_parameters,
}


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", help="database URL; a new SQLite file by default")
    options.add_argument("--only", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    options.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    given = options.parse_args()
    kind = (given.database or "sqlite").partition(":")[0]
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {load:.1f}, {kind}"
    )
    print(f"{'what':<52} {'measured':>24}   wanted")
    async with serving(given.database) as (server, _):
        _show([("resident memory, idle", f"{server.resident_megabytes():.0f} MB", "< 130 MB")])
        for name in given.only:
            _show(await SCENARIOS[name](server, 0.2 if given.quick else 1.0))
        _show([("resident memory, afterwards", f"{server.resident_megabytes():.0f} MB", "")])
    if given.database is None:
        async with serving() as (server, file):
            assert file is not None
            _show(await _growth(server, file))


async def _growth(server: Server, file: Path) -> list[Row]:
    await server.upload(_chain("chain", 50))
    before = _size(file)
    await _all([server.run("chain", input={"x": "seed"}) for _ in range(20)])
    return [("database growth per 1,000 tasks", f"{(_size(file) - before) / 1024:.0f} KiB", "")]


def _size(file: Path) -> int:
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))


def _show(rows: list[Row]) -> None:
    for what, measured, wanted in rows:
        print(f"{what:<52} {measured:>24}   {wanted}", flush=True)


async def _timed(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _all(work: list[Any]) -> None:
    await asyncio.gather(*work)


async def _upload_once(server: Server, text: str) -> None:
    async with server.session.post(f"{server.base}/workflows", data=text) as answer:
        if answer.status not in (201, 409):
            raise RuntimeError(await answer.text())


def _chain(name: str, length: int) -> str:
    lines = ["version: '2.0'", f"{name}:", "  input: [x]", "  output: {x: <% $.x %>}", "  tasks:"]
    for n in range(length):
        lines += [
            f"    t{n}:",
            "      action: std.echo output=<% $.x %>",
            "      publish: {x: <% task().result %>}",
        ]
        if n < length - 1:
            lines.append(f"      on-success: t{n + 1}")
    return "\n".join(lines) + "\n"


def _fan(name: str, width: int) -> str:
    lines = ["version: '2.0'", f"{name}:", "  tasks:"]
    for n in range(width):
        lines += [f"    t{n}: {{action: std.echo output={n}, on-success: meet}}"]
    return "\n".join([*lines, "    meet: {join: all}"]) + "\n"


def _reader(name: str, tasks: int) -> str:
    lines = ["version: '2.0'", f"{name}:", "  input: [params]", "  tasks:"]
    for n in range(tasks):
        lines += [
            f"    t{n}:",
            f"      action: std.echo output=<% $.params.site{n}.name %>",
            f"      publish: {{last: <% $.params.get(site{n}).name %>}}",
        ]
        if n < tasks - 1:
            lines.append(f"      on-success: t{n + 1}")
    return "\n".join(lines) + "\n"


def _expressive(name: str, tasks: int) -> str:
    lines = ["version: '2.0'", f"{name}:", "  input: [a, b]", "  tasks:"]
    for n in range(tasks):
        lines += [
            f"    t{n}:",
            "      action: std.http",
            "      input:",
            f"        url: http://host/<% $.a.b{n}.where($.x > {n}).select($.y).first() %>",
            f"        body: {{id: <% $.b.get(key{n}, {n}) %>, name: '{{{{ _.a.n{n} | upper }}}}'}}",
            f"      publish: {{r{n}: <% task().result.content.items.where($.ok) %>}}",
            f"      retry: {{count: 3, delay: 5, break-on: <% task().result.status = {400 + n} %>}}",
        ]
        if n < tasks - 1:
            lines += [f"      on-success: [{{t{n + 1}: '<% $.r{n}.len() > 0 and $.a.flag{n} %>'}}]"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    asyncio.run(main())
