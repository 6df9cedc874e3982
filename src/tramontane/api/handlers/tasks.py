"""Tasks: watching, re-running, skipping (REST endpoints, section 8)."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.responses import Response

from tramontane.api.collections import chosen_fields, encoded, list_objects, only
from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.handlers.results import add_results
from tramontane.api.kinds import (
    ACTION_EXECUTION_LIST,
    TASK_ACTION_EXECUTION_LIST,
    TASK_EXECUTION_LIST,
    TASK_LIST,
)
from tramontane.api.listing import read_condition
from tramontane.api.media import read_object
from tramontane.api.reported import finish_list, show_reported
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, anything, boolean, checked, json_object, require_uuid, text
from tramontane.errors import BadRequestError, IllegalStateError
from tramontane.states import ERROR, RUNNING, SKIPPED, SUCCESS
from tramontane.store.reads.objects import not_found, read_by_id
from tramontane.store.reads.resources import ACTION_EXECUTIONS, EXECUTIONS, TASKS
from tramontane.store.reads.results import task_result
from tramontane.store.reads.tasks import TASK_EXTRAS, WITH_ITEMS

CHANGE: Final[dict[str, Converter]] = {
    **dict.fromkeys((*TASKS.by_name, "result"), anything),
    "id": text,
    "name": text,
    "workflow_name": text,
    "state": text,
    "reset": boolean,
    "env": json_object,
}
_FINISHED: Final = (SUCCESS, ERROR)
_SHOWN: Final = (*TASKS.fields, *TASK_EXTRAS, WITH_ITEMS)
_FOR_CHANGE: Final = (*(TASKS.by_name[name] for name in ("name", "workflow_name", "state")), WITH_ITEMS)


async def list_tasks(api: Api, request: Request) -> Response:
    return await list_objects(api, request, TASK_LIST, finish=add_results)


async def show_task(api: Api, request: Request) -> Response:
    _, names = chosen_fields(TASK_LIST, request.allow_parameters("fields").get("fields"))
    task = await _task(api, request, wants_result="result" in names)
    return answer(task if "fields" not in request.query or not request.query["fields"] else only(task, names))


async def _task(api: Api, request: Request, wants_result: bool = True) -> dict[str, Any]:
    """Read a task with what only the single read shows."""
    task_id = request.arguments["id"]
    task = encoded(_SHOWN, await read_by_id(api.reader, TASKS, _SHOWN, task_id, request.caller))
    next_tasks = task["next_tasks"]
    task["next_tasks"] = None if next_tasks is None else orjson.Fragment(next_tasks)
    task["has_next_tasks"] = next_tasks not in (None, "[]")
    if task["state"] not in _FINISHED or task["published_global"] in (None, "{}"):
        del task["published_global"]
    item_count = task.pop("item_count")
    if wants_result:
        task["result"] = await task_result(
            api.reader,
            task_id,
            task["workflow_execution_id"],
            is_call=task["type"] == "WORKFLOW",
            has_items=item_count is not None,
        )
    return task


async def change_task(api: Api, request: Request) -> Response:
    """Run a failed task again, or skip it."""
    request.allow_parameters()
    raw = read_object(request.headers, await request.body())
    task_id = request.arguments["id"]
    name, workflow_name, current, item_count = await read_by_id(
        api.reader, TASKS, _FOR_CHANGE, task_id, request.caller
    )
    body = checked(raw, CHANGE)
    if body.get("name") not in (None, name):
        raise BadRequestError(f"The task is called '{name}', not '{body['name']}'.")
    if body.get("workflow_name") not in (None, workflow_name):
        raise BadRequestError(
            f"The task's workflow is called '{workflow_name}', not '{body['workflow_name']}'."
        )
    state = body.get("state")
    if state not in (RUNNING, SKIPPED):
        raise BadRequestError(f"The state of a task can be set to RUNNING or SKIPPED only, not to {state}.")
    if current != ERROR:
        raise IllegalStateError(f"Only a task in ERROR can be run again or skipped; this one is {current}.")
    if state == SKIPPED:
        await api.services.tasks.skip(request.caller, task_id, body.get("env"))
        return answer(await _task(api, request))
    if "reset" not in body:
        raise BadRequestError("Mandatory field 'reset' is not set.")
    if not body["reset"] and item_count is None:
        raise BadRequestError("Only a task with with-items can be run again without reset.")
    await api.services.tasks.rerun(request.caller, task_id, bool(body["reset"]), body.get("env"))
    return answer(await _task(api, request))


async def list_task_actions(api: Api, request: Request) -> Response:
    fixed = read_condition(ACTION_EXECUTIONS.by_name["task_execution_id"], _task_id(request))
    return await list_objects(api, request, TASK_ACTION_EXECUTION_LIST, fixed=(fixed,), finish=finish_list)


async def show_task_action(api: Api, request: Request) -> Response:
    fields, _ = chosen_fields(ACTION_EXECUTION_LIST, request.allow_parameters("fields").get("fields"))
    action_id = request.arguments["action_id"]
    link = (ACTION_EXECUTIONS.by_name["task_execution_id"],)
    (owner,) = await read_by_id(api.reader, ACTION_EXECUTIONS, link, action_id, request.caller)
    if owner != _task_id(request):
        raise not_found(ACTION_EXECUTIONS, action_id)
    row = await read_by_id(api.reader, ACTION_EXECUTIONS, fields, action_id, request.caller)
    shown = encoded(fields, row)
    await show_reported(api, [shown])
    return answer(shown)


async def list_task_workflows(api: Api, request: Request) -> Response:
    fixed = read_condition(EXECUTIONS.by_name["task_execution_id"], _task_id(request))
    return await list_objects(api, request, TASK_EXECUTION_LIST, fixed=(fixed,))


def _task_id(request: Request) -> str:
    return require_uuid("id", request.arguments["id"])
