"""What a YAML 1.1 scalar means: the value of plain text, and of text under an explicit tag.

Dates become text at once (:class:`DateText`), since definitions are stored as JSON; the class
only remembers that the document held a date, for the few places where Mistral refuses one.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
_MAX_BITS = 14_000  # about 4,200 digits: more can't be written as JSON again
_BOOLEANS = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}
_STAMP = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?"
    r"(?:[ \t]*(?:Z|([-+])(\d\d?)(?::?(\d\d))?))?"
)


class DateText(str):
    """Text that stood in the document as an unquoted date or time stamp."""

    __slots__ = ()


class ScalarError(ValueError):
    """The text has no value under its tag; the message says why."""


def plain_value(text: str) -> Any:
    """Return the value of an unquoted scalar (text that fits no other type stays text)."""
    if not text:
        return None
    for tag, pattern in _RESOLVERS.get(text[0], ()):
        if pattern.match(text):
            maker = _IMPLICIT.get(tag)
            return maker(text) if maker else text
    return text


def tagged_value(tag: str, text: str) -> Any:
    """Return the value of a scalar that carries ``tag``.

    Raises:
        ScalarError: for an unknown tag, or text that the type can't have.
    """
    maker = _EXPLICIT.get(tag)
    if maker is None:
        raise ScalarError(f"the tag '{short_tag(tag)}' can't be used here")
    try:
        return maker(text)
    except ScalarError:
        raise
    except (ValueError, KeyError, IndexError):
        raise ScalarError(f"'{text[:60]}' is no value of the type '{short_tag(tag)}'") from None


def short_tag(tag: str) -> str:
    """Return the tag the way people write it (``!!str``)."""
    return f"!!{tag[len(_TAG) :]}" if tag.startswith(_TAG) else tag


def key_text(value: Any) -> str:
    """Return the text that a key which isn't text gets as a JSON key."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if digits == "0":
        return 0
    if digits.startswith("0b"):
        number = int(digits[2:], 2)
    elif digits.startswith("0x"):
        number = int(digits[2:], 16)
    elif digits.startswith("0"):
        number = int(digits, 8)
    elif ":" in digits:
        number = 0
        for part in digits.split(":"):
            number = number * 60 + int(part)
    else:
        number = int(digits)
    if number.bit_length() > _MAX_BITS:
        raise ScalarError("this number has too many digits to be stored")
    return sign * number


def _implicit_integer(text: str) -> Any:
    try:
        return _integer(text)
    except ScalarError:
        raise
    except ValueError:
        if len(text) > 4000:
            raise ScalarError("this number has too many digits to be stored") from None
        return text  # "0x_" looks like a number to YAML but is none


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    sign = -1.0 if digits.startswith("-") else 1.0
    digits = digits.lstrip("+-")
    if digits == ".inf":
        return sign * float("inf")
    if digits == ".nan":
        return float("nan")
    if ":" not in digits:
        return sign * float(digits)
    total = 0.0
    for part in digits.split(":"):
        total = total * 60 + float(part)
    return sign * total


def _null(_: str) -> None:
    return None


def _timestamp(text: str) -> str:
    """Dates stay as they are; with a time: ISO 8601 with six decimals, and its zone if it has one."""
    match = _STAMP.fullmatch(text)
    try:
        if match is None:
            return DateText(dt.date.fromisoformat(text).isoformat())
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        micro = int((match[7] or "")[:6].ljust(6, "0"))
        zone = dt.UTC if text.endswith("Z") else _zone(match)
        moment = dt.datetime(year, month, day, hour, minute, second, micro, zone)
    except (ValueError, OverflowError):
        return DateText(text)  # the 30th of February: kept as it was written
    return DateText(moment.isoformat(timespec="microseconds"))


def _zone(match: re.Match[str]) -> dt.timezone | None:
    if match[8] is None:
        return None
    offset = dt.timedelta(hours=int(match[9]), minutes=int(match[10] or 0))
    return dt.timezone(-offset if match[8] == "-" else offset)


def _binary(text: str) -> str:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ScalarError("the text under '!!binary' isn't base64") from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(text.split())  # bytes have no JSON form: their base64 text has


_IMPLICIT: dict[str, Callable[[str], Any]] = {
    _TAG + "bool": _boolean,
    _TAG + "int": _implicit_integer,
    _TAG + "float": _float,
    _TAG + "null": _null,
    _TAG + "timestamp": _timestamp,
}
_EXPLICIT: dict[str, Callable[[str], Any]] = {
    **_IMPLICIT,
    _TAG + "int": _integer,
    _TAG + "str": str,
    _TAG + "binary": _binary,
}
