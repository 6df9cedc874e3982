"""Forking executions: an extension of the REST API, under a path of its own."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.media import json_type, read_object
from tramontane.api.records import started_data
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, boolean, checked, json_object, short_text, taking, text
from tramontane.core.state import Task
from tramontane.errors import BadRequestError
from tramontane.service.services import ForkOrder, ForkPreview
from tramontane.values import EMPTY


@taking(
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string", "minLength": 1}},
        ]
    }
)
def _tasks(name: str, value: Any) -> list[str]:
    """A name or id, or a list of them."""
    given = value if isinstance(value, list) else [value]
    for each in given:
        if not isinstance(each, str) or not each:
            raise BadRequestError(
                f"'{name}' must be the name or id of a task, or a list of them, not {json_type(each)}."
            )
    return given


FORK: Final[dict[str, Converter]] = {
    "task": _tasks,
    "workflow_id": text,
    "workflow_name": text,
    "workflow_namespace": text,
    "input": json_object,
    "env": json_object,
    "description": short_text(255),
    "preview": boolean,
}


async def fork_execution(api: Api, request: Request) -> Response:
    """Begin anew in the middle of an ended execution, or with ``preview`` only tell what that would do."""
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), FORK)
    if "task" not in body:
        raise BadRequestError("'task' is missing: the name or id of the task to run again.")
    order = ForkOrder(
        tasks=body["task"],
        workflow=body.get("workflow_id") or body.get("workflow_name") or None,
        namespace=body.get("workflow_namespace"),
        input=body.get("input") or EMPTY,
        env=body.get("env") or EMPTY,
        description=body.get("description"),
    )
    execution_id = request.arguments["id"]
    if body.get("preview"):
        return answer(_preview_data(await api.services.forks.preview(request.caller, execution_id, order)))
    started = await api.services.forks.fork(request.caller, execution_id, order)
    return answer({**started_data(started), "source_execution_id": execution_id}, 201)


def _preview_data(preview: ForkPreview) -> dict[str, Any]:
    return {
        "source_execution_id": preview.source_id,
        "workflow_id": preview.workflow_id,
        "workflow_name": preview.workflow_name,
        "same_definition": preview.is_same_definition,
        "reused": [_task_data(task) for task in preview.reused],
        "runs_again": [{**_task_data(task), "reason": reason} for task, reason in preview.again],
        "new_tasks": list(preview.new),
        "changed_tasks": list(preview.changed),
        "warnings": list(preview.warnings),
    }


def _task_data(task: Task) -> dict[str, Any]:
    return {"id": task.id, "name": task.name, "state": task.state}
