"""Locks that show the life of a process, and words between processes, which go over the same connection."""

from __future__ import annotations

import asyncio

from tests.store import records as make

from tramontane.store.database import Database, open_database


def test_words_that_are_said_while_the_lock_is_looked_at_do_not_break_it(postgresql_url: str) -> None:
    async def test() -> None:
        database = await open_database(postgresql_url)
        try:
            dialect = database.dialect
            await dialect.hold("me")
            held = await asyncio.gather(
                *(each for _ in range(20) for each in (dialect.hold("me"), dialect.say("jobs")))
            )
            assert held[::2] == [True] * 20
            assert await dialect.held(["me", "you"]) == frozenset({"me"})
        finally:
            await database.close()

    asyncio.run(test())


def test_a_word_is_heard_by_others_and_not_by_who_says_it(postgresql_url: str) -> None:
    async def test() -> None:
        here, there = await open_database(postgresql_url), await open_database(postgresql_url)
        try:
            own: list[str] = []
            words: asyncio.Queue[str] = asyncio.Queue()
            here.dialect.listen(own.append)
            there.dialect.listen(words.put_nowait)
            await here.dialect.hold("here")
            await there.dialect.hold("there")
            await here.dialect.say("jobs")
            async with asyncio.timeout(30):
                assert await words.get() == "jobs"
            assert own == []
        finally:
            await here.close()
            await there.close()

    asyncio.run(test())


def test_a_lock_is_free_when_the_process_that_held_it_is_gone(shared_url: str) -> None:
    async def test(judge: Database) -> None:
        other = await open_database(shared_url)
        assert await other.dialect.hold("other") is False  # it is just being taken
        assert await other.dialect.hold("other") is True
        assert await judge.dialect.held(["other", "nobody"]) == frozenset({"other"})
        assert await judge.dialect.held([]) == frozenset()
        await other.close()
        async with asyncio.timeout(10):
            while await judge.dialect.held(["other"]):  # noqa: ASYNC110 (the server takes a moment)
                await asyncio.sleep(0.01)

    make.with_database(shared_url, test)


def test_a_lock_that_was_lost_is_taken_back_and_said_to_have_been_lost(mariadb_url: str) -> None:
    async def test(database: Database) -> None:
        await database.dialect.hold("me")
        async with database.write() as connection:
            await connection.exec_driver_sql("SET @me = IS_USED_LOCK('tramontane me')")
            await connection.exec_driver_sql("EXECUTE IMMEDIATE concat('KILL ', @me)")
        assert await database.dialect.hold("me") is False
        await database.dialect.hold("me")
        assert await database.dialect.hold("me") is True

    make.with_database(mariadb_url, test)
