"""The limits of one evaluation (expression specification, section 8) and how they are kept.

Checks are cooperative: every function call and every item of an iterator *ticks*, and each
sixty-fourth tick reads the clock. Nothing here uses signals or other threads, so what a single call
into C could do without end is bounded by the size of its operands instead (:mod:`.bounds`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from typing import Any

from yaql.language.utils import FrozenDict as YaqlMap

from tramontane.expressions.api import Scope, TooSlow
from tramontane.values import FrozenDict, FrozenList, size_of

MAX_LENGTH = 2**20
"""Longest expression, in characters (a Jinja template counts as a whole)."""

_TICKS_PER_LOOK = 64
_HEAVY = 512
_ITEM_COST = 8


class Exhausted(BaseException):
    """A hard limit was reached. Not an ``Exception``: no expression may swallow it. The edge of the
    evaluation turns it into an :class:`~tramontane.errors.EvaluationError`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """What one evaluation may use; its time starts with the first evaluation that it is given to.

    Args:
        seconds: hard limit of time; past it the evaluation fails.
        soft_seconds: past it :class:`~tramontane.expressions.api.TooSlow` leaves the evaluation, so
            that the caller can repeat it where it delays nobody (None: never).
        items: most items that any one iterator may give.
        memory: most bytes that one text or the whole of one structure may take, roughly.
    """

    __slots__ = ("_deadline", "_left", "_soft_deadline", "items", "memory", "seconds", "soft_seconds")

    def __init__(
        self,
        seconds: float = 10.0,
        soft_seconds: float | None = None,
        items: int = 1_000_000,
        memory: int = 64 * 2**20,
    ) -> None:
        self.seconds = seconds
        self.soft_seconds = soft_seconds
        self.items = items
        self.memory = memory
        self._deadline = 0.0
        self._soft_deadline = 0.0
        self._left = _TICKS_PER_LOOK

    def start(self) -> None:
        """Start the clock unless it runs already."""
        if self._deadline == 0.0:
            now = time.monotonic()
            self._deadline = now + self.seconds
            self._soft_deadline = now + (self.seconds if self.soft_seconds is None else self.soft_seconds)

    def tick(self) -> None:
        """Count one step; now and then look at the clock."""
        self._left -= 1
        if self._left < 0:
            self.look()

    def look(self) -> None:
        """Compare the clock with the limits.

        Raises:
            TooSlow: past the soft limit.
            Exhausted: past the hard limit.
        """
        self._left = _TICKS_PER_LOOK
        self.start()
        now = time.monotonic()
        if self.soft_seconds is not None and now > self._soft_deadline:
            raise TooSlow
        if now > self._deadline:
            raise Exhausted(f"it took longer than {self.seconds:g} seconds")

    def check_text(self, text: str) -> None:
        """Refuse a text that is larger than the memory limit."""
        if len(text) > self.memory:
            raise self.too_large()

    def too_large(self) -> Exhausted:
        """Return the error for a value beyond the memory limit."""
        return Exhausted(f"it needs more memory than {self.memory} bytes")


class Bounded:
    """An iterator that ticks with every item and ends with an error after too many of them."""

    __slots__ = ("_budget", "_left", "_source")

    def __init__(self, source: Iterator[Any], budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._left = budget.items

    def __iter__(self) -> Bounded:
        # An iterator that can be started over (YAQL's memorize()) must stay so.
        again = iter(self._source)
        return self if again is self._source else Bounded(again, self._budget)

    def __next__(self) -> Any:
        item = next(self._source)
        self._budget.tick()
        self._left -= 1
        if self._left < 0:
            raise Exhausted(f"an iterator gave more than {self._budget.items} items")
        return item


class BoundedSized(Bounded):
    """A bounded iterator over something whose length is known."""

    __slots__ = ("_length",)

    def __init__(self, source: Any, budget: Budget) -> None:
        super().__init__(iter(source), budget)
        self._length = len(source)

    def __len__(self) -> int:
        return self._length


class Evaluation:
    """One evaluation under way: its scope, its budget, and what it knows about its own structures."""

    __slots__ = ("_heavy", "_heavy_total", "budget", "scope")

    def __init__(self, scope: Scope, budget: Budget) -> None:
        self.scope = scope
        self.budget = budget
        self._heavy: dict[int, tuple[Any, int]] = {}
        self._heavy_total = 0

    def guard(self, result: Any) -> Any:
        """Admit the result of a call: bound its iterators, refuse texts and structures that are too large.

        Structures that an expression builds can share parts, and so grow exponentially in a few
        steps; every one is weighed when it is built, before anything prints, compares or hashes it.
        """
        kind = type(result)
        if kind is str:
            if len(result) > self.budget.memory:
                raise self.budget.too_large()
            return result
        if kind is int or kind is FrozenDict or kind is FrozenList or result is None or kind is bool:
            return result
        if kind in _CONTAINERS:
            self.weigh(result)
            return result
        if isinstance(result, Iterator) and kind is not Bounded:
            return Bounded(result, self.budget)
        return result

    def weigh(self, value: Any) -> int:
        """Return about how many bytes ``value`` would take if nothing in it were shared.

        Raises:
            Exhausted: when that is beyond the memory limit.
        """
        kind = type(value)
        if kind is str:
            return _ITEM_COST + len(value)
        if kind is FrozenDict or kind is FrozenList:
            return _ITEM_COST + size_of(value)
        if kind not in _CONTAINERS:
            return 2 * _ITEM_COST
        known = self._heavy.get(id(value))
        if known is not None:
            return known[1]
        return self._weigh_container(value)

    def _weigh_container(self, value: Any) -> int:
        budget = self.budget
        weight = 2 * _ITEM_COST
        for item in value:
            budget.tick()
            weight += self.weigh(item)
            if weight > budget.memory:
                raise budget.too_large()
        if isinstance(value, (dict, YaqlMap)):
            for item in value.values():
                weight += self.weigh(item)
                if weight > budget.memory:
                    raise budget.too_large()
        if weight > _HEAVY:
            self._remember(value, weight)
        return weight

    def _remember(self, value: Any, weight: int) -> None:
        """Keep the weight of a big structure (and the structure, or its id could be given anew)."""
        if self._heavy_total > self.budget.memory // 4:
            self._heavy.clear()
            self._heavy_total = 0
        self._heavy[id(value)] = (value, weight)
        self._heavy_total += weight


_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, YaqlMap})


def is_view_of_keys(value: Any) -> bool:
    """Tell a map's ``keys()`` (a set without order) from its ``items()`` (pairs in the map's order)."""
    return isinstance(value, Set) and not isinstance(value, type({}.items()))
