"""YAQL's standard library with bounds: what replaces which of its functions, and why.

A replacement stands in for the payload of the library's own definition, so names, overloads and types
of parameters stay the library's. Three reasons lead to one:

* the original does unbounded work in one call into C, or loops without calling anything (so no tick);
* it tells tuples from lists; our data are lists (frozen), the library expects tuples;
* its error quotes a value.
"""

# ruff: noqa: ARG001 - the signatures are those of the functions that they stand in for

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import yaql
from yaql.language import contexts, specs, utils, yaqltypes
from yaql.language.conventions import CamelCaseConvention
from yaql.standard_library import collections as std_collections
from yaql.standard_library import date_time as std_dates
from yaql.standard_library import math as std_math
from yaql.standard_library import queries as std_queries
from yaql.standard_library import strings as std_strings

from tramontane.expressions import bounds
from tramontane.expressions.limits import Bounded, BoundedSized, Evaluation
from tramontane.values import FrozenDict, FrozenList

MAX_DATE_TEXT = 1000


class EvaluationParameter(yaqltypes.HiddenParameterType, yaqltypes.SmartType):  # type: ignore[misc]
    """A parameter that the user doesn't see: the evaluation under way."""

    def __init__(self) -> None:
        super().__init__(False)

    def convert(self, value: Any, receiver: Any, context: Any, *args: Any, **kwargs: Any) -> Evaluation:
        evaluation: Evaluation = context.evaluation
        return evaluation


def create_library() -> contexts.Context:
    """Return a context with the standard library (without its regular expressions)."""
    library = yaql.create_context(
        context=contexts.Context(convention=CamelCaseConvention()),
        regex=False,
        yaqlized=False,
        finalizer=_unused_finalizer,
    )
    layer = library
    while layer is not None:
        for definitions in layer._functions.values():
            for definition in definitions:
                _replace(definition)
        layer = layer.parent
    return library


@specs.name("#finalize")  # type: ignore[untyped-decorator]
def _unused_finalizer(value: Any) -> Any:
    return value


def _replace(definition: specs.FunctionDefinition) -> None:
    original = definition.payload
    replacement = _PLAIN.get(original)
    if replacement is not None:
        definition.payload = replacement
        return
    replacement = _WITH_EVALUATION.get(original)
    if replacement is not None:
        definition.payload = replacement
        definition.insert_parameter("evaluation", EvaluationParameter())


# Lists and maps


def _list_indexer(lst: Sequence[Any], index: int) -> Any:
    try:
        return lst[index]
    except IndexError:
        raise IndexError("tuple index out of range") from None


def combine(left: Any, right: Any) -> Any:
    """Join two collections; two lists make a list, two sets a set, anything else an iterator."""
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        if len(left) + len(right) > bounds.MAX_ITEMS:
            raise bounds.too_large("the joined list")
        return (*left, *right)
    if isinstance(left, frozenset) and isinstance(right, frozenset):
        return left | right
    return itertools.chain(left, right)


def _combine_lists(left: Any, right: Any, engine: Any) -> Any:
    return combine(left, right)


def _list_by_int(left: Any, right: Any, engine: Any) -> Any:
    return bounds.repeat(tuple(left), right)


def _int_by_list(left: Any, right: Any, engine: Any) -> Any:
    return bounds.repeat(tuple(right), left)


def _to_list(evaluation: Evaluation, collection: Iterable[Any]) -> Any:
    return collection if isinstance(collection, tuple) else tuple(collection)


def _to_set(evaluation: Evaluation, collection: Iterable[Any]) -> frozenset[Any]:
    return frozenset(_ticking(collection, evaluation))


def _distinct(
    evaluation: Evaluation, engine: Any, collection: Iterable[Any], key_selector: Any = None
) -> Iterator[Any]:
    seen = set()
    for item in _ticking(collection, evaluation):
        key = item if key_selector is None else key_selector(item)
        if key not in seen:
            seen.add(key)
            yield item


def _contains(evaluation: Evaluation, collection: Iterable[Any], value: Any) -> bool:
    if isinstance(collection, Set):
        return value in collection
    return value in _ticking(collection, evaluation)


def _in(evaluation: Evaluation, value: Any, collection: Iterable[Any]) -> bool:
    return _contains(evaluation, collection, value)


def _contains_value(evaluation: Evaluation, d: Mapping[Any, Any], value: Any) -> bool:
    return value in _ticking(d.values(), evaluation)


def _index_of(evaluation: Evaluation, collection: Iterable[Any], item: Any) -> int:
    return next((place for place, one in enumerate(_ticking(collection, evaluation)) if one == item), -1)


def _last_index_of(evaluation: Evaluation, collection: Iterable[Any], item: Any) -> int:
    index = -1
    for place, one in enumerate(_ticking(collection, evaluation)):
        if one == item:
            index = place
    return index


class Ordering(std_queries.OrderingIterable):  # type: ignore[misc]
    """The result of ``orderBy``: each key is computed once, plain keys are compared directly."""

    def do_sort(self) -> None:
        keys: dict[tuple[int, int], Any] = {}
        items = list(self.collection)

        def key_of(item: int, field: int) -> Any:
            place = (item, field)
            if place not in keys:
                keys[place] = self.order[field][0](items[item])
            return keys[place]

        def compare(left: int, right: int) -> int:
            for field, (_, is_ascending) in enumerate(self.order):
                result = self._compare(key_of(left, field), key_of(right, field))
                if result:
                    return result if is_ascending else -result
            return 0

        order = sorted(range(len(items)), key=functools.cmp_to_key(compare))
        self.sorted = [items[place] for place in order]

    def _compare(self, left: Any, right: Any) -> int:
        left_kind, right_kind = type(left), type(right)
        if (left_kind in _NUMBERS and right_kind in _NUMBERS) or (left_kind is str and right_kind is str):
            return int(left > right) - int(left < right)
        if self.operator_lt(left, right):
            return -1
        return 1 if self.operator_gt(left, right) else 0


_NUMBERS = frozenset({int, float})


def _order_by(collection: Iterable[Any], selector: Any, operator_lt: Any, operator_gt: Any) -> Ordering:
    ordering = Ordering(collection, operator_lt, operator_gt)
    ordering.append_field(selector, True)
    return ordering


def _order_by_descending(
    collection: Iterable[Any], selector: Any, operator_lt: Any, operator_gt: Any
) -> Ordering:
    ordering = Ordering(collection, operator_lt, operator_gt)
    ordering.append_field(selector, False)
    return ordering


def _delete_keys(evaluation: Evaluation, d: Mapping[Any, Any], *keys: Any) -> dict[Any, Any]:
    return _delete_all(evaluation, d, keys)


def _delete_all(evaluation: Evaluation, d: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, Any]:
    copy = dict(d)
    for key in _ticking(keys, evaluation):
        copy.pop(key, None)
    return copy


def _merge_with(
    evaluation: Evaluation,
    engine: Any,
    to_list: Any,
    d: Mapping[Any, Any],
    another: Mapping[Any, Any],
    list_merger: Any = None,
    item_merger: Any = None,
    max_levels: int = 0,
) -> dict[Any, Any]:
    def merge_lists(ours: Any, theirs: Any) -> Any:
        return to_list(_distinct(evaluation, engine, combine(ours, theirs)))

    return _merged(
        evaluation,
        d,
        another,
        merge_lists if list_merger is None else list_merger,
        (lambda _, theirs: theirs) if item_merger is None else item_merger,
        max_levels,
    )


def _merged(
    evaluation: Evaluation,
    left: Mapping[Any, Any],
    right: Mapping[Any, Any],
    merge_lists: Any,
    merge_items: Any,
    levels: int,
) -> dict[Any, Any]:
    result = dict(left)
    for key, theirs in right.items():
        evaluation.budget.tick()
        if key not in left:
            result[key] = theirs
            continue
        ours = left[key]
        deep = levels != 1
        if deep and isinstance(theirs, Mapping):
            if not isinstance(ours, Mapping):
                raise TypeError(f"Cannot merge {type(ours)} with {type(theirs)}")
            below = 0 if levels == 0 else levels - 1
            result[key] = _merged(evaluation, ours, theirs, merge_lists, merge_items, below)
        elif deep and utils.is_sequence(theirs):
            if not utils.is_sequence(ours):
                raise TypeError(f"Cannot merge {type(ours)} with {type(theirs)}")
            result[key] = merge_lists(ours, theirs)
        else:
            result[key] = merge_items(ours, theirs)
    return result


def _ticking(collection: Any, evaluation: Evaluation) -> Iterable[Any]:
    if isinstance(collection, Bounded):
        return collection
    if isinstance(collection, (Sequence, Set)):
        return BoundedSized(collection, evaluation.budget)
    return Bounded(iter(collection), evaluation.budget)


# Numbers


def _multiply(left: Any, right: Any) -> Any:
    return bounds.multiply(left, right)


def _shift_left(value: int, bits_number: int) -> int:
    return bounds.shift_left(value, bits_number)


def _int(value: Any) -> int:
    if value is None:
        return 0
    try:
        return int(value)
    except ValueError as error:
        raise ValueError(_without_value(error)) from None


def _float(value: Any) -> float:
    if value is None:
        return 0.0
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(_without_value(error)) from None


def _without_value(error: ValueError) -> str:
    """Cut the quoted value off Python's text «invalid literal for int() with base 10: 'secret'»."""
    return str(error).partition(": ")[0]


# Texts


def _concat(*args: str) -> str:
    return bounds.join("", args)


def _replace_text(string: str, old: str, new: str, count: int = -1) -> str:
    return bounds.replace(string, old, new, count)


def _replace_by_map(string: str, str_func: Any, replacements: Mapping[Any, Any], count: int = -1) -> str:
    for key, value in replacements.items():
        string = bounds.replace(string, str_func(key), str_func(value), count)
    return string


def _join(sequence: Iterable[Any], separator: str, str_delegate: Any) -> str:
    return bounds.join(separator, map(str_delegate, sequence))


def _join_reversed(separator: str, sequence: Iterable[Any], str_delegate: Any) -> str:
    return bounds.join(separator, map(str_delegate, sequence))


def _string_by_int(left: str, right: int, engine: Any) -> Any:
    return bounds.repeat(left, right)


def _int_by_string(left: int, right: str, engine: Any) -> Any:
    return bounds.repeat(right, left)


def _to_char_array(string: str) -> tuple[str, ...]:
    if len(string) > bounds.MAX_ITEMS:
        raise bounds.too_large("the list of characters")
    return tuple(string)


def _with_scan(function: Callable[..., Any]) -> Callable[..., Any]:
    """Bound a text function whose time is the product of its first two arguments' lengths."""

    def call(string: str | None, other: str | None = None, *args: Any, **kwargs: Any) -> Any:
        bounds.scan(string or "", other)
        return function(string, other, *args, **kwargs)

    return call


def _with_pieces(function: Callable[..., Any]) -> Callable[..., Any]:
    """Bound a text function that splits a text."""

    def call(string: str, separator: str | None = None, max_splits: int = -1) -> Any:
        bounds.scan(string, separator)
        bounds.pieces(string, separator)
        return function(string, separator, max_splits)

    return call


def _is_empty(string: str | None, trim_spaces: bool = True, chars: str | None = None) -> bool:
    bounds.scan(string or "", chars)
    return bool(std_strings.is_empty(string, trim_spaces, chars))


def as_text(evaluation: Evaluation, value: Any) -> str:
    """Write a value as YAQL's ``str()`` does: ``null``, ``true``; lists look like Python's tuples."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return value
    return str(_python_form(evaluation, value))


def _python_form(evaluation: Evaluation, value: Any) -> Any:
    evaluation.budget.tick()
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {key: _python_form(evaluation, item) for key, item in value.items()}
    if isinstance(value, (FrozenList, tuple)):
        return tuple(_python_form(evaluation, item) for item in value)
    if isinstance(value, (list, Iterator, std_queries.OrderingIterable)):
        return [_python_form(evaluation, item) for item in value]
    return value


# Times


def _datetime_from_string(string: str, format__: str | None = None) -> dt.datetime:
    if len(string) > MAX_DATE_TEXT or len(format__ or "") > MAX_DATE_TEXT:
        raise ValueError(f"a date-time has at most {MAX_DATE_TEXT} characters")
    try:
        parse = dt.datetime.strptime if format__ else std_dates.parser.parse
        result: dt.datetime = parse(string, *([format__] if format__ else []))
    except (ValueError, OverflowError):
        raise ValueError("Unknown string format for a date-time") from None
    return result if result.tzinfo else result.replace(tzinfo=std_dates.UTCTZ)


def _now(evaluation: Evaluation, offset: dt.timedelta = std_dates.ZERO_TIMESPAN) -> dt.datetime:
    return evaluation.scope.functions.now().astimezone(std_dates._get_tz(offset))


def _format(dt: dt.datetime, format__: str) -> str:
    bounds.format_spec(format__)
    return dt.strftime(format__)


_PLAIN: dict[Any, Callable[..., Any]] = {
    std_collections.list_indexer: _list_indexer,
    std_collections.combine_lists: _combine_lists,
    std_collections.list_by_int: _list_by_int,
    std_collections.int_by_list: _int_by_list,
    std_math.multiplication: _multiply,
    std_math.shift_bits_left: _shift_left,
    std_math.pow_: lambda a, b, c=None: bounds.power(a, b, c),
    std_math.round_: lambda number, ndigits=0: bounds.round_number(number, ndigits),
    std_math.int_: _int,
    std_math.float_: _float,
    std_strings.concat: _concat,
    std_strings.replace: _replace_text,
    std_strings.replace_with_dict: _replace_by_map,
    std_strings.join: _join,
    std_strings.join_: _join_reversed,
    std_strings.string_by_int: _string_by_int,
    std_strings.int_by_string: _int_by_string,
    std_strings.to_char_array: _to_char_array,
    std_strings.split: _with_pieces(std_strings.split),
    std_strings.right_split: _with_pieces(std_strings.right_split),
    std_strings.trim: _with_scan(std_strings.trim),
    std_strings.trim_left: _with_scan(std_strings.trim_left),
    std_strings.trim_right: _with_scan(std_strings.trim_right),
    std_strings.norm: _with_scan(std_strings.norm),
    std_strings.is_empty: _is_empty,
    std_strings.last_index_of: _with_scan(std_strings.last_index_of),
    std_strings.last_index_of_: _with_scan(std_strings.last_index_of_),
    std_dates.datetime_from_string: _datetime_from_string,
    std_dates.format_: _format,
    std_queries.order_by: _order_by,
    std_queries.order_by_descending: _order_by_descending,
}

_WITH_EVALUATION: dict[Any, Callable[..., Any]] = {
    std_collections.to_list: _to_list,
    std_collections.to_set: _to_set,
    std_collections.in_: _in,
    std_collections.contains: _contains,
    std_collections.contains_value: _contains_value,
    std_collections.delete_keys: _delete_keys,
    std_collections.delete_keys_seq: _delete_all,
    std_queries.distinct: _distinct,
    std_queries.index_of: _index_of,
    std_queries.last_index_of: _last_index_of,
    std_queries.merge_with: _merge_with,
    std_strings.str_: as_text,
    std_dates.now: _now,
}

YaqlMap = utils.FrozenDict
MapTypes = (FrozenDict, YaqlMap, dict)
