"""On-clauses in all their spellings → an ordered list of targets and a publish (spec, section 4.3).

Reading never fails: what has no meaning is left out here and reported by the checks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.lang.oneline import OneLineError, parse_arguments, parse_command
from tramontane.lang.spec import COMMANDS, Clause
from tramontane.lang.yaml_loader import Path

CLAUSES: tuple[Clause, ...] = ("on-success", "on-error", "on-complete", "on-skip")
ADVANCED_KEYS = ("publish", "next")

_NAME = re.compile(r"\S+")
_WITH_PARAMETERS = re.compile(r"\w+ \w+=.*")
_IN_PARENTHESES = re.compile(r"(\w+)\(\w+=.*\)")


@dataclass(frozen=True, slots=True)
class ClauseTarget:
    """One target as written: ``guard`` is expression text, ``place`` leads to it inside the clause."""

    text: str
    name: str
    guard: str | None = None
    parameters: Mapping[str, Any] | None = None
    leftover: tuple[str, ...] = ()
    place: Path = ()


@dataclass(frozen=True, slots=True)
class ReadClause:
    """A clause; ``bare_map``: its one guarded target is no list, which Mistral drops without a word."""

    targets: tuple[ClauseTarget, ...] = ()
    publish: Mapping[str, Any] | None = None
    bare_map: bool = False


NOTHING = ReadClause()


def read_clause(value: Any) -> ReadClause:
    """Return what a clause says, in whichever of its forms it is written."""
    if type(value) is str:
        return ReadClause((read_target(value),)) if value else NOTHING
    if isinstance(value, list):
        return ReadClause(_listed(value, ()))
    if not isinstance(value, Mapping) or not value:
        return NOTHING
    if not is_advanced(value):
        return ReadClause(_guarded(value, ()), bare_map=True)
    publish = value.get("publish")
    return ReadClause(
        _next_targets(value.get("next")), publish if isinstance(publish, Mapping) and publish else None
    )


def is_advanced(value: Mapping[str, Any]) -> bool:
    """True for a map of ``publish`` and ``next``, false for ``target: guard``."""
    return any(key in value for key in ADVANCED_KEYS)


def is_target_text(text: str) -> bool:
    """True when text is a name, ``name a=…`` or ``name(a=…)``."""
    return bool(_NAME.fullmatch(text) or _WITH_PARAMETERS.fullmatch(text) or _IN_PARENTHESES.fullmatch(text))


def read_target(text: str, guard: str | None = None, place: Path = ()) -> ClauseTarget:
    """Split a target into name and parameters; ``fail(msg='a')`` is one of a command, with or
    without a space in it, but ``t(x=1)`` without a space is just a (strange) name."""
    in_parentheses = _IN_PARENTHESES.fullmatch(text) if "(" in text else None
    if in_parentheses and (in_parentheses[1] in COMMANDS or not _NAME.fullmatch(text)):
        try:
            inner = parse_arguments(text[in_parentheses.end(1) + 1 : -1])
        except OneLineError:
            return ClauseTarget(text, in_parentheses[1], guard, None, (text,), place)
        return ClauseTarget(text, in_parentheses[1], guard, inner.parameters, inner.leftover, place)
    if _NAME.fullmatch(text):
        return ClauseTarget(text, text, guard, None, (), place)
    try:
        whole = parse_command(text)
    except OneLineError:
        return ClauseTarget(text, text, guard, None, (), place)
    return ClauseTarget(text, whole.command, guard, whole.parameters or None, whole.leftover, place)


def _next_targets(value: Any) -> tuple[ClauseTarget, ...]:
    place: Path = ("next",)
    if isinstance(value, str) and value:
        return (read_target(value, None, place),)
    if isinstance(value, list):
        return _listed(value, place)
    return _guarded(value, place) if isinstance(value, Mapping) else ()


def _listed(items: list[Any], place: Path) -> tuple[ClauseTarget, ...]:
    targets: list[ClauseTarget] = []
    for index, item in enumerate(items):
        if isinstance(item, str) and item:
            targets.append(read_target(item, None, (*place, index)))
        elif isinstance(item, Mapping):
            targets.extend(_guarded(item, (*place, index)))
    return tuple(targets)


def _guarded(value: Mapping[str, Any], place: Path) -> tuple[ClauseTarget, ...]:
    return tuple(
        read_target(text, guard, (*place, text))
        for text, guard in value.items()
        if text and isinstance(guard, str)
    )
