"""Turns over a real database: races, unknown outcomes, bugs, full queues, bundles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from tests.service.harness import (
    ADMIN,
    ALICE,
    Faults,
    FaultyExecutions,
    a_node,
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

from tramontane import compose
from tramontane.compose import OpenNode
from tramontane.errors import IllegalStateError, UnavailableError
from tramontane.service.deciding import DecidingLimits
from tramontane.service.engine import EngineLimits
from tramontane.service.services import ExecutionChange
from tramontane.service.turn import InternalError
from tramontane.store import schema
from tramontane.store.executions import Executions
from tramontane.store.records import InboxRow, TurnWrite
from tramontane.values import freeze

MIXTURE = """
plain:
  output: {x: <% $.x %>}
  tasks:
    a: {action: std.echo output=1, publish: {x: <% task().result %>}, on-success: [b, c]}
    b: {action: std.sleep seconds=0, on-success: d}
    c: {action: std.noop, on-success: d}
    d: {join: all, action: std.sleep seconds=0}
items:
  output: {r: <% task(a).result %>}
  tasks:
    a:
      with-items: i in <% range(7) %>
      concurrency: 3
      action: std.test_dict size=<% $.i %> key_prefix=k val=v
called:
  input: [n]
  output: {n: <% $.n %>}
  tasks:
    t: {action: std.sleep seconds=0, on-success: u}
    u: {action: std.noop}
caller:
  output: {n: <% task(s).result.n %>}
  tasks:
    s: {workflow: called n=4, on-success: z}
    z: {action: std.sleep seconds=0}
"""

NAMES = ("plain", "items", "caller")


async def left_over(node: OpenNode) -> dict[str, int]:
    """How many rows are left that would move some execution."""
    async with node.database.read() as connection:
        found = {}
        for table in (schema.inbox, schema.timers, schema.jobs):
            found[table.name] = await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        return found


async def start_for_sure(node: OpenNode, workflow: str, execution_id: str) -> None:
    """Start as a client that repeats what wasn't accepted."""
    while True:
        try:
            await start(node, workflow, execution_id=execution_id)
            return
        except UnavailableError:
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_commits_do_every_acknowledged_execution_ends_once(
    seed: int, database_url: str, faulty: type[FaultyExecutions]
) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            await upload(node, MIXTURE)
            faulty.faults = Faults(seed, 0.35)
            ids = [f"execution-{number}" for number in range(12)]
            await asyncio.gather(
                *(start_for_sure(node, NAMES[number % 3], each) for number, each in enumerate(ids))
            )
            for number, each in enumerate(ids):
                execution = await finished(node, each)
                assert (execution.state, execution.state_info) == ("SUCCESS", None)
                loaded = await stored(node, each)
                names = [one.name for one in loaded.tasks]
                assert len(names) == len(set(names)), "no task ran twice"
                expected = {"plain": {"x": 1}, "caller": {"n": 4}}.get(NAMES[number % 3])
                if expected is not None:
                    assert execution.output == expected
                else:
                    assert [len(one) for one in execution.output["r"]] == list(range(7))
            assert faulty.faults.happened, "something did go wrong"
            faulty.faults.share = 0.0
            assert await left_over(node) == {"inbox": 0, "timers": 0, "jobs": 0}

    run(test())


def test_a_short_execution_is_one_commit(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node, "wf: {tasks: {a: {on-success: b}, b: {on-success: c}, c: {action: std.echo output=1}}}"
            )
            before = node.committer.statistics.turns
            execution = await start(node, "wf")
            assert execution.state == "SUCCESS"
            assert node.committer.statistics.turns == before + 1

    run(test())


def test_a_long_stretch_of_tasks_goes_on_after_the_budget_of_a_turn(sqlite_url: str) -> None:
    tasks = [f"t{n}: {{on-success: t{n + 1}}}" for n in range(1500)]
    text = "wf: {tasks: {" + ", ".join(tasks) + ", t1500: {action: std.noop}}}"

    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, text)
            execution = await play(node, "wf")
            assert execution.state == "SUCCESS"
            assert len((await stored(node, execution.id)).tasks) == 1501

    run(test())


def test_completed_executions_leave_the_memory(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, MIXTURE)
            for name in NAMES:
                await play(node, name)
            await asyncio.sleep(0)
            assert node.engine.cached == 0

    run(test())


def test_the_cache_is_bounded_and_forgotten_executions_go_on(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, cached_executions=2) as node:
            await upload(
                node, "wf: {tasks: {a: {action: std.async_noop, on-success: b}, b: {action: std.noop}}}"
            )
            waiting = [await start(node, "wf") for _ in range(6)]
            assert node.engine.cached <= 3
            for execution in waiting:
                action = (await stored(node, execution.id)).actions[0]
                await node.services.action_executions.update(ALICE, action.id, "SUCCESS", freeze({"x": 1}))
                assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_requests_beyond_the_queue_are_refused_before_anything_is_accepted(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, max_waiting_requests=3) as node:
            await upload(node, "wf: {tasks: {a: {action: std.noop}}}")
            gate = asyncio.Event()
            commit = Executions.commit

            async def slow(self: Executions, turns: Any, node_id: str | None) -> Any:
                await gate.wait()
                return await commit(self, turns, node_id)

            monkeypatch.setattr(Executions, "commit", slow)
            waiting = [asyncio.create_task(start(node, "wf")) for _ in range(3)]
            await still(lambda: node.engine.waiting < 3)
            with pytest.raises(UnavailableError):
                await start(node, "wf")
            gate.set()
            assert [each.state for each in await asyncio.gather(*waiting)] == ["SUCCESS"] * 3

    run(test())


def test_nothing_is_answered_or_begun_before_its_commit(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.sleep seconds=0}}}")
            gate, entered = asyncio.Event(), asyncio.Event()
            commit = Executions.commit

            async def slow(self: Executions, turns: Any, node_id: str | None) -> Any:
                entered.set()
                await gate.wait()
                return await commit(self, turns, node_id)

            monkeypatch.setattr(Executions, "commit", slow)
            starting = asyncio.create_task(start(node, "wf"))
            await entered.wait()
            for _ in range(100):
                await asyncio.sleep(0)
            assert not starting.done()
            assert node.runtime.executor.statistics.begun == 0
            gate.set()
            assert (await finished(node, (await starting).id)).state == "SUCCESS"
            assert node.runtime.executor.statistics.begun == 1

    run(test())


def test_a_bug_in_a_request_is_the_callers_error_and_changes_nothing(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.async_noop}}}")
            execution = await start(node, "wf")
            monkeypatch.setattr("tramontane.core.operations.pause", broken)
            with pytest.raises(InternalError):
                await node.services.executions.change(ALICE, execution.id, ExecutionChange("PAUSED"))
            assert (await read(node, execution.id)).state == "RUNNING"
            monkeypatch.undo()
            changed = await node.services.executions.change(ALICE, execution.id, ExecutionChange("PAUSED"))
            assert changed.state == "PAUSED"

    run(test())


def broken(*_: object) -> None:
    raise ZeroDivisionError("a bug")


def test_a_bug_in_what_nobody_would_bring_again_parks_the_execution_and_keeps_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "wf: {tasks: {a: {action: std.sleep seconds=0, on-success: b}, b: {action: std.noop}}}\n"
                "other: {tasks: {a: {action: std.sleep seconds=0}}}",
            )
            monkeypatch.setattr("tramontane.core.reports.action_completed", broken)
            execution = await start(node, "wf")
            await still(lambda: node.engine.statistics.parked == 0 or node.runtime.executor.busy > 0)
            monkeypatch.undo()
            loaded = await stored(node, execution.id)
            assert loaded.parked is not None and "a bug" in loaded.parked
            assert loaded.execution.state == "RUNNING"
            assert len(loaded.inbox) == 1, "the result is kept"
            with pytest.raises(IllegalStateError, match="parked"):
                await node.services.executions.change(ALICE, execution.id, ExecutionChange("PAUSED"))
            assert (await play(node, "other")).state == "SUCCESS"
            await Executions(node.database).unpark(execution.id)
            node.engine.look(execution.id)
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_a_row_that_can_t_be_read_parks_its_execution_and_no_other(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.async_noop}}}")
            bad, good = await start(node, "wf"), await start(node, "wf")
            await Executions(node.database).post(
                [InboxRow("row", bad.id, bad.id, freeze({"kind": "nonsense"}), 0)]
            )
            await still(lambda: node.engine.statistics.parked == 0)
            with pytest.raises(IllegalStateError, match="nonsense"):
                await node.services.executions.change(ALICE, bad.id, ExecutionChange("PAUSED"))
            changed = await node.services.executions.change(ALICE, good.id, ExecutionChange("PAUSED"))
            assert changed.state == "PAUSED"

    run(test())


def test_a_result_survives_a_database_that_is_away_for_a_while(
    sqlite_url: str, faulty: type[FaultyExecutions]
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.sleep seconds=0}}}")
            execution = await start(node, "wf")
            faulty.away = 3
            assert (await finished(node, execution.id)).state == "SUCCESS"
            assert faulty.away == 0

    run(test())


def test_expressions_see_records_of_other_executions(sqlite_url: str) -> None:
    text = """
seen:
  tasks: {a: {action: std.echo output=7}}
looks:
  input: [id]
  output:
    mine: <% executions().name %>
    one: <% executions(id => $.id).select($.state) %>
    none: <% executions(id => $.id, state => RUNNING) %>
    later: <% executions(fromTime => '2999-01-01') %>
    tasks: <% tasks($.id).select([$.name, $.state, $.result]) %>
    failed: <% tasks($.id, state => ERROR) %>
    gone: <% tasks(nosuch) %>
  tasks: {t: {action: std.noop}}
"""

    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, text)
            await upload(node, text, ADMIN)
            await play(node, "seen", ADMIN)
            other = await play(node, "seen")
            done = await play(node, "looks", input={"id": other.id})
            assert done.state == "SUCCESS", done.state_info
            assert done.output == {
                "mine": ["seen", "looks"],
                "one": ["SUCCESS"],
                "none": [],
                "later": [],
                "tasks": [["a", "SUCCESS", 7]],
                "failed": [],
                "gone": [],
            }

    run(test())


def test_a_slow_expression_is_evaluated_where_it_delays_nobody(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = DecidingLimits(soft_seconds=0.0)
    monkeypatch.setattr(compose, "EngineLimits", lambda *_, **__: EngineLimits(deciding=deciding))

    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "slow: {output: {n: <% range(3000).select($ * 2).where($ mod 3 = 0).len() %>},"
                " tasks: {a: {action: std.noop}}}",
            )
            execution = await play(node, "slow")
            assert execution.output == {"n": 1000}
            assert node.engine.slow_decisions > 0

    run(test())


# -- bundles --------------------------------------------------------------------------------------

NESTED = """
bottom:
  tasks:
    t: {action: <% env().how %>, on-success: u}
    u: {action: std.noop}
middle:
  tasks:
    m: {workflow: bottom}
top:
  tasks:
    r: {workflow: middle, on-success: after}
    after: {action: std.noop}
"""


async def nested(node: OpenNode) -> tuple[str, str, str]:
    """A failed tree; ids of top, middle and bottom."""
    await upload(node, NESTED)
    top = await play(node, "top", params={"env": {"how": "std.fail"}})
    assert top.state == "ERROR"
    middle = (await stored(node, top.id)).subworkflows[0].id
    bottom = (await stored(node, middle)).subworkflows[0].id
    return top.id, middle, bottom


@pytest.mark.spec("R282", "R283", "API222")
def test_a_rerun_deep_down_revives_everything_above_in_one_transaction(database_url: str) -> None:
    async def test() -> None:
        async with a_node(database_url) as node:
            top, middle, bottom = await nested(node)
            written: list[TurnWrite] = []
            node.engine.watch(lambda turn: written.append(turn))
            failed = await task(node, bottom, "t")
            await node.services.tasks.rerun(ALICE, failed.id, True, freeze({"how": "std.noop"}))
            path = [turn for turn in written if turn.bundle is not None]
            assert [turn.execution.id for turn in path] == [bottom, middle, top]
            assert len({turn.bundle for turn in path}) == 1
            assert (await finished(node, top)).state == "SUCCESS"
            assert (await read(node, top)).params["env"] == {"how": "std.noop"}
            assert [(await read(node, each)).state for each in (middle, bottom)] == ["SUCCESS", "SUCCESS"]

    run(test())


@pytest.mark.spec("R293")
def test_a_skip_deep_down_lets_the_parents_go_on(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            top, _, bottom = await nested(node)
            await node.services.tasks.skip(ALICE, (await task(node, bottom, "t")).id, None)
            assert (await finished(node, top)).state == "SUCCESS"
            assert (await task(node, bottom, "t")).state == "SKIPPED"

    run(test())


def test_a_refusal_by_an_ancestor_changes_nothing_below(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "sub: {tasks: {t: {action: std.fail}}}\n"
                "top: {tasks: {r: {workflow: sub, on-error: handled}, handled: {action: std.noop}}}",
            )
            top = await play(node, "top")
            sub = (await stored(node, top.id)).subworkflows[0].id
            before = await stored(node, sub)
            with pytest.raises(IllegalStateError, match="from SUCCESS to RUNNING"):
                await node.services.tasks.rerun(ALICE, before.tasks[0].id, True, None)
            after = await stored(node, sub)
            assert (after.version, after.execution.state) == (before.version, "ERROR")

    run(test())


@pytest.mark.parametrize("seed", range(4))
def test_bundles_survive_lost_races_and_unknown_outcomes(
    seed: int, sqlite_url: str, faulty: type[FaultyExecutions]
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            top, _, bottom = await nested(node)
            failed = await task(node, bottom, "t")
            faulty.faults = Faults(seed, 0.5)
            while True:
                try:
                    await node.services.tasks.rerun(ALICE, failed.id, True, freeze({"how": "std.noop"}))
                    break
                except UnavailableError:
                    continue
            assert (await finished(node, top)).state == "SUCCESS"
            assert [each.name for each in (await stored(node, bottom)).tasks] == ["t", "u"]

    run(test())


def test_two_bundles_that_meet_don_t_wait_for_each_other(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "sub: {tasks: {t: {action: <% env().how %>}}}\n"
                "top: {tasks: {a: {workflow: sub}, b: {workflow: sub}}}",
            )
            top = await play(node, "top", params={"env": {"how": "std.fail"}})
            calls = (await stored(node, top.id)).subworkflows
            tasks = [(await stored(node, call.id)).tasks[0].id for call in calls]
            env = freeze({"how": "std.noop"})
            await asyncio.gather(
                node.services.tasks.rerun(ALICE, tasks[0], True, env),
                node.services.tasks.rerun(ADMIN, tasks[1], True, env),
            )
            assert (await finished(node, top.id)).state == "SUCCESS"

    run(test())


def test_events_of_one_execution_are_fed_together(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "wf: {tasks: {a: {with-items: i in <% range(20) %>, action: std.async_noop, on-success: b},"
                " b: {action: std.noop}}}",
            )
            execution = await start(node, "wf")
            actions = (await stored(node, execution.id)).actions
            before = node.committer.statistics.turns
            await asyncio.gather(
                *(
                    node.services.action_executions.update(
                        ALICE, each.id, "SUCCESS", freeze({"n": each.index})
                    )
                    for each in actions
                )
            )
            assert (await finished(node, execution.id)).state == "SUCCESS"
            assert node.committer.statistics.turns - before < 20

    run(test())


def test_a_paused_execution_waits_for_its_resume(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node, "wf: {tasks: {a: {action: std.async_noop, on-success: b}, b: {action: std.noop}}}"
            )
            execution = await start(node, "wf")
            change = node.services.executions.change
            await change(ALICE, execution.id, ExecutionChange("PAUSED"))
            action = (await stored(node, execution.id)).actions[0]
            await node.services.action_executions.update(ALICE, action.id, "SUCCESS", None)
            await until(node, execution.id, "SUCCESS", "a")
            assert [each.name for each in (await stored(node, execution.id)).tasks] == ["a"]
            await change(ALICE, execution.id, ExecutionChange("RUNNING"))
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())
