"""What the REST API shows, with the names that the engine's records have: JSON texts read, times parsed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tramontane.core.state import Micros
from tramontane.states import COMPLETED

Item = Mapping[str, Any]


@dataclass(frozen=True)
class ExecutionShown:
    """A workflow execution."""

    id: str
    root_id: str
    parent_task_id: str | None
    project_id: str
    workflow_name: str
    workflow_namespace: str
    workflow_id: str | None
    description: str | None
    tags: tuple[str, ...]
    params: Any
    input: Any
    state: str
    state_info: str | None
    output: Any
    published_global: Any
    created_at: Micros
    updated_at: Micros | None

    @property
    def is_completed(self) -> bool:
        return self.state in COMPLETED

    @classmethod
    def of(cls, item: Item) -> ExecutionShown:
        return cls(
            id=item["id"],
            root_id=item["root_execution_id"] or item["id"],
            parent_task_id=item["task_execution_id"],
            project_id=item["project_id"],
            workflow_name=item["workflow_name"],
            workflow_namespace=item["workflow_namespace"],
            workflow_id=item["workflow_id"],
            description=item["description"],
            tags=tuple(item["tags"]),
            params=json.loads(item["params"]),
            input=json.loads(item["input"]),
            state=item["state"],
            state_info=item["state_info"],
            output=json.loads(item["output"]),
            published_global=json.loads(item["published_global"]),
            created_at=moment(item["created_at"]),
            updated_at=moment_or_none(item["updated_at"]),
        )


@dataclass(frozen=True)
class TaskShown:
    """A task execution, as its single read shows it; ``result`` is ``task(name).result``."""

    id: str
    execution_id: str
    name: str
    type: str
    workflow_name: str
    workflow_namespace: str
    tags: tuple[str, ...]
    state: str
    state_info: str | None
    result: Any
    published: Any
    published_global: Any
    runtime_context: Any
    processed: bool
    next_tasks: Any
    has_next_tasks: bool
    error_handled: bool
    created_at: Micros
    updated_at: Micros | None
    started_at: Micros | None
    finished_at: Micros | None

    @property
    def is_completed(self) -> bool:
        return self.state in COMPLETED

    @classmethod
    def of(cls, item: Item) -> TaskShown:
        return cls(
            id=item["id"],
            execution_id=item["workflow_execution_id"],
            name=item["name"],
            type=item["type"],
            workflow_name=item["workflow_name"],
            workflow_namespace=item["workflow_namespace"],
            tags=tuple(item["tags"]),
            state=item["state"],
            state_info=item["state_info"],
            result=json.loads(item["result"]),
            published=json.loads(item["published"]),
            published_global=json.loads(item.get("published_global", "{}")),
            runtime_context=json.loads(item["runtime_context"]),
            processed=item["processed"],
            next_tasks=item["next_tasks"],
            has_next_tasks=item["has_next_tasks"],
            error_handled=item["error_handled"],
            created_at=moment(item["created_at"]),
            updated_at=moment_or_none(item["updated_at"]),
            started_at=moment_or_none(item["started_at"]),
            finished_at=moment_or_none(item["finished_at"]),
        )


@dataclass(frozen=True)
class ActionShown:
    """An action execution. ``index`` is its item's number, of which executors are told, not clients."""

    id: str
    task_id: str | None
    name: str
    index: int
    state: str
    state_info: str | None
    accepted: bool
    input: Any
    output: Any
    created_at: Micros
    updated_at: Micros | None

    @property
    def is_completed(self) -> bool:
        return self.state in COMPLETED

    @property
    def result(self) -> Any:
        return None if self.output is None else self.output.get("result")

    @classmethod
    def of(cls, item: Item, index: int) -> ActionShown:
        return cls(
            id=item["id"],
            task_id=item["task_execution_id"],
            name=item["name"],
            index=index,
            state=item["state"],
            state_info=item["state_info"],
            accepted=item["accepted"],
            input=json.loads(item["input"]),
            output=None if item["output"] is None else json.loads(item["output"]),
            created_at=moment(item["created_at"]),
            updated_at=moment_or_none(item["updated_at"]),
        )


@dataclass(frozen=True)
class CallShown:
    """A sub-workflow execution, as the task that called it sees it."""

    id: str
    task_id: str
    index: int
    state: str
    output: Any
    created_at: Micros

    @classmethod
    def of(cls, item: Item) -> CallShown:
        return cls(
            id=item["id"],
            task_id=item["task_execution_id"],
            index=json.loads(item["params"])["index"],
            state=item["state"],
            output=json.loads(item["output"]),
            created_at=moment(item["created_at"]),
        )


def moment(shown: str) -> Micros:
    """Read a time of an answer, in microseconds since 1970."""
    read = dt.datetime.strptime(shown, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    return int(read.timestamp()) * 1_000_000


def moment_or_none(shown: str | None) -> Micros | None:
    return None if shown is None else moment(shown)
