"""Ids in the form of UUIDs (version 7) that sort in the order in which a node made them."""

from __future__ import annotations

import random

from tramontane.clock import Clock

_COUNTER_BITS = 26
_COUNTER_MAX = 1 << _COUNTER_BITS
_START_BITS = 20  # where the counter of a new millisecond begins, at random: leaves room above


class SortableIds:
    """Calling it gives the next id: milliseconds, a counter within them, and random bits.

    A clock that stands still or steps back doesn't break the order.
    """

    def __init__(self, clock: Clock, source: random.Random | None = None) -> None:
        self._clock = clock
        self._random = source or random.SystemRandom()
        self._fast = random.Random(self._random.getrandbits(128))
        self._milliseconds = 0
        self._counter = 0

    def __call__(self) -> str:
        now = int(self._clock.now().timestamp() * 1000)
        if now > self._milliseconds:
            self._milliseconds = now
            self._counter = self._fast.getrandbits(_START_BITS)
        else:
            self._counter += 1
            if self._counter == _COUNTER_MAX:
                self._milliseconds += 1
                self._counter = 0
        high, low = divmod(self._counter, 1 << 14)
        number = (
            self._milliseconds << 80
            | 0x7 << 76
            | high << 64
            | 0b10 << 62
            | low << 48
            | self._fast.getrandbits(48)
        )
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
