"""Reading steps: what an operator does in the course of a case."""

from __future__ import annotations

from typing import Any, Final, cast

from tramontane.lang.yaml_loader import Map
from tramontane.states import ERROR, State
from tramontane.testing.cases import Operation, Step, TaskName
from tramontane.testing.definitions import Definitions
from tramontane.testing.durations import EXPECTED, seconds_of
from tramontane.testing.mock_reading import read_outcome, task_name
from tramontane.testing.places import Place
from tramontane.values import FrozenDict

OPERATIONS: Final = ("pause", "resume", "cancel", "stop", "rerun", "skip", "report")
STATES: Final[tuple[str, ...]] = State.__args__  # type: ignore[attr-defined]  # a Literal knows its values
_ENDS: Final = ("SUCCESS", "ERROR", "CANCELLED")


def read_steps(place: Place | None, definitions: Definitions) -> tuple[Step, ...]:
    """Read a list of steps."""
    if place is None:
        return ()
    return tuple(_step(each, definitions) for each in place.items("a list of steps"))


def _step(place: Place, definitions: Definitions) -> Step:
    if not place.is_map("a map with what is done, such as 'pause: true'"):
        return Step("pause")
    place.allow((*OPERATIONS, "at", "when"), "attribute of a step")
    found = [name for name in OPERATIONS if place.get(name) is not None]
    if len(found) != 1:
        shown = " and ".join(f"'{name}'" for name in found) or "none of them"
        place.error(f"found {shown}, expected exactly one of {', '.join(OPERATIONS)}")
        return Step("pause")
    operation = cast("Operation", found[0])
    return Step(operation, **_trigger(place, definitions), **_details(place.at(operation), definitions))


def _trigger(place: Place, definitions: Definitions) -> dict[str, Any]:
    at, when = place.get("at"), place.get("when")
    if at is not None and when is not None:
        place.error("found both 'at' and 'when', expected one of them")
    if at is not None:
        seconds = seconds_of(at.value)
        if seconds is None:
            at.wrong(EXPECTED)
        return {"at": seconds or 0.0}
    if when is None or not when.is_map("a map with 'state', and 'task' for a task's state"):
        return {}
    when.allow(("task", "state"), "attribute of 'when'")
    state, task = when.get("state"), when.get("task")
    if state is None:
        when.error("'state' is missing: the state that is waited for")
    return {
        "state": "" if state is None else state.one_of(STATES, f"one of {', '.join(STATES)}"),
        "task": None if task is None else task_name(task, task.text("the name of a task"), definitions),
    }


def _details(place: Place, definitions: Definitions) -> dict[str, Any]:
    match place.path[-1]:
        case "pause":
            if place.value is not True:
                place.wrong("true")
            return {}
        case "cancel":
            return {"message": _true_or_text(place)}
        case "resume":
            return _resume(place)
        case "stop":
            return _stop(place)
        case "rerun":
            return _of_task(place, definitions, ("reset", "env"))
        case "skip":
            return _of_task(place, definitions, ("env",))
        case _:
            return _report(place, definitions)


def _true_or_text(place: Place) -> str | None:
    if isinstance(place.value, str) and place.value:
        return place.value
    if place.value is not True:
        place.wrong("true, or a message")
    return None


def _resume(place: Place) -> dict[str, Any]:
    if place.value is True:
        return {}
    if place.is_map("true, or a map with 'env'"):
        place.allow(("env",), "attribute of 'resume'")
    return {"env": _env(place)}


def _env(place: Place) -> FrozenDict | None:
    env = place.get("env")
    return env.frozen() if env is not None and env.is_map("a map of variables") else None


def _stop(place: Place) -> dict[str, Any]:
    if not place.is_map("a map with 'state' and 'message'"):
        return {}
    place.allow(("state", "message"), "attribute of 'stop'")
    state, message = place.get("state"), place.get("message")
    return {
        "target_state": ERROR if state is None else state.one_of(_ENDS, f"one of {', '.join(_ENDS)}"),
        "message": None if message is None else message.text("a message"),
    }


def _of_task(place: Place, definitions: Definitions, more: tuple[str, ...]) -> dict[str, Any]:
    """A task's name, or a map with it."""
    if not isinstance(place.value, Map):
        return {"subject": _subject(place, definitions)}
    place.allow(("task", *more), f"attribute of '{place.path[-1]}'")
    reset = place.get("reset")
    return {
        "subject": _subject(place.get("task") or place, definitions),
        "reset": True if reset is None else reset.flag(),
        "env": _env(place),
    }


def _subject(place: Place, definitions: Definitions) -> TaskName:
    if isinstance(place.value, Map):
        place.error("'task' is missing: the task that this is about")
        return None, ""
    return task_name(place, place.text("the name of a task"), definitions)


def _report(place: Place, definitions: Definitions) -> dict[str, Any]:
    if not place.is_map("a map with 'task' and 'result'"):
        return {}
    item = place.get("item")
    return {
        "subject": _subject(place.get("task") or place, definitions),
        "item": 0 if item is None else item.count(),
        "outcome": read_outcome(place, more=("task", "item")),
    }
