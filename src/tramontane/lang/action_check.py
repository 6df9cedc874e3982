"""Checks of one ad-hoc action (language spec, section 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.lang.findings import Findings, describe
from tramontane.lang.graph import find_cycle
from tramontane.lang.policy_check import Checks
from tramontane.lang.reading import look_inside_action
from tramontane.lang.shapes import ANYTHING, TEXT, check_keys, refuse_unknown
from tramontane.lang.task_check import Check, command, evaluated_map, shape_check, texts
from tramontane.lang.tasks import command_name
from tramontane.lang.workflow_check import check_parameters
from tramontane.lang.yaml_loader import Path


def _output(checks: Checks, value: Any, path: Path) -> None:
    if isinstance(value, str):
        checks.expressions.text(value, path)
    elif isinstance(value, (dict, list)):
        checks.expressions.tree(value, path, lenient=True)


ACTION_ATTRIBUTES: dict[str, Check] = {
    "base": command,
    "base-input": evaluated_map,
    "input": check_parameters,
    "output": _output,
    "description": shape_check(TEXT),
    "tags": texts,
    "name": shape_check(ANYTHING),
    "version": shape_check(ANYTHING),
}


def check_action(checks: Checks, action: Any, path: Path) -> None:
    """Check one ad-hoc action at ``path``."""
    findings = checks.findings
    if not isinstance(action, dict) or not action:
        findings.error(path, f"found {describe(action)}, expected an action: a map with 'base'", always=True)
        return
    check_keys(findings, action, path)
    refuse_unknown(findings, action, path, ACTION_ATTRIBUTES, "attribute of an action")
    if "base" not in action:
        findings.error(path, "'base' is missing, expected the name of an action", always=True)
    for key, check in ACTION_ATTRIBUTES.items():
        if key in action:
            check(checks, action[key], (*path, key))
    look_inside_action(checks, action, path)


def check_base_cycles(
    findings: Findings, actions: Mapping[str, Any], path: Path, *, prefix: str = ""
) -> None:
    """Warn when actions of one document are based on each other (or one on itself)."""
    bases = {
        name: [base]
        for name, action in actions.items()
        if isinstance(action, Mapping) and (base := command_name(action.get("base"))) is not None
    }
    cycle = find_cycle(bases)
    if cycle:
        findings.warning(
            (*path, cycle[0].removeprefix(prefix), "base"),
            f"these actions are based on each other and can't run: {' → '.join(cycle[:11])}",
        )
