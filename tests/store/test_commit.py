"""The group commit: the fence, bundles, halving, what is written and what isn't."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from tests.store import records as make

from tramontane.core.state import Execution
from tramontane.store import schema, statements
from tramontane.store.batch import Batch, encode_turn
from tramontane.store.commit import CommitOutcome
from tramontane.store.database import Database, open_database
from tramontane.store.errors import DatabaseUnavailableError, OutcomeUnknownError
from tramontane.store.executions import Executions
from tramontane.store.packing import Memory
from tramontane.store.records import TurnWrite
from tramontane.values import freeze

UNSTORABLE = {
    "sqlite": "lone \ud800 surrogate",
    "postgresql": "NUL \0 character",
    "mariadb": "lone \ud800 surrogate",
}


def change(before: Execution, version: int, **fields: Any) -> TurnWrite:
    return TurnWrite(replace(before, **({"seq": before.seq + 1} | fields)), before, version)


def states(outcomes: list[CommitOutcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


async def count(database: Database, table: sa.Table) -> int:
    async with database.read() as connection:
        return await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_of_two_writers_that_read_the_same_version_the_second_loses(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution()
        await make.start(store, first)
        fast = change(first, 1, state="SUCCESS")
        slow = change(first, 1, state="ERROR")
        slow.tasks = [make.task(first, seq=1)]
        slow.inbox = [make.event(first)]
        assert await store.commit([fast], "n1") == [CommitOutcome("committed", 2)]
        assert states(await store.commit([slow], "n2")) == ["lost"]
        stored = await store.load("e1")
        assert stored is not None
        assert (stored.execution.state, stored.version) == ("SUCCESS", 2)
        assert (stored.tasks, stored.inbox) == ([], [])

    make.with_database(database_url, test)


def test_writers_that_race_leave_exactly_the_turns_they_were_told_of(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = [make.execution(f"e{number}") for number in range(8)]
        await make.start(store, *first)
        won: dict[str, int] = {each.id: 0 for each in first}

        async def writer(name: str, order: random.Random) -> None:
            for _ in range(15):
                ids = order.sample(sorted(won), 4)
                loaded = await store.load_many(ids)
                turns = [
                    change(each.execution, each.version, seq=each.execution.seq + 1)
                    for each in (loaded[execution_id] for execution_id in ids)
                ]
                for turn, outcome in zip(turns, await store.commit(turns, name), strict=True):
                    won[turn.execution.id] += outcome.is_committed

        await asyncio.gather(*(writer(f"n{number}", random.Random(number)) for number in range(4)))
        loaded = await store.load_many(sorted(won))
        assert {name: stored.execution.seq for name, stored in loaded.items()} == won
        assert {name: stored.version - 1 for name, stored in loaded.items()} == won
        assert sum(won.values()) > 0

    make.with_database(database_url, test)


def test_a_new_execution_whose_id_is_used_is_lost_and_changes_nothing(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make.start(store, make.execution(description="first"))
        again = TurnWrite(make.execution(description="second"), None, 0)
        other = TurnWrite(make.execution("e2"), None, 0)
        assert states(await store.commit([again, other], "n1")) == ["lost", "committed"]
        stored = await store.load("e1")
        assert stored is not None
        assert stored.execution.description == "first"
        assert await store.is_used("e1")
        assert not await store.is_used("e3")

    make.with_database(database_url, test)


def test_a_turn_whose_child_exists_already_is_lost_as_a_whole(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        parent = make.execution()
        await make.start(store, parent, make.execution("e2"))
        turn = change(parent, 1)
        turn.children = [make.child(parent, "e2"), make.child(parent, "e3")]
        assert states(await store.commit([turn], "n1")) == ["lost"]
        assert not await store.is_used("e3")

    make.with_database(database_url, test)


def test_a_turn_of_a_deleted_execution_is_lost(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution()
        await make.start(store, first)
        await store.delete("e1")
        assert states(await store.commit([change(first, 1)], "n1")) == ["lost"]
        assert not await store.is_used("e1")

    make.with_database(database_url, test)


def test_a_bundle_wins_or_loses_as_a_whole(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = [make.execution(f"e{number}") for number in range(4)]
        await make.start(store, *first)
        turns = [change(each, 1) for each in first]
        turns[0].bundle = turns[1].bundle = turns[2].bundle = "b"
        turns[1].version = 9
        assert states(await store.commit(turns, "n1")) == ["lost", "lost", "lost", "committed"]
        loaded = await store.load_many(["e0", "e1", "e2", "e3"])
        assert [loaded[name].version for name in sorted(loaded)] == [1, 1, 1, 2]
        turns[1].version = 1
        assert states(await store.commit(turns[:3], "n1")) == ["committed"] * 3

    make.with_database(database_url, test)


def test_data_that_the_database_refuses_fails_alone_with_its_reason(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        turns = [TurnWrite(make.execution(f"e{number}"), None, 0) for number in range(9)]
        turns[4].execution = make.execution("e4", description=UNSTORABLE[database.name])
        outcomes = await store.commit(turns, "n1")
        assert states(outcomes) == ["committed"] * 4 + ["failed"] + ["committed"] * 4
        assert outcomes[4].reason is not None
        assert "'e4'" in outcomes[4].reason
        assert "can't be stored" in outcomes[4].reason
        assert not await store.is_used("e4")
        assert await count(database, schema.executions) == 8

    make.with_database(database_url, test)


def test_a_bundle_with_data_that_is_refused_fails_as_a_whole(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        turns = [TurnWrite(make.execution(f"e{number}"), None, 0) for number in range(4)]
        turns[1].execution = make.execution("e1", description=UNSTORABLE[database.name])
        turns[1].bundle = turns[3].bundle = "b"
        assert states(await store.commit(turns, "n1")) == ["committed", "failed", "committed", "failed"]
        assert await count(database, schema.heads) == 2

    make.with_database(database_url, test)


def test_a_value_without_json_form_fails_its_own_turn(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        turns = [
            TurnWrite(make.execution("e1", input={"x": object()}), None, 0),
            TurnWrite(make.execution("e2"), None, 0),
        ]
        outcomes = await store.commit(turns, "n1")
        assert states(outcomes) == ["failed", "committed"]
        assert "'e1'" in (outcomes[0].reason or "")

    make.with_database(database_url, test)


def test_a_change_of_a_record_that_is_gone_is_refused(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution(seq=5)
        await make.start(store, first)
        turn = change(first, 1)
        turn.tasks = [make.task(first, seq=3)]  # not newer than the execution: it must be there
        outcomes = await store.commit([turn], "n1")
        assert states(outcomes) == ["failed"]
        stored = await store.load("e1")
        assert stored is not None
        assert stored.version == 1

    make.with_database(database_url, test)


def test_an_unchanged_input_is_not_written_again() -> None:
    large = freeze({"text": "x" * 2_000_000})
    before = make.execution(input=large, globals=freeze({"a": 1}), seq=9)
    after = replace(before, seq=10)
    action = make.action(before, input=large, seq=4)
    turn = TurnWrite(after, before, 1, actions=[action])
    encoded = encode_turn(turn, Memory())
    assert [statement for statement, _ in encoded.rows] == [statements.ACTIONS]
    assert sum(len(str(value)) for _, row in encoded.rows for value in row) < 1_000


def test_only_the_column_groups_that_changed_are_written() -> None:
    before = make.execution(output=freeze({"a": 1}), globals=freeze({"b": 1}))
    after = replace(before, state="SUCCESS", output=freeze({"a": 2}))
    ((statement, row),) = encode_turn(TurnWrite(after, before, 1), Memory()).rows
    assert statement.changes == ("state", "state_info", "updated_at", "finished_at", "output")
    assert row == ("e1", "SUCCESS", None, None, None, '{"a":2}')


def test_consumed_events_timers_and_jobs_go_in_the_same_commit(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution(seq=2)
        action = make.action(first)
        turn = TurnWrite(
            first,
            None,
            0,
            tasks=[make.task(first)],
            actions=[action],
            inbox=[make.event(first, "i1"), make.event(first, "i2")],
            timers=[make.timer(first, kind="retry"), make.timer(first, kind="timeout")],
            jobs=[make.job(action)],
        )
        await store.commit([turn], "n1")
        second = change(first, 1)
        second.consumed_inbox = ["i1"]
        second.dropped_timers = [("t1", "timeout")]
        second.timers = [make.timer(first, due_at=200, kind="retry")]
        second.dropped_jobs = ["a1"]
        assert states(await store.commit([second], "n1")) == ["committed"]
        stored = await store.load("e1")
        assert stored is not None
        assert [each.id for each in stored.inbox] == ["i2"]
        assert stored.timers == [make.timer(first, due_at=200, kind="retry")]
        assert await count(database, schema.jobs) == 0

    make.with_database(database_url, test)


def test_a_turn_that_uses_up_an_inbox_row_that_is_gone_has_lost_alone(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first, other = make.execution(), make.execution("e2")
        turn = TurnWrite(first, None, 0, inbox=[make.event(first, "i1")])
        await store.commit([turn, TurnWrite(other, None, 0)], "n1")
        second = change(first, 1)
        second.consumed_inbox = ["i1"]
        assert states(await store.commit([second], "n1")) == ["committed"]
        again = change(second.execution, 2)
        again.consumed_inbox = ["i1"]
        assert states(await store.commit([again, change(other, 1)], "n2")) == ["lost", "committed"]
        stored = await store.load("e1")
        assert stored is not None
        assert stored.version == 2

    make.with_database(database_url, test)


def test_a_job_that_is_sent_again_replaces_the_one_before(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution(seq=2)
        action = make.action(first)
        await store.commit([TurnWrite(first, None, 0, actions=[action], jobs=[make.job(action)])], "n1")
        second = change(first, 1)
        second.actions = [replace(action, attempt=1)]
        second.dropped_jobs = ["a1"]
        second.jobs = [make.job(action, attempt=1, claimed_by="n1")]
        await store.commit([second], "n1")
        async with database.read() as connection:
            rows = await connection.execute(sa.select(schema.jobs.c.attempt, schema.jobs.c.claimed_by))
            assert [tuple(row) for row in rows] == [(1, "n1")]

    make.with_database(database_url, test)


def test_an_event_that_is_posted_twice_is_there_once(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution()
        await make.start(store, first)
        await store.post([make.event(first)])
        await store.post([make.event(first), make.event(first, "i2")])
        assert await count(database, schema.inbox) == 2
        await store.discard_all("other")
        assert await count(database, schema.inbox) == 2
        await store.discard_all("e1")
        assert await count(database, schema.inbox) == 0

    make.with_database(database_url, test)


def test_a_completed_execution_belongs_to_no_node(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = make.execution()
        await make.start(store, first, make.execution("e2"))
        await store.commit([change(first, 1, state="SUCCESS")], "n1")
        async with database.read() as connection:
            rows = await connection.execute(sa.select(schema.heads.c.id, schema.heads.c.node_id))
            assert {row.id: row.node_id for row in rows} == {"e1": None, "e2": "n1"}

    make.with_database(database_url, test)


def test_the_token_tells_which_heads_a_commit_has_written(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        known = make.execution("e1")
        await make.start(store, known, make.execution("e3"))
        turns = [change(known, 1), TurnWrite(make.execution("e2"), None, 0)]
        batch = Batch([encode_turn(turn, Memory()) for turn in turns], "n1", token=77)
        await database.dialect.write(batch, frozenset())
        assert await store.committed(["e1", "e2", "e3", "e4"], 77) == {"e1", "e2"}
        assert await store.was_committed("e1", 77)
        assert not await store.was_committed("e1", 78)
        # Whoever created it has created it, also when others have written since.
        new = turns[1].execution
        await store.commit([change(new, 1)], "n2")
        assert await store.was_committed("e2", 77)
        assert not await store.is_used("e4")

    make.with_database(database_url, test)


def test_when_a_part_of_a_halved_batch_finds_no_database_the_outcome_is_unknown(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        turns = [TurnWrite(make.execution(f"e{number}"), None, 0) for number in range(4)]
        turns[3].execution = make.execution("e3", description=UNSTORABLE[database.name])
        write, calls = database.dialect.write, []

        async def failing(batch: Batch, taken: frozenset[str]) -> frozenset[str]:
            calls.append(batch)
            if len(calls) == 3:
                raise DatabaseUnavailableError("gone")
            return await write(batch, taken)

        monkeypatch.setattr(database.dialect, "write", failing)
        with pytest.raises(OutcomeUnknownError) as caught:
            await store.commit(turns, "n1")
        assert await store.committed(["e0", "e1", "e2", "e3"], caught.value.token) == {"e0", "e1"}

    make.with_database(database_url, test)


def test_a_head_that_somebody_has_locked_loses_instead_of_waiting(postgresql_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        first = [make.execution("e1"), make.execution("e2")]
        await make.start(store, *first)
        async with database.write() as connection:
            await connection.execute(
                sa.select(schema.heads.c.id).where(schema.heads.c.id == "e1").with_for_update()
            )
            outcomes = await store.commit([change(each, 1) for each in first], "n1")
        assert states(outcomes) == ["lost", "committed"]

    make.with_database(postgresql_url, test)


def test_asking_for_a_commit_waits_for_a_transaction_that_is_not_over(postgresql_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        head = {"id": "e1", "root_id": "e1", "version": 1, "token": 5, "first_token": 5}
        async with database.write() as connection:
            await connection.execute(
                sa.insert(schema.heads).values(head | {"state": "RUNNING", "seq": 0, "run": 0})
            )
            question = asyncio.create_task(store.was_committed("e1", 5))
            waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'")
            async with database.read() as observer:
                while not await observer.scalar(waiting):
                    assert not question.done()
        assert await question

    make.with_database(postgresql_url, test)


BREAK_OTHERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname=current_database() AND pid<>pg_backend_pid()"
)


def test_idle_connections_that_broke_are_replaced(postgresql_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make.start(store, make.execution("e1"))
        assert await store.load("e1") is not None
        async with database.write() as connection:
            await connection.execute(BREAK_OTHERS)
        assert await store.load("e1") is not None
        await make.start(store, make.execution("e2"))
        assert await store.is_used("e2")

    make.with_database(postgresql_url, test)


def test_a_connection_that_breaks_within_the_transaction_leaves_nothing(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make.start(store, make.execution("e1"))
        original = database.dialect._execute  # type: ignore[attr-defined]

        async def execute(connection: Any, statement: Any, rows: Any) -> None:
            async with database.write() as other:
                await other.execute(BREAK_OTHERS)
            await original(connection, statement, rows)

        monkeypatch.setattr(database.dialect, "_execute", execute)
        with pytest.raises(DatabaseUnavailableError, match="nothing was stored"):
            await store.commit([TurnWrite(make.execution("e9"), None, 0)], "n1")
        assert not await store.is_used("e9")

    make.with_database(postgresql_url, test)


def test_a_connection_that_breaks_during_the_commit_makes_the_outcome_unknown(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        await make.start(store, make.execution("e1"))
        original = database.dialect._commit  # type: ignore[attr-defined]

        async def commit(connection: Any, token: int) -> None:
            async with database.write() as other:
                await other.execute(BREAK_OTHERS)
            await original(connection, token)

        monkeypatch.setattr(database.dialect, "_commit", commit)
        with pytest.raises(OutcomeUnknownError) as caught:
            await store.commit([TurnWrite(make.execution("e9"), None, 0)], "n1")
        assert not await store.was_committed("e9", caught.value.token)

    make.with_database(postgresql_url, test)


def test_large_batches_are_written_completely(database_url: str) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        new = []
        for number in range(391):
            execution = make.execution(f"e{number:03}", seq=2)
            new.append(
                TurnWrite(
                    execution,
                    None,
                    0,
                    tasks=[make.task(execution, f"t{number}")],
                    actions=[make.action(execution, f"a{number}", task_id=f"t{number}")],
                )
            )
        assert set(states(await store.commit(new, "n1"))) == {"committed"}
        changed = []
        for turn in new:
            next_turn = change(turn.execution, 1, state="SUCCESS")
            next_turn.actions = [replace(turn.actions[0], state="SUCCESS", output=freeze({"result": 1}))]
            changed.append(next_turn)
        assert set(states(await store.commit(changed, "n1"))) == {"committed"}
        loaded = await store.load_many([turn.execution.id for turn in new])
        assert len(loaded) == 391
        for stored in loaded.values():
            assert stored.execution.state == "SUCCESS"
            assert stored.actions[0].result == 1

    make.with_database(database_url, test)


def test_a_reopened_database_holds_what_was_committed(database_url: str) -> None:
    async def test() -> None:
        for number in range(3):
            database = await open_database(database_url)
            try:
                store = Executions(database)
                assert await count(database, schema.executions) == number
                await make.start(store, make.execution(f"e{number}"))
            finally:
                await database.close()

    asyncio.run(test())
