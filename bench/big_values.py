"""What passing data on costs: ``python -m bench.big_values [--tasks N] [--quick]``.

Values of growing size go through chains of tasks, each of which takes one as its input, returns it and
publishes it; one of 2 MB through a long chain. Server and client share the machine, the database is SQLite
with full durability. *Stored* counts the texts of all JSON columns and of big values, as the file has them.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.server import Server, serving

_SIZES = (1, 15, 64, 256, 2048)
_CHAIN = 50
_TABLES = ("executions", "tasks", "action_executions", "past_runs", "big_values")


def chain(name: str, tasks: int) -> str:
    """A chain whose tasks pass a value on."""
    lines = ["version: '2.0'", f"{name}:", "  input: [v]", "  tasks:"]
    for n in range(tasks):
        lines += [
            f"    t{n}:",
            "      action: std.echo output=<% $.v %>",
            "      publish: {v: <% task().result %>}",
        ]
        if n < tasks - 1:
            lines.append(f"      on-success: t{n + 1}")
    return "\n".join(lines) + "\n"


def stored_bytes(file: Path) -> int:
    """So many bytes of text are in the tables."""
    total = 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for table in _TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if columns:
                lengths = "+".join(f'coalesce(length(CAST("{each}" AS BLOB)), 0)' for each in columns)
                total += connection.execute(f"SELECT coalesce(sum({lengths}), 0) FROM {table}").fetchone()[0]
    return total


async def measure(server: Server, file: Path, workflow: str, tasks: int, kilobytes: int) -> None:
    """Run a chain with a value of this size once, and print what it cost."""
    # Half of it is one text, half many small values.
    value = {
        "text": "x" * (kilobytes * 512),
        "rows": [{"id": n, "name": f"row {n:05}"} for n in range(kilobytes * 512 // 29)],
    }
    before = stored_bytes(file)
    began = time.perf_counter()
    await server.run(workflow, wait=3600, input={"v": value})
    seconds = time.perf_counter() - began
    stored = stored_bytes(file) - before
    print(
        f"{kilobytes:>6} KB through {tasks:>5} tasks: {stored / tasks:>12,.0f} bytes and "
        f"{seconds / tasks * 1000:>7.2f} ms a task; {seconds:.2f} s, "
        f"{server.resident_megabytes():.0f} MB resident",
        flush=True,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000, help="length of the long chain")
    parser.add_argument("--quick", action="store_true", help="a chain of 100")
    options = parser.parse_args()
    long = 100 if options.quick else options.tasks
    async with serving() as (server, file):
        assert file is not None
        await server.upload(chain("short", _CHAIN))
        await server.upload(chain("long", long))
        await server.run("short", input={"v": 1})
        for kilobytes in _SIZES:
            await measure(server, file, "short", _CHAIN, kilobytes)
        await measure(server, file, "long", long, 2048)


if __name__ == "__main__":
    asyncio.run(main())
