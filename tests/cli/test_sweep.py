"""``tramontane db sweep`` in processes of its own."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.cli import program
from tests.store import records as make

from tramontane.store.database import open_database
from tramontane.store.executions import Executions
from tramontane.store.records import TurnWrite
from tramontane.values import freeze


async def leave_over(url: str, outside: str) -> None:
    """Write one value that is referred to, and one whose commit never came."""
    database = await open_database(url, big_values=outside)
    try:
        store = Executions(database)
        turn = TurnWrite(make.execution("e1", input=freeze({"a": "x" * 40_000})), None, 0)
        await store.prepare([turn])
        await store.commit([turn], "n1")
        lost = TurnWrite(make.execution("e2", input=freeze({"a": "y" * 40_000})), None, 0)
        await store.prepare([lost])
    finally:
        await database.close()


def test_left_overs_are_counted_and_deleted(sqlite_url: str, tmp_path: Path) -> None:
    values = tmp_path / "values"
    where = ("--database", sqlite_url, "--big-values", f"file://{values}")
    asyncio.run(leave_over(sqlite_url, f"file://{values}"))
    young = program.run("db", "sweep", *where)
    assert (young.status, young.out) == (
        0,
        "Left-overs deleted: 0 in the database, 0 outside.\n",
    )
    for each in values.glob("*/*"):
        os.utime(each, (time.time() - 7200,) * 2)
    counted = program.run("db", "sweep", "--dry-run", *where)
    assert counted.out == "Left-overs would be deleted: 0 in the database, 1 outside.\n"
    assert len(list(values.glob("*/*"))) == 2
    swept = program.run("db", "sweep", *where)
    assert swept.out == "Left-overs deleted: 0 in the database, 1 outside.\n"
    assert [each.parent.name for each in values.glob("*/*")] == ["e1"]


def test_a_place_that_cannot_be_used_is_named(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = program.run(
        "db", "sweep", "--database", sqlite_url, "--big-values", f"file://{tmp_path}/file/values"
    )
    assert found.status == 1
    assert f"the directory '{tmp_path}/file/values' for big values can't be written" in found.err
    wrong = program.run("db", "sweep", "--database", sqlite_url, "--big-values", "ftp://somewhere")
    assert wrong.status == 2
    assert "must be database, file:///directory or s3://bucket/prefix" in wrong.err
