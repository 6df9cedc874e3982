"""Data that flows along routes: persistent maps of variables with hidden publish counters.

A task inherits the context of what triggered it; publishing yields a new map that shares all
the rest. Each variable is a :class:`Slot`: its value and how often each leaf of it was published
on this route. Counters decide who wins at a merge (runtime specification, section 3.4); they are
worked out only when two sides hold different slots.

A context knows the one that it was made from, and what changed: a merge looks at what changed since
the routes parted, not at all that they inherited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import immutables

from tramontane.values import FrozenDict, deep_merge

Counters = dict[str, int]

_PENDING_LIMIT = 8
"""Values kept for later counting, so that a long loop holds on to a few old values only."""

_DEPTH_LIMIT = 500
"""So many earlier contexts a context leads back to at most."""


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
    """An immutable map of variables with :class:`Slot` values; reads like a mapping of plain values.

    ``_origin`` is the context that it was made from by changing the variables ``_changed``; None: not
    known any more, so that a long route doesn't hold on to all that it went through.
    """

    __slots__ = ("_changed", "_depth", "_origin", "_slots")

    def __init__(
        self,
        slots: immutables.Map[str, Slot] | None = None,
        origin: Context | None = None,
        changed: tuple[str, ...] = (),
    ) -> None:
        self._slots: immutables.Map[str, Slot] = immutables.Map() if slots is None else slots
        if origin is not None and origin._depth >= _DEPTH_LIMIT:
            origin = None
        self._origin = origin
        self._depth: int = 0 if origin is None else origin._depth + 1
        self._changed = changed

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
        return Context(slots.finish(), self, tuple(variables))

    def merge(self, other: Context) -> Context:
        """Merge ``other`` into this one: its leaves win only where they were published more often."""
        return merge_all((other, self))

    def slot(self, name: str) -> Slot | None:
        return self._slots.get(name)

    def with_slots(self, slots: Mapping[str, Slot | None]) -> Context:
        """This context with other slots for these variables (None: without the variable)."""
        if not slots:
            return self
        changed = self._slots.mutate()
        for name, slot in slots.items():
            if slot is None:
                changed.pop(name, None)
            else:
                changed[name] = slot
        return Context(changed.finish(), self, tuple(slots))

    @property
    def changed(self) -> tuple[str, ...]:
        """Variables that differ from those of the context that this one was made from."""
        return self._changed

    def changed_since(self, point: Context) -> list[str]:
        """Variables that may differ from those of ``point``, which is on this context's line."""
        names: list[str] = []
        for context in self.line():
            if context is point:
                break
            names.extend(context._changed)
        return names

    def line(self) -> Iterator[Context]:
        """This context and what it was made from, as far back as is known."""
        context: Context | None = self
        while context is not None:
            yield context
            context = context._origin

    def overlay(self, other: Mapping[str, Any] | Context) -> Context:
        """Deep-merge ``other`` over this one, later beats earlier (context versioning switched off)."""
        items = other.to_dict() if isinstance(other, Context) else other
        return self.publish(items, deep=True)


EMPTY_CONTEXT = Context()


def merge_all(contexts: Sequence[Context]) -> Context:
    """Merge by counters; on a tie the last of the list wins: it is what the others are merged into."""
    if not contexts:
        return EMPTY_CONTEXT
    if len(contexts) == 1:
        return contexts[0]
    merger = _Merger(contexts[-1])
    for context in contexts[:-1]:
        merger.take(context)
    return merger.merged()


class _Merger:
    """Merges contexts into one, ``base``.

    Each meets the line of ``base`` where the two routes parted. Besides what changed on its own side
    since then, it brings older values of what changed on the other side; those need to be taken only once
    for each such point, however many come from there.
    """

    def __init__(self, base: Context) -> None:
        self._base = base
        self._slots = base._slots.mutate()
        self._line = {id(context): context for context in base.line()}
        self._changed: list[str] = []  # on other sides, in the order in which it was taken
        self._touched: dict[str, None] = {}  # what isn't as in ``base`` any more
        self._taken: dict[int, int] = {}  # by point of parting: how many of these have been compared there

    def take(self, context: Context) -> None:
        if context._slots is self._base._slots and not self._changed:
            return
        own: dict[str, None] = {}
        for point in context.line():
            if id(point) in self._line:
                self._compare(context, (*self._changed_since(point), *own))
                self._changed.extend(own)
                return
            own.update(dict.fromkeys(point._changed))
        self._compare(context, context._slots)
        self._changed.extend(context._slots)

    def _changed_since(self, point: Context) -> list[str]:
        """What has changed on this side since ``point`` and wasn't compared for it yet."""
        done = self._taken.get(id(point))
        self._taken[id(point)] = len(self._changed)
        if done is not None:
            return self._changed[done:]
        return [*self._changed, *self._base.changed_since(point)]

    def _compare(self, context: Context, names: Iterable[str]) -> None:
        for name in names:
            theirs = context._slots.get(name)
            if theirs is None:
                continue
            ours = self._slots.get(name)
            if ours is theirs:
                continue
            self._slots[name] = theirs if ours is None else _merge_slots(ours, theirs)
            self._touched[name] = None

    def merged(self) -> Context:
        if not self._touched:
            return self._base
        return Context(self._slots.finish(), self._base, tuple(self._touched))


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
