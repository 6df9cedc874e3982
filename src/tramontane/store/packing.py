"""What is too big for a row is taken out of it and stored by itself, once for each tree of executions.

A text, list or map is *big* when its own JSON text has at least 16 KB, the big values inside of it
counted as the short references that they become: so a value is the same piece wherever it stands, and
of a list or map that is made anew around it only the rest is written again.

A big value is written as text and hashed once. Lists and maps carry what is known of them
(:class:`BigValue`), texts are looked up in a :class:`Memory`: passing one on costs a reference.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tramontane.store.references import MARK, Reference, write
from tramontane.values import FrozenDict, FrozenList, encode, size_of

BIG: Final = 16 * 1024
"""So many characters of JSON text make a value big."""

_KINDS: Final = frozenset({str, FrozenDict, FrozenList})
_REMEMBERED: Final = 64 * 2**20
_REFERENCE_SIZE: Final = 100

Key = tuple[str, str]
"""The tree's root and the hash."""


class BigValue:
    """What is known of a big value. ``size`` is that of its text, in bytes, without its ``parts``.

    ``parts`` are the big values inside of it. ``root_id`` is the tree that it was stored for last, which
    is a hint only: the tree may be gone.
    """

    __slots__ = ("hash", "parts", "reference", "root_id", "size", "text")

    def __init__(self, content_hash: str, size: int, parts: tuple[tuple[BigValue, Any], ...]) -> None:
        self.hash = content_hash
        self.size = size
        self.parts = parts
        self.root_id: str | None = None
        self.reference = Reference(content_hash, size)
        self.text = write(self.reference, 1)


class Memory:
    """Big values that were seen lately, up to so many bytes of text; whoever loads one gets the same."""

    def __init__(self, capacity: int = _REMEMBERED) -> None:
        self._capacity = capacity
        self._size = 0
        self._by_hash: OrderedDict[str, tuple[BigValue, Any]] = OrderedDict()
        self._texts: dict[int, str] = {}  # id of a text that is kept -> its hash

    def find(self, content_hash: str) -> tuple[BigValue, Any] | None:
        found = self._by_hash.get(content_hash)
        if found is not None:
            self._by_hash.move_to_end(content_hash)
        return found

    def find_text(self, text: str) -> BigValue | None:
        """What is known of this very text."""
        content_hash = self._texts.get(id(text))
        if content_hash is None:
            return None
        self._by_hash.move_to_end(content_hash)
        return self._by_hash[content_hash][0]

    def keep(self, big: BigValue, value: Any) -> None:
        """Remember a value: a list or map as it is if it is known already, a text as this object."""
        if big.size > self._capacity:
            return
        known = self._by_hash.get(big.hash)
        if known is not None:
            if type(value) is not str:
                return
            self._drop(big.hash)
        self._by_hash[big.hash] = big, value
        self._size += big.size
        if type(value) is str:
            self._texts[id(value)] = big.hash
        while self._size > self._capacity:
            self._drop(next(iter(self._by_hash)))

    def _drop(self, content_hash: str) -> None:
        big, value = self._by_hash.pop(content_hash)
        self._size -= big.size
        self._texts.pop(id(value), None)


@dataclass(slots=True)
class Found:
    """A big value that something to be written refers to. ``place``: where its text is, if outside."""

    big: BigValue
    value: Any
    written: str | None = None
    place: str | None = None

    def text(self) -> str:
        """The text to store."""
        if self.written is not None:
            return self.written
        return _text_again(self.value, self.big)


class Packing:
    """Writes JSON columns, and collects the big values that they refer to.

    ``size`` counts what is written, in characters; a big value unless it seems to be stored already.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.found: dict[Key, Found] = {}
        self.size = 0

    def write(self, value: Any, root_id: str, *, whole: bool = True) -> str:
        """Write a value as the text of a column; without ``whole`` it stays in the row itself, and only
        what is inside of it may be taken out."""
        if size_of(value) < BIG:
            text = encode(value)
            return write(value) if MARK in text else text
        parts: list[tuple[BigValue, Any]] = []
        packed = self._packed(value, root_id, parts, whole=whole)
        if type(packed) is Reference:
            return parts[0][0].text
        return write(packed, len(parts))

    def _packed(
        self, value: Any, root_id: str, parts: list[tuple[BigValue, Any]], *, whole: bool = True
    ) -> Any:
        """Put references into the places of big values, and those into ``parts``."""
        if size_of(value) < BIG:
            return value
        kind = type(value)
        if kind is str:
            big = self._memory.find_text(value)
            if big is None:
                big = self._take(value, encode(value), (), root_id)
            else:
                self._note(big, value, root_id)
        elif kind is FrozenDict or kind is FrozenList:
            big = getattr(value, "_big", None) if whole else None
            if big is not None:
                self._note(big, value, root_id)
            else:
                inner: list[tuple[BigValue, Any]] = []
                packed = self._inside(value, root_id, inner)
                if not whole or _rest(value, inner) < BIG:
                    parts.extend(inner)
                    return packed
                big = self._take(value, write(packed, len(inner)), tuple(inner), root_id)
                value._big = big
        else:
            return value
        parts.append((big, value))
        return big.reference

    def _inside(self, value: Any, root_id: str, parts: list[tuple[BigValue, Any]]) -> Any:
        if not any(type(item) in _KINDS and size_of(item) >= BIG for item in _items(value)):
            return value
        if type(value) is FrozenDict:
            return {name: self._packed(item, root_id, parts) for name, item in value.items()}
        return [self._packed(item, root_id, parts) for item in value]

    def _take(self, value: Any, text: str, parts: tuple[tuple[BigValue, Any], ...], root_id: str) -> BigValue:
        data = text.encode()
        big = BigValue(hash_of(data), len(data), parts)
        self._memory.keep(big, value)
        self.found[root_id, big.hash] = Found(big, value, text)
        self.size += big.size
        return big

    def _note(self, big: BigValue, value: Any, root_id: str) -> None:
        """Collect a value that is known, with all big values inside."""
        if (root_id, big.hash) not in self.found:
            for part, inner in big.parts:
                self._note(part, inner, root_id)
            self.found[root_id, big.hash] = Found(big, value)
            if big.root_id != root_id:
                self.size += big.size


def _items(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is FrozenDict else value


def hash_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def _rest(value: Any, parts: list[tuple[BigValue, Any]]) -> int:
    """The size of a value with references in the places of its parts."""
    return size_of(value) - sum(size_of(part) - _REFERENCE_SIZE for _, part in parts)


def _text_again(value: Any, big: BigValue) -> str:
    """Write the text that a known big value's hash was made of."""
    if type(value) is str:
        return encode(value)
    references = {id(part): known.reference for known, part in big.parts}
    return write(_referring(value, references, is_top=True), len(big.parts))


def _referring(value: Any, references: Mapping[int, Reference], *, is_top: bool = False) -> Any:
    if size_of(value) < BIG:
        return value
    if not is_top and id(value) in references:
        return references[id(value)]
    if type(value) is FrozenDict:
        return {name: _referring(item, references) for name, item in value.items()}
    if type(value) is FrozenList:
        return [_referring(item, references) for item in value]
    return value
