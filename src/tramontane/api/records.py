"""Records of the engine as clients see them, for answers that are given without reading anything back."""

from __future__ import annotations

from typing import Any, Final

from tramontane.api.times import shown
from tramontane.core.state import ActionExecution, Execution
from tramontane.results import Result
from tramontane.service.services import RunOrder
from tramontane.states import ERROR, RUNNING, SUCCESS
from tramontane.values import encode


def _text(value: Any) -> str | None:
    return None if value is None else encode(value)


def execution_data(execution: Execution) -> dict[str, Any]:
    """Everything about an execution but its global variables."""
    return {
        "id": execution.id,
        "workflow_id": execution.workflow_id,
        "workflow_name": execution.workflow_name,
        "workflow_namespace": execution.workflow_namespace,
        "description": execution.description,
        "tags": list(execution.tags),
        "params": _text(execution.params),
        "task_execution_id": execution.parent_task_id,
        "root_execution_id": None if execution.is_root else execution.root_id,
        "state": execution.state,
        "state_info": execution.state_info,
        "input": _text(execution.input),
        "output": _text(execution.output),
        "created_at": shown(execution.created_at),
        "updated_at": shown(execution.updated_at),
        "project_id": execution.project_id,
    }


_JUST_STARTED: Final = {"state": RUNNING, "state_info": None, "output": "{}"}


def started_data(execution: Execution) -> dict[str, Any]:
    """A new execution as it was right after its start, however far it got in the same commit."""
    data = {**execution_data(execution), **_JUST_STARTED}
    data["updated_at"] = data["updated_at"] or data["created_at"]
    return data


def action_execution_data(action: ActionExecution) -> dict[str, Any]:
    """A stored action execution, its output included."""
    return {
        "id": action.id,
        "workflow_name": action.workflow_name,
        "workflow_namespace": action.workflow_namespace,
        "task_name": action.task_name,
        "task_execution_id": action.task_id,
        "state": action.state,
        "state_info": action.state_info,
        "tags": None,
        "name": action.name,
        "description": action.description,
        "project_id": action.project_id,
        "accepted": action.accepted,
        "input": _text(action.input),
        "output": _text(action.output),
        "created_at": shown(action.created_at),
        "updated_at": shown(action.updated_at),
    }


_UNSAVED: Final[dict[str, Any]] = dict.fromkeys(
    (
        "id",
        "workflow_name",
        "task_execution_id",
        "state_info",
        "tags",
        "description",
        "project_id",
        "accepted",
        "created_at",
        "updated_at",
    )
)


def unsaved_run_data(order: RunOrder, result: Result) -> dict[str, Any]:
    """The outcome of an action that was run without storing anything: a cancelled run counts as failed."""
    return {
        **_UNSAVED,
        "name": order.name,
        "workflow_namespace": order.namespace,
        "input": encode(order.input),
        "state": SUCCESS if result.state == SUCCESS else ERROR,
        "output": encode({"result": result.value}),
    }
