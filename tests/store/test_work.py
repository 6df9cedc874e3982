"""What the loops find: inboxes, timers, executions of dead nodes, jobs, nodes; and deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.store import records as make

from tramontane.core.events import ActionCompleted, to_data
from tramontane.core.state import PastRun
from tramontane.errors import NotAllowedError
from tramontane.service.claims import release_others
from tramontane.store import schema
from tramontane.store.database import Database
from tramontane.store.errors import ClaimUnknownError, DatabaseUnavailableError
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.nodes import Nodes
from tramontane.store.records import TurnWrite
from tramontane.store.single_records import SingleRecords
from tramontane.store.work import TakenOver, Work
from tramontane.values import EMPTY, FrozenDict, freeze

SECOND = 1_000_000


def ids() -> Iterator[str]:
    return (f"id{number}" for number in count())


async def waiting(work: Work, node_id: str, now: int, **limits: int) -> list[str]:
    return [each.id for each in await work.waiting_executions(node_id, now, **limits)]


async def due_of(work: Work, node_id: str, now: int, **limits: int) -> list[str]:
    """Executions of the timers that are due."""
    return [each.timer.execution_id for each in await work.due_timers(node_id, now, **limits)]


# -- inbox, timers --------------------------------------------------------------------------------


def test_rows_of_anothers_execution_are_left_to_it_for_a_while(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        ours, theirs = make.execution("e1"), make.execution("e2")
        await make.start(store, ours, node_id="n1")
        await make.start(store, theirs, node_id="n2")
        await store.post([make.event(theirs, "i2", created_at=10), make.event(ours, "i1", created_at=20)])
        assert await waiting(work, "n1", now=30) == ["e1"]
        assert await waiting(work, "n1", now=10 + SECOND) == ["e2", "e1"]
        assert await waiting(work, "n1", now=10 + SECOND, limit=1) == ["e2"]

    make.with_database(database_url, test)


def test_inbox_rows_of_gone_executions_are_found_and_of_parked_ones_not(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        parked, gone = make.execution("e1"), make.execution("e2")
        await make.start(store, parked)
        await store.post([make.event(parked, "i1"), make.event(gone, "i2")])
        await store.park("e1", "it fails")
        assert await waiting(work, "n1", now=10 * SECOND) == ["e2"]
        stored = await store.load("e1")
        assert stored is not None
        assert stored.parked == "it fails"
        await store.unpark("e1")
        assert sorted(await waiting(work, "n1", now=10 * SECOND)) == ["e1", "e2"]

    make.with_database(database_url, test)


def test_executions_whose_node_does_nothing_about_them_are_adopted_once(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        ours, theirs = make.execution("e1"), make.execution("e2")
        await make.start(store, ours, node_id="n1")
        await make.start(store, theirs, node_id="n2")
        await store.post([make.event(ours, "i1", 1), make.event(theirs, "i2", 2)])
        assert [each.node_id for each in await work.waiting_executions("n1", now=2 * SECOND)] == ["n1", "n2"]
        assert await work.adopt("n1", ["e1", "e2", "gone"]) == ["e2"]
        assert await work.adopt("n1", ["e1", "e2"]) == []
        assert [each.node_id for each in await work.waiting_executions("n1", now=2)] == ["n1", "n1"]
        loaded = await store.load_many(["e1", "e2"])
        assert {name: each.takeovers for name, each in loaded.items()} == {"e1": 0, "e2": 1}

    make.with_database(database_url, test)


def test_due_timers_come_in_their_order(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        for name, node_id, due in (("e1", "n1", 20), ("e2", "n2", 10), ("e3", "n1", 90)):
            execution = make.execution(name)
            timer = make.timer(execution, due, task_id=f"t-{name}")
            await store.commit([TurnWrite(execution, None, 0, timers=[timer])], node_id)
        assert await due_of(work, "n1", now=50) == ["e1"]
        assert await due_of(work, "n1", now=10 + SECOND) == [
            "e2",
            "e1",
            "e3",
        ]
        assert await due_of(work, "n1", now=2 * SECOND, limit=1) == ["e2"]
        assert [each.due_at for each in await work.timers_of("n1", until=50)] == [20]

    make.with_database(database_url, test)


def test_an_execution_with_a_row_that_will_move_it_is_open(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        idle, timed = make.execution("e1"), make.execution("e2")
        await make.start(store, idle)
        await store.commit([TurnWrite(timed, None, 0, timers=[make.timer(timed)])], "n1")
        assert not await work.is_open("e1")
        assert await work.is_open("e2")
        await store.post([make.event(idle)])
        assert await work.is_open("e1")

    make.with_database(database_url, test)


def test_running_executions_that_nothing_will_move_are_found(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        new = {
            name: make.execution(name, seq=9) for name in ("bare", "told", "timed", "busy", "calls", "asked")
        }
        action, asked = make.action(new["busy"], "a1"), make.action(new["asked"], "a2", is_sync=False)
        ended = make.action(new["bare"], "a3", is_sync=False, state="SUCCESS")
        lost = make.execution("lost", seq=9)
        turns = [
            TurnWrite(new["bare"], None, 0, actions=[ended]),
            TurnWrite(new["told"], None, 0, inbox=[make.event(new["told"])]),
            TurnWrite(new["timed"], None, 0, timers=[make.timer(new["timed"])]),
            TurnWrite(new["busy"], None, 0, actions=[action], jobs=[make.job(action)]),
            TurnWrite(
                new["calls"],
                None,
                0,
                subworkflows=[make.call(new["calls"], "child")],
                children=[make.child(new["calls"], "child", state="PAUSED")],
            ),
            TurnWrite(new["asked"], None, 0, actions=[asked]),
            TurnWrite(
                lost,
                None,
                0,
                subworkflows=[make.call(lost, "ended")],
                children=[make.child(lost, "ended", state="SUCCESS")],
            ),
            TurnWrite(make.execution("paused", state="PAUSED"), None, 0),
        ]
        assert all(outcome.is_committed for outcome in await store.commit(turns, "n1"))
        await make.start(store, make.execution("theirs"), node_id="n2")
        found = await work.stranded("n1")
        assert [execution_id for execution_id, _ in found] == sorted([*new, "lost"])
        assert [execution_id for execution_id, is_stranded in found if is_stranded] == ["bare", "lost"]
        assert await work.stranded("n1", after="bare", limit=1) == [("busy", False)]
        await store.park("bare", "it fails")
        assert "bare" not in dict(await work.stranded("n1"))
        assert await work.unfinished() == {
            ("RUNNING", False): 7,
            ("RUNNING", True): 1,
            ("PAUSED", False): 2,
        }

    make.with_database(database_url, test)


# -- nodes ----------------------------------------------------------------------------------------


def test_executions_of_a_dead_node_are_taken_over_and_counted_until_the_next_commit(
    database_url: str,
) -> None:
    async def test(database: Database) -> None:
        store, work = Executions(database), Work(database)
        first = [make.execution("e1"), make.execution("e2"), make.execution("e3", state="PAUSED")]
        await make.start(store, *first, make.execution("e4", state="SUCCESS"), node_id="dead")
        assert await work.nodes_with_executions() == ["dead"]
        assert await work.executions_of("dead") == ["e1", "e2"]
        assert await work.take_over("n1", ["dead"], limit=1) == [TakenOver("e1", 1)]
        assert await work.take_over("n1", ["dead"]) == [TakenOver("e2", 1)]
        assert await work.take_over("n1", ["dead"]) == []
        assert await work.take_over("n2", ["n1"]) == [TakenOver("e1", 2), TakenOver("e2", 2)]
        turn = TurnWrite(replace(first[0], seq=1), first[0], 1)
        assert (await store.commit([turn], "n2"))[0].is_committed
        assert await work.take_over("n3", ["n2"]) == [TakenOver("e1", 1), TakenOver("e2", 3)]

    make.with_database(database_url, test)


def test_a_node_is_registered_beats_and_is_removed(database_url: str) -> None:
    async def test(database: Database) -> None:
        nodes = Nodes(database)
        started = await nodes.register("n1", "host:1", "node", freeze({"pools": ["a"]}))
        beaten = await nodes.beat("n1")
        assert beaten is not None
        assert started <= beaten <= await nodes.now()
        (row,) = await nodes.all()
        assert (row.id, row.name, row.kind, row.info) == ("n1", "host:1", "node", {"pools": ["a"]})
        assert (row.heartbeat, row.heartbeat_at, row.started_at) == (1, beaten, started)
        assert await nodes.remove("n1")
        assert not await nodes.remove("n1")
        assert await nodes.beat("n1") is None

    make.with_database(database_url, test)


def test_the_database_tells_the_time_in_microseconds(database_url: str) -> None:
    async def test(database: Database) -> None:
        earlier = await Nodes(database).now()
        assert 1_500_000_000 * SECOND < earlier < 10_000_000_000 * SECOND
        assert await Nodes(database).now() >= earlier

    make.with_database(database_url, test)


# -- jobs -----------------------------------------------------------------------------------------


async def with_jobs(database: Database, *fields: dict[str, Any]) -> None:
    """One execution with a job ``a<number>`` per set of fields, oldest first."""
    execution = make.execution(seq=100)
    actions = [make.action(execution, f"a{number}", seq=number) for number in range(len(fields))]
    jobs = [
        make.job(action, created_at=number, place=number, **given)
        for number, (action, given) in enumerate(zip(actions, fields, strict=True))
    ]
    turn = TurnWrite(execution, None, 0, actions=actions, jobs=jobs)
    assert (await Executions(database).commit([turn], "n1"))[0].is_committed


def test_jobs_are_claimed_once_oldest_first_and_by_pool(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {}, {"pool": "gpu"}, {}, {}, {"claimed_by": "x"})
        assert await jobs.waiting() == {"": 3, "gpu": 1}
        first = (await jobs.claim("n1", ["", "gpu"], 2)).jobs
        assert {claimed.job.action_id for claimed in first} == {"a0", "a1"}, "the oldest of each pool"
        assert first[0].job.claimed_by == "n1"
        (zeroth,) = [each.action for each in first if each.action.id == "a0"]
        assert zeroth == make.action(make.execution(), "a0", seq=0)
        assert [claimed.job.action_id for claimed in (await jobs.claim("n2", [""], 10)).jobs] == ["a2", "a3"]
        assert (await jobs.claim("n2", ["", "gpu"], 10)).jobs == []
        assert sorted(await jobs.claimants()) == ["n1", "n2", "x"]

    make.with_database(database_url, test)


def test_a_job_whose_result_waits_in_the_inbox_is_not_given_back(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {}, {})
        await jobs.claim("n1", [""], 2)
        result = FrozenDict(to_data(ActionCompleted("a0", data=1, attempt=0)))
        await Executions(database).post([make.event(make.execution(), payload=result)])
        await release_others(jobs, "n1", ())
        assert [job.action_id for job in await jobs.claims_of("n1")] == ["a0"]

    make.with_database(database_url, test)


def test_a_released_claim_can_be_claimed_again(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {}, {})
        await jobs.claim("n1", [""], 2)
        await jobs.release("n2", ["a0"])
        assert (await jobs.claim("n2", [""], 2)).jobs == []
        await jobs.release("n1", ["a0"])
        assert [claimed.job.action_id for claimed in (await jobs.claim("n2", [""], 2)).jobs] == ["a0"]

    make.with_database(database_url, test)


def test_a_finished_job_is_gone_if_the_process_still_held_it(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {}, {})
        await jobs.claim("n1", [""], 1)
        await jobs.finish("n2", ["a0", "a1"])
        assert len(await jobs.claims_of("n1")) == 1
        await jobs.finish("n1", ["a0", "a1"])
        assert await jobs.claims_of("n1") == []
        assert await jobs.waiting() == {"": 1}

    make.with_database(database_url, test)


def test_a_process_holds_only_the_attempts_that_it_claimed(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {"attempt": 2}, {}, {})
        await jobs.claim("n1", [""], 2)
        asked = [("a0", 1), ("a0", 2), ("a1", 0), ("a2", 0), ("a9", 0)]
        assert await jobs.still_held("n1", asked) == {("a0", 2), ("a1", 0)}

    make.with_database(database_url, test)


def test_the_claims_of_a_dead_process_become_events(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs, new_id = Jobs(database), ids()
        await with_jobs(database, {}, {"attempt": 3}, {})
        await jobs.claim("dead", [""], 2)

        def describe(job: Any) -> Any:
            return FrozenDict({"lost": job.action_id, "attempt": job.attempt})

        lost = await jobs.lose_claims("dead", describe, new_id.__next__, now=7)
        assert [job.action_id for job in lost.reported] == ["a0", "a1"]
        stored = await Executions(database).load("e1")
        assert stored is not None
        assert [(row.id, row.created_at, row.payload) for row in stored.inbox] == [
            ("id0", 7, {"lost": "a0", "attempt": 0}),
            ("id1", 7, {"lost": "a1", "attempt": 3}),
        ]
        assert await jobs.claims_of("dead") == []
        assert await jobs.waiting() == {"": 1}
        assert (await jobs.lose_claims("dead", describe, new_id.__next__, now=8)).reported == []

    make.with_database(database_url, test)


def test_claims_are_not_taken_from_who_has_come_back(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs, nodes, new_id = Jobs(database), Nodes(database), ids()
        await with_jobs(database, {})
        await nodes.register("n1", "host:1", "node", freeze({}))
        await jobs.claim("n1", [""], 1)
        told = (lambda _job: EMPTY, new_id.__next__, 7)
        assert (await jobs.lose_claims("n1", *told, only_absent=True)).reported == []
        assert len(await jobs.claims_of("n1")) == 1
        await nodes.remove("n1")
        assert len((await jobs.lose_claims("n1", *told, only_absent=True)).reported) == 1

    make.with_database(database_url, test)


def test_claims_in_doubt_are_given_back_by_their_attempts(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {"attempt": 2}, {}, {})
        await jobs.claim("n1", [""], 2)
        await jobs.claim("n2", [""], 1)
        await jobs.give_back("n1", [("a0", 1), ("a1", 0), ("a2", 0), ("a9", 0)])
        assert [job.action_id for job in await jobs.claims_of("n1")] == ["a0"]
        assert [job.action_id for job in await jobs.claims_of("n2")] == ["a2"]
        assert await jobs.waiting() == {"": 1}

    make.with_database(database_url, test)


def test_a_claim_whose_commit_gets_no_answer_tells_what_it_may_have_taken(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, {"attempt": 3}, {})
        write = database.write

        @asynccontextmanager
        async def written_and_broken() -> AsyncIterator[AsyncConnection]:
            async with write() as connection:
                yield connection
            raise DatabaseUnavailableError("the connection broke")

        with monkeypatch.context() as patch:
            patch.setattr(database, "write", written_and_broken)
            with pytest.raises(ClaimUnknownError) as caught:
                await jobs.claim("n1", [""], 2)
            assert sorted(caught.value.attempts) == [("a0", 3), ("a1", 0)]
        assert len(await jobs.claims_of("n1")) == 2
        await jobs.give_back("n1", caught.value.attempts)
        assert await jobs.claims_of("n1") == []

    make.with_database(postgresql_url, test)


def test_lost_stand_alone_actions_run_again_only_if_they_may(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs, single = Jobs(database), SingleRecords(database)
        for name, may_repeat in (("a1", True), ("a2", False)):
            action = make.action(None, name, safe_rerun=may_repeat)
            await single.add_action(action, make.job(action, claimed_by="dead"))
        lost = await jobs.lose_claims("dead", lambda _job: None, ids().__next__, now=7)
        assert [job.action_id for job in lost.repeated] == ["a1"]
        assert [job.action_id for job in lost.failed] == ["a2"]
        (again,) = (await jobs.claim("n1", [""], 10)).jobs
        assert (again.job.action_id, again.job.attempt, again.action.attempt) == ("a1", 1, 1)
        failed = await single.action("a2")
        assert failed is not None
        assert (failed.state, failed.accepted, failed.finished_at) == ("ERROR", True, 7)
        assert "executor that ran the action is gone" in failed.result

    make.with_database(database_url, test)


# -- stand-alone actions --------------------------------------------------------------------------


def test_a_stand_alone_action_is_changed_only_while_it_is_as_expected(database_url: str) -> None:
    async def test(database: Database) -> None:
        single = SingleRecords(database)
        running = make.action(None)
        await single.add_action(running, make.job(running))
        done = replace(running, state="SUCCESS", accepted=True, output=freeze({"result": 1}))
        assert not await single.change_action(replace(running, attempt=1), done, drop_job=True)
        assert await single.change_action(running, done, drop_job=True)
        assert not await single.change_action(running, replace(done, state="ERROR"), drop_job=True)
        assert await single.action("a1") == done
        assert await Jobs(database).waiting() == {}

    make.with_database(database_url, test)


def test_only_completed_stand_alone_actions_can_be_deleted(database_url: str) -> None:
    async def test(database: Database) -> None:
        single = SingleRecords(database)
        execution = make.execution(seq=5)
        of_task = make.action(execution, "a3", state="SUCCESS")
        await Executions(database).commit([TurnWrite(execution, None, 0, actions=[of_task])], "n1")
        await single.add_action(make.action(None, "a1"), None)
        await single.add_action(make.action(None, "a2", state="ERROR"), None)
        assert [await single.delete_action(name) for name in ("a1", "a2", "a3")] == [False, True, False]
        assert await single.action("a2") is None

    make.with_database(database_url, test)


# -- deletion -------------------------------------------------------------------------------------

TREE_TABLES = (
    schema.heads,
    schema.executions,
    schema.tasks,
    schema.action_executions,
    schema.subworkflows,
    schema.past_runs,
    schema.inbox,
    schema.timers,
    schema.jobs,
)


async def rows_in(database: Database) -> dict[str, int]:
    async with database.read() as connection:
        return {
            table.name: await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in TREE_TABLES
        }


async def make_tree(store: Executions) -> None:
    """e1 calls e2, which calls e3; each has one of everything."""
    parent = None
    for number in (1, 2, 3):
        name = f"e{number}"
        execution = make.execution(name, seq=9) if parent is None else make.child(parent, name, seq=9)
        action = make.action(execution, f"a{number}")
        turn = TurnWrite(
            execution,
            None,
            0,
            tasks=[make.task(execution, f"t{number}")],
            actions=[action],
            subworkflows=[make.call(execution, f"e{number + 1}")],
            past_runs=[PastRun(f"t{number}", 0, name, "e1", freeze({}), ())],
            inbox=[make.event(execution, f"i{number}")],
            timers=[make.timer(execution, task_id=f"t{number}")],
            jobs=[make.job(action)],
        )
        assert (await store.commit([turn], "n1"))[0].is_committed
        parent = execution


def test_a_tree_is_deleted_with_everything_in_it(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make_tree(store)
        await make.start(store, make.execution("other"))
        assert await store.delete("e1") == ["e1", "e2", "e3"]
        left = await rows_in(database)
        assert {name for name, number in left.items() if number} == {"heads", "executions"}
        assert await store.is_used("other")
        assert await store.delete("e1") == []

    make.with_database(database_url, test)


def test_a_sub_tree_can_be_deleted_and_its_caller_told(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make_tree(store)
        word = make.event(make.execution("e1"), "told", payload=freeze({"kind": "child-deleted"}))
        assert await SingleRecords(database).delete_execution("e2", word) == ["e2", "e3"]
        stored = await store.load("e1")
        assert stored is not None
        assert [row.id for row in stored.inbox] == ["i1", "told"]
        assert [call.id for call in stored.subworkflows] == ["e2"]
        assert await SingleRecords(database).delete_execution("e2", word) == []

    make.with_database(database_url, test)


def test_an_unfinished_execution_is_not_deleted_where_only_completed_ones_may_be(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make.start(store, make.execution("e1"), make.execution("e2", state="ERROR"))
        with pytest.raises(NotAllowedError, match="id=e1, state=RUNNING"):
            await store.delete("e1", only_completed=True)
        assert await store.is_used("e1")
        assert await store.delete("e2", only_completed=True) == ["e2"]

    make.with_database(database_url, test)
