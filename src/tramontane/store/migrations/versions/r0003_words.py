"""Counters by which parents and children recognise words that were overtaken on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, name in (
        ("executions", "parent_seq"),
        ("executions", "env_seq"),
        ("subworkflows", "child_seq"),
    ):
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
