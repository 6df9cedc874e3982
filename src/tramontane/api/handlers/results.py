"""Adds what is computed for tasks to their items."""

from __future__ import annotations

from tramontane.api.collections import Items
from tramontane.api.context import Api
from tramontane.api.listing import ListRequest
from tramontane.store.reads.results import task_results


async def add_results(api: Api, asked: ListRequest, items: Items) -> None:
    """Add the results of a page of tasks, if they were asked for."""
    if "result" in asked.computed and items:
        results = await task_results(api.reader, [item["id"] for item in items])
        for item in items:
            item["result"] = results[item["id"]]
