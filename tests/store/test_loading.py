"""Loads from checkpoints: exactly what they name and what is newer; the rest can be recalled."""

from __future__ import annotations

import sqlalchemy as sa
from msgspec.structs import replace
from tests.store import records as make

from tramontane.core.state import Cause, Execution, HistoryKey, PastRun
from tramontane.store import schema
from tramontane.store.database import Database
from tramontane.store.executions import Executions
from tramontane.store.records import CheckpointRow, TurnWrite
from tramontane.values import freeze


async def write(store: Executions, turn: TurnWrite) -> None:
    (outcome,) = await store.commit([turn], "n1")
    assert outcome.is_committed, outcome


def checkpoint(execution: Execution, seq: int, **data: object) -> CheckpointRow:
    empty: dict[str, object] = {"seq": seq, "tasks": [], "children": [], "runs": {}, "slots": []}
    return CheckpointRow(execution.id, execution.root_id, seq, freeze(empty | data))


async def a_long_execution(store: Executions) -> Execution:
    """Tasks t1 to t6, each with an action; t3 runs for the third time, t6 is newer than the checkpoint."""
    execution = make.execution(seq=20)
    tasks = [
        make.task(execution, f"t{n}", 2 * n, name=f"name{n % 3}", run=2 if n == 3 else 0) for n in range(1, 7)
    ]
    actions = [
        make.action(
            execution,
            f"a{n}",
            2 * n + 1,
            task_id=f"t{n}",
            state="SUCCESS",
            accepted=n != 2,
            output=freeze({"result": n}),
        )
        for n in range(1, 7)
    ]
    past = [
        PastRun(f"t{n}", run, execution.id, execution.id, freeze({"run": run}), (Cause("t1", 0),))
        for n, run in ((1, 0), (3, 0), (3, 1), (3, 2), (6, 0))
    ]
    called = make.child(execution, "e2", state="SUCCESS", output=freeze({"x": 1}))
    await write(
        store,
        TurnWrite(
            execution,
            None,
            0,
            tasks=tasks,
            actions=actions,
            subworkflows=[make.call(execution, "e2", 10, task_id="t4", state="SUCCESS", accepted=True)],
            past_runs=past,
            children=[called],
            inbox=[make.event(execution)],
            checkpoint=checkpoint(execution, 11, tasks=["t3", "t4"], children=["a4"], runs={"t3": 2}),
        ),
    )
    return execution


def test_an_open_execution_is_loaded_from_its_checkpoint_on(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        execution = await a_long_execution(store)
        loaded, whole = await store.load_open("e1"), await store.load("e1")
        assert loaded is not None and whole is not None
        assert sorted(task.id for task in loaded.tasks) == ["t3", "t4", "t6"]
        assert sorted(action.id for action in loaded.actions) == ["a4", "a6"]
        assert [call.id for call in loaded.subworkflows] == []
        assert sorted((past.task_id, past.run) for past in loaded.past_runs) == [("t3", 2), ("t6", 0)]
        assert (len(loaded.inbox), loaded.version, loaded.execution) == (1, 1, whole.execution)
        assert {task.id: task for task in loaded.tasks}.items() <= {
            task.id: task for task in whole.tasks
        }.items()
        assert loaded.checkpoint["seq"] == 11
        assert (len(whole.tasks), len(whole.actions), len(whole.past_runs)) == (6, 6, 5)
        assert whole.checkpoint is None
        after = replace(execution, seq=21)
        await write(store, TurnWrite(after, execution, 1, drops_checkpoint=True))
        loaded = await store.load_open("e1")
        assert loaded is not None
        assert (len(loaded.tasks), loaded.checkpoint, loaded.version) == (6, None, 2)

    make.with_database(database_url, test)


def test_a_newer_checkpoint_takes_the_place_of_the_older_one(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        execution = await a_long_execution(store)
        newer = checkpoint(execution, 20, tasks=["t6"])
        await write(store, TurnWrite(replace(execution, seq=21), execution, 1, checkpoint=newer))
        loaded = await store.load_open("e1")
        assert loaded is not None
        assert [task.id for task in loaded.tasks] == ["t6"]
        assert loaded.actions == []
        assert await store.load_open("none") is None

    make.with_database(database_url, test)


def test_big_variables_of_a_checkpoint_are_stored_once_however_many_there_are(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        execution = await a_long_execution(store)
        big = freeze({"text": "x" * 20_000, "tramontane:big": 1})
        names = {"tramontane:big": 0, "other": 1}
        data = {"slots": [[big, {"": 3}], [7, {".tramontane:big": 1}]], "contexts": [[None, names]]}
        for version in (1, 2):
            row = checkpoint(execution, 20, **data)
            await write(store, TurnWrite(execution, execution, version, checkpoint=row))
        loaded = await store.load_open("e1")
        assert loaded is not None
        assert {name: loaded.checkpoint[name] for name in data} == freeze(data)
        async with database.read() as connection:
            values = await connection.scalar(sa.select(sa.func.count()).select_from(schema.big_values))
            size = await connection.scalar(sa.select(sa.func.length(schema.checkpoints.c.data)))
        assert values == 1
        assert size is not None and size < 1000

    make.with_database(database_url, test)


def test_what_a_checkpoint_has_left_out_can_be_recalled(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await a_long_execution(store)
        await write(store, TurnWrite(make.execution("other"), None, 0))
        keys = {
            HistoryKey("task", "t1"): (["t1", "t4"], ["a1"], []),
            HistoryKey("child", "a2"): (["t2", "t5"], ["a2"], []),
            HistoryKey("child", "e2"): (["t4"], ["a4"], ["e2"]),
            HistoryKey("named", "name2"): (["t5"], [], []),
            HistoryKey("named", "nothing"): ([], [], []),
            HistoryKey("children", "t2"): ([], ["a2"], []),
            HistoryKey("counting", "t2"): ([], [], []),
            HistoryKey("counting", "t4"): ([], ["a4"], ["e2"]),
            HistoryKey("task", "nothing"): ([], [], []),
        }
        found = await store.recall("e1", list(keys))
        for key, (tasks, actions, calls) in keys.items():
            recalled = found[key]
            assert [task.id for task in recalled.tasks] == tasks, key
            assert [action.id for action in recalled.actions] == actions, key
            assert [call.id for call in recalled.subworkflows] == calls, key
        assert found[HistoryKey("child", "e2")].subworkflows[0].output == {"x": 1}
        (whole,) = (await store.recall("e1", [HistoryKey("all")])).values()
        assert (len(whole.tasks), len(whole.actions), len(whole.past_runs)) == (6, 6, 5)
        assert not (await store.recall("other", [HistoryKey("task", "t1")]))[HistoryKey("task", "t1")].tasks

    make.with_database(database_url, test)


def test_a_checkpoint_goes_with_its_execution(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await a_long_execution(store)
        await store.delete("e1")
        again = make.execution()
        await write(store, TurnWrite(again, None, 0, tasks=[make.task(again)]))
        loaded = await store.load_open("e1")
        assert loaded is not None
        assert (len(loaded.tasks), loaded.checkpoint) == (1, None)

    make.with_database(database_url, test)
