"""Bounds for what C code would do in one uninterruptible call: refuse by the size of the operands.

Every function returns the result or raises :class:`ValueError` (an ordinary evaluation error). The
numbers are far beyond what a workflow needs and far below what would hold a process up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MAX_TEXT = 64 * 2**20
"""Longest text that one operation may make."""
MAX_ITEMS = 1_000_000
"""Longest list that one operation may make."""
MAX_BITS = 16_384
"""Largest integer that multiplication, powers and shifts may make (about 4,900 digits)."""
MAX_WIDTH = 100_000
"""Widest padding in text formats."""
MAX_SCAN = 10**9
"""Most comparisons of characters in a search whose cost is a product of two lengths."""
MAX_DIGITS = 1_000
"""Most digits that numbers may be rounded to."""

_WIDE = re.compile(r"\d{6,}")


def too_large(what: str) -> ValueError:
    """Return the error for an operation whose result would be too large."""
    return ValueError(f"{what} would be too large")


def repeat(value: Any, times: int) -> Any:
    """Return ``value * times`` for a text or a sequence."""
    limit = MAX_TEXT if isinstance(value, (str, bytes)) else MAX_ITEMS
    if times > 0 and len(value) * times > limit:
        raise too_large("the repeated value")
    return value * times


def multiply(left: Any, right: Any) -> Any:
    """Return the product of two numbers, or a repetition."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise too_large("the product")
        return left * right
    for value, times in ((left, right), (right, left)):
        if isinstance(times, int) and isinstance(value, (str, bytes, list, tuple)):
            return repeat(value, times)
    return left * right


def power(base: Any, exponent: Any, modulus: Any = None) -> Any:
    """Return ``base ** exponent``, optionally modulo ``modulus``."""
    whole = isinstance(base, int) and isinstance(exponent, int)
    if modulus is not None:
        for operand in (base, exponent, modulus):
            if isinstance(operand, int) and operand.bit_length() > MAX_BITS:
                raise too_large("the power")
        return pow(base, exponent, modulus)
    if whole and exponent > 0 and base.bit_length() * exponent > MAX_BITS and base not in (-1, 0, 1):
        raise too_large("the power")
    return pow(base, exponent)


def shift_left(value: int, bits: int) -> int:
    """Return ``value << bits``."""
    if value.bit_length() + bits > MAX_BITS:
        raise too_large("the shifted number")
    return value << bits


def round_number(value: Any, digits: int = 0) -> Any:
    """Return ``round(value, digits)``."""
    if abs(digits) > MAX_DIGITS:
        raise ValueError(f"numbers can't be rounded to {digits} digits")
    return round(value, digits)


def add(left: Any, right: Any) -> Any:
    """Return ``left + right``."""
    if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) > MAX_TEXT:
        raise too_large("the joined text")
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        if len(left) + len(right) > MAX_ITEMS:
            raise too_large("the joined list")
        if type(left) is not type(right):
            return [*left, *right]
    return left + right


def replace(text: str, old: str, new: str, count: int = -1) -> str:
    """Return ``text.replace(old, new, count)``."""
    growth = len(new) - len(old)
    if growth > 0:
        found = text.count(old)
        if count >= 0:
            found = min(found, count)
        if len(text) + growth * found > MAX_TEXT:
            raise too_large("the text with replacements")
    return text.replace(old, new, count)


def join(separator: str, pieces: Iterable[str]) -> str:
    """Return ``separator.join(pieces)``."""
    parts = []
    total = 0
    for piece in pieces:
        total += len(piece) + len(separator)
        if total > MAX_TEXT:
            raise too_large("the joined text")
        parts.append(piece)
    return separator.join(parts)


def scan(text: str, pattern: str | None) -> None:
    """Refuse a search that compares each character of one text with each of another."""
    if pattern is not None and len(text) * len(pattern) > MAX_SCAN:
        raise too_large("the search")


def pieces(text: str, separator: str | None) -> None:
    """Refuse to split a text into too many pieces."""
    if len(text) > MAX_ITEMS and (separator is None or text.count(separator) > MAX_ITEMS):
        raise too_large("the list of pieces")


def width(value: Any) -> None:
    """Refuse a padding that is too wide."""
    if isinstance(value, int) and value > MAX_WIDTH:
        raise ValueError(f"a width of {value} is too large; at most {MAX_WIDTH} is possible")


def format_spec(spec: str) -> None:
    """Refuse a format specification with a width or precision that is too large."""
    if _WIDE.search(spec):
        raise ValueError(f"a width in the format is too large; at most {MAX_WIDTH} is possible")


def percent(template: str, arguments: Any) -> str:
    """Return ``template % arguments``."""
    format_spec(template)
    if "*" in template:
        for argument in arguments if isinstance(arguments, tuple) else (arguments,):
            width(argument)
    result: str = template % arguments
    if len(result) > MAX_TEXT:
        raise too_large("the formatted text")
    return result
