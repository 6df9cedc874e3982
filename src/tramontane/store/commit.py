"""The group commit: many turns in ONE transaction, each written whole or not at all.

Heads are locked in the order of their ids and their versions compared (:mod:`tramontane.store.batch`);
who lost the race is left out with its whole bundle, everybody else is written with multi-row
statements. A batch that the database refuses is halved until the culprit is alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tramontane.store.batch import Batch, EncodedTurn, encode_turn
from tramontane.store.database import Database
from tramontane.store.errors import (
    ContentionError,
    DatabaseUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TakenError,
)
from tramontane.store.records import TurnWrite

_TRIES = 5

Status = Literal["committed", "lost", "failed", "unavailable", "unknown"]


@dataclass(frozen=True, slots=True)
class CommitOutcome:
    """What became of a turn.

    ``committed``: durable; ``version`` is the head's now.
    ``lost``: the execution is newer, gone, locked by somebody else or (read version 0) exists
    already; nothing was written, reload and run the turn again.
    ``failed``: it can't be stored, now or later; ``reason`` says why.
    ``unavailable``: the database can't be reached or is too busy; nothing was written.
    ``unknown``: the connection broke during COMMIT; ask ``executions.was_committed`` with ``token``.
    """

    status: Status
    version: int = 0
    reason: str | None = None
    token: int | None = None

    @property
    def is_committed(self) -> bool:
        return self.status == "committed"


LOST = CommitOutcome("lost")

Group = list[EncodedTurn]
Outcomes = dict[str, CommitOutcome]


async def commit(database: Database, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
    """Write turns of different executions; outcomes come in the order of ``turns``.

    ``node_id`` becomes the affinity of every execution that isn't completed. No error of the
    database is raised: each turn's outcome tells what happened to it.
    """
    outcomes: Outcomes = {}
    groups = _encode(turns, outcomes)
    if groups:
        await _write(database, groups, node_id, outcomes)
    return [outcomes[turn.execution.id] for turn in turns]


def _encode(turns: Sequence[TurnWrite], outcomes: Outcomes) -> list[Group]:
    """Make rows; a bundle becomes one group, which is never split and fails as a whole."""
    groups: dict[tuple[str, str], Group] = {}
    broken: dict[tuple[str, str], str] = {}
    for turn in turns:
        try:
            groups.setdefault(_group_of(turn), []).append(encode_turn(turn))
        except (TypeError, ValueError, RecursionError) as error:
            broken[_group_of(turn)] = _refusal([turn.execution.id], error)
    for turn in turns:
        reason = broken.get(_group_of(turn))
        if reason is not None:
            outcomes[turn.execution.id] = CommitOutcome("failed", reason=reason)
    return [group for key, group in groups.items() if key not in broken]


def _group_of(turn: TurnWrite) -> tuple[str, str]:
    return ("bundle", turn.bundle) if turn.bundle is not None else ("turn", turn.execution.id)


def _refusal(ids: Sequence[str], error: Exception) -> str:
    named = ", ".join(f"'{each}'" for each in ids)
    return f"data of execution {named} can't be stored: {error}"


async def _write(database: Database, groups: list[Group], node_id: str | None, outcomes: Outcomes) -> None:
    turns = [turn for group in groups for turn in group]
    batch = Batch(turns, node_id)
    try:
        lost = await _write_batch(database, batch)
    except RefusedError as error:
        if len(groups) > 1:
            middle = len(groups) // 2
            await _write(database, groups[:middle], node_id, outcomes)
            await _write(database, groups[middle:], node_id, outcomes)
            return
        reason = _refusal([turn.head.id for turn in turns], error)
        outcomes.update((turn.head.id, CommitOutcome("failed", reason=reason)) for turn in turns)
    except OutcomeUnknownError as error:
        outcome = CommitOutcome("unknown", reason=error.message, token=error.token)
        outcomes.update((turn.head.id, outcome) for turn in turns)
    except DatabaseUnavailableError as error:
        outcome = CommitOutcome("unavailable", reason=error.message)
        outcomes.update((turn.head.id, outcome) for turn in turns)
    else:
        for turn in turns:
            head = turn.head
            outcomes[head.id] = (
                LOST if head.id in lost else CommitOutcome("committed", head.version + 1, token=batch.token)
            )


async def _write_batch(database: Database, batch: Batch) -> frozenset[str]:
    """Write one batch; what failed only because others were in the way is tried again."""
    taken: frozenset[str] = frozenset()
    tries = 0
    while True:
        try:
            return await database.dialect.write(batch, taken)
        except TakenError as error:
            taken |= error.ids
        except ContentionError as error:
            tries += 1
            if tries == _TRIES:
                raise DatabaseUnavailableError(
                    f"the database is too busy ({error}); nothing was stored, try again"
                ) from error
            await asyncio.sleep(random.uniform(0, 0.02 * 2**tries))
