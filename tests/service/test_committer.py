"""The group commit, against a store that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.service.harness import run

from tramontane.core.state import Execution
from tramontane.errors import UnavailableError
from tramontane.service.committer import BatchLimits, Committer, Lost, Refused, Unwritten, Won
from tramontane.store.commit import CommitOutcome
from tramontane.store.errors import DatabaseUnavailableError, OutcomeUnknownError
from tramontane.store.executions import Executions
from tramontane.store.records import TurnWrite
from tramontane.values import size_of

WON, LOST = CommitOutcome("committed", 1), CommitOutcome("lost")


def a_turn(name: str, bundle: str | None = None) -> TurnWrite:
    execution = Execution(name, name, "p", "wf", "", None, "hash", 0)
    return TurnWrite(execution, None, 0, bundle=bundle)


class Store(Executions):
    """Records the batches; commits wait for the gate, and end as ``script`` says (at first by name)."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.outcomes: dict[str, CommitOutcome] = {}
        self.errors: list[Exception] = []
        self.written: frozenset[str] = frozenset()
        self.asked: list[Sequence[str]] = []
        self.deaf = 0

    async def prepare(self, turns: Sequence[TurnWrite]) -> int:
        return sum(size_of(turn.execution.input) for turn in turns)

    async def commit(self, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
        names = [turn.execution.id for turn in turns]
        self.batches.append(names)
        self.entered.set()
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return [self.outcomes.get(name, WON) for name in names]

    async def committed(self, execution_ids: Sequence[str], token: int) -> frozenset[str]:
        self.asked.append(execution_ids)
        if self.deaf:
            self.deaf -= 1
            raise DatabaseUnavailableError("still away")
        return self.written


async def started(store: Store, limits: BatchLimits | None = None) -> Committer:
    committer = Committer(store, "node", limits or BatchLimits())
    await committer.start()
    return committer


def test_turns_gather_while_a_commit_is_under_way() -> None:
    async def test() -> None:
        store = Store()
        store.gate.clear()
        committer = await started(store)
        first = asyncio.create_task(committer.commit([a_turn("1")]))
        await store.entered.wait()
        others = [asyncio.create_task(committer.commit([a_turn(str(n))])) for n in range(2, 6)]
        await asyncio.sleep(0)
        store.gate.set()
        assert [await each for each in (first, *others)] == [Won()] * 5
        assert store.batches == [["1"], ["2", "3", "4", "5"]]
        await committer.stop()

    run(test())


def test_an_idle_committer_writes_a_turn_at_once_and_alone() -> None:
    async def test() -> None:
        store = Store()
        committer = await started(store)
        for name in "abc":
            assert await committer.commit([a_turn(name)]) == Won()
        assert store.batches == [["a"], ["b"], ["c"]]
        await committer.stop()

    run(test())


def test_batches_are_bounded_and_bundles_stay_together() -> None:
    async def test() -> None:
        store = Store()
        store.gate.clear()
        committer = await started(store, BatchLimits(turns=3))
        units = [[a_turn("0")], [a_turn("1")], [a_turn("2"), a_turn("3"), a_turn("4")], [a_turn("5")]]
        units.append([a_turn(str(n)) for n in range(6, 11)])
        waiting = [asyncio.create_task(committer.commit(unit)) for unit in units]
        await store.entered.wait()
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(*waiting)
        batches = store.batches[1:] if store.batches[0] == ["0"] else store.batches
        assert batches[-3:] == [["2", "3", "4"], ["5"], ["6", "7", "8", "9", "10"]]
        await committer.stop()

    run(test())


def test_a_turn_that_lost_its_race_doesn_t_take_others_along() -> None:
    async def test() -> None:
        store = Store()
        store.outcomes["b"] = LOST
        store.gate.clear()
        committer = await started(store)
        waiting = [asyncio.create_task(committer.commit([a_turn(name)])) for name in "abc"]
        await store.entered.wait()
        store.gate.set()
        assert await asyncio.gather(*waiting) == [Won(), Lost(), Won()]
        await committer.stop()

    run(test())


def test_a_bundle_of_which_one_turn_lost_has_lost() -> None:
    async def test() -> None:
        store = Store()
        store.outcomes["root"] = LOST
        committer = await started(store)
        assert await committer.commit([a_turn("child", "x"), a_turn("root", "x")]) == Lost()
        await committer.stop()

    run(test())


def test_what_can_t_be_stored_is_refused_with_its_reason() -> None:
    async def test() -> None:
        store = Store()
        store.outcomes["bad"] = CommitOutcome("failed", reason="a lone surrogate")
        committer = await started(store)
        assert await committer.commit([a_turn("bad")]) == Refused("a lone surrogate")
        assert await committer.commit([a_turn("good")]) == Won()
        await committer.stop()

    run(test())


def test_an_unreachable_database_leaves_the_turn_unwritten_and_the_next_one_its_chance() -> None:
    async def test() -> None:
        store = Store()
        store.errors = [DatabaseUnavailableError("away")]
        committer = await started(store)
        verdict = await committer.commit([a_turn("a")])
        assert isinstance(verdict, Unwritten) and verdict.error.message == "away"
        assert await committer.commit([a_turn("a")]) == Won()
        await committer.stop()

    run(test())


@pytest.mark.parametrize("written", [True, False])
def test_after_an_unknown_outcome_the_heads_are_asked_until_they_answer(written: bool) -> None:
    async def test() -> None:
        store = Store()
        store.errors = [OutcomeUnknownError("broken", 7)]
        store.written = frozenset({"a"}) if written else frozenset()
        store.deaf = 2
        committer = await started(store)
        assert await committer.commit([a_turn("a")]) == (Won() if written else Lost(in_doubt=True))
        assert len(store.asked) == 3
        await committer.stop()

    run(test())


def test_while_an_outcome_can_t_be_asked_others_are_told_so_instead_of_waiting() -> None:
    async def test() -> None:
        store = Store()
        store.errors = [OutcomeUnknownError("broken", 7)]
        store.written = frozenset({"a"})
        store.gate.clear()
        committer = await started(store)
        unknown = asyncio.create_task(committer.commit([a_turn("a")]))
        await store.entered.wait()
        queued = asyncio.create_task(committer.commit([a_turn("b")]))
        await asyncio.sleep(0)
        store.deaf = 10**9
        store.gate.set()
        assert isinstance(await queued, Unwritten)
        assert isinstance(await committer.commit([a_turn("c")]), Unwritten)
        assert not unknown.done()
        store.deaf = 0
        assert await unknown == Won()
        assert await committer.commit([a_turn("c")]) == Won()
        assert store.batches == [["a"], ["c"]]
        await committer.stop()

    run(test())


def test_an_unforeseen_error_is_a_verdict_too_and_the_committer_goes_on() -> None:
    async def test() -> None:
        store = Store()
        store.errors = [ZeroDivisionError("oops")]
        committer = await started(store)
        assert await committer.commit([a_turn("a")]) == Refused("ZeroDivisionError: oops")
        assert await committer.commit([a_turn("b")]) == Won()
        await committer.stop()

    run(test())


def test_stopping_writes_what_is_queued_and_accepts_nothing_more() -> None:
    async def test() -> None:
        store = Store()
        store.gate.clear()
        committer = await started(store)
        waiting = [asyncio.create_task(committer.commit([a_turn(name)])) for name in "ab"]
        await store.entered.wait()
        stopping = asyncio.create_task(committer.stop())
        await asyncio.sleep(0)
        store.gate.set()
        await stopping
        assert await asyncio.gather(*waiting) == [Won(), Won()]
        with pytest.raises(UnavailableError):
            await committer.commit([a_turn("c")])

    run(test())
