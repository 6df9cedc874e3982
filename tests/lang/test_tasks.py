"""Attributes of tasks (section 4), their policies (4.1) and ``with-items`` (4.2)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.lang.lab import UNCHECKED, T, W, accept, data_of, refuse, spec_of, task_input, warn

from tramontane.lang import parse_workflows
from tramontane.lang.spec import TaskSpec


def task(text: str) -> TaskSpec:
    return spec_of(accept(text)).tasks["t"]


def constant(structure: Any) -> Any:
    """The value of a compiled structure without expressions."""
    assert structure.constant
    return structure.evaluate(None, None)


@pytest.mark.spec("D66")
@pytest.mark.parametrize("value", ["", "std.noop", "{}", "[a]"])
@pytest.mark.parametrize("name", ["t", "a-b"])
def test_a_task_is_a_map(name: str, value: str) -> None:
    refuse(W(f"tasks: {{{name}: {value}}}"), f"wf.tasks.{name}: found", "expected a task")


@pytest.mark.spec("D67")
def test_a_description_makes_a_task_that_does_nothing() -> None:
    spec = task(T("description: x"))
    assert spec.action is None and spec.workflow is None and spec.type == "ACTION"


@pytest.mark.spec("D68")
def test_a_task_has_an_action_or_a_workflow() -> None:
    refuse(T("action: a\nworkflow: b"), "found 'action' and 'workflow'")


@pytest.mark.spec("D69", "D128")
def test_unknown_attributes_of_tasks_are_refused_with_the_nearest_known_one() -> None:
    [problem] = refuse(T("on-sucess: t2"), "wf.tasks.t.on-sucess", "did you mean 'on-success'?").problems
    assert (problem.line, problem.column) == (5, 7)
    refuse(T("on-finish: t2"), "unknown attribute of a task 'on-finish'")
    refuse(T("x-note: 1"), "unknown attribute of a task 'x-note'")


@pytest.mark.spec("D70", "D71", "D82")
@pytest.mark.parametrize("attribute", ["action", "workflow", "target", "description"])
@pytest.mark.parametrize("value", ["5", "''", "null", "[a]"])
def test_these_attributes_are_texts(attribute: str, value: str) -> None:
    refuse(T(f"{attribute}: {value}"), f"wf.tasks.t.{attribute}: found", "expected non-empty text")


@pytest.mark.spec("D71", "D189")
def test_descriptions_are_no_expressions_and_those_of_workflows_may_be_anything() -> None:
    accept(W("description: 5"))
    accept(T("description: '<% $. %>'"))


@pytest.mark.spec("D72")
def test_the_type_of_a_task_is_its_workflows() -> None:
    upload = accept(T("type: reverse\naction: a"))
    assert data_of(upload)["tasks"]["t"]["type"] == "direct"
    assert data_of(accept(T("name: x\nversion: 5\ntype: [x]")))["tasks"]["t"] == {
        "name": "t",
        "version": "2.0",
        "type": "direct",
    }


@pytest.mark.spec("D73", "D79")
@pytest.mark.parametrize("attribute", ["input", "publish", "publish-on-error", "publish-on-skip"])
@pytest.mark.parametrize("value", ["{}", "[a]", "null", "''", "5"])
def test_these_attributes_are_maps(attribute: str, value: str) -> None:
    refuse(T(f"{attribute}: {value}"), f"wf.tasks.t.{attribute}: found", "expected a map")


@pytest.mark.spec("D79")
@pytest.mark.parametrize("attribute", ["publish", "publish-on-error", "publish-on-skip"])
def test_publish_is_no_expression(attribute: str) -> None:
    refuse(T(f"{attribute}: <% $ %>"), "expected a map")
    refuse(T(f"{attribute}: {{a: <% $. %>}}"), "Parse error")
    warn(T(f"{attribute}: {{a: [<% $. %>]}}"), "Parse error")


@pytest.mark.spec("D74")
def test_input_may_be_one_expression() -> None:
    assert not task(T("input: <% $.x %>")).input.constant
    warn(T("input: abc"), "expected a map, or an expression")
    refuse(T("input: <% $. %>"), "Parse error")
    refuse(T("input: {a: <% $. %>}"), "wf.tasks.t.input.a: Parse error")
    warn(T("input: {a: {b: <% $. %>}}"), "wf.tasks.t.input.a.b: Parse error")


@pytest.mark.spec("D75")
def test_inline_parameters_win_over_input() -> None:
    text = T("action: std.echo output='i' m=[1]\ninput: {output: dict, other: {x: 1}}")
    assert task_input(text) == {"output": "i", "m": [1], "other": {"x": 1}}
    assert data_of(accept(text))["tasks"]["t"]["action"] == "std.echo output='i' m=[1]"
    assert constant(task(text).input) == {"output": "i", "m": [1], "other": {"x": 1}}
    assert task(text).inline_input is None


@pytest.mark.spec("D76")
def test_inline_parameters_stay_apart_from_an_expression() -> None:
    spec = task(T("action: std.echo output=1\ninput: <% $ %>"))
    assert not spec.input.constant
    assert constant(spec.inline_input) == {"output": 1}
    assert task_input(T("action: std.echo output=1\ninput: <% $ %>")) == "<% $ %>"


@pytest.mark.spec("D77", "D78")
def test_actions_are_looked_up_when_they_run() -> None:
    spec = task(T("action: no.such"))
    assert constant(spec.action) == spec.action_text == "no.such"
    spec = task(T("action: <% $.a %>"))
    assert spec.action is not None and not spec.action.constant and spec.action_text is None
    spec = task(T("workflow: wf a=1"))
    assert constant(spec.workflow) == "wf" and spec.type == "WORKFLOW" and constant(spec.input) == {"a": 1}
    warn(T("action: <% $. %>"), "Parse error")
    warn(T("target: <% $. %>"), "Parse error")


FLAGS = [
    "keep-result",
    "safe-rerun",
    "pause-before",
    "fail-on",
    "dry-run",
    "safe-input",
    "async-heartbeats-enabled",
]


@pytest.mark.spec("D80", "D81", "D88", "D89")
@pytest.mark.parametrize("attribute", FLAGS)
@pytest.mark.parametrize("value", ["'true'", "1", "abc", "null", "[]", "a <% true %>"])
def test_flags_are_booleans_or_expressions(attribute: str, value: str) -> None:
    refuse(
        T(f"{attribute}: {value}"), f"wf.tasks.t.{attribute}: found", "expected true, false or one expression"
    )


@pytest.mark.spec("D80", "D88")
@pytest.mark.parametrize("attribute", FLAGS)
def test_flags_take_booleans_and_expressions(attribute: str) -> None:
    for value in ("true", "yes", "off", "<% true %>", "'{{ _.x }}'"):
        accept(T(f"{attribute}: {value}"))
    refuse(T(f"{attribute}: <% $. %>"), "Parse error")


NUMBERS = ["wait-before", "wait-after", "timeout", "concurrency"]


@pytest.mark.spec("D83", "D85", "D86", "D87")
@pytest.mark.parametrize("attribute", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "1.5",
        "'5'",
        "true",
        "null",
        "a <% $.x %>",
        "' <% $.x %>'",
        "'{% if 1 %}1{% endif %}'",
        "'{{ 1 }} <% 2 %>'",
    ],
)
def test_durations_are_whole_numbers_or_expressions(attribute: str, value: str) -> None:
    refuse(
        T(f"{attribute}: {value}"), f"wf.tasks.t.{attribute}: found", "expected a whole number of at least 0"
    )


@pytest.mark.spec("D84", "D85", "D90")
@pytest.mark.parametrize("attribute", NUMBERS)
def test_durations_take_whole_numbers_and_expressions(attribute: str) -> None:
    for value in ("0", "2", "1.0", "<% $.x %>", "'<% 1 %> <% 2 %>'", "'{{ _.x }}  '"):
        accept(T(f"{attribute}: {value}"))
    refuse(T(f"{attribute}: <% $. %>"), "Parse error")
    policies = task(T(f"{attribute}: 2.0")).policies
    value = constant(getattr(policies, attribute.replace("-", "_")))
    assert value == 2 and type(value) is int


@pytest.mark.spec("D91", "D93", "D94", "D96", "D98", "D99")
@pytest.mark.parametrize(
    "value",
    [
        "{count: 1}",
        "{delay: 1}",
        "{count: 1, delay: 1, break-on: true}",
        "{count: 1, delay: 1, continue-on: abc}",
        "{count: 1, delay: 1, foo: 2}",
        "{count: -1, delay: 1}",
        "{count: 1, delay: '1'}",
        "count=3",
        "count=<% $. %> delay=1",
        "count=-1 delay=1",
        'count="3" delay=1',
        "count=3 delay=1 foo=2",
        "5",
        "''",
        "null",
        "{}",
    ],
)
def test_a_retry_has_count_and_delay(value: str) -> None:
    refuse(T(f"retry: {value}"), "wf.tasks.t.retry")


@pytest.mark.spec("D92", "D95", "D97")
def test_a_retry_is_a_map_or_one_line() -> None:
    retry = task(T("retry: {count: 1, delay: 0, break-on: <% true %>}")).policies.retry
    assert retry is not None and retry.break_on is not None and retry.continue_on is None
    assert (constant(retry.count), constant(retry.delay)) == (1, 0)
    retry = task(T("retry: count=3 delay=1")).policies.retry
    assert retry is not None and (constant(retry.count), constant(retry.delay)) == (3, 1)
    retry = task(T("retry: delay=1 count=<% $.x %> break-on=<% $.a = 1 %>")).policies.retry
    assert retry is not None and not retry.count.constant and retry.break_on is not None


@pytest.mark.parametrize(
    "value", ["count=3 delay=1.5", "count=3 delay=1 continue-on=abc", "retry count=3 delay=1"]
)
def test_what_a_one_line_retry_loses_is_warned_about(value: str) -> None:
    warn(T(f"retry: {value}"), "has no effect")


def items(text: str) -> list[tuple[str, Any]]:
    found = task(T(f"with-items: {text}")).with_items
    assert found is not None
    return [(name, constant(value) if value.constant else "expression") for name, value in found.variables]


@pytest.mark.spec("D100", "D101", "D102", "D103", "D106", "D108")
def test_with_items_walks_lists_and_expressions() -> None:
    assert items("i in [1, 2]") == [("i", [1, 2])]
    assert items('i in ["a"]') == [("i", ["a"])]
    assert items("i in [[1,2],[3]]") == [("i", [[1, 2], [3]])]
    assert items("i in []") == [("i", [])]
    assert items("i in <% $.x %>") == [("i", "expression")]
    assert items("'i in {{ _.x }}'") == [("i", "expression")]
    assert items("['i in [1]', 'j in [2]']") == [("i", [1]), ("j", [2])]
    assert items("iin<% $.x %>") == [("i", "expression")]
    assert items("i-j in [1]") == [("i-j", [1])]
    assert items('i in ["<% $.a %>"]') == [("i", "expression")]


@pytest.mark.spec("D101", "D104", "D105", "D107")
@pytest.mark.parametrize("options", [None, UNCHECKED])
@pytest.mark.parametrize(
    "value",
    [
        "i in [a]",
        "i in [1,2] j in [3]",
        "i in $.x",
        "i in abc",
        "i in range(3)",
        "i.j in [1]",
        "in <% $.x %>",
        "i in x<% $.x %>",
        "'i in {% x %}'",
        "i in <% $. %>",
        "{i: [1]}",
        "[1]",
        "5",
    ],
)
def test_other_texts_are_refused_even_unchecked(value: str, options: Any) -> None:
    refuse(T(f"with-items: {value}"), "wf.tasks.t.with-items", **({"options": options} if options else {}))


@pytest.mark.spec("D107")
@pytest.mark.parametrize("value", ["[]", "''", "['i in [1]', 'i in [1]']", "null"])
def test_with_items_is_not_empty_and_has_unique_texts(value: str) -> None:
    refuse(T(f"with-items: {value}"), "wf.tasks.t.with-items")


def test_what_with_items_ignores_is_warned_about() -> None:
    warn(T("with-items: i in <% $.x %> extra"), "'extra' behind the list has no effect")
    upload = warn(T("with-items: ['i in [1]', 'i in [2]']"), "'i' stands twice")
    found = spec_of(upload).tasks["t"].with_items
    assert found is not None and [constant(value) for _, value in found.variables] == [[2]]


def test_a_list_too_deep_for_json_is_refused() -> None:
    refuse(T("with-items: i in " + "[" * 300 + "]" * 300), "nested too deeply")
    refuse(T("with-items: i in " + "[" * 50_000 + "]" * 50_000), "Invalid array")


def test_everything_wrong_is_told_at_once_with_its_place() -> None:
    text = T("actoin: a\ntimeout: -1\nretry: {count: x, delay: 1}", "t3: {on-success: [zzz, {t: true}]}")
    error = refuse(text)
    found = [(problem.path, problem.line) for problem in error.problems]
    assert found == [
        ("wf.tasks.t.actoin", 5),
        ("wf.tasks.t.timeout", 6),
        ("wf.tasks.t.retry.count", 7),
        ("wf.tasks.t3.on-success[0]", 8),
        ("wf.tasks.t3.on-success[1].t", 8),
    ]
    assert error.message.count("\n") == 4


def test_an_error_inside_an_expression_is_pointed_at() -> None:
    [problem] = refuse(T("publish: {a: <% 1 + ) %>}")).problems
    assert (problem.line, problem.column) == (5, 27)


def test_many_problems_are_shortened_in_the_message_only() -> None:
    tasks = "\n  ".join(f"t{n}: {{on-success: x{n}}}" for n in range(30))
    error = refuse(W(f"tasks:\n  {tasks}"), "… and 20 more")
    assert len(error.problems) == 30


def test_a_command_too_long_to_search_is_refused() -> None:
    with_parameters = f"a b={'x' * 70_000}"
    refuse(T(f"action: {with_parameters}"), "65536 characters")
    parse_workflows(T(f"action: {'a' * 70_000}"))
