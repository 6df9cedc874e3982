"""What is written is read back equal, whatever it holds."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace
from tests.store import records as make

from tramontane.store.database import Database, open_database
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.records import StoredExecution, TurnWrite
from tramontane.store.single_records import SingleRecords
from tramontane.values import EMPTY, freeze

_MANY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals itself and types count."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if hasattr(left, "__struct_fields__"):
        return same(asdict(left), asdict(right))
    return bool(left == right)


class Loop:
    """One event loop and one open database for many examples."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self.database: Database = self.run(open_database(url))

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self.database.close())
        self._runner.close()


def write_and_load(loop: Loop, turn: TurnWrite) -> StoredExecution:
    async def run() -> StoredExecution:
        store = Executions(loop.database)
        if turn.before is None:
            await store.delete(turn.execution.id)  # left by an example that failed
        (outcome,) = await store.commit([turn], "n1")
        assert outcome.is_committed, outcome
        stored = await store.load(turn.execution.id)
        assert stored is not None
        return stored

    stored: StoredExecution = loop.run(run())
    return stored


def test_every_record_of_an_execution_comes_back_as_it_was_written(database_url: str) -> None:
    loop = Loop(database_url)

    @_MANY
    @given(st.data())
    def check(data: st.DataObject) -> None:
        execution = data.draw(make.executions())
        task = data.draw(make.tasks(execution))
        action = data.draw(make.actions(execution))
        past = data.draw(make.past_runs(execution))
        event = make.event(execution, payload=data.draw(make.json_values()))
        timer = make.timer(execution)
        stored = write_and_load(
            loop,
            TurnWrite(
                execution,
                None,
                0,
                tasks=[task],
                actions=[action],
                past_runs=[past],
                inbox=[event],
                timers=[timer],
            ),
        )
        assert same(stored.execution, execution)
        assert same(stored.tasks, [task])
        assert same(stored.actions, [action])
        assert same(stored.past_runs, [past])
        assert same(stored.inbox[0].payload, event.payload)
        assert stored.timers == [timer]
        assert stored.version == 1

    try:
        check()
    finally:
        loop.close()


def test_changes_of_every_field_that_may_change_come_back(database_url: str) -> None:
    loop = Loop(database_url)

    @_MANY
    @given(st.data())
    def check(data: st.DataObject) -> None:
        first = replace(data.draw(make.executions()), seq=10)
        task = data.draw(make.tasks(first))
        action = data.draw(make.actions(first))
        write_and_load(loop, TurnWrite(first, None, 0, tasks=[task], actions=[action]))
        other = data.draw(make.executions())
        unchangeable = ("input", "index", "workbook_name", "created_at", "workflow_id", "parent_task_id")
        second = replace(other, **{name: getattr(first, name) for name in unchangeable})
        new_task = data.draw(make.tasks(first))
        new_task = replace(new_task, tags=task.tags, is_join=task.is_join)
        new_action = replace(
            data.draw(make.actions(first)),
            **{
                name: getattr(action, name)
                for name in (
                    "index", "created_at", "task_name", "is_sync", "safe_rerun", "input", "adhoc", "target",
                    "timeout", "description",
                )
            },
        )  # fmt: skip
        stored = write_and_load(loop, TurnWrite(second, first, 1, tasks=[new_task], actions=[new_action]))
        assert same(stored.execution, second)
        assert same(stored.tasks, [new_task])
        assert same(stored.actions, [new_action])
        assert stored.version == 2

    try:
        check()
    finally:
        loop.close()


def test_a_job_comes_back_as_it_was_written(database_url: str) -> None:
    loop = Loop(database_url)
    execution = make.execution()
    action = make.action(execution)

    @_MANY
    @given(make.jobs(action))
    def check(job: Any) -> None:
        async def run() -> Any:
            store = Executions(loop.database)
            await store.delete(execution.id)
            turn = TurnWrite(execution, None, 0, actions=[action], jobs=[job])
            assert (await store.commit([turn], "n1"))[0].is_committed
            (found,) = await Jobs(loop.database).claims_of("n1")
            return found

        found = loop.run(run())
        for name in job.__slots__:
            assert same(getattr(found, name), getattr(job, name)), name

    try:
        check()
    finally:
        loop.close()


def test_a_call_of_a_sub_workflow_shows_the_output_of_the_called_execution_once_it_has_ended(
    database_url: str,
) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        parent = make.execution("e1", seq=2)
        child = make.child(parent, "e2")
        call = make.call(parent, "e2")
        turn = TurnWrite(parent, None, 0, tasks=[make.task(parent)], subworkflows=[call], children=[child])
        await store.commit([turn], "n1")
        output = freeze({"answer": 42})
        ended = replace(child, state="SUCCESS", output=output)
        await store.commit([TurnWrite(ended, child, 1)], "n1")
        before = await store.load("e1")
        assert before is not None
        assert before.subworkflows == [call]
        done = replace(call, state="SUCCESS", accepted=True, run=1, updated_at=5)
        await store.commit([TurnWrite(replace(parent, seq=3), parent, 1, subworkflows=[done])], "n1")
        after = await store.load("e1")
        assert after is not None
        assert after.subworkflows == [replace(done, output=output)]

    make.with_database(database_url, test)


def test_a_child_is_loaded_with_the_parameters_of_its_root(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        root = make.execution("e1", params=freeze({"env": {"x": 1}}), seq=2)
        child = make.child(root, "e2")
        await store.commit([TurnWrite(root, None, 0, children=[child])], "n1")
        loaded = await store.load_many(["e1", "e2", "none"])
        assert sorted(loaded) == ["e1", "e2"]
        assert loaded["e1"].root_params is None
        assert loaded["e2"].root_params == {"env": {"x": 1}}
        assert loaded["e2"].version == 1
        assert await store.root_params("e1") == {"env": {"x": 1}}
        assert await store.load("none") is None

    make.with_database(database_url, test)


def test_what_is_loaded_is_of_one_moment_however_much_is_written_meanwhile(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        execution = make.execution("e1")
        await store.commit([TurnWrite(execution, None, 0)], "n1")

        async def write() -> None:
            before = execution
            for number in range(1, 200):
                task = make.task(before, f"t{number}", seq=number)
                action = make.action(before, f"a{number}", task_id=task.id, seq=number)
                after = replace(before, seq=number)
                turn = TurnWrite(after, before, number, tasks=[task], actions=[action])
                assert (await store.commit([turn], "n1"))[0].is_committed
                before = after

        writing = asyncio.create_task(write())
        versions = set()
        while not writing.done():
            stored = await store.load("e1")
            assert stored is not None
            assert len(stored.tasks) == len(stored.actions) == stored.version - 1
            versions.add(stored.version)
        await writing
        assert len(versions) > 1

    make.with_database(database_url, test)


def test_single_records_are_found_by_their_ids(database_url: str) -> None:
    async def test(database: Database) -> None:
        execution = make.execution("e1", seq=7, run=3)
        action = make.action(execution)
        turn = TurnWrite(execution, None, 0, tasks=[make.task(execution)], actions=[action])
        await Executions(database).commit([turn], "n1")
        single = SingleRecords(database)
        assert await single.execution("e1") == execution
        assert await single.execution("e2") is None
        assert await single.action("a1") == action
        assert await single.action("a2") is None
        place = await single.task_place("t1")
        assert place is not None
        assert (place.execution_id, place.project_id) == ("e1", "p")
        assert await single.task_place("t2") is None

    make.with_database(database_url, test)


def test_empty_containers_are_shared_after_loading() -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make.start(store, make.execution())
        stored = await store.load("e1")
        assert stored is not None
        assert stored.execution.input is EMPTY
        assert stored.execution.backlog == ()

    make.with_database("sqlite://", test)
