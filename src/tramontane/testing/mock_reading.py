"""Reading mocks: what stands in for tasks, actions and sub-workflows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tramontane.lang.yaml_loader import Map, Seq
from tramontane.rehearsal import Outcome
from tramontane.results import Result
from tramontane.testing.cases import ByInput, ByItem, InTurn, Mock, Mocks, TaskName
from tramontane.testing.definitions import Definitions, names_text
from tramontane.testing.durations import EXPECTED, seconds_of
from tramontane.testing.places import Place
from tramontane.values import EMPTY, FrozenDict, freeze

_SECTIONS: Final = ("tasks", "actions", "workflows")
_ENDS: Final = ("result", "error", "cancel", "never")
_OUTCOME_KEYS: Final = (*_ENDS, "after")
_EXPECTED_MOCK: Final = (
    "a mock: a map with 'result', 'error', 'cancel' or 'never', a list of such maps (one per run), "
    "or a map with 'items' or 'by-input'"
)
_NOTHING: Final = InTurn((Outcome(None),))


def read_mocks(place: Place | None, definitions: Definitions) -> Mocks:
    """Read a ``mock`` section."""
    if place is None or not place.is_map("a map with 'tasks', 'actions' or 'workflows'"):
        return Mocks()
    place.allow(_SECTIONS, "kind of mock")
    tasks: dict[TaskName, Mock] = {}
    for name, each in _section(place, "tasks"):
        tasks[task_name(each, name, definitions)] = _mock(each)
    actions: dict[str, Mock] = {}
    asynchronous = set()
    for name, each in _section(place, "actions"):
        flag = each.get("async")
        if flag is not None and flag.flag():
            asynchronous.add(name)
        actions[name] = _mock(each, more=("async",))
    workflows: dict[str, Mock] = {}
    for name, each in _section(place, "workflows"):
        workflows[definitions.workflow(name) or name] = _mock(each)
        _check_results(each)
    return Mocks(tasks, actions, workflows, frozenset(asynchronous))


def _section(place: Place, key: str) -> Iterable[tuple[str, Place]]:
    section = place.get(key)
    if section is None or not section.is_map("a map of mocks by name"):
        return ()
    return section.entries()


def task_name(place: Place, name: str, definitions: Definitions) -> TaskName:
    """Read ``task`` or ``workflow/task``; a name that no definition has is an error."""
    workflow, slash, task = name.rpartition("/")
    if not slash:
        if name not in definitions.task_names:
            hint = place.findings.nearest(name, definitions.task_names)
            place.error(f"no workflow of the definitions has a task '{name}'{hint}", of_key=True)
        return None, name
    found = definitions.workflow(workflow)
    if found is None:
        known = names_text(definitions.workflows)
        place.error(f"there is no workflow '{workflow}'; the definitions hold {known}", of_key=True)
    elif task not in definitions.workflows[found].tasks:
        hint = place.findings.nearest(task, definitions.workflows[found].tasks)
        place.error(f"the workflow '{workflow}' has no task '{task}'{hint}", of_key=True)
    return found, task


def _mock(place: Place, more: tuple[str, ...] = ()) -> Mock:
    if isinstance(place.value, Seq):
        outcomes = [read_outcome(each) for each in place.items("")]
        if not outcomes:
            place.wrong("at least one outcome")
        return InTurn(tuple(outcomes)) if outcomes else _NOTHING
    if not place.is_map(_EXPECTED_MOCK):
        return _NOTHING
    if (items := place.get("items")) is not None:
        place.allow(("items", *more), "attribute of a mock by item")
        return _by_item(items)
    if (choices := place.get("by-input")) is not None:
        place.allow(("by-input", *more), "attribute of a mock by input")
        return _by_input(choices)
    return InTurn((read_outcome(place, more),))


def _by_item(place: Place) -> Mock:
    mocks = tuple(_mock(each) for each in place.items("a list of mocks, one per item"))
    return ByItem(mocks) if mocks else _NOTHING


def _by_input(place: Place) -> Mock:
    choices: list[tuple[FrozenDict, Mock]] = []
    for each in place.items("a list of mocks, most of them with 'input'"):
        given = each.get("input")
        wanted = given.frozen() if given is not None and given.is_map() else EMPTY
        if (turns := each.get("in-turn")) is not None:
            each.allow(("input", "in-turn"), "attribute of a mock by input")
            choices.append((wanted, _mock(turns)))
        else:
            choices.append((wanted, _mock(each, more=("input",))))
    return ByInput(tuple(choices))


def read_outcome(place: Place, more: tuple[str, ...] = ()) -> Outcome:
    """Read how one run ends."""
    if not place.is_map("a map with 'result', 'error', 'cancel' or 'never'"):
        return Outcome(None)
    place.allow((*_OUTCOME_KEYS, *more), "attribute of a mock")
    ends = [key for key in _ENDS if place.get(key) is not None]
    if len(ends) != 1:
        found = " and ".join(f"'{key}'" for key in ends) or "none of them"
        place.error(f"found {found}, expected exactly one of {', '.join(_ENDS)}")
        return Outcome(None)
    seconds = 0.0
    if (after := place.get("after")) is not None:
        read = seconds_of(after.value)
        if read is None:
            after.wrong(EXPECTED)
        seconds = read or 0.0
    return Outcome(_result(place.at(ends[0]), ends[0]), seconds)


def _result(place: Place, end: str) -> Result | None:
    value: Any = freeze(place.value)
    match end:
        case "result":
            return Result(value)
        case "error":
            if value is None:
                place.wrong("what the error is: a text, or any other value but null")
            return Result(error=value)
        case "cancel":
            return Result(error=None if value is True else value, cancel=True)
        case _:
            if place.value is not True:
                place.wrong("true")
            return None


def _check_results(place: Place) -> None:
    """What a workflow gives is a map."""
    outcomes = place.items("") if isinstance(place.value, Seq) else [place]
    for each in outcomes:
        result = each.get("result")
        if result is not None and not isinstance(result.value, Map):
            result.wrong("a map: the output of the workflow")
