"""JSON values: frozen when they enter, shared ever after, encoded once.

A *value* is null, a boolean, a number, text, a :class:`FrozenList` or a :class:`FrozenDict`.
The containers are real ``list`` and ``dict`` objects (expressions, encoders and
``isinstance`` checks see what they expect) whose changing methods are refused, so that a
value can be handed to any number of tasks without copying it.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import orjson

type_error = "this value is read-only; build a new one instead"

_SCALARS = (str, int, float, bool, type(None))
_INT64 = range(-(2**63), 2**64)
_MANY_DIGITS = re.compile(rb"[0-9]{19}")  # perhaps an integer that the fast decoder would make a float of
_MANY_DIGITS_TEXT = re.compile("[0-9]{19}")


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError(type_error)


class FrozenDict(dict[str, Any]):
    """A map that can't change; hashable when its values are (they are, once frozen)."""

    __slots__ = ("_big", "_hash", "_size")
    _big: Any  # what the store knows of a big value (tramontane.store.packing)
    _size: int

    __setitem__ = __delitem__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
    __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash  # type: ignore[has-type, no-any-return]
        except AttributeError:
            # The same as the hash of the maps that YAQL builds: equal maps must meet in one set.
            self._hash = functools.reduce(operator.xor, map(hash, self.items()), 0)
            return self._hash

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenDict, (dict(self),))


class FrozenList(list[Any]):
    """A list that can't change; hashable when its items are."""

    __slots__ = ("_big", "_hash", "_size")
    _big: Any  # what the store knows of a big value (tramontane.store.packing)
    _size: int

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    # Lists written in a YAQL expression are tuples: [1, 2] = $.list must hold.
    def __eq__(self, other: object) -> bool:
        return list.__eq__(self, list(other) if isinstance(other, tuple) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash  # type: ignore[has-type, no-any-return]
        except AttributeError:
            self._hash = hash(tuple(self))
            return self._hash

    def __copy__(self) -> FrozenList:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenList:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenList, (list(self),))


EMPTY = FrozenDict()


class UnstorableValueError(ValueError):
    """A result that has no JSON form (a function, an object …)."""


def freeze(value: Any) -> Any:
    """Turn ``value`` into a frozen JSON value; what is frozen already is returned as it is.

    Keys become text the way JSON would write them; dates and times become ISO 8601 text with
    their zone, time spans seconds, sets sorted lists (where they sort), other iterables lists
    (expression specification, section 2.3).

    Raises:
        UnstorableValueError: for anything that has no JSON form.
    """
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool or kind is float:
        return value
    if kind is FrozenDict or kind is FrozenList:
        return value
    if isinstance(value, Mapping):
        return FrozenDict({freeze_key(name): freeze(item) for name, item in value.items()})
    if isinstance(value, (list, tuple)):
        return FrozenList([freeze(item) for item in value])
    return _freeze_rare(value)


def _freeze_rare(value: Any) -> Any:
    for scalar in (bool, int, float, str):
        if isinstance(value, scalar):
            return scalar(value)
    if isinstance(value, (set, frozenset)):
        return FrozenList(_sorted_where_possible([freeze(item) for item in value]))
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Iterable) and not isinstance(value, type):
        return FrozenList([freeze(item) for item in value])
    raise UnstorableValueError(
        f"a value of type '{type(value).__name__}' can't be stored; only JSON values can "
        "(text, numbers, booleans, null, lists, maps)"
    )


def _sorted_where_possible(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return items


def freeze_key(name: Any) -> str:
    """Return a map's key as text, the way JSON would write it.

    Raises:
        UnstorableValueError: for a key that is a list, a map, an iterator …
    """
    if type(name) is str:
        return name
    if isinstance(name, str):
        return str(name)
    if name is None:
        return "null"
    if isinstance(name, bool):
        return "true" if name else "false"
    if isinstance(name, (int, float)):
        return str(name)
    if isinstance(name, (dt.datetime, dt.date, dt.time)):
        return name.isoformat()
    raise UnstorableValueError(f"a value of type '{type(name).__name__}' can't be the key of a map")


def encode(value: Any) -> str:
    """Write a value as JSON text.

    The fast encoder is used unless it would refuse or change the value (integers past 64 bits,
    NaN, infinities, lone surrogates): those go through the standard one, as does their way back.
    """
    if _needs_standard_encoder(value):
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return orjson.dumps(value).decode()


def _needs_standard_encoder(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            if not item.isascii() and _has_surrogate(item):
                return True
        elif kind is FrozenDict or kind is FrozenList:
            if _measured(item) < 0:
                return True
        elif kind is int:
            if item not in _INT64:
                return True
        elif kind is float:
            if not math.isfinite(item):
                return True
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
    return False


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def decode(text: str | bytes) -> Any:
    """Read JSON text into a frozen value.

    Raises:
        ValueError: when ``text`` is no JSON.
    """
    return freeze(parse(text))


def parse(text: str | bytes) -> Any:
    """Read JSON text into plain lists and maps.

    Raises:
        ValueError: when ``text`` is no JSON.
    """
    digits = _MANY_DIGITS_TEXT if isinstance(text, str) else _MANY_DIGITS
    if digits.search(text):  # type: ignore[arg-type]  # chosen by the type of the text
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def deep_merge(left: Mapping[str, Any], right: Mapping[str, Any]) -> FrozenDict:
    """Merge two maps key by key; any value that isn't a map on both sides comes from ``right``."""
    merged = dict(left)
    for name, item in right.items():
        ours = merged.get(name)
        if isinstance(ours, Mapping) and isinstance(item, Mapping):
            merged[name] = deep_merge(ours, item)
        else:
            merged[name] = item
    return FrozenDict(merged)


def size_of(value: Any) -> int:
    """Return about how many characters the JSON text of a frozen value has.

    A container remembers its size, so that passing a big value on costs nothing again.
    """
    if type(value) is str:
        return len(value) + 2
    return abs(_measured(value))


def _measured(value: Any) -> int:
    """The size of a value; below zero if the fast encoder would refuse or change it."""
    kind = type(value)
    size: int
    if kind is str:
        size = len(value) + 2
        return size if value.isascii() or not _has_surrogate(value) else -size
    if kind is FrozenDict or kind is FrozenList:
        try:
            size = value._size
        except AttributeError:
            size = _measure(value)
        return size
    if value is None or kind is bool:
        return 4
    if kind is int:
        size = value.bit_length() * 3 // 10 + 2
        return size if value in _INT64 else -size
    size = len(repr(value))
    if kind is float:
        return size if math.isfinite(value) else -size
    return -size if _needs_standard_encoder(value) else size


def _measure(value: FrozenDict | FrozenList) -> int:
    size = 2 + len(value)
    is_plain = True
    if type(value) is FrozenDict:
        for name, item in value.items():
            own = _measured(item)
            if own < 0 or (not name.isascii() and _has_surrogate(name)):
                is_plain, own = False, abs(own)
            size += len(name) + 3 + own
    else:
        for item in value:
            own = _measured(item)
            if own < 0:
                is_plain, own = False, -own
            size += own
    size = size if is_plain else -size
    value._size = size
    return size
