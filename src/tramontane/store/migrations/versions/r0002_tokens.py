"""Tokens that the service issues itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tramontane.store.columns import identifier, large_text, name

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("hash", name(64), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("roles", large_text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
