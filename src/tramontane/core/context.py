"""Data that flows along routes: persistent maps of variables with hidden publish counters.

A task inherits the context of what triggered it; publishing yields a new map that shares all
the rest. Each variable is a :class:`Slot`: its value and how often each leaf of it was published
on this route. Counters decide who wins at a merge (runtime specification, section 3.4); they are
worked out only when two sides hold different slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import immutables

from tramontane.values import FrozenDict, deep_merge

Counters = dict[str, int]

_PENDING_LIMIT = 8
"""Values kept for later counting, so that a long loop holds on to a few old values only."""


class Slot:
    """One variable on a route: its value, and lazily its publish counters by leaf path."""

    __slots__ = ("_counted", "_pending", "value")

    def __init__(self, value: Any, counted: Counters, pending: tuple[Any, ...]) -> None:
        self.value = value
        self._counted = counted
        self._pending = pending
        if len(pending) > _PENDING_LIMIT:
            self.counters()

    def counters(self) -> Counters:
        """Return the publish counters; the key ``""`` stands for a value that is no map."""
        if self._pending:
            counted = dict(self._counted)
            for value in self._pending:
                for path in _leaves(value):
                    counted[path] = counted.get(path, 0) + 1
            self._counted = counted
            self._pending = ()
        return self._counted

    def published(self, value: Any) -> Slot:
        """The slot after ``value`` was published over this one."""
        return Slot(value, self._counted, (*self._pending, value))


def _leaves(value: Any, prefix: str = "") -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield prefix
        return
    for name, item in value.items():
        yield from _leaves(item, f"{prefix}.{name}")


class Context:
    """An immutable map of variables with :class:`Slot` values; reads like a mapping of plain values."""

    __slots__ = ("_slots",)

    def __init__(self, slots: immutables.Map[str, Slot] | None = None) -> None:
        self._slots: immutables.Map[str, Slot] = immutables.Map() if slots is None else slots

    def get(self, name: str, default: Any = None) -> Any:
        slot = self._slots.get(name)
        return default if slot is None else slot.value

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def to_dict(self) -> FrozenDict:
        return FrozenDict({name: slot.value for name, slot in self._slots.items()})

    def publish(self, variables: Mapping[str, Any], deep: bool = False) -> Context:
        """Lay ``variables`` over this context; ``deep`` merges maps (``merge_strategy = merge``)."""
        if not variables:
            return self
        slots = self._slots.mutate()
        for name, value in variables.items():
            old = slots.get(name)
            if old is None:
                slots[name] = Slot(value, {}, (value,))
            elif deep and isinstance(old.value, Mapping) and isinstance(value, Mapping):
                slots[name] = Slot(deep_merge(old.value, value), old.published(value).counters(), ())
            else:
                slots[name] = old.published(value)
        return Context(slots.finish())

    def merge(self, other: Context) -> Context:
        """Merge ``other`` into this one: its leaves win only where they were published more often."""
        if other is self or other._slots is self._slots or not other._slots:
            return self
        if not self._slots:
            return other
        slots = self._slots.mutate()
        for name, theirs in other._slots.items():
            ours = slots.get(name)
            if ours is None:
                slots[name] = theirs
            elif ours is not theirs:
                slots[name] = _merge_slots(ours, theirs)
        return Context(slots.finish())

    def overlay(self, other: Mapping[str, Any] | Context) -> Context:
        """Deep-merge ``other`` over this one, later beats earlier (context versioning switched off)."""
        items = other.to_dict() if isinstance(other, Context) else other
        return self.publish(items, deep=True)


EMPTY_CONTEXT = Context()


def merge_all(contexts: Sequence[Context]) -> Context:
    """Merge by counters; on a tie the last of the list wins: it is what the others are merged into."""
    if not contexts:
        return EMPTY_CONTEXT
    merged = contexts[-1]
    for context in contexts[:-1]:
        merged = merged.merge(context)
    return merged


def overlay_all(contexts: Iterable[Context], published: Iterable[Mapping[str, Any]]) -> Context:
    """Merge without counters: all contexts in order, then what the immediate parents published."""
    merged = EMPTY_CONTEXT
    for context in contexts:
        merged = merged.overlay(context)
    for variables in published:
        merged = merged.overlay(variables)
    return merged


def _merge_slots(ours: Slot, theirs: Slot) -> Slot:
    left, right = ours.counters(), theirs.counters()
    value = _merge_values(ours.value, theirs.value, left, right, "")
    counters = dict(left)
    for path, count in right.items():
        if count > counters.get(path, 0):
            counters[path] = count
    return Slot(value, counters, ())


def _merge_values(ours: Any, theirs: Any, left: Counters, right: Counters, path: str) -> Any:
    if ours is theirs:
        return ours
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        merged = dict(ours)
        for name, item in theirs.items():
            if name in merged:
                merged[name] = _merge_values(merged[name], item, left, right, f"{path}.{name}")
            else:
                merged[name] = item
        return FrozenDict(merged)
    return theirs if right.get(path, 0) > left.get(path, 0) else ours
