"""The loops of a node: timers, jobs, inboxes, nodes that leave, die or come back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from tests.service.harness import (
    ALICE,
    a_node,
    action,
    finished,
    play,
    read,
    run,
    start,
    still,
    stored,
    task,
    until,
    upload,
)
from tests.service.test_engine import left_over

from tramontane.clock import ManualClock
from tramontane.compose import OpenNode
from tramontane.core.events import Continued, PauseAsked, to_data
from tramontane.errors import UnavailableError
from tramontane.runtime.executor import TooLateError
from tramontane.runtime.recovery import Reaper
from tramontane.service.services import ExecutionChange, RunOrder
from tramontane.store import schema
from tramontane.store.executions import Executions
from tramontane.store.nodes import Nodes
from tramontane.store.records import InboxRow
from tramontane.values import FrozenDict, freeze

BLOCKED = "wf: {tasks: {a: {action: std.sleep seconds=3600%s, on-success: b}, b: {action: std.noop}}}"


async def rounds(node: OpenNode) -> None:
    """Let the timers look at the clock."""
    await node.runtime.timers.ticking.next_round()
    await node.runtime.timers.polling.next_round()


# -- timers ---------------------------------------------------------------------------------------


def test_a_near_timer_fires_when_its_time_has_come_and_not_before(database_url: str) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with a_node(database_url, clock) as node:
            await upload(node, "wf: {tasks: {a: {action: std.noop, wait-before: 10}}}")
            execution = await start(node, "wf")
            clock.advance(9.9)
            await rounds(node)
            assert (await task(node, execution.id, "a")).state == "DELAYED"
            clock.advance(0.2)
            await rounds(node)
            assert (await finished(node, execution.id)).state == "SUCCESS"
            assert (await left_over(node))["timers"] == 0

    run(test())


def test_a_timer_far_away_is_left_to_the_database(sqlite_url: str) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with a_node(sqlite_url, clock) as node:
            await upload(node, "wf: {tasks: {a: {action: std.noop, wait-before: 5000}}}")
            execution = await start(node, "wf")
            clock.advance(5001)
            await rounds(node)
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_a_dropped_timer_doesn_t_fire(sqlite_url: str) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with a_node(sqlite_url, clock) as node:
            await upload(node, "wf: {tasks: {a: {action: std.async_noop, timeout: 10, on-error: noop}}}")
            execution = await start(node, "wf")
            waiting = (await action(node, execution.id, "a")).id
            await node.services.action_executions.update(ALICE, waiting, "SUCCESS", None)
            assert (await left_over(node))["timers"] == 0
            clock.advance(11)
            await rounds(node)
            assert node.runtime.timers.fired == 0

    run(test())


def test_timers_of_before_a_restart_fire_after_it(sqlite_url: str) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with a_node(sqlite_url, clock) as node:
            await upload(node, "wf: {tasks: {a: {action: std.noop, wait-before: 10}}}")
            execution = await start(node, "wf")
        clock.advance(11)
        async with a_node(sqlite_url, clock) as node:
            await rounds(node)
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


# -- jobs -----------------------------------------------------------------------------------------


def test_jobs_beyond_the_slots_wait_as_rows_and_are_claimed_later(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url, executor_slots=3) as node:
            await upload(
                node, "wf: {tasks: {a: {with-items: i in <% range(40) %>, action: std.sleep seconds=0}}}"
            )
            busy: list[int] = []
            node.engine.watch(lambda _: busy.append(node.runtime.executor.busy))
            execution = await play(node, "wf")
            assert execution.state == "SUCCESS"
            assert max(busy) <= 3
            assert len((await stored(node, execution.id)).actions) == 40
            await still(lambda: node.runtime.executor.busy > 0)
            assert await left_over(node) == {"inbox": 0, "timers": 0, "jobs": 0}

    run(test())


def test_an_asynchronous_action_leaves_no_job_behind(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.async_noop}}}")
            execution = await start(node, "wf")
            await still(lambda: node.runtime.executor.busy > 0)
            assert (await left_over(node))["jobs"] == 0
            assert (await read(node, execution.id)).state == "RUNNING"

    run(test())


def test_a_timed_out_action_doesn_t_keep_its_slot(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "wf: {tasks: {a: {action: std.sleep seconds=3600, timeout: 1, on-error: b},"
                " b: {action: std.noop}}}",
            )
            assert (await play(node, "wf")).state == "SUCCESS"
            await still(lambda: node.runtime.executor.busy > 0)

    run(test())


def test_a_caller_who_waits_too_long_for_an_action_is_told_so(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, caller_seconds=0.1) as node:
            with pytest.raises(TooLateError):
                await node.services.action_executions.run(
                    ALICE, RunOrder("std.sleep", input=freeze({"seconds": 3600}))
                )
            assert node.runtime.executor.busy == 0

    run(test())


def test_a_target_that_nobody_is_fails_the_task_after_a_while(database_url: str) -> None:
    async def test() -> None:
        clock = ManualClock()
        async with a_node(database_url, clock, executor_name="here") as node:
            await upload(
                node,
                "wf: {tasks: {a: {action: std.sleep seconds=0, target: here},"
                " b: {action: std.sleep seconds=0, target: nowhere}}}",
            )
            execution = await start(node, "wf")
            await until(node, execution.id, "SUCCESS", "a")
            await node.runtime.targets.loop.next_round()
            assert (await task(node, execution.id, "b")).state == "RUNNING"
            clock.advance(61)
            await node.runtime.targets.loop.next_round()
            assert (await finished(node, execution.id)).state == "ERROR"
            info = (await task(node, execution.id, "b")).state_info
            assert info is not None and "No executor has the name 'nowhere'" in info
            assert (await left_over(node))["jobs"] == 0

    run(test())


# -- inboxes --------------------------------------------------------------------------------------


def test_a_row_whose_wake_up_was_lost_is_found_by_the_poll(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.async_noop}}}")
            execution = await start(node, "wf")
            payload = FrozenDict(to_data(PauseAsked()))
            await Executions(node.database).post(
                [InboxRow("row", execution.id, execution.id, payload, node.engine.now())]
            )
            await until(node, execution.id, "PAUSED")
            assert (await left_over(node))["inbox"] == 0

    run(test())


def test_rows_for_executions_that_are_gone_are_thrown_away(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            payload = FrozenDict(to_data(Continued()))
            await Executions(node.database).post(
                [InboxRow("row", "gone", "gone", payload, node.engine.now() - 10_000_000)]
            )
            await node.runtime.inbox.loop.next_round()
            await still(lambda: node.engine.cached > 0)
            assert (await left_over(node))["inbox"] == 0

    run(test())


# -- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "state"), [("", "ERROR"), (", safe-rerun: true", "RUNNING")], ids=["unsafe", "safe-rerun"]
)
def test_actions_that_outlive_the_grace_are_lost_or_sent_again(
    policy: str, state: str, sqlite_url: str
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, shutdown_grace_seconds=0.05) as node:
            await upload(node, BLOCKED % policy)
            execution = await start(node, "wf")
        async with a_node(sqlite_url, shutdown_grace_seconds=0) as node:
            await still(lambda: node.engine.waiting > 0)
            if state == "ERROR":
                done = await finished(node, execution.id)
                assert done.state_info is not None and "cannot be re-run safely" in done.state_info
            else:
                await still(lambda: node.runtime.executor.busy == 0)
                assert (await action(node, execution.id, "a")).attempt == 1
                assert (await read(node, execution.id)).state == "RUNNING"

    run(test())


def test_a_stopping_node_refuses_requests_and_finishes_what_runs(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, shutdown_grace_seconds=30) as node:
            await upload(
                node, "wf: {tasks: {a: {action: std.sleep seconds=1, on-success: b}, b: {action: std.noop}}}"
            )
            execution = await start(node, "wf")
            node.engine.refuse()
            with pytest.raises(UnavailableError):
                await start(node, "wf")
            with pytest.raises(UnavailableError):
                await node.services.executions.change(ALICE, execution.id, ExecutionChange("PAUSED"))
            assert await node.readiness() == ["the node is shutting down"]
        async with a_node(sqlite_url) as node:
            assert (await read(node, execution.id)).state == "SUCCESS"
            assert await left_over(node) == {"inbox": 0, "timers": 0, "jobs": 0}
            assert [each.id for each in await Nodes(node.database).all()] == [node.id]

    run(test())


# -- several nodes --------------------------------------------------------------------------------


def test_two_nodes_share_the_work_and_never_do_anything_twice(shared_url: str) -> None:
    async def test() -> None:
        async with a_node(shared_url) as one, a_node(shared_url) as two:
            await upload(
                one,
                "leaf: {tasks: {a: {action: std.sleep seconds=0}}}\n"
                "tree: {tasks: {s: {with-items: i in <% range(4) %>, workflow: leaf, on-success: z},"
                " z: {action: std.noop}}}",
            )
            trees = [await start(node, "tree") for node in (one, two) * 4]
            for number, each in enumerate(trees):
                other = (two, one)[number % 2]
                await other.services.executions.change(
                    ALICE, each.id, ExecutionChange(description="seen by the other node")
                )
            for each in trees:
                done = await finished(one, each.id)
                assert (done.state, done.description) == ("SUCCESS", "seen by the other node")
                loaded = await stored(one, each.id)
                assert [task.name for task in loaded.tasks] == ["s", "z"]
                assert len(loaded.subworkflows) == 4

    run(test())


def test_a_waiting_caller_hears_of_an_end_on_another_node(shared_url: str) -> None:
    async def test() -> None:
        async with a_node(shared_url) as one, a_node(shared_url) as two:
            await upload(one, "wf: {tasks: {a: {action: std.async_noop}}}")
            execution = await start(one, "wf")
            waiting = asyncio.create_task(one.services.executions.wait(execution.id, 50))
            await two.services.executions.change(ALICE, execution.id, ExecutionChange("CANCELLED"))
            await waiting
            assert (await read(one, execution.id)).state == "CANCELLED"

    run(test())


def test_a_definition_that_another_node_changed_is_run_after_the_next_look(shared_url: str) -> None:
    async def test() -> None:
        async with a_node(shared_url) as one, a_node(shared_url) as two:
            await upload(one, "wf: {output: {v: 1}, tasks: {a: {action: std.noop}}}")
            assert (await play(two, "wf")).output == {"v": 1}
            async with one.database.write() as connection:
                await connection.execute(sa.delete(schema.workflow_definitions))
                await connection.execute(sa.update(schema.catalog).values(version=99))
            await two.runtime.watch.loop.next_round()
            await upload(one, "wf: {output: {v: 2}, tasks: {a: {action: std.noop}}}")
            assert (await play(two, "wf")).output == {"v": 2}

    run(test())


class Peer:
    """A register of processes as a judge sees it, with counters that the test moves."""

    def __init__(self) -> None:
        self.heartbeats: dict[str, int] = {}
        self.buried: list[str] = []
        self.suspects: list[str] = []
        self.left: set[str] = set()  # ended in order
        self.locks: set[str] | None = None  # None: a database without locks
        self.has_own_lock = True

    async def hold(self) -> bool:
        return self.has_own_lock

    async def alive(self, process_ids: Sequence[str]) -> frozenset[str] | None:
        return None if self.locks is None else frozenset(self.locks)

    async def others(self) -> list[Any]:
        kinds = dict.fromkeys(self.left, "left")
        return [Row(each, beats, kinds.get(each, "node")) for each, beats in self.heartbeats.items()]

    async def absent(self) -> set[str]:
        return set()

    async def take_executions(self, process_id: str) -> int:
        self.suspects.append(process_id)
        return 1

    async def bury(self, process_id: str, *, in_order: bool) -> None:
        assert in_order == (process_id in self.left)
        self.buried.append(process_id)
        del self.heartbeats[process_id]


class Row:
    def __init__(self, process_id: str, heartbeat: int, kind: str) -> None:
        self.id = process_id
        self.kind = kind
        self.heartbeat = heartbeat


def test_only_a_counter_that_stood_still_for_the_lease_is_a_death() -> None:
    async def test() -> None:
        now = [0.0]
        peers = Peer()
        peers.heartbeats = {"alive": 1, "dead": 1}
        reaper = Reaper(peers, lease_seconds=10, exclusive=False, monotonic=lambda: now[0])  # type: ignore[arg-type]
        for _ in range(5):
            await reaper._look()
            now[0] += 2
            peers.heartbeats["alive"] += 1
        assert peers.buried == []
        now[0] = 9.1
        await reaper._look()
        assert peers.buried == []
        now[0] = 9.9
        await reaper._look()
        assert peers.buried == ["dead"]

    run(test())


def test_a_free_lock_and_a_counter_at_rest_are_a_death_within_seconds() -> None:
    async def test() -> None:
        now = [0.0]
        peers = Peer()
        peers.heartbeats = {"locked": 1, "beating": 1, "dead": 1}
        peers.locks = {"locked"}
        reaper = Reaper(peers, lease_seconds=60, exclusive=False, monotonic=lambda: now[0])  # type: ignore[arg-type]
        for _ in range(4):
            await reaper._look()
            assert peers.buried == []
            now[0] += 0.6
            peers.heartbeats["beating"] += 1
        await reaper._look()
        assert peers.buried == ["dead"]

    run(test())


def test_executions_of_a_suspect_are_taken_before_the_verdict_and_once() -> None:
    async def test() -> None:
        now = [0.0]
        peers = Peer()
        peers.heartbeats = {"locked": 1, "beating": 1, "suspect": 1}
        peers.locks = {"locked"}
        came: list[float] = []
        reaper = Reaper(
            peers,  # type: ignore[arg-type]
            lease_seconds=60,
            exclusive=False,
            monotonic=lambda: now[0],
            taken=lambda: came.append(now[0]),
        )
        for _ in range(5):
            await reaper._look()
            now[0] += 0.4
            peers.heartbeats["beating"] += 1
        assert peers.suspects == ["suspect"]
        assert came == [pytest.approx(1.2)]
        assert peers.buried == []
        assert set(reaper.living) == {"locked"}
        peers.heartbeats["suspect"] += 1  # it was late, that is all
        for _ in range(3):
            now[0] += 0.4
            await reaper._look()
        assert peers.suspects == ["suspect"]

    run(test())


def test_executions_of_a_frozen_node_are_taken_after_half_of_the_lease() -> None:
    async def test() -> None:
        now = [0.0]
        peers = Peer()
        peers.heartbeats = {"frozen": 1, "beating": 1}
        peers.locks = {"frozen", "beating"}
        reaper = Reaper(peers, lease_seconds=10, exclusive=False, monotonic=lambda: now[0])  # type: ignore[arg-type]
        for _ in range(6):
            await reaper._look()
            assert peers.suspects == []
            now[0] += 1
            peers.heartbeats["beating"] += 1
        await reaper._look()
        assert peers.suspects == ["frozen"]
        assert peers.buried == []

    run(test())


def test_executions_of_a_node_that_left_in_order_are_carried_on_at_once() -> None:
    async def test() -> None:
        peers = Peer()
        peers.heartbeats = {"gone": 1}
        peers.left = {"gone"}
        reaper = Reaper(peers, lease_seconds=60, exclusive=False)  # type: ignore[arg-type]
        await reaper._look()
        assert peers.buried == ["gone"]

    run(test())


def test_a_judge_without_its_own_lock_believes_no_free_lock() -> None:
    async def test() -> None:
        now = [0.0]
        peers = Peer()
        peers.heartbeats = {"other": 1}
        peers.locks, peers.has_own_lock = set(), False
        reaper = Reaper(peers, lease_seconds=60, exclusive=False, monotonic=lambda: now[0])  # type: ignore[arg-type]
        for _ in range(6):
            await reaper._look()
            now[0] += 1
        assert peers.buried == []

    run(test())


def test_a_judge_that_was_away_itself_starts_counting_anew() -> None:
    async def test() -> None:
        now = [0.0]
        peers = Peer()
        peers.heartbeats = {"other": 1}
        reaper = Reaper(peers, lease_seconds=10, exclusive=False, monotonic=lambda: now[0])  # type: ignore[arg-type]
        await reaper._look()
        now[0] += 3600
        await reaper._look()
        assert peers.buried == []
        for _ in range(6):
            now[0] += 2
            await reaper._look()
        assert peers.buried == ["other"]

    run(test())


def test_an_action_that_is_cancelled_through_another_node_is_interrupted(shared_url: str) -> None:
    async def test() -> None:
        async with (
            a_node(shared_url, heartbeat_seconds=0.1, lease_seconds=60) as node,
            a_node(shared_url, executor_slots=0) as other,
        ):
            await upload(node, BLOCKED % "")
            execution = await start(node, "wf")
            await still(lambda: node.runtime.executor.busy == 0)
            running = (await action(other, execution.id, "a")).id
            await other.services.action_executions.update(ALICE, running, "CANCELLED", None)
            await still(lambda: node.runtime.executor.busy == 1)
            assert node.runtime.executor.statistics.interrupted == 1
            assert (await finished(other, execution.id)).state == "CANCELLED"

    run(test())


def test_a_node_that_was_declared_dead_breaks_off_its_actions_and_goes_on(shared_url: str) -> None:
    async def test() -> None:
        async with a_node(shared_url, heartbeat_seconds=0.1, lease_seconds=60) as node:
            await upload(node, BLOCKED % ", safe-rerun: true")
            execution = await start(node, "wf")
            await still(lambda: node.runtime.executor.busy == 0)
            begun = node.runtime.executor.statistics.begun
            # Another node judges, mistakenly, and takes the claims away.
            await Nodes(node.database).remove(node.id)
            await node.runtime.work.lose_claims(node.id)
            await still(lambda: node.runtime.executor.statistics.begun == begun)
            assert (await action(node, execution.id, "a")).attempt == 1
            await still(lambda: node.runtime.executor.statistics.interrupted == 0)
            while node.id not in [each.id for each in await Nodes(node.database).all()]:
                await node.runtime.heartbeat.loop.next_round()

    run(test())
