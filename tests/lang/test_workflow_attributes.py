"""Names (section 2) and attributes of workflows (section 3)."""

from __future__ import annotations

import pytest
from tests.lang.lab import ACTIONS, T, W, accept, data_of, document, refuse, spec_of, warn

from tramontane.lang import CheckOptions
from tramontane.lang.spec import REQUIRED

NOOP = "{tasks: {t: {action: std.noop}}}"


@pytest.mark.spec("D39")
@pytest.mark.parametrize("name", ["7d1f6a4e-0c3b-4d8e-9f2a-1b2c3d4e5f60", "7D1F6A4E0C3B4D8E9F2A1B2C3D4E5F60"])
def test_a_workflow_can_not_be_named_like_an_id(name: str) -> None:
    refuse(document(f"'{name}': {NOOP}"), "Workflow name cannot be in the format of UUID.")


@pytest.mark.spec("D40")
def test_spaces_in_names_are_refused() -> None:
    refuse(
        document("'my action': {base: std.noop}"), "Name 'my action' must not contain spaces", parse=ACTIONS
    )
    refuse(document(f"'my wf': {NOOP}"), "Name 'my wf' must not contain spaces")
    accept(document("my.action: {base: std.noop}"), ACTIONS)
    accept(document("7d1f6a4e0c3b4d8e9f2a1b2c3d4e5f60: {base: std.noop}"), ACTIONS)


@pytest.mark.parametrize("name", ["a.b", "'a/b'", "'it''s'", "é", "name"])
def test_other_characters_are_fine_in_workflow_names(name: str) -> None:
    accept(document(f"{name}: {NOOP}"))


@pytest.mark.spec("D41")
def test_a_workflow_name_has_at_most_255_characters() -> None:
    accept(document(f"{'w' * 255}: {NOOP}"))
    refuse(document(f"{'w' * 256}: {NOOP}"), "256 characters")
    refuse(document(f"'': {NOOP}"), "name is empty")


@pytest.mark.spec("D42", "D43", "D45")
def test_a_task_name_has_1_to_255_characters_and_a_joins_208() -> None:
    accept(W(f"tasks: {{{'t' * 255}: {{action: a}}}}"))
    refuse(W(f"tasks: {{? {'t' * 256} : {{action: a}}}}"), "must not exceed 255 symbols")
    refuse(W("tasks: {'': {action: a}}"), "name of a task is empty")
    join = "t: {{on-success: {0}}}\n{0}: {{join: all}}"
    accept(W("tasks:\n  " + join.format("j" * 208).replace("\n", "\n  ")))
    refuse(W("tasks:\n  " + join.format("j" * 209).replace("\n", "\n  ")), "must not exceed 208 symbols")


@pytest.mark.spec("D44")
@pytest.mark.parametrize("name", ["a-b", "a.b", "é", '"5"', "'a b'", "'a:b'", "name"])
def test_any_character_is_fine_in_task_names(name: str) -> None:
    accept(W(f"tasks: {{{name}: {{action: std.noop}}}}"))


@pytest.mark.spec("D46")
def test_a_task_named_version_is_none() -> None:
    refuse(W("tasks: {version: {action: std.noop}}"), "'version' is a reserved name")
    upload = warn(W("tasks: {version: {action: std.noop}, t: {action: std.noop}}"), "reserved name")
    assert list(spec_of(upload).tasks) == ["t"]
    refuse(T("on-success: version", "version: {action: std.noop}"), "Task 'version' not found.")


@pytest.mark.spec("D47")
def test_a_task_named_like_a_command_is_never_a_target() -> None:
    text = W("tasks: {a: {on-success: noop}, noop: {action: std.echo output=1}, b: {on-success: [a, noop]}}")
    spec = spec_of(warn(text, "in on-clauses 'noop' means the command"))
    assert spec.inbound == {"a": ("b",)}
    assert spec.start_tasks == ("b",)
    assert spec.tasks["a"].on_success.targets[0].is_command


@pytest.mark.spec("D48")
@pytest.mark.parametrize("value", ["{}", "", "5", "text", "[a]"])
def test_a_workflow_is_a_map(value: str) -> None:
    refuse(document(f"wf: {value}\n"), "wf: found", "expected a workflow")


def test_a_description_on_top_is_explained() -> None:
    refuse(document(f"description: hello\nwf: {NOOP}"), "every key beside 'version' is a workflow's name")


@pytest.mark.spec("D49")
def test_unknown_attributes_of_workflows_are_warned_about() -> None:
    assert warn(W("foo: 1"), "wf.foo: unknown attribute 'foo'").warnings[0].line == 3
    warn(W("outputs: {a: 1}"), "did you mean 'output'?")
    warn(W("on-error: t"), "it belongs to a task or under 'task-defaults'")
    accept(W("x-note: 1"))


@pytest.mark.spec("D50")
def test_the_key_is_the_name() -> None:
    upload = accept(W("name: other\nversion: '1.0'"))
    assert upload.workflows[0].name == "wf"
    assert data_of(upload)["name"] == "wf"
    assert data_of(upload)["version"] == "2.0"


@pytest.mark.spec("D51")
@pytest.mark.parametrize("value", ["foo", "null", "[a]", "{a: 1}", "5"])
def test_a_workflow_is_direct_or_reverse(value: str) -> None:
    refuse(W(f"type: {value}"), "wf.type: found", "expected 'direct' or 'reverse'")


@pytest.mark.spec("D52")
@pytest.mark.parametrize("value", ["[]", "[a, a]", "a", "[1]", "['']", "null"])
def test_tags_are_unique_texts(value: str) -> None:
    refuse(W(f"tags: {value}"), "wf.tags")


@pytest.mark.spec("D53", "D56")
def test_input_is_required_unless_it_has_a_default() -> None:
    spec = spec_of(accept(W("input: [a, {b: 1}, {c: null}, {d: <% $.a. %>}]")))
    assert [(item.name, item.default) for item in spec.input] == [
        ("a", REQUIRED),
        ("b", 1),
        ("c", None),
        ("d", "<% $.a. %>"),
    ]
    assert [item.name for item in spec.input if item.is_required] == ["a"]


@pytest.mark.spec("D54", "D55")
@pytest.mark.parametrize(
    "value", ["{a: 1}", "a", "[]", "[a, a]", "5", "[{a: 1, b: 2}]", "[5]", "['']", "[{}]", "[[a]]", "null"]
)
def test_input_is_a_list_of_names_and_defaults(value: str) -> None:
    refuse(W(f"input: {value}"), "wf.input")


def test_of_an_input_name_that_stands_twice_the_last_one_wins() -> None:
    upload = warn(W("input: [a, {a: 1}]"), "'a' stands twice")
    assert [(item.name, item.default) for item in spec_of(upload).input] == [("a", 1)]


@pytest.mark.spec("D59", "D64")
@pytest.mark.parametrize("value", ["<% $ %>", "{}", "[a]", "null", "5"])
@pytest.mark.parametrize("attribute", ["output", "output-on-error", "vars"])
def test_output_and_vars_are_maps(attribute: str, value: str) -> None:
    refuse(W(f"{attribute}: {value}"), f"wf.{attribute}: found", "expected a map")


@pytest.mark.spec("D60")
def test_a_null_in_output_is_fine() -> None:
    accept(W("output: {a: null}"))


@pytest.mark.spec("D61")
@pytest.mark.parametrize("attribute", ["output", "vars"])
def test_broken_expressions_refuse_the_document(attribute: str) -> None:
    error = refuse(W(f"{attribute}: {{a: <% $. %>}}"), "Parse error: unexpected end of statement", "<% $. %>")
    assert error.problems[0].path == f"wf.{attribute}.a"


@pytest.mark.spec("D62", "D63")
@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ("output: {a: {b: <% $. %>}}", "wf.output.a.b"),
        ("vars: {a: [1, '{{ a b }}']}", "wf.vars.a[1]"),
        ("output-on-error: {a: <% $. %>}", "wf.output-on-error.a"),
    ],
)
def test_broken_expressions_that_mistral_overlooks_are_warned_about(attributes: str, path: str) -> None:
    assert warn(W(attributes)).warnings[0].path == path


@pytest.mark.spec("D65")
@pytest.mark.parametrize("tasks", ["tasks: {}", "tasks: [a]", "tasks:", "tasks: t"])
def test_a_workflow_has_tasks(tasks: str) -> None:
    refuse(document(f"wf:\n  {tasks}\n"), "expected a map of at least one task")
    refuse(document("wf:\n  description: x\n"), "'tasks' is missing")


@pytest.mark.spec("D187", "D188")
def test_languages_are_not_mixed_and_keys_are_no_expressions() -> None:
    refuse(
        W("output: {a: '<% $.x %> {{ _.y }}'}"), "Mixing expression types in a single line is not allowed."
    )
    accept(W("output: {'<% $. %>': 1}"))


def test_a_language_that_is_switched_off_is_refused() -> None:
    options = CheckOptions(allowed_languages=frozenset({"jinja"}))
    refuse(W("output: {a: <% $.x %>}"), "expression language is disabled", options=options)


def test_what_spans_lines_and_stays_text_is_warned_about() -> None:
    warn(W('output: {a: "<% $.a\\n) %>"}'), "stays text")
    accept(W('output: {a: "<% $.a +\\n 1 %>"}'))
