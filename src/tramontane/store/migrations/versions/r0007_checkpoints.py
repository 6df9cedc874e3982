"""Checkpoints of long executions, and finding what was created since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tramontane.store.columns import identifier, large_text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("execution_id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("data", large_text(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("execution_id", name="pk_checkpoints"),
    )
    # Each of the new indexes takes the place of one that is its beginning.
    op.create_index("ix_tasks_execution_id_seq", "tasks", ["execution_id", "seq"])
    op.drop_index("ix_tasks_execution_id", "tasks")
    of_executions = sa.text("execution_id IS NOT NULL")
    op.create_index(
        "ix_action_executions_execution_id_seq",
        "action_executions",
        ["execution_id", "seq"],
        sqlite_where=of_executions,
        postgresql_where=of_executions,
    )
    op.drop_index("ix_action_executions_execution_id", "action_executions")
