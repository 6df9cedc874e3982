"""Which executions a node keeps in memory."""

from __future__ import annotations

from tramontane.service.cache import Slots, Submission


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
