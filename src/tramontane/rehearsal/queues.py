"""What is under way in a rehearsal: inboxes, jobs and timers, and which of them may move next."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tramontane.core.events import AnyEvent
from tramontane.core.state import Micros, Timer
from tramontane.rehearsal.script import Job


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way. Events of one sender arrive in the order in which they were sent, unless the
    queues let them overtake one another."""

    number: int
    sender: str
    execution_id: str
    event: AnyEvent


@dataclass(frozen=True, slots=True)
class Move:
    """Something that can happen now: an event arrives, a job ends, a timer fires."""

    kind: Literal["event", "job", "timer"]
    order: tuple[Micros, int]
    execution_id: str
    delivery: Delivery | None = None
    job: Job | None = None
    timer: Timer | None = None


@dataclass(slots=True)
class Queues:
    """All that will happen by itself. ``overtaking``: events arrive in any order, as between nodes."""

    overtaking: bool = False
    inboxes: dict[str, list[Delivery]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    timers: dict[tuple[str, str], Timer] = field(default_factory=dict)
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    _due: list[tuple[Micros, int, str, str]] = field(default_factory=list)  # a heap; may hold what is gone
    _count: int = 0

    def send(self, sender: str, execution_id: str, event: AnyEvent) -> None:
        self._count += 1
        delivery = Delivery(self._count, sender, execution_id, event)
        self.inboxes.setdefault(execution_id, []).append(delivery)

    def take(self, delivery: Delivery) -> None:
        inbox = self.inboxes[delivery.execution_id]
        inbox.remove(delivery)
        if not inbox:
            del self.inboxes[delivery.execution_id]

    def own_delivery(self, execution_id: str) -> Delivery | None:
        """Return the oldest event that an execution has sent to itself."""
        inbox = self.inboxes.get(execution_id, ())
        return next((each for each in inbox if each.sender == execution_id), None)

    def add_job(self, job: Job) -> None:
        self.jobs[job.action.id] = job
        self._remember("job", job.action.id, job.due_at)

    def set_timer(self, timer: Timer) -> None:
        self.timers[timer.task_id, timer.kind] = timer
        self._remember(timer.kind, timer.task_id, timer.due_at)

    def _remember(self, kind: str, subject: str, due_at: Micros | None) -> None:
        self._count += 1
        self._numbers[kind, subject] = self._count
        if due_at is not None:
            heapq.heappush(self._due, (due_at, self._count, kind, subject))

    def drop_execution(self, execution_id: str) -> None:
        """Forget what belongs to an execution that is deleted."""
        self.inboxes.pop(execution_id, None)
        self.jobs = {key: job for key, job in self.jobs.items() if job.action.execution_id != execution_id}
        self.timers = {key: timer for key, timer in self.timers.items() if timer.execution_id != execution_id}

    def first(self, now: Micros) -> Move | None:
        """Return what became possible first of all that may happen now: the first of ``moves``."""
        arrivals = (inbox[0] for inbox in self.inboxes.values() if inbox)
        delivery = min(arrivals, key=lambda each: each.number, default=None)
        if delivery is not None:
            return Move("event", (0, delivery.number), delivery.execution_id, delivery=delivery)
        due = self.next_due()
        if due is None or due > now:
            return None
        _, number, kind, subject = self._due[0]
        if kind == "job":
            job = self.jobs[subject]
            return Move("job", (due, number), job.action.execution_id or "", job=job)
        timer = self.timers[subject, kind]
        return Move("timer", (due, number), timer.execution_id, timer=timer)

    def moves(self, now: Micros) -> list[Move]:
        """Return everything that may happen now, in the order in which it became possible."""
        found = [*self._arrivals(), *self._ended_jobs(now), *self._due_timers(now)]
        return sorted(found, key=lambda move: move.order)

    def _arrivals(self) -> Iterator[Move]:
        for inbox in self.inboxes.values():
            senders = set()
            for delivery in inbox:
                if self.overtaking or delivery.sender not in senders:
                    senders.add(delivery.sender)
                    order = (0, delivery.number)
                    yield Move("event", order, delivery.execution_id, delivery=delivery)

    def _ended_jobs(self, now: Micros) -> Iterator[Move]:
        for job in self.jobs.values():
            if job.due_at is not None and job.due_at <= now:
                order = (job.due_at, self._numbers["job", job.action.id])
                yield Move("job", order, job.action.execution_id or "", job=job)

    def _due_timers(self, now: Micros) -> Iterator[Move]:
        for timer in self.timers.values():
            if timer.due_at <= now:
                order = (timer.due_at, self._numbers[timer.kind, timer.task_id])
                yield Move("timer", order, timer.execution_id, timer=timer)

    def next_due(self) -> Micros | None:
        """Return when the next job ends or timer fires."""
        while self._due:
            due_at, number, kind, subject = self._due[0]
            held = subject in self.jobs if kind == "job" else (subject, kind) in self.timers
            if held and self._numbers[kind, subject] == number:
                return due_at
            heapq.heappop(self._due)
        return None


Choice = Callable[[list[Move]], Move]
"""Picks what happens next among all that may."""
