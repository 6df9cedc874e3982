from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tramontane.cli import main
from tramontane.cli.diagnostics import Source, render
from tramontane.cli.documents import guess_kind
from tramontane.errors import Problem

GOOD = """version: '2.0'
greet:
  tasks:
    say:
      action: std.echo output="hi"
"""
MISSPELT = GOOD.replace("action:", "actoin:")
DOUBTFUL = GOOD.replace("  tasks:", "  on-error: say\n  tasks:")


Write = Callable[..., Path]


def validate(*arguments: str | Path, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)], input=stdin)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "flow.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_a_good_file_is_named_with_what_it_holds(write: Write) -> None:
    result = validate(write(GOOD))
    assert result.exit_code == 0
    assert result.output.endswith("flow.yaml: valid workflows: greet\n")


def test_an_error_shows_place_line_mark_and_a_guess_of_what_was_meant(write: Write) -> None:
    path = write(MISSPELT)
    result = validate(path)
    assert result.exit_code == 1
    first, line, mark, *_, last = result.output.splitlines()
    assert first.startswith(f"{path}:5:7: error: ")
    assert "'actoin'" in first
    assert "did you mean 'action'?" in first
    assert line == '    5 |       actoin: std.echo output="hi"'
    assert mark == "      |       ^^^^^^"
    assert last == f"{path}: refused: 1 error"


def test_all_problems_of_a_file_are_shown_in_the_order_of_the_text(write: Write) -> None:
    result = validate(write(MISSPELT + "      on-success: nowhere\n"))
    places = [
        line.split(": ")[0].rsplit(":", 2)[1] for line in result.output.splitlines() if ": error:" in line
    ]
    assert places == ["5", "6"]


def test_warnings_are_shown_and_let_the_file_pass(write: Write) -> None:
    result = validate(write(DOUBTFUL))
    assert result.exit_code == 0
    assert ":3:3: warning: " in result.output
    assert "valid workflows: greet, 1 warning" in result.output


def test_strict_checking_turns_warnings_into_errors(write: Write) -> None:
    result = validate("--strict", write(DOUBTFUL))
    assert result.exit_code == 1
    assert ":3:3: error: " in result.output


def test_one_bad_file_among_good_ones_gives_status_1_and_all_are_checked(write: Write) -> None:
    result = validate(write(GOOD, "a.yaml"), write(MISSPELT, "b.yaml"), write(GOOD, "c.yaml"))
    assert result.exit_code == 1
    assert "a.yaml: valid" in result.output
    assert "c.yaml: valid" in result.output


def test_json_has_every_finding_with_its_place(write: Write) -> None:
    path = write(MISSPELT)
    result = validate("--json", path)
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["valid"] is False
    (file,) = found["files"]
    assert (file["file"], file["kind"], file["valid"], file["workflows"]) == (
        str(path),
        "workflows",
        False,
        [],
    )
    (problem,) = file["problems"]
    assert (problem["severity"], problem["line"], problem["column"]) == ("error", 5, 7)
    assert problem["path"] == "greet.tasks.say.actoin"


def test_json_of_a_good_file_names_its_workflows(write: Write) -> None:
    found = json.loads(validate("--json", write(GOOD)).output)
    assert found["valid"] is True
    assert found["files"][0]["workflows"] == ["greet"]


def test_the_standard_input_is_a_file_too() -> None:
    result = validate("-", stdin=MISSPELT)
    assert result.exit_code == 1
    assert result.output.startswith("<stdin>:5:7: error: ")


def test_text_that_is_no_yaml_is_refused_with_its_place(write: Write) -> None:
    result = validate(write("version: '2.0'\ngreet: [\n"))
    assert result.exit_code == 1
    assert re.search(r"flow\.yaml:\d+:\d+: error: .+", result.output)
    assert "refused: 1 error" in result.output


def test_bytes_that_are_no_text_are_refused_with_their_place(write: Write) -> None:
    path = write(b"version: '2.0'\nab\xff: 1\n")
    result = validate(path)
    assert result.exit_code == 1
    assert result.output.startswith(f"{path}:2:3: error: the file isn't text in UTF-8")


def test_a_file_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    result = validate(tmp_path / "nothing.yaml")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"Error: {tmp_path / 'nothing.yaml'} can't be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (GOOD, "workflows"),
        ("version: '2.0'\nname: book\nworkflows: {w: {tasks: {t: {}}}}", "workbook"),
        ("version: '2.0'\nname: book", "workbook"),
        ("version: '2.0'\nworkflows: {w: {tasks: {t: {}}}}", "workbook"),
        ("version: '2.0'\nworkflows: {tasks: {t: {}}}", "workflows"),
        ("version: '2.0'\nname: {tasks: {t: {}}}", "workflows"),
        ("version: '2.0'\na: {base: std.echo}\nb: {base: std.noop}", "actions"),
        ("version: '2.0'", "workflows"),
        ("- a", "workflows"),
        ("a: [", "workflows"),
        ("", "workflows"),
    ],
)
def test_the_kind_of_a_document_shows_in_its_shape(text: str, kind: str) -> None:
    assert guess_kind(text) == kind


def test_the_kind_can_be_given(write: Write) -> None:
    path = write("version: '2.0'\nname: book\n")
    assert validate(path).exit_code == 0
    assert validate("--kind", "workflows", path).exit_code == 1


def marked(line: str, column: int) -> tuple[str, str]:
    _, text, mark = map(click.unstyle, render(Problem("wrong", line=1, column=column), Source("f", line)))
    return text[8:], mark[8:]


def test_the_mark_stands_under_the_word_whatever_is_before_it() -> None:
    assert marked("a: bad-word, c", 4) == ("a: bad-word, c", "   ^^^^^^^^")
    assert marked("\ta: {", 2) == ("\ta: {", "\t^")
    assert marked("日本: x", 5) == ("日本: x", "      ^")
    assert marked("short", 99) == ("short", "     ^")


def test_a_long_line_is_cut_around_the_mark() -> None:
    text, mark = marked("x" * 300 + " here " + "y" * 300, 302)
    assert text[mark.index("^") :].startswith("here")
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) < 120


def test_characters_that_move_the_cursor_are_not_printed() -> None:
    text, _ = marked("a: \x1b[31m", 1)
    assert "\x1b" not in text
