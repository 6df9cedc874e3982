"""The database's time, carried on between heartbeats by the monotonic clock."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class DatabaseClock:
    """UTC as the database last told it; from then on it never runs backwards within a process.

    All nodes ask the same database, so they agree whatever their own clocks say. Until the first
    answer it is this machine's time, which may be hours ahead: what it was then counts no longer.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()
        self._latest = 0.0
        self._is_told = False

    def correct(self, micros: int) -> None:
        """Take over the database's time, in microseconds since 1970 UTC."""
        if not self._is_told:
            self._is_told = True
            self._latest = 0.0
        self._offset = micros / 1_000_000 - self._monotonic()

    def now(self) -> dt.datetime:
        self._latest = max(self._latest, self._offset + self._monotonic())
        return _EPOCH + dt.timedelta(seconds=self._latest)
