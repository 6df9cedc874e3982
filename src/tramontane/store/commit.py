"""The group commit: many turns in ONE transaction, each written whole or not at all.

Heads are locked in the order of their ids and their versions compared (:mod:`tramontane.store.batch`);
who lost the race is left out with its whole bundle, everybody else is written with multi-row
statements. A batch that the database refuses is halved until the culprit is alone; all parts bear
the token of the whole.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tramontane.store.batch import NOTHING, Batch, EncodedTurn, encode_turn, new_token
from tramontane.store.codec import Row
from tramontane.store.database import Database
from tramontane.store.errors import (
    ConsumedError,
    ContentionError,
    DatabaseUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TakenError,
)
from tramontane.store.packing import Found, Key
from tramontane.store.records import TurnWrite
from tramontane.store.statements import Statement

_TRIES = 5


@dataclass(frozen=True, slots=True)
class CommitOutcome:
    """What became of a turn.

    ``committed``: durable; ``version`` is the head's now.
    ``lost``: the execution is newer, gone, locked by somebody else or (read version 0) exists
    already, or an inbox row that the turn uses up is gone; nothing of the turn was written, reload
    and run it again.
    ``failed``: it can't be stored, now or later; ``reason`` says why.
    """

    status: Literal["committed", "lost", "failed"]
    version: int = 0
    reason: str | None = None

    @property
    def is_committed(self) -> bool:
        return self.status == "committed"


LOST = CommitOutcome("lost")

Group = list[EncodedTurn]
Outcomes = dict[str, CommitOutcome]


async def commit(database: Database, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
    """Write turns of different executions; outcomes come in the order of ``turns``.

    ``node_id`` becomes the affinity of every execution that isn't completed.

    Raises:
        DatabaseUnavailableError: nothing was written.
        OutcomeUnknownError: any of the turns may have been written;
            :func:`tramontane.store.executions.committed` tells by the error's token.
    """
    outcomes: Outcomes = {}
    groups = _encode(turns, outcomes, database)
    if groups:
        await _Writing(database, node_id, outcomes).write(groups)
    return [outcomes[turn.execution.id] for turn in turns]


async def prepare(database: Database, turns: Sequence[TurnWrite]) -> int:
    """Encode turns and write their big values outside, if that is where they are kept.

    Gives about how many bytes the commit of these turns will write. What has no stored form is left to
    :func:`commit`, which says so.

    Raises:
        ValueStoreUnavailableError, DatabaseUnavailableError: nothing was written that counts.
    """
    size = 0
    for turn in turns:
        try:
            turn.encoded = _encoded(turn, database)
        except (TypeError, ValueError, RecursionError):
            continue
        size += turn.encoded.size
        await database.big_values.place(turn.encoded.found)
    return size


async def write_rows(
    database: Database, rows: Sequence[tuple[Statement, Row]], found: Mapping[Key, Found] = NOTHING
) -> None:
    """Write rows that belong to no turn, in one transaction; ``found``: the big values they refer to.

    Raises:
        DatabaseUnavailableError, OutcomeUnknownError: as :func:`commit`
        ValueError: the database refuses the data.
    """
    await database.big_values.place(found)
    try:
        await _write_batch(database, Batch((), rows=rows, found=found))
    except RefusedError as error:
        raise ValueError(f"this can't be stored: {error}") from error
    except OutcomeUnknownError:
        database.big_values.doubted(found)
        raise
    database.big_values.committed(found)


def _encoded(turn: TurnWrite, database: Database) -> EncodedTurn:
    return encode_turn(turn, database.big_values.memory, database.formats.written)


def _encode(turns: Sequence[TurnWrite], outcomes: Outcomes, database: Database) -> list[Group]:
    """Make rows; a bundle becomes one group, which is never split and fails as a whole."""
    groups: dict[tuple[str, str], Group] = {}
    broken: dict[tuple[str, str], str] = {}
    for turn in turns:
        try:
            encoded = turn.encoded or _encoded(turn, database)
            groups.setdefault(_group_of(turn), []).append(encoded)
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


class _Writing:
    """One call of :func:`commit`: its parts share a token."""

    def __init__(self, database: Database, node_id: str | None, outcomes: Outcomes) -> None:
        self._database = database
        self._node_id = node_id
        self._outcomes = outcomes
        self._token = new_token()
        self._has_written = False

    async def write(self, groups: list[Group]) -> None:
        turns = [turn for group in groups for turn in group]
        try:
            lost = await _write_batch(self._database, Batch(turns, self._node_id, self._token))
        except RefusedError as error:
            if len(groups) > 1:
                middle = len(groups) // 2
                await self.write(groups[:middle])
                await self.write(groups[middle:])
            else:
                self._give_up(turns, error)
        except OutcomeUnknownError:
            self._database.big_values.doubted(key for turn in turns for key in turn.found)
            raise
        except DatabaseUnavailableError as error:
            if self._has_written:
                raise OutcomeUnknownError(error.message, self._token) from error
            raise
        else:
            self._has_written = True
            for turn in turns:
                head = turn.head
                won = head.id not in lost
                if won and turn.found:
                    self._database.big_values.committed(turn.found)
                self._outcomes[head.id] = CommitOutcome("committed", head.version + 1) if won else LOST

    def _give_up(self, turns: list[EncodedTurn], error: RefusedError) -> None:
        """A row that the turn wanted to use up is gone: it has lost; anything else can't be stored."""
        if isinstance(error, ConsumedError):
            self._outcomes.update((turn.head.id, LOST) for turn in turns)
            return
        reason = _refusal([turn.head.id for turn in turns], error)
        for turn in turns:
            self._outcomes[turn.head.id] = CommitOutcome("failed", reason=reason)


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
