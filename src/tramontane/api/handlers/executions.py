"""Executions: starting, watching, changing, deleting (REST endpoints, section 7)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane import values
from tramontane.api.collections import chosen_fields, encoded, list_objects
from tramontane.api.context import Api
from tramontane.api.encoding import answer, no_content
from tramontane.api.handlers.results import add_results
from tramontane.api.kinds import EXECUTION_LIST, EXECUTION_TASK_LIST
from tramontane.api.listing import read_condition
from tramontane.api.media import read_object
from tramontane.api.request import Request
from tramontane.api.times import shown
from tramontane.api.values_in import (
    Converter,
    anything,
    checked,
    flag,
    json_object,
    read_only,
    require_uuid,
    short_text,
    text,
    whole_number,
)
from tramontane.core.state import Execution
from tramontane.errors import BadRequestError
from tramontane.service.executions import ExecutionChange, StartOrder
from tramontane.store.reads.objects import read_by_id
from tramontane.store.reads.resources import EXECUTIONS, TASKS
from tramontane.store.reads.trees import read_branches

_START: Final[dict[str, Converter]] = {
    "id": short_text(36),
    "workflow_id": text,
    "workflow_name": text,
    "workflow_namespace": text,
    "input": json_object,
    "params": json_object,
    "description": short_text(255),
    "source_execution_id": text,
    "project_id": read_only,
    **dict.fromkeys(
        (
            "tags",
            "task_execution_id",
            "root_execution_id",
            "state",
            "state_info",
            "output",
            "created_at",
            "updated_at",
            "published_global",
        ),
        anything,
    ),
}
