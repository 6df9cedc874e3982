"""The REST API in figures: lists out of a million executions, single reads, a big upload beside others.

    python -m bench.rest_api [--server postgresql://user@host/postgres] [--executions 1000000] [--plans]

Works on a new database of the given PostgreSQL server, which is dropped at the end. Client, service and
database share the machine; the page of 100 is encoded, sent and read by the client in every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy.dialects import postgresql

from bench.nodes import cluster
from bench.server import Server
from tramontane.api.kinds import EXECUTION_LIST
from tramontane.api.listing import parse
from tramontane.store.reads.listing import page_select
from tramontane.store.reads.resources import EXECUTIONS

LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"
_START = 1_700_000_000_000_000  # the first execution's time, one a second follows

_IDENTIFIER = (
    "format('%s-%s-7%s-8%s-%s', substr(h, 1, 8), substr(h, 9, 4), substr(h, 13, 3), substr(h, 16, 3), "
    "substr(h, 19, 12))"
)
_NUMBERED = (
    f"SELECT n, {_IDENTIFIER} AS id, CASE WHEN n % 10000 = 0 THEN 'RUNNING' WHEN n % 11 = 0 THEN 'ERROR' "
    "WHEN n % 97 = 0 THEN 'CANCELLED' ELSE 'SUCCESS' END AS state FROM (SELECT n, "
    "lpad(to_hex(n / 1000 + 1700000000000), 12, '0') || '000000' || lpad(to_hex(n), 12, '0') AS h "
    "FROM generate_series($1::bigint, $2::bigint) n) s"
)
_HEADS = (
    "INSERT INTO heads (id, root_id, version, token, first_token, node_id, state, seq, run) "
    "SELECT id, id, 3, n, n, CASE WHEN state = 'RUNNING' THEN 'somebody' END, state, 4, 0 "
    f"FROM ({_NUMBERED}) e"
)
_EXECUTIONS = (
    "INSERT INTO executions (id, root_id, project_id, workflow_name, workflow_namespace, workflow_id, "
    'spec_hash, created_at, "index", description, tags, input, params, state, state_info, output, globals, '
    "published_global, backlog, updated_at, finished_at) "
    "SELECT id, id, 'project' || n % 20, 'workflow' || n % 200, '', "
    "'00000000-0000-4000-8000-' || lpad((n % 200)::text, 12, '0'), 'hash', $3::bigint + n * 1000000, 0, "
    "'order ' || n, '[]', format('{\"vm\":\"vm-%s\",\"count\":%s}', n, n % 7), "
    '\'{"namespace":"","env":{}}\', state, '
    "CASE WHEN state = 'ERROR' THEN 'Failure caused by error in tasks: t' || n % 13 END, "
    "'{\"result\":\"' || repeat('x', 100) || '\"}', '{}', '{}', '[]', $3::bigint + n * 1000000 + 500000, "
    f"CASE WHEN state <> 'RUNNING' THEN $3::bigint + n * 1000000 + 500000 END FROM ({_NUMBERED}) e"
)
_BATCH = 100_000

Rows = list[tuple[str, str]]


def lists(count: int) -> dict[str, str]:
    """The lists to time: what a dashboard, a script and a person ask for."""
    middle = _shown_time(count // 2)
    return {
        "the newest": "sort_keys=created_at&sort_dirs=desc",
        "the newest in ERROR": "state=ERROR&sort_keys=created_at&sort_dirs=desc",
        "the newest that run (1 in 10,000)": "state=RUNNING&sort_keys=created_at&sort_dirs=desc",
        "of one workflow's id (1 in 200)": f"workflow_id=00000000-0000-4000-8000-{7:012}",
        "of one workflow's name (1 in 200)": "workflow_name=workflow7",
        "a moment's, by time": f"created_at=gte:{middle}",
        "roots only, the newest": "nulls=root_execution_id&sort_keys=created_at&sort_dirs=desc",
        "by a word of the description": "description=has:order 99",
        "in no order of an index": "state=ERROR&sort_keys=workflow_name,updated_at",
    }


def _shown_time(number: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(_START / 1_000_000 + number))


async def fill(database: str, count: int) -> float:
    """Write executions; return the seconds that it took."""
    connection = await asyncpg.connect(database)
    try:
        started = time.perf_counter()
        for first in range(1, count + 1, _BATCH):
            last = min(first + _BATCH - 1, count)
            await connection.execute(_HEADS, first, last)
            await connection.execute(_EXECUTIONS, first, last, _START)
        await connection.execute("VACUUM ANALYZE heads")
        await connection.execute("VACUUM ANALYZE executions")
        return time.perf_counter() - started
    finally:
        await connection.close()


async def time_lists(server: Server, count: int, rounds: int) -> Rows:
    rows: Rows = []
    for name, query in lists(count).items():
        url = f"{server.base}/executions?limit=100&{query}"
        await _get(server, url)
        times = [await _timed(_get(server, url)) for _ in range(rounds)]
        rows.append((f"100 executions: {name}", _figures(times)))
    rows.append(("100 executions: the 50th page of those in ERROR", await _deep_page(server, rounds)))
    return rows


async def _deep_page(server: Server, rounds: int) -> str:
    """Follow links to a page further down; paging goes by keys, so it costs what the first page does."""
    url = f"{server.base}/executions?limit=100&state=ERROR&sort_keys=created_at&sort_dirs=desc"
    for _ in range(49):
        url = (await _get(server, url)).get("next", url)
    times = [await _timed(_get(server, url)) for _ in range(rounds)]
    return _figures(times)


async def show_plans(database: str, count: int) -> None:
    """Print how the database finds the pages."""
    connection = await asyncpg.connect(database)
    try:
        for name, text in lists(count).items():
            given = dict(part.split("=", 1) for part in f"limit=100&{text}".split("&"))
            query = parse(EXECUTION_LIST, given, 1000).query
            statement = page_select(EXECUTIONS, query, (), None).compile(
                dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
                compile_kwargs={"literal_binds": True},
            )
            print(f"\n-- {name}: {text}")
            for (line,) in await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}"):
                print(f"   {line}")
    finally:
        await connection.close()


async def single_reads(server: Server, count: int, seconds: float) -> Rows:
    """Read single executions with eight clients, each its own, for some seconds."""
    page = await _get(server, f"{server.base}/executions?limit=500&fields=id&sort_keys=id")
    ids = [item["id"] for item in page["executions"]]
    times: list[float] = []
    until = time.perf_counter() + seconds

    async def client(number: int) -> None:
        place = number
        while time.perf_counter() < until:
            place = (place + 8) % len(ids)
            times.append(await _timed(_get(server, f"{server.base}/executions/{ids[place]}")))

    started = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(8)))
    rate = len(times) / (time.perf_counter() - started)
    return [(f"GET of one of {count:,}, 8 clients", f"{rate:,.0f}/s, {_figures(times)}")]


async def big_upload(server: Server, rounds: int) -> Rows:
    """Upload a large definition while another client goes on reading."""
    url = f"{server.base}/executions?limit=1"
    await server.upload(_big("warm"))
    calm = [await _timed(_get(server, url)) for _ in range(200)]
    uploads: list[float] = []
    beside: list[float] = []

    async def read() -> None:
        while len(uploads) < rounds:
            beside.append(await _timed(_get(server, url)))
            await asyncio.sleep(0.001)

    async def upload() -> None:
        for number in range(rounds):
            uploads.append(await _timed(server.upload(_big(f"big{number}"))))

    await asyncio.gather(read(), upload())
    return [
        ("upload of 500 tasks with 1,000 expressions", _figures(uploads)),
        ("another call, meanwhile nothing", _figures(calm)),
        ("another call, meanwhile such uploads", f"{_figures(beside)}, worst {max(beside) * 1e3:.0f} ms"),
    ]


def _big(name: str) -> str:
    lines = ["version: '2.0'", f"{name}:", "  input: [a]", "  tasks:"]
    for n in range(500):
        lines += [
            f"    t{n}:",
            f"      action: std.echo output=<% $.a.where($.x > {n}).select($.y).first() %>",
            f"      publish: {{r{n}: '<% task().result.items.get(k{n}, {n}) %>'}}",
        ]
        if n:
            lines.append(f"      on-success: [t{n - 1}]" if n % 50 else "      on-complete: [noop]")
    return "\n".join(lines) + "\n"


async def _get(server: Server, url: str) -> Any:
    async with server.session.get(url) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{url}: {await answer.text()}")
        return await answer.json()


async def _timed(work: Awaitable[Any]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def _figures(times: list[float]) -> str:
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"p50 {statistics.median(ordered) * 1e3:.1f} ms, p95 {late * 1e3:.1f} ms"


def _show(rows: Rows) -> None:
    for what, measured in rows:
        print(f"{what:<56} {measured}", flush=True)


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--server", default=LOCAL, help="PostgreSQL server, by the URL of a database of it")
    options.add_argument("--executions", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--plans", action="store_true", help="print the plans of the lists")
    given = options.parse_args()
    count, rounds = given.executions, given.rounds
    async with cluster(given.server) as nodes:
        seconds = await fill(nodes.database, count)
        load = os.getloadavg()[0]
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"load {load:.1f}, PostgreSQL with {count:,} executions (filled in {seconds:.0f} s)"
        )
        server = await nodes.add()
        steps: list[Callable[[], Awaitable[Rows]]] = [
            lambda: time_lists(server, count, rounds),
            lambda: single_reads(server, count, 5.0),
            lambda: big_upload(server, 5),
        ]
        for step in steps:
            _show(await step())
        print(f"load {os.getloadavg()[0]:.1f} at the end")
        if given.plans:
            await show_plans(nodes.database, count)


if __name__ == "__main__":
    asyncio.run(main())
