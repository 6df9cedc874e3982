"""Ad-hoc actions and workbooks (section 7)."""

from __future__ import annotations

import pytest
from tests.lang.lab import ACTIONS, WORKBOOK, accept, document, refuse, warn
from tests.lang.test_tasks import constant

from tramontane.lang import AdhocActionSpec, WorkbookDocument, load_action, load_workflow

WORKFLOW = "{tasks: {t: {action: std.noop}}}"


def action(attributes: str) -> str:
    return document(f"act: {{{attributes}}}")


def load(attributes: str) -> AdhocActionSpec:
    [found] = accept(action(attributes), ACTIONS).actions
    return load_action(found.data)


@pytest.mark.spec("D161", "D162", "D164")
@pytest.mark.parametrize(
    "attributes",
    [
        "description: x",
        "base: ''",
        "base: 5",
        "base: /x a=1",
        "base: a x=<% $. %>",
        "base: a, foo: 1",
        "base: a, input: []",
        "base: a, input: {a: 1}",
        "base: a, base-input: {}",
        "base: a, base-input: <% $ %>",
        "base: a, base-input: {a: <% $. %>}",
        "base: a, base-input: {1: x}",
        "base: a, output: <% $. %>",
        "base: a, description: 5",
        "base: a, tags: a",
        "",
    ],
)
def test_an_action_needs_a_base_and_few_other_attributes(attributes: str) -> None:
    refuse(action(attributes), "act", parse=ACTIONS)


@pytest.mark.spec("D161", "D163", "D164")
def test_an_action_is_checked_without_knowing_its_base() -> None:
    found = load("base: no.such, input: [x, {y: <% 1 %>}], tags: [a], description: hi")
    assert found.base == "no.such" and found.output is None
    assert [(item.name, item.is_required) for item in found.input] == [("x", True), ("y", False)]
    assert found.input[1].default == "<% 1 %>"
    assert (found.tags, found.description) == (("a",), "hi")
    found = load("base: std.echo output=1, base-input: {output: 2, x: 3}")
    assert found.base == "std.echo"
    assert constant(found.base_input) == {"output": 1, "x": 3}
    assert found.data["base-input"] == {"output": 1, "x": 3}
    assert load("base: a, output: null").output is None
    assert not load("base: a, output: {x: [<% $ %>]}").output.constant  # type: ignore[union-attr]
    assert constant(load("base: a, output: [1]").output) == [1]


def test_oddities_of_actions_are_warned_about() -> None:
    warn(action("base: act"), "can't run: act → act", parse=ACTIONS)
    warn(document("a: {base: b x=1}\nb: {base: a}"), "a → b → a", parse=ACTIONS)
    warn(action("base: a, output: {x: <% $. %>}"), "Parse error", parse=ACTIONS)
    warn(action("base: a x=abc"), "'x=abc' has no effect", parse=ACTIONS)
    accept(document("a: {base: b}\nb: {base: c}"), ACTIONS)


def test_unknown_attributes_of_actions_are_named() -> None:
    refuse(action("base: a, base_input: {a: 1}"), "did you mean 'base-input'?", parse=ACTIONS)


def workbook(text: str) -> WorkbookDocument:
    found = accept(text, WORKBOOK).workbook
    assert found is not None
    return found


@pytest.mark.spec("D34")
def test_a_workbook_may_be_empty() -> None:
    found = workbook("version: '2.0'\nname: wb\ntags: [a]\ndescription: x\n")
    assert (found.name, found.tags, found.workflows, found.actions) == ("wb", ("a",), (), ())
    accept("version: '2.0'\nname: a.b\n", WORKBOOK)


@pytest.mark.spec("D35", "D36", "D37")
@pytest.mark.parametrize(
    "lines",
    [
        "",
        "name: ''",
        "name: 5",
        "name: a b",
        f"name: {'n' * 256}",
        "name: wb\ntriggers: {}",
        "name: wb\nworkflows: {}",
        "name: wb\nworkflows:",
        "name: wb\nactions: {}",
        "name: wb\nactions: [a]",
        "name: wb\ndescription: ''",
        "name: wb\ntags: []",
        "name: wb\nworkflows: {version: '1.0', w: {tasks: {t: {action: a}}}}",
        "name: wb\nactions: {version: true, a: {base: b}}",
    ],
)
def test_a_workbook_has_few_attributes(lines: str) -> None:
    refuse(f"version: '2.0'\n{lines}\n", parse=WORKBOOK)
    refuse(f"{lines}\n", "'version' is missing", parse=WORKBOOK)


@pytest.mark.spec("D38")
@pytest.mark.parametrize("name", ["a.b", "'a b'", "''", "a/b"])
def test_members_of_workbooks_have_plain_names(name: str) -> None:
    refuse(document(f"name: wb\nworkflows: {{{name}: {WORKFLOW}}}"), "workflows.", parse=WORKBOOK)
    refuse(document(f"name: wb\nactions: {{{name}: {{base: x}}}}"), "actions.", parse=WORKBOOK)


@pytest.mark.spec("D38")
@pytest.mark.parametrize("name", ["a-b", "version1", "é", "a_1"])
def test_letters_digits_and_dashes_are_plain(name: str) -> None:
    accept(
        document(f"name: wb\nworkflows: {{{name}: {WORKFLOW}}}\nactions: {{{name}: {{base: x}}}}"), WORKBOOK
    )


@pytest.mark.spec("D39", "D41")
def test_full_names_of_members_fit_and_are_no_ids() -> None:
    uuid = "7d1f6a4e-0c3b-4d8e-9f2a-1b2c3d4e5f60"
    refuse(document(f"name: wb\nworkflows: {{{uuid}: {WORKFLOW}}}"), "format of UUID", parse=WORKBOOK)
    accept(document(f"name: {uuid}\nworkflows: {{w: {WORKFLOW}}}"), WORKBOOK)
    accept(document(f"name: {'n' * 250}\nworkflows: {{wwww: {WORKFLOW}}}"), WORKBOOK)
    refuse(document(f"name: {'n' * 250}\nworkflows: {{wwwww: {WORKFLOW}}}"), "256 characters", parse=WORKBOOK)


@pytest.mark.spec("D171")
def test_members_get_the_workbooks_name_before_theirs() -> None:
    actions = "actions: {version: '2.0', a1: {base: x y=1}}"
    text = f"name: book\nworkflows: {{version: 2.0, w1: {WORKFLOW}}}\n{actions}\n"
    found = workbook(document(text))
    assert [item.name for item in found.workflows] == ["book.w1"]
    assert [item.name for item in found.actions] == ["book.a1"]
    assert load_workflow(found.workflows[0].data).name == "w1"
    assert found.workflows[0].checksum is None
    assert found.data["workflows"]["w1"] == found.workflows[0].data
    assert found.data["actions"]["a1"]["base-input"] == {"y": 1}
    assert found.definition == document(text)


@pytest.mark.spec("D173")
def test_problems_of_all_members_are_told_at_once() -> None:
    text = document(
        """
        name: wb
        workflows:
          w1: {tasks: {t: {on-success: zzz}}}
          w2: 5
        actions:
          a: {foo: 1}
        """
    )
    error = refuse(text, parse=WORKBOOK)
    assert {problem.path for problem in error.problems} == {
        "workflows.w1.tasks.t.on-success",
        "workflows.w2",
        "actions.a",
        "actions.a.foo",
    }


def test_actions_of_a_workbook_find_each_other_by_full_name_only() -> None:
    warn(document("name: wb\nactions: {a: {base: wb.a}}"), "wb.a → wb.a", parse=WORKBOOK)
    accept(document("name: wb\nactions: {a: {base: a}}"), WORKBOOK)
