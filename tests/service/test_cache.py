"""Which executions a node keeps in memory."""

from __future__ import annotations

from tests.store import records as make

from tramontane.core.memory import ExecutionState
from tramontane.service.cache import Slot, Slots, Submission


def test_a_slot_that_is_just_made_is_kept_however_busy_the_others_are() -> None:
    slots = Slots(1)
    busy = slots.get("busy")
    busy.pending.append(Submission(()))
    new = slots.get("new")
    assert slots.get("new") is new
    assert slots.get("busy") is busy


def test_the_longest_unused_slot_makes_room_for_a_new_one() -> None:
    slots = Slots(2)
    first, second = slots.get("first"), slots.get("second")
    assert slots.get("first") is first
    slots.get("third")
    assert (len(slots), slots.find("first"), slots.find("second")) == (2, first, None)
    assert slots.get("second") is not second


def holding(slots: Slots, execution_id: str, tasks: int) -> Slot:
    """A slot whose state holds so many tasks."""
    slot = slots.get(execution_id)
    execution = make.execution(execution_id)
    slot.state = ExecutionState.from_records(
        execution, [make.task(execution, f"{execution_id}-{n}", n) for n in range(tasks)]
    )
    slots.weigh(slot)
    return slot


def test_slots_that_hold_too_many_records_make_room_the_longest_unused_first() -> None:
    slots = Slots(100, records=10)
    small, _, large = holding(slots, "small", 3), holding(slots, "other", 3), holding(slots, "large", 5)
    assert (slots.find("small"), slots.find("large"), slots.records) == (None, large, 8)
    holding(slots, "larger", 50)
    assert (len(slots), slots.records) == (1, 50)
    assert small.weight == 0


def test_a_slot_that_shrinks_or_goes_gives_its_records_back() -> None:
    slots = Slots(100, records=10)
    slot = holding(slots, "e", 8)
    slot.forget()
    slots.weigh(slot)
    assert slots.records == 0
    slots.discard(holding(slots, "e", 8))
    assert (len(slots), slots.records) == (0, 0)
