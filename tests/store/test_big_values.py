"""Big values: once for each tree, by their content, whatever refers to them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.store import records as make
from tests.store.outside import Files

from tramontane.core.state import Execution
from tramontane.store import schema
from tramontane.store.big_values import Swept
from tramontane.store.database import Database, open_database
from tramontane.store.errors import LostValueError, OutcomeUnknownError, ValueStoreUnavailableError
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.packing import BIG, Found, Memory, Packing
from tramontane.store.records import StoredExecution, TurnWrite
from tramontane.store.references import MARK
from tramontane.store.single_records import SingleRecords
from tramontane.values import FrozenDict, decode, encode, freeze, size_of

_MANY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def text(size: int, letter: str = "x") -> str:
    """A text of so many characters of JSON, an object of its own."""
    return "".join([letter] * (size - 2))


def big(letter: str = "x") -> str:
    return text(2 * BIG, letter)


async def values_of(database: Database, root_id: str | None = None) -> list[Any]:
    table = schema.big_values
    query = sa.select(table).order_by(table.c.size)
    if root_id is not None:
        query = query.where(table.c.root_id == root_id)
    async with database.read() as connection:
        return list(await connection.execute(query))


async def column(database: Database, of: sa.Column[Any], key: str = "e1") -> str:
    async with database.read() as connection:
        found = await connection.scalar(sa.select(of).where(of.table.c["id"] == key))
    return str(found)


async def load(database: Database, execution_id: str = "e1") -> StoredExecution:
    stored = await Executions(database).load(execution_id)
    assert stored is not None
    return stored


async def start(database: Database, execution: Execution, **more: Any) -> None:
    (outcome,) = await Executions(database).commit([TurnWrite(execution, None, 0, **more)], "n1")
    assert outcome.is_committed, outcome


# -- what is big ----------------------------------------------------------------------------------


def packed(value: Any, *, whole: bool = True) -> tuple[str, list[str]]:
    """The text of a column and the texts taken out of it."""
    packing = Packing(Memory())
    written = packing.write(freeze(value), "r", whole=whole)
    return written, [found.text() for found in packing.found.values()]


def test_a_value_is_taken_out_from_16_kb_on() -> None:
    small, none = packed({"a": text(BIG - 100)})
    assert (MARK in small, none) == (False, [])
    written, taken = packed({"a": text(BIG)})
    assert len(written) < 150
    assert [len(each) for each in taken] == [BIG]


def test_a_list_of_many_small_values_is_one_big_value() -> None:
    written, taken = packed({"a": list(range(20_000))})
    assert len(written) < 150
    assert [decode(each) for each in taken] == [list(range(20_000))]


def test_big_values_inside_of_a_value_count_as_references() -> None:
    inner = big()
    _, taken = packed({"result": {"b": inner, "c": 1}})
    assert [decode(each) for each in taken] == [inner]
    _, taken = packed({"b": inner, "many": list(range(20_000)), **{str(n): "y" * 50 for n in range(500)}})
    assert len(taken) == 3
    assert len(taken[2]) < 35_000  # the map itself, which refers to the other two


def test_a_column_that_stays_in_its_row_refers_to_what_is_inside() -> None:
    written, taken = packed({str(n): "y" * 50 for n in range(500)}, whole=False)
    assert (len(written) > BIG, taken) == (True, [])
    written, taken = packed({"a": big()}, whole=False)
    assert len(written) < 150
    assert len(taken) == 1


def test_a_known_value_is_written_and_hashed_once() -> None:
    value = freeze({"a": list(range(20_000)), "b": big(), "c": {"d": list(range(9_000))}})
    memory = Memory()
    first, second = Packing(memory), Packing(memory)
    assert first.write(value, "r") == second.write(freeze({**value}), "r")
    assert all(each.written is not None for each in first.found.values())
    assert all(each.written is None for each in second.found.values())
    again = {key[1]: each.text() for key, each in second.found.items()}
    assert again == {key[1]: each.text() for key, each in first.found.items()}


def test_memory_forgets_what_was_not_used_for_longest() -> None:
    memory = Memory(capacity=3 * 2 * BIG + 10)
    texts = [big(letter) for letter in "abc"]
    for each in texts:
        Packing(memory).write(each, "r")
    assert memory.find_text(texts[0]) is not None
    fourth = big("d")
    Packing(memory).write(fourth, "r")
    assert memory.find_text(texts[1]) is None
    assert all(memory.find_text(each) is not None for each in (texts[0], texts[2], fourth))


# -- round trips ----------------------------------------------------------------------------------

_like_marks = st.sampled_from(
    [
        MARK,
        MARK + "'",
        MARK + "''",
        f'x,"{MARK}',
        f'{{"{MARK}":["{"0" * 64}",20000]}}',
        f'{{"{MARK}\'":',
    ]
)
_leaves = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False),
    _like_marks,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.builds(text, st.integers(BIG - 3, BIG + 3), st.sampled_from("xyé")),
    st.just(FrozenDict({MARK: freeze(["0" * 64, 20_000])})),
)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(_like_marks, st.text("ab\"',{:", max_size=4)), inner, max_size=4),
    ),
    max_leaves=8,
)


def test_values_come_back_as_they_were_whatever_they_look_like(database_url: str) -> None:
    runner = asyncio.Runner()
    database = runner.run(open_database(database_url))

    async def check_one(value: Any) -> None:
        store = Executions(database)
        await store.delete("e1")
        given_ = freeze({"v": value})
        execution = make.execution("e1", input=given_, globals=given_, output=freeze(value), seq=2)
        event = make.event(execution, payload=freeze([value]))
        await start(database, execution, inbox=[event])
        database.big_values.memory = Memory()
        stored = await load(database)
        assert encode(stored.execution.input) == encode(given_)
        assert encode(stored.execution.globals) == encode(given_)
        assert encode(stored.execution.output) == encode(freeze(value))
        assert encode(stored.inbox[0].payload) == encode(freeze([value]))
        find = await database.big_values.texts([(row.root_id, row.hash) for row in await values_of(database)])
        for row in await values_of(database):
            decode(find(row.hash))
        assert size_of(await column(database, schema.executions.c.input)) < 8 * BIG

    @_MANY
    @given(_values)
    def check(value: Any) -> None:
        runner.run(check_one(value))

    try:
        check()
    finally:
        runner.run(database.close())
        runner.close()


def test_rows_that_hold_big_values_themselves_are_read(database_url: str) -> None:
    async def test(database: Database) -> None:
        await start(database, make.execution("e1"))
        value = freeze({"a": big()})
        async with database.write() as connection:
            await connection.execute(sa.update(schema.executions).values(input=encode(value)))
        assert (await load(database)).execution.input == value

    make.with_database(database_url, test)


# -- once -----------------------------------------------------------------------------------------


def test_a_value_is_stored_once_for_a_tree_whatever_refers_to_it(database_url: str) -> None:
    async def test(database: Database) -> None:
        value = freeze({"image": big(), "parts": list(range(20_000))})
        root = make.execution("e1", input=value, seq=2)
        child = make.child(root, "e2", input=freeze({"given": value}))
        action = make.action(root, input=freeze({"body": value}))
        await start(database, root, children=[child], actions=[action])
        copy = freeze(decode(encode(value)))
        ended = replace(child, output=freeze({"back": copy}), state="SUCCESS")
        store = Executions(database)
        (outcome,) = await store.commit([TurnWrite(ended, child, 1)], "n1")
        assert outcome.is_committed
        await store.post([make.event(root, payload=freeze({"data": copy}))])
        rows = await values_of(database)
        assert [row.root_id for row in rows] == ["e1", "e1"]
        assert sum(row.size for row in rows) == len(encode(value["image"])) + len(encode(value["parts"]))
        for of, key in (
            (schema.executions.c.input, "e1"),
            (schema.executions.c.input, "e2"),
            (schema.executions.c.output, "e2"),
            (schema.action_executions.c.input, "a1"),
        ):
            assert len(await column(database, of, key)) < 400

    make.with_database(database_url, test)


def test_records_that_refer_to_one_value_share_it_in_memory(database_url: str) -> None:
    async def test(database: Database) -> None:
        value = freeze({"image": big(), "parts": list(range(20_000))})
        root = make.execution("e1", input=value, seq=2)
        actions = [make.action(root, f"a{n}", seq=n, input=freeze({"body": value})) for n in (1, 2)]
        await start(database, root, children=[make.child(root, "e2", input=value)], actions=actions)
        database.big_values.memory = Memory()
        stored, child = await load(database), await load(database, "e2")
        known = stored.execution.input
        assert known == value
        for other in (*(action.input["body"] for action in stored.actions), child.execution.input):
            assert other["image"] is known["image"]
            assert other["parts"] is known["parts"]

    make.with_database(database_url, test)


def test_a_value_that_was_read_is_not_written_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(_: Found) -> str:
        raise AssertionError("the value is sent again")

    async def test(database: Database) -> None:
        value = freeze({"parts": list(range(20_000))})
        await start(database, make.execution("e1", input=value))
        database.big_values.memory = Memory()
        stored = await load(database)
        after = replace(stored.execution, output=freeze({"same": stored.execution.input["parts"]}), seq=3)
        turn = TurnWrite(after, stored.execution, 1)
        assert await Executions(database).prepare([turn]) < BIG
        monkeypatch.setattr(Found, "text", send)
        (outcome,) = await Executions(database).commit([turn], "n1")
        assert outcome.is_committed
        assert len(await values_of(database)) == 1

    make.with_database(database_url, test)


def test_a_value_goes_into_each_tree_that_refers_to_it(database_url: str) -> None:
    async def test(database: Database) -> None:
        value = freeze({"a": big(), "parts": [big("y"), *range(20_000)]})
        await start(database, make.execution("e1", input=value))
        stored = await load(database)
        await start(database, make.execution("e2", root_id="e2", input=stored.execution.input))
        assert len(await values_of(database, "e2")) == len(await values_of(database, "e1")) == 3
        await Executions(database).delete("e1")
        assert await values_of(database, "e1") == []
        database.big_values.memory = Memory()
        assert (await load(database, "e2")).execution.input == value

    make.with_database(database_url, test)


def test_turns_of_one_tree_that_use_a_value_first_at_the_same_time_agree(database_url: str) -> None:
    async def test(database: Database) -> None:
        root = make.execution("e1", seq=2)
        children = [make.child(root, f"c{n}") for n in range(8)]
        await start(database, root, children=children)
        store = Executions(database)

        async def use(child: Execution) -> None:
            output = freeze({"a": big("a"), "b": big("b"), "c": big("c")})
            after = replace(child, output=output, seq=1)
            (outcome,) = await store.commit([TurnWrite(after, child, 1)], "n1")
            assert outcome.is_committed

        await asyncio.gather(*(use(child) for child in children))
        assert len(await values_of(database)) == 3

    make.with_database(database_url, test)


def test_a_turn_that_loses_its_race_writes_no_value(database_url: str) -> None:
    async def test(database: Database) -> None:
        execution = make.execution("e1")
        await start(database, execution)
        after = replace(execution, output=freeze({"a": big()}), seq=1)
        (outcome,) = await Executions(database).commit([TurnWrite(after, execution, 7)], "n1")
        assert outcome.status == "lost"
        assert await values_of(database) == []

    make.with_database(database_url, test)


def test_a_tree_that_is_gone_is_stored_anew_under_its_id(database_url: str) -> None:
    async def test(database: Database) -> None:
        value = freeze({"a": big()})
        store = Executions(database)
        for _ in range(2):
            await start(database, make.execution("e1", input=value))
            await store.delete("e1")
            assert await values_of(database) == []
        await start(database, make.execution("e1", input=value))
        # Another node has deleted and started it again, while this one believes to know what is stored.
        async with database.write() as connection:
            await connection.execute(sa.delete(schema.big_values))
        stored = replace(make.execution("e1", input=value), output=value, seq=3)
        (outcome,) = await store.commit([TurnWrite(stored, make.execution("e1", input=value), 1)], "n1")
        assert outcome.is_committed
        database.big_values.memory = Memory()
        assert (await load(database)).execution.output == value

    make.with_database(database_url, test)


def test_the_deletion_of_a_part_of_a_tree_leaves_the_values_of_the_tree(database_url: str) -> None:
    async def test(database: Database) -> None:
        value = freeze({"a": big()})
        root = make.execution("e1", input=value, seq=2)
        await start(database, root, children=[make.child(root, "e2", input=value)])
        store = Executions(database)
        await store.delete("e2")
        assert (await load(database)).execution.input == value
        assert len(await values_of(database)) == 1
        await store.delete("e1")
        assert await values_of(database) == []

    make.with_database(database_url, test)


def test_a_stand_alone_action_is_the_root_of_its_values(database_url: str) -> None:
    async def test(database: Database) -> None:
        single = SingleRecords(database)
        value = freeze({"a": big()})
        alone = replace(
            make.action(make.execution("e1")), execution_id=None, root_id=None, task_id=None, input=value
        )
        await single.add_action(alone, None)
        assert [row.root_id for row in await values_of(database)] == [alone.id]
        output = freeze({"result": list(range(20_000))})
        done = replace(alone, state="SUCCESS", output=output)
        assert await single.change_action(alone, done, drop_job=True)
        database.big_values.memory = Memory()
        assert await single.action(alone.id) == done
        assert await single.delete_action(alone.id)
        assert await values_of(database) == []

    make.with_database(database_url, test)


def test_a_job_brings_its_input(database_url: str) -> None:
    async def test(database: Database) -> None:
        execution = make.execution("e1", seq=2)
        action = make.action(execution, input=freeze({"body": big()}))
        await start(database, execution, actions=[action], jobs=[make.job(action)])
        database.big_values.memory = Memory()
        (claimed,) = (await Jobs(database).claim("n1", [""], 5)).jobs
        assert claimed.action.input == action.input
        assert claimed.problem is None

    make.with_database(database_url, test)


def test_an_action_whose_input_is_lost_is_claimed_with_the_reason(database_url: str) -> None:
    async def test(database: Database) -> None:
        execution = make.execution("e1", seq=2)
        lost = make.action(execution, "a1", seq=1, input=freeze({"body": big()}))
        well = make.action(execution, "a2", seq=2, input=freeze({"body": 1}))
        await start(database, execution, actions=[lost, well], jobs=[make.job(lost), make.job(well)])
        ((content_hash,),) = [(row.hash,) for row in await values_of(database)]
        async with database.write() as connection:
            await connection.execute(sa.delete(schema.big_values))
        database.big_values.memory = Memory()
        claimed = {each.action.id: each for each in (await Jobs(database).claim("n1", [""], 5)).jobs}
        assert claimed["a2"].problem is None
        assert content_hash in (claimed["a1"].problem or "")
        with pytest.raises(LostValueError, match=f"hash={content_hash}, root_execution_id=e1"):
            await Executions(database).load("e1")

    make.with_database(database_url, test)


# -- outside --------------------------------------------------------------------------------------


def with_files(url: str, files: Files, test: Callable[[Database], Awaitable[None]]) -> None:
    """Run ``test`` with a database whose big values are kept outside."""

    async def run() -> None:
        database = await open_database(url, big_values=files.url)
        try:
            await test(database)
        finally:
            await database.close()

    asyncio.run(run())


def test_values_outside_are_written_once_read_and_deleted_with_their_tree(
    database_url: str, files: Files
) -> None:
    async def test(database: Database) -> None:
        value = freeze({"image": big("é"), "parts": [big("y"), *range(20_000)]})
        root = make.execution("e1", input=value, seq=2)
        store = Executions(database)
        turn = TurnWrite(root, None, 0, children=[make.child(root, "e2", input=value)])
        await store.prepare([turn])
        assert len(files.names()) == 3
        assert (await store.commit([turn], "n1"))[0].is_committed
        rows = await values_of(database)
        assert [row.data for row in rows] == [None] * 3
        assert sorted(row.place for row in rows) == files.names()
        stored = await load(database)
        ended = TurnWrite(replace(root, output=stored.execution.input, seq=3), root, 1)
        await store.prepare([ended])
        assert (await store.commit([ended], "n1"))[0].is_committed
        database.big_values.memory = Memory()
        assert (await load(database)).execution.output == value
        assert len(files.names()) == 3
        await store.delete("e1")
        assert files.names() == []

    with_files(database_url, files, test)


def test_a_store_outside_that_is_away_is_reported_and_heals(sqlite_url: str, files: Files) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        execution = make.execution("e1", input=freeze({"a": big()}))
        turn = TurnWrite(execution, None, 0)
        with files.away(), pytest.raises(ValueStoreUnavailableError, match="can't be written"):
            await store.prepare([turn])
        small = TurnWrite(make.execution("e2"), None, 0)
        with files.away():
            await store.prepare([small])
            assert (await store.commit([small], "n1"))[0].is_committed
        await store.prepare([turn])
        assert (await store.commit([turn], "n1"))[0].is_committed
        database.big_values.memory = Memory()
        with files.away(), pytest.raises(ValueStoreUnavailableError, match="can't be read") as raised:
            await store.load("e1")
        assert files.secret not in str(raised.value)
        assert (await load(database)).execution.input == execution.input

    with_files(sqlite_url, files, test)


def test_jobs_whose_inputs_cannot_be_fetched_now_are_given_back(sqlite_url: str, files: Files) -> None:
    async def test(database: Database) -> None:
        execution = make.execution("e1", seq=2)
        big_one = make.action(execution, "a1", seq=1, input=freeze({"body": big()}))
        small = make.action(execution, "a2", seq=2, input=freeze({"body": 1}))
        store, jobs = Executions(database), Jobs(database)
        turn = TurnWrite(
            execution, None, 0, actions=[big_one, small], jobs=[make.job(big_one), make.job(small)]
        )
        await store.prepare([turn])
        assert (await store.commit([turn], "n1"))[0].is_committed
        database.big_values.memory = Memory()
        with files.away():
            assert [each.action.id for each in (await jobs.claim("n1", [""], 5)).jobs] == ["a2"]
            with pytest.raises(ValueStoreUnavailableError):
                await jobs.claim("n1", [""], 5)
        assert [each.action.id for each in (await jobs.claim("n1", [""], 5)).jobs] == ["a1"]

    with_files(sqlite_url, files, test)


def test_a_text_that_is_gone_or_was_changed_is_reported_with_its_hash(sqlite_url: str, files: Files) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        turn = TurnWrite(make.execution("e1", input=freeze({"a": big()})), None, 0)
        await store.prepare([turn])
        await store.commit([turn], "n1")
        (row,) = await values_of(database)
        database.big_values.memory = Memory()
        files.overwrite(row.place, b'"something else"')
        with pytest.raises(LostValueError, match=f"was changed.*hash={row.hash}"):
            await store.load("e1")
        files.remove(row.place)
        with pytest.raises(LostValueError, match=f"there is no.*hash={row.hash}.*e1"):
            await store.load("e1")

    with_files(sqlite_url, files, test)


def test_what_is_stored_stays_readable_when_the_place_for_new_values_changes(
    sqlite_url: str, files: Files
) -> None:
    first, second = (
        make.execution("e1", input=freeze({"a": big()})),
        make.execution("e2", root_id="e2", input=freeze({"a": big("y")})),
    )

    async def write_second(database: Database) -> None:
        turn = TurnWrite(second, None, 0)
        await Executions(database).prepare([turn])
        await Executions(database).commit([turn], "n1")
        assert (await load(database)).execution.input == first.input

    make.with_database(sqlite_url, lambda database: start(database, first))
    with_files(sqlite_url, files, write_second)
    assert len(files.names()) == 1

    async def read_second(database: Database) -> None:
        assert (await load(database)).execution.input == first.input
        with pytest.raises(LostValueError, match="outside of the database; see 'big_values'"):
            await Executions(database).load("e2")

    make.with_database(sqlite_url, read_second)


def test_a_tree_that_is_started_again_relies_on_no_text_of_the_one_before(
    sqlite_url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        write = type(database.dialect).write

        async def write_without_answer(*args: Any) -> Any:
            await write(*args)
            raise OutcomeUnknownError("the connection broke", args[1].token)

        turn = TurnWrite(make.execution("e1", input=freeze({"a": big()})), None, 0)
        await store.prepare([turn])
        with monkeypatch.context() as broken:
            broken.setattr(type(database.dialect), "write", write_without_answer)
            with pytest.raises(OutcomeUnknownError):
                await store.commit([turn], "n1")
        await store.delete("e1")
        assert files.names() == []
        again = TurnWrite(make.execution("e1", input=turn.execution.input), None, 0)
        await store.prepare([again])
        assert (await store.commit([again], "n1"))[0].is_committed
        database.big_values.memory = Memory()
        assert (await load(database)).execution.input == turn.execution.input

    with_files(sqlite_url, files, test)


def test_a_sweep_deletes_what_nothing_refers_to(database_url: str, files: Files) -> None:
    async def test(database: Database) -> None:
        store = Executions(database)
        kept = TurnWrite(make.execution("e1", input=freeze({"a": big()})), None, 0)
        for turn in (kept, TurnWrite(make.execution("e2", input=freeze({"a": big("y")})), None, 0)):
            await store.prepare([turn])
        assert (await store.commit([kept], "n1"))[0].is_committed
        # A result that came for a tree while it was deleted.
        await store.post([make.event(make.execution("e3"), payload=freeze({"data": big("z")}))])
        sweep = database.big_values.sweep
        assert await sweep() == Swept(1, 0)  # texts of a moment ago may be about to be committed
        assert await sweep(grace=-1, only_count=True) == Swept(0, 2)
        assert len(files.names()) == 3
        assert await sweep(grace=-1) == Swept(0, 2)
        assert files.names() == [row.place for row in await values_of(database)]
        database.big_values.memory = Memory()
        assert (await load(database)).execution.input == {"a": big()}

    with_files(database_url, files, test)


_WRITER = """
import asyncio, sys
from tests.store import records as make
from tramontane.store.database import open_database
from tramontane.store.executions import Executions
from tramontane.store.records import TurnWrite
from tramontane.values import freeze

async def main():
    database = await open_database(sys.argv[1], big_values=sys.argv[2])
    store = Executions(database)
    turn = TurnWrite(make.execution("e1", input=freeze({"a": "x" * 40_000})), None, 0)
    await store.prepare([turn])
    print("placed", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


def test_a_process_killed_between_a_value_and_its_commit_leaves_something_over_and_nothing_else(
    sqlite_url: str, tmp_path: Path
) -> None:
    directory = tmp_path / "values"
    url = f"file://{directory}"
    process = make.python(_WRITER, sqlite_url, url)
    assert process.stdout is not None
    assert process.stdout.readline() == "placed\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()

    async def test() -> None:
        database = await open_database(sqlite_url, big_values=url)
        try:
            store = Executions(database)
            assert await store.load("e1") is None
            turn = TurnWrite(make.execution("e1", input=freeze({"a": "x" * 40_000})), None, 0)
            await store.prepare([turn])
            assert (await store.commit([turn], "n2"))[0].is_committed
            database.big_values.memory = Memory()
            assert (await load(database)).execution.input == {"a": "x" * 40_000}
            assert await database.big_values.sweep(grace=-1) == Swept(0, 1)
            database.big_values.memory = Memory()
            assert (await load(database)).execution.input == {"a": "x" * 40_000}
        finally:
            await database.close()

    asyncio.run(test())


def test_a_text_outside_is_durable_before_it_is_committed(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)

    async def test() -> None:
        database = await open_database(sqlite_url, big_values=f"file://{tmp_path}/values")
        try:
            synced.clear()
            turn = TurnWrite(make.execution("e1", input=freeze({"a": big()})), None, 0)
            await Executions(database).prepare([turn])
            directory, file, parent = synced
            assert directory == f"{tmp_path}/values"
            assert file.startswith(f"{tmp_path}/values/e1/")
            assert parent == f"{tmp_path}/values/e1"
        finally:
            await database.close()

    if sys.platform == "linux":
        asyncio.run(test())
