"""What YAML means here (language specification, section 1.1), and the version (1.2)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.lang.lab import ACTIONS, WORKBOOK, Parse, W, accept, data_of, document, refuse, warn

from tramontane.lang import CheckOptions, parse_workflows

KINDS = [parse_workflows, WORKBOOK, ACTIONS]


@pytest.mark.spec("D1")
@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null", "0", "false", "[]", "''"])
def test_an_empty_document_lacks_its_version(text: str) -> None:
    refuse(text, "Invalid DSL: ", "'version' is missing")


@pytest.mark.spec("D2", "D3", "D4")
@pytest.mark.parametrize("parse", KINDS)
@pytest.mark.parametrize("text", ["[1, 2]", "abc", "5", "- version: '2.0'"])
def test_only_a_map_is_a_document(parse: Parse, text: str) -> None:
    refuse(text, "Invalid DSL: ", "is not of type 'object'", parse=parse)


@pytest.mark.spec("D5", "D6", "D8", "D9", "D17")
@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: 1\n---\nb: 2\n",
        W("description: x") + "---\n",
        "version: '2.0'\nwf:\n\ttasks: {t: {action: std.noop}}\n",
        "!!python/object:os.system {}",
        "wf: &x\n  tasks: {t: {action: std.noop}}\n",
        "a: \x07",
        "a: %b",
        "a: `b`",
        "? [a]\n: b\n",
        "a: !thing {}",
        "a: !!seq {}",
        "a: !!int abc",
        "a: {{ _.x }}",
        "a: {<<: [1]}",
        'a: "\\ud83d"',
    ],
)
def test_what_is_no_yaml_can_not_be_parsed(text: str) -> None:
    error = refuse(text)
    assert error.message.startswith("Definition could not be parsed: ")
    [problem] = error.problems
    assert problem.line > 0 and problem.column > 0


@pytest.mark.spec("D8")
def test_a_tab_is_named_with_its_place() -> None:
    [problem] = refuse("wf:\n\ttasks: 1\n", "indent with spaces").problems
    assert (problem.line, problem.column) == (2, 1)


@pytest.mark.spec("D10")
@pytest.mark.parametrize("parse", KINDS)
def test_bytes_must_be_utf8(parse: Parse) -> None:
    error = refuse(b"\xff\xfe", "UTF-8", parse=parse)
    assert error.message.startswith("Definition could not be parsed: ")


@pytest.mark.spec("D7", "D11", "D12", "D13")
@pytest.mark.parametrize(
    "text",
    [
        "---\n" + W("description: é"),
        W("description: x") + "...\n",
        "%YAML 1.2\n---\n" + W("description: x"),
        "%YAML 1.3\n---\n" + W("description: x"),
        "\ufeff" + W("description: x"),
        W("description: x").replace("\n", "\r\n"),
        '{"version": "2.0", "wf": {"tasks": {"t": {"action": "std.noop", "description": "\\ud83d\\ude00"}}}}',
        '{\n\t"version": "2.0",\n\t"wf": {"tasks": {"t": {"action": "std.noop"}}}\n}',
    ],
)
def test_harmless_forms_are_taken_and_kept_byte_for_byte(text: str) -> None:
    assert accept(text).workflows[0].definition == text
    assert accept(text.encode()).workflows[0].definition == text


@pytest.mark.spec("D13")
def test_surrogate_pairs_of_json_become_one_character() -> None:
    text = '{"version": "2.0", "wf": {"description": "\\ud83d\\ude00", "tasks": {"t": {"action": "a"}}}}'
    assert data_of(accept(text))["description"] == "\N{GRINNING FACE}"


@pytest.mark.spec("D15")
def test_of_a_key_that_stands_twice_the_last_one_wins_with_a_warning() -> None:
    text = W("tasks:\n  a: {action: std.noop}\n  b: {action: std.noop}\n  a: {action: std.echo}")
    upload = warn(text, "'a' stands twice", "wf.tasks.a")
    assert upload.warnings[0].line == 6
    assert data_of(upload)["tasks"]["a"]["action"] == "std.echo"


@pytest.mark.spec("D16")
def test_anchors_aliases_and_at_signs_are_text() -> None:
    assert data_of(accept(W("tags: [*x, &b, @c]")))["tags"] == ["*x", "&b", "@c"]
    values = data_of(accept(W("vars: {a: * 2, b: '&', c: x&y, d: \"@\\u0041\"}")))["vars"]
    assert values == {"a": "* 2", "b": "&", "c": "x&y", "d": "@A"}


@pytest.mark.spec("D16")
def test_private_characters_of_a_document_are_left_alone() -> None:
    values = data_of(accept(W("vars: {a: '\ue000', b: '\ue001 &', c: *x}")))["vars"]
    assert values == {"a": "\ue000", "b": "\ue001 &", "c": "*x"}


@pytest.mark.spec("D18")
def test_inline_maps_are_merged() -> None:
    values = data_of(accept(W("vars: {d: {<<: {y: 2, z: 1}, z: 3}, e: {<<: [{a: 1}, {a: 2, b: 2}]}}")))[
        "vars"
    ]
    assert values == {"d": {"y": 2, "z": 3}, "e": {"a": 1, "b": 2}}


@pytest.mark.spec("D19", "D20", "D21", "D22")
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("010", 8),
        ("0x10", 16),
        ("0b11", 3),
        ("1_000", 1000),
        ("12:30", 750),
        ("-5", -5),
        ("09", "09"),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("1e3", "1e3"),
        ("1.0e+3", 1000.0),
        ("1:30.5", 90.5),
        ("-.inf", float("-inf")),
        ("~", None),
        ("''", ""),
        ("'5'", "5"),
        ("9" * 50, int("9" * 50)),
        ("0x_", "0x_"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01 10:20:30", "2020-01-01T10:20:30.000000"),
        ("2020-01-01T10:20:30.5Z", "2020-01-01T10:20:30.500000+00:00"),
        ("2020-01-01 10:20:30 -5", "2020-01-01T10:20:30.000000-05:00"),
        ("2020-02-31", "2020-02-31"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("!!binary aGk=", "hi"),
        ("!!binary /w==", "/w=="),
        ("!!set {a, b}", ["a", "b"]),
        ("!!omap [{a: 1}]", [["a", 1]]),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_1(written: str, value: Any) -> None:
    upload = accept(W(f"vars:\n  a: {written}\n  b: {{c: {written}}}"))
    values = data_of(upload)["vars"]
    assert values == {"a": value, "b": {"c": value}}
    assert isinstance(values["a"], type(value)) and isinstance(values["a"], bool) is isinstance(value, bool)


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 4000])
def test_a_number_too_long_to_be_stored_is_refused(digits: str) -> None:
    refuse(W(f"vars: {{a: {digits}}}"), "too many digits")


@pytest.mark.spec("D23", "D25")
@pytest.mark.parametrize(
    ("text", "path", "quoted"),
    [
        (W("vars: {1: 2}"), "wf.vars.1", "'1'"),
        (W("output: {yes: 2}"), "wf.output.true", "'true'"),
        (W("input: [{1.5: 2}]"), "wf.input[0].1.5", "'1.5'"),
        (W("tasks: {t: {on: x}}"), "wf.tasks.t.true", "'true'"),
        (W("tasks: {5: {action: x}}"), "wf.tasks.5", "'5'"),
        (W("tasks: {t: {publish: {null: x}}}"), "wf.tasks.t.publish.null", "'null'"),
        (W("2020-01-01: x"), "wf.2020-01-01", "'2020-01-01'"),
    ],
)
def test_keys_that_are_no_text_are_refused_where_they_have_a_meaning(
    text: str, path: str, quoted: str
) -> None:
    error = refuse(text, "expected text: put it in quotes", quoted)
    assert path in [problem.path for problem in error.problems]


@pytest.mark.spec("D24")
def test_keys_deep_inside_values_become_text() -> None:
    values = data_of(accept(W("vars: {a: {1: x, true: y, null: z, 1.5: w}}")))["vars"]
    assert values == {"a": {"1": "x", "true": "y", "null": "z", "1.5": "w"}}


@pytest.mark.spec("D26", "D27")
@pytest.mark.parametrize("name", ["123", "null", "yes", "2020-01-01", "1.5"])
def test_a_workflow_name_is_text(name: str) -> None:
    refuse(document(f"{name}: {{tasks: {{t: {{action: std.noop}}}}}}"), "expected text: put it in quotes")


@pytest.mark.spec("D28", "D29")
@pytest.mark.parametrize("parse", [parse_workflows, ACTIONS])
@pytest.mark.parametrize(
    "line",
    ["", "version: ''", "version:", "version: true", "version: -1", "version: [2]", "version: 2020-01-01"],
)
def test_a_list_document_needs_a_version(parse: Parse, line: str) -> None:
    item = "wf: {tasks: {t: {action: std.noop}}}" if parse is parse_workflows else "act: {base: std.noop}"
    refuse(f"{line}\n{item}\n", "version", parse=parse)


@pytest.mark.spec("D30", "D31")
@pytest.mark.parametrize("version", ["2", "'2'", "2.0", "'2.0'", "v2.0"])
def test_all_spellings_of_version_2_are_one(version: str) -> None:
    upload = accept(f"version: {version}\nwf: {{tasks: {{t: {{action: std.noop}}}}}}\n")
    assert data_of(upload)["version"] == "2.0"
    workbook = accept(f"version: {version}\nname: wb\n", WORKBOOK).workbook
    assert workbook is not None and workbook.data["version"] == "2.0"


@pytest.mark.parametrize("version", ["3", "abc", "2.1", "'1.0'"])
def test_other_versions_are_warned_about(version: str) -> None:
    shown = version.strip("'")
    warn(
        f"version: {version}\nwf: {{tasks: {{t: {{action: std.noop}}}}}}\n",
        f"Unsupported DSL version: {shown}",
    )


@pytest.mark.spec("D32")
@pytest.mark.parametrize("version", ["'3'", "3", "'1.0'", "abc"])
def test_a_workbook_has_version_2(version: str) -> None:
    shown = version.strip("'")
    refuse(f"version: {version}\nname: wb\n", f"Unsupported DSL version: {shown}", parse=WORKBOOK)


@pytest.mark.spec("D33")
@pytest.mark.parametrize("parse", [parse_workflows, ACTIONS])
def test_a_list_document_holds_at_least_one_item(parse: Parse) -> None:
    refuse("version: '2.0'\n", "At least one", parse=parse)


def test_nesting_is_bounded() -> None:
    refuse("a: " + "[" * 100_000, "nested deeper than 200 levels")
    refuse("\n".join(" " * n + "a:" for n in range(300)), "nested deeper than 200 levels")
    accept(W("vars: {a: " + "[" * 150 + "]" * 150 + "}"))


def test_a_text_past_the_limit_is_refused_at_once() -> None:
    options = CheckOptions(max_bytes=100)
    for text in ("x" * 101, b"x" * 101, "é" * 60):
        refuse(text, "larger than 100 bytes", options=options)


def test_all_private_characters_in_one_text_are_too_many() -> None:
    everything = "".join(map(chr, [*range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE)]))
    refuse(f"a: '{everything}'\nb: *x", "private-use")
