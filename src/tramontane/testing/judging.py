"""Judging what was played: everything that isn't as expected, each with what to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tramontane.core.state import Task
from tramontane.states import IDLE, WAITING, is_completed
from tramontane.testing.cases import UNASKED, Expectation, TaskName
from tramontane.testing.durations import span_text
from tramontane.testing.matching import contains, differences, narrowed, same
from tramontane.testing.playing import Played
from tramontane.values import encode

_NOT_BEGUN: Final = frozenset({IDLE, WAITING})
_SHOWN_INFO: Final = 500


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One expectation that doesn't hold; ``lines`` show expected (``-``) and actual (``+``) things."""

    title: str
    lines: tuple[str, ...] = ()


def judge(played: Played) -> list[Mismatch]:
    """Compare what was played with what its case expects; nothing: the case is passed."""
    expect = played.case.expect
    if played.problem is not None:
        first, *more = played.problem.splitlines()
        return [Mismatch(first, tuple(more))]
    if expect.refused is not None or played.refused is not None:
        return list(_judge_refusal(played, expect))
    return [mismatch for check in _CHECKS for mismatch in check(played, expect)]


def _judge_refusal(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    if played.refused is None:
        yield Mismatch("the start should have been refused, but the workflow ran", (f"- {expect.refused}",))
    elif expect.refused is None:
        yield Mismatch("the start was refused", (f"+ {played.refused}",))
    elif expect.refused not in played.refused:
        yield Mismatch(
            "the start was refused for another reason", (f"- {expect.refused}", f"+ {played.refused}")
        )


def _state(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    assert played.run is not None
    state, info = played.run.state, played.run.info
    if state != expect.state:
        lines = [f"- {expect.state}", f"+ {state}"]
        if info:
            lines += [f"  {line}" for line in _cut(info).splitlines()]
        if not is_completed(state):
            lines += [f"  {line}" for line in _open_ends(played)]
        yield Mismatch("state", tuple(lines))


def _open_ends(played: Played) -> Iterator[str]:
    """Say what an execution that hasn't ended waits for."""
    if played.case.run_for is not None:
        yield f"after {span_text(played.elapsed)} ('run-for')"
    for workflow, task in played.tasks():
        if not is_completed(task.state):
            info = f": {task.state_info}" if task.state_info else ""
            yield f"{_name(played, (workflow, task.name))} is {task.state}{info}"


def _info(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    assert played.run is not None
    info = played.run.info or ""
    missing = [part for part in expect.state_info if part not in info]
    if missing:
        shown = [f"+ {line}" for line in _cut(info).splitlines()] or ["+ (none)"]
        yield Mismatch("state-info doesn't contain", (*(f"- {part}" for part in missing), *shown))


def _output(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    assert played.run is not None
    output = played.run.output
    if expect.output is not UNASKED and not same(expect.output, output):
        yield Mismatch("output", tuple(differences(expect.output, output)))
    if not contains(expect.output_contains, output):
        shown = narrowed(expect.output_contains, output)
        yield Mismatch("output doesn't contain", tuple(differences(expect.output_contains, shown)))


def _published(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    for name, variables in expect.published.items():
        tasks = played.tasks_of(name)
        if not tasks:
            yield Mismatch(f"the task {_name(played, name)} published nothing, it didn't run")
        elif not contains(variables, tasks[-1].published):
            shown = narrowed(variables, tasks[-1].published)
            lines = tuple(differences(variables, shown))
            yield Mismatch(f"what {_name(played, name)} published doesn't contain", lines)


def _ran(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    began = played.began_tasks()
    wanted = expect.tasks
    if wanted.exactly is not None:
        own = [name for name in began if name[0] == played.case.workflow]
        own += [name for name in began if name not in own and name in wanted.exactly]
        missing = [name for name in wanted.exactly if name not in own]
        surplus = [name for name in own if name not in wanted.exactly]
        lines = _signed(played, "-", missing) + _signed(played, "+", surplus)
        if lines:
            yield Mismatch("other tasks ran than expected", lines)
    missing = [name for name in wanted.include if name not in _matching(began, wanted.include)]
    if missing:
        yield Mismatch("tasks that should have run", _signed(played, "-", missing))
    surplus = _matching(began, wanted.exclude)
    if surplus:
        yield Mismatch("tasks that shouldn't have run", _signed(played, "+", surplus))
    yield from _order(played, expect, began)


def _matching(began: Iterable[TaskName], wanted: Iterable[TaskName]) -> list[TaskName]:
    """Of the wanted names, those that began."""
    known = set(began)
    bare = {task for _, task in known}
    return [name for name in wanted if name in known or (name[0] is None and name[1] in bare)]


def _order(played: Played, expect: Expectation, began: list[TaskName]) -> Iterator[Mismatch]:
    wanted = expect.tasks.order
    absent = [name for name in wanted if name not in _matching(began, wanted)]
    if absent:
        yield Mismatch("tasks of the expected order that didn't run", _signed(played, "-", absent))
        return
    actual = sorted(wanted, key=lambda name: _place(began, name))
    if list(wanted) != actual:
        shown = [" → ".join(_name(played, name) for name in names) for names in (wanted, actual)]
        yield Mismatch("the tasks began in another order", (f"- {shown[0]}", f"+ {shown[1]}"))


def _place(began: list[TaskName], name: TaskName) -> int:
    return next(place for place, each in enumerate(began) if name in (each, (None, each[1])))


def _task_states(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    for name, state in expect.tasks.states.items():
        tasks = played.tasks_of(name)
        actual = tasks[-1].state if tasks else "not started"
        if actual != state:
            info = tasks[-1].state_info if tasks else None
            lines = [f"- {state}", f"+ {actual}", *(f"  {line}" for line in _cut(info or "").splitlines())]
            yield Mismatch(f"the state of {_name(played, name)}", tuple(lines))


def _runs(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    for name, count in expect.tasks.runs.items():
        actual = sum(_runs_of(task) for task in played.tasks_of(name))
        if actual != count:
            yield Mismatch(f"how often {_name(played, name)} ran", (f"- {count}", f"+ {actual}"))


def _runs_of(task: Task) -> int:
    """Runs of its action part: retries, re-runs and rounds of a join count."""
    return 0 if task.state in _NOT_BEGUN else task.generation + 1


def _calls(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    for name, wanted in expect.calls.items():
        actual = [call.input for call in played.calls if call.name == name]
        if isinstance(wanted, int):
            if len(actual) != wanted:
                lines = (f"- {wanted}", f"+ {len(actual)}", *(f"  {_cut(encode(each))}" for each in actual))
                yield Mismatch(f"how often {name} was called", lines)
        elif not contains(list(wanted), actual):
            shown = narrowed(list(wanted), actual)
            yield Mismatch(f"what {name} was called with", tuple(differences(list(wanted), shown)))


def _elapsed(played: Played, expect: Expectation) -> Iterator[Mismatch]:
    wanted, actual = expect.elapsed, played.elapsed
    if wanted is None or wanted.at_least <= actual <= wanted.at_most:
        return
    if wanted.at_least == wanted.at_most:
        text = span_text(wanted.at_least)
    elif wanted.at_most == float("inf"):
        text = f"at least {span_text(wanted.at_least)}"
    else:
        text = f"{span_text(wanted.at_least)} to {span_text(wanted.at_most)}"
    yield Mismatch("the simulated time that it took", (f"- {text}", f"+ {span_text(actual)}"))


_CHECKS: Final[tuple[Callable[[Played, Expectation], Iterator[Mismatch]], ...]] = (
    _state,
    _info,
    _output,
    _published,
    _ran,
    _task_states,
    _runs,
    _calls,
    _elapsed,
)


def summary(played: Played) -> list[tuple[str, str, int]]:
    """Name, state and number of runs of every task that began, in that order."""
    rows = []
    for name in played.began_tasks():
        tasks = played.tasks_of(name)
        rows.append((_name(played, name), tasks[-1].state, sum(map(_runs_of, tasks))))
    return rows


def _name(played: Played, name: TaskName) -> str:
    """A task's name, with the workflow's before it when that isn't the one under test."""
    workflow, task = name
    return task if workflow in (None, played.case.workflow) else f"{workflow}/{task}"


def _signed(played: Played, sign: str, names: Iterable[TaskName]) -> tuple[str, ...]:
    return tuple(f"{sign} {_name(played, name)}" for name in names)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_INFO else text[:_SHOWN_INFO] + "…"
