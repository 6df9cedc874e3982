"""Syntax checks of expressions inside documents; a text that occurs often is parsed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tramontane.expressions import ExpressionSyntaxError, check, left_as_text
from tramontane.expressions.reads import Reads, find_reads, reads_of
from tramontane.lang.findings import Findings, quoted
from tramontane.lang.yaml_loader import Path

_PURE = re.compile(r"<%.*?%>\s*|\{\{.*?\}\}\s*")


def is_pure(value: Any) -> bool:
    """True for text that is nothing but an expression, as policies and guards demand it."""
    return isinstance(value, str) and _PURE.fullmatch(value) is not None


def may_hold_expression(text: str) -> bool:
    """Tell quickly whether it is worth looking for an expression."""
    return "<%" in text or "{{" in text or "{%" in text


class ExpressionCheck:
    """Checks the expressions of one document.

    Where Mistral checks a text at upload too, a broken expression refuses the document; elsewhere
    it is a warning, because the document may run well without ever evaluating it.
    """

    def __init__(self, findings: Findings, languages: frozenset[str]) -> None:
        self._findings = findings
        self._languages = languages
        self._results: dict[str, ExpressionSyntaxError | str | None] = {}
        self._reads: dict[str, Reads | None] = {}

    def text(self, text: str, path: Path, *, lenient: bool = False, always: bool = False) -> None:
        """Check one text; ``lenient``: only warn."""
        if not may_hold_expression(text):
            return
        result = self._checked(text)
        if result is None:
            return
        if isinstance(result, str):
            self._findings.warning(path, f"{quoted(text)} {result}")
            return
        message = f"{result} in {quoted(text)}"
        within = -1 if result.offset is None else result.offset
        if lenient:
            self._findings.warning(path, message, within=within)
        else:
            self._findings.error(path, message, always=always, within=within)

    def tree(self, value: Any, path: Path, *, lenient: bool = False) -> None:
        """Check every text in a value: those of the first level strictly unless ``lenient``, as
        Mistral does, deeper ones leniently. Keys are never evaluated."""
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in entries:
            kind = type(item)
            if kind is str:
                if may_hold_expression(item) and self._results.get(item, _UNKNOWN) is not None:
                    self.text(item, (*path, key), lenient=lenient)
            elif isinstance(item, (dict, list)):
                self.tree(item, (*path, key), lenient=True)

    def reads(self, text: str) -> Reads | None:
        """Return what the expressions in a text read; None if it holds none."""
        if text not in self._reads:
            self._reads[text] = find_reads(text)
        return self._reads[text]

    def _checked(self, text: str) -> ExpressionSyntaxError | str | None:
        """Return the error, or why something that looks like an expression stays text, or None."""
        if text in self._results:
            return self._results[text]
        result: ExpressionSyntaxError | str | None = None
        try:
            trees = check(text, self._languages)
            if "\n" in text:
                result = left_as_text(text)
            elif self._findings.is_worth_reading:
                self._reads[text] = reads_of(trees)
        except ExpressionSyntaxError as error:
            result = error.with_traceback(None)
        self._results[text] = result
        return result


_UNKNOWN = ""
