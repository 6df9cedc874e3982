"""What a value of a document may look like: small named shapes, used in tables of attributes.

A shape has ``kinds``, the types that a loaded spec can live with (other ones refuse the document
even when checking is switched off), and a rule on top of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.lang.expression_check import is_pure
from tramontane.lang.findings import Findings, describe
from tramontane.lang.yaml_loader import Map, Path

_NONE = type(None)
_EXPRESSION_TEXT = "one expression (<% … %> or {{ … }})"


@dataclass(frozen=True, slots=True)
class Shape:
    """``expected`` completes «expected …»; ``accepts`` is asked for values of the right kinds only."""

    expected: str
    kinds: tuple[type, ...]
    accepts: Callable[[Any], bool]

    def check(self, findings: Findings, value: Any, path: Path) -> bool:
        """Note a finding unless ``value`` has this shape; return whether it has."""
        readable = isinstance(value, self.kinds)
        if readable and self.accepts(value):
            return True
        findings.error(path, f"found {describe(value)}, expected {self.expected}", always=not readable)
        return False


def is_whole(value: Any) -> bool:
    """True for an integer of at least 0; ``1.0`` is one, ``true`` isn't."""
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return value >= 0 and value.is_integer()
    return isinstance(value, int) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


_SCALAR = (str, bool, int, float, _NONE)

TEXT = Shape("non-empty text", (str, _NONE), _is_text)
MAP = Shape("a map with at least one entry", (dict, _NONE), bool)
LIST = Shape("a list with at least one item", (list, _NONE), bool)
FLAG = Shape(
    f"true, false or {_EXPRESSION_TEXT}", _SCALAR, lambda value: isinstance(value, bool) or is_pure(value)
)
WHOLE = Shape(
    f"a whole number of at least 0 or {_EXPRESSION_TEXT}",
    _SCALAR,
    lambda value: is_whole(value) or is_pure(value),
)
CONDITION = Shape(_EXPRESSION_TEXT, _SCALAR, is_pure)
ANYTHING = Shape("anything", (object,), lambda _: True)


def check_texts(findings: Findings, value: Any, path: Path) -> bool:
    """Check a list of unique, non-empty texts."""
    if not LIST.check(findings, value, path):
        return False
    good = True
    for index, item in enumerate(value):
        good = TEXT.check(findings, item, (*path, index)) and good
    return check_unique(findings, value, path) and good


def check_unique(findings: Findings, items: list[Any], path: Path) -> bool:
    """Note each item of a list that stood in it before."""
    seen: set[str] = set()
    good = True
    for index, item in enumerate(items):
        mark = json.dumps(item, sort_keys=True, default=str)
        if mark in seen:
            findings.error((*path, index), f"found {describe(item)} twice, expected unique items")
            good = False
        seen.add(mark)
    return good


def check_keys(findings: Findings, value: Any, path: Path) -> None:
    """Refuse keys that YAML reads as something else than text (Mistral fails on them)."""
    if isinstance(value, Map):
        for odd in value.odd:
            findings.error(
                (*path, odd.text),
                f"the key is {describe(odd.found)}, expected text: put it in quotes ('{odd.text}')",
                of_key=True,
                always=True,
            )


def unknown_keys(value: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Return the keys that are not among ``known``; those that aren't text are reported elsewhere."""
    odd = {item.text for item in value.odd} if isinstance(value, Map) else set()
    return [key for key in value if key not in known and key not in odd]


def refuse_unknown(
    findings: Findings, value: Mapping[str, Any], path: Path, known: Collection[str], what: str
) -> None:
    """Note every key of a map that has no meaning there."""
    for key in unknown_keys(value, known):
        hint = findings.nearest(key, known)
        findings.error((*path, key), f"unknown {what} '{key[:100]}'{hint}", of_key=True)
