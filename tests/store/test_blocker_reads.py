"""What is open in an execution, read on every database."""

from __future__ import annotations

from msgspec.structs import replace
from tests.store import records as make

from tramontane.store.database import Database
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.nodes import Nodes
from tramontane.store.reads.blockers import (
    CHILDREN_SHOWN,
    TASKS_SHOWN,
    DueTimer,
    read_open_work,
    read_sources,
)
from tramontane.store.reads.reader import DatabaseReader
from tramontane.store.records import TurnWrite


def test_open_tasks_come_with_their_timers_actions_and_calls(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await Nodes(database).register("n1", "host:1", "node", {"pools": ()})
        whole = make.execution()
        await make.start(store, whole)
        running = make.task(whole, "t1", 1, state="RUNNING", phase="active", generation=1, item_count=30)
        ended = make.task(whole, "t2", 2, state="SUCCESS", phase="done", name="ended")
        delayed = make.task(whole, "t3", 3, state="DELAYED", phase="before", name="delayed")
        current = [make.action(whole, f"a{n:02}", 10 + n, index=n, generation=1) for n in range(25)]
        earlier = make.action(whole, "old", 9, generation=0)
        done = make.action(whole, "done", 8, generation=1, state="SUCCESS")
        called = make.execution("c1", root_id="e1", parent_id="e1", parent_task_id="t1", state="PAUSED")
        calls = [make.call(whole, "c1", 50, generation=1), make.call(whole, "gone", 51, generation=1)]
        turn = TurnWrite(
            whole,
            whole,
            1,
            tasks=[running, ended, delayed],
            actions=[*current, earlier, done],
            subworkflows=calls,
            children=[called],
            timers=[make.timer(whole, 7, "wait-before", task_id="t3")],
            jobs=[make.job(current[0], pool="mars", created_at=4), make.job(current[1], created_at=5)],
            inbox=[make.event(whole, "i1", 3), make.event(whole, "i2", 2)],
        )
        (outcome,) = await store.commit([turn], "n1")
        assert outcome.is_committed, outcome
        await Jobs(database).claim("n1", [""], 5)
        await store.park("e1", "a reason")
        work = await read_open_work(DatabaseReader(database), "e1")
        assert work is not None
        assert (work.standing.parked, work.standing.node_id, work.standing.node_name) == (
            "a reason",
            "n1",
            "host:1",
        )
        assert (work.inbox_rows, work.inbox_since) == (2, 2)
        assert [task.id for task in work.tasks] == ["t1", "t3"]
        assert not work.has_more
        assert work.timers == {"t3": [DueTimer("t3", "wait-before", 7)]}
        actions = work.actions["t1"]
        assert [action.id for action in actions] == [f"a{n:02}" for n in range(CHILDREN_SHOWN)]
        assert {action.total for action in actions} == {25}
        assert [action.item for action in actions] == list(range(CHILDREN_SHOWN))
        assert [(each.queued_at, each.pool, each.claimed_by, each.node_name) for each in actions[:3]] == [
            (4, "mars", None, None),
            (5, "", "n1", "host:1"),
            (None, None, None, None),
        ]
        assert [(call.id, call.workflow_name, call.state, call.total) for call in work.calls["t1"]] == [
            ("c1", "wf", "PAUSED", 2),
            ("gone", None, None, 2),
        ]
        assert [process.name for process in work.processes] == ["host:1"]
        child = await read_open_work(DatabaseReader(database), "c1")
        assert child is not None
        assert (child.standing.parent_id, child.standing.parent_state) == ("e1", "RUNNING")
        assert await read_open_work(DatabaseReader(database), "none") is None

    make.with_database(database_url, test)


def test_of_many_open_tasks_the_oldest_are_read(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        whole = make.execution()
        await make.start(store, whole)
        tasks = [
            make.task(whole, f"t{n:03}", n + 1, state="RUNNING", phase="active")
            for n in range(TASKS_SHOWN + 5)
        ]
        (outcome,) = await store.commit([TurnWrite(whole, whole, 1, tasks=list(reversed(tasks)))], "n1")
        assert outcome.is_committed, outcome
        work = await read_open_work(DatabaseReader(database), "e1")
        assert work is not None
        assert work.has_more
        assert [task.id for task in work.tasks] == [task.id for task in tasks[:TASKS_SHOWN]]

    make.with_database(database_url, test)


def test_the_latest_of_each_task_leads_to_a_join(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        whole = make.execution()
        await make.start(store, whole)
        first = make.task(whole, "t1", 1, state="ERROR", name="loop")
        second = replace(first, id="t2", seq=2, state="SUCCESS", next_tasks=(("meet", "on-success"),))
        other = make.task(whole, "t3", 3, name="other")
        (outcome,) = await store.commit([TurnWrite(whole, whole, 1, tasks=[first, second, other])], "n1")
        assert outcome.is_committed, outcome
        found = await read_sources(DatabaseReader(database), "e1", ["loop", "absent"])
        assert list(found) == ["loop"]
        assert (found["loop"].id, found["loop"].state) == ("t2", "SUCCESS")
        assert found["loop"].next_tasks == '[["meet","on-success"]]'
        assert await read_sources(DatabaseReader(database), "e1", []) == {}

    make.with_database(database_url, test)
