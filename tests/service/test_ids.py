"""Ids: UUIDs in form that sort in the order in which they were made."""

from __future__ import annotations

import random
import uuid

from hypothesis import given
from hypothesis import strategies as st

from tramontane.clock import ManualClock
from tramontane.service.ids import SortableIds


@given(st.lists(st.floats(-5, 5), max_size=200), st.integers(0, 2**32))
def test_ids_sort_in_the_order_of_their_making_whatever_the_clock_does(steps: list[float], seed: int) -> None:
    clock = ManualClock()
    new_id = SortableIds(clock, random.Random(seed))
    made = [new_id()]
    for step in steps:
        clock.advance(step)
        made.append(new_id())
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(uuid.UUID(each).version == 7 and str(uuid.UUID(each)) == each for each in made)


def test_two_nodes_don_t_make_the_same_ids_in_the_same_moment() -> None:
    clock = ManualClock()
    one, two = SortableIds(clock), SortableIds(clock)
    assert not {one() for _ in range(1000)} & {two() for _ in range(1000)}
