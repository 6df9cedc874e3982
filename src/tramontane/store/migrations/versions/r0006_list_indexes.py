"""Indexes for lists: executions by the name of their workflow, what failed or has not ended.

And statistics: most workflows are of one project, which PostgreSQL must know, or for a project's list
by workflow it collects all that the project and all that the workflow have and looks for what is in both.
"""

from __future__ import annotations

from contextlib import suppress

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from tramontane.store.schema import has_partial_indexes

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FAILED = sa.text("state IN ('ERROR', 'CANCELLED')")
_NOT_SUCCEEDED = sa.text("state <> 'SUCCESS'")
_RARE = {"executions": _FAILED, "tasks": _NOT_SUCCEEDED, "action_executions": _NOT_SUCCEEDED}


def upgrade() -> None:
    op.create_index(
        "ix_executions_workflow_name_created_at_id", "executions", ["workflow_name", "created_at", "id"]
    )
    if not has_partial_indexes(op.get_bind().dialect.name):
        return
    for table, condition in _RARE.items():
        op.create_index(
            f"ix_{table}_state_created_at_id",
            table,
            ["state", "created_at", "id"],
            postgresql_where=condition,
            sqlite_where=condition,
        )
    if op.get_bind().dialect.name == "postgresql":
        _tell_what_goes_together()


def _tell_what_goes_together() -> None:
    """Databases that only speak PostgreSQL's protocol may not know such statistics, and plan without."""
    with suppress(DBAPIError), op.get_bind().begin_nested():
        op.execute(
            "CREATE STATISTICS st_executions_whose (dependencies) "
            "ON project_id, workflow_id, workflow_name FROM executions"
        )
