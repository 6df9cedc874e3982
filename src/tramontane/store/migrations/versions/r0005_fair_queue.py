"""The fair queue of jobs, and concurrency limits."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from tramontane.store.columns import name

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UNCLAIMED: dict[str, Any] = {
    "sqlite_where": sa.text("claimed_by IS NULL"),
    "postgresql_where": sa.text("claimed_by IS NULL"),
}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lane", name(255), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("urgency", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("place", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET place = created_at")
    op.create_index(
        "ix_jobs_pool_lane_urgency_place", "jobs", ["pool", "lane", "urgency", "place"], **_UNCLAIMED
    )
    op.create_index("ix_jobs_created_at_pool_lane", "jobs", ["created_at", "pool", "lane"], **_UNCLAIMED)
    op.drop_index("ix_jobs_pool_created_at", "jobs")
    op.create_table(
        "limits",
        sa.Column("kind", name(10), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_limits"),
    )
