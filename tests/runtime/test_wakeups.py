"""Wake-ups between nodes on one PostgreSQL."""

from __future__ import annotations

import asyncio

from tests.service.harness import a_node, run

from tramontane.runtime.wakeups import Wakeups


def test_a_word_is_said_once_however_often_it_is_asked_for() -> None:
    async def test() -> None:
        said: list[str] = []
        over = asyncio.Event()

        async def say(word: str) -> None:
            said.append(word)
            if word == "jobs":
                over.set()

        wakeups = Wakeups(say, {})
        for word in ("inbox", "inbox", "jobs", "inbox"):
            wakeups.tell(word)
        await wakeups.start()
        await over.wait()
        await wakeups.stop()
        assert said == ["inbox", "jobs"]

    run(test())


def test_only_known_words_wake_and_each_its_own_loop() -> None:
    async def test() -> None:
        woken: list[str] = []

        async def say(word: str) -> None: ...

        wakeups = Wakeups(say, {"inbox": lambda: woken.append("inbox"), "jobs": lambda: woken.append("jobs")})
        for word in ("jobs", "of a later version", "inbox"):
            wakeups.hear(word)
        assert woken == ["jobs", "inbox"]

    run(test())


def test_nodes_on_one_postgresql_hear_each_other_but_not_themselves(postgresql_url: str) -> None:
    async def test() -> None:
        async with a_node(postgresql_url) as one, a_node(postgresql_url) as two:
            for node in (one, two):
                await node.runtime.reaper.loop.next_round()
            heard = asyncio.Event()
            two.database.dialect.listen(lambda word: heard.set() if word == "catalog" else None)
            own: list[str] = []
            one.database.dialect.listen(own.append)
            one.runtime.wakeups.tell("catalog")
            await asyncio.wait_for(heard.wait(), 10)
            assert own == []

    run(test())
