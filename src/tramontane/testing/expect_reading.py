"""Reading expectations: how a case must end."""

from __future__ import annotations

from typing import Any, Final

from tramontane.lang.yaml_loader import Map, Seq
from tramontane.states import SUCCESS
from tramontane.testing.cases import UNASKED, Elapsed, Expectation, TaskExpectation, TaskName
from tramontane.testing.definitions import Definitions
from tramontane.testing.durations import EXPECTED, seconds_of
from tramontane.testing.mock_reading import task_name
from tramontane.testing.places import Place
from tramontane.testing.step_reading import STATES
from tramontane.values import EMPTY, FrozenDict, freeze

_KEYS: Final = (
    "state",
    "state-info",
    "refused",
    "output",
    "output-contains",
    "published",
    "tasks",
    "calls",
    "elapsed",
)
_TASK_KEYS: Final = ("exactly", "include", "exclude", "order", "states", "runs")
_LIST_OF_TASKS: Final = "a list of names of tasks"


def read_expectation(place: Place, definitions: Definitions, workflow: str) -> Expectation:
    """Read an ``expect`` section; ``workflow`` is the one under test ("" while unknown)."""
    if not place.is_map("a map, such as 'state: SUCCESS'"):
        return Expectation()
    place.allow(_KEYS, "expectation")
    names = _Names(definitions, workflow)
    state, refused, info = place.get("state"), place.get("refused"), place.get("state-info")
    output, some, elapsed = place.get("output"), place.get("output-contains"), place.get("elapsed")
    others = [key for key in place.value if key != "refused"]
    if refused is not None and others:
        place.at(others[0]).error("a start that is refused has nothing else to expect", of_key=True)
    return Expectation(
        state=SUCCESS if state is None else state.one_of(STATES, f"one of {', '.join(STATES)}"),
        refused=None if refused is None else refused.text("a part of the message"),
        state_info=() if info is None else tuple(info.texts("a part of the text, or a list of parts")),
        output=UNASKED if output is None else freeze(output.value),
        output_contains=some.frozen() if some is not None and some.is_map() else EMPTY,
        published=_published(place.get("published"), names),
        tasks=_tasks(place.get("tasks"), names),
        calls=_calls(place.get("calls")),
        elapsed=None if elapsed is None else _elapsed(elapsed),
    )


class _Names:
    """Reads names of tasks; those without a workflow must be of the one under test."""

    def __init__(self, definitions: Definitions, workflow: str) -> None:
        self._definitions = definitions
        self._workflow = workflow
        spec = definitions.workflows.get(workflow)
        self._own = () if spec is None else tuple(spec.tasks)

    def read(self, place: Place, name: str) -> TaskName:
        if not name or "/" in name or not self._workflow:
            return task_name(place, name, self._definitions) if name else (None, "")
        if name not in self._own:
            hint = place.findings.nearest(name, self._own)
            place.error(f"the workflow '{self._workflow}' has no task '{name}'{hint}", of_key=True)
        return self._workflow, name

    def listed(self, place: Place | None) -> tuple[TaskName, ...]:
        if place is None:
            return ()
        return tuple(self.read(each, each.text("a task's name")) for each in place.items(_LIST_OF_TASKS))

    def mapped(self, place: Place | None, expected: str) -> list[tuple[TaskName, Place]]:
        if place is None or not place.is_map(expected):
            return []
        return [(self.read(each, name), each) for name, each in place.entries()]


def _published(place: Place | None, names: _Names) -> dict[TaskName, FrozenDict]:
    found = names.mapped(place, "a map of variables by task")
    return {name: each.frozen() for name, each in found if each.is_map("a map of variables")}


def _tasks(place: Place | None, names: _Names) -> TaskExpectation:
    if place is None:
        return TaskExpectation()
    if isinstance(place.value, Seq):
        return TaskExpectation(exactly=names.listed(place))
    if not place.is_map(f"{_LIST_OF_TASKS}, or a map with {', '.join(_TASK_KEYS)}"):
        return TaskExpectation()
    place.allow(_TASK_KEYS, "expectation about tasks")
    exactly = place.get("exactly")
    states = names.mapped(place.get("states"), "a map of states by task")
    return TaskExpectation(
        exactly=None if exactly is None else names.listed(exactly),
        include=names.listed(place.get("include")),
        exclude=names.listed(place.get("exclude")),
        order=names.listed(place.get("order")),
        states={name: each.one_of(STATES, f"one of {', '.join(STATES)}") for name, each in states},
        runs={
            name: each.count() for name, each in names.mapped(place.get("runs"), "a map of numbers by task")
        },
    )


def _calls(place: Place | None) -> dict[str, int | tuple[Any, ...]]:
    if place is None or not place.is_map("a map of calls by action"):
        return {}
    found: dict[str, int | tuple[Any, ...]] = {}
    for name, each in place.entries():
        if isinstance(each.value, Seq):
            inputs = each.items("")
            for one in inputs:
                one.is_map("a map: what the action is called with")
            found[name] = tuple(freeze(one.value) for one in inputs)
        elif isinstance(each.value, int) and not isinstance(each.value, bool):
            found[name] = each.count()
        else:
            each.wrong("a number of calls, or a list of what they are called with")
    return found


def _elapsed(place: Place) -> Elapsed | None:
    if not isinstance(place.value, Map):
        seconds = _seconds(place)
        return Elapsed(seconds, seconds)
    place.allow(("at-least", "at-most"), "attribute of 'elapsed'")
    least, most = place.get("at-least"), place.get("at-most")
    return Elapsed(
        0.0 if least is None else _seconds(least), float("inf") if most is None else _seconds(most)
    )


def _seconds(place: Place) -> float:
    seconds = seconds_of(place.value)
    if seconds is None:
        place.wrong(EXPECTED)
    return seconds or 0.0
