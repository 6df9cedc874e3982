"""The priority of a tree of executions: ``params.priority`` of its root, which all below it have, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tramontane.core.draft import Draft
from tramontane.core.events import PriorityChanged
from tramontane.core.state import Execution
from tramontane.errors import BadRequestError
from tramontane.values import FrozenDict

HIGHEST: Final = 10
"""Priorities are whole numbers from ``-HIGHEST`` to ``HIGHEST``; 0 where none is given."""


def check_priority(value: Any) -> int:
    """Read a priority.

    Raises:
        BadRequestError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not -HIGHEST <= value <= HIGHEST:
        raise BadRequestError(
            f"'priority' must be a whole number from {-HIGHEST} to {HIGHEST}, not {value!r}."
        )
    return value


def with_priority(params: dict[str, Any], parent: Execution | None) -> None:
    """Check the priority among the params of a new root; below it the parent's takes its place.

    Raises:
        BadRequestError: it is none.
    """
    if parent is None:
        if params.get("priority") is not None:
            check_priority(params["priority"])
    elif "priority" in parent.params:
        params["priority"] = parent.params["priority"]
    else:
        params.pop("priority", None)


def priority_of(params: Mapping[str, Any]) -> int:
    """The priority among params, of which nobody may have looked at it yet; 0: none."""
    priority = params.get("priority")
    return priority if isinstance(priority, int) and abs(priority) <= HIGHEST else 0


def change_priority(draft: Draft, priority: int) -> None:
    """Set the priority of an execution that goes on, and of everything below it."""
    if draft.execution.is_completed:
        return
    draft.update_execution(params=FrozenDict({**draft.execution.params, "priority": priority}))
    for call in draft.open_subworkflows():
        draft.send(call.id, PriorityChanged(priority))
