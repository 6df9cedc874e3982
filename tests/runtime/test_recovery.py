"""After the database was away, and after a sleep: nobody is buried by mistake."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.runtime.test_node import Peer
from tests.service.harness import run

from tramontane.errors import UnavailableError
from tramontane.runtime.loop import Loop
from tramontane.runtime.recovery import Heartbeat, Reaper
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


def test_a_heart_is_sure_as_long_as_nobody_can_have_buried_its_process() -> None:
    async def test() -> None:
        now = [0.0]

        async def beat(*_: object) -> int:
            now[0] += 0.2  # the answer takes its time
            return 1

        work: Any = SimpleNamespace(register=beat, beat=beat)
        heartbeat = Heartbeat(
            work, None, name="n", info=EMPTY, seconds=0.5, declared_dead=_away, monotonic=lambda: now[0]
        )
        assert not heartbeat.is_sure()
        await heartbeat._register()
        now[0] = 1.5
        assert heartbeat.is_sure()
        now[0] = 1.6
        assert not heartbeat.is_sure()
        await heartbeat._beat()
        assert heartbeat.is_sure()

    run(test())
