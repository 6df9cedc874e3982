"""Executions whose history doesn't stay in memory: checkpoints, eviction, and coming back."""

from __future__ import annotations

import asyncio

from tests.service.harness import ALICE, a_node, finished, play, read, run, start, stored, task, upload

from tramontane.compose import OpenNode
from tramontane.core.memory import CHECKPOINT_CHANGES
from tramontane.core.state import ActionExecution
from tramontane.service.services import ExecutionChange
from tramontane.store.executions import Executions
from tramontane.store.records import StoredExecution
from tramontane.values import freeze

LOOP = """
long:
  vars: {n: 0}
  output: {n: <% $.n %>, seen: <% $.get(seen) %>, who: <% $.who %>}
  tasks:
    first:
      action: std.echo output="one"
      publish: {who: <% task().result %>}
      on-success: step
    step:
      action: std.noop
      publish: {n: <% $.n + 1 %>}
      on-success:
        - step: <% $.n < 2500 %>
        - hold: <% $.n >= 2500 %>
    hold:
      action: std.async_noop
      publish: {seen: "<% [task(first).result, task(step).published.n, task().result] %>"}
      on-success: last
    last: {action: std.noop}
"""


async def opened(node: OpenNode, execution_id: str) -> StoredExecution:
    """What a turn loads of the execution."""
    found = await Executions(node.database).load_open(execution_id)
    assert found is not None
    return found


async def running_action(node: OpenNode, execution_id: str) -> ActionExecution:
    while True:
        found = [each for each in (await stored(node, execution_id)).actions if not each.is_completed]
        if found:
            return found[0]
        await asyncio.sleep(0.02)


async def all_but_one_item(node: OpenNode, execution_id: str) -> None:
    """Wait until so many items have ended."""
    while True:
        actions = (await stored(node, execution_id)).actions
        if sum(action.is_completed for action in actions) == 2499:
            return
        await asyncio.sleep(0.1)


async def evict(node: OpenNode) -> None:
    """Push whatever a node with room for one execution has in memory out of it."""
    for _ in range(6):
        await play(node, "other")


async def complete(node: OpenNode, execution_id: str, value: str) -> None:
    action = await running_action(node, execution_id)
    await node.services.action_executions.update(ALICE, action.id, "SUCCESS", freeze(value))


OTHER = "other: {tasks: {a: {action: std.noop}}}\n"


def test_a_long_loop_costs_its_frontier_in_memory_and_at_a_load(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url, cached_executions=1) as node:
            await upload(node, LOOP + OTHER)
            execution = await start(node, "long")
            await running_action(node, execution.id)
            assert node.engine.cached_records <= CHECKPOINT_CHANGES + 100
            loaded = await opened(node, execution.id)
            assert loaded.checkpoint is not None
            assert len(loaded.tasks) + len(loaded.actions) <= CHECKPOINT_CHANGES + 100
            assert len((await stored(node, execution.id)).tasks) == 2502
            await evict(node)
            assert not node.engine.is_cached(execution.id)
            await complete(node, execution.id, "ready")
            done = await finished(node, execution.id)
            assert done.state == "SUCCESS"
            assert done.output == {"n": 2500, "seen": ["one", 2500, "ready"], "who": "one"}
            assert (await opened(node, execution.id)).checkpoint is None, "an ended execution needs none"

    run(test())


def test_completed_items_leave_memory_and_their_results_come_back(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url, cached_executions=1) as node:
            await upload(node, ITEMS + OTHER)
            execution = await start(node, "items")
            await all_but_one_item(node, execution.id)
            await evict(node)
            loaded = await opened(node, execution.id)
            assert loaded.checkpoint is not None
            assert len(loaded.actions) <= CHECKPOINT_CHANGES + 100
            await complete(node, execution.id, "the last")
            done = await finished(node, execution.id)
            assert done.output == {"count": 2500, "last": "the last"}

    run(test())


def test_a_route_that_was_forgotten_is_taken_up_again(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, cached_executions=1) as node:
            await upload(node, SKIPPED + OTHER)
            execution = await start(node, "skipped")
            await running_action(node, execution.id)
            loaded = await opened(node, execution.id)
            early = (await stored(node, execution.id)).tasks[0]
            assert early.name == "early"
            assert early.id not in {each.id for each in loaded.tasks}
            await evict(node)
            await node.services.tasks.skip(ALICE, early.id, None)
            extra = await task(node, execution.id, "extra")
            assert extra.published == {"x": "from early"}
            assert (await opened(node, execution.id)).checkpoint is None, "it had left out what has changed"
            await complete(node, execution.id, "on")
            assert (await finished(node, execution.id)).state == "SUCCESS"
            assert (await task(node, execution.id, "early")).state == "SKIPPED"

    run(test())


def test_whatever_an_execution_waits_for_it_leaves_memory_and_comes_back(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url, cached_executions=1) as node:
            await upload(node, WAITING + OTHER)
            waiting = {name: await start(node, name) for name in ("asked", "timed", "calling", "joining")}
            paused = await start(node, "asked")
            await node.services.executions.change(ALICE, paused.id, ExecutionChange(state="PAUSED"))
            await evict(node)
            assert not any(node.engine.is_cached(each.id) for each in (*waiting.values(), paused))
            assert node.engine.cached <= 2
            assert node.engine.cached_records <= 40
            for name in ("asked", "joining"):
                await complete(node, waiting[name].id, "answer")
            (call,) = (await stored(node, waiting["calling"].id)).subworkflows
            await complete(node, call.id, "answer")
            await complete(node, paused.id, "answer")
            assert (await read(node, paused.id)).state == "PAUSED"
            await node.services.executions.change(ALICE, paused.id, ExecutionChange(state="RUNNING"))
            for execution in (*waiting.values(), paused):
                assert (await finished(node, execution.id)).output["got"] == "answer"

    run(test())


ITEMS = """
items:
  output: {count: <% $.count %>, last: <% $.last %>}
  tasks:
    a:
      with-items: i in <% range(2500) %>
      action: std.sleep seconds=<% switch($.i < 2499 => 0, true => 3600) %>
      publish: {count: <% task().result.len() %>, last: <% task().result.last() %>}
"""

SKIPPED = """
skipped:
  tasks:
    early:
      action: std.fail
      publish-on-skip: {x: from early}
      on-error: t0
      on-skip: extra
    extra: {publish: {x: <% $.x %>}}
    hold: {action: std.async_noop}
    t1099: {action: std.noop, on-success: hold}
""" + "".join(f"    t{n}: {{action: std.noop, on-success: t{n + 1}}}\n" for n in range(1099))

WAITING = """
asked:
  output: {got: <% $.got %>}
  tasks:
    a: {action: std.async_noop, publish: {got: <% task().result %>}, on-success: b}
    b: {action: std.noop}
timed:
  output: {got: <% $.got %>}
  tasks:
    a: {wait-before: 2, action: 'std.echo output="answer"', publish: {got: <% task().result %>}}
calling:
  output: {got: <% $.got %>}
  tasks:
    a: {workflow: asked, publish: {got: <% task().result.got %>}}
joining:
  output: {got: <% $.got %>, x: <% $.x %>}
  tasks:
    quick: {publish: {x: 1}, on-success: both}
    slow: {action: std.async_noop, publish: {got: <% task().result %>}, on-success: both}
    both: {join: all}
"""
