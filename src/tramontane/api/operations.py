"""What each endpoint takes and answers, for the OpenAPI document.

The table stands beside that of the routes, and like it refers to what the handlers check requests by:
kinds of lists, and models of bodies. Endpoints that only say that something is missing aren't in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tramontane.api import kinds
from tramontane.api.handlers import (
    action_executions,
    cron_triggers,
    dynamic_actions,
    environments,
    event_triggers,
    executions,
    forks,
    limits,
    maintenance,
    members,
    tasks,
    workers,
)
from tramontane.api.listing import ListKind
from tramontane.api.schemas import TEXT, Schema, items, listed, record, ref
from tramontane.api.values_in import Converter

Model = Mapping[str, Converter]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    ``answer`` None: there is no body. ``lists``: what the parameters of a list are; ``parameters`` are
    further ones of the URL, ``headers`` those of the request. ``body``: the model of a JSON object with
    its ``required`` keys; ``document``: the body is a text, of this description. ``errors`` are statuses
    beyond those that follow from the rest. ``streams``: the answer is a stream of events. ``also``:
    further successes.
    """

    summary: str
    answer: Schema | None
    status: int = 200
    lists: ListKind | None = None
    parameters: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    body: Model | None = None
    required: tuple[str, ...] = ()
    document: str = ""
    errors: tuple[int, ...] = ()
    streams: bool = False
    also: Mapping[int, Schema | None] = field(default_factory=dict)


def _list(summary: str, kind: ListKind, name: str) -> Operation:
    return Operation(summary, listed(kind.collection, ref(name)), lists=kind)


def _show(summary: str, name: str, *parameters: str) -> Operation:
    return Operation(summary, ref(name), parameters=parameters)


def _delete(summary: str, *parameters: str, errors: tuple[int, ...] = (400, 403)) -> Operation:
    return Operation(summary, None, 204, parameters=parameters, errors=errors)


def _create(summary: str, name: str, model: Model, *required: str, errors: tuple[int, ...] = ()) -> Operation:
    return Operation(summary, ref(name), 201, body=model, required=required, errors=(404, 409, *errors))


def _change(
    summary: str, name: str, model: Model, *required: str, errors: tuple[int, ...] = (403, 404, 409)
) -> Operation:
    return Operation(summary, ref(name), body=model, required=required, errors=errors)


_UPLOAD: Final = ("scope", "namespace", "skip_validation", "strict")


def _upload(summary: str, answer: Schema, status: int, document: str, *more: str) -> Operation:
    return Operation(
        summary,
        answer,
        status,
        parameters=(*_UPLOAD, *more),
        document=document,
        errors=(403, 409) if status == 201 else (403, 404, 409),
    )


def _validate(document: str) -> Operation:
    return Operation(
        "Check a document without storing it", ref("Validation"), parameters=_UPLOAD, document=document
    )


def _many(collection: str, name: str) -> Schema:
    return record({collection: items(ref(name)), "warnings": items(ref("Problem"))}, optional=("warnings",))


_WORKBOOK: Final = "One workbook (YAML, DSL v2)."
_WORKFLOWS: Final = "One workflow or more (YAML, DSL v2)."
_ACTIONS: Final = "One ad-hoc action or more (YAML, DSL v2)."
_SOURCE: Final = "A Python module."
_TREE: Final = ("errors_only", "max_depth", "include_output")
_SUB_EXECUTIONS: Final = record({"executions": items(ref("Execution"))})
_MEMBER_ERRORS: Final = (403, 404)

OPERATIONS: Final[Mapping[str, Mapping[str, Operation]]] = {
    "/": {"GET": Operation("Versions of the API", ref("Versions"))},
    "/v2": {"GET": Operation("Where this version is", ref("Version"))},
    "/v2/openapi.json": {"GET": Operation("This document", {"type": "object"})},
    "/info": {"GET": Operation("What the operator says of this installation", ref("Information"))},
    "/healthz": {"GET": Operation("The process answers", ref("Health"))},
    "/readyz": {"GET": Operation("The node can do its work", ref("Health"))},
    "/maintenance": {
        "GET": Operation("Whether the service is in maintenance", ref("Maintenance")),
        "PUT": _change(
            "Pause the whole service, or let it go on",
            "Maintenance",
            maintenance.MODEL,
            "status",
            errors=(403,),
        ),
    },
    "/v2/workbooks": {
        "GET": _list("List workbooks", kinds.WORKBOOK_LIST, "Workbook"),
        "POST": _upload("Create a workbook", ref("Workbook"), 201, _WORKBOOK),
        "PUT": _upload("Replace a workbook, found by its name", ref("Workbook"), 200, _WORKBOOK),
    },
    "/v2/workbooks/validate": {"POST": _validate(_WORKBOOK)},
    "/v2/workbooks/{name}": {
        "GET": _show("Show a workbook", "Workbook", "namespace", "fields"),
        "DELETE": _delete("Delete a workbook; what it defined stays", "namespace"),
    },
    "/v2/workflows": {
        "GET": _list("List workflows", kinds.WORKFLOW_LIST, "Workflow"),
        "POST": _upload("Create workflows, all or none", _many("workflows", "Workflow"), 201, _WORKFLOWS),
        "PUT": _upload(
            "Replace workflows, found by their names; with `identifier` that one",
            {"anyOf": [_many("workflows", "Workflow"), ref("Workflow")]},
            200,
            _WORKFLOWS,
            "identifier",
        ),
    },
    "/v2/workflows/validate": {"POST": _validate(_WORKFLOWS)},
    "/v2/workflows/{identifier}": {
        "GET": _show("Show a workflow, by id or name", "Workflow", "namespace", "fields"),
        "PUT": _upload(
            "Replace one workflow, found by id or name", ref("Workflow"), 200, _WORKFLOWS, "identifier"
        ),
        "DELETE": _delete("Delete a workflow that no trigger needs", "namespace"),
    },
    "/v2/workflows/{identifier}/members": {
        "GET": Operation("List whom a workflow is shared with", record({"members": items(ref("Member"))})),
        "POST": _create("Share a workflow with a project", "Member", members.MODEL, "member_id"),
    },
    "/v2/workflows/{identifier}/members/{member_id}": {
        "GET": _show("Show how a workflow is shared with a project", "Member"),
        "PUT": _change(
            "Accept or reject what is shared", "Member", members.ANSWER, "status", errors=_MEMBER_ERRORS
        ),
        "DELETE": _delete("Share no longer", errors=_MEMBER_ERRORS),
    },
    "/v2/actions": {
        "GET": Operation(
            "List actions: installed, ad-hoc and dynamic ones",
            listed("actions", ref("Action")),
            lists=kinds.ACTION_LIST,
        ),
        "POST": _upload("Create ad-hoc actions, all or none", _many("actions", "Action"), 201, _ACTIONS),
        "PUT": _upload(
            "Replace ad-hoc actions, found by their names; with `identifier` that one",
            _many("actions", "Action"),
            200,
            _ACTIONS,
            "identifier",
        ),
    },
    "/v2/actions/validate": {"POST": _validate(_ACTIONS)},
    "/v2/actions/{identifier}": {
        "GET": _show("Show an action, by name or id", "Action", "namespace", "fields"),
        "PUT": _upload(
            "Replace one ad-hoc action, found by name or id",
            _many("actions", "Action"),
            200,
            _ACTIONS,
            "identifier",
        ),
        "DELETE": _delete("Delete an ad-hoc action", "namespace"),
    },
    "/v2/actions/{identifier}/{namespace}": {
        "GET": _show("Show an action of a namespace", "Action", "namespace", "fields"),
        "DELETE": _delete("Delete an ad-hoc action of a namespace", "namespace"),
    },
    "/v2/executions": {
        "GET": _list("List executions", kinds.EXECUTION_LIST, "Execution"),
        "POST": Operation(
            "Start a workflow",
            ref("Execution"),
            201,
            parameters=("wait",),
            headers=("Idempotency-Key",),
            body=executions.START,
            errors=(404, 409),
        ),
    },
    "/v2/executions/{id}": {
        "GET": _show("Show an execution; with `wait` when it has ended", "Execution", "fields", "wait"),
        "PUT": _change(
            "Pause, resume or end an execution; change its description or environment",
            "Execution",
            executions.CHANGE,
        ),
        "DELETE": _delete("Delete an execution with everything below it", "force"),
    },
    "/v2/executions/{id}/tasks": {
        "GET": _list("List the tasks of an execution", kinds.EXECUTION_TASK_LIST, "Task")
    },
    "/v2/executions/{id}/fork": {
        "POST": Operation(
            "Begin anew in the middle of an ended execution",
            ref("Execution"),
            201,
            body=forks.FORK,
            required=("task",),
            errors=(404, 409),
            also={200: ref("ForkPreview")},
        )
    },
    "/v2/executions/{id}/executions": {
        "GET": Operation("An execution and all below it", _SUB_EXECUTIONS, parameters=_TREE)
    },
    "/v2/executions/{id}/report": {
        "GET": _show(
            "Report on an execution and all below it", "Report", "errors_only", "max_depth", "statistics_only"
        )
    },
    "/v2/executions/{id}/events": {
        "GET": Operation(
            "Stream the changes of an execution",
            ref("Change"),
            parameters=("recursive", "last_event_id"),
            headers=("Last-Event-ID",),
            streams=True,
            also={204: None},
        )
    },
    "/v2/executions/{id}/blockers": {"GET": _show("Tell what an execution waits for", "Blockers")},
    "/v2/executions/{id}/errors_report": {
        "GET": _show("List the errors of a tree that nothing has handled", "Errors")
    },
    "/v2/executions/{id}/tasks_statistics": {
        "GET": _show("Count the tasks of an execution by state", "Counts", "current_only")
    },
    "/v2/tasks": {"GET": _list("List tasks", kinds.TASK_LIST, "Task")},
    "/v2/tasks/{id}": {
        "GET": _show("Show a task", "Task", "fields"),
        "PUT": _change("Run a task in ERROR again, or skip it", "Task", tasks.CHANGE, "state"),
    },
    "/v2/tasks/{id}/action_executions": {
        "GET": _list("List the actions of a task", kinds.TASK_ACTION_EXECUTION_LIST, "ActionExecution")
    },
    "/v2/tasks/{id}/action_executions/{action_id}": {
        "GET": _show("Show an action of a task", "ActionExecution", "fields")
    },
    "/v2/tasks/{id}/with_items_statistics": {"GET": _show("Count the items of a task by state", "Counts")},
    "/v2/tasks/{id}/workflow_executions": {
        "GET": _list("List what a task called", kinds.TASK_EXECUTION_LIST, "Execution")
    },
    "/v2/tasks/{id}/executions": {
        "GET": Operation("What a task called, and all below it", _SUB_EXECUTIONS, parameters=_TREE)
    },
    "/v2/action_executions": {
        "GET": _list("List action executions", kinds.ACTION_EXECUTION_LIST, "ActionExecution"),
        "POST": _create("Run an action", "ActionExecution", action_executions.RUN, "name", errors=(403, 500)),
    },
    "/v2/action_executions/{id}": {
        "GET": _show("Show an action execution", "ActionExecution", "fields"),
        "PUT": _change(
            "Report the result of an action, pause or resume it",
            "ActionExecution",
            action_executions.UPDATE,
            "state",
        ),
        "DELETE": _delete("Delete an ended action execution of no task"),
    },
    "/v2/environments": {
        "GET": _list("List environments", kinds.ENVIRONMENT_LIST, "Environment"),
        "POST": _create("Create an environment", "Environment", environments.MODEL, "name"),
        "PUT": _change("Change an environment, found by its name", "Environment", environments.MODEL, "name"),
    },
    "/v2/environments/{name}": {
        "GET": _show("Show an environment", "Environment", "fields"),
        "DELETE": _delete("Delete an environment"),
    },
    "/v2/cron_triggers": {
        "GET": _list("List cron triggers", kinds.CRON_TRIGGER_LIST, "CronTrigger"),
        "POST": _create("Create a cron trigger", "CronTrigger", cron_triggers.MODEL, "name"),
    },
    "/v2/cron_triggers/{identifier}": {
        "GET": _show("Show a cron trigger, by id or name", "CronTrigger", "fields"),
        "DELETE": _delete("Delete a cron trigger"),
    },
    "/v2/event_triggers": {
        "GET": _list("List event triggers", kinds.EVENT_TRIGGER_LIST, "EventTrigger"),
        "POST": _create(
            "Create an event trigger",
            "EventTrigger",
            event_triggers.MODEL,
            "workflow_id",
            "exchange",
            "topic",
            "event",
        ),
    },
    "/v2/event_triggers/{id}": {
        "GET": _show("Show an event trigger", "EventTrigger", "fields"),
        "PUT": _change("Change an event trigger", "EventTrigger", event_triggers.MODEL),
        "DELETE": _delete("Delete an event trigger"),
    },
    "/v2/limits": {
        "GET": Operation("Show all concurrency limits", ref("Limits")),
        "PUT": Operation(
            "Set a concurrency limit, or take it away",
            ref("Limits"),
            body=limits.MODEL,
            required=("kind", "name", "limit"),
            errors=(403, 404),
        ),
    },
    "/v2/workers/poll": {
        "POST": Operation(
            "Take actions to run", ref("Jobs"), body=workers.POLL, required=("worker_id",), errors=(403, 404)
        )
    },
    "/v2/workers/heartbeat": {
        "POST": Operation(
            "Say that a worker lives",
            ref("Alive"),
            body=workers.HEARTBEAT,
            required=("worker_id",),
            errors=(403, 404),
        )
    },
    "/v2/workers/complete": {
        "POST": Operation(
            "Bring the result of an action",
            ref("Taken"),
            body=workers.COMPLETE,
            required=("worker_id", "action_id", "attempt"),
            errors=(403, 404),
        )
    },
    "/v2/code_sources": {
        "GET": _list("List code sources", kinds.CODE_SOURCE_LIST, "CodeSource"),
        "POST": Operation(
            "Create a code source",
            ref("CodeSource"),
            201,
            parameters=("name", "scope", "namespace"),
            document=_SOURCE,
            errors=(403, 409),
        ),
        "PUT": Operation(
            "Replace the text of a code source",
            ref("CodeSource"),
            parameters=("identifier", "scope", "namespace"),
            document=_SOURCE,
            errors=(403, 404),
        ),
    },
    "/v2/code_sources/{identifier}": {
        "GET": _show("Show a code source, by id or name", "CodeSource", "namespace", "fields"),
        "PUT": Operation(
            "Replace the text of a code source",
            ref("CodeSource"),
            parameters=("identifier", "scope", "namespace"),
            document=_SOURCE,
            errors=(403, 404),
        ),
        "DELETE": _delete("Delete a code source with its actions", "namespace"),
    },
    "/v2/dynamic_actions": {
        "GET": _list("List dynamic actions", kinds.DYNAMIC_ACTION_LIST, "DynamicAction"),
        "POST": _create(
            "Create a dynamic action", "DynamicAction", dynamic_actions.MODEL, "name", "class_name"
        ),
        "PUT": _change(
            "Change a dynamic action, found by id or name", "DynamicAction", dynamic_actions.MODEL
        ),
    },
    "/v2/dynamic_actions/{identifier}": {
        "GET": _show("Show a dynamic action, by id or name", "DynamicAction", "namespace", "fields"),
        "DELETE": _delete("Delete a dynamic action", "namespace"),
    },
}

PARAMETERS: Final[Mapping[str, tuple[Schema, str]]] = {
    "limit": ({"type": "integer", "minimum": 1}, "At most so many items; the server has a limit of its own."),
    "marker": (TEXT, "The id of the last item seen: what follows it."),
    "sort_keys": (TEXT, "Attributes to sort by, with commas between them; the last one is always `id`."),
    "sort_dirs": (TEXT, "`asc` or `desc` for each of `sort_keys`."),
    "fields": (TEXT, "The attributes to show, with commas between them; `id` always is."),
    "nulls": (TEXT, "Attributes that must be null, with commas between them."),
    "total": ({"type": "boolean"}, "Count the items on all pages."),
    "all_projects": ({"type": "boolean"}, "Show those of all projects."),
    "include_output": ({"type": "boolean"}, "Show `output` too."),
    "namespace": ({"type": "string", "maxLength": 255}, "The namespace; the default one has no name."),
    "scope": ({"enum": ["private", "public"]}, "Who may see it; without it `private`."),
    "skip_validation": (TEXT, "Store without checking, where the server's setting allows that."),
    "strict": ({"type": "boolean"}, "Take warnings for errors."),
    "identifier": (TEXT, "The id or name of the one to replace."),
    "name": ({"type": "string", "minLength": 1, "maxLength": 255}, "Its name."),
    "wait": ({"type": "number", "minimum": 0}, "Answer when it has ended, or after so many seconds."),
    "force": ({"type": "boolean"}, "Delete it even if it hasn't ended."),
    "recursive": ({"type": "boolean"}, "Everything below it, too."),
    "last_event_id": (TEXT, "The header Last-Event-ID, for clients that can't send it."),
    "errors_only": ({"type": "boolean"}, "Only what failed."),
    "max_depth": ({"type": "integer"}, "So many levels down; below 0: all."),
    "statistics_only": ({"type": "boolean"}, "Without the tree."),
    "current_only": ({"type": "boolean"}, "Without sub-workflows."),
}
"""Parameters of URLs by name: what they look like, and what they mean."""

HEADERS: Final[Mapping[str, tuple[Schema, str]]] = {
    "Idempotency-Key": (
        {"type": "string", "minLength": 1, "maxLength": 255},
        "Requests with the same key are one start.",
    ),
    "Last-Event-ID": (TEXT, "Go on after the event of this id."),
}
