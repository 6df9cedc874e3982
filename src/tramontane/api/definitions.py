"""Stored definitions as clients see them in the answers to uploads (REST specification, section 4.4)."""

from __future__ import annotations

from typing import Any

import orjson

from tramontane.api.times import shown
from tramontane.store.definition_records import ActionRow, EnvironmentRow, WorkbookRow, WorkflowRow
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


def _stamped(
    row: WorkflowRow | WorkbookRow | ActionRow | EnvironmentRow, data: dict[str, Any]
) -> dict[str, Any]:
    """Add the times; what was never changed has no ``updated_at`` in such an answer."""
    data["created_at"] = shown(row.created_at)
    if row.updated_at is not None:
        data["updated_at"] = shown(row.updated_at)
    return data
