"""What people have uploaded, one row each; field names are those of the REST API.

Times are microseconds; ``interface`` is JSON text, ready to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tramontane.core.state import Micros


@dataclass(frozen=True, slots=True)
class WorkflowEntry:
    """A stored workflow, without its text."""

    id: str
    name: str
    namespace: str
    workbook_name: str | None
    spec_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRow:
    """A workflow; ``checksum`` None and ``workbook_name`` given: it came out of a workbook."""

    id: str
    name: str
    namespace: str
    project_id: str
    scope: str
    definition: str
    checksum: str | None
    tags: tuple[str, ...]
    is_system: bool
    spec_hash: str
    input: str
    interface: str
    workbook_name: str | None
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookRow:
    id: str
    name: str
    namespace: str
    project_id: str
    scope: str
    definition: str
    checksum: str | None
    tags: tuple[str, ...]
    spec_hash: str
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """An ad-hoc action; ``input`` None: it declares none."""

    id: str
    name: str
    namespace: str
    project_id: str
    scope: str
    definition: str
    tags: tuple[str, ...]
    is_system: bool
    spec_hash: str
    input: str | None
    description: str | None
    workbook_name: str | None
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    id: str
    name: str
    project_id: str
    scope: str
    description: str | None
    variables: Any
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class TriggerUse:
    """A trigger that starts a workflow."""

    id: str
    kind: Literal["cron", "event"]
    project_id: str


AnyDefinition = WorkflowRow | WorkbookRow | ActionRow | EnvironmentRow
