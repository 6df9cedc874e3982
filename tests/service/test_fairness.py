"""Fair places: nobody waits longer than his share of the line asks for."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tramontane.service.fairness import STEP, FairLine


@dataclass
class Queue:
    """A line as the database has it: the lowest place is served first."""

    line: FairLine = field(default_factory=FairLine)
    waiting: list[tuple[int, int, str, str]] = field(default_factory=list)
    count: int = 0

    def join(self, flow: str, jobs: int = 1, group: str = "p") -> None:
        for _ in range(jobs):
            self.count += 1
            heapq.heappush(self.waiting, (self.line.join(group, flow), self.count, group, flow))

    def serve(self, jobs: int = 1) -> list[str]:
        served = []
        for _ in range(min(jobs, len(self.waiting))):
            place, _, _, flow = heapq.heappop(self.waiting)
            self.line.serve(place)
            served.append(flow)
        return served


def test_a_newcomer_goes_before_the_tail_of_a_giant() -> None:
    queue = Queue()
    queue.join("giant", 100_000)
    queue.serve(5_000)
    queue.join("small")
    assert "small" in queue.serve(2)


def test_two_giants_share_from_the_moment_when_the_second_comes() -> None:
    queue = Queue()
    queue.join("first", 10_000, group="p")
    queue.serve(3_000)
    queue.join("second", 10_000, group="q")
    served = queue.serve(1_000)
    assert 499 <= served.count("second") <= 501, "what the first had while it was alone isn't held against it"


def test_a_second_giant_of_a_project_gets_no_less_than_a_third() -> None:
    """What the first queued while it was alone in its project stands closer together."""
    queue = Queue()
    queue.join("first", 10_000)
    queue.join("second", 10_000)
    assert queue.serve(999).count("second") >= 333


def test_a_project_with_a_thousand_executions_does_not_starve_one_with_one() -> None:
    """A thousand times its share would leave one job in a thousand to the other."""
    queue = Queue()
    for number in range(1_000):
        queue.join(f"busy{number}", 10, group="busy")
    queue.join("quiet", 500, group="quiet")
    served = queue.serve(1_000)
    assert served.count("quiet") >= 200


def test_executions_of_a_busy_project_share_among_themselves() -> None:
    queue = Queue()
    for number in range(5):
        queue.join(f"e{number}", 1_000, group="busy")
    queue.serve(2_000)
    queue.join("late", 1, group="busy")
    assert "late" in queue.serve(20)


def test_those_who_come_at_the_same_time_are_served_in_their_order() -> None:
    queue = Queue()
    for number in range(100):
        queue.join(f"e{number}", group=f"p{number}")
    assert queue.serve(100) == [f"e{number}" for number in range(100)]


def test_a_line_that_became_empty_begins_anew() -> None:
    line = FairLine(10)
    for _ in range(100):
        line.join("p", "giant")
    line.clear(50)
    assert line.is_empty
    assert line.join("p", "giant") <= 50 + STEP, "what it had before is over"


flows = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("pqr"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(flows, st.integers(0, 40), st.integers(0, 15)), max_size=60), st.integers(0, 400))
def test_nobody_waits_longer_than_his_share_asks_for(
    steps: list[tuple[tuple[str, str], int, int]], served_before: int
) -> None:
    """Whatever has happened: a newcomer of a project with nothing in the line waits for one round."""
    queue = Queue()
    queue.join("giant", 500, group="giants")
    queue.serve(served_before)
    for (flow, group), joining, serving in steps:
        queue.join(flow + group, joining, group=group)
        queue.serve(serving)
    groups = {group for _, _, group, _ in queue.waiting}
    flows_waiting = {flow for _, _, _, flow in queue.waiting}
    queue.join("new", group="newcomers")
    before = 0
    while queue.serve(1) != ["new"]:
        before += 1
    assert before <= len(flows_waiting) + len(groups) + 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(20, 60), st.integers(1, 5))
def test_flows_that_always_have_something_waiting_are_served_alike(
    flows: int, rounds: int, batch: int
) -> None:
    queue = Queue()
    for number in range(flows):
        queue.join(f"e{number}", rounds * batch * 2, group=f"p{number}")
    served = queue.serve(rounds * batch)
    shares = [served.count(f"e{number}") for number in range(flows)]
    assert max(shares) - min(shares) <= flows + 1, shares


def test_what_is_remembered_of_a_line_goes_with_what_was_served() -> None:
    line = FairLine()
    for number in range(10_000):
        line.serve(line.join("p", f"e{number}"))
    assert line.remembered < 10
