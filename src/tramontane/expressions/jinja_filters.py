"""Jinja's filters, counted and bounded, and the engine's functions as functions and filters."""

# ruff: noqa: ARG001 - the signatures are those of the functions that they stand in for

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context, Undefined
from jinja2.utils import _PassArg, generate_lorem_ipsum
from markupsafe import soft_str

from tramontane.expressions import bounds
from tramontane.expressions.functions import Function, snake_case
from tramontane.expressions.jinja_sandbox import _evaluation as evaluation_of
from tramontane.expressions.limits import Evaluation

_MAX_PROSE = 2**20
_MAX_LOREM = 100_000


def bounded_filters() -> dict[str, Callable[..., Any]]:
    """Return Jinja's own filters, each ticking, with bounded operands and an admitted result."""
    return {name: _counted(name, function) for name, function in {**FILTERS, **_REPLACED}.items()}


def functions_as_filters(functions: Mapping[str, Function]) -> dict[str, Callable[..., Any]]:
    """Return the engine's functions as filters: the piped value is their first argument."""
    return {name: _as_filter(name, function) for name, function in functions.items()}


def functions_as_globals(functions: Mapping[str, Function]) -> dict[str, Callable[..., Any]]:
    """Return the engine's functions for calls."""
    return {name: _as_function(function) for name, function in functions.items()}


def lorem_ipsum(n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> str:
    """Write filler text, of bounded length."""
    if n * max > _MAX_LOREM:
        raise bounds.too_large("the filler text")
    return generate_lorem_ipsum(n, html, min, max)


def _as_function(function: Function) -> Callable[..., Any]:
    @pass_context
    def call(context: Context, *args: Any, **kwargs: Any) -> Any:
        named = {snake_case(name): value for name, value in kwargs.items()}
        return function(evaluation_of(context), *_defined(args), **named)

    return call


def _as_filter(name: str, function: Function) -> Callable[..., Any]:
    @pass_context
    def call(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        evaluation = evaluation_of(context)
        evaluation.budget.tick()
        piped = () if name == "uuid" else (value,)
        named = {snake_case(key): item for key, item in kwargs.items()}
        return evaluation.guard(function(evaluation, *_defined((*piped, *args)), **named))

    return call


def _defined(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    for argument in arguments:
        if isinstance(argument, Undefined):
            argument._fail_with_undefined_error()
    return arguments


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    check = _CHECKS.get(name)
    passed = _PassArg.from_obj(function)

    @pass_context
    def call(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        evaluation = evaluation_of(context)
        evaluation.budget.tick()
        if check is not None:
            check(evaluation, value, *args, **kwargs)
        return evaluation.guard(function(*_first(passed, context), value, *args, **kwargs))

    return call


def _first(passed: Any, context: Context) -> tuple[Any, ...]:
    if passed is _PassArg.context:
        return (context,)
    if passed is _PassArg.eval_context:
        return (context.eval_ctx,)
    if passed is _PassArg.environment:
        return (context.environment,)
    return ()


# Filters written anew


@pass_context
def _join(context: Context, value: Any, d: str = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    return bounds.join(str(d), map(str, value))


def _replace(s: Any, old: str, new: str, count: int | None = None) -> str:
    return bounds.replace(str(s), soft_str(old), soft_str(new), -1 if count is None else count)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise ValueError("can't handle positional and keyword arguments at the same time")
    return bounds.percent(soft_str(value), kwargs or args)


@pass_context
def _attr(context: Context, obj: Any, name: str) -> Any:
    if isinstance(obj, Mapping) and not isinstance(obj, dict):
        return context.environment.undefined(obj=obj, name=name)
    return FILTERS["attr"](context.environment, obj, name)


_REPLACED: dict[str, Callable[..., Any]] = {
    "join": _join,
    "replace": _replace,
    "format": _format,
    "attr": _attr,
}


# Checks of operands


def _check_width(evaluation: Evaluation, value: Any, width: Any = 80, *args: Any, **kwargs: Any) -> None:
    bounds.width(width)


def _check_indent(evaluation: Evaluation, value: Any, width: Any = 4, *args: Any, **kwargs: Any) -> None:
    bounds.width(width)
    wide = len(width) if isinstance(width, str) else int(width)
    text = str(value)
    if len(text) + wide * (text.count("\n") + 1) > bounds.MAX_TEXT:
        raise bounds.too_large("the indented text")


def _check_digits(evaluation: Evaluation, value: Any, precision: int = 0, *args: Any, **kwargs: Any) -> None:
    if abs(precision) > bounds.MAX_DIGITS:
        raise ValueError(f"numbers can't be rounded to {precision} digits")


def _check_count(evaluation: Evaluation, value: Any, count: int = 1, *args: Any, **kwargs: Any) -> None:
    if count > bounds.MAX_WIDTH:
        raise bounds.too_large("the list")


def _check_prose(evaluation: Evaluation, value: Any, *args: Any, **kwargs: Any) -> None:
    if isinstance(value, str) and len(value) > _MAX_PROSE:
        raise ValueError(f"this filter takes texts of at most {_MAX_PROSE} characters")


def _check_weight(evaluation: Evaluation, value: Any, *args: Any, **kwargs: Any) -> None:
    if not isinstance(value, Iterator) and evaluation.weigh(value) > 8 * _MAX_PROSE:
        raise ValueError("the value is too large for this filter")


def _check_characters(evaluation: Evaluation, value: Any, *args: Any, **kwargs: Any) -> None:
    if isinstance(value, str) and len(value) > bounds.MAX_ITEMS:
        raise bounds.too_large("the list of characters")


def _check_trim(evaluation: Evaluation, value: Any, chars: str | None = None) -> None:
    if isinstance(value, str):
        bounds.scan(value, chars)


_CHECKS: dict[str, Callable[..., None]] = {
    "center": _check_width,
    "indent": _check_indent,
    "round": _check_digits,
    "batch": _check_count,
    "slice": _check_count,
    "pprint": _check_weight,
    "xmlattr": _check_weight,
    "list": _check_characters,
    "trim": _check_trim,
    **dict.fromkeys(
        ("wordwrap", "urlize", "striptags", "title", "wordcount", "urlencode", "escape", "e", "forceescape"),
        _check_prose,
    ),
}
