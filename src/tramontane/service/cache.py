"""Slots: what a node keeps in memory of the executions that it runs.

A slot holds the execution's state as of the last commit that this node knows of, the events that
wait for it, and the lock that keeps its turns apart. Slots with nothing to do are forgotten, the
longest unused ones first, when there are too many of them or when they hold too many records;
whatever they held can be loaded again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from tramontane.core.events import AnyEvent
from tramontane.core.memory import ExecutionState
from tramontane.core.state import Execution

_SEEN_ROWS = 10_000
_LOOKS = 4

Guard = Callable[[Execution], None]
"""Looks at an execution as the turn finds it and raises when a request isn't possible."""


@dataclass(slots=True, eq=False)
class Submission:
    """Events on their way into a turn: one, or a few that stand or fall with the first.

    ``guard`` may refuse them. ``answer`` gets the execution as it is after the commit that holds
    them, or the reason why there is none. ``row_id`` names the inbox row behind it. A *durable*
    submission must not be dropped for reasons that pass: nobody else would bring the event again soon.
    """

    events: tuple[AnyEvent, ...]
    answer: asyncio.Future[Execution] | None = None
    guard: Guard | None = None
    row_id: str | None = None
    durable: bool = False
    failures: int = 0

    @property
    def is_abandoned(self) -> bool:
        """Its caller went away before anything was done about it."""
        return not self.durable and self.answer is not None and self.answer.done()

    def succeed(self, execution: Execution) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(execution)

    def fail(self, error: BaseException) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


class Slot:
    """One execution in memory. ``async with slot`` keeps its turns apart."""

    __slots__ = (
        "_lock",
        "_seen",
        "_users",
        "conflicts",
        "failures",
        "format",
        "id",
        "parked",
        "pending",
        "runner",
        "stale",
        "state",
        "takeovers",
        "version",
        "was_missed",
        "weight",
    )

    def __init__(self, execution_id: str) -> None:
        self.id = execution_id
        self.state: ExecutionState | None = None
        self.version = 0
        self.format = 1
        self.takeovers = 0  # since the last commit
        self.weight = 0  # records that the node's count of them holds of this slot
        self.stale = False  # rows were written that the cached state knows nothing of
        self.was_missed = False  # inbox rows were found while a turn was under way
        self.parked: str | None = None
        self.pending: deque[Submission] = deque()
        self.runner: asyncio.Task[None] | None = None
        self.conflicts = 0  # races lost in a row
        self.failures = 0  # turns in a row that something unforeseen ended
        self._lock = asyncio.Lock()
        self._users = 0  # holding the lock or waiting for it
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def __aenter__(self) -> None:
        self._users += 1
        try:
            await self._lock.acquire()
        except BaseException:
            self._users -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        self._lock.release()

    @property
    def is_idle(self) -> bool:
        return not self.pending and self.runner is None and not self._users

    def forget(self) -> None:
        """Drop the cached state: the next turn loads it."""
        self.state = None
        self.version = 0

    def has_seen(self, row_id: str) -> bool:
        """Tell whether this inbox row was used up by a turn that the slot remembers."""
        return row_id in self._seen

    def saw(self, row_id: str) -> None:
        self._seen[row_id] = None
        if len(self._seen) > _SEEN_ROWS:
            self._seen.popitem(last=False)


class Slots:
    """The slots of a node, the most recently used last."""

    def __init__(self, capacity: int, records: int = 2**62) -> None:
        """``capacity``: of slots; ``records``: that their states hold together."""
        self._capacity = capacity
        self._limit = records
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self.records = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._slots

    def get(self, execution_id: str) -> Slot:
        """Find or make the slot of an execution."""
        slot = self._slots.get(execution_id)
        if slot is None:
            slot = self._slots[execution_id] = Slot(execution_id)
            self._make_room(slot)
        else:
            self._slots.move_to_end(execution_id)
        return slot

    def find(self, execution_id: str) -> Slot | None:
        return self._slots.get(execution_id)

    def discard(self, slot: Slot) -> None:
        """Forget a slot that has nothing to do."""
        if slot.is_idle and self._slots.get(slot.id) is slot:
            self._drop(slot)

    def weigh(self, slot: Slot) -> None:
        """Count the records that a slot holds now, and make room for them."""
        if self._slots.get(slot.id) is not slot:
            return
        weight = 0 if slot.state is None else slot.state.size
        self.records += weight - slot.weight
        slot.weight = weight
        self._make_room(slot)

    def _drop(self, slot: Slot) -> None:
        del self._slots[slot.id]
        self.records -= slot.weight
        slot.weight = 0

    def busy(self) -> list[Slot]:
        return [slot for slot in self._slots.values() if not slot.is_idle]

    def _make_room(self, new: Slot) -> None:
        """Forget the longest unused slot; a busy one counts as used. Looks at a few only."""
        for _ in range(_LOOKS):
            if len(self._slots) <= self._capacity and self.records <= self._limit:
                return
            execution_id, oldest = next(iter(self._slots.items()))
            if oldest.is_idle and oldest is not new:
                self._drop(oldest)
            else:
                self._slots.move_to_end(execution_id)
