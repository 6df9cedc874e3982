"""One-line commands: ``std.http url='…' timeout=5`` → name and parameters (language spec, section 5).

The rules are Mistral's, odd as they are: documents depend on what they give. What they skip without
a word is returned as ``leftover``, for a warning.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tramontane.lang.yaml_loader import MAX_DEPTH

MAX_LENGTH = 65_536
"""Longest text with parameters, in characters: searching takes quadratic time in the worst case."""

_EXPRESSION = r"<%.*?%>|\{\{.*?\}\}|\{%.*?%\}"
# A name goes on to the first space, parenthesis, quote or '=' outside an expression.
_COMMAND = re.compile(rf"(?:[\w.]+|<%.*?%>|\{{\{{.*?\}}\}}|\{{%.*%\}})(?:{_EXPRESSION}|[^=(\s\"])*")
_CLOSING = {"{": "}}", "<": "%>", "[": "]"}
_NAME_CHARS = re.compile(r"[-\w]")
_VALUE = re.compile(r"\"[^\"]*\"\s*|'[^']*'\s*|\{\{.*?\}\}|<%.*?%>|\[.*\]\s*|true|false|null|\d+")


class OneLineError(ValueError):
    """The text names no command; the message says so in Mistral's words."""


@dataclass(frozen=True, slots=True)
class OneLine:
    """A parsed text. ``leftover`` holds the pieces that belong to no part of it."""

    command: str
    parameters: dict[str, Any]
    leftover: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    value: Any
    start: int
    end: int


def parse_command(text: str) -> OneLine:
    """Take a command and its parameters from ``text``; without a space all of it is the command.

    Raises:
        OneLineError: when no command stands at the start, or the text is too long to search.
    """
    if " " not in text:
        return OneLine(text, {})
    _check_length(text)
    match = _COMMAND.match(text)
    if match is None:
        raise OneLineError(f"Invalid action/workflow task property: {text[:200]}")
    found = _find_parameters(text)
    spans = [(0, match.end()), *((item.start, item.end) for item in found)]
    return OneLine(match.group(), _as_map(found), _leftover(text, spans))


def parse_parameters(text: str) -> OneLine:
    """Take only parameters from ``text`` (a one-line ``retry``); without a space there are none.

    Raises:
        OneLineError: when the text is too long to search.
    """
    if " " not in text:
        return OneLine("", {}, (text,) if text else ())
    return parse_arguments(text)


def parse_arguments(text: str) -> OneLine:
    """Take all parameters from ``text``, with or without a space in it.

    Raises:
        OneLineError: when the text is too long to search.
    """
    _check_length(text)
    found = _find_parameters(text)
    return OneLine("", _as_map(found), _leftover(text, [(item.start, item.end) for item in found]))


def _check_length(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise OneLineError(f"a one-line command may have {MAX_LENGTH} characters; use 'input' for more")


def _find_parameters(text: str) -> list[_Found]:
    """Find ``name=value`` from left to right; what fits neither is passed over."""
    found: list[_Found] = []
    position = 0
    while (equals := text.find("=", position)) >= 0:
        start = equals
        while start > position and _NAME_CHARS.match(text[start - 1]):
            start -= 1
        match = _VALUE.match(text, equals + 1) if start < equals and _can_close(text, equals + 1) else None
        if match is None:
            position = equals + 1
            continue
        found.append(_Found(text[start:equals], _value(match.group().strip()), start, match.end()))
        position = match.end()
    return found


def _can_close(text: str, start: int) -> bool:
    """Tell quickly whether what opens at ``start`` has an end in its line; the pattern is much slower."""
    closing = _CLOSING.get(text[start : start + 1])
    if closing is None:
        return True
    end = text.find("\n", start)
    return text.find(closing, start, len(text) if end < 0 else end) >= 0


def _value(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text  # an expression, a number such as 007, a list that is no JSON
    return value if is_shallow(value) else text


def is_shallow(value: Any) -> bool:
    """True when a value is nested no deeper than a document may be."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for node in level
            if isinstance(node, (list, dict))
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return True
    return False


def _as_map(found: list[_Found]) -> dict[str, Any]:
    return {item.name: item.value for item in found}


def _leftover(text: str, spans: list[tuple[int, int]]) -> tuple[str, ...]:
    pieces = []
    position = 0
    for start, end in sorted(spans):
        if start > position:
            pieces.append(text[position:start])
        position = max(position, end)
    pieces.append(text[position:])
    return tuple(piece.strip() for piece in pieces if piece.strip())
