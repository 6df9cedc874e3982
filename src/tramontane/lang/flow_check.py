"""Checks of what can happen in a direct workflow: joins that can't be met, tasks that can't run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.lang.findings import quoted
from tramontane.lang.flow import MAX_TASKS, Flow, UnmetJoin
from tramontane.lang.graph import Routes, unreachable
from tramontane.lang.policy_check import Checks
from tramontane.lang.shapes import is_whole
from tramontane.lang.yaml_loader import Path


def check_flow(checks: Checks, tasks: Mapping[str, Mapping[str, Any]], routes: Routes, path: Path) -> None:
    """Warn about joins and tasks of a workflow that come to nothing."""
    if len(tasks) > MAX_TASKS or not routes.start_tasks:
        return
    flow = Flow(tasks, routes)
    without_route = frozenset(unreachable(tasks, routes))  # these are reported elsewhere
    for name in tasks:
        if not flow.is_reached(name) and name not in without_route:
            checks.findings.warning(
                (*path, "tasks", name),
                f"{quoted(name)} never runs: all routes to it stand behind 'fail' or 'succeed', which end "
                "the workflow",
                of_key=True,
            )
    joins = {
        name: None if task["join"] == "all" else 1 if task["join"] == "one" else int(task["join"])
        for name, task in tasks.items()
        if task.get("join") in ("all", "one") or (is_whole(task.get("join")) and task["join"] > 0)
    }
    for unmet in flow.unmet_joins(joins):
        checks.findings.warning((*path, "tasks", unmet.name, "join"), _explain(unmet))


def _explain(unmet: UnmetJoin) -> str:
    if unmet.decider is not None:
        return (
            f"this join can't be met: it waits for tasks of which some follow the success of "
            f"{quoted(unmet.decider)} and others its error, and only one of them happens; 'join: one' waits "
            "for either"
        )
    lost = ", ".join(quoted(name) for name in unmet.lost[:3])
    return f"this join can't be met: it waits for {lost}, from where it is never reached"
