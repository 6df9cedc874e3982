"""What becomes of a result (expression specification, sections 2.1 and 2.3): a frozen value, or text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from tramontane.expressions.limits import Evaluation, is_view_of_keys
from tramontane.values import FrozenDict, FrozenList, UnstorableValueError, freeze, freeze_key, size_of

_ITEM_COST = 8
_TIMES = (dt.date, dt.time, dt.timedelta)


def frozen(value: Any, evaluation: Evaluation) -> Any:
    """Turn a result into a frozen value, within the evaluation's budget.

    Raises:
        UnstorableValueError: it is a function, a module, a regular expression …
        Exhausted: it is larger than the budget allows.
    """
    kind = type(value)
    if kind is int or kind is bool or value is None or kind is float:
        return value
    if kind is str:
        evaluation.budget.check_text(value)
        return value
    return _Converter(evaluation).frozen(value)


def text(value: Any, evaluation: Evaluation) -> str:
    """Write a result the way it stands inside text: Python's form, as Mistral's users know it."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    return str(_Converter(evaluation).plain(value))


def listing(value: Any, evaluation: Evaluation, keep_tuples: bool = False) -> Any:
    """Return plain lists and maps for iterators, views, tuples and lazy maps; other values as they are."""
    return _Converter(evaluation, keep_tuples).plain(value)


class _Converter:
    """One walk through a result; counts what it would take if nothing in it were shared."""

    def __init__(self, evaluation: Evaluation, keep_tuples: bool = False) -> None:
        self._budget = evaluation.budget
        self._keep_tuples = keep_tuples
        self._total = 0

    def frozen(self, value: Any) -> Any:
        kind = type(value)
        if kind is FrozenDict or kind is FrozenList or kind is str:
            self._count(size_of(value))
            return value
        if isinstance(value, Mapping):
            return FrozenDict({freeze_key(name): self._item(item) for name, item in value.items()})
        if _is_collection(value):
            return FrozenList(_in_order(value, self._item))
        return freeze(value)

    def plain(self, value: Any) -> Any:
        """Like :meth:`frozen`, but keys and dates stay what they are."""
        kind = type(value)
        if kind is FrozenDict or kind is FrozenList or kind is str:
            self._count(size_of(value))
            return value
        if isinstance(value, Mapping):
            return {_plain_key(name): self._plain_item(item) for name, item in value.items()}
        if isinstance(value, tuple):
            items = [self._plain_item(item) for item in value]
            return tuple(items) if self._keep_tuples else items
        if isinstance(value, list) or _is_collection(value):
            return _in_order(value, self._plain_item)
        return value if isinstance(value, _TIMES) else freeze(value)

    def _item(self, value: Any) -> Any:
        kind = type(value)
        if kind is int or kind is bool or value is None or kind is float:
            self._total += _ITEM_COST
            if self._total > self._budget.memory:
                raise self._budget.too_large()
            return value
        self._count(_ITEM_COST)
        return self.frozen(value)

    def _plain_item(self, value: Any) -> Any:
        self._count(_ITEM_COST)
        return self.plain(value)

    def _count(self, size: int) -> None:
        self._budget.tick()
        self._total += size
        if self._total > self._budget.memory:
            raise self._budget.too_large()


def _plain_key(name: Any) -> Any:
    if type(name) is not str:
        freeze_key(name)  # refuses what can't be a key
    return name


def _is_collection(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, type))


def _in_order(values: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    items = [convert(item) for item in values]
    if isinstance(values, Set) and is_view_of_keys(values):
        try:
            items.sort()
        except TypeError:
            return items
    return items


__all__ = ["UnstorableValueError", "frozen", "listing", "text"]
