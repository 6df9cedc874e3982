"""No statement of the hot path crosses trees: what a distributed engine needs to keep a tree in one place.

Workflows of every kind are run on PostgreSQL, and whatever is written and loaded meanwhile is looked at.
Statements that take whatever rows they are given (claims, polls) are listed here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from tests.service.harness import ALICE, a_node, finished, play, run, start, stored, task, until, upload

from tramontane.compose import OpenNode
from tramontane.service.services import ExecutionChange
from tramontane.store.batch import Batch
from tramontane.store.executions import Executions
from tramontane.store.postgresql import PostgreSQL
from tramontane.store.records import StoredExecution

FLOWS = """
tree:
  tasks:
    a: {workflow: branch n=1, on-success: j}
    b: {with-items: "i in [1, 2, 3]", concurrency: 2, workflow: branch n=<% $.i %>, on-success: j}
    c: {with-items: "i in [1, 2, 3]", action: std.echo output=<% $.i %>, on-success: j}
    j: {join: all, wait-after: 1}
branch:
  input: [n]
  output: {n: <% $.n %>}
  tasks:
    t: {action: std.sleep seconds=0, timeout: 60, on-success: u}
    u: {workflow: leaf}
leaf:
  tasks:
    x: {action: std.sleep seconds=0}
retried:
  tasks:
    t: {action: std.fail, retry: {count: 2, delay: 0}, on-error: h}
    h: {action: std.noop}
failing:
  tasks:
    a: {workflow: broken}
broken:
  tasks:
    t: {action: std.fail, on-error: [fail]}
held:
  tasks:
    a: {action: std.sleep seconds=0, pause-before: true, on-success: b}
    b: {workflow: leaf}
outside:
  tasks:
    a: {action: std.async_noop, on-success: b}
    b: {action: std.noop}
"""

TREE_TABLES = frozenset(
    (
        "heads",
        "executions",
        "tasks",
        "action_executions",
        "subworkflows",
        "past_runs",
        "inbox",
        "timers",
        "jobs",
    )
)

ANY_ROWS = {
    ("SELECT", "heads inbox"): "inboxes that wait",
    ("SELECT", "heads timers"): "timers that are due or coming",
    ("SELECT", "heads"): "executions and nodes; whether an id is used",
    ("SELECT FOR UPDATE", "heads"): "executions of dead nodes",
    ("UPDATE", "heads"): "executions of dead nodes, by their ids",
    ("SELECT", "jobs"): "claims that are still held; the state of the queue",
    ("SELECT FOR UPDATE", "jobs"): "the next jobs, or those of a dead process",
    ("UPDATE", "jobs"): "claims, by the ids of actions",
    ("DELETE", "jobs"): "jobs that are over, by the ids of actions",
    ("SELECT", "action_executions"): "the actions of claimed jobs, by their ids; one by its id",
    ("SELECT", "executions heads"): "one execution by its id, with its head",
    ("SELECT", "tasks"): "one task by its id",
}
"""Statements outside of turns that take whatever rows they are given: kind and tables -> what for."""


class Watch:
    """Knows the root of every row that was written, and complains about what crosses roots."""

    def __init__(self) -> None:
        self.roots: dict[tuple[str, Any], str] = {}
        self.batches = 0
        self.turns = 0
        self.bundles = 0
        self.loads = 0
        self.kinds: set[tuple[str, str]] = set()
        self.others: dict[tuple[str, str], str] = {}

    def batch(self, batch: Batch) -> None:
        self.batches += 1
        bundles: dict[str, set[str]] = {}
        for turn in batch.turns:
            self.turns += 1
            root = turn.head.root_id
            if turn.bundle is not None:
                bundles.setdefault(turn.bundle, set()).add(root)
            assert self.roots.setdefault(("heads", turn.head.id), root) == root
            for child in turn.children:
                assert child.root_id == root
                self.roots["heads", child.id] = root
            for statement, row in turn.rows:
                self.kinds.add((statement.kind, statement.table.name))
                fields = dict(zip(statement.columns, row, strict=True))
                key = tuple(fields[name] for name in statement.key)
                place = ("heads" if statement.table.name == "executions" else statement.table.name, key)
                place = (place[0], key[0] if len(key) == 1 else key)
                if "root_id" in fields:
                    assert fields["root_id"] == root, (statement.table.name, fields)
                    self.roots[place] = root
                else:
                    assert self.roots[place] == root, (statement.kind, place)
        self.bundles += len(bundles)
        assert all(len(roots) == 1 for roots in bundles.values())

    def load(self, stored: StoredExecution) -> None:
        self.loads += 1
        root = stored.execution.root_id
        rows: Sequence[Any] = [
            *stored.tasks,
            *stored.actions,
            *stored.subworkflows,
            *stored.past_runs,
            *stored.timers,
            *stored.inbox,
        ]
        assert {row.root_id for row in rows} <= {root}
        for row in stored.inbox:  # those that executors, workers and verdicts have written
            self.roots["inbox", row.id] = row.root_id

    def statement(self, text: str) -> None:
        """Take a statement that belongs to no turn."""
        tables = sorted(TREE_TABLES & set(re.findall(r"(?:FROM|JOIN|UPDATE|INTO)\s+\"?(\w+)", text)))
        if tables:
            verb = text.split(None, 1)[0].upper()
            kind = f"{verb} FOR UPDATE" if verb == "SELECT" and "FOR UPDATE" in text else verb
            self.others.setdefault((kind, " ".join(tables)), text)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Look at everything that goes to PostgreSQL."""
    watch = Watch()
    write, load_many, connect = PostgreSQL.write, Executions.load_many, PostgreSQL.__init__

    async def watched_write(self: PostgreSQL, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        lost = await write(self, batch, taken)
        if not lost:
            watch.batch(batch)
        return lost

    async def watched_load(self: Executions, ids: Sequence[str]) -> dict[str, StoredExecution]:
        loaded = await load_many(self, ids)
        for each in loaded.values():
            watch.load(each)
        return loaded

    def watched_init(self: PostgreSQL, *args: Any, **options: Any) -> None:
        connect(self, *args, **options)
        sa.event.listen(
            self.writer.sync_engine,
            "before_cursor_execute",
            lambda _connection, _cursor, text, *_: watch.statement(text),
        )

    monkeypatch.setattr(PostgreSQL, "write", watched_write)
    monkeypatch.setattr(Executions, "load_many", watched_load)
    monkeypatch.setattr(PostgreSQL, "__init__", watched_init)
    yield watch


async def use(node: OpenNode) -> None:
    """Have everything happen that executions do."""
    await upload(node, FLOWS)
    services = node.services
    assert (await play(node, "tree")).state == "SUCCESS"
    assert (await play(node, "retried")).state == "SUCCESS"
    failed = await play(node, "failing")
    assert failed.state == "ERROR"
    (called,) = (await stored(node, failed.id)).subworkflows
    broken = await task(node, called.id, "t")
    await services.tasks.rerun(ALICE, broken.id, True, None)
    assert (await finished(node, failed.id)).state == "ERROR"
    held = await start(node, "held")
    await until(node, held.id, "PAUSED")
    await services.executions.change(ALICE, held.id, ExecutionChange(state="RUNNING"))
    assert (await finished(node, held.id)).state == "SUCCESS"
    waiting = await start(node, "outside")
    await until(node, waiting.id, "RUNNING", "a")
    await services.executions.change(ALICE, waiting.id, ExecutionChange(state="CANCELLED", force=True))
    assert (await finished(node, waiting.id)).state == "CANCELLED"


def test_each_turn_writes_and_loads_rows_of_one_tree_and_nothing_else_does_but_what_is_listed(
    postgresql_url: str, watch: Watch
) -> None:
    async def test() -> None:
        async with (
            a_node(postgresql_url, cached_executions=1) as node,
            a_node(postgresql_url, cached_executions=1, executor_slots=0) as other,
        ):
            await use(node)
            assert (await play(other, "tree")).state == "SUCCESS"  # its actions run at the first
            for loop in (other.runtime.inbox.loop, other.runtime.timers.polling, other.runtime.reaper.loop):
                await loop.next_round()

    run(test())
    assert watch.turns > 50 and watch.loads > 10 and watch.bundles
    assert {table for _, table in watch.kinds} >= TREE_TABLES - {"heads", "past_runs"}
    assert ("SELECT FOR UPDATE", "jobs") in watch.others
    unlisted = {kind: text for kind, text in watch.others.items() if kind not in ANY_ROWS}
    assert not unlisted
