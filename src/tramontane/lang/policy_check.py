"""Checks of what tasks and ``task-defaults`` have in common: policies and on-clauses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.lang.clauses import ADVANCED_KEYS, ClauseTarget, is_advanced, is_target_text, read_clause
from tramontane.lang.expression_check import ExpressionCheck
from tramontane.lang.findings import Findings, describe, quoted
from tramontane.lang.oneline import OneLineError, parse_parameters
from tramontane.lang.shapes import (
    CONDITION,
    FLAG,
    LIST,
    MAP,
    WHOLE,
    Shape,
    check_keys,
    check_unique,
    refuse_unknown,
)
from tramontane.lang.spec import COMMANDS
from tramontane.lang.yaml_loader import Path

SCOPES = ("branch", "global", "atomic")
POLICIES: dict[str, Shape] = {
    "wait-before": WHOLE,
    "wait-after": WHOLE,
    "timeout": WHOLE,
    "concurrency": WHOLE,
    "pause-before": FLAG,
    "fail-on": FLAG,
}
RETRY_PARAMETERS: dict[str, Shape] = {
    "count": WHOLE,
    "delay": WHOLE,
    "break-on": CONDITION,
    "continue-on": CONDITION,
}
IGNORED = ("name", "version", "description", "tags")  # Mistral takes them everywhere
_TARGET = "a task or command name, 'name a=…' or 'name(a=…)'"
_CLAUSE = f"{_TARGET}, a list of them, or a map of 'publish' and 'next'"
_MAP_OR_TEXT = Shape("a map or text 'count=… delay=…'", (dict, str, type(None)), bool)


@dataclass(frozen=True, slots=True)
class Checks:
    """What every check needs: where findings go, and the expressions' check."""

    findings: Findings
    expressions: ExpressionCheck


def check_scalar(checks: Checks, shape: Shape, value: Any, path: Path) -> None:
    """Check a literal or an expression."""
    if shape.check(checks.findings, value, path) and isinstance(value, str):
        checks.expressions.text(value, path)


def check_retry(checks: Checks, value: Any, path: Path) -> None:
    """Check a retry policy in either form."""
    findings = checks.findings
    if not _MAP_OR_TEXT.check(findings, value, path):
        return
    if isinstance(value, str):
        try:
            line = parse_parameters(value)
        except OneLineError as error:
            findings.error(path, str(error), always=True)
            return
        if line.parameters:
            _warn_leftover(findings, line.leftover, path)
        parts: Mapping[str, Any] = line.parameters
    else:
        check_keys(findings, value, path)
        parts = value
    refuse_unknown(findings, parts, path, (*RETRY_PARAMETERS, *IGNORED), "parameter of 'retry'")
    for name in ("count", "delay"):
        if name not in parts:
            findings.error(path, f"'{name}' is missing, expected at least 'count' and 'delay'")
    for name, shape in RETRY_PARAMETERS.items():
        if name in parts:
            check_scalar(checks, shape, parts[name], (*path, name))


def _warn_leftover(findings: Findings, leftover: tuple[str, ...], path: Path) -> None:
    for piece in leftover:
        findings.warning(
            path,
            f"{quoted(piece)} has no effect, expected parameters such as a=1 b='text' c=<% $.x %>",
        )


def check_clause(checks: Checks, value: Any, path: Path) -> None:
    """Check shape and expressions of an on-clause; whether targets exist is the graph's matter."""
    findings = checks.findings
    if isinstance(value, str):
        _check_target(findings, value, path)
    elif isinstance(value, list):
        _check_targets(findings, value, path)
    elif isinstance(value, dict) and value:
        check_keys(findings, value, path)
        if is_advanced(value):
            _check_advanced(checks, value, path)
        else:
            _check_guarded(findings, value, path)
    else:
        findings.error(path, f"found {describe(value)}, expected {_CLAUSE}")
        return
    clause = read_clause(value)
    for target in clause.targets:
        lenient = clause.bare_map or target.place == ("next", target.text)
        _check_target_expressions(checks, target, path, lenient=lenient)


def _check_advanced(checks: Checks, value: Mapping[str, Any], path: Path) -> None:
    findings = checks.findings
    refuse_unknown(findings, value, path, ADVANCED_KEYS, "part of an on-clause")
    if "publish" in value:
        _check_publish(checks, value["publish"], (*path, "publish"))
    if "next" not in value:
        return
    following, place = value["next"], (*path, "next")
    if isinstance(following, str):
        _check_target(findings, following, place)
    elif isinstance(following, list):
        _check_targets(findings, following, place)
    elif isinstance(following, dict) and following:
        check_keys(findings, following, place)
        _check_guarded(findings, following, place)
    else:
        findings.error(place, f"found {describe(following)}, expected {_TARGET}, or a list of them")


def _check_publish(checks: Checks, value: Any, path: Path) -> None:
    findings = checks.findings
    if not MAP.check(findings, value, path):
        return
    check_keys(findings, value, path)
    refuse_unknown(findings, value, path, (*SCOPES, *IGNORED), "scope of 'publish'")
    for scope in SCOPES:
        if scope not in value:
            continue
        variables, place = value[scope], (*path, scope)
        if MAP.check(findings, variables, place):
            check_keys(findings, variables, place)
            checks.expressions.tree(variables, place)
    if "atomic" in value:
        findings.warning(
            (*path, "atomic"), "the scope 'atomic' does nothing, use 'branch' or 'global'", of_key=True
        )


def _check_targets(findings: Findings, items: list[Any], path: Path) -> None:
    if not LIST.check(findings, items, path):
        return
    for index, item in enumerate(items):
        place = (*path, index)
        if isinstance(item, str):
            _check_target(findings, item, place)
        elif isinstance(item, dict) and item:
            check_keys(findings, item, place)
            _check_guarded(findings, item, place)
        else:
            findings.error(place, f"found {describe(item)}, expected {_TARGET}, or one with a condition")
    check_unique(findings, items, path)


def _check_guarded(findings: Findings, value: Mapping[str, Any], path: Path) -> None:
    if len(value) > 1:
        findings.error(path, f"found a map of {len(value)} targets, expected one: make it a list")
    for text, guard in value.items():
        _check_target(findings, text, (*path, text), of_key=True)
        CONDITION.check(findings, guard, (*path, text))


def _check_target(findings: Findings, text: str, path: Path, *, of_key: bool = False) -> None:
    if not is_target_text(text):
        hint = " (a target can't be an expression)" if text.startswith(("<%", "{{")) else ""
        findings.error(path, f"found {describe(text)}, expected {_TARGET}{hint}", of_key=of_key)


def _check_target_expressions(checks: Checks, target: ClauseTarget, path: Path, *, lenient: bool) -> None:
    place = (*path, *target.place)
    if target.guard is not None:
        checks.expressions.text(target.guard, place, lenient=lenient)
    if not is_target_text(target.text):
        return
    _warn_leftover(checks.findings, target.leftover, place)
    if not target.parameters:
        return
    checks.expressions.tree(target.parameters, place, lenient=True)
    if target.name not in COMMANDS:
        checks.findings.warning(place, f"parameters of '{target.name}' have no effect: it is no command")
