"""Which jobs are claimed next, and that limits hold however many claim at the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store import records as make

from tramontane.store.claiming import Candidate, Rooms, choose
from tramontane.store.database import Database, open_database
from tramontane.store.executions import Executions
from tramontane.store.jobs import Claim, Jobs
from tramontane.store.limits import Limit, LimitBook, Limits
from tramontane.store.nodes import Nodes
from tramontane.store.records import TurnWrite

MINUTE = 60_000_000


async def with_jobs(database: Database, *fields: dict[str, Any], **of_action: Any) -> None:
    """One execution with a job ``a<number>`` for each set of fields, in this order in the queue."""
    execution = make.execution(seq=1000)
    now = await Nodes(database).now()
    actions = [
        make.action(execution, f"a{number:03}", seq=number, **of_action) for number in range(len(fields))
    ]
    jobs = [
        make.job(action, **{"created_at": now, "place": number, **given})
        for number, (action, given) in enumerate(zip(actions, fields, strict=True))
    ]
    turn = TurnWrite(execution, None, 0, actions=actions, jobs=jobs)
    assert (await Executions(database).commit([turn], "n1"))[0].is_committed


def ids(claim: Claim) -> list[str]:
    return [each.job.action_id for each in claim.jobs]


# -- the order ------------------------------------------------------------------------------------


def test_urgent_jobs_come_first_then_those_with_the_lower_place(database_url: str) -> None:
    async def test(database: Database) -> None:
        await with_jobs(database, {"place": 7}, {"place": 9, "urgency": -3}, {"place": 5}, {"urgency": 2})
        assert ids(await Jobs(database).claim("n1", [""], 10)) == ["a001", "a002", "a000", "a003"]

    make.with_database(database_url, test)


def test_one_job_in_eight_is_the_one_that_has_waited_longest(database_url: str) -> None:
    async def test(database: Database) -> None:
        now = await Nodes(database).now()
        old = {"created_at": now - 6 * MINUTE, "urgency": 5}
        await with_jobs(database, *[{}] * 20, old, {**old, "created_at": now - 7 * MINUTE})
        claimed = ids(await Jobs(database).claim("n1", [""], 16))
        assert claimed[:2] == ["a021", "a020"]
        assert claimed[2:] == [f"a{number:03}" for number in range(14)]

    make.with_database(database_url, test)


def test_a_claimant_of_several_pools_takes_from_each_in_turn(database_url: str) -> None:
    async def test(database: Database) -> None:
        await with_jobs(database, *[{}] * 10, *[{"pool": "gpu"}] * 3)
        assert set(ids(await Jobs(database).claim("n1", ["", "gpu"], 4))) == {"a000", "a001", "a010", "a011"}

    make.with_database(database_url, test)


# -- limits ---------------------------------------------------------------------------------------


def test_no_more_jobs_of_a_pool_are_claimed_than_its_limit_says(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await Limits(database).set("pool", "gpu", 2, 0)
        await with_jobs(database, *[{"pool": "gpu"}] * 4, {})
        claim = await jobs.claim("n1", ["", "gpu"], 10)
        assert set(ids(claim)) == {"a000", "a001", "a004"}
        assert claim.is_held
        assert not claim.may_be_more
        assert ids(await jobs.claim("n2", ["gpu"], 10)) == []
        await jobs.finish("n1", ["a000"])
        assert ids(await jobs.claim("n2", ["gpu"], 10)) == ["a002"]

    make.with_database(database_url, test)


@pytest.mark.parametrize("lane", ["std.ssh", ""])
def test_no_more_runs_of_an_action_are_claimed_than_its_limit_says(database_url: str, lane: str) -> None:
    """``""``: whoever wrote the jobs didn't know the limit yet."""

    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, *[{"lane": lane}] * 4, name="std.ssh", adhoc=())
        await Limits(database).set("action", "std.ssh", 3, 0)
        claim = await jobs.claim("n1", [""], 10)
        assert ids(claim) == ["a000", "a001", "a002"]
        assert claim.is_held
        assert ids(await jobs.claim("n2", [""], 10)) == []
        (use,) = await Limits(database).used()
        assert (use.kind, use.name, use.slots, use.taken, use.waiting) == ("action", "std.ssh", 3, 3, 1)

    make.with_database(database_url, test)


def test_a_limit_for_an_ad_hoc_action_goes_before_that_of_the_action_it_is_made_of(database_url: str) -> None:
    async def test(database: Database) -> None:
        await Limits(database).set("action", "std.http", 3, 0)
        await Limits(database).set("action", "billing", 1, 0)
        around = (("billing", False, None, "std.http"),)
        await with_jobs(database, {}, {}, name="std.http", adhoc=around)
        assert ids(await Jobs(database).claim("n1", [""], 10)) == ["a000"]

    make.with_database(database_url, test)


def test_what_runs_when_a_limit_is_set_holds_its_slots_and_comes_to_its_end(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs = Jobs(database)
        await with_jobs(database, *[{}] * 4, name="std.ssh", adhoc=())
        assert len(ids(await jobs.claim("n1", [""], 2))) == 2
        await Limits(database).set("action", "std.ssh", 1, 0)
        later = Jobs(database)
        assert ids(await later.claim("n2", [""], 10)) == []
        await jobs.finish("n1", ["a000"])
        assert ids(await later.claim("n2", [""], 10)) == [], "one of the two runs still"
        await jobs.finish("n1", ["a001"])
        assert ids(await later.claim("n2", [""], 10)) == ["a002"]

    make.with_database(database_url, test)


def test_a_limit_changes_and_goes_while_jobs_wait(database_url: str) -> None:
    async def test(database: Database) -> None:
        jobs, limits = Jobs(database), Limits(database)
        await limits.set("action", "std.ssh", 0, 0)
        await with_jobs(database, *[{"lane": "std.ssh"}] * 5, name="std.ssh", adhoc=())
        assert ids(await jobs.claim("n1", [""], 10)) == []
        await limits.set("action", "std.ssh", 2, 0)
        assert ids(await jobs.claim("n1", [""], 10)) == ["a000", "a001"]
        assert await limits.lift("action", "std.ssh", 0)
        assert not await limits.lift("action", "std.ssh", 0)
        assert await limits.used() == []
        assert ids(await jobs.claim("n1", [""], 10)) == ["a002", "a003", "a004"]

    make.with_database(database_url, test)


def test_limits_hold_while_claimants_race(database_url: str) -> None:
    """Eight claimants, each with connections of its own where the database has several."""

    async def test(database: Database) -> None:
        await Limits(database).set("action", "std.ssh", 3, 0)
        await Limits(database).set("pool", "gpu", 2, 0)
        fields = [{"pool": pool, "lane": "std.ssh"} for pool, _ in itertools.product(("", "gpu"), range(30))]
        await with_jobs(database, *fields, name="std.ssh", adhoc=())
        ran: list[str] = []

        async def round_of_claims(claimants: Sequence[Jobs]) -> None:
            """All claim at the same moment; then what they got ends."""
            claims = await asyncio.gather(
                *(jobs.claim(f"n{number}", ["", "gpu"], 2) for number, jobs in enumerate(claimants))
            )
            claimed = [each.job for claim in claims for each in claim.jobs]
            assert len(claimed) <= 3
            assert sum(job.pool == "gpu" for job in claimed) <= 2
            ran.extend(job.action_id for job in claimed)
            for number, (jobs, claim) in enumerate(zip(claimants, claims, strict=True)):
                await jobs.finish(f"n{number}", ids(claim))

        others = [database] * 8
        if database.name != "sqlite":
            others = [await open_database(database_url) for _ in range(8)]
        try:
            claimants = [Jobs(own) for own in others]
            while len(ran) < 60:
                await round_of_claims(claimants)
        finally:
            for own in others:
                if own is not database:
                    await own.close()
        assert sorted(ran) == [f"a{number:03}" for number in range(60)]

    make.with_database(database_url, test)


# -- what a process knows -------------------------------------------------------------------------


def test_what_was_read_long_ago_lets_nothing_past_the_queue() -> None:
    time = 0.0
    book = LimitBook(lambda: time)
    assert not book.is_current()
    book.note([Limit("action", "std.ssh", 1)], 0.0)
    assert book.is_current()
    assert book.lane_of(["a", "std.ssh"]) == "std.ssh"
    assert book.lane_of(["std.http"]) == ""
    time = 1.5
    assert not book.is_current()


# -- choosing, in general -------------------------------------------------------------------------

_pools = st.sampled_from(["", "gpu"])
_lanes = st.sampled_from(["", "x", "y"])
_candidates = st.lists(
    st.builds(
        Candidate, st.uuids().map(str), st.tuples(_pools, _lanes), st.integers(-1, 1), st.integers(0, 9)
    ),
    max_size=30,
)
_limits = st.dictionaries(
    st.sampled_from([("pool", "gpu"), ("action", "x"), ("action", "y")]), st.integers(0, 5)
)


@settings(max_examples=150, deadline=None)
@given(_candidates, _limits, st.integers(1, 20), st.integers(0, 5))
def test_what_is_chosen_fits_and_nothing_that_fits_is_left_out(
    candidates: Sequence[Candidate], given_limits: dict[tuple[str, str], int], limit: int, turn: int
) -> None:
    limits = [Limit(kind, name, slots) for (kind, name), slots in given_limits.items()]
    rooms = Rooms(limits, {})
    chosen = choose(candidates, rooms, limit, turn)
    for each in limits:
        place = 0 if each.kind == "pool" else 1
        assert sum(one.queue[place] == each.name for one in chosen) <= given_limits[each.kind, each.name]
    left = [each for each in candidates if each not in chosen]
    if len(chosen) < limit:
        assert all(rooms.free(each.queue) == 0 for each in left)
    for one in chosen:
        before = [each for each in left if each.queue == one.queue]
        assert all((one.urgency, one.place) <= (each.urgency, each.place) for each in before)
