"""Operators, properties, methods and functions as compiled YAQL performs them.

Each does exactly what the library would, for the types that occur daily, and raises :class:`Fallback`
for all others: then the library evaluates the whole expression, and its result or its error counts.
So nothing here may *succeed* where the library would fail or give something else; it may give up freely.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GeneratorType
from typing import Any

from tramontane.expressions import bounds
from tramontane.expressions.limits import Bounded, Evaluation
from tramontane.expressions.regexes import compile_regex
from tramontane.expressions.yaql_library import Ordering, YaqlMap, as_text, combine
from tramontane.values import FrozenDict, FrozenList

Code = Callable[[Evaluation, Any], Any]
"""Compiled code: takes the evaluation and the value of ``$``."""


class Fallback(Exception):
    """The library has to evaluate this expression."""


_SEQUENCES = frozenset({FrozenList, tuple, list})
_ITERATORS = frozenset(
    {GeneratorType, Bounded, Ordering, type({}.keys()), type({}.values()), type({}.items())}
)
_NUMBERS = frozenset({int, float})
_DICTS = frozenset({FrozenDict, YaqlMap, dict})
_MOST_COMPARED = 10_000


def is_map(value: Any) -> bool:
    """Tell whether properties of a value are its keys."""
    return type(value) in _DICTS or isinstance(value, Mapping)


def items_of(evaluation: Evaluation, value: Any) -> Iterable[Any]:
    """Return what YAQL would iterate over."""
    kind = type(value)
    if kind in _SEQUENCES:
        if len(value) > evaluation.budget.items:
            raise Fallback
        return value  # type: ignore[no-any-return]
    if kind in _ITERATORS:
        return value  # type: ignore[no-any-return]
    raise Fallback


def property_of(evaluation: Evaluation, value: Any, name: str) -> Any:
    """Return ``value.name``: a map's key, or that of each item of a list."""
    if is_map(value):
        return value[name]
    items = items_of(evaluation, value)
    return _projected(evaluation, items, name)


def _projected(evaluation: Evaluation, items: Iterable[Any], name: str) -> Iterator[Any]:
    tick = evaluation.budget.tick
    for item in items:
        tick()
        yield item[name] if type(item) is FrozenDict else property_of(evaluation, item, name)


# Operators


def less(left: Any, right: Any) -> bool:
    return bool(left < right) if _comparable(left, right) else left is None and right is not None


def less_or_equal(left: Any, right: Any) -> bool:
    return bool(left <= right) if _comparable(left, right) else left is None


def greater(left: Any, right: Any) -> bool:
    return bool(left > right) if _comparable(left, right) else left is not None and right is None


def greater_or_equal(left: Any, right: Any) -> bool:
    return bool(left >= right) if _comparable(left, right) else right is None


def _comparable(left: Any, right: Any) -> bool:
    """Tell whether Python compares; False when one side is null (which is less than anything)."""
    left_kind, right_kind = type(left), type(right)
    if left_kind in _NUMBERS and right_kind in _NUMBERS:
        return True
    if left_kind is str and right_kind is str:
        return True
    if left is None or right is None:
        return False
    raise Fallback


def plus(left: Any, right: Any) -> Any:
    left_kind, right_kind = type(left), type(right)
    if left_kind in _NUMBERS and right_kind in _NUMBERS:
        return left + right
    if left_kind is str and right_kind is str:
        return bounds.add(left, right)
    if left_kind in _SEQUENCES and right_kind in _SEQUENCES:
        return combine(left, right)
    if left_kind in _DICTS and right_kind in _DICTS:
        return YaqlMap({**left, **right})
    raise Fallback


def minus(left: Any, right: Any) -> Any:
    _need_numbers(left, right)
    return left - right


def times(left: Any, right: Any) -> Any:
    _need_numbers(left, right)
    return bounds.multiply(left, right)


def divide(left: Any, right: Any) -> Any:
    _need_numbers(left, right)
    return left // right if type(left) is int and type(right) is int else left / right


def modulo(left: Any, right: Any) -> Any:
    _need_numbers(left, right)
    return left % right


def negative(value: Any) -> Any:
    _need_numbers(value, 0)
    return -value


def positive(value: Any) -> Any:
    _need_numbers(value, 0)
    return +value


def _need_numbers(left: Any, right: Any) -> None:
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        raise Fallback


def contained(value: Any, collection: Any) -> bool:
    kind = type(collection)
    if kind is str:
        if type(value) is not str:
            raise Fallback
        return value in collection
    if kind not in _SEQUENCES or len(collection) > _MOST_COMPARED:
        raise Fallback
    return value in collection


def matches(text: Any, pattern: Any) -> bool:
    if type(text) is not str or type(pattern) is not str:
        raise Fallback
    return compile_regex(pattern).search(text) is not None


def differs(text: Any, pattern: Any) -> bool:
    return not matches(text, pattern)


def indexed(value: Any, index: Any) -> Any:
    if type(value) in _SEQUENCES:
        if type(index) is not int:
            raise Fallback
        return value[index]
    if is_map(value):
        return value[index]
    raise Fallback


def indexed_or(value: Any, index: Any, default: Any) -> Any:
    if not is_map(value):
        raise Fallback
    return value.get(index, default)


# Methods and functions that take evaluated arguments


def get(_: Evaluation, receiver: Any, key: Any, default: Any = None) -> Any:
    if not is_map(receiver):
        raise Fallback
    return receiver.get(key, default)


def contains_key(_: Evaluation, receiver: Any, key: Any) -> bool:
    if not is_map(receiver):
        raise Fallback
    return key in receiver


def contains(_: Evaluation, receiver: Any, value: Any) -> bool:
    if type(receiver) is str:
        raise Fallback
    return contained(value, receiver)


def length(evaluation: Evaluation, value: Any) -> int:
    kind = type(value)
    if kind is str or kind in _SEQUENCES or is_map(value):
        return len(value)
    if kind is GeneratorType or kind is Bounded:
        return count(evaluation, value)
    raise Fallback


def count(evaluation: Evaluation, value: Any) -> int:
    return sum(1 for _ in items_of(evaluation, value))


def keys(_: Evaluation, receiver: Any) -> Any:
    if type(receiver) not in _DICTS:
        raise Fallback
    return receiver.keys()


def values(_: Evaluation, receiver: Any) -> Any:
    if type(receiver) not in _DICTS:
        raise Fallback
    return receiver.values()


def to_list(evaluation: Evaluation, receiver: Any) -> tuple[Any, ...]:
    return tuple(items_of(evaluation, receiver))


def first(evaluation: Evaluation, receiver: Any, *default: Any) -> Any:
    for item in items_of(evaluation, receiver):
        return item
    if len(default) != 1:
        raise Fallback
    return default[0]


def last(evaluation: Evaluation, receiver: Any, *default: Any) -> Any:
    items = list(items_of(evaluation, receiver))
    if items:
        return items[-1]
    if len(default) != 1:
        raise Fallback
    return default[0]


def total(evaluation: Evaluation, receiver: Any) -> Any:
    result: Any = None
    for item in items_of(evaluation, receiver):
        if type(item) not in _NUMBERS:
            raise Fallback
        result = item if result is None else result + item
    if result is None:
        raise Fallback
    return result


def largest(evaluation: Evaluation, receiver: Any) -> Any:
    return functools.reduce(
        lambda best, item: item if greater(item, best) else best, items_of(evaluation, receiver)
    )


def smallest(evaluation: Evaluation, receiver: Any) -> Any:
    return functools.reduce(
        lambda best, item: best if greater(item, best) else item, items_of(evaluation, receiver)
    )


def skip(evaluation: Evaluation, receiver: Any, number: Any) -> Any:
    _need_count(number)
    return itertools.islice(iter(items_of(evaluation, receiver)), number, None)


def take(evaluation: Evaluation, receiver: Any, number: Any) -> Any:
    _need_count(number)
    return itertools.islice(iter(items_of(evaluation, receiver)), number)


def _need_count(number: Any) -> None:
    if type(number) is not int:
        raise Fallback


def join(evaluation: Evaluation, receiver: Any, argument: Any) -> str:
    separator, sequence = (receiver, argument) if type(receiver) is str else (argument, receiver)
    if type(separator) is not str:
        raise Fallback
    pieces = (as_text(evaluation, item) for item in items_of(evaluation, sequence))
    return bounds.join(separator, pieces)


def is_empty(_: Evaluation, value: Any) -> bool:
    if value is None:
        return True
    if type(value) is not str:
        raise Fallback
    return not value.strip()


def to_upper(_: Evaluation, value: Any) -> str:
    _need_texts(value)
    return value.upper()  # type: ignore[no-any-return]


def to_lower(_: Evaluation, value: Any) -> str:
    _need_texts(value)
    return value.lower()  # type: ignore[no-any-return]


def trim(_: Evaluation, value: Any) -> str:
    _need_texts(value)
    return value.strip()  # type: ignore[no-any-return]


def starts_with(_: Evaluation, value: Any, *prefixes: Any) -> bool:
    _need_texts(value, *prefixes)
    return value.startswith(prefixes)  # type: ignore[no-any-return]


def ends_with(_: Evaluation, value: Any, *suffixes: Any) -> bool:
    _need_texts(value, *suffixes)
    return value.endswith(suffixes)  # type: ignore[no-any-return]


def replace(_: Evaluation, value: Any, old: Any, new: Any) -> str:
    _need_texts(value, old, new)
    return bounds.replace(value, old, new)


def split(_: Evaluation, value: Any, separator: Any) -> list[str]:
    _need_texts(value, separator)
    bounds.scan(value, separator)
    bounds.pieces(value, separator)
    return value.split(separator)  # type: ignore[no-any-return]


def concat(_: Evaluation, *values: Any) -> str:
    _need_texts(*values)
    return bounds.join("", values)


def _need_texts(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise Fallback


def numbers(evaluation: Evaluation, start: Any, *stop: Any) -> Any:
    for bound in (start, *stop):
        if type(bound) is not int:
            raise Fallback
    return Bounded(iter(range(start, *stop)), evaluation.budget)


def to_int(_: Evaluation, value: Any) -> int:
    return 0 if value is None else int(value)


def to_float(_: Evaluation, value: Any) -> float:
    return 0.0 if value is None else float(value)


def to_bool(_: Evaluation, value: Any) -> bool:
    return bool(value)


def is_string(_: Evaluation, value: Any) -> bool:
    return isinstance(value, str)


def is_integer(_: Evaluation, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(_: Evaluation, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_boolean(_: Evaluation, value: Any) -> bool:
    return isinstance(value, bool)


def is_list(_: Evaluation, value: Any) -> bool:
    if type(value) in _SEQUENCES:
        return True
    if value is None or isinstance(value, (str, int, float, bool, Mapping)):
        return False
    raise Fallback


def is_dict(_: Evaluation, value: Any) -> bool:
    return is_map(value)


# Methods that evaluate an argument for each item


def where(evaluation: Evaluation, receiver: Any, predicate: Code) -> Any:
    return _chosen(evaluation, items_of(evaluation, receiver), predicate)


def _chosen(evaluation: Evaluation, items: Iterable[Any], predicate: Code) -> Iterator[Any]:
    tick = evaluation.budget.tick
    for item in items:
        tick()
        if predicate(evaluation, item):
            yield item


def select(evaluation: Evaluation, receiver: Any, selector: Code) -> Any:
    return _selected(evaluation, items_of(evaluation, receiver), selector)


def _selected(evaluation: Evaluation, items: Iterable[Any], selector: Code) -> Iterator[Any]:
    tick = evaluation.budget.tick
    for item in items:
        tick()
        yield selector(evaluation, item)


def order_by(evaluation: Evaluation, receiver: Any, selector: Code) -> Any:
    return _ordered(evaluation, receiver, selector, True)


def order_by_descending(evaluation: Evaluation, receiver: Any, selector: Code) -> Any:
    return _ordered(evaluation, receiver, selector, False)


def _ordered(evaluation: Evaluation, receiver: Any, selector: Code, is_ascending: bool) -> Ordering:
    def key_of(item: Any) -> Any:
        evaluation.budget.tick()
        return selector(evaluation, item)

    ordering = Ordering(items_of(evaluation, receiver), less, greater)
    ordering.append_field(key_of, is_ascending)
    return ordering


def any_of(evaluation: Evaluation, receiver: Any, predicate: Code | None = None) -> bool:
    if predicate is None:
        return any(True for _ in items_of(evaluation, receiver))
    return any(True for _ in where(evaluation, receiver, predicate))


def all_of(evaluation: Evaluation, receiver: Any, predicate: Code | None = None) -> bool:
    tick = evaluation.budget.tick
    for item in items_of(evaluation, receiver):
        tick()
        if not (item if predicate is None else predicate(evaluation, item)):
            return False
    return True
