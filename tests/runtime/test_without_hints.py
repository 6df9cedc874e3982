"""Advisory locks and notifications are hints: everything holds without them, only later.

What other tests say of several nodes on one PostgreSQL is tested again with ``database_hints`` off; and
with hints on, but every word between processes lost.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from tests.runtime import test_executor_process, test_hand_over, test_recovery
from tests.service.harness import a_node, finished, play, run, start, upload

from tramontane import compose, compose_executor
from tramontane.compose import OpenNode
from tramontane.store import database
from tramontane.store.postgresql import PostgreSQL

ADVISORY_LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND d.datname = current_database()
"""
SESSIONS_THAT_HINT = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~* 'listen|notify|advisory'
"""

TREE = """
wf:
  tasks:
    a: {workflow: sub, on-success: b}
    b: {with-items: "i in [1, 2]", workflow: sub}
sub:
  tasks:
    t: {action: std.test_dict size=1, on-success: u}
    u: {action: std.noop}
"""


OF_HINTS = {"test_timers_change_their_node_too": "it is about what the word that executions were given does"}


def others() -> list[Any]:
    """Every other test of nodes that needs PostgreSQL."""
    found = []
    for module in (test_executor_process, test_hand_over, test_recovery):
        for name, test in vars(module).items():
            if not name.startswith("test_") or name in OF_HINTS:
                continue
            if list(inspect.signature(test).parameters) == ["postgresql_url"]:
                found.append(pytest.param(test, id=name))
    return found


@pytest.mark.parametrize("test", others())
def test_what_holds_with_hints_holds_without(
    test: Callable[[str], None], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_database(url: str, **options: Any) -> database.Database:
        return await database.open_database(url, **options | {"hints": False})

    monkeypatch.setattr(compose, "open_database", open_database)
    monkeypatch.setattr(compose_executor, "open_database", open_database)
    test(postgresql_url)


def test_switched_off_no_lock_is_taken_and_nothing_is_listened_to(postgresql_url: str) -> None:
    async def test() -> None:
        async with (
            a_node(postgresql_url, database_hints=False) as one,
            a_node(postgresql_url, database_hints=False) as two,
        ):
            await upload(one, TREE)
            for node in (one, two):
                await node.runtime.reaper.loop.next_round()
                assert (await play(node, "wf")).state == "SUCCESS"
            connection = await asyncpg.connect(postgresql_url)
            try:
                assert await connection.fetchval(ADVISORY_LOCKS) == 0
                assert await connection.fetchval(SESSIONS_THAT_HINT) == 0
            finally:
                await connection.close()

    run(test())


def test_when_every_word_is_lost_polling_finds_the_work(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    async def say(_self: PostgreSQL, word: str) -> None:
        lost.append(word)

    monkeypatch.setattr(PostgreSQL, "say", say)

    async def test() -> None:
        seconds = asyncio.get_running_loop().time
        # The first node runs no actions, the second gets no calls: each step needs both.
        async with (
            a_node(postgresql_url, executor_slots=0) as caller,
            a_node(postgresql_url, executor_slots=8) as worker,
        ):
            await upload(caller, "wf: {tasks: {t: {action: std.sleep seconds=0}}}")
            for _ in range(5):
                began = seconds()
                started = await start(caller, "wf")
                await finished(caller, started.id)
                print(f"{(seconds() - began) * 1000:.0f} ms")
            assert worker.runtime.executor.statistics.begun > 0
            assert worker.runtime.wakeups.heard == caller.runtime.wakeups.heard == 0
            assert "jobs" in lost

    run(test())


def polls(node: OpenNode) -> float:
    """Seconds between the looks of a node at inboxes."""
    return node.runtime.inbox.loop._pause


def test_a_node_looks_often_while_something_goes_on_and_seldom_when_nothing_does(postgresql_url: str) -> None:
    async def test() -> None:
        async with a_node(postgresql_url) as node:
            idle = polls(node)
            await upload(node, TREE)
            await play(node, "wf")
            assert polls(node) < idle < 1.0

    run(test())
