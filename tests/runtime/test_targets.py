"""Targets that nobody serves: known ones are waited for, unknown ones are a mistake."""

from __future__ import annotations

import pytest
from tests.service.harness import a_node, action, finished, read, run, start, upload

from tramontane.store.jobs import Jobs
from tramontane.store.nodes import Nodes
from tramontane.values import freeze

FLOW = "wf: {tasks: {a: {action: std.sleep seconds=0, target: gpu}}}"


@pytest.mark.spec("ACT69")
def test_a_target_that_nobody_ever_served_is_an_error_that_names_it(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            await upload(node, FLOW)
            execution = await start(node, "wf")
            assert await node.runtime.work.end_unserved((), 0) == 1
            assert (await finished(node, execution.id)).state == "ERROR"
            text = (await action(node, execution.id, "a")).output["result"]
            assert text.startswith("No executor has the name 'gpu' that the action's target asks for")

    run(test())


@pytest.mark.spec("ACT69")
def test_a_target_whose_executors_are_away_is_waited_for(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            nodes = Nodes(node.database)
            await nodes.register("gone", "host:1", "executor", freeze({"pools": ["gpu"]}))
            await nodes.remove("gone")
            await upload(node, FLOW)
            execution = await start(node, "wf")
            assert await node.runtime.work.end_unserved((), 0) == 0
            assert (await read(node, execution.id)).state == "RUNNING"
            assert await Jobs(node.database).waiting() == {"gpu": 1}

    run(test())


@pytest.mark.spec("ACT69")
def test_an_unknown_target_may_be_ignored(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            await upload(node, FLOW)
            execution = await start(node, "wf")
            assert await node.runtime.work.end_unserved((), 0, anywhere=True) == 1
            node.runtime.executor.look()
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())
