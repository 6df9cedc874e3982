"""Gathers everything that is wrong with a document, each finding with its place.

Two scales decide what becomes of a finding: errors refuse the document, warnings only do so under
strict checking; and findings that aren't ``always`` made are dropped when checking is switched off.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from tramontane.errors import DefinitionError, Problem
from tramontane.lang.document import CheckOptions
from tramontane.lang.yaml_loader import Document, Path, is_date

INVALID = "Invalid DSL: "
UNPARSABLE = "Definition could not be parsed: "

_SHOWN_PROBLEMS = 10
_SHOWN_TEXT = 60
_MAX_GUESSES = 50  # comparing with a thousand names takes milliseconds each


class Findings:
    """All problems of one document."""

    def __init__(self, document: Document, options: CheckOptions) -> None:
        self._document = document
        self._options = options
        self._problems: list[Problem] = []
        self._guesses = 0
        self._is_sound = True

    def error(
        self, path: Path, message: str, *, of_key: bool = False, always: bool = False, within: int = -1
    ) -> None:
        """Note what refuses the document; ``always``: also when checking is switched off.

        ``of_key`` points to the key instead of the value, ``within`` to a character of the value
        when that stands in the document as it is.
        """
        if always or self._options.validate:
            self._is_sound = False
            self._add(path, message, "error", of_key, within)

    def warning(self, path: Path, message: str, *, of_key: bool = False, within: int = -1) -> None:
        """Note what Mistral accepts but nobody can have meant."""
        if self._options.validate:
            self._add(path, message, "error" if self._options.strict else "warning", of_key, within)

    def warning_at(self, index: int, path: Path, message: str) -> None:
        """Note a warning about an offset of the text."""
        if self._options.validate:
            severity: Literal["error", "warning"] = "error" if self._options.strict else "warning"
            line, column = self._document.source.position(index)
            self._problems.append(Problem(message, path_text(path), line, column, severity))

    def _add(
        self, path: Path, message: str, severity: Literal["error", "warning"], of_key: bool, within: int
    ) -> None:
        index = self._document.offset(path, of_key=of_key)
        if within > 0:
            index = self._inside(path, index, within)
        line, column = self._document.source.position(index)
        self._problems.append(Problem(message, path_text(path), line, column, severity))

    def _inside(self, path: Path, index: int, within: int) -> int:
        """Move on to a character of a text value, when the document spells the value literally."""
        value = value_at(self._document.root, path)
        if not isinstance(value, str):
            return index
        text = self._document.source.text
        quoted = index + (text[index : index + 1] in ("'", '"'))
        return quoted + within if text.startswith(value, quoted) else index

    def nearest(self, name: str, valid: Iterable[str]) -> str:
        """Return « (did you mean 'x'?)» for the valid name that looks most like ``name``, or nothing."""
        if self._guesses >= _MAX_GUESSES:
            return ""
        self._guesses += 1
        close = difflib.get_close_matches(name[:255], [item for item in valid if item != name], 1)
        return f" (did you mean '{close[0]}'?)" if close else ""

    @property
    def is_worth_reading(self) -> bool:
        """True when it makes sense to look for names that don't fit: nothing is wrong but for warnings."""
        return self._is_sound and self._options.validate and self._options.reading

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self._problems)

    def problems(self) -> tuple[Problem, ...]:
        """Return all findings in the order of the text."""
        return tuple(sorted(self._problems, key=lambda problem: (problem.line, problem.column)))

    def refuse_errors(self) -> None:
        """Raise one error with everything that was found, if any of it refuses the document."""
        if self.has_errors:
            raise refusal(INVALID, self.problems())


def refusal(prefix: str, problems: tuple[Problem, ...]) -> DefinitionError:
    """Return the error for ``problems``: its message holds the first errors, one a line."""
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    shown = errors[:_SHOWN_PROBLEMS]
    if len(errors) > len(shown):
        shown.append(f"… and {len(errors) - len(shown)} more")
    return DefinitionError(prefix + "\n".join(shown), problems)


def path_text(path: Path) -> str:
    """Write a place the way people do: ``wf.tasks.t.on-success[1]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def value_at(root: Any, path: Path) -> Any:
    """Return the value at ``path`` or None."""
    for step in path:
        try:
            root = root[step]
        except (KeyError, IndexError, TypeError):
            return None
    return root


def describe(value: Any) -> str:
    """Say in a few words what was found."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_date(value):
        return f"the date {value}"
    if isinstance(value, str):
        return f"text {quoted(value)}" if value else "empty text"
    if isinstance(value, (int, float)):
        return f"the number {value!r:.60}"
    kind = "map" if isinstance(value, dict) else "list"
    return f"a {kind}" if value else f"an empty {kind}"


def quoted(text: str) -> str:
    """Put text in quotes, cut to a readable length."""
    return f"'{text if len(text) <= _SHOWN_TEXT else text[:_SHOWN_TEXT] + '…'}'"
