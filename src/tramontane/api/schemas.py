"""What answers hold, as JSON Schema: of resources from their fields, of everything else written down.

These are the components of the OpenAPI document (:mod:`tramontane.api.openapi`), by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tramontane.api.blockers import KINDS
from tramontane.states import COMPLETED
from tramontane.store.reads.fields import Field, Resource
from tramontane.store.reads.resources import (
    ACTION_EXECUTIONS,
    ACTIONS,
    CODE_SOURCES,
    CRON_TRIGGERS,
    DYNAMIC_ACTIONS,
    ENVIRONMENTS,
    EVENT_TRIGGERS,
    EXECUTIONS,
    TASKS,
    WORKBOOKS,
    WORKFLOWS,
)

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
INTEGER: Final[Schema] = {"type": "integer"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
TIME: Final[Schema] = {
    "type": ["string", "null"],
    "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$",
    "description": "UTC, in whole seconds.",
}
JSON_TEXT: Final[Schema] = {"type": ["string", "null"], "contentMediaType": "application/json"}
ANYTHING: Final[Schema] = {}


def ref(name: str) -> Schema:
    """Point to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def items(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def record(properties: Mapping[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object whose attributes are all there, but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, **more}


_KINDS: Final[dict[str, Schema]] = {
    "text": TEXT,
    "uuid": TEXT,
    "json": JSON_TEXT,
    "time": TIME,
    "bool": BOOLEAN,
    "int": INTEGER,
    "tags": items(TEXT),
}


def _field(item: Field) -> Schema:
    schema = _KINDS[item.kind]
    if item.kind in ("text", "uuid", "int") and item.nullable:
        return {**schema, "type": [schema["type"], "null"]}
    return schema


def _resource(resource: Resource, **others: Schema) -> Schema:
    """The objects of a resource; only their id is always there, since ``fields`` chooses the rest."""
    properties = {item.name: _field(item) for item in resource.fields}
    properties.update(others)
    return record(properties, tuple(name for name in properties if name != "id"))


_WARNINGS: Final = {"warnings": items(ref("Problem"))}
_COUNTS: Final = (
    "TOTAL", "RUNNING", "SUCCESS", "ERROR", "IDLE", "PAUSED", "SKIPPED", "WAITING", "DELAYED", "CANCELLED",
)  # fmt: skip
_REPORTED: Final[dict[str, Schema]] = {
    "id": TEXT,
    "name": TEXT,
    "created_at": TIME,
    "updated_at": TIME,
    "state": TEXT,
    "state_info": MAYBE_TEXT,
}
_STATISTICS: Final = (
    "total_tasks_count", "running_tasks_count", "success_tasks_count", "error_tasks_count",
    "idle_tasks_count", "paused_tasks_count", "estimated_time",
)  # fmt: skip
_TASK_BRIEFLY: Final[dict[str, Schema]] = {"id": TEXT, "name": TEXT, "state": TEXT}
_JOB: Final[dict[str, Schema]] = {
    "action_id": TEXT,
    "attempt": INTEGER,
    "name": TEXT,
    "input": {"type": "object"},
    "context": {"type": ["object", "null"]},
    "timeout": {"type": ["integer", "null"]},
    "dry_run": BOOLEAN,
    "project_id": TEXT,
}
_CANCELLED_JOB: Final = record({"action_id": TEXT, "attempt": INTEGER})

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": record(
        {
            "faultcode": {"enum": ["Client", "Server"]},
            "faultstring": {**TEXT, "minLength": 1, "description": "What is wrong, for people."},
            "debuginfo": {"type": "null"},
            "code": {**TEXT, "description": "What is wrong, for programs; see the list of codes."},
            "problems": items(ref("Problem")),
        },
        optional=("problems",),
    ),
    "Problem": record(
        {
            "severity": {"enum": ["error", "warning"]},
            "message": TEXT,
            "path": {**TEXT, "description": "The place in the document, such as `wf.tasks.t.retry.count`."},
            "line": {**INTEGER, "description": "From 1 on; 0: unknown."},
            "column": {**INTEGER, "description": "From 1 on; 0: unknown."},
        },
        description="A finding about a document.",
    ),
    "Workbook": _resource(WORKBOOKS, **_WARNINGS),
    "Workflow": _resource(
        WORKFLOWS,
        interface={
            "type": ["string", "object"],
            "description": "JSON as text; in answers to uploads an object.",
        },
        **_WARNINGS,
    ),
    # What is installed has less to tell than what was uploaded.
    "Action": _resource(
        ACTIONS,
        description=MAYBE_TEXT,
        tags={"type": ["array", "null"], "items": TEXT},
        scope=MAYBE_TEXT,
        project_id=MAYBE_TEXT,
        created_at={**MAYBE_TEXT, "description": "Empty for actions that weren't uploaded."},
        updated_at={**MAYBE_TEXT, "description": "Empty for actions that weren't uploaded."},
    ),
    "Environment": _resource(ENVIRONMENTS),
    "CronTrigger": _resource(CRON_TRIGGERS),
    "EventTrigger": _resource(EVENT_TRIGGERS),
    "CodeSource": _resource(CODE_SOURCES, **_WARNINGS),
    "DynamicAction": _resource(DYNAMIC_ACTIONS),
    "Execution": _resource(
        EXECUTIONS,
        parked={**TEXT, "description": "Why nobody runs the execution any more."},
        source_execution_id=TEXT,
    ),
    "Task": _resource(
        TASKS,
        next_tasks={"type": ["array", "null"]},
        error_handled=BOOLEAN,
        has_next_tasks=BOOLEAN,
        result=JSON_TEXT,
    ),
    # An action that is run without being stored has no more than its result.
    "ActionExecution": _resource(
        ACTION_EXECUTIONS,
        id=MAYBE_TEXT,
        project_id=MAYBE_TEXT,
        tags={"type": "null"},
        accepted={"type": ["boolean", "null"]},
    ),
    "Member": record(
        {
            "id": TEXT,
            "resource_id": TEXT,
            "resource_type": TEXT,
            "project_id": TEXT,
            "member_id": TEXT,
            "status": {"enum": ["pending", "accepted", "rejected"]},
            "created_at": TIME,
            "updated_at": TIME,
        },
        optional=("updated_at",),
    ),
    "Versions": record({"versions": items({"type": "object"})}),
    "Version": record({"uri": TEXT}),
    "Information": {"description": "Whatever the operator's file says."},
    "Health": record({"status": TEXT}),
    "Maintenance": record(
        {"status": {"enum": ["RUNNING", "PAUSING", "PAUSED"]}, "number_of_running_tasks": INTEGER},
        optional=("number_of_running_tasks",),
    ),
    "Limits": record(
        {
            "limits": items(
                record(
                    {
                        "kind": {"enum": ["action", "pool"]},
                        "name": TEXT,
                        "limit": INTEGER,
                        "taken": INTEGER,
                        "waiting": INTEGER,
                        "updated_at": TEXT,
                    }
                )
            )
        }
    ),
    "Validation": record(
        {"valid": BOOLEAN, "error": TEXT, "problems": items(ref("Problem")), **_WARNINGS},
        optional=("error", "problems", "warnings"),
    ),
    "Report": record(
        {
            "statistics": record(dict.fromkeys(_STATISTICS, INTEGER)),
            "root_workflow_execution": ref("ReportedExecution"),
        },
        optional=("root_workflow_execution",),
    ),
    "ReportedExecution": record(
        {**_REPORTED, "task_executions": items(ref("ReportedTask"))}, optional=("task_executions",)
    ),
    "ReportedTask": record(
        {
            **_REPORTED,
            "action_executions": items(
                record({**_REPORTED, "accepted": BOOLEAN, "last_heartbeat": MAYBE_TEXT})
            ),
            "workflow_executions": items(ref("ReportedExecution")),
            "retry_count": INTEGER,
        },
        optional=("retry_count",),
    ),
    "Errors": record(
        {
            "errors": items(
                record(
                    {
                        "id": TEXT,
                        "parent_id": MAYBE_TEXT,
                        "type": {"enum": ["WORKFLOW", "TASK", "ACTION"]},
                        "name": TEXT,
                        "error": MAYBE_TEXT,
                        "attributes": JSON_TEXT,
                        "params": JSON_TEXT,
                        "idx": {"type": ["integer", "null"]},
                    },
                    optional=("attributes", "params", "idx"),
                )
            )
        }
    ),
    "Counts": record(dict.fromkeys(_COUNTS, INTEGER)),
    "Blocker": {
        **record({"kind": {"enum": list(KINDS)}, "text": TEXT}),
        "description": "What something waits for; beside these, the facts that the text is made of.",
        "additionalProperties": True,
    },
    "Blockers": record(
        {
            "id": TEXT,
            "workflow_name": TEXT,
            "state": TEXT,
            "blockers": items(ref("Blocker")),
            "tasks": items(record({**_TASK_BRIEFLY, "blockers": items(ref("Blocker"))})),
            "more_tasks": BOOLEAN,
        },
        optional=("more_tasks",),
    ),
    "ForkPreview": record(
        {
            "source_execution_id": TEXT,
            "workflow_id": MAYBE_TEXT,
            "workflow_name": TEXT,
            "same_definition": BOOLEAN,
            "reused": items(record(_TASK_BRIEFLY)),
            "runs_again": items(record({**_TASK_BRIEFLY, "reason": TEXT})),
            "new_tasks": items(TEXT),
            "changed_tasks": items(TEXT),
            "warnings": items(TEXT),
        }
    ),
    "Jobs": record({"jobs": items(record(_JOB)), "lease_seconds": {"type": "number"}}),
    "Alive": record({"cancelled": items(_CANCELLED_JOB), "lease_seconds": {"type": "number"}}),
    "Taken": record({"accepted": BOOLEAN}),
    "Change": {
        **record({"id": TEXT, "state": TEXT}, optional=("state",)),
        "description": f"The data of one event. Final states are {', '.join(sorted(COMPLETED))}.",
        "additionalProperties": True,
    },
}


def listed(collection: str, item: Schema) -> Schema:
    """One page of a list."""
    return record(
        {
            collection: items(item),
            "next": {**TEXT, "description": "The URL of the next page."},
            "total": {**INTEGER, "description": "How many there are on all pages, if asked for."},
        },
        optional=("next", "total"),
    )
