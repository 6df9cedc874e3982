"""What only the single read of an execution shows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from tramontane.store.reads.fields import Field
from tramontane.store.schema import executions, heads

PARKED: Final = Field(
    "parked",
    select(heads.c.parked).where(heads.c.id == executions.c.id).correlate(executions).scalar_subquery(),
    is_filter=False,
)
"""Why nobody runs the execution any more; null for all that are well."""
