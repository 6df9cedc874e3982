"""Small beside giant, and limits over several processes, with real databases and real actions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.runtime.test_executor_process import an_executor
from tests.service.harness import a_node, finished, read, run, start, still, upload

from tramontane.compose import OpenNode
from tramontane.store.database import open_database
from tramontane.store.jobs import Jobs
from tramontane.store.limits import Limits

GIANT = "giant: {tasks: {a: {with-items: 'i in <% range(600) %>', action: std.sleep seconds=0}}}"
SMALL = "small: {tasks: {a: {action: std.sleep seconds=0}}}"


async def waiting(node: OpenNode) -> int:
    """How many jobs for anybody nobody has claimed."""
    return (await Jobs(node.database).waiting()).get("", 0)


async def until_waiting(node: OpenNode, count: int) -> None:
    while await waiting(node) < count:  # noqa: ASYNC110 (there is nothing else to wait for)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_small_execution_ends_before_the_giant_that_came_first(
    kind: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")

    async def test() -> None:
        async with a_node(url, executor_slots=1) as node:
            await upload(node, GIANT)
            await upload(node, SMALL)
            giant = await start(node, "giant")
            await until_waiting(node, 400)
            small = await start(node, "small")
            assert (await finished(node, small.id)).state == "SUCCESS"
            assert await waiting(node) > 200, "the giant's tail waits still"
            assert (await read(node, giant.id)).state == "RUNNING"
            assert (await finished(node, giant.id)).state == "SUCCESS"

    run(test())


class Outside:
    """An HTTP server that counts how many calls it has at the same time."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.calls = 0

    async def handle(self, _: web.Request) -> web.Response:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02)
        finally:
            self.now -= 1
        return web.json_response(1)


@asynccontextmanager
async def outside() -> AsyncIterator[tuple[Outside, str]]:
    server, app = Outside(), web.Application()
    app.router.add_get("/", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield server, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_limit_holds_over_nodes_and_executors_and_follows_its_change(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Two nodes, and two executors in processes of their own; who counts is the server that they call."""
    url: str = request.getfixturevalue(f"{kind}_url")
    quick: dict[str, Any] = {"heartbeat_seconds": 0.1, "lease_seconds": 10.0, "http_denied_cidrs": ()}

    async def test() -> None:
        # A limit for what had none holds when all have looked; these know it from the beginning.
        database = await open_database(url)
        await Limits(database).set("action", "std.http", 0, 0)
        await database.close()
        async with (
            outside() as (server, door),
            a_node(url, **quick) as one,
            a_node(url, **quick) as two,
            an_executor(url),
            an_executor(url),
        ):
            await upload(
                one,
                "calls: {input: [url], tasks: {a: {with-items: 'i in <% range(30) %>', "
                "action: std.http, input: {url: <% $.url %>}}}}",
            )
            executions = [await start(node, "calls", input={"url": door}) for node in (one, two)]
            await until_waiting(one, 60)
            assert server.calls == 0, "0 lets nothing start"
            await two.services.limits.set("action", "std.http", 3)
            await still(lambda: server.calls < 20)
            assert server.most <= 3
            await one.services.limits.set("action", "std.http", 1)
            await still(lambda: server.now > 1)
            server.most = 0
            await still(lambda: server.calls < 30)
            assert server.most <= 1
            await one.services.limits.set("action", "std.http", 8)
            for execution in executions:
                assert (await finished(one, execution.id)).state == "SUCCESS"
            assert server.calls == 60
            assert server.most <= 8

    run(test())
