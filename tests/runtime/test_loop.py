"""Loops, and the clock that follows the database."""

from __future__ import annotations

import asyncio

from tests.service.harness import run

from tramontane.errors import UnavailableError
from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.loop import Loop


def test_a_wake_up_cuts_the_pause_short() -> None:
    async def test() -> None:
        rounds = 0

        async def work() -> None:
            nonlocal rounds
            rounds += 1

        loop = Loop("test", work, 3600)
        await loop.start()
        for _ in range(3):
            await loop.next_round()
        assert rounds >= 3
        await loop.stop()

    run(test())


def test_a_round_that_fails_is_not_the_last_one() -> None:
    async def test() -> None:
        errors: list[Exception] = [ZeroDivisionError("a bug"), UnavailableError("away")]

        async def work() -> float:
            if errors:
                raise errors.pop(0)
            return 3600

        loop = Loop("test", work, 0.001)
        await loop.start()
        for _ in range(3):
            await loop.next_round()
        assert not errors
        await loop.stop()

    run(test())


def test_stopping_breaks_off_the_round_that_is_under_way() -> None:
    async def test() -> None:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            await asyncio.Event().wait()

        loop = Loop("test", work, 1)
        await loop.start()
        await begun.wait()
        await loop.stop()

    run(test())


def test_the_database_clock_follows_the_database_and_never_runs_backwards() -> None:
    ticks = [100.0]
    clock = DatabaseClock(wall=lambda: 1_000_000.0, monotonic=lambda: ticks[0])
    assert clock.now().timestamp() == 1_000_000
    ticks[0] += 5
    assert clock.now().timestamp() == 1_000_005
    clock.correct(2_000_000_000_000)
    assert clock.now().timestamp() == 2_000_000
    clock.correct(1_999_990_000_000)
    assert clock.now().timestamp() == 2_000_000
    ticks[0] += 11
    assert clock.now().timestamp() == 2_000_001
