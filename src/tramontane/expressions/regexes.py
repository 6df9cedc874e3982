"""Regular expressions whose time is bounded: Python's own engine where it is quick, RE2 elsewhere.

Python's engine backtracks, can't be interrupted, and may need longer than the universe lasts for a
line of text. So the number of ways in which a pattern can match is estimated first, for the length of
the text at hand:

* few: Python's engine does it, with exactly the results that Mistral gives;
* many: the pattern is rewritten for RE2, whose time is linear, with Python's Unicode classes spelled out;
* many, and the pattern has what RE2 lacks (lookaround, back references, atomic groups, huge counted
  repetitions): refused with a clear error.

Where RE2 is used, ``\\b`` knows ASCII words only, and in a text that ends with a line break ``$`` means
the place before that break when there is a match there.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import re2

from tramontane.expressions.bounds import MAX_TEXT, too_large

codes: Any = importlib.import_module("re._constants")  # typed stubs know neither of the two
parser: Any = importlib.import_module("re._parser")

MAX_PATTERN = 10_000
"""Longest pattern, in characters."""
_MAX_COST = 20_000_000
_MAX_RE2_REPEAT = 1000


class Match(Protocol):
    """What both engines' matches offer."""

    def group(self, group: int = 0) -> Any: ...
    def start(self, group: int = 0) -> int: ...
    def end(self, group: int = 0) -> int: ...
    def groups(self) -> tuple[str | None, ...]: ...


class Regex:
    """A compiled pattern; the engine is chosen for each text."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        if len(pattern) > MAX_PATTERN:
            raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
        self._tree = parser.parse(pattern, flags | re.UNICODE)
        self._flags = self._tree.state.flags
        self._python = re.compile(pattern, flags | re.UNICODE)
        self._re2: dict[bool, Any] = {}

    @property
    def names(self) -> dict[str, int]:
        """Numbers of the named groups."""
        return dict(self._python.groupindex)

    @property
    def groups(self) -> int:
        """How many groups the pattern has."""
        return self._python.groups

    def search(self, text: str) -> Match | None:
        """Return the first match, or None."""
        return next(self.finditer(text), None)

    def finditer(self, text: str) -> Iterator[Match]:
        """Yield all matches, from left to right.

        Raises:
            ValueError: the pattern could take too long on this text.
        """
        if (len(text) + 1) * _ways(self._tree, len(text)) <= _MAX_COST:
            return iter(self._python.finditer(text))  # type: ignore[arg-type]
        engine = self._linear_engine(text.isascii())
        if engine is None:
            raise ValueError(
                "this regular expression (with lookaround, back references or the like) could take too "
                "long on a text of this length; simplify it"
            )
        if text.endswith("\n") and _has_end(self._tree):
            inner = list(engine.finditer(text[:-1]))
            if inner:
                return iter(inner)
        matches: Iterator[Match] = engine.finditer(text)
        return matches

    def split(self, text: str, max_split: int = 0) -> list[Any]:
        """Split like :meth:`re.Pattern.split`."""
        if max_split < 0:
            return [text]
        pieces: list[Any] = []
        end = 0
        for match in self._first(text, max_split):
            pieces.append(text[end : match.start()])
            pieces.extend(match.groups())
            end = match.end()
        pieces.append(text[end:])
        return pieces

    def sub(self, replacement: Callable[[Match], str], text: str, count: int = 0) -> str:
        """Replace like :meth:`re.Pattern.sub`; see :meth:`template` for texts."""
        if count < 0:
            return text
        pieces: list[str] = []
        total = end = 0
        for match in self._first(text, count):
            new = replacement(match)
            total += match.start() - end + len(new)
            if total > MAX_TEXT:
                raise too_large("the text with replacements")
            pieces += (text[end : match.start()], new)
            end = match.end()
        pieces.append(text[end:])
        return "".join(pieces)

    def template(self, replacement: str) -> Callable[[Match], str]:
        """Compile a replacement text with ``\\1`` and ``\\g<name>``."""
        if "\\" not in replacement:
            return lambda _: replacement
        pieces = parser.parse_template(replacement, self._python)
        if isinstance(pieces, tuple):  # Python 3.11: places of groups, and the texts between them
            places = dict(pieces[0])
            pieces = [places.get(place, literal) for place, literal in enumerate(pieces[1])]

        def expand(match: Match) -> str:
            return "".join(piece if isinstance(piece, str) else match.group(piece) or "" for piece in pieces)

        return expand

    def _first(self, text: str, count: int) -> Iterator[Match]:
        for number, match in enumerate(self.finditer(text), 1):
            yield match
            if number == count:
                return

    def _linear_engine(self, ascii_only: bool) -> Any:
        if ascii_only not in self._re2:
            self._re2[ascii_only] = _compile_re2(self._tree, self._flags, ascii_only)
        return self._re2[ascii_only]


@functools.lru_cache(maxsize=512)
def compile_regex(pattern: str, flags: int = 0) -> Regex:
    """Compile a pattern, or find it among those used lately.

    Raises:
        re.error: the pattern has a mistake.
    """
    return Regex(pattern, flags)


def _ways(tree: Sequence[Any], length: int) -> int:
    """Estimate from above in how many ways ``tree`` can match from one place of a text."""
    ways = 1
    for operation, argument in tree:
        ways *= _ways_of(operation, argument, length)
        if ways > _MAX_COST:
            return _MAX_COST + 1
    return ways


def _ways_of(operation: Any, argument: Any, length: int) -> int:
    if operation in _REPEATS:
        least, most, body = argument
        rounds = min(int(most), length) - min(int(least), length) + 1
        each = _ways(body, length)
        if each == 1:
            return rounds
        exponent = min(int(most), length) + 1
        return _MAX_COST + 1 if exponent * each.bit_length() > 64 else int(each**exponent)
    if operation is codes.BRANCH:
        return sum(_ways(branch, length) for branch in argument[1])
    if operation is codes.SUBPATTERN:
        return _ways(argument[-1], length)
    if operation is codes.ATOMIC_GROUP:
        return _ways(argument, length)
    if operation in (codes.ASSERT, codes.ASSERT_NOT):
        return _ways(argument[1], length)
    if operation is codes.GROUPREF_EXISTS:
        return _ways(argument[1], length) + (_ways(argument[2], length) if argument[2] else 1)
    return 1


_REPEATS = frozenset({codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT})


def _has_end(tree: Sequence[Any]) -> bool:
    return "AT_END" in {str(part) for part in _flatten(tree)}


def _flatten(tree: Any) -> Iterator[Any]:
    if isinstance(tree, (list, tuple, parser.SubPattern)):
        for part in tree:
            yield from _flatten(part)
    else:
        yield tree


class _UnsupportedError(Exception):
    """The pattern has no counterpart in RE2."""


def _compile_re2(tree: Sequence[Any], flags: int, ascii_only: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        source = _Writer(ascii_only).sequence(tree, flags)
        return re2.compile(f"(?i:{source})" if flags & re.IGNORECASE else source, options)
    except (_UnsupportedError, re2.error):
        return None


class _Writer:
    """Writes Python's parse tree in RE2's syntax."""

    def __init__(self, ascii_only: bool) -> None:
        self._ascii_only = ascii_only

    def sequence(self, tree: Sequence[Any], flags: int) -> str:
        return "".join(self._node(operation, argument, flags) for operation, argument in tree)

    def _node(self, operation: Any, argument: Any, flags: int) -> str:
        if operation is codes.LITERAL:
            return _char(argument)
        if operation is codes.NOT_LITERAL:
            return f"[^{_char(argument)}]"
        if operation is codes.ANY:
            return "(?s:.)" if flags & re.DOTALL else r"[^\n]"
        if operation is codes.IN:
            return self._set(argument)
        if operation is codes.AT:
            return self._place(argument, flags)
        if operation is codes.BRANCH:
            return "(?:" + "|".join(self.sequence(branch, flags) for branch in argument[1]) + ")"
        if operation is codes.SUBPATTERN:
            return self._group(argument, flags)
        if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            return self._repeat(operation, argument, flags)
        raise _UnsupportedError

    def _group(self, argument: Any, flags: int) -> str:
        group, added, removed, body = argument
        inner = self.sequence(body, (flags | added) & ~removed)
        if added & re.IGNORECASE:
            inner = f"(?i:{inner})"
        elif removed & re.IGNORECASE:
            inner = f"(?-i:{inner})"
        return f"({inner})" if group is not None else f"(?:{inner})"

    def _repeat(self, operation: Any, argument: Any, flags: int) -> str:
        least, most, body = argument
        if least > _MAX_RE2_REPEAT or (most is not codes.MAXREPEAT and most > _MAX_RE2_REPEAT):
            raise _UnsupportedError
        upper = "" if most is codes.MAXREPEAT else str(int(most))
        lazy = "?" if operation is codes.MIN_REPEAT else ""
        return f"(?:{self.sequence(body, flags)}){{{int(least)},{upper}}}{lazy}"

    def _place(self, place: Any, flags: int) -> str:
        several_lines = flags & re.MULTILINE
        if place is codes.AT_BEGINNING:
            return "(?m:^)" if several_lines else r"\A"
        if place is codes.AT_END:
            return "(?m:$)" if several_lines else r"\z"
        known = {
            codes.AT_BEGINNING_STRING: r"\A",
            codes.AT_END_STRING: r"\z",
            codes.AT_BOUNDARY: r"\b",
        }
        if place not in known:
            raise _UnsupportedError
        return known[place]

    def _set(self, items: Sequence[Any]) -> str:
        parts = []
        for operation, argument in items:
            if operation is codes.NEGATE:
                parts.append("^")
            elif operation is codes.LITERAL:
                parts.append(_char(argument))
            elif operation is codes.RANGE:
                parts.append(f"{_char(argument[0])}-{_char(argument[1])}")
            else:
                parts.append(_category(_CATEGORIES[argument], self._ascii_only))
        return f"[{''.join(parts)}]"


_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}


def _char(point: int) -> str:
    if 0xD800 <= point <= 0xDFFF:
        raise _UnsupportedError
    return rf"\x{{{point:x}}}"


@functools.lru_cache(maxsize=16)
def _category(name: str, ascii_only: bool) -> str:
    """Return the ranges of characters that Python counts to a class."""
    points = range(0x80) if ascii_only else (*range(0xD800), *range(0xE000, 0x110000))
    alphabet = "".join(map(chr, points))
    ranges = []
    for match in re.finditer(name + "+", alphabet):
        first, last = ord(match.group()[0]), ord(match.group()[-1])
        if first < 0xD800 <= last:
            ranges.append(f"{_char(first)}-{_char(0xD7FF)}{_char(0xE000)}-{_char(last)}")
        else:
            ranges.append(f"{_char(first)}-{_char(last)}")
    return "".join(ranges)
