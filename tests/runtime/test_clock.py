"""The one clock of all nodes."""

from __future__ import annotations

from tramontane.runtime.clock import DatabaseClock

HOUR = 3600.0


def test_a_machine_whose_clock_is_hours_ahead_goes_by_the_database_s_time_and_it_moves() -> None:
    seconds = [100.0]
    clock = DatabaseClock(lambda: 24 * HOUR, lambda: seconds[0])
    assert clock.now().timestamp() == 24 * HOUR
    clock.correct(1_000_000)
    assert clock.now().timestamp() == 1.0
    seconds[0] += 5
    assert clock.now().timestamp() == 6.0


def test_once_the_database_has_told_the_time_it_never_runs_backwards() -> None:
    seconds = [0.0]
    clock = DatabaseClock(lambda: 0.0, lambda: seconds[0])
    clock.correct(10_000_000)
    assert clock.now().timestamp() == 10.0
    clock.correct(9_000_000)
    assert clock.now().timestamp() == 10.0
    seconds[0] += 2
    assert clock.now().timestamp() == 11.0
