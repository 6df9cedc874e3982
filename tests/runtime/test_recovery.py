"""After the database was away, and after a sleep: nobody is buried by mistake, nothing is begun too late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from types import SimpleNamespace
from typing import Any

import pytest
from tests.runtime.test_node import Peer
from tests.service.harness import run, still

from tramontane.actions.registry import Registry
from tramontane.errors import UnavailableError
from tramontane.runtime.executor import Executor
from tramontane.runtime.heartbeat import Heartbeat, Pulse
from tramontane.runtime.loop import Loop
from tramontane.runtime.recovery import Reaper
from tramontane.store.jobs import Claim
from tramontane.values import EMPTY


def test_a_judge_that_lost_its_own_session_gives_the_others_time_to_come_back() -> None:
    async def test() -> None:
        now = [0.0]
        peers: Any = Peer()
        peers.heartbeats = {"other": 1}
        peers.locks = {"other"}
        reaper = Reaper(peers, lease_seconds=60, exclusive=False, monotonic=lambda: now[0])
        await reaper._look()
        now[0] += 20  # nobody reaches the database
        peers.locks, peers.has_own_lock = set(), False
        await reaper._look()
        peers.has_own_lock = True
        now[0] += 0.4
        await reaper._look()
        assert peers.buried == []
        now[0] += 1.5
        peers.locks = {"other"}
        await reaper._look()
        now[0] += 30
        await reaper._look()
        assert peers.buried == []

    run(test())


def test_one_that_does_not_come_back_is_buried_all_the_same() -> None:
    async def test() -> None:
        now = [0.0]
        peers: Any = Peer()
        peers.heartbeats = {"other": 1}
        peers.locks, peers.has_own_lock = set(), False
        reaper = Reaper(peers, lease_seconds=60, exclusive=False, monotonic=lambda: now[0])
        await reaper._look()
        peers.has_own_lock = True
        for _ in range(7):
            now[0] += 0.4
            await reaper._look()
        assert peers.buried == ["other"]

    run(test())


async def _pauses(loop: Loop, rounds: int) -> list[float]:
    """The pauses between rounds that fail, without spending them."""
    pauses: list[float] = []
    enough = asyncio.Event()

    async def rest(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > rounds:
            enough.set()
        await asyncio.sleep(0)

    loop._rest = rest  # type: ignore[method-assign]
    await loop.start()
    await enough.wait()
    await loop.stop()
    return pauses[1 : rounds + 1]


async def _away(*_: object) -> Any:
    raise UnavailableError("the database is away")


def test_while_the_database_is_away_heart_and_judge_keep_their_pace_and_nobody_waits_for_long() -> None:
    async def test() -> None:
        work: Any = SimpleNamespace(beat=_away, hold=_away)
        heartbeat = Heartbeat(work, None, name="n", info=EMPTY, seconds=0.5, declared_dead=_away)
        assert set(await _pauses(heartbeat.loop, 12)) == {0.5}
        reaper = Reaper(work, lease_seconds=15, exclusive=False)
        assert set(await _pauses(reaper.loop, 12)) == {0.4}
        assert max(await _pauses(Loop("other", _away, 1), 12)) == 2
        assert max(await _pauses(Loop("slow", _away, 10), 12)) == 10

    run(test())


def test_a_connection_that_never_answers_does_not_still_the_heart() -> None:
    async def test() -> None:
        beats: list[int] = []

        @contextlib.asynccontextmanager
        async def pulse() -> AsyncIterator[Pulse]:
            connections.append(len(connections))

            async def beat() -> int:
                if len(connections) == 1:
                    await asyncio.Event().wait()
                beats.append(1)
                return 1

            yield beat

        async def registered(*_: object) -> int:
            return 1

        connections: list[int] = []
        work: Any = SimpleNamespace(register=registered)
        heart = Heartbeat(work, None, name="n", info=EMPTY, seconds=0.05, declared_dead=_away, pulse=pulse)
        await heart.start()
        try:
            await still(lambda: not beats)
        finally:
            await heart.stop()
        assert len(connections) == 2

    run(test())


class Heart:
    """A heartbeat whose answers take their time, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.is_registered = True
        work: Any = SimpleNamespace(register=self._answer, beat=self._answer)
        self.beats = Heartbeat(
            work,
            None,
            name="n",
            info=EMPTY,
            seconds=0.5,
            declared_dead=self._died,
            monotonic=lambda: self.now,
        )
        self.deaths = 0

    async def _answer(self, *_: object) -> int | None:
        self.now += 0.2
        return 1 if self.is_registered else None

    async def _died(self) -> None:
        self.deaths += 1
        self.is_registered = True

    def is_sure_at(self, moment: float) -> bool:
        self.now = moment
        return self.beats.is_sure()


def test_a_heart_is_sure_as_long_as_nobody_can_have_buried_its_process() -> None:
    async def test() -> None:
        heart = Heart()
        assert not heart.beats.is_sure()
        await heart.beats._register()
        assert heart.is_sure_at(1.5)
        assert not heart.is_sure_at(1.6)

    run(test())


def test_after_a_sleep_a_heart_is_unsure_for_a_while_longer() -> None:
    async def test() -> None:
        heart = Heart()
        await heart.beats._register()
        heart.now = 20.0
        await heart.beats._look()
        assert not heart.is_sure_at(21.0)  # an answer from before the sleep may still be on its way
        await heart.beats._look()
        assert heart.is_sure_at(21.6)

    run(test())


def test_whoever_was_buried_breaks_off_what_it_lost_and_is_unsure_for_a_while() -> None:
    async def test() -> None:
        heart = Heart()
        await heart.beats._register()
        heart.now, heart.is_registered = 0.5, False
        await heart.beats._look()
        assert heart.deaths == 1
        assert not heart.is_sure_at(1.0)
        await heart.beats._look()
        assert heart.is_sure_at(2.3)

    run(test())


class Claims:
    """Stands for the jobs in the database: one is handed out, and lost if ``held`` is empty."""

    def __init__(self, held: Collection[tuple[str, int]]) -> None:
        job = SimpleNamespace(
            action_id="a", attempt=1, action_name="no.such", context={}, timeout=None, dry_run=False, lane=""
        )
        action = SimpleNamespace(input={})
        self._waiting: list[Any] = [SimpleNamespace(job=job, action=action, problem=None)]
        self._held = frozenset(held)
        self.reported: list[str] = []
        self.given_back: list[str] = []
        self.kept: frozenset[tuple[str, int]] = frozenset()
        self.asked = 0
        self.away = 0  # so many questions aren't answered

    async def claim(self, _: Collection[str], __: int) -> Claim:
        given, self._waiting = self._waiting, []
        return Claim(given)

    async def still_held(self, jobs: Collection[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        self.asked += 1
        if self.asked <= self.away:
            raise UnavailableError("the database is away")
        return self._held & set(jobs)

    async def settle_doubts(self) -> None:
        """Nothing is in doubt."""

    async def give_back(self, job: Any) -> None:
        self.given_back.append(job.action_id)

    async def release_others(self, begun: Collection[tuple[str, int]]) -> None:
        self.kept = frozenset(begun)

    async def report(self, job: Any, _: Any) -> None:
        self.reported.append(job.action_id)


async def _played(claims: Claims, is_sure: bool) -> Claims:
    work: Any = claims
    runner: Any = None
    executor = Executor(Registry(), runner, slots=1, poll_seconds=1000)
    executor.connect(work)
    executor.begin_if(lambda: is_sure, lambda: True)
    await executor.start()
    await still(lambda: executor.statistics.ended == 0)
    await executor.stop(0)
    assert executor.busy == 0
    return claims


def test_a_process_that_slept_after_a_claim_begins_only_what_is_still_its_own() -> None:
    async def test() -> None:
        assert (await _played(Claims([]), is_sure=False)).reported == []
        assert (await _played(Claims([("a", 1)]), is_sure=False)).reported == ["a"]
        awake = await _played(Claims([]), is_sure=True)
        assert (awake.reported, awake.asked) == (["a"], 0)

    run(test())


def test_a_claim_that_can_not_be_checked_yet_is_neither_dropped_nor_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tramontane.runtime.executor._ASK_AGAIN", 0)

    async def test() -> None:
        claims = Claims([("a", 1)])
        claims.away = 2
        assert (await _played(claims, is_sure=False)).reported == ["a"]
        assert claims.asked == 3

    run(test())


def test_whoever_may_be_out_of_the_register_asks_only_when_it_has_been_seen_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tramontane.runtime.executor._ASK_AGAIN", 0)

    async def test() -> None:
        claims = Claims([("a", 1)])
        looks: list[int] = []

        def is_beating() -> bool:
            looks.append(claims.asked)
            return len(looks) > 3

        work: Any = claims
        runner: Any = None
        executor = Executor(Registry(), runner, slots=1, poll_seconds=1000)
        executor.connect(work)
        executor.begin_if(lambda: False, is_beating)
        await executor.start()
        await still(lambda: executor.statistics.ended == 0)
        await executor.stop(0)
        assert looks[:4] == [0, 0, 0, 0]
        assert (claims.asked, claims.reported) == (1, ["a"])

    run(test())
