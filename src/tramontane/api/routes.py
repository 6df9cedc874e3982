"""Every path that the API answers, and what answers it (REST specification, section 1.1).

``validate`` is a reserved last segment. Methods that aren't listed are answered with 405; those that
are listed with :func:`missing_identifier` exist for single objects only and say so with 400.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from starlette.responses import Response

from tramontane.api.collections import missing_identifier
from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.handlers import (
    action_executions,
    actions,
    blockers,
    code_sources,
    cron_triggers,
    dynamic_actions,
    environments,
    event_triggers,
    events,
    executions,
    forks,
    limits,
    maintenance,
    members,
    roots,
    statistics,
    tasks,
    trees,
    workbooks,
    workers,
    workflows,
)
from tramontane.api.media import EVENT_STREAM, METRICS, PLAIN_TEXT
from tramontane.api.openapi import document
from tramontane.api.request import Request
from tramontane.api.routing import Endpoint, Handler


def _guarded(handler: Handler, rule: str) -> Endpoint:
    return Endpoint(handler, rule)


def _upload(handler: Handler, rule: str) -> Endpoint:
    return Endpoint(handler, rule, also_accepted=PLAIN_TEXT)


def _public(handler: Handler) -> Endpoint:
    return Endpoint(handler, is_public=True)


@cache
def openapi_document() -> Mapping[str, Any]:
    """Describe all these paths to programs; it is the same for as long as the process lives."""
    return document(ROUTES)


async def show_openapi(api: Api, request: Request) -> Response:  # noqa: ARG001 (a handler)
    return answer({**openapi_document(), "servers": [{"url": request.base_url or "/"}]})


_MISSING: Final = Endpoint(missing_identifier)
_SHOW_ACTION: Final = _guarded(actions.show_action, "actions:get")
_DELETE_ACTION: Final = _guarded(actions.delete_action, "actions:delete")

ROUTES: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/": {"GET": _public(roots.versions)},
    "/v2": {"GET": _public(roots.version)},
    "/v2/openapi.json": {"GET": _public(show_openapi)},
    "/info": {"GET": _public(roots.info)},
    "/healthcheck": {"GET": Endpoint(roots.healthcheck, is_public=True, also_accepted=PLAIN_TEXT)},
    "/healthz": {"GET": _public(roots.alive)},
    "/readyz": {"GET": _public(roots.ready)},
    "/metrics": {"GET": Endpoint(roots.metrics, "metrics:get", also_accepted=METRICS)},
    "/maintenance": {
        "GET": Endpoint(maintenance.show_maintenance),
        "PUT": _guarded(maintenance.change_maintenance, "maintenance:update"),
    },
    "/v2/workbooks": {
        "GET": _guarded(workbooks.list_workbooks, "workbooks:list"),
        "POST": _upload(workbooks.create_workbook, "workbooks:create"),
        "PUT": _upload(workbooks.update_workbook, "workbooks:update"),
        "DELETE": _MISSING,
    },
    "/v2/workbooks/validate": {"POST": Endpoint(workbooks.validate_workbook)},
    "/v2/workbooks/{name}": {
        "GET": _guarded(workbooks.show_workbook, "workbooks:get"),
        "PUT": Endpoint(workbooks.no_update_by_path),
        "DELETE": _guarded(workbooks.delete_workbook, "workbooks:delete"),
    },
    "/v2/workflows": {
        "GET": _guarded(workflows.list_workflows, "workflows:list"),
        "POST": _upload(workflows.create_workflows, "workflows:create"),
        "PUT": _upload(workflows.update_workflows, "workflows:update"),
        "DELETE": _MISSING,
    },
    "/v2/workflows/validate": {"POST": Endpoint(workflows.validate_workflows)},
    "/v2/workflows/{identifier}": {
        "GET": _guarded(workflows.show_workflow, "workflows:get"),
        "PUT": _upload(workflows.update_workflows, "workflows:update"),
        "DELETE": _guarded(workflows.delete_workflow, "workflows:delete"),
    },
    "/v2/workflows/{identifier}/members": {
        "GET": _guarded(members.list_members, "members:list"),
        "POST": _guarded(members.create_member, "members:create"),
        "DELETE": _MISSING,
    },
    "/v2/workflows/{identifier}/members/{member_id}": {
        "GET": _guarded(members.show_member, "members:get"),
        "PUT": _guarded(members.update_member, "members:update"),
        "DELETE": _guarded(members.delete_member, "members:delete"),
    },
    "/v2/actions": {
        "GET": _guarded(actions.list_actions, "actions:list"),
        "POST": _upload(actions.create_actions, "actions:create"),
        "PUT": _upload(actions.update_actions, "actions:update"),
        "DELETE": _MISSING,
    },
    "/v2/actions/validate": {"POST": Endpoint(actions.validate_actions)},
    "/v2/actions/{identifier}": {
        "GET": _SHOW_ACTION,
        "PUT": _upload(actions.update_actions, "actions:update"),
        "DELETE": _DELETE_ACTION,
    },
    "/v2/actions/{identifier}/{namespace}": {"GET": _SHOW_ACTION, "DELETE": _DELETE_ACTION},
    "/v2/executions": {
        "GET": _guarded(executions.list_executions, "executions:list"),
        "POST": _guarded(executions.start_execution, "executions:create"),
        "PUT": _MISSING,
        "DELETE": _MISSING,
    },
    "/v2/executions/{id}": {
        "GET": _guarded(executions.show_execution, "executions:get"),
        "PUT": _guarded(executions.change_execution, "executions:update"),
        "DELETE": _guarded(executions.delete_execution, "executions:delete"),
    },
    "/v2/executions/{id}/tasks": {"GET": _guarded(executions.list_execution_tasks, "tasks:list")},
    "/v2/executions/{id}/tasks/{task_id}": {},
    "/v2/executions/{id}/fork": {"POST": _guarded(forks.fork_execution, "executions:create")},
    "/v2/executions/{id}/executions": {"GET": _guarded(trees.list_sub_executions, "executions:get")},
    "/v2/executions/{id}/report": {"GET": _guarded(trees.show_report, "executions:get")},
    "/v2/executions/{id}/events": {
        "GET": Endpoint(events.stream_events, "executions:get", also_accepted=EVENT_STREAM)
    },
    "/v2/executions/{id}/blockers": {"GET": _guarded(blockers.show_blockers, "executions:get")},
    "/v2/executions/{id}/errors_report": {"GET": _guarded(statistics.show_errors, "executions:get")},
    "/v2/executions/{id}/tasks_statistics": {
        "GET": _guarded(statistics.show_task_statistics, "executions:get")
    },
    "/v2/tasks": {"GET": _guarded(tasks.list_tasks, "tasks:list"), "PUT": _MISSING},
    "/v2/tasks/{id}": {
        "GET": _guarded(tasks.show_task, "tasks:get"),
        "PUT": _guarded(tasks.change_task, "tasks:update"),
    },
    "/v2/tasks/{id}/action_executions": {"GET": _guarded(tasks.list_task_actions, "action_executions:list")},
    "/v2/tasks/{id}/action_executions/{action_id}": {
        "GET": _guarded(tasks.show_task_action, "action_executions:get")
    },
    "/v2/tasks/{id}/with_items_statistics": {"GET": _guarded(statistics.show_item_statistics, "tasks:get")},
    "/v2/tasks/{id}/workflow_executions": {"GET": _guarded(tasks.list_task_workflows, "executions:list")},
    "/v2/tasks/{id}/executions": {"GET": _guarded(trees.list_task_executions, "executions:get")},
    "/v2/action_executions": {
        "GET": _guarded(action_executions.list_action_executions, "action_executions:list"),
        "POST": _guarded(action_executions.run_action, "action_executions:create"),
        "PUT": _MISSING,
        "DELETE": _MISSING,
    },
    "/v2/action_executions/{id}": {
        "GET": _guarded(action_executions.show_action_execution, "action_executions:get"),
        "PUT": _guarded(action_executions.update_action_execution, "action_executions:update"),
        "DELETE": _guarded(action_executions.delete_action_execution, "action_executions:delete"),
    },
    "/v2/environments": {
        "GET": _guarded(environments.list_environments, "environments:list"),
        "POST": _guarded(environments.create_environment, "environments:create"),
        "PUT": _guarded(environments.update_environment, "environments:update"),
        "DELETE": _MISSING,
    },
    "/v2/environments/{name}": {
        "GET": _guarded(environments.show_environment, "environments:get"),
        "PUT": Endpoint(environments.no_update_by_path),
        "DELETE": _guarded(environments.delete_environment, "environments:delete"),
    },
    "/v2/cron_triggers": {
        "GET": _guarded(cron_triggers.list_cron_triggers, "cron_triggers:list"),
        "POST": _guarded(cron_triggers.create_cron_trigger, "cron_triggers:create"),
        "DELETE": _MISSING,
    },
    "/v2/cron_triggers/{identifier}": {
        "GET": _guarded(cron_triggers.show_cron_trigger, "cron_triggers:get"),
        "DELETE": _guarded(cron_triggers.delete_cron_trigger, "cron_triggers:delete"),
    },
    "/v2/event_triggers": {
        "GET": _guarded(event_triggers.list_event_triggers, "event_triggers:list"),
        "POST": _guarded(event_triggers.create_event_trigger, "event_triggers:create"),
        "PUT": _MISSING,
        "DELETE": _MISSING,
    },
    "/v2/event_triggers/{id}": {
        "GET": _guarded(event_triggers.show_event_trigger, "event_triggers:get"),
        "PUT": _guarded(event_triggers.update_event_trigger, "event_triggers:update"),
        "DELETE": _guarded(event_triggers.delete_event_trigger, "event_triggers:delete"),
    },
    "/v2/limits": {
        "GET": _guarded(limits.list_limits, "limits:list"),
        "PUT": _guarded(limits.change_limit, "limits:update"),
    },
    "/v2/workers/poll": {"POST": _guarded(workers.poll, "workers:poll")},
    "/v2/workers/heartbeat": {"POST": _guarded(workers.heartbeat, "workers:poll")},
    "/v2/workers/complete": {"POST": _guarded(workers.complete, "workers:poll")},
    "/v2/code_sources": {
        "GET": _guarded(code_sources.list_code_sources, "code_sources:list"),
        "POST": _guarded(code_sources.create_code_source, "code_sources:create"),
        "PUT": _guarded(code_sources.update_code_source, "code_sources:update"),
        "DELETE": Endpoint(missing_identifier, "code_sources:delete"),
    },
    "/v2/code_sources/{identifier}": {
        "GET": _guarded(code_sources.show_code_source, "code_sources:get"),
        "PUT": _guarded(code_sources.update_code_source, "code_sources:update"),
        "DELETE": _guarded(code_sources.delete_code_source, "code_sources:delete"),
    },
    "/v2/dynamic_actions": {
        "GET": _guarded(dynamic_actions.list_dynamic_actions, "dynamic_actions:list"),
        "POST": _guarded(dynamic_actions.create_dynamic_action, "dynamic_actions:create"),
        "PUT": _guarded(dynamic_actions.update_dynamic_action, "dynamic_actions:update"),
        "DELETE": Endpoint(missing_identifier, "dynamic_actions:delete"),
    },
    "/v2/dynamic_actions/{identifier}": {
        "GET": _guarded(dynamic_actions.show_dynamic_action, "dynamic_actions:get"),
        "PUT": _guarded(dynamic_actions.no_update_by_path, "dynamic_actions:update"),
        "DELETE": _guarded(dynamic_actions.delete_dynamic_action, "dynamic_actions:delete"),
    },
}
