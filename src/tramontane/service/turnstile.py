"""Who decides next, when more wants to be decided than the event loop has time for.

Decisions are made on the event loop, one after the other. While there is time each is made at once. When
those of one round of the loop have taken their slice, the others wait, and are let in during the next
rounds in fair order (:mod:`tramontane.service.fairness`): so a project that starts thousands of executions,
or gets thousands of results, delays itself and not the others; and sockets, timers and commits have their
turn between the slices.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from typing import Final

from tramontane.service.fairness import STEP, FairLine

_AHEAD: Final = 8 * STEP
"""So far ahead of its place each degree of priority lets somebody go: far, and yet not for ever."""

_COST: Final = 0.0005
"""Seconds that a decision is taken to need before any was seen."""


_LATELY: Final = 0.5
"""Seconds."""

_LEAST: Final = 0.0001
_MOST: Final = 0.05


class Turnstile:
    """Lets decisions in, as many in each round of the event loop as fit into a slice of time."""

    def __init__(self, slice_seconds: float = 0.005) -> None:
        self._slice = slice_seconds
        self._began: float | None = None  # when the slice of this round began
        self._cost = _COST
        self._line = FairLine()
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._latest = ""
        self._latest_at = -math.inf
        self._other_at = -math.inf  # when somebody else than the latest entered last
        self.delayed = 0
        """How many had to wait; for metrics."""

    @property
    def is_alone(self) -> bool:
        """Tell whether nobody but who entered last has entered lately."""
        return asyncio.get_running_loop().time() - self._other_at > _LATELY

    async def enter(self, project_id: str, root_id: str, priority: int = 0) -> None:
        """Wait until it is this one's turn; at once while there is time."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if root_id != self._latest:
            self._latest, self._other_at = root_id, self._latest_at
        self._latest_at = now
        if self._began is None:
            self._began = now
            loop.call_soon(self._next_round)
        if not self._waiting and now - self._began < self._slice:
            return
        self.delayed += 1
        place = self._line.join(project_id, root_id)
        let_in = loop.create_future()
        heapq.heappush(self._waiting, (place - priority * _AHEAD, next(self._order), place, let_in))
        await let_in

    def took(self, seconds: float) -> None:
        """Note how long a decision took."""
        self._cost = max(_LEAST, self._cost + (min(seconds, _MOST) - self._cost) / 16)

    def _next_round(self) -> None:
        """Let in those whose turn it is; what they need comes out of the new round's slice."""
        self._began = None
        if not self._waiting:
            self._line.clear(0)
            return
        loop = asyncio.get_running_loop()
        room = max(1, round(self._slice / self._cost))
        while self._waiting and room:
            _, _, place, let_in = heapq.heappop(self._waiting)
            if let_in.done():  # it was cancelled
                continue
            self._line.serve(place)
            let_in.set_result(None)
            room -= 1
        self._began = loop.time()
        loop.call_soon(self._next_round)
