"""Time as everything else receives it: a clock is handed in, never looked up."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """Source of the present moment."""

    def now(self) -> dt.datetime:
        """Return the current time, timezone-aware, in UTC."""


class SystemClock:
    """UTC wall time that never runs backwards within a process.

    The wall clock is read once; from then on monotonic time is added to it, so a
    stepped system clock can neither fire nor postpone anything here.
    """

    def __init__(self) -> None:
        self._origin = dt.datetime.now(dt.UTC)
        self._started = time.monotonic()

    def now(self) -> dt.datetime:
        return self._origin + dt.timedelta(seconds=time.monotonic() - self._started)


class ManualClock:
    """A clock that moves only when told to: for tests, simulations and rehearsals."""

    def __init__(self, start: dt.datetime | None = None) -> None:
        self._now = start or dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def now(self) -> dt.datetime:
        return self._now

    def advance(self, seconds: float) -> dt.datetime:
        """Move ``seconds`` ahead and return the new present."""
        self._now += dt.timedelta(seconds=seconds)
        return self._now
