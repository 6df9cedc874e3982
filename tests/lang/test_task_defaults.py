"""``task-defaults`` (section 6, and section 2.4 of the runtime specification)."""

from __future__ import annotations

import pytest
from tests.lang.lab import W, accept, refuse, spec_of, warn
from tests.lang.test_tasks import constant

from tramontane.lang import WorkflowSpec

TASKS = "tasks: {t: {action: std.noop}, t2: {action: std.noop}}"


def with_defaults(defaults: str, tasks: str = TASKS, more: str = "") -> str:
    return W(f"{more}\ntask-defaults: {defaults}\n{tasks}")


def spec(defaults: str, tasks: str = TASKS, more: str = "") -> WorkflowSpec:
    return spec_of(accept(with_defaults(defaults, tasks, more)))


@pytest.mark.spec("D156", "D159", "D160")
@pytest.mark.parametrize(
    "defaults",
    [
        "{}",
        "[a]",
        "null",
        "{foo: 1}",
        "{action: a}",
        "{workflow: a}",
        "{input: {a: 1}}",
        "{publish: {a: 1}}",
        "{join: all}",
        "{target: a}",
        "{keep-result: true}",
        "{with-items: 'i in [1]'}",
        "{retry: count=1}",
        "{retry: {count: 1}}",
        "{safe-rerun: 'yes'}",
        "{timeout: -1}",
        "{on-error: {}}",
        "{on-error: [{t: <% $. %>}]}",
        "{description: 5}",
    ],
)
def test_defaults_have_few_attributes_of_the_usual_types(defaults: str) -> None:
    refuse(with_defaults(defaults), "wf.task-defaults")


def test_names_and_descriptions_of_defaults_are_ignored() -> None:
    accept(with_defaults("{name: x, version: 1, description: y, tags: [a]}"))


@pytest.mark.spec("D157", "D158")
def test_default_clauses_count_for_the_structure() -> None:
    [problem] = refuse(with_defaults("{on-error: t9}"), "Task 't9' not found.").problems
    assert problem.path == "wf.task-defaults.on-error"
    refuse(with_defaults("{on-success: [t, t2]}"), "Failed to find start tasks")
    found = spec("{on-error: t2}")
    assert found.start_tasks == ("t",) and found.inbound == {"t2": ("t",)}
    spec("{on-error: t2}", "tasks: {t: {action: a}, u: {action: a}, t2: {join: 2}}")


def test_a_default_clause_applies_to_tasks_without_own_targets_in_it() -> None:
    tasks = """
tasks:
  t: {action: a}
  u: {action: a, on-error: v}
  w: {action: a, on-error: {publish: {branch: {own: 1}}}}
  v: {action: a}
"""
    found = spec("{on-error: {publish: {branch: {x: 1, own: 0}, global: {g: 1}}, next: [v, fail]}}", tasks)
    targets = {name: [target.name for target in task.on_error.targets] for name, task in found.tasks.items()}
    assert targets == {"t": ["v", "fail"], "u": ["v"], "w": ["v", "fail"], "v": ["fail"]}
    publishes = {name: task.on_error.publish for name, task in found.tasks.items()}
    assert publishes["u"] is None
    assert publishes["t"] is not None and publishes["t"].branch == {"x": 1, "own": 0}
    assert publishes["w"] is not None and publishes["w"].branch == {"x": 1, "own": 1}
    assert publishes["w"].global_ == {"g": 1}


def test_own_policies_win_and_a_literal_0_switches_off() -> None:
    tasks = """
tasks:
  t: {action: a}
  own: {timeout: 9, fail-on: <% true %>, retry: count=2 delay=2}
  none: {timeout: 0, fail-on: false, retry: {count: 0, delay: 1}, wait-before: 0, pause-before: false}
"""
    defaults = "{timeout: 5, fail-on: true, retry: {count: 1, delay: 1}, wait-before: 3, pause-before: true}"
    found = {name: task.policies for name, task in spec(defaults, tasks).tasks.items()}
    assert constant(found["t"].timeout) == 5 and constant(found["own"].timeout) == 9
    assert constant(found["t"].fail_on) is True
    assert found["own"].fail_on is not None and not found["own"].fail_on.constant
    assert found["own"].retry is not None and constant(found["own"].retry.count) == 2
    assert found["t"].retry is not None and constant(found["t"].retry.delay) == 1
    off = found["none"]
    assert (off.timeout, off.fail_on, off.retry, off.wait_before, off.pause_before) == (None,) * 5


def test_flags_are_inherited_and_requirements_united() -> None:
    tasks = "tasks: {t: {safe-rerun: false, dry-run: true}, t2: {action: a}}"
    found = spec("{safe-rerun: true, safe-input: true, dry-run: <% $.dry %>}", tasks).tasks
    assert constant(found["t"].safe_rerun) is False and constant(found["t2"].safe_rerun) is True
    assert constant(found["t"].dry_run) is True and found["t2"].dry_run is not None
    assert constant(found["t2"].safe_input) is True
    reverse = spec(
        "{requires: [a]}", "tasks: {a: {action: x}, b: {requires: c}, c: {action: x}}", "type: reverse"
    )
    assert {name: task.requires for name, task in reverse.tasks.items()} == {
        "a": (),
        "b": ("c", "a"),
        "c": ("a",),
    }


def test_defaults_without_effect_are_warned_about() -> None:
    warn(with_defaults("{requires: [zz]}"), "'requires' has no effect in a direct workflow")
    warn(
        with_defaults("{on-error: zz}", more="type: reverse"),
        "'on-error' has no effect in a reverse workflow",
    )
    refuse(with_defaults("{requires: [t, zz]}", more="type: reverse"), "Task 'zz' not found.")
