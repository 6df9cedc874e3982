"""Results that are durable but not taken by their workflow yet: reads show them as if they were."""

from __future__ import annotations

from typing import Any, Final

from tramontane.api.collections import Items
from tramontane.api.context import Api
from tramontane.api.listing import ListRequest
from tramontane.api.records import action_execution_data
from tramontane.states import COMPLETED, RUNNING

_CHANGED: Final = ("state", "state_info", "output", "accepted", "updated_at")


async def show_reported(api: Api, items: list[dict[str, Any]]) -> None:
    """Change items of unfinished action executions to what they are with results that wait."""
    if not items or items[0].keys().isdisjoint(_CHANGED):
        return
    unfinished = [item["id"] for item in items if item.get("state", RUNNING) not in COMPLETED]
    if not unfinished:
        return
    reported = await api.services.action_executions.reported(unfinished)
    for item in items:
        done = reported.get(item["id"])
        if done is not None:
            data = action_execution_data(done)
            item.update({name: data[name] for name in _CHANGED if name in item})


async def finish_list(api: Api, asked: ListRequest, items: Items) -> None:
    """Do so in a page; not in one that was filtered or ordered by what would change: it fits as it is."""
    used = {condition.field.name for condition in asked.query.conditions}
    used |= {key.field.name for key in asked.query.sort}
    if used.isdisjoint(_CHANGED):
        await show_reported(api, items)
