"""Checks of one workflow: its attributes, defaults and tasks, then the structure they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.lang.clauses import CLAUSES, is_advanced, is_target_text, read_clause
from tramontane.lang.findings import describe, quoted
from tramontane.lang.graph import (
    RESERVED_TASK,
    Routes,
    find_cycle,
    find_routes,
    required_tasks,
    task_map,
    unreachable,
)
from tramontane.lang.names import check_workflow_name
from tramontane.lang.policy_check import Checks, check_clause
from tramontane.lang.reading import look_inside
from tramontane.lang.shapes import (
    ANYTHING,
    LIST,
    MAP,
    check_keys,
    check_unique,
    refuse_unknown,
    unknown_keys,
)
from tramontane.lang.spec import COMMANDS
from tramontane.lang.task_check import (
    SHARED,
    Check,
    check_task,
    evaluated_map,
    requires,
    shape_check,
    texts,
)
from tramontane.lang.yaml_loader import Path

_SHOWN_NAMES = 10
_NOT_NAMES = ("name", "description", "tags", "workflows", "actions", "tasks")


def check_parameters(checks: Checks, value: Any, path: Path) -> None:
    """Check the declared input of a workflow or action: names, and maps of one name and its default."""
    findings = checks.findings
    if not LIST.check(findings, value, path):
        return
    names: set[str] = set()
    for index, item in enumerate(value):
        place = (*path, index)
        if isinstance(item, str) and item:
            name = item
        elif isinstance(item, dict) and len(item) == 1:
            check_keys(findings, item, place)
            name = next(iter(item))
        else:
            findings.error(
                place,
                f"found {describe(item)}, expected a parameter name, or a map of one name and its default",
                always=not isinstance(item, (str, dict)),
            )
            continue
        if name in names and item not in value[:index]:
            findings.warning(place, f"the parameter '{name}' stands twice, the last one wins")
        names.add(name)
    check_unique(findings, value, path)


def _lenient_map(checks: Checks, value: Any, path: Path) -> None:
    if MAP.check(checks.findings, value, path):
        check_keys(checks.findings, value, path)
        checks.expressions.tree(value, path, lenient=True)


def _type(checks: Checks, value: Any, path: Path) -> None:
    if value not in ("direct", "reverse"):
        checks.findings.error(path, f"found {describe(value)}, expected 'direct' or 'reverse'", always=True)


WORKFLOW_ATTRIBUTES: dict[str, Check] = {
    "type": _type,
    "description": shape_check(ANYTHING),
    "tags": texts,
    "input": check_parameters,
    "output": evaluated_map,
    "output-on-error": _lenient_map,
    "vars": evaluated_map,
    "task-defaults": shape_check(ANYTHING),  # checked by itself, for it depends on the type
    "tasks": shape_check(ANYTHING),
    "name": shape_check(ANYTHING),
    "version": shape_check(ANYTHING),
}
DEFAULT_ATTRIBUTES: dict[str, Check] = {
    **SHARED,
    **dict.fromkeys(CLAUSES, check_clause),
    "requires": requires,
}
"""Attributes of ``task-defaults``."""


def check_workflow(checks: Checks, name: str, workflow: Any, path: Path) -> bool:
    """Check one workflow at ``path``; return whether its data can be stored and loaded."""
    findings = checks.findings
    if not isinstance(workflow, dict) or not workflow:
        hint = " (every key beside 'version' is a workflow's name here)" if name in _NOT_NAMES else ""
        findings.error(
            path, f"found {describe(workflow)}, expected a workflow: a map with 'tasks'{hint}", always=True
        )
        return False
    check_keys(findings, workflow, path)
    check_workflow_name(findings, name, path)
    _warn_unknown(checks, workflow, path)
    for key, check in WORKFLOW_ATTRIBUTES.items():
        if key in workflow:
            check(checks, workflow[key], (*path, key))
    kind = workflow.get("type", "direct")
    if kind not in ("direct", "reverse"):
        return False
    defaults = _check_defaults(checks, workflow, kind, path)
    if not _check_tasks(checks, workflow, kind, path):
        return False
    if kind == "direct":
        _check_routes(checks, name, workflow, defaults, path)
    else:
        _check_requirements(checks, workflow, defaults, path)
    look_inside(checks, workflow, path)
    return True


def _warn_unknown(checks: Checks, workflow: Mapping[str, Any], path: Path) -> None:
    for key in unknown_keys(workflow, WORKFLOW_ATTRIBUTES):
        if key.startswith("x-"):
            continue
        if key in CLAUSES:
            hint = ", it belongs to a task or under 'task-defaults'"
        else:
            hint = checks.findings.nearest(key, WORKFLOW_ATTRIBUTES)
        checks.findings.warning(
            (*path, key), f"unknown attribute {quoted(key)} of a workflow has no effect{hint}", of_key=True
        )


def _check_defaults(checks: Checks, workflow: Mapping[str, Any], kind: str, path: Path) -> Mapping[str, Any]:
    if "task-defaults" not in workflow:
        return {}
    value, place = workflow["task-defaults"], (*path, "task-defaults")
    findings = checks.findings
    if not MAP.check(findings, value, place):
        return {}
    check_keys(findings, value, place)
    refuse_unknown(findings, value, place, DEFAULT_ATTRIBUTES, "attribute of 'task-defaults'")
    without_effect = ("requires",) if kind == "direct" else CLAUSES
    for key, check in DEFAULT_ATTRIBUTES.items():
        if key in value:
            check(checks, value[key], (*place, key))
            if key in without_effect:
                findings.warning((*place, key), f"'{key}' has no effect in a {kind} workflow", of_key=True)
    return value if isinstance(value, Mapping) else {}


def _check_tasks(checks: Checks, workflow: Mapping[str, Any], kind: str, path: Path) -> bool:
    findings = checks.findings
    tasks, place = workflow.get("tasks"), (*path, "tasks")
    if not isinstance(tasks, dict) or not tasks:
        found = f"found {describe(tasks)}" if "tasks" in workflow else "'tasks' is missing"
        findings.error(
            place if "tasks" in workflow else path,
            f"{found}, expected a map of at least one task",
            always=True,
        )
        return False
    check_keys(findings, tasks, place)
    if RESERVED_TASK in tasks:
        report = findings.warning if len(tasks) > 1 else findings.error
        report(
            (*place, RESERVED_TASK),
            "'version' is a reserved name, this task is ignored: give it another name",
            of_key=True,
        )
    for name, task in tasks.items():
        if name != RESERVED_TASK:
            check_task(checks, name, task, kind, (*place, name))
    return all(isinstance(task, dict) for name, task in tasks.items() if name != RESERVED_TASK)


def _check_routes(
    checks: Checks, name: str, workflow: Mapping[str, Any], defaults: Mapping[str, Any], path: Path
) -> None:
    findings = checks.findings
    tasks = task_map(workflow)
    routes = find_routes(tasks, defaults)
    _check_targets(checks, tasks, routes, defaults, path)
    for task in tasks.keys() & COMMANDS:
        findings.warning(
            (*path, "tasks", task), f"in on-clauses '{task}' means the command, never this task", of_key=True
        )
    if not routes.start_tasks and tasks:
        findings.error(
            (*path, "tasks"),
            "Failed to find start tasks in direct workflow. There must be at least one task without "
            f"inbound transition.[workflow_name={name}]",
            of_key=True,
        )
    elif lost := unreachable(tasks, routes):
        findings.warning(
            (*path, "tasks", lost[0]),
            f"no route from a start task leads to {_listed(lost)}: never run",
            of_key=True,
        )
    _check_joins(checks, tasks, routes, path)


def _check_targets(
    checks: Checks,
    tasks: Mapping[str, Mapping[str, Any]],
    routes: Routes,
    defaults: Mapping[str, Any],
    path: Path,
) -> None:
    known = COMMANDS | tasks.keys()
    reported: set[Path] = set()
    for task in tasks:
        for clause, route in routes.of(task).items():
            owner: Path = ("task-defaults",) if route.from_defaults else ("tasks", task)
            for target in route.targets:
                place = (*path, *owner, clause, *target.place)
                if target.name in known or place in reported or not is_target_text(target.text):
                    continue
                reported.add(place)
                hint = checks.findings.nearest(target.name, known)
                checks.findings.error(
                    place, f"Task {quoted(target.name)} not found.{hint}", of_key=target.guard is not None
                )
    _warn_bare_maps(checks, tasks, routes, defaults, path)


def _warn_bare_maps(
    checks: Checks,
    tasks: Mapping[str, Mapping[str, Any]],
    routes: Routes,
    defaults: Mapping[str, Any],
    path: Path,
) -> None:
    """Tell where a clause ``{target: guard}`` is left out, because the workflow is refused with it."""
    owners: list[tuple[Path, Mapping[str, Any]]] = [(("task-defaults",), defaults)]
    owners += [(("tasks", name), task) for name, task in tasks.items()]
    known = COMMANDS | tasks.keys()
    for owner, data in owners:
        for clause in CLAUSES:
            value = data.get(clause)
            if not isinstance(value, Mapping) or len(value) != 1 or is_advanced(value):
                continue
            [text] = value
            unknown = any(target.name not in known for target in read_clause(value).targets)
            if unknown or routes.drops_bare_maps:
                why = "its task doesn't exist" if unknown else "the workflow would have no start task"
                checks.findings.warning(
                    (*path, *owner, clause), f"this transition to {quoted(text)} is left out: {why}"
                )


def _check_joins(checks: Checks, tasks: Mapping[str, Mapping[str, Any]], routes: Routes, path: Path) -> None:
    for name, task in tasks.items():
        join = task.get("join")
        inbound = len(routes.inbound.get(name, ()))
        place = (*path, "tasks", name, "join")
        if join == "all":
            if not inbound:
                checks.findings.error(place, f"No inbound tasks for task with 'join: all' [task_name={name}]")
            continue
        needed = 1 if join == "one" else join
        if isinstance(needed, (int, float)) and not isinstance(needed, bool) and inbound < needed:
            checks.findings.error(
                place,
                "Not enough inbound tasks for task with 'join' "
                f"[task_name={name}, join={needed}, inbound_tasks={inbound}]",
            )


def _check_requirements(
    checks: Checks, workflow: Mapping[str, Any], defaults: Mapping[str, Any], path: Path
) -> None:
    findings = checks.findings
    tasks = task_map(workflow)
    edges = {name: required_tasks(name, task, defaults) for name, task in tasks.items()}
    reported: set[str] = set()
    for name, needed in edges.items():
        own = required_tasks(name, tasks[name], {})
        for other in needed:
            if other in tasks or (other not in own and other in reported):
                continue
            place: Path = ("tasks", name, "requires") if other in own else ("task-defaults", "requires")
            if other not in own:
                reported.add(other)
            value = tasks[name].get("requires") if other in own else defaults.get("requires")
            if isinstance(value, list):
                place = (*place, value.index(other))
            findings.error(
                (*path, *place), f"Task {quoted(other)} not found.{findings.nearest(other, tasks)}"
            )
    cycle = find_cycle(edges)
    if cycle:
        findings.warning(
            (*path, "tasks", cycle[0], "requires"),
            f"the tasks require each other in a circle: {' → '.join(cycle[: _SHOWN_NAMES + 1])}; "
            "an execution for one of them can't start",
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN_NAMES]) + more
