"""Starts under a caller's key: the same key within a project means the same start.

The key needs no table: it gives the id of the execution that it started, so it lives as long as that
execution does, and two starts at the same moment are settled by the database like any other id that
is taken. A key that comes with another request is refused as far as the stored execution shows it:
its workflow, and the input and params that were given; what defaults filled in, ``env`` and the source
of a re-run can't be compared.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from tramontane.core.state import Execution
from tramontane.errors import ConflictError
from tramontane.service.services import StartOrder

_KEYS: Final = uuid.UUID("7a1d2f0e-5c34-4e0b-9f6c-0a9b6d3f2c11")
_CHANGED_AT_START: Final = frozenset({"env", "namespace"})
"""Params that the service evaluates or fills in."""


class KeyReusedError(ConflictError):
    """The key of a start belongs to a start that asked for something else (HTTP 409)."""

    code = "idempotency-key-reused"


def execution_id_of(project_id: str, key: str) -> str:
    """Give the id of the execution that this key starts in this project."""
    return str(uuid.uuid5(uuid.uuid5(_KEYS, project_id), key))


def require_same_start(order: StartOrder, started: Execution) -> None:
    """Check that what the key started is what is asked for now.

    Raises:
        KeyReusedError: it visibly isn't.
    """
    difference = _difference(order, started)
    if difference is not None:
        raise KeyReusedError(
            f"The key '{order.key}' has started the execution {started.id} of the workflow "
            f"'{started.workflow_name}' already, with {difference}. Use a new key for another start."
        )


def _difference(order: StartOrder, started: Execution) -> str | None:
    if order.workflow is not None and order.workflow != started.workflow_id:
        if order.workflow != started.workflow_name:
            return "another workflow"
        if order.namespace is not None and order.namespace != started.workflow_namespace:
            return "another namespace"
    if order.source_id is not None:
        return None
    if _differs(order.input, started.input):
        return "another input"
    if _differs(order.params, started.params, _CHANGED_AT_START):
        return "other params"
    return None


def _differs(
    given: Mapping[str, object] | None, stored: Mapping[str, object], without: frozenset[str] = frozenset()
) -> bool:
    return given is not None and any(
        name not in stored or stored[name] != value for name, value in given.items() if name not in without
    )
