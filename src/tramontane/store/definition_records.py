"""What people have stored beside executions, one row each; field names are those of the REST API.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """A share of a workflow: ``project_id`` owns it, ``member_id`` is the project it is shared with."""

    id: str
    resource_id: str
    resource_type: str
    project_id: str
    member_id: str
    status: str
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSourceRow:
    """A Python module as it was uploaded; ``version`` counts from 1."""

    id: str
    name: str
    namespace: str
    project_id: str
    scope: str
    content: str
    version: int
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicActionRow:
    """An action whose class stands in a code source."""

    id: str
    name: str
    namespace: str
    project_id: str
    scope: str
    code_source_id: str
    code_source_name: str
    class_name: str
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class DynamicEntry:
    """What it takes to run a dynamic action: its class, and the module as it is now."""

    class_name: str
    source_name: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CronTriggerRow:
    """A schedule. ``sameness`` is what no other trigger of the project may have; None: no matter."""

    id: str
    name: str
    project_id: str
    scope: str
    workflow_name: str
    workflow_id: str
    workflow_input: Any
    workflow_params: Any
    pattern: str
    remaining_executions: int | None
    first_execution_time: Micros | None
    next_execution_time: Micros | None
    sameness: str | None
    trust_id: str | None
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTriggerRow:
    id: str
    name: str
    project_id: str
    scope: str
    workflow_id: str
    workflow_input: Any
    workflow_params: Any
    exchange: str
    topic: str
    event: str
    trust_id: str | None
    created_at: Micros
    updated_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class TriggerUse:
    """A trigger that starts a workflow."""

    id: str
    kind: Literal["cron", "event"]
    project_id: str


AnyDefinition = (
    WorkflowRow
    | WorkbookRow
    | ActionRow
    | EnvironmentRow
    | MemberRow
    | CodeSourceRow
    | DynamicActionRow
    | CronTriggerRow
    | EventTriggerRow
)
