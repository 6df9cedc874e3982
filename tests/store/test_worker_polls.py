"""Polls of a worker that overtake one another: what it holds is as its latest one says."""

from __future__ import annotations

import asyncio

from tests.store import records as make

from tramontane.store.database import Database
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.nodes import Nodes
from tramontane.store.records import TurnWrite
from tramontane.store.worker_polls import WorkerPolls


async def with_job(database: Database) -> None:
    """Write an execution with one job that nobody has claimed."""
    execution = make.execution("e1")
    action = make.action(execution, "a1")
    turn = TurnWrite(execution, None, 0, actions=[action], jobs=[make.job(action)])
    await Executions(database).commit([turn], "n1")


async def claimed(database: Database) -> list[str]:
    return [job.action_id for job in await Jobs(database).claims_of("w")]


def test_an_earlier_poll_frees_nothing(database_url: str) -> None:
    async def test(database: Database) -> None:
        polls = WorkerPolls(database)
        await with_job(database)
        assert await polls.begin("w", "worker", {"pools": []}, 2, ()) == 2
        await Jobs(database).claim("w", [""], 1)
        assert await polls.begin("w", "worker", {"pools": []}, 1, ()) is None
        assert await polls.begin("w", "worker", {"pools": []}, 2, ()) is None
        assert not await polls.go_on("w", 1, ())
        assert await claimed(database) == ["a1"]
        assert await polls.begin("w", "worker", {"pools": []}, 3, [("a1", 0)]) == 3
        assert await claimed(database) == ["a1"]

    make.with_database(database_url, test)


def test_what_an_earlier_poll_claims_is_freed_by_the_one_that_waits(database_url: str) -> None:
    async def test(database: Database) -> None:
        polls = WorkerPolls(database)
        await with_job(database)
        await polls.begin("w", "worker", {"pools": []}, 2, ())
        await Jobs(database).claim("w", [""], 1)  # for the first, which was frozen between two steps
        assert await polls.go_on("w", 2, ())
        assert await claimed(database) == []

    make.with_database(database_url, test)


def test_a_poll_without_a_number_is_the_latest(database_url: str) -> None:
    async def test(database: Database) -> None:
        polls = WorkerPolls(database)
        assert await polls.begin("w", "worker", {"pools": []}, None, ()) == 1
        assert await polls.begin("w", "worker", {"pools": []}, None, ()) == 2

    make.with_database(database_url, test)


def test_first_polls_at_the_same_moment_enter_the_worker_once(database_url: str) -> None:
    async def test(database: Database) -> None:
        polls = WorkerPolls(database)
        begun = (polls.begin("w", "worker", {"pools": ["gpu"]}, number, ()) for number in (1, 2, 3, 4))
        assert 4 in await asyncio.gather(*begun)
        (node,) = await Nodes(database).all()
        assert (node.kind, node.info["poll"]) == ("worker", 4)

    make.with_database(database_url, test)
