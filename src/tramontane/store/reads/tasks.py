"""What only the single read of a task shows."""

from __future__ import annotations

from typing import Final

from tramontane.store.reads.fields import Field
from tramontane.store.schema import tasks

TASK_EXTRAS: Final = (
    Field("next_tasks", tasks.c.next_tasks, "json", is_filter=False),
    Field("error_handled", tasks.c.error_handled, "bool", is_filter=False),
)
WITH_ITEMS: Final = Field("item_count", tasks.c.item_count, "int", is_filter=False)
"""Null for a task without ``with-items``."""
