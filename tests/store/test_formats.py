"""Records of a later format are left alone; what is written can be read by all that take part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.store import records as make

from tramontane.store.database import Database
from tramontane.store.definitions import Definitions
from tramontane.store.errors import NewerRecordError
from tramontane.store.executions import Executions
from tramontane.store.formats import Formats
from tramontane.store.jobs import Jobs
from tramontane.store.nodes import LEFT, Nodes
from tramontane.store.records import TurnWrite
from tramontane.store.work import TakenOver, Work
from tramontane.values import EMPTY

LATER = 10_000_000


def versions(database: Database) -> tuple[Database, Database]:
    """The same database, as a process of this version and one of the next see it."""
    next_one = Database(database.dialect)
    next_one.formats = Formats(2)
    return database, next_one


async def started(database: Database, name: str) -> Any:
    """An execution with an inbox row, a due timer and an unclaimed job, as this process writes it."""
    store = Executions(database)
    execution, number = make.execution(name), database.formats.written
    action = make.action(execution, f"a-{name}")
    turn = TurnWrite(
        execution,
        None,
        0,
        actions=[action],
        inbox=[make.event(execution, f"i-{name}")],
        timers=[make.timer(execution, task_id=f"t-{name}")],
        jobs=[make.job(action)],
        format=number,
    )
    assert (await store.commit([turn], "n2"))[0].is_committed
    return execution


def test_what_a_later_version_has_written_is_left_to_it(database_url: str) -> None:
    async def test(database: Database) -> None:
        ours, theirs = versions(database)
        await started(ours, "old")
        await started(theirs, "new")
        for side, found in ((ours, ["old"]), (theirs, ["new", "old"])):
            work = Work(side)
            assert sorted(each.id for each in await work.waiting_executions("n1", LATER)) == found
            assert sorted(each.timer.execution_id for each in await work.due_timers("n1", LATER)) == found
            assert sorted(timer.execution_id for timer in await work.timers_of("n2", LATER)) == found
            assert sorted(await work.executions_of("n2")) == found
        assert (await Executions(theirs).load("new")) is not None
        assert (await Executions(ours).load("old")) is not None
        with pytest.raises(NewerRecordError, match="id=new"):
            await Executions(ours).load("new")
        assert await Work(ours).take_over("n1", ["n2"]) == [TakenOver("old", 1)]
        assert await Work(ours).take_over("n1", ["n2"]) == []
        assert await Work(ours).nodes_with_executions() == ["n1"]
        assert await Work(theirs).take_over("n1", ["n2"]) == [TakenOver("new", 1)]

    make.with_database(database_url, test)


def test_jobs_of_a_later_version_are_neither_run_nor_lost(database_url: str) -> None:
    async def test(database: Database) -> None:
        ours, theirs = versions(database)
        for each, name in ((ours, "old"), (theirs, "new")):
            await started(each, name)
        assert [each.job.action_id for each in (await Jobs(ours).claim("n1", [""], 9)).jobs] == ["a-old"]
        assert [each.job.action_id for each in (await Jobs(theirs).claim("dead", [""], 9)).jobs] == ["a-new"]
        assert await Jobs(ours).claimants() == ["n1"]
        lose: Callable[[Database], Any] = lambda each: Jobs(each).lose_claims(  # noqa: E731
            "dead", lambda _: EMPTY, lambda: "lost", 1
        )
        assert (await lose(ours)).reported == []
        assert [job.action_id for job in (await lose(theirs)).reported] == ["a-new"]

    make.with_database(database_url, test)


def test_an_inbox_row_of_a_later_version_waits_for_it(database_url: str) -> None:
    async def test(database: Database) -> None:
        ours, theirs = versions(database)
        execution = make.execution("e1")
        await make.start(Executions(ours), execution)
        await Executions(theirs).post([make.event(execution, "i2")])
        assert await Work(ours).waiting_executions("n1", LATER) == []
        assert [each.id for each in await Work(theirs).waiting_executions("n1", LATER)] == ["e1"]
        stored = await Executions(ours).load("e1")
        assert stored is not None and stored.inbox == []

    make.with_database(database_url, test)


def test_a_definition_of_a_later_version_is_not_read(database_url: str) -> None:
    async def test(database: Database) -> None:
        ours, theirs = versions(database)
        async with Definitions(theirs).change() as change:
            await change.put_spec_text("hash", "{}", 1)
        assert await Definitions(theirs).spec("hash") == {}
        with pytest.raises(NewerRecordError, match="hash=hash"):
            await Definitions(ours).spec("hash")

    make.with_database(database_url, test)


def test_what_is_written_can_be_read_by_all_that_take_part(database_url: str) -> None:
    async def test(database: Database) -> None:
        ours, theirs = versions(database)
        await Nodes(theirs).register("n2", "", "node", EMPTY)
        await Nodes(theirs).all()
        assert theirs.formats.written == 2
        await Nodes(ours).register("n1", "", "executor", EMPTY)
        await Nodes(ours).all()
        await Nodes(theirs).all()
        assert (ours.formats.written, theirs.formats.written) == (1, 1)
        for kind in ("worker", LEFT):
            await Nodes(theirs).mark("n1", kind)
            await Nodes(theirs).all()
            assert theirs.formats.written == 2

    make.with_database(database_url, test)


def test_an_execution_that_the_later_version_wrote_stays_its_own(database_url: str) -> None:
    async def test(database: Database) -> None:
        ours, theirs = versions(database)
        execution = await started(theirs, "new")
        theirs.formats.learn([1])
        stored = await Executions(theirs).load("new")
        assert stored is not None and stored.format == 2
        turn = TurnWrite(execution, execution, stored.version, format=stored.format)
        assert (await Executions(theirs).commit([turn], "n2"))[0].is_committed
        with pytest.raises(NewerRecordError):
            await Executions(ours).load("new")

    make.with_database(database_url, test)
