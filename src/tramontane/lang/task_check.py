"""Checks of one task: attributes by table, then what concerns several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.lang.clauses import CLAUSES
from tramontane.lang.findings import describe, quoted
from tramontane.lang.oneline import OneLineError, parse_command
from tramontane.lang.policy_check import (
    POLICIES,
    Checks,
    check_clause,
    check_retry,
    check_scalar,
)
from tramontane.lang.shapes import (
    ANYTHING,
    FLAG,
    MAP,
    TEXT,
    Shape,
    check_keys,
    check_texts,
    is_whole,
    refuse_unknown,
)
from tramontane.lang.withitems import WithItemsError, entries, parse_items
from tramontane.lang.yaml_loader import Path

MAX_NAME = 255
MAX_JOIN_NAME = 208

Check = Callable[[Checks, Any, Path], None]

_TEXT_OR_MAP = Shape("a map with at least one entry, or non-empty text", (dict, str, type(None)), bool)
_TEXT_OR_LIST = Shape("non-empty text, or a list with at least one item", (list, str, type(None)), bool)
_JOIN = Shape(
    "'all', 'one' or a whole number",
    (str, int, float, type(None)),
    lambda value: value in ("all", "one") if isinstance(value, str) else is_whole(value),
)


@dataclass(frozen=True, slots=True)
class ShapeCheck:
    """A check of a shape; ``is_scalar``: the syntax of text is checked too, since it is an expression."""

    shape: Shape
    is_scalar: bool = False

    def __call__(self, checks: Checks, value: Any, path: Path) -> None:
        if self.is_scalar:
            check_scalar(checks, self.shape, value, path)
        else:
            self.shape.check(checks.findings, value, path)


def shape_check(shape: Shape) -> Check:
    """Make a check of a shape."""
    return ShapeCheck(shape)


def scalar_check(shape: Shape) -> Check:
    """Make a check of a literal or expression."""
    return ShapeCheck(shape, is_scalar=True)


def evaluated_map(checks: Checks, value: Any, path: Path) -> None:
    """Check a map whose values are evaluated."""
    if MAP.check(checks.findings, value, path):
        check_keys(checks.findings, value, path)
        checks.expressions.tree(value, path)


def texts(checks: Checks, value: Any, path: Path) -> None:
    """Check a list of unique texts."""
    check_texts(checks.findings, value, path)


def command(checks: Checks, value: Any, path: Path) -> None:
    """Check a one-line command: its form, its expressions, and that nothing of it is lost."""
    findings = checks.findings
    if not TEXT.check(findings, value, path):
        return
    try:
        line = parse_command(value)
    except OneLineError as error:
        findings.error(path, str(error), always=True)
        return
    checks.expressions.text(line.command, path, lenient=True)
    checks.expressions.tree(line.parameters, path)
    for piece in line.leftover:
        findings.warning(
            path,
            f"{quoted(piece)} has no effect, expected parameters such as a=1 b='text' c=<% $.x %>",
        )


def _input(checks: Checks, value: Any, path: Path) -> None:
    if not _TEXT_OR_MAP.check(checks.findings, value, path):
        return
    if isinstance(value, dict):
        evaluated_map(checks, value, path)
        return
    checks.expressions.text(value, path)
    if not any(mark in value for mark in ("<%", "{{", "{%")):
        checks.findings.warning(
            path, f"found {describe(value)}, expected a map, or an expression that gives one"
        )


def _with_items(checks: Checks, value: Any, path: Path) -> None:
    findings = checks.findings
    if not _TEXT_OR_LIST.check(findings, value, path):
        return
    if isinstance(value, list):
        check_texts(findings, value, path)
    names: set[str] = set()
    for index, text in enumerate(entries(value)):
        place = (*path, index) if isinstance(value, list) else path
        if isinstance(text, str) and text:
            _check_items(checks, text, place, names)


def _check_items(checks: Checks, text: str, path: Path, names: set[str]) -> None:
    try:
        items = parse_items(text)
    except WithItemsError as error:
        checks.findings.error(path, str(error), always=True)
        return
    if isinstance(items.values, str):
        checks.expressions.text(items.values, path, always=True)
    else:
        checks.expressions.tree(items.values, path)
    if items.extra:
        checks.findings.warning(path, f"{quoted(items.extra)} behind the list has no effect")
    if items.variable in names:
        checks.findings.warning(path, f"the variable '{items.variable}' stands twice, the last one wins")
    names.add(items.variable)


def _join(checks: Checks, value: Any, path: Path) -> None:
    if _JOIN.check(checks.findings, value, path) and value == 0:
        checks.findings.warning(path, "'join: 0' joins nothing, expected 'all', 'one' or at least 1")


def requires(checks: Checks, value: Any, path: Path) -> None:
    """Check the names that a task of a reverse workflow requires."""
    if _TEXT_OR_LIST.check(checks.findings, value, path) and isinstance(value, list):
        check_texts(checks.findings, value, path)


def _target(checks: Checks, value: Any, path: Path) -> None:
    if TEXT.check(checks.findings, value, path):
        checks.expressions.text(value, path, lenient=True)


SHARED: dict[str, Check] = {
    "retry": check_retry,
    **{name: scalar_check(shape) for name, shape in POLICIES.items()},
    "safe-rerun": scalar_check(FLAG),
    "dry-run": scalar_check(FLAG),
    "safe-input": scalar_check(FLAG),
    "description": shape_check(TEXT),
    "tags": texts,
    "name": shape_check(ANYTHING),
    "version": shape_check(ANYTHING),
}
"""Attributes of tasks of both types, and of ``task-defaults``."""

_TASK: dict[str, Check] = {
    **SHARED,
    "action": command,
    "workflow": command,
    "input": _input,
    "publish": evaluated_map,
    "publish-on-error": evaluated_map,
    "publish-on-skip": evaluated_map,
    "with-items": _with_items,
    "keep-result": scalar_check(FLAG),
    "async-heartbeats-enabled": scalar_check(FLAG),
    "target": _target,
    "type": shape_check(ANYTHING),
}
DIRECT_ONLY: dict[str, Check] = {**dict.fromkeys(CLAUSES, check_clause), "join": _join}
_REVERSE_ONLY: dict[str, Check] = {"requires": requires}
TASK_ATTRIBUTES: dict[str, dict[str, Check]] = {
    "direct": {**_TASK, **DIRECT_ONLY},
    "reverse": {**_TASK, **_REVERSE_ONLY},
}
"""Attributes of tasks by the type of their workflow."""
_OTHER_TYPE = {"direct": "reverse", "reverse": "direct"}
_ALL_KEYS = TASK_ATTRIBUTES["direct"] | TASK_ATTRIBUTES["reverse"]


def check_task(checks: Checks, name: str, task: Any, workflow_type: str, path: Path) -> None:
    """Check one task; ``path`` leads to it."""
    findings = checks.findings
    if not isinstance(task, dict) or not task:
        hint = "" if task else " ('description: …' makes one that does nothing)"
        findings.error(
            path,
            f"found {describe(task)}, expected a task: a map with at least one attribute{hint}",
            always=not isinstance(task, dict),
        )
        return
    check_keys(findings, task, path)
    _check_name(checks, name, task, path)
    table, other_type = TASK_ATTRIBUTES[workflow_type], _OTHER_TYPE[workflow_type]
    for key, value in task.items():
        check = table.get(key)
        if check is not None:
            check(checks, value, (*path, key))
        elif key in TASK_ATTRIBUTES[other_type]:
            findings.error(
                (*path, key),
                f"'{key}' is for {other_type} workflows only, this one is {workflow_type}",
                of_key=True,
            )
    refuse_unknown(findings, task, path, _ALL_KEYS, "attribute of a task")
    if "action" in task and "workflow" in task:
        findings.error(
            (*path, "workflow"), "found 'action' and 'workflow', expected one of them", of_key=True
        )


def _check_name(checks: Checks, name: str, task: Mapping[str, Any], path: Path) -> None:
    findings = checks.findings
    if not name:
        findings.error(path, "the name of a task is empty, expected 1 to 255 characters", of_key=True)
    limit, kind = (MAX_JOIN_NAME, "join task") if task.get("join") else (MAX_NAME, "task")
    if len(name) > limit:
        findings.error(
            path,
            f"The length of a '{name}' {kind} name must not exceed {limit} symbols",
            of_key=True,
            always=len(name) > MAX_NAME,
        )
