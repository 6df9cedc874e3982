"""A node that is told to stop hands over what it has, at once: executions, timers, claims."""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa
from tests.service.harness import (
    ALICE,
    a_node,
    action,
    finished,
    read,
    run,
    start,
    still,
    stored,
    upload,
)
from tests.service.test_engine import left_over

from tramontane.clock import ManualClock
from tramontane.compose import OpenNode
from tramontane.service.services import ExecutionChange
from tramontane.store import schema
from tramontane.store.jobs import Jobs
from tramontane.store.nodes import Nodes

FLOWS = """
open: {tasks: {a: {action: std.async_noop, on-success: b}, b: {action: std.noop}}}
held: {tasks: {a: {action: std.async_noop}}}
acting:
  tasks:
    a: {action: std.sleep seconds=1, publish: {x: 1}, on-success: b}
    b: {action: std.sleep seconds=0, on-success: c}
    c: {action: std.noop}
later: {tasks: {a: {action: std.noop, wait-before: 30}}}
"""


async def owners(node: OpenNode) -> dict[str, str | None]:
    """Which node ran each execution last."""
    heads = schema.heads
    async with node.database.read() as connection:
        rows = await connection.execute(sa.select(heads.c.id, heads.c.node_id))
        return {row.id: row.node_id for row in rows}


async def know_each_other(*nodes: OpenNode) -> None:
    for node in nodes:
        await node.runtime.reaper.loop.next_round()
        while len(node.runtime.reaper.living) < len(nodes) - 1:
            await node.runtime.reaper.loop.next_round()


def test_executions_are_another_node_s_at_once_and_go_on_there(postgresql_url: str) -> None:
    async def test() -> None:
        async with a_node(postgresql_url) as one, a_node(postgresql_url) as two:
            await upload(one, FLOWS)
            open_, held, acting = [await start(one, name) for name in ("open", "held", "acting")]
            await one.services.executions.change(ALICE, held.id, ExecutionChange("PAUSED"))
            await know_each_other(one, two)
            await one.hand_over()
            assert await owners(two) == dict.fromkeys((open_.id, held.id, acting.id), two.id)
            # The action runs on where it was begun; its result goes to the new owner, who runs the rest.
            begun = two.runtime.executor.statistics.begun
            assert (await finished(two, acting.id)).state == "SUCCESS"
            assert two.runtime.executor.statistics.begun == begun + 1
            assert [each.attempt for each in (await stored(two, acting.id)).actions] == [0, 0, 0]
            waiting = (await action(two, open_.id, "a")).id
            await two.services.action_executions.update(ALICE, waiting, "SUCCESS", None)
            assert (await finished(two, open_.id)).state == "SUCCESS"
            assert (await left_over(two))["inbox"] == 0

    run(test())


def test_timers_change_their_node_too(postgresql_url: str) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with a_node(postgresql_url, clock) as one, a_node(postgresql_url, clock) as two:
            await upload(one, FLOWS)
            execution = await start(one, "later")
            await know_each_other(one, two)
            fired = two.runtime.timers.fired
            await one.hand_over()
            await still(lambda: not two.runtime.timers.has_next)
            clock.advance(31)
            two.runtime.timers.ticking.wake()  # memory knows it; the poll isn't needed
            assert (await finished(two, execution.id)).state == "SUCCESS"
            assert two.runtime.timers.fired == fired + 1

    run(test())


def test_claims_that_were_not_begun_are_free_at_once(postgresql_url: str) -> None:
    async def test() -> None:
        async with a_node(postgresql_url, executor_slots=0) as one, a_node(postgresql_url) as two:
            two.runtime.executor._accepting = False
            await two.runtime.executor.claiming.stop()
            await upload(one, FLOWS)
            execution = await start(one, "acting")
            # As if the answer to a claim had not been read yet.
            assert len((await Jobs(two.database).claim(two.id, [""], 10)).jobs) == 1
            await two.hand_over()
            assert await Jobs(one.database).claims_of(two.id) == []
            async with a_node(postgresql_url) as three:
                assert (await finished(three, execution.id)).state == "SUCCESS"
                assert (await action(three, execution.id, "a")).attempt == 0

    run(test())


def test_whoever_waits_for_an_end_is_answered_when_the_node_stops(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, FLOWS)
            execution = await start(node, "open")
            waiting = asyncio.create_task(node.services.executions.wait(execution.id, 3600))
            await still(lambda: not node.engine._ended)
            await node.hand_over()
            await waiting
            assert (await read(node, execution.id)).state == "RUNNING"

    run(test())


def test_a_node_without_others_leaves_in_order_and_the_next_one_counts_no_death(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, FLOWS)
            execution = await start(node, "open")
        for _ in range(4):
            async with a_node(sqlite_url) as node:
                assert await owners(node) == {execution.id: node.id}
                assert await takeovers(node) == [0]
                assert [each.id for each in await Nodes(node.database).all()] == [node.id]
        async with a_node(sqlite_url) as node:
            waiting = (await action(node, execution.id, "a")).id
            await node.services.action_executions.update(ALICE, waiting, "SUCCESS", None)
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


async def takeovers(node: OpenNode) -> list[int]:
    async with node.database.read() as connection:
        return list((await connection.execute(sa.select(schema.heads.c.takeovers))).scalars())


def test_paused_executions_of_a_dead_node_are_no_reason_to_bury_it_again(postgresql_url: str) -> None:
    async def test() -> None:
        async with a_node(postgresql_url) as node:
            await upload(node, FLOWS)
            execution = await start(node, "held")
            await node.services.executions.change(ALICE, execution.id, ExecutionChange("PAUSED"))
            heads: Any = schema.heads
            async with node.database.write() as connection:
                await connection.execute(sa.update(heads).values(node_id="dead"))
            assert await node.runtime.work.absent() == set()
            async with node.database.write() as connection:
                await connection.execute(sa.update(heads).values(state="RUNNING"))
            assert await node.runtime.work.absent() == {"dead"}

    run(test())
