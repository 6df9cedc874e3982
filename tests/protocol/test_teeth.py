"""What the simulation would notice: a rule of the protocol is taken away, and stories break.

A rule that could go without any story breaking would be one that nothing holds up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from tests.protocol import stores
from tests.protocol.simulation import tell

from tramontane.runtime.clock import DatabaseClock
from tramontane.service.cache import Slot, Submission
from tramontane.service.changes import Changes
from tramontane.service.claims import Doubts
from tramontane.service.deciding import Ids
from tramontane.service.turn import Turn, Turns
from tramontane.store.batch import Batch, EncodedTurn
from tramontane.store.statements import Statement

_MOST = 300
"""So many stories are played at most; the first that breaks is enough."""

Removal = Callable[[pytest.MonkeyPatch], None]


def versions_are_compared(patch: pytest.MonkeyPatch) -> None:
    def has_lost(turn: EncodedTurn, _versions: Mapping[str, int], taken: frozenset[str]) -> bool:
        return (not turn.head.version and turn.head.id in taken) or any(
            child.id in taken for child in turn.children
        )

    patch.setattr(Batch, "_has_lost", staticmethod(has_lost))


def inbox_rows_are_deleted_by_the_turn_that_reads_them(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Changes, "consume", lambda _changes, _row_id: None)


def an_inbox_row_that_is_gone_does_not_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Statement, "must_match", property(lambda statement: statement.kind == "update"))


def the_token_tells_what_became_of_a_commit(patch: pytest.MonkeyPatch) -> None:
    async def committed(_store: object, execution_ids: Sequence[str], _token: int) -> frozenset[str]:
        return frozenset(execution_ids)

    patch.setattr(stores.MemoryExecutions, "committed", committed)


def claims_in_doubt_are_given_back(patch: pytest.MonkeyPatch) -> None:
    async def settle(_doubts: Doubts) -> None:
        return None

    patch.setattr(Doubts, "settle", settle)


def a_turn_that_writes_nothing_reads_again(patch: pytest.MonkeyPatch) -> None:
    async def prepare(turns: Turns, slot: Slot, batch: list[Submission], ids: Ids) -> Turn:
        if slot.state is None or slot.stale:
            await turns.load(slot, batch)
        return await turns.decide(slot, batch, ids)

    patch.setattr(Turns, "prepare", prepare)


def the_time_is_the_database_s(patch: pytest.MonkeyPatch) -> None:
    def correct(clock: DatabaseClock, micros: int) -> None:
        clock._offset = micros / 1_000_000 - clock._monotonic()

    patch.setattr(DatabaseClock, "correct", correct)


RULES: Sequence[Removal] = (
    versions_are_compared,
    inbox_rows_are_deleted_by_the_turn_that_reads_them,
    an_inbox_row_that_is_gone_does_not_count,
    the_token_tells_what_became_of_a_commit,
    claims_in_doubt_are_given_back,
    a_turn_that_writes_nothing_reads_again,
    the_time_is_the_database_s,
)


@pytest.mark.parametrize("without", RULES, ids=lambda rule: rule.__name__)
def test_without_one_of_its_rules_the_protocol_breaks(
    without: Removal, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    assert any(tell(seed).broken for seed in range(_MOST)), f"{_MOST} stories, and nobody noticed"
