"""YAML text → plain data that knows where each key and value stands.

The parser is libyaml's where PyYAML has it; this module turns its events into maps and lists by
itself, because Mistral's YAML differs from the usual one and because positions must cost little:

* ``&``, ``*`` and ``@`` open no anchors and no aliases, they are ordinary characters. They are
  replaced by unused private characters of the same width before parsing, and put back afterwards.
* Every map and list remembers the offsets of its entries; lines and columns are computed only for
  the few places that are reported.
* A key that stands twice is reported, the last one wins. Keys that aren't text become text, and the
  map remembers them for the places where that is refused.
* Nothing here recurses, and nesting is bounded.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml
from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from tramontane.lang.scalars import DateText, ScalarError, key_text, plain_value, short_tag, tagged_value

MAX_DEPTH = 200
"""Deepest nesting of maps and lists that a document may have."""

Path = tuple[str | int, ...]
"""Place in a document: keys of maps and indexes of lists."""

_TOO_DEEP = f"maps and lists are nested deeper than {MAX_DEPTH} levels"
_TAG = "tag:yaml.org,2002:"
_SWAPPED = "&*@"
_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE))
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|\r|\n")
# What Python's scanner takes and libyaml refuses: surrogate pairs as JSON writes them, inner
# byte-order marks, directives, tabs at the head of a block scalar's empty line.
_LIBYAML_IS_STRICTER = re.compile("\\\\u[dD][89aAbB]|\ufeff|^%|^ *\t", re.MULTILINE)
_MAX_SECOND_TRY = 2**20  # Python's parser is some fifty times slower
_SURROGATE = re.compile("[\ud800-\udfff]")
_start: Callable[[Event], int] = operator.attrgetter("start_mark.index")
_end: Callable[[Event], int] = operator.attrgetter("end_mark.index")


class YamlError(Exception):
    """The text isn't YAML that can be taken; ``index`` is the offset of the place (-1: none)."""

    def __init__(self, message: str, index: int = -1) -> None:
        super().__init__(message)
        self.message = message
        self.index = index


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of an entry in the text: of its key, of its value, and past the value's last character."""

    key: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class OddKey:
    """A key that isn't text, such as ``5`` or ``yes``; ``found`` tells what YAML makes of it."""

    text: str
    found: Any
    index: int


class Map(dict[str, Any]):
    """A map of the document with the places of its entries."""

    __slots__ = ("flow", "odd", "spans", "start")

    def __init__(self, start: int, flow: bool) -> None:
        super().__init__()
        self.start = start
        self.flow = flow
        self.spans: dict[str, Span] = {}
        self.odd: list[OddKey] = []


class Seq(list[Any]):
    """A list of the document with the offsets of its items."""

    __slots__ = ("spans", "start")

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start
        self.spans: list[int] = []


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that stood in its map before."""

    path: Path
    index: int


@dataclass(slots=True)
class Source:
    """The text without a byte-order mark, which all offsets refer to."""

    text: str
    _starts: list[int] = field(default_factory=list)

    def position(self, index: int) -> tuple[int, int]:
        """Return line and column of an offset, both from 1 (0, 0: unknown)."""
        if index < 0:
            return 0, 0
        if not self._starts:
            self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]
        line = bisect.bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text; ``root`` is None when it holds nothing."""

    source: Source
    root: Any
    duplicates: tuple[Duplicate, ...]

    def offset(self, path: Path, *, of_key: bool = False) -> int:
        """Return the offset of the value at ``path`` (of its key), or of the nearest place around it."""
        node: Any = self.root
        found = getattr(node, "start", 0)
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, Map) and isinstance(step, str) and step in node.spans:
                span = node.spans[step]
                found = span.key if of_key and last else span.value
                node = node.get(step)
            elif isinstance(node, Seq) and isinstance(step, int) and 0 <= step < len(node.spans):
                found = node.spans[step]
                node = node[step]
            else:
                break
        return found


def load(text: str) -> Document:
    """Parse one YAML document.

    Raises:
        YamlError: when it is no YAML, more than one document, nested too deeply, or uses
            characters, tags or keys that can't be taken.
    """
    source = Source(text[1:] if text.startswith("\ufeff") else text)
    forbidden = _FORBIDDEN.search(source.text)
    if forbidden:
        code = ord(forbidden.group())
        raise YamlError(f"the control character U+{code:04X} can't be used", forbidden.start())
    swapped, restore = _swap(source.text)
    try:
        return _parse(source, swapped, restore, _FAST)
    except YamlError:
        if _FAST is _PythonParser or not _worth_second_try(source.text):
            raise
    return _parse(source, swapped, restore, _PythonParser)


def _worth_second_try(text: str) -> bool:
    return len(text) <= _MAX_SECOND_TRY and _LIBYAML_IS_STRICTER.search(text) is not None


def _swap(text: str) -> tuple[str, dict[int, str] | None]:
    """Replace ``&``, ``*`` and ``@`` by private characters that the text doesn't use."""
    present = [char for char in _SWAPPED if char in text]
    if not present:
        return text, None
    unused = (chr(code) for code in itertools.chain(*_PRIVATE) if chr(code) not in text)
    pairs = list(zip(present, unused, strict=False))
    if len(pairs) < len(present):
        raise YamlError("the text uses every private-use character of Unicode; leave some of them out")
    for char, stand_in in pairs:
        text = text.replace(char, stand_in)
    return text, {ord(stand_in): char for char, stand_in in pairs}


class _Parser(Protocol):
    def get_event(self) -> Event | None: ...


class _PythonParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML's own parser, for what libyaml refuses without need."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


# libyaml's, unless PyYAML was built without it.
_FAST: Callable[[str], _Parser] = getattr(getattr(yaml, "cyaml", None), "CParser", _PythonParser)


def _parse(
    source: Source, text: str, restore: dict[int, str] | None, parser: Callable[[str], _Parser]
) -> Document:
    builder = _Builder(restore)
    try:
        root = builder.build(parser(text).get_event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        index = mark.index if mark else -1
        raise YamlError(_explain(error, source.text, index), index) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0]) from None
    return Document(source, root, tuple(builder.duplicates))


def _explain(error: yaml.MarkedYAMLError, text: str, index: int) -> str:
    problem = error.problem or "this is no YAML"
    if error.context and not error.context.startswith("while scanning for the next token"):
        problem = f"{problem}, {error.context}"
    char = text[index : index + 1]
    line_start = max(text.rfind("\n", 0, max(index, 0)), text.rfind("\r", 0, max(index, 0))) + 1
    line = text[line_start : index + 200].splitlines()[:1]
    if "nesting" in problem:
        return _TOO_DEEP
    if char == "\t":
        return "a tab stands where only spaces may: indent with spaces"
    if line and "{{" in line[0]:
        return f"{problem}; put values that begin with '{{{{' in quotes"
    if char and "cannot start any token" in problem:
        return f"no value can begin with the character '{char}'; put it in quotes"
    return problem


@dataclass(slots=True)
class _Frame:
    """A map or list that isn't complete yet."""

    container: Map | Seq
    kind: str  # "map", "list", "set" or "pairs"
    key: str | None = None
    key_index: int = 0
    value_index: int = 0
    is_merge: bool = False
    merges: list[tuple[Any, int]] = field(default_factory=list)


class _Builder:
    """Makes data of events; ``duplicates`` lists the keys that stand twice."""

    def __init__(self, restore: dict[int, str] | None) -> None:
        self.duplicates: list[Duplicate] = []
        self._restore = restore
        self._stack: list[_Frame] = []
        self._end = 0

    def build(self, get_event: Callable[[], Event | None]) -> Any:
        """Read all events and return the one document's data (None when there is none)."""
        root: Any = None
        documents = 0
        while True:
            event = get_event()
            if type(event) is ScalarEvent:
                value = self._scalar(event)
                end = _end(event)
                if end > _start(event):
                    self._end = end
            elif isinstance(event, CollectionStartEvent):
                self._open(event)
                continue
            elif isinstance(event, CollectionEndEvent):
                if _end(event) > _start(event):
                    self._end = _end(event)
                value = self._close()
            elif isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YamlError("only one document may stand in the text", _start(event))
                continue
            elif event is None or isinstance(event, StreamEndEvent):
                return root
            else:
                continue
            if self._stack:
                self._attach(value)
            else:
                root = value

    def _scalar(self, event: ScalarEvent) -> Any:
        frame = self._stack[-1] if self._stack else None
        text: str = event.value
        if self._restore is not None and not text.isascii():
            text = text.translate(self._restore)
        index = _start(event)
        value = self._value(event, text, index)
        if frame is None:
            return value
        if frame.key is None and isinstance(frame.container, Map):
            return self._key(frame, value, index, merge=event.implicit[0] and text == "<<")
        frame.value_index = index
        return value

    def _value(self, event: ScalarEvent, text: str, index: int) -> Any:
        tag = event.tag
        try:
            if tag is not None and tag != "!":
                return tagged_value(tag, text)
            if tag == "!" or not event.style:
                return plain_value(text)
        except ScalarError as error:
            raise YamlError(str(error), index) from None
        if not text.isascii() and _SURROGATE.search(text):
            return _joined_surrogates(text, index)
        return text

    def _key(self, frame: _Frame, value: Any, index: int, merge: bool) -> Any:
        if type(value) is not str:
            text = key_text(value)
            frame.container.odd.append(OddKey(text, value, index))  # type: ignore[union-attr]
            value = text
        frame.key, frame.key_index, frame.is_merge = value, index, bool(merge)
        return _IS_KEY

    def _open(self, event: CollectionStartEvent) -> None:
        index = _start(event)
        if len(self._stack) >= MAX_DEPTH:
            raise YamlError(_TOO_DEEP, index)
        if self._stack:
            frame = self._stack[-1]
            if isinstance(frame.container, Map) and frame.key is None:
                raise YamlError(
                    "a map or a list can't be a key; put a value that begins with '{{' in quotes", index
                )
            frame.value_index = index
        is_map = isinstance(event, MappingStartEvent)
        kind = _collection_kind(event.tag, is_map, index)
        container = Map(index, bool(event.flow_style)) if is_map else Seq(index)
        self._stack.append(_Frame(container, kind))

    def _close(self) -> Any:
        frame = self._stack.pop()
        container = frame.container
        if frame.merges and isinstance(container, Map):
            return _merged(container, frame.merges)
        if frame.kind == "set" and isinstance(container, Map):
            return _listed(container, list(container))
        if frame.kind == "pairs":
            return _pairs(container)
        return container

    def _attach(self, value: Any) -> None:
        if value is _IS_KEY:
            return
        frame = self._stack[-1]
        container = frame.container
        if isinstance(container, Seq):
            container.append(value)
            container.spans.append(frame.value_index)
            return
        key = frame.key or ""
        frame.key = None
        if frame.is_merge:
            frame.merges.append((value, frame.value_index))
            return
        if key in container:
            self.duplicates.append(Duplicate((*self._path(), key), frame.key_index))
        container[key] = value
        container.spans[key] = Span(frame.key_index, frame.value_index, self._end)

    def _path(self) -> Path:
        return tuple(
            frame.key or "" if isinstance(frame.container, Map) else len(frame.container)
            for frame in self._stack[:-1]
        )


_IS_KEY = object()


@functools.lru_cache(maxsize=64)
def _kinds(tag: str | None) -> str | None:
    names = {"map": "map", "seq": "list", "set": "set", "omap": "pairs", "pairs": "pairs"}
    return names.get(tag[len(_TAG) :]) if tag and tag.startswith(_TAG) else None


def _collection_kind(tag: str | None, is_map: bool, index: int) -> str:
    if tag is None or tag == "!":
        return "map" if is_map else "list"
    kind = _kinds(tag)
    if kind is None or (kind in ("map", "set")) != is_map:
        raise YamlError(f"the tag '{short_tag(tag)}' can't be used here", index)
    return kind


def _merged(own: Map, merges: list[tuple[Any, int]]) -> Map:
    """Put the entries of ``<<`` before the map's own ones, which win."""
    result = Map(own.start, own.flow)
    for value, index in merges:
        maps = value[::-1] if isinstance(value, Seq) else [value]
        if not all(isinstance(item, Map) for item in maps):
            raise YamlError("'<<' takes a map or a list of maps", index)
        for item in [*maps]:
            result.update(item)
            result.spans.update(item.spans)
            result.odd.extend(item.odd)
    result.update(own)
    result.spans.update(own.spans)
    result.odd.extend(own.odd)
    return result


def _listed(container: Map, items: list[Any]) -> Seq:
    result = Seq(container.start)
    result.extend(items)
    result.spans.extend(container.spans[item].key for item in items)
    return result


def _pairs(container: Map | Seq) -> Seq:
    result = Seq(container.start)
    for item in container:
        if not isinstance(item, Map) or len(item) != 1:
            raise YamlError("'!!omap' and '!!pairs' take a list of maps with one entry", container.start)
        [(key, value)] = item.items()
        pair = Seq(item.start)
        pair.extend((key, value))
        pair.spans.extend((item.spans[key].key, item.spans[key].value))
        result.append(pair)
        result.spans.append(item.start)
    return result


def _joined_surrogates(text: str, index: int) -> str:
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise YamlError("half of a surrogate pair can't be stored", index) from None


def is_date(value: Any) -> bool:
    """True for text that stood in the document as a date."""
    return isinstance(value, DateText)
