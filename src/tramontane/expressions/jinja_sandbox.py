"""The Jinja environment: sandboxed, strict, read-only, and every call, loop and operator counted."""

# ruff: noqa: ARG001 - the signatures are those of the functions that they stand in for

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import missing, object_type_repr

from tramontane.expressions import bounds
from tramontane.expressions.failures import kind_of
from tramontane.expressions.limits import Bounded, BoundedSized, Evaluation
from tramontane.expressions.results import listing
from tramontane.values import freeze

BOUND = "~bound"
GUARD = "~guard"
CONCAT = "~concat"
"""Filters that the tree is given (:mod:`.jinja_tree`); no document can name them."""

_INTERNAL_ROOTS = frozenset({"__env", "__execution", "__task_execution"})
_MAP_METHODS = frozenset(dir(dict))
_READING_METHODS = frozenset({"get", "items", "keys", "values"})


class DataContext(Context):
    """The names of one evaluation: ``_`` and the internal roots come from its scope."""

    evaluation: Evaluation

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        if key == "_":
            return self.evaluation.scope.data
        if key in _INTERNAL_ROOTS:
            return self.evaluation.scope.data.get(key, missing)
        return self.parent.get(key, missing)

    def derived(self, locals: dict[str, Any] | None = None) -> DataContext:
        context = begin(self.environment, self.name, self.evaluation, self.get_all())
        context.eval_ctx = self.eval_ctx
        context.blocks.update((name, list(blocks)) for name, blocks in self.blocks.items())
        if locals:
            context.vars.update({name: value for name, value in locals.items() if value is not missing})
        return context


def begin(environment: Any, name: str | None, evaluation: Evaluation, names: Any) -> DataContext:
    """Return a context over the names that all evaluations share."""
    context = DataContext(environment, names, name, {})
    context.evaluation = evaluation
    return context


class ReadableUndefined(StrictUndefined):
    """An undefined value whose message names types as users know them."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is missing:
            return f"{self._undefined_name!r} is undefined"
        kind = f"{_type_name(self._undefined_obj)} object"
        if type(self._undefined_obj) is type(None):
            kind = object_type_repr(None)
        if not isinstance(self._undefined_name, str):
            return f"{kind} has no element {self._undefined_name!r}"
        return f"{kind!r} has no attribute {self._undefined_name!r}"


def _type_name(value: Any) -> str:
    if isinstance(value, Mapping):
        return "dict"
    return "list" if isinstance(value, list) else type(value).__name__


class Environment(ImmutableSandboxedEnvironment):
    """Evaluates templates of users who must neither reach Python's insides nor hold the process up."""

    context_class = DataContext
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=ReadableUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            cache_size=0,
            finalize=_finalize,
        )
        self.policies["json.dumps_function"] = _dump
        self.concat = _join_pieces  # type: ignore[method-assign]
        self.filters.update({BOUND: _bound, GUARD: _guard, CONCAT: _concat})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            if attribute not in _MAP_METHODS:
                try:
                    return obj[attribute]
                except LookupError:
                    return self.undefined(obj=obj, name=attribute)
            if not isinstance(obj, dict):
                return self._method(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                if not isinstance(argument, str) or argument not in _MAP_METHODS:
                    return self.undefined(obj=obj, name=argument)
                return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def _method(self, obj: Mapping[Any, Any], attribute: str) -> Any:
        """Offer the reading methods of a map that isn't a dict, and nothing else of its class."""
        if attribute in _READING_METHODS:
            return getattr(obj, attribute)
        if attribute == "copy":
            return lambda: dict(obj)
        return self.unsafe_undefined(obj, attribute)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        return self.undefined(
            f"access to attribute {attribute!r} of {_type_name(obj)!r} object is unsafe.",
            name=attribute,
            obj=obj,
            exc=SecurityError,
        )

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        evaluation = _evaluation(__context)
        evaluation.budget.tick()
        if not __self.is_safe_callable(__obj):
            raise SecurityError(f"a value of type '{kind_of(__obj)}' is not safely callable")
        substitute = method_in_bounds(__obj)
        return evaluation.guard(__context.call(substitute, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        evaluation = _evaluation(context)
        evaluation.budget.tick()
        bounded = _OPERATORS.get(operator)
        if bounded is None:
            return evaluation.guard(super().call_binop(context, operator, left, right))
        return evaluation.guard(bounded(left, right))

    def wrap_str_format(self, value: Any) -> Any:
        if getattr(value, "__name__", None) not in ("format", "format_map"):
            return None
        template = getattr(value, "__self__", None)
        if not isinstance(template, str) or isinstance(value, type):
            return None
        by_map = value.__name__ == "format_map"
        formatter = _Formatter(self)

        def format(*args: Any, **kwargs: Any) -> str:
            if by_map:
                (kwargs,) = args
                args = ()
            return formatter.vformat(template, args, kwargs)

        return format


class _Formatter(SandboxedFormatter):
    """Formats texts, with bounded widths."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        bounds.format_spec(format_spec)
        return super().format_field(value, format_spec)


def method_in_bounds(function: Any) -> Any:
    """Return what to call instead of a method of Python's types that could do unbounded work."""
    owner = getattr(function, "__self__", None)
    if not isinstance(owner, (str, bytes, int, dt.date, dt.time)):
        return function
    checks = _METHODS.get(getattr(function, "__name__", ""))
    if checks is None:
        return function

    def call(*args: Any, **kwargs: Any) -> Any:
        checks(owner, *args, **kwargs)
        return function(*args, **kwargs)

    return call


def _check_replace(owner: Any, old: Any, new: Any, count: int = -1) -> None:
    growth = max(0, len(new) - len(old)) * owner.count(old)
    if len(owner) + growth > bounds.MAX_TEXT:
        raise bounds.too_large("the text with replacements")


def _check_join(owner: Any, pieces: Any) -> None:
    if isinstance(pieces, Iterator):
        raise TypeError("join() of a text takes a list here; use the filter 'join' for others")
    total = sum(len(owner) + len(piece) for piece in pieces if isinstance(piece, (str, bytes)))
    if total > bounds.MAX_TEXT:
        raise bounds.too_large("the joined text")


def _check_translate(owner: str, table: Any) -> None:
    longest = max((len(new) for new in table.values() if isinstance(new, str)), default=1)
    if len(owner) * longest > bounds.MAX_TEXT:
        raise bounds.too_large("the translated text")


def _check_tabs(owner: Any, tabsize: int = 8) -> None:
    bounds.width(tabsize)
    if len(owner) + owner.count("\t" if isinstance(owner, str) else b"\t") * tabsize > bounds.MAX_TEXT:
        raise bounds.too_large("the text with spaces for tabs")


def _check_width(owner: Any, width: int = 1, *args: Any, **kwargs: Any) -> None:
    bounds.width(width)


def _check_scan(owner: Any, other: Any = None, *args: Any) -> None:
    if isinstance(other, (str, bytes)) and len(owner) * len(other) > bounds.MAX_SCAN:
        raise bounds.too_large("the search")


def _check_split(owner: Any, sep: Any = None, maxsplit: int = -1) -> None:
    _check_scan(owner, sep)
    if len(owner) > bounds.MAX_ITEMS and (sep is None or owner.count(sep) > bounds.MAX_ITEMS):
        raise bounds.too_large("the list of pieces")


def _check_lines(owner: Any, keepends: bool = False) -> None:
    if len(owner) > bounds.MAX_ITEMS and len(owner) > bounds.MAX_TEXT // 8:
        raise bounds.too_large("the list of lines")


def _check_format(owner: Any, format: str) -> None:
    bounds.format_spec(format)


_METHODS: dict[str, Any] = {
    "center": _check_width,
    "ljust": _check_width,
    "rjust": _check_width,
    "zfill": _check_width,
    "to_bytes": _check_width,
    "expandtabs": _check_tabs,
    "replace": _check_replace,
    "join": _check_join,
    "translate": _check_translate,
    "split": _check_split,
    "rsplit": _check_split,
    "splitlines": _check_lines,
    "rfind": _check_scan,
    "rindex": _check_scan,
    "rpartition": _check_scan,
    "strip": _check_scan,
    "lstrip": _check_scan,
    "rstrip": _check_scan,
    "strftime": _check_format,
}


def _percent(left: Any, right: Any) -> Any:
    return bounds.percent(left, right) if isinstance(left, str) else left % right


_OPERATORS: dict[str, Any] = {
    "+": bounds.add,
    "*": bounds.multiply,
    "**": bounds.power,
    "%": _percent,
}


def _evaluation(context: Context) -> Evaluation:
    assert isinstance(context, DataContext)
    return context.evaluation


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    """Choose what a value looks like inside text: lists for iterators, an error for functions."""
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool or kind is float:
        return value
    if isinstance(value, (str, Undefined, dt.date)):
        return value
    return listing(value, _evaluation(context), keep_tuples=True)


@pass_context
def _bound(context: Context, value: Any) -> Any:
    """Make the items of a loop tick."""
    budget = _evaluation(context).budget
    if isinstance(value, Bounded):
        return value
    return BoundedSized(value, budget) if hasattr(value, "__len__") else Bounded(iter(value), budget)


@pass_context
def _guard(context: Context, value: Any) -> Any:
    """Weigh a list or map written in the expression."""
    return _evaluation(context).guard(value)


@pass_context
def _concat(context: Context, pieces: Any) -> Any:
    """Join texts (the operator ``~``)."""
    evaluation = _evaluation(context)
    for piece in pieces:
        evaluation.guard(piece)
    return evaluation.guard(bounds.join("", (str(_finalize(context, piece)) for piece in pieces)))


def _join_pieces(pieces: Any) -> str:
    return bounds.join("", pieces)


def _dump(value: Any, **options: Any) -> str:
    return json.dumps(value, default=freeze, **options)
