"""Fair places in a line: start-time fair queueing, in virtual time.

Whoever serves the line takes the lowest place first. A place is given once, when something joins, and
never changes; so the fairness lies in the numbers, and serving needs nothing but their order. The line has
*reached* the place of what was served last. Something that joins a line gets that place if its flow has
nothing in the line, else one a step behind its flow's last. So a flow of 100,000 queues behind itself:
who comes next goes before its tail.

Flows belong to groups (executions to projects), and groups share alike, too: the step of a flow is as
long as the number of its group's flows in the line, and the flows of one group start one behind the
other. That is exact as long as the number stays. While it grows, those that joined before stand closer
together: a group of n flows may get 1 + ln n times the share of another, where without this it would be n.

Pure: no clock, no database. Two processes that give places in one line tell each other by
:meth:`FairLine.serve` how far it is; the less they know, the rougher are the shares, nothing else.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

STEP: Final = 1_000_000
"""How far the next place of a flow is from its last one, in units of places; much more than one, so that
within a step there is room to keep those apart who come at the same time."""


@dataclass(slots=True)
class _Flow:
    """The last place of a flow, and the one before which its next can't be."""

    last: int
    following: int
    is_waiting: bool = True


class _Group:
    """The flows of one group, how many of them wait, and where the group's next new flow may start."""

    __slots__ = ("_due", "flows", "next_start", "waiting")

    def __init__(self) -> None:
        self.next_start = 0
        self.flows: dict[str, _Flow] = {}
        self.waiting = 0
        # A heap with one entry for each flow: at or before the place at which something becomes of it.
        self._due: list[tuple[int, str]] = []

    def put(self, name: str, place: int, step: int) -> None:
        """Note a flow's new last place; its step is for each flow of the group that waits."""
        flow = self.flows.get(name)
        if flow is None:
            flow = self.flows[name] = _Flow(place, place, is_waiting=False)
            heapq.heappush(self._due, (place, name))
        if not flow.is_waiting:
            flow.is_waiting = True
            self.waiting += 1
        flow.last = place
        flow.following = place + step * self.waiting

    def note_served(self, reached: int) -> None:
        """Note that flows whose last one was served don't wait; forget those that the line has passed."""
        while self._due and self._due[0][0] <= reached:
            name = self._due[0][1]
            flow = self.flows[name]
            if flow.is_waiting and flow.last <= reached:
                flow.is_waiting = False
                self.waiting -= 1
            due = flow.last if flow.is_waiting else flow.following
            if due > reached:
                heapq.heapreplace(self._due, (due, name))
            else:
                heapq.heappop(self._due)
                del self.flows[name]


class FairLine:
    """Gives places in one line."""

    def __init__(self, reached: int = 0) -> None:
        self._reached = reached
        self._latest = reached
        self._groups: dict[str, _Group] = {}

    @property
    def reached(self) -> int:
        """The place that was served last."""
        return self._reached

    @property
    def is_empty(self) -> bool:
        """Nothing that joined is known to be in the line still."""
        return not self._groups

    @property
    def remembered(self) -> int:
        """How many flows the line keeps account of."""
        return sum(len(group.flows) for group in self._groups.values())

    def join(self, group: str, flow: str, cost: int = 1) -> int:
        """Give the place of something that joins; ``cost``: of so many that are served."""
        mine = self._groups.get(group)
        if mine is None:
            mine = self._groups[group] = _Group()
        mine.note_served(self._reached)
        known = mine.flows.get(flow)
        if known is not None:
            place = max(self._reached, known.following)
        else:
            place = self._behind(max(self._reached, mine.next_start))
            mine.next_start = place + STEP * cost
        mine.put(flow, place, STEP * cost)
        return place

    def _behind(self, start: int) -> int:
        """Keep apart, in order, those who start at the same place."""
        if start <= self._latest < start + STEP:
            start = self._latest + 1
        self._latest = max(self._latest, start)
        return start

    def serve(self, place: int) -> None:
        """Note that something with this place was served."""
        self._reached = max(self._reached, place)

    def clear(self, now: int) -> None:
        """Note that the line is empty; whoever comes next begins anew, at ``now`` or where the line was."""
        self._groups.clear()
        self._reached = max(self._reached, now)
