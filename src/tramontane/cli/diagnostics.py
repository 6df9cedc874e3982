"""Findings about a document as a compiler shows them: place, message, the line and a mark under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import click
from rich.cells import cell_len

from tramontane.errors import Problem

_LINE_BREAK = re.compile("\r\n|\r|\n")
_WORD = re.compile(r"[\w.-]+")
_COLOURS = {"error": "red", "warning": "yellow"}
_WIDEST = 110
_BEFORE_MARK = 60  # characters kept before the mark in a line that is cut


@dataclass(frozen=True)
class Source:
    """A text and the name that it is shown under."""

    name: str
    text: str
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", _LINE_BREAK.split(self.text))

    def line(self, number: int) -> str | None:
        """Return a line, counted from 1; None: there is no such line."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else None


def render(problem: Problem, source: Source) -> Iterator[str]:
    """Yield the lines that show one finding."""
    place = f"{source.name}:{problem.line}:{problem.column}" if problem.line else source.name
    severity = click.style(f"{problem.severity}:", fg=_COLOURS[problem.severity], bold=True)
    path = f"  [{problem.path}]" if problem.path else ""
    first, *more = problem.message.splitlines() or [""]
    yield f"{click.style(place, bold=True)}: {severity} {first}{click.style(path, dim=True)}"
    yield from (f"    {line}" for line in more)
    yield from _excerpt(problem, source)


def _excerpt(problem: Problem, source: Source) -> Iterator[str]:
    line = source.line(problem.line)
    if line is None or not problem.column:
        return
    start = min(problem.column - 1, len(line))
    word = _WORD.match(line, start)
    length = max(1, len(word.group()) if word else 1)
    text, start = _cut(_printable(line), start)
    number = f"{problem.line:>5} | "
    indent = "".join("\t" if char == "\t" else " " * cell_len(char) for char in text[:start])
    mark = "^" * max(1, cell_len(text[start : start + length]))
    yield f"{click.style(number, dim=True)}{text}"
    shown_mark = click.style(mark, fg=_COLOURS[problem.severity], bold=True)
    yield f"{click.style(' ' * (len(number) - 2) + '| ', dim=True)}{indent}{shown_mark}"


def _cut(line: str, start: int) -> tuple[str, int]:
    """Shorten a long line around the place that is marked, and move the place along."""
    if len(line) <= _WIDEST:
        return line, start
    first = max(0, start - _BEFORE_MARK)
    head = "…" if first else ""
    tail = "…" if first + _WIDEST < len(line) else ""
    return f"{head}{line[first : first + _WIDEST]}{tail}", start - first + len(head)


def _printable(line: str) -> str:
    """Replace what would move a terminal's cursor, character by character."""
    return "".join(char if char.isprintable() or char == "\t" else "�" for char in line)
