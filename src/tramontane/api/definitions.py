"""What was stored, as clients see it in answers to creations and changes (REST specification, 4.4)."""

from __future__ import annotations

from typing import Any

import orjson

from tramontane.api.times import shown
from tramontane.store.definition_records import (
    ActionRow,
    AnyDefinition,
    CodeSourceRow,
    CronTriggerRow,
    DynamicActionRow,
    EnvironmentRow,
    EventTriggerRow,
    MemberRow,
    WorkbookRow,
    WorkflowRow,
)
from tramontane.values import encode


def workflow_data(row: WorkflowRow) -> dict[str, Any]:
    """A workflow with its interface as an object, which only these answers have."""
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "namespace": row.namespace,
            "input": row.input,
            "interface": orjson.Fragment(row.interface),
            "definition": row.definition,
            "checksum": row.checksum,
            "tags": list(row.tags),
            "scope": row.scope,
            "project_id": row.project_id,
        },
    )


def workbook_data(row: WorkbookRow) -> dict[str, Any]:
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "namespace": row.namespace,
            "definition": row.definition,
            "tags": list(row.tags),
            "scope": row.scope,
            "project_id": row.project_id,
        },
    )


def action_data(row: ActionRow) -> dict[str, Any]:
    """An ad-hoc action; an input that it doesn't declare is null here."""
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "is_system": row.is_system,
            "input": row.input,
            "description": row.description,
            "tags": list(row.tags),
            "definition": row.definition,
            "scope": row.scope,
            "project_id": row.project_id,
            "namespace": row.namespace,
        },
    )


def environment_data(row: EnvironmentRow) -> dict[str, Any]:
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "description": row.description,
            "variables": None if row.variables is None else encode(row.variables),
            "scope": row.scope,
            "project_id": row.project_id,
        },
    )


def member_data(row: MemberRow) -> dict[str, Any]:
    return _stamped(
        row,
        {
            "id": row.id,
            "resource_id": row.resource_id,
            "resource_type": row.resource_type,
            "project_id": row.project_id,
            "member_id": row.member_id,
            "status": row.status,
        },
    )


def code_source_data(row: CodeSourceRow) -> dict[str, Any]:
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "namespace": row.namespace,
            "content": row.content,
            "version": row.version,
            "project_id": row.project_id,
            "scope": row.scope,
        },
    )


def dynamic_action_data(row: DynamicActionRow) -> dict[str, Any]:
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "namespace": row.namespace,
            "code_source_id": row.code_source_id,
            "code_source_name": row.code_source_name,
            "class_name": row.class_name,
            "project_id": row.project_id,
            "scope": row.scope,
        },
    )


def cron_trigger_data(row: CronTriggerRow) -> dict[str, Any]:
    return _stamped(
        row,
        {
            "id": row.id,
            "name": row.name,
            "workflow_name": row.workflow_name,
            "workflow_id": row.workflow_id,
            "workflow_input": encode(row.workflow_input),
            "workflow_params": encode(row.workflow_params),
            "project_id": row.project_id,
            "scope": row.scope,
            "pattern": row.pattern,
            "remaining_executions": row.remaining_executions,
            "first_execution_time": shown(row.first_execution_time),
            "next_execution_time": shown(row.next_execution_time),
        },
    )


def event_trigger_data(row: EventTriggerRow) -> dict[str, Any]:
    """An event trigger; its time of change is there even before any change."""
    return {
        "id": row.id,
        "created_at": shown(row.created_at),
        "updated_at": shown(row.updated_at),
        "project_id": row.project_id,
        "name": row.name,
        "workflow_id": row.workflow_id,
        "workflow_input": encode(row.workflow_input),
        "workflow_params": encode(row.workflow_params),
        "exchange": row.exchange,
        "topic": row.topic,
        "event": row.event,
        "scope": row.scope,
    }


def _stamped(row: AnyDefinition, data: dict[str, Any]) -> dict[str, Any]:
    """Add the times; what was never changed has no ``updated_at`` in such an answer."""
    data["created_at"] = shown(row.created_at)
    if row.updated_at is not None:
        data["updated_at"] = shown(row.updated_at)
    return data
