"""Tasks that can't run and joins that can't be met; and that what is said of them is true."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lang.lab import document
from tests.lang.test_reading import warnings

from tramontane.actions.registry import Registry
from tramontane.errors import DefinitionError
from tramontane.lang import parse_workflows
from tramontane.lang.flow import Order
from tramontane.rehearsal import FakeAction, World, fails, gives
from tramontane.values import encode


def of_tasks(*tasks: str) -> list[str]:
    return warnings("wf:\n  tasks:\n" + "".join(f"    {task}\n" for task in tasks))


@pytest.mark.parametrize("command", ["fail", "succeed", "fail(msg='x')"])
def test_a_task_behind_an_ending_command_never_runs(command: str) -> None:
    [found] = of_tasks(f'a: {{on-success: ["{command}", b]}}', "b: {description: x}")
    assert found.startswith("wf.tasks.b: 'b' never runs")


def test_a_task_before_an_ending_command_or_behind_a_conditional_one_may_run() -> None:
    assert of_tasks("a: {on-success: [b, fail]}", "b: {description: x}") == []
    assert of_tasks("a: {on-success: [{fail: <% 1 %>}, b]}", "b: {description: x}") == []
    assert of_tasks("a: {on-success: [pause, noop, b]}", "b: {description: x}") == []
    assert of_tasks("a: {on-success: fail, on-complete: b}", "b: {description: x}") == []


def test_what_no_start_leads_to_is_told_once() -> None:
    [found] = of_tasks("a: {description: x}", "b: {on-success: c}", "c: {on-success: b}")
    assert "no route from a start task leads to 'b', 'c'" in found


EXCLUSIVE = (
    "this join can't be met: it waits for tasks of which some follow the success of 's' and others its error"
)


@pytest.mark.parametrize(
    "tasks",
    [
        "s: {on-success: a, on-error: b}; a: {on-success: j}; b: {on-success: j}; j: {join: all}",
        "s: {on-success: j, on-error: b}; b: {on-complete: j}; j: {join: all}",
        "s: {on-success: a, on-error: b}; a: {on-success: c}; c: {on-complete: j}; "
        "b: {on-success: j}; j: {join: 2}",
        "s: {on-success: [a, c], on-error: b}; a: {on-success: j}; b: {on-success: j}; c: {on-success: j}; "
        "j: {join: all}",
    ],
)
def test_a_join_over_success_and_error_of_one_task_can_not_be_met(tasks: str) -> None:
    [found] = of_tasks(*tasks.split("; "))
    assert found.startswith("wf.tasks.j.join: " + EXCLUSIVE)


@pytest.mark.parametrize(
    "tasks",
    [
        "s: {on-success: a, on-error: b}; a: {on-success: j}; b: {on-success: j}; j: {join: one}",
        "s: {on-success: a, on-complete: b}; a: {on-success: j}; b: {on-success: j}; j: {join: all}",
        "s: {on-success: [a, b]}; a: {on-error: j}; b: {on-success: j}; j: {join: all}",
        # Two arrivals at 's' are two runs of it, of which one may fail.
        "x: {on-success: s}; y: {on-success: s}; s: {on-success: a, on-error: b}; a: {on-success: j}; "
        "b: {on-success: j}; j: {join: all}",
        # In a cycle, too.
        "x: {on-success: s}; s: {on-success: a, on-error: b}; a: {on-success: [j, s]}; b: {on-success: j}; "
        "j: {join: all}",
        # A failed join goes on with on-error although some routes were lost.
        "s: {on-success: a, on-error: b}; a: {on-success: j}; c: {on-success: j}; "
        "j: {join: all, on-error: k}; b: {on-success: k}; k: {join: all}",
        # 'b' has another way in.
        "s: {on-success: a, on-error: b}; t: {on-success: b}; a: {on-success: j}; b: {on-success: j}; "
        "j: {join: all}",
    ],
)
def test_other_joins_may_be_met(tasks: str) -> None:
    assert of_tasks(*tasks.split("; ")) == []


def test_a_join_that_waits_for_what_never_comes_can_not_be_met() -> None:
    found = of_tasks("a: {on-success: j}", "b: {on-success: [c, j]}", "c: {on-success: b}", "j: {join: all}")
    assert (
        "wf.tasks.j.join: this join can't be met: it waits for 'b', from where it is never reached" in found
    )
    found = of_tasks("a: {on-success: j}", "b: {on-success: [fail, j]}", "j: {join: 2}")
    assert found == [
        "wf.tasks.j.join: this join can't be met: it waits for 'b', from where it is never reached"
    ]
    assert of_tasks("a: {on-success: j}", "b: {on-success: [fail, j]}", "j: {join: one}") == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_what_comes_after_what_is_the_transitive_closure(edges: list[tuple[int, int]]) -> None:
    followers: dict[str, list[str]] = {str(number): [] for number in range(10)}
    for source, target in edges:
        followers[str(source)].append(str(target))
    order = Order(followers)
    for start in followers:
        seen: set[str] = set()
        front = [start]
        while front:
            new = [other for other in followers[front.pop()] if other not in seen]
            seen.update(new)
            front += new
        assert {name for name in followers if order.after[start] & order.bits[name]} == seen


def test_thousands_of_tasks_are_no_burden() -> None:
    tasks = [f"t{number}: {{on-success: t{number + 1}, on-error: h}}" for number in range(3000)]
    assert of_tasks(*tasks, "t3000: {description: x}", "h: {description: x}") == []


# What is said is true: no run does what was said to be impossible.

NAMES = ["a", "b", "c", "d", "e", "f"]
COMMANDS = ["fail", "succeed", "noop"]
CLAUSES = ("on-success", "on-error", "on-complete")
VARIABLES = ["u", "v", "w"]


@st.composite
def workflows(draw: st.DrawFn) -> dict[str, Any]:
    """A workflow of six tasks with transitions, joins, published variables and expressions that read them."""
    tasks: dict[str, Any] = {}
    for place, name in enumerate(NAMES):
        task: dict[str, Any] = {"action": "job"}
        onwards = [
            *NAMES[place + 1 :],
            *NAMES[place + 1 :],
            *COMMANDS,
            *(NAMES if draw(st.booleans()) else []),
        ]
        for clause in CLAUSES:
            targets = draw(st.lists(st.sampled_from(onwards), max_size=2, unique=True))
            if targets:
                task[clause] = targets
        if place and draw(st.booleans()):
            task["join"] = draw(st.sampled_from(["all", "all", "all", "one"]))
        if draw(st.booleans()):
            task["publish"] = {draw(st.sampled_from(VARIABLES)): 1}
            task["publish-on-error"] = {draw(st.sampled_from(VARIABLES)): 1}
        if draw(st.booleans()):
            task["input"] = {"x": f"<% $.{draw(st.sampled_from(VARIABLES))} %>"}
        tasks[name] = task
    return tasks


OUTCOMES = st.fixed_dictionaries(dict.fromkeys(NAMES, st.lists(st.booleans(), min_size=1, max_size=2)))


def run(text: str, outcomes: dict[str, list[bool]]) -> World:
    script = {name: [gives(1) if good else fails() for good in found] for name, found in outcomes.items()}
    world = World(text, script=script, registry=Registry(), fakes=[FakeAction("job")])
    world.start("wf")
    for _ in range(150):  # cycles may go on for ever
        if not world.step():
            break
    return world


@settings(max_examples=300, deadline=None)
@given(workflows(), OUTCOMES)
def test_no_run_contradicts_a_warning(tasks: dict[str, Any], outcomes: dict[str, list[bool]]) -> None:
    text = document("wf: " + encode({"tasks": tasks}))
    try:
        found = parse_workflows(text).warnings
    except DefinitionError:
        return
    [run_of_it] = run(text, outcomes).runs()
    acted = {name for name in run_of_it.names() for task in run_of_it.tasks(name) if run_of_it.actions(task)}
    for warning in found:
        parts = warning.path.split(".")
        name = parts[2]
        if "never runs" in warning.message:
            assert name not in run_of_it.names(), (warning, tasks)
        elif any(
            part in warning.message for part in ("can't be met", "defines the variable", "only published")
        ):
            assert name not in acted, (warning, tasks)
