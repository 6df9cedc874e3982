"""Who decides next while more wants to be decided than there is time for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.service.harness import ALICE, BOB, a_node, run, start, still, upload

from tramontane.core.decide import decide
from tramontane.errors import UnavailableError
from tramontane.service import deciding
from tramontane.service.together import Together
from tramontane.service.turnstile import Turnstile
from tramontane.store.executions import Executions
from tramontane.store.records import TurnWrite


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still, but for what the test says."""

    now = 0.0

    def time(self) -> float:
        return self.now


def in_steps(test: Callable[[Loop], Coroutine[Any, Any, None]]) -> None:
    loop = Loop()
    try:
        loop.run_until_complete(test(loop))
    finally:
        loop.close()


class Decisions:
    """Decisions of a millisecond each, in the order in which they are let in."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.turnstile = Turnstile(0.005)
        self.order: list[str] = []

    async def decide(self, project: str, execution: str, priority: int = 0) -> None:
        await self.turnstile.enter(project, execution, priority)
        self.order.append(execution)
        self.loop.now += 0.001
        self.turnstile.took(0.001)

    def flood(self, count: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.decide("busy", f"b{number}")) for number in range(count)]


def test_a_flood_of_one_project_delays_another_by_a_round_or_two() -> None:
    async def test(loop: Loop) -> None:
        decisions = Decisions(loop)
        busy = decisions.flood(500)
        await asyncio.sleep(0)
        assert len(decisions.order) < 20, "the rest waits for the next rounds of the loop"
        quiet = asyncio.create_task(decisions.decide("quiet", "q"))
        await asyncio.gather(quiet, *busy)
        assert decisions.order.index("q") < 40
        assert len(decisions.order) == 501

    in_steps(test)


def test_a_higher_priority_goes_before_what_waits() -> None:
    async def test(loop: Loop) -> None:
        decisions = Decisions(loop)
        waiting = decisions.flood(100)
        await asyncio.sleep(0)
        low = asyncio.create_task(decisions.decide("p", "low", -5))
        plain = asyncio.create_task(decisions.decide("q", "plain"))
        high = asyncio.create_task(decisions.decide("r", "high", 9))
        await asyncio.gather(low, plain, high, *waiting)
        places = {name: decisions.order.index(name) for name in ("low", "plain", "high")}
        assert places["high"] < places["plain"] < places["low"], places
        assert places["low"] < 100, "and yet it has its turn"

    in_steps(test)


def test_who_went_away_holds_nobody_up() -> None:
    async def test(loop: Loop) -> None:
        decisions = Decisions(loop)
        waiting = decisions.flood(50)
        await asyncio.sleep(0)
        for each in waiting[20:40]:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len(decisions.order) == 30

    in_steps(test)


def test_while_there_is_time_nobody_waits() -> None:
    async def test(loop: Loop) -> None:
        decisions = Decisions(loop)
        for number in range(100):
            await decisions.decide("p", f"e{number}")
            await asyncio.sleep(0)
        assert decisions.turnstile.delayed == 0

    in_steps(test)


def test_a_giant_takes_smaller_steps_while_others_want_to_decide(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*given: Any) -> Any:
        decision = decide(*given)
        time.sleep(0.0002 * len(getattr(decision, "actions", ())))
        return decision

    monkeypatch.setattr(deciding, "decide", slow)

    async def test() -> None:
        async with a_node(sqlite_url) as node:
            items = "with-items: 'i in <% range(2500) %>'"
            await upload(node, f"giant: {{tasks: {{a: {{{items}, action: std.async_noop}}}}}}")
            await upload(node, "small: {tasks: {a: {action: std.sleep seconds=0}}}")
            portions: dict[str, list[int]] = {}

            def note(turn: TurnWrite) -> None:
                if turn.jobs:
                    portions.setdefault(turn.execution.id, []).append(len(turn.jobs))

            node.engine.watch(note)
            alone = (await start(node, "giant")).id
            await still(lambda: sum(portions.get(alone, ())) < 2500)
            beside = (await start(node, "giant")).id
            while sum(portions.get(beside, ())) < 2500:
                await start(node, "small")
            assert min(portions[alone][:-1]) >= 400
            assert min(portions[beside]) <= 100

    run(test())


def test_a_project_that_floods_a_node_is_refused_before_the_others(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, max_waiting_requests=20) as node:
            for caller in (ALICE, BOB):
                await upload(node, "wf: {tasks: {a: {action: std.noop}}}", caller)
            gate = asyncio.Event()
            commit = Executions.commit

            async def slow(self: Executions, turns: Any, node_id: str | None) -> Any:
                await gate.wait()
                return await commit(self, turns, node_id)

            monkeypatch.setattr(Executions, "commit", slow)
            flood = [asyncio.create_task(start(node, "wf", ALICE)) for _ in range(18)]
            await still(lambda: node.engine.waiting < 18)
            with pytest.raises(UnavailableError):
                await start(node, "wf", ALICE)
            other = asyncio.create_task(start(node, "wf", BOB))
            await still(lambda: node.engine.waiting < 19)
            gate.set()
            assert {each.state for each in await asyncio.gather(other, *flood)} == {"SUCCESS"}

    run(test())


# -- doing things together ------------------------------------------------------------------------


def test_what_comes_meanwhile_is_done_in_one_go() -> None:
    async def test() -> None:
        goes: list[list[int]] = []
        gate = asyncio.Event()

        async def do(items: Any) -> None:
            goes.append(list(items))
            await gate.wait()

        together: Together[int] = Together(do, 10)
        asking = [asyncio.create_task(together.put(number)) for number in range(15)]
        await still(lambda: not goes)
        gate.set()
        await asyncio.gather(*asking)
        assert [number for go in goes for number in go] == list(range(15))
        assert len(goes) <= 3

    run(test())


def test_a_failure_is_told_to_those_whom_it_is_about() -> None:
    async def test() -> None:
        async def do(items: Any) -> None:
            if 1 in items:
                raise ValueError("no")

        together: Together[int] = Together(do, 1)
        asked = [together.put(number) for number in range(3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), ValueError, type(None)]

    run(test())
