"""Big values, once for each tree of executions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tramontane.store.columns import identifier, large_text, name

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "big_values",
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("hash", name(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("place", name(255), nullable=True),
        sa.Column("data", large_text(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("root_id", "hash", name="pk_big_values"),
    )
