"""Formats of records: what this version can read, and what it writes beside others.

Every record has a format number. A process tells in the register up to which number it can read, writes
what all that take part can, and leaves records of a later format to those that know them. The records of an
execution are read together, so the number of its head counts for all of them, and is never lowered; what is
read alone (inbox rows, timers, jobs, checked documents, processes) has its own.

A later version that stores something in another way raises ``NEWEST``, goes on reading the old way, and
writes the new one only where :attr:`Formats.written` allows it.
"""

from __future__ import annotations

from collections.abc import Iterable

NEWEST = 1
"""The latest format that this version knows."""


class Formats:
    """What one process reads and writes."""

    def __init__(self, newest: int | None = None) -> None:
        self.newest = NEWEST if newest is None else newest
        self.written = self.newest

    def learn(self, readable: Iterable[int]) -> None:
        """Take notice of what the processes that take part can read."""
        self.written = min(self.newest, *readable, self.newest)
