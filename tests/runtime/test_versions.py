"""Nodes of two neighbouring versions on one database; tables that are too old or too new."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.cli import program
from tests.cli.program import assert_one_clear_line
from tests.runtime.processes import a_node, eventually

NEXT = "import tramontane.store.formats as formats\nformats.NEWEST += 1\n"
"""Makes a node one of the next version, which stores records in a format that this one doesn't know."""

THEIRS = "theirs: {tasks: {a: {action: std.async_noop, on-success: b}, b: {action: std.sleep seconds=0}}}"
FLOWS = """
open: {tasks: {a: {action: std.async_noop, on-success: b}, b: {action: std.sleep seconds=0}}}
later: {tasks: {a: {action: std.noop, wait-before: 2}}}
"""


def rows(url: str, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async def read() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(read())


def waiting_action(node: Any, execution_id: str) -> str:
    _, tasks = node.call("GET", f"/tasks?workflow_execution_id={execution_id}")
    _, actions = node.call("GET", f"/tasks/{tasks['tasks'][0]['id']}/action_executions")
    return str(actions["action_executions"][0]["id"])


def format_of(url: str, execution_id: str) -> int:
    return int(rows(url, "SELECT format FROM heads WHERE id=$1", execution_id)[0][0])


def test_an_older_node_leaves_alone_what_a_newer_one_wrote_and_reads_what_it_writes_beside_it(
    postgresql_url: str, tmp_path: Path
) -> None:
    with a_node(tmp_path, postgresql_url, before=NEXT) as newer:
        newer.upload(THEIRS)
        alone = newer.start("theirs")
        assert format_of(postgresql_url, alone) == 2
        with a_node(tmp_path, postgresql_url) as older:
            # From its next look on the newer one writes what both can read.
            eventually(lambda: format_of(postgresql_url, newer.start("theirs")) == 1)
            newer.upload(FLOWS)
            shared, timed, ours = newer.start("open"), newer.start("later"), newer.start("later")
            status, answer = older.call("PUT", f"/executions/{alone}", {"state": "PAUSED"})
            assert (status, answer["code"], answer["retry-after"]) == (503, "newer-record", "1")
            assert older.call("POST", "/executions", {"workflow_name": "theirs"})[0] == 503
            newer.signal(signal.SIGKILL)
            newer.process.wait()
            # The older one takes over what it can read, and nothing else.
            assert older.ended(timed) == older.ended(ours) == "SUCCESS"
            done = {"state": "SUCCESS", "output": None}
            assert older.call("PUT", f"/action_executions/{waiting_action(older, shared)}", done)[0] == 200
            assert older.ended(shared) == "SUCCESS"
            assert older.call("PUT", f"/executions/{alone}", {"state": "PAUSED"})[0] == 503
            assert "Traceback" not in older.said
            with a_node(tmp_path, postgresql_url, before=NEXT) as another:
                path = f"/action_executions/{waiting_action(another, alone)}"
                assert another.call("PUT", path, done)[0] == 200
                assert another.ended(alone) == "SUCCESS"
                assert "Traceback" not in another.said
            assert older.said.count("process is dead") == 1, older.said


def mark(url: str, revision: str, generation: int) -> None:
    """Make the tables those of another version."""
    rows(url, f"UPDATE tramontane_schema SET version_num='{revision}'")
    rows(url, "UPDATE service_state SET value=$1 WHERE name='schema'", f'{{"generation": {generation}}}')


def test_a_node_starts_on_the_tables_of_the_next_version(postgresql_url: str, tmp_path: Path) -> None:
    mark(postgresql_url, "9999", 2)
    with a_node(tmp_path, postgresql_url) as node:
        node.upload(FLOWS)
        assert node.ended(node.start("later")) == "SUCCESS"
    end = program.run("db", "upgrade", "--database", postgresql_url)
    assert (end.status, "revision 9999" in end.out) == (0, True), end


@pytest.mark.parametrize(
    ("revision", "generation", "command"),
    [("9999", 3, "pip install --upgrade tramontane"), ("0002", 1, "tramontane db upgrade")],
    ids=["two versions ahead", "behind"],
)
def test_tables_that_are_too_old_or_too_new_are_refused_with_the_command_that_mends_it(
    revision: str, generation: int, command: str, postgresql_url: str, tmp_path: Path
) -> None:
    mark(postgresql_url, revision, generation)
    end = program.run("serve", "--port", "0", "--database", postgresql_url, cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)
    assert command in end.err
