"""The group commit: turns gather while the one before is under way, and are written together.

A *unit* is what wins or loses together: one turn, or the turns of a bundle. It enters encoded, with its
big values written if they are kept outside of the database. Batches are bounded in turns, rows and
bytes; what can't be stored fails alone (:mod:`tramontane.store.commit`). While the database is out of
reach units are handed back as unwritten: whoever holds the events decides whether to wait. After a
COMMIT whose outcome is unknown the heads are asked what happened, and nobody gets an answer before they
have told.

Called by :mod:`tramontane.service.turn` only. It knows nothing of events or effects.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tramontane.errors import UnavailableError
from tramontane.service.ports import ExecutionStore
from tramontane.store.commit import CommitOutcome
from tramontane.store.errors import DatabaseUnavailableError, OutcomeUnknownError
from tramontane.store.records import TurnWrite

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Won:
    """The unit is durable."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another node was faster (or a sibling of the bundle lost): reload and decide again.

    ``in_doubt``: the unit may have been written before the other one wrote. Its ids may be in use, and
    its jobs claimed.
    """

    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The database didn't take the batch; nothing was written, the same may be tried later."""

    error: UnavailableError


@dataclass(frozen=True, slots=True)
class Refused:
    """Something in the unit can't be stored."""

    reason: str


Verdict = Won | Lost | Unwritten | Refused


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of one transaction, and of what may wait for the next ones."""

    turns: int = 500
    rows: int = 10_000
    bytes: int = 16 * 2**20
    waiting: int = 20_000


@dataclass(slots=True)
class CommitStatistics:
    """Counters for metrics; they only ever grow."""

    batches: int = 0
    turns: int = 0
    lost: int = 0
    refused: int = 0
    unknown: int = 0
    unreachable: int = 0


@dataclass(slots=True, eq=False)
class _Unit:
    turns: Sequence[TurnWrite]
    rows: int
    size: int
    verdict: asyncio.Future[Verdict]


@dataclass(slots=True)
class _Queue:
    units: deque[_Unit] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)


class Committer:
    """Writes units in groups, one transaction at a time."""

    def __init__(self, store: ExecutionStore, node_id: str, limits: BatchLimits = BatchLimits()) -> None:
        self._store = store
        self._node_id = node_id
        self._limits = limits
        self._queue = _Queue()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False
        self._away: UnavailableError | None = None  # what is known of a database that can't be asked
        self.statistics = CommitStatistics()

    def hand_to(self, node_id: str) -> None:
        """Make what is committed from now on another node's: this one ends."""
        self._node_id = node_id

    @property
    def waiting(self) -> int:
        """How many units have not been taken into a batch yet."""
        return len(self._queue.units)

    @property
    def is_full(self) -> bool:
        return len(self._queue.units) >= self._limits.waiting

    async def start(self) -> None:
        self._stopping = False
        self._loop = asyncio.create_task(self._run(), name="committer")

    async def stop(self) -> None:
        """Write what is queued, then end."""
        self._stopping = True
        self._queue.filled.set()
        if self._loop is not None:
            await self._loop
            self._loop = None

    async def commit(self, turns: Sequence[TurnWrite]) -> Verdict:
        """Queue a unit and wait for its fate.

        Raises:
            UnavailableError: the committer is stopped; nothing was queued.
        """
        if self._stopping or self._loop is None:
            raise UnavailableError("The node is shutting down.")
        if self._away is not None:
            return Unwritten(self._away)
        try:
            size = await self._store.prepare(turns)
        except DatabaseUnavailableError as error:
            self.statistics.unreachable += 1
            log.warning("big values not written turns=%d error=%s", len(turns), error)
            return Unwritten(error)
        if self._stopping:
            raise UnavailableError("The node is shutting down.")
        rows = sum(_rows(turn) for turn in turns)
        unit = _Unit(turns, rows, size, asyncio.get_running_loop().create_future())
        self._queue.units.append(unit)
        self._queue.filled.set()
        return await unit.verdict

    # -- the loop ---------------------------------------------------------------------------

    async def _run(self) -> None:
        queue = self._queue
        while True:
            if not queue.units:
                if self._stopping:
                    return
                queue.filled.clear()
                await queue.filled.wait()
                continue
            await self._write(self._next_batch())

    def _next_batch(self) -> list[_Unit]:
        """Take units up to the limits; a unit beyond them on its own goes alone."""
        limits, units = self._limits, self._queue.units
        batch = [units.popleft()]
        turns, rows, size = len(batch[0].turns), batch[0].rows, batch[0].size
        while units:
            unit = units[0]
            turns, rows, size = turns + len(unit.turns), rows + unit.rows, size + unit.size
            if turns > limits.turns or rows > limits.rows or size > limits.bytes:
                break
            batch.append(units.popleft())
        return batch

    async def _write(self, batch: list[_Unit]) -> None:
        """Write a batch and give every unit its verdict, whatever happens."""
        turns = [turn for unit in batch for turn in unit.turns]
        try:
            outcomes = await self._store.commit(turns, self._node_id)
        except OutcomeUnknownError as error:
            self.statistics.unknown += 1
            log.warning("outcome of a commit unknown turns=%d error=%s", len(turns), error)
            await self._find_out(batch, error.token)
        except DatabaseUnavailableError as error:
            self.statistics.unreachable += 1
            log.warning("batch not committed turns=%d error=%s", len(turns), error)
            _settle(batch, Unwritten(error))
        except Exception as error:
            log.error("batch not committed turns=%d", len(turns), exc_info=error)
            _settle(batch, Refused(f"{type(error).__name__}: {error}"))
        except BaseException as error:
            _settle(batch, Unwritten(UnavailableError("The node is shutting down.")))
            raise error
        else:
            self.statistics.batches += 1
            self.statistics.turns += len(turns)
            self._hand_out(batch, outcomes)

    def _hand_out(self, batch: list[_Unit], outcomes: Sequence[CommitOutcome]) -> None:
        position = 0
        for unit in batch:
            own = outcomes[position : position + len(unit.turns)]
            position += len(unit.turns)
            _settle([unit], self._verdict(own))

    def _verdict(self, outcomes: Sequence[CommitOutcome]) -> Verdict:
        for outcome in outcomes:
            if outcome.status == "failed":
                self.statistics.refused += 1
                return Refused(outcome.reason or "it can't be stored")
        if all(outcome.status == "committed" for outcome in outcomes):
            return Won()
        self.statistics.lost += 1
        return Lost()

    async def _find_out(self, batch: list[_Unit], token: int) -> None:
        """Ask the heads whether the commit has happened, as long as it takes to get an answer.

        Others needn't wait for that: while there is no answer, nothing can be written.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                written = await self._store.committed([unit.turns[0].execution.id for unit in batch], token)
                break
            except DatabaseUnavailableError as error:
                if self._stopping:
                    _settle(batch, Unwritten(error))
                    return
                self._away = error
                _settle(self._queue.units, Unwritten(error))
                self._queue.units.clear()
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
        self._away = None
        for unit in batch:
            _settle([unit], Won() if unit.turns[0].execution.id in written else Lost(in_doubt=True))


def _settle(batch: Iterable[_Unit], verdict: Verdict) -> None:
    for unit in batch:
        if not unit.verdict.done():
            unit.verdict.set_result(verdict)


def _rows(turn: TurnWrite) -> int:
    return (
        1
        + len(turn.tasks)
        + len(turn.actions)
        + len(turn.subworkflows)
        + len(turn.past_runs)
        + len(turn.children)
        + len(turn.inbox)
        + len(turn.timers)
        + len(turn.jobs)
    )
