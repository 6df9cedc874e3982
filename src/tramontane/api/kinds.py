"""The list endpoints: resource by resource, what each takes (REST endpoints, "Filters" of each section)."""

from __future__ import annotations

from typing import Final

from tramontane.api.listing import ListKind
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

WORKBOOK_LIST: Final = ListKind(WORKBOOKS, "workbooks")
WORKFLOW_LIST: Final = ListKind(
    WORKFLOWS,
    "workflows",
    switches=("all_projects",),
    guarded={"all_projects": "workflows:list:all_projects"},
    shown_with={"input": ("interface",)},
)
ACTION_LIST: Final = ListKind(ACTIONS, "actions")
ENVIRONMENT_LIST: Final = ListKind(ENVIRONMENTS, "environments")
CRON_TRIGGER_LIST: Final = ListKind(
    CRON_TRIGGERS,
    "cron_triggers",
    switches=("all_projects",),
    guarded={"all_projects": "cron_triggers:list:all_projects"},
)
EVENT_TRIGGER_LIST: Final = ListKind(
    EVENT_TRIGGERS,
    "event_triggers",
    switches=("all_projects",),
    guarded={"all_projects": "event_triggers:list:all_projects"},
)
CODE_SOURCE_LIST: Final = ListKind(
    CODE_SOURCES, "code_sources", switches=("all_projects",), absent=("actions",)
)
DYNAMIC_ACTION_LIST: Final = ListKind(DYNAMIC_ACTIONS, "dynamic_actions", switches=("all_projects",))
EXECUTION_LIST: Final = ListKind(
    EXECUTIONS,
    "executions",
    switches=("include_output", "all_projects"),
    takes_nulls=True,
    guarded={
        "all_projects": "executions:list:all_projects",
        "project_id": "executions:list:all_projects",
    },
    absent=("source_execution_id",),
)
TASK_EXECUTION_LIST: Final = ListKind(
    EXECUTIONS,
    "executions",
    absent=("source_execution_id",),
    without=("task_execution_id", "root_execution_id", "project_id"),
)
TASK_LIST: Final = ListKind(TASKS, "tasks", computed=("result",), absent=("reset", "env"))
EXECUTION_TASK_LIST: Final = ListKind(
    TASKS, "tasks", computed=("result",), absent=("reset", "env"), without=("workflow_execution_id",)
)
ACTION_EXECUTION_LIST: Final = ListKind(
    ACTION_EXECUTIONS, "action_executions", switches=("include_output",), absent=("params",)
)
TASK_ACTION_EXECUTION_LIST: Final = ListKind(
    ACTION_EXECUTIONS,
    "action_executions",
    switches=("include_output",),
    absent=("params",),
    without=("task_execution_id",),
)
