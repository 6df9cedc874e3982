"""Every path that the API answers, and what answers it (REST specification, section 1.1).

``validate`` is a reserved last segment. Methods that aren't listed are answered with 405; those that
are listed with :func:`missing_identifier` exist for single objects only and say so with 400.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tramontane.api.collections import missing_identifier
from tramontane.api.handlers import (
    action_executions,
    actions,
    environments,
    executions,
    roots,
    tasks,
    trees,
    workbooks,
    workflows,
)
from tramontane.api.routing import Endpoint, Handler


def _guarded(handler: Handler, rule: str) -> Endpoint:
    return Endpoint(handler, rule)


def _upload(handler: Handler, rule: str) -> Endpoint:
    return Endpoint(handler, rule, plain_text_too=True)


def _public(handler: Handler) -> Endpoint:
    return Endpoint(handler, is_public=True)


_MISSING: Final = Endpoint(missing_identifier)
_SHOW_ACTION: Final = _guarded(actions.show_action, "actions:get")
_DELETE_ACTION: Final = _guarded(actions.delete_action, "actions:delete")

ROUTES: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/": {"GET": _public(roots.versions)},
    "/v2": {"GET": _public(roots.version)},
    "/info": {"GET": _public(roots.info)},
    "/healthcheck": {"GET": Endpoint(roots.healthcheck, is_public=True, plain_text_too=True)},
    "/healthz": {"GET": _public(roots.alive)},
    "/readyz": {"GET": _public(roots.ready)},
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
    "/v2/executions/{id}/executions": {"GET": _guarded(trees.list_sub_executions, "executions:get")},
    "/v2/executions/{id}/report": {"GET": _guarded(trees.show_report, "executions:get")},
    "/v2/tasks": {"GET": _guarded(tasks.list_tasks, "tasks:list"), "PUT": _MISSING},
    "/v2/tasks/{id}": {
        "GET": _guarded(tasks.show_task, "tasks:get"),
        "PUT": _guarded(tasks.change_task, "tasks:update"),
    },
    "/v2/tasks/{id}/action_executions": {"GET": _guarded(tasks.list_task_actions, "action_executions:list")},
    "/v2/tasks/{id}/action_executions/{action_id}": {
        "GET": _guarded(tasks.show_task_action, "action_executions:get")
    },
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
}
