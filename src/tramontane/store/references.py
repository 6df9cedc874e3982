"""How the text of a JSON column refers to values that are stored by themselves.

A reference is the map ``{"tramontane:big":["<hash>",<size>]}``. A key of users that would be taken for
the mark gets an apostrophe more, and loses it on the way back, so that nothing of theirs can be
mistaken. All texts are written by :func:`tramontane.values.encode`, without spaces: the mark, as a key,
can be found in a text without reading it, because a quotation mark inside of a JSON text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tramontane.values import FrozenDict, FrozenList, encode

MARK: Final = "tramontane:big"

_REFERENCE: Final = re.compile(r'\{"tramontane:big":\["([0-9a-f]{64})",[0-9]+\]\}')
_MARKED: Final = re.compile(_REFERENCE.pattern + r"""|(?<=[{,])"tramontane:big'('*)":""")
_LIKE_MARK: Final = re.compile(r"tramontane:big'*")


class Reference(dict[str, Any]):
    """A reference in the place of the value."""

    __slots__ = ()

    def __init__(self, content_hash: str, size: int) -> None:
        super().__init__({MARK: [content_hash, size]})


def write(value: Any, references: int = 0) -> str:
    """Write a value that holds so many references as JSON text."""
    text = encode(value)
    if text.count(MARK) != references:
        return encode(_escaped(value))
    return text


def _escaped(value: Any) -> Any:
    if isinstance(value, Reference):
        return value
    if isinstance(value, dict):
        return {_escaped_key(name): _escaped(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return value


def _escaped_key(name: str) -> str:
    return name + "'" if _LIKE_MARK.fullmatch(name) else name


def hashes(text: str) -> Iterator[str]:
    """The hashes of the values that a text refers to."""
    if MARK in text:
        for found in _REFERENCE.finditer(text):
            yield found[1]


def restore(parsed: Any, find: Callable[[str], Any]) -> Any:
    """Make the frozen value out of plain lists and maps that were read from a text with marks.

    ``find`` gives the value of a hash.
    """
    if type(parsed) is dict:
        if len(parsed) == 1 and MARK in parsed:
            return find(parsed[MARK][0])
        return FrozenDict({_plain_key(name): restore(item, find) for name, item in parsed.items()})
    if type(parsed) is list:
        return FrozenList([restore(item, find) for item in parsed])
    return parsed


def _plain_key(name: str) -> str:
    return name[:-1] if name.startswith(MARK) and _LIKE_MARK.fullmatch(name) else name


def expand(text: str, find: Callable[[str], str]) -> str:
    """Write the texts of values, which ``find`` gives, in the places of references."""
    if MARK not in text:
        return text

    def replaced(found: re.Match[str]) -> str:
        return find(found[1]) if found[1] else f'"{MARK}{found[2]}":'

    return _MARKED.sub(replaced, text)
