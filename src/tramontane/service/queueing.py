"""Where a new job stands in the queue: its lane, its urgency and its place (service/fairness.py).

A node gives places to the jobs that it writes, from what it knows of each line: its own claims, and a look
at what all others have claimed, twice a second while it has jobs in a line (:mod:`tramontane.runtime.watch`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tramontane.core.priorities import HIGHEST as HIGHEST
from tramontane.core.state import ActionExecution, Micros
from tramontane.service.fairness import FairLine
from tramontane.service.pools import WORKERS
from tramontane.service.ports import Jobs
from tramontane.store.limits import LimitBook, names_of
from tramontane.store.records import JobRow

_CURRENT: Final = 2.5
"""Seconds without a look at the limits after which a node claims no job past the queue any more."""

_ON_THEIR_WAY: Final = 2_000_000
"""Microseconds after which a job that was given a place has been written, or never will be."""

Line = tuple[str, str, int]
"""(pool, lane or the action's name, urgency)"""

Served = tuple[str, str, str, int, int]
"""(pool, lane, action name, urgency, place)"""


class Waiting(Protocol):
    """What is asked of the queue in the database (:class:`tramontane.store.jobs.Jobs`)."""

    async def in_service(self) -> Sequence[Served]: ...
    async def has_waiting(self, pool: str, lane: str, urgency: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Queued:
    """A line as stored, and when this node put a job into it last."""

    pool: str
    lane: str
    urgency: int
    joined_at: Micros


class JobQueue:
    """The queue as a node knows it that writes jobs."""

    def __init__(self, book: LimitBook, now: Callable[[], Micros]) -> None:
        self._book = book
        self._now = now
        self._lines: dict[Line, FairLine] = {}
        self._queued: dict[Line, _Queued] = {}  # lines with jobs of this node in them

    def enter(self, job: JobRow, action: ActionExecution, priority: int, node_id: str, slots: Jobs) -> JobRow:
        """Give a job its place; it is this node's at once where nothing is before it and a slot is free.

        ``job`` is unclaimed and has no place yet.
        """
        lane = self._book.lane_of(names_of(action.name, action.adhoc))
        line = _line(job.pool, lane, job.action_name, -priority)
        if self.is_free(job, action) and slots.reserve(job.pool):
            return replace(job, claimed_by=node_id, urgency=-priority, place=self._reached(line))
        root_id = job.root_id or job.action_id
        place = self._join(line, _Queued(job.pool, lane, -priority, self._now()), job.project_id, root_id)
        return replace(job, lane=lane, urgency=-priority, place=place)

    def is_free(self, job: JobRow, action: ActionExecution) -> bool:
        """Tell whether a job is known to be under no limit."""
        return (
            self._book.is_current(_CURRENT)
            and not self._book.caps(job.pool)
            and not self._book.lane_of(names_of(action.name, action.adhoc))
        )

    def _reached(self, key: Line) -> int:
        line = self._lines.get(key)
        return self._now() if line is None else line.reached

    def _join(self, key: Line, queued: _Queued, project_id: str, root_id: str) -> int:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = FairLine(self._now())
        elif line.is_empty:
            line.clear(self._now())
        self._queued[key] = queued
        return line.join(project_id, root_id)

    def serve(self, jobs: Iterable[JobRow]) -> None:
        """Note what this node has claimed."""
        for job in jobs:
            self._serve(job.pool, job.lane, job.action_name, job.urgency, job.place)

    def _serve(self, pool: str, lane: str, action_name: str, urgency: int, place: int) -> None:
        key = _line(pool, lane, action_name, urgency)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = FairLine(place)
        line.serve(place)

    async def look(self, waiting: Waiting) -> None:
        """See how far the lines are that this node has jobs in."""
        if not self._queued:
            return
        for served in await waiting.in_service():
            self._serve(*served)
        for key, queued in list(self._queued.items()):
            if await waiting.has_waiting(queued.pool, queued.lane, queued.urgency):
                continue
            if self._now() - self._queued[key].joined_at > _ON_THEIR_WAY:
                self._lines[key].clear(self._now())
                del self._queued[key]


def _line(pool: str, lane: str, action_name: str, urgency: int) -> Line:
    """Jobs of one line are claimed by the same processes, under the same limit; workers claim by name."""
    if not lane and pool.startswith(WORKERS):
        lane = f"{WORKERS}{action_name}"
    return pool, lane, urgency
