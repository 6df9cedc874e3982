"""What has changed in a tree of executions, read on every database."""

from __future__ import annotations

from msgspec.structs import replace
from tests.store import records as make

from tramontane.core.state import Execution
from tramontane.store.database import Database
from tramontane.store.executions import Executions
from tramontane.store.reads.changes import PAGE, Change, read_changes, read_mark
from tramontane.store.reads.reader import DatabaseReader
from tramontane.store.records import TurnWrite


async def _tree(store: Executions) -> tuple[Execution, Execution]:
    """Write a root with a task that called a sub-workflow with an action; and a stranger."""
    root = make.execution("e1", updated_at=10)
    await make.start(store, root, make.execution("stranger", updated_at=11))
    inner = make.child(root, "e2", created_at=12, updated_at=None, state_info="x" * 5000)
    caller = make.task(root, "t1", 1, created_at=12, name="caller")
    await _write(store, TurnWrite(root, root, 1, tasks=[caller], children=[inner]))
    task = make.task(inner, "t2", 1, created_at=13, updated_at=14, name="inner")
    action = make.action(inner, "a1", 2, created_at=15, task_id="t2", accepted=True)
    await _write(store, TurnWrite(inner, inner, 1, tasks=[task], actions=[action]))
    return root, inner


async def _write(store: Executions, turn: TurnWrite) -> None:
    (outcome,) = await store.commit([turn], "n1")
    assert outcome.is_committed, outcome


def _seen(found: list[Change]) -> list[tuple[str, int, str]]:
    return [(change.kind, change.at, change.id) for change in found]


def test_rows_come_in_the_order_of_their_changes(database_url: str) -> None:
    async def test(database: Database) -> None:
        await _tree(Executions(database))
        reader = DatabaseReader(database)
        found = await read_changes(reader, "e1", (0, ""), recursive=True)
        assert _seen(found) == [
            ("execution", 10, "e1"),
            ("execution", 12, "e2"),
            ("task", 12, "t1"),
            ("task", 14, "t2"),
            ("action", 15, "a1"),
        ]
        inner, action = found[1], found[4]
        assert (inner.owner_id, inner.task_id, len(inner.state_info or "")) == ("e1", "t1", 2000)
        assert (action.owner_id, action.task_id, bool(action.accepted)) == ("e2", "t2", True)
        later = await read_changes(reader, "e1", (12, "e2"), recursive=True)
        assert _seen(later) == _seen(found)[2:]
        alone = await read_changes(reader, "e1", (0, ""), recursive=False)
        assert [change.id for change in alone] == ["e1", "t1"]
        below = await read_changes(reader, "e2", (0, ""), recursive=True)
        assert [change.id for change in below] == ["e2", "t2", "a1"]

    make.with_database(database_url, test)


def test_the_mark_moves_with_every_turn_of_the_tree(database_url: str) -> None:
    async def test(database: Database) -> None:
        store, reader = Executions(database), DatabaseReader(database)
        root, inner = await _tree(store)
        alone = await read_mark(reader, "e1", recursive=False)
        tree = await read_mark(reader, "e1", recursive=True)
        assert alone is not None and tree is not None
        assert (alone.state, alone.unfinished) == ("RUNNING", 1)
        assert (tree.state, tree.unfinished, tree.executions) == ("RUNNING", 2, 2)
        ended = replace(inner, state="SUCCESS")
        await _write(store, TurnWrite(ended, inner, 2))
        assert await read_mark(reader, "e1", recursive=False) == alone
        after = await read_mark(reader, "e1", recursive=True)
        assert after is not None and after != tree
        assert after.unfinished == 1
        await _write(store, TurnWrite(replace(root, state="ERROR"), root, 2))
        await store.park("e1", "a reason")
        for recursive in (False, True):
            mark = await read_mark(reader, "e1", recursive=recursive)
            assert mark is not None
            assert (mark.state, mark.parked, mark.unfinished) == ("ERROR", "a reason", 0)
            assert await read_mark(reader, "none", recursive=recursive) is None

    make.with_database(database_url, test)


def test_many_changes_come_page_by_page(sqlite_url: str) -> None:
    async def test(database: Database) -> None:
        store, reader = Executions(database), DatabaseReader(database)
        whole = make.execution()
        await make.start(store, whole)
        tasks = [make.task(whole, f"t{n:04}", n + 1, created_at=n % 7) for n in range(PAGE + 10)]
        await _write(store, TurnWrite(whole, whole, 1, tasks=tasks))
        first = await read_changes(reader, "e1", (-1, ""), recursive=False)
        second = await read_changes(reader, "e1", (first[-1].at, first[-1].id), recursive=False)
        assert len(first) == PAGE
        assert len(second) == 11
        assert len({change.id for change in first + second}) == PAGE + 11

    make.with_database(sqlite_url, test)
