"""Forks on real databases: written whole or not at all, whatever happens to the commit."""

from __future__ import annotations

import pytest
from tests.service.harness import (
    ALICE,
    Faults,
    FaultyExecutions,
    a_node,
    finished,
    play,
    run,
    stored,
    upload,
)

from tramontane.compose import OpenNode
from tramontane.core.state import Execution
from tramontane.errors import UnavailableError
from tramontane.service.services import ForkOrder
from tramontane.values import freeze

FLOW = """
flow:
  input: [n]
  output: {r: <% $.r %>}
  tasks:
    first: {with-items: 'i in [1, 2, 3]', action: std.echo output=<% $.i %>, on-success: [left, right]}
    left: {workflow: helper, publish: {l: <% task().result.h %>}, on-success: meet}
    right: {action: std.noop, on-success: {publish: {global: {g: 5}}, next: meet}}
    meet:
      join: all
      action: std.echo output=<% task(first).result.sum() %>
      publish: {r: <% task().result + $.l %>}
      fail-on: <% $.n > 5 %>
helper:
  output: {h: 10}
  tasks: {h: {action: std.noop}}
"""


async def forked(node: OpenNode, source: Execution, task: str, n: int) -> Execution:
    order = ForkOrder(tasks=[task], input=freeze({"n": n}))
    new = await node.services.forks.fork(ALICE, source.id, order)
    return await finished(node, new.id)


def test_a_fork_is_stored_as_any_execution_is(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            await upload(node, FLOW)
            source = await play(node, "flow", input={"n": 7})
            assert source.state == "ERROR"
            new = await forked(node, source, "meet", 1)
            assert (new.state, new.output) == ("SUCCESS", {"r": 16})
            records = await stored(node, new.id)
        async with a_node(database_url) as node:
            again = await stored(node, new.id)
            assert again.tasks == records.tasks and again.actions == records.actions
            assert {task.root_id for task in again.tasks} == {new.id}
            assert [task.seq for task in again.tasks] == sorted({task.seq for task in again.tasks})
            (call,) = again.subworkflows
            assert call.output == {"h": 10}
            helper = await stored(node, call.id)
            assert (helper.execution.root_id, helper.inbox, helper.tasks) == (new.id, [], [])
            before = {task.name: task for task in (await stored(node, source.id)).tasks}
            copied = next(task for task in again.tasks if task.name == "right")
            assert copied.published_global == before["right"].published_global == {"g": 5}

    run(test())


async def _attempt(node: OpenNode, source: Execution) -> Execution | None:
    try:
        return await forked(node, source, "meet", 1)
    except UnavailableError:
        return None


@pytest.mark.parametrize("seed", range(4))
def test_a_fork_survives_commits_that_go_wrong(
    seed: int, database_url: str, faulty: type[FaultyExecutions]
) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            await upload(node, FLOW)
            source = await play(node, "flow", input={"n": 7})
            faulty.faults = Faults(seed, 0.5)
            new = None
            while new is None:
                new = await _attempt(node, source)
            faulty.faults = Faults(seed, 0.0)
            assert (new.state, new.output) == ("SUCCESS", {"r": 16})

    run(test())
