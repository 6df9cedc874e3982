"""The database of the simulation passes the suite of the real stores, and gives what they give."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from tests.protocol import stores
from tests.protocol.memory import MemoryDatabase, ShortWire
from tests.store import records as make
from tests.store import test_commit, test_work

CLASSES = {
    "Executions": stores.MemoryExecutions,
    "Jobs": stores.MemoryJobs,
    "Nodes": stores.MemoryNodes,
    "SingleRecords": stores.MemoryRecords,
    "Work": stores.MemoryWork,
}
NOT_HERE = {
    "test_a_reopened_database_holds_what_was_committed": "it has no file",
    "test_a_tree_is_deleted_with_everything_in_it": "it counts rows by SQL",
    "test_a_job_that_is_sent_again_replaces_the_one_before": "it reads rows by SQL",
    "test_a_completed_execution_belongs_to_no_node": "it reads rows by SQL",
}


def suite() -> list[Any]:
    """Every test of the stores that runs on all kinds of databases."""
    found = []
    for module in (test_commit, test_work):
        for name, test in vars(module).items():
            if name.startswith("test_") and name not in NOT_HERE:
                given = list(inspect.signature(test).parameters)
                if given in (["database_url"], ["database_url", "monkeypatch"]):
                    found.append(pytest.param(module, test, "monkeypatch" in given, id=name))
    return found


@pytest.mark.parametrize(("module", "test", "patches"), suite())
def test_the_suite_of_the_stores(
    module: ModuleType, test: Callable[..., None], patches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, double in CLASSES.items():
        if hasattr(module, name):
            monkeypatch.setattr(module, name, double)
    monkeypatch.setattr(make, "with_database", with_memory)
    monkeypatch.setitem(test_commit.UNSTORABLE, "memory", "lone \ud800 surrogate")
    monkeypatch.setattr(test_commit, "count", count)
    test(*(["memory"] + ([monkeypatch] if patches else [])))


def with_memory(_url: str, test: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await test(MemoryDatabase(ShortWire()))

    return asyncio.run(run())


async def count(database: MemoryDatabase, table: Any) -> int:
    return len(database.tables[table.name])
