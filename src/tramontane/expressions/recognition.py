"""What counts as an expression in a text (expression specification, section 1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

JINJA = "jinja"
YAQL = "yaql"
LANGUAGES = frozenset({JINJA, YAQL})

_YAQL = re.compile(r"<%.*?%>")
_YAQL_LINES = re.compile(r"<%.*?%>", re.DOTALL)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
_JINJA_LINES = re.compile(_JINJA.pattern, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """One ``<% … %>`` in a text.

    ``start`` and ``end`` enclose it with its delimiters, ``offset`` is where ``source`` begins.
    ``is_certain`` is false for one that spans lines: if it can't be parsed, it is plain text.
    """

    start: int
    end: int
    source: str
    offset: int
    is_certain: bool


def has_jinja(text: str) -> bool:
    """Tell whether the text holds a Jinja tag within one line; the whole text is then a template."""
    return "{" in text and _JINJA.search(text) is not None


def may_have_jinja(text: str) -> bool:
    """Tell whether the text holds a Jinja tag, perhaps over several lines."""
    return "{" in text and _JINJA_LINES.search(text) is not None


def has_yaql(text: str) -> bool:
    """Tell whether the text holds a YAQL expression within one line."""
    return "<%" in text and _YAQL.search(text) is not None


def yaql_spans(text: str) -> list[Span]:
    """Return the YAQL expressions of a text, in order."""
    if "<%" not in text:
        return []
    spans = []
    end = 0
    for match in _YAQL.finditer(text):
        spans += _spans_over_lines(text, end, match.start())
        spans.append(_span(text, match.start(), match.end(), True))
        end = match.end()
    return spans + _spans_over_lines(text, end, len(text))


def _spans_over_lines(text: str, start: int, end: int) -> list[Span]:
    return [
        _span(text, match.start(), match.end(), False) for match in _YAQL_LINES.finditer(text, start, end)
    ]


def _span(text: str, start: int, end: int, is_certain: bool) -> Span:
    inner = text[start + 2 : end - 2]
    # No expression begins or ends with these characters, but documents have them (<%% … %%>).
    source = inner.lstrip("<%>")
    source = source.strip()
    offset = start + 2 + inner.find(source) if source else start + 2
    return Span(start, end, source.rstrip("<%>").rstrip(), offset, is_certain)
