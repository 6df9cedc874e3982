"""What is stored besides the data: texts cut from documents, checksums, input lines (section 9)."""

from __future__ import annotations

import hashlib
import textwrap
from typing import Any

import pytest
from tests.lang.lab import ACTIONS, WORKBOOK, W, accept, data_of, document

from tramontane.lang import action_input_text, input_text, interface, parse_workbook, parse_workflows
from tramontane.values import FrozenDict

TWO = """\
# before everything
version: '2.0'  # quoted

# about one
one:  # first
  description: |+
    text

  tags: [*x, é]
  tasks:
    # a comment inside
    t: {action: std.echo output="<% $.a %>"}
    # a comment at the end

# about two
"two":
    tasks:
      version1:
        action: std.noop
        description: "folded
          text"
        input: {d: 2020-01-01, n: 010, f: 1.0e+3, x: <% $.x %>}
...
"""


@pytest.mark.spec("D180")
def test_the_text_of_a_single_workflow_is_kept_as_it_is() -> None:
    text = "# é\r\n" + W("description: x\ndescription: y").replace("\n", "\r\n")
    [workflow] = parse_workflows(text).workflows
    assert workflow.definition == text
    assert workflow.checksum == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.spec("D181")
def test_each_of_several_workflows_gets_its_own_lines() -> None:
    one, two = accept(TWO).workflows
    assert one.definition == textwrap.dedent("""\
        version: '2.0'  # quoted

        one:  # first
          description: |+
            text

          tags: [*x, é]
          tasks:
            # a comment inside
            t: {action: std.echo output="<% $.a %>"}
            # a comment at the end
        """)
    assert two.definition.startswith("version: '2.0'  # quoted\n\n\"two\":\n    tasks:\n")
    assert "one" not in two.definition and "about" not in two.definition
    assert one.checksum == hashlib.md5(one.definition.encode(), usedforsecurity=False).hexdigest()


B = "b: {tasks: {t: {action: x}}}\n"
MANY = [
    TWO,
    TWO.replace("\n", "\r\n"),
    '{"version": "2.0", "a": {"tasks": {"t": {"action": "&x", "tags": ["*b", "yes", "1"]}}},'
    ' "b": {"tasks": {"t": {"action": "x", "input": {"a": [1.5, null, true], "2020-01-01": "é"}}}}}',
    f"version: 2.0\na: {{tasks: {{t: {{action: x,\n input: {{d: 2020-01-01}}}}}}}}\n{B}",
    "version: '2.0'\n? a\n: {tasks: {t: {action: x}}}\n? b\n: {tasks: {t: {action: x}}}\n",
    f"<<: {{a: {{tasks: {{t: {{action: x}}}}}}}}\nversion: '2.0'\n{B}",
    f"  version: '2.0'\n  {B}  a:\n    tasks:\n      t:\n        action: x\n",
    f"version: '2.0'\na: {{tasks: {{t: {{action: x}}}}}}\n{B}a: {{tasks: {{t: {{action: y}}}}}}\n",
    f"version: '2.0'\na: {{tasks: {{t: {{action: x}}}}}}\n{B}".replace("\n", "\r"),
    f"version: '2.0'\na:\n  description: \"x\ny\n# no comment\"\n  tasks: {{t: {{action: x}}}}\n{B}",
    f"version: '2.0'\na:\n  tasks:\n    t:\n      description: |+\n        x\n\n\n{B}",
]


@pytest.mark.spec("D181")
@pytest.mark.parametrize("text", MANY)
def test_a_cut_text_means_the_same(text: str) -> None:
    workflows = parse_workflows(text).workflows
    assert len(workflows) == 2
    for workflow in workflows:
        [again] = parse_workflows(workflow.definition).workflows
        assert again.name == workflow.name and again.data == workflow.data
        assert again.definition == workflow.definition


@pytest.mark.parametrize("text", ["version: '2.0'\na: {base: x}\nb: {base: y, description: d}\n"])
def test_each_action_of_a_list_keeps_the_whole_text(text: str) -> None:
    found = accept(text, ACTIONS).actions
    assert [(item.name, item.definition, item.description) for item in found] == [
        ("a", text, None),
        ("b", text, "d"),
    ]


BOOK = """\
version: '2.0'
name: tn
# workflows: not these
workflows:
    w0:
        tasks:
            w1:
                action: std.noop

    # about w1
    w1:   # yes
        description: |
            literal
              text
        tasks:
            t: {action: std.echo output="folded
              text"}
            # deeper

    "w2":
        tasks: {t: {action: x}}
actions:
  a1: {base: x}
"""


@pytest.mark.spec("D185", "D186")
def test_a_members_text_is_its_own_block_without_indentation() -> None:
    found = accept(BOOK, WORKBOOK).workbook
    assert found is not None
    texts = {item.name: item.definition for item in found.workflows}
    texts |= {item.name: item.definition for item in found.actions}
    assert texts["tn.w0"] == "w0:\n    tasks:\n        w1:\n            action: std.noop\n"
    assert texts["tn.w1"] == textwrap.dedent("""\
        w1:   # yes
            description: |
                literal
                  text
            tasks:
                t: {action: std.echo output="folded
                  text"}
                # deeper
        """)
    assert texts["tn.w2"] == '"w2":\n    tasks: {t: {action: x}}\n'
    assert texts["tn.a1"] == "a1: {base: x}\n"


@pytest.mark.spec("D14", "D185")
def test_members_of_a_workbook_in_json_are_written_anew() -> None:
    task = '{"action": "x", "description": "é &x"}'
    text = f'{{"version": "2.0", "name": "b", "workflows": {{"w": {{"tasks": {{"t": {task}}}}}}}}}'
    found = accept(text, WORKBOOK).workbook
    assert found is not None and found.definition == text
    assert found.workflows[0].definition == "w:\n  tasks:\n    t:\n      action: x\n      description: é &x\n"


@pytest.mark.parametrize("text", [BOOK, BOOK.replace("\n", "\r\n")])
def test_a_members_text_means_the_same(text: str) -> None:
    found = parse_workbook(text).workbook
    assert found is not None
    for workflow in found.workflows:
        [again] = parse_workflows("version: '2.0'\n" + workflow.definition).workflows
        assert again.data == workflow.data


@pytest.mark.spec("D182")
def test_the_input_line_of_a_workflow_quotes_pythons_spelling() -> None:
    data = data_of(accept(W("input: [a, {b: 1}, {d: null}, {f: {g: h}}, {e: [1, 2]}, {s: x}]")))
    assert input_text(data) == 'a, b="1", d="None", f="{\'g\': \'h\'}", e="[1, 2]", s="x"'
    assert input_text(data_of(accept(W("")))) == ""


@pytest.mark.spec("D183")
def test_the_interface_lists_input_and_names_of_output() -> None:
    data = data_of(accept(W("input: [a, {b: 1}]\noutput: {x: 1, y: <% $.a %>}")))
    assert interface(data) == {"input": ["a", {"b": 1}], "output": ["x", "y"]}
    assert interface(data_of(accept(W("")))) == {"input": [], "output": []}


@pytest.mark.spec("D184")
def test_the_input_line_of_an_action_is_json() -> None:
    text = document("act: {base: a, input: [x, {y: 1}, {z: null}, {s: str}, {l: [1, b]}]}")
    [found] = accept(text, ACTIONS).actions
    assert action_input_text(found.data) == 'x, y=1, z=null, s="str", l=[1, "b"]'
    assert action_input_text(FrozenDict()) == ""


def test_the_stored_data_is_the_loaded_map_with_a_few_additions() -> None:
    upload = accept(
        W(
            "vars: {d: 2020-01-01}\n"
            "tasks: {t: {action: std.echo output=1, on-success: {next: u}}, u: {join: all}}"
        )
    )
    expected: dict[str, Any] = {
        "vars": {"d": "2020-01-01"},
        "tasks": {
            "t": {
                "action": "std.echo output=1",
                "on-success": {"next": "u"},
                "name": "t",
                "version": "2.0",
                "type": "direct",
                "input": {"output": 1},
            },
            "u": {"join": "all", "name": "u", "version": "2.0", "type": "direct"},
        },
        "name": "wf",
        "version": "2.0",
    }
    data = upload.workflows[0].data
    assert data == expected and isinstance(data, FrozenDict)
    assert type(data["vars"]["d"]) is str
