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
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy.dialects import postgresql

from bench.nodes import cluster
from bench.server import Server
from tramontane.api.kinds import ACTION_EXECUTION_LIST, EXECUTION_LIST, TASK_LIST
from tramontane.api.listing import ListKind, parse
from tramontane.auth.cache import hash_of
from tramontane.auth.issued import new_token
from tramontane.store.database import open_database
from tramontane.store.reads.listing import page_select
from tramontane.store.tokens import TokenRow, Tokens

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
_TASK_STATE = "CASE WHEN n % 5000 = 0 THEN 'ERROR' WHEN state = 'RUNNING' THEN 'RUNNING' ELSE 'SUCCESS' END"
_TASKS = f"""
INSERT INTO tasks (
    id, execution_id, root_id, project_id, name, type, workflow_name, workflow_namespace, workflow_id, seq,
    created_at, state, phase, tags, is_join, processed, next_tasks, error_handled, published,
    published_global, runtime_context, causes, round_seq, hits, run, generation, retry_no, pending, item_next,
    item_todo, concurrency, completed_seq, outlives_end, started_at, finished_at, updated_at)
SELECT
    'a' || substr(id, 2), id, id, 'project' || n % 20, 'task' || n % 30, 'ACTION', 'workflow' || n % 200, '',
    '00000000-0000-4000-8000-' || lpad((n % 200)::text, 12, '0'), 1,
    $3::bigint + n * 1000000, {_TASK_STATE}, 'run', '[]', false, true, '[]', false, '{{}}', '{{}}',
    '{{}}', '[]', 0, 0, 0, 0, 0, '[]', 0, '[]',
    0, 2, false, $3::bigint + n * 1000000, $3::bigint + n * 1000000 + 400000,
    $3::bigint + n * 1000000 + 400000
FROM ({_NUMBERED}) e
"""
_ACTIONS = f"""
INSERT INTO action_executions (
    id, execution_id, root_id, task_id, "index", generation, seq, state, accepted, output,
    created_at, updated_at, name, project_id, workflow_name, workflow_namespace, task_name, is_sync,
    safe_rerun, attempt, input, started_at, finished_at)
SELECT
    'b' || substr(id, 2), id, id, 'a' || substr(id, 2), 0, 0, 2, {_TASK_STATE}, true,
    '{{"result":"' || repeat('x', 100) || '"}}',
    $3::bigint + n * 1000000, $3::bigint + n * 1000000 + 400000, 'std.http', 'project' || n % 20,
    'workflow' || n % 200, '', 'task' || n % 30, true,
    false, 0, format('{{"url":"https://example.org/%s"}}', n), $3::bigint + n * 1000000,
    $3::bigint + n * 1000000 + 400000
FROM ({_NUMBERED}) e
"""
_BATCH = 100_000
_PROJECT = "project7"
_NONE: Mapping[str, str] = {}

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Listed:
    """A list to time: what a dashboard, a script and a person ask for. ``project``: by one of twenty
    projects; else by an administrator, who sees them all."""

    name: str
    query: str
    kind: ListKind = EXECUTION_LIST
    project: bool = False

    @property
    def path(self) -> str:
        return f"{self.kind.collection}?limit=100&{self.query}"

    @property
    def label(self) -> str:
        return f"100 {self.kind.collection.replace('_', ' ')}: {self.name}{', a project' * self.project}"


_NEWEST = "sort_keys=created_at&sort_dirs=desc"


def lists(count: int) -> list[Listed]:
    middle = _shown_time(count // 2)
    workflow_id = f"00000000-0000-4000-8000-{7:012}"
    executions = {
        "the newest": _NEWEST,
        "the newest in ERROR (1 in 11)": f"state=ERROR&{_NEWEST}",
        "the newest that run (1 in 10,000)": f"state=RUNNING&{_NEWEST}",
        "that are paused (none)": "state=PAUSED",
        "of one workflow's id (1 in 200)": f"workflow_id={workflow_id}",
        "of one workflow's name (1 in 200)": "workflow_name=workflow7",
        "of a name that nobody has": "workflow_name=nosuch",
        "in ERROR of one workflow": f"workflow_name=workflow7&state=ERROR&{_NEWEST}",
        "a moment's, by time": f"created_at=gte:{middle}",
        "roots only, the newest": f"nulls=root_execution_id&{_NEWEST}",
    }
    rare = {
        "in ERROR (1 in 5,000)": "state=ERROR",
        "the newest in ERROR (1 in 5,000)": f"state=ERROR&{_NEWEST}",
        "that run (none)": "state=RUNNING",
    }
    both = (False, True)
    found = [Listed(name, query, project=own) for name, query in executions.items() for own in both]
    for kind in (TASK_LIST, ACTION_EXECUTION_LIST):
        found += [Listed(name, query, kind, own) for name, query in rare.items() for own in both]
    # What no index leads to is read from one end to the other.
    found += [
        Listed("a word of the description, rare", "description=has:order 99999"),
        Listed("in no order of an index", "state=ERROR&sort_keys=workflow_name,updated_at"),
    ]
    return found


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
            for statement in (_EXECUTIONS, _TASKS, _ACTIONS):
                await connection.execute(statement, first, last, _START)
        for table in ("heads", "executions", "tasks", "action_executions"):
            await connection.execute(f"VACUUM ANALYZE {table}")
        return time.perf_counter() - started
    finally:
        await connection.close()


async def time_lists(server: Server, count: int, rounds: int, token: str) -> Rows:
    rows: Rows = []
    for each in lists(count):
        url = f"{server.base}/{each.path}"
        headers = {"X-Auth-Token": token} if each.project else {}
        await _get(server, url, headers)
        times = [await _timed(_get(server, url, headers)) for _ in range(rounds)]
        rows.append((each.label, _figures(times)))
    rows.append(("100 executions: the 50th page of those in ERROR", await _deep_page(server, rounds)))
    return rows


async def _token(database: str, project: str, role: str) -> str:
    """Issue a token."""
    token = new_token()
    row = TokenRow(
        id=str(uuid.uuid4()),
        hash=hash_of(token),
        name="benchmark",
        project_id=project,
        roles=(role,),
        created_at=_START,
        expires_at=None,
    )
    opened = await open_database(database)
    try:
        await Tokens(opened).add(row)
    finally:
        await opened.close()
    return token


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
        for each in lists(count):
            given = dict(part.split("=", 1) for part in f"limit=100&{each.query}".split("&"))
            resource = each.kind.resource
            visible = [resource.project == _PROJECT] if each.project else []
            statement = page_select(resource, parse(each.kind, given, 1000).query, visible, None).compile(
                dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
                compile_kwargs={"literal_binds": True},
            )
            print(f"\n-- {each.label}: {each.path}")
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


async def _get(server: Server, url: str, headers: Mapping[str, str] = _NONE) -> Any:
    async with server.session.get(url, headers=headers) as answer:
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
        print(f"{what:<66} {measured}", flush=True)


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--server", default=LOCAL, help="PostgreSQL server, by the URL of a database of it")
    options.add_argument("--executions", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--plans", action="store_true", help="print the plans of the lists")
    given = options.parse_args()
    count, rounds = given.executions, given.rounds
    async with cluster(given.server, TRAMONTANE_AUTH="token") as nodes:
        seconds = await fill(nodes.database, count)
        load = os.getloadavg()[0]
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"load {load:.1f}, PostgreSQL, {count:,} executions, tasks and actions (made in {seconds:.0f} s)"
        )
        nodes.session.headers["X-Auth-Token"] = await _token(nodes.database, "operators", "admin")
        token = await _token(nodes.database, _PROJECT, "member")
        server = await nodes.add()
        steps: list[Callable[[], Awaitable[Rows]]] = [
            lambda: time_lists(server, count, rounds, token),
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
