"""An execution runs the definition that it started with; what it calls is looked up when it is called."""

from __future__ import annotations

from tests.service.harness import ALICE, a_node, finished, run, start, stored, upload

from tramontane.compose import OpenNode
from tramontane.service.definitions import UploadOptions
from tramontane.values import freeze

PARENT = """
parent:
  output: {own: <% $.own %>, called: <% $.called %>}
  tasks:
    hold: {action: std.async_noop, on-success: next}
    next: {action: std.echo output=%VERSION%, publish: {own: <% task().result %>}, on-success: call}
    call: {workflow: child, publish: {called: <% task().result.own %>}}
"""
CHILD = """
child:
  output: {own: <% $.own %>}
  tasks:
    a: {action: std.echo output=%VERSION%, publish: {own: <% task().result %>}}
"""


def document(version: int) -> str:
    return (PARENT + CHILD).replace("%VERSION%", str(version))


async def replace(node: OpenNode, version: int) -> None:
    await node.services.workflows.update(ALICE, "version: '2.0'\n" + document(version), UploadOptions())


async def complete(node: OpenNode, execution_id: str) -> None:
    (action,) = (await stored(node, execution_id)).actions
    await node.services.action_executions.update(ALICE, action.id, "SUCCESS", freeze(1))


def test_a_new_version_is_for_executions_that_start_after_it(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url, cached_executions=1) as node:
            await upload(node, document(1))
            kept, evicted = await start(node, "parent"), await start(node, "parent")
            await replace(node, 2)
            after = await start(node, "parent")
            for execution, own in ((kept, 1), (evicted, 1), (after, 2)):
                await complete(node, execution.id)
                done = await finished(node, execution.id)
                assert done.output == {"own": own, "called": 2}

    run(test())


def test_another_node_goes_on_with_the_version_that_an_execution_started_with(postgresql_url: str) -> None:
    async def test() -> None:
        async with a_node(postgresql_url) as first, a_node(postgresql_url) as second:
            await upload(first, document(1))
            execution = await start(first, "parent")
            await replace(second, 2)
            await complete(second, execution.id)
            done = await finished(second, execution.id)
            assert done.output == {"own": 1, "called": 2}

    run(test())


def test_an_execution_goes_on_when_its_definition_is_deleted(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, document(1))
            execution = await start(node, "parent")
            await node.services.workflows.delete(ALICE, "parent", "")
            await complete(node, execution.id)
            assert (await finished(node, execution.id)).output == {"own": 1, "called": 1}

    run(test())
