"""Words between processes, which go over the connection whose life is the session lock."""

from __future__ import annotations

import asyncio

from tramontane.store.database import open_database


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
