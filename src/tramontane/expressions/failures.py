"""The errors of expressions, in the words of the specification (sections 1.1 and 7)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Set
from typing import Any, ClassVar

from tramontane.errors import EvaluationError


class ExpressionSyntaxError(EvaluationError):
    """A text that looks like an expression can't be parsed, or may not be used.

    Attributes:
        offset: place in the whole text where it goes wrong, counted from 0; None when not known.
    """

    code: ClassVar[str] = "expression-syntax"

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


def failure(language: str, expression: str, reason: object) -> EvaluationError:
    """Return the error for an expression that can't be evaluated."""
    return EvaluationError(
        f"Can not evaluate {language} expression [expression={_shorten(expression)}, error={reason}]"
    )


def out_of_memory(expression: str) -> EvaluationError:
    """Return the error for an evaluation whose memory could not be had."""
    return EvaluationError(
        f"Expression evaluation exceeded the available memory [expression={_shorten(expression)}]"
    )


def disabled(language: str) -> ExpressionSyntaxError:
    """Return the error for a language that this service does not evaluate."""
    return ExpressionSyntaxError(f"The '{language}' expression language is disabled by the operator.")


def kind_of(value: Any) -> str:
    """Name the type of a value for an error message, which never shows the value itself."""
    if value is None:
        return "null"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return type(value).__name__


_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "float"),
    (str, "string"),
    (Mapping, "map"),
    ((list, tuple), "list"),
    (Set, "set"),
    (dt.datetime, "date-time"),
    (dt.timedelta, "time span"),
    (Iterator, "iterator"),
)

_SHOWN = 1000


def _shorten(expression: str) -> str:
    return expression if len(expression) <= _SHOWN else expression[:_SHOWN] + "…"
