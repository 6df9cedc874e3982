"""``tramontane test``: files found, cases run, results shown and written."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from tests.cli.program import ROOT, run

from tramontane.cli import main

GREET = "version: '2.0'\ngreet: {input: [who], output: {to: <% $.who %>}, tasks: {t: {action: std.noop}}}\n"
GOOD = "tests: [{name: good, input: {who: A}, expect: {output: {to: A}}}]\n"
MIXED = """tests:
- {name: good, input: {who: A}}
- {name: bad, input: {who: "\\e[1m<B>"}, expect: {output: {to: A}}}
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["test", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greet.yaml").write_text(GREET, encoding="utf-8")
    (tmp_path / "greet.test.yaml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def test_all_examples_have_tests_that_pass() -> None:
    definitions = [path for path in (ROOT / "examples").rglob("*.yaml") if ".test." not in path.name]
    assert all(path.with_name(f"{path.stem}.test.yaml").exists() for path in definitions)
    ended = run("test", "examples", cwd=ROOT)
    assert ended.status == 0, ended.out + ended.err
    assert "✗" not in ended.out and ended.out.count("✓") > len(definitions)


def test_a_test_file_a_definition_and_a_folder_mean_the_same(folder: Path) -> None:
    for argument in (folder, folder / "greet.yaml", folder / "greet.test.yaml"):
        ended = call(argument)
        assert (ended.exit_code, ended.output.splitlines()[1:]) == (0, ["  ✓ good", "1 passed"])
    assert call(folder, folder / "greet.yaml").output.count("✓") == 1


def test_without_a_file_the_present_folder_is_tested(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert call().output == "greet.test.yaml\n  ✓ good\n1 passed\n"


def test_a_failed_case_shows_its_place_the_difference_and_what_ran(folder: Path) -> None:
    (folder / "greet.test.yaml").write_text(MIXED, encoding="utf-8")
    ended = call(folder)
    assert ended.exit_code == 1
    for part in (
        "✗ bad",
        "greet.test.yaml:3",
        "output",
        '-   "to": "A"',
        "ran: t SUCCESS",
        "1 passed, 1 failed",
    ):
        assert part in ended.output
    assert "\x1b" not in ended.output


def test_verbose_shows_the_tasks_of_passed_cases(folder: Path) -> None:
    assert "ran: t SUCCESS" in call("-v", folder).output
    assert "ran:" not in call(folder).output


def test_cases_are_chosen_by_a_part_of_file_and_name(folder: Path) -> None:
    (folder / "greet.test.yaml").write_text(MIXED, encoding="utf-8")
    assert call("-k", "GOOD", folder).exit_code == 0
    assert call("-k", "greet.test", folder).exit_code == 1
    ended = call("-k", "nothing", folder)
    assert (ended.exit_code, ended.output) == (2, "Error: no case contains 'nothing'\n")


def test_results_are_written_for_continuous_integration(folder: Path) -> None:
    (folder / "greet.test.yaml").write_text(MIXED, encoding="utf-8")
    assert call("--junit", folder / "results.xml", folder).exit_code == 1
    root = ElementTree.parse(folder / "results.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    (suite,) = root
    good, bad = suite
    assert suite.get("name") == str(folder / "greet.test.yaml")
    assert (good.get("name"), list(good)) == ("good", [])
    (failure,) = bad
    assert failure.get("message") == "output"
    assert failure.text is not None and '+   "to": ' in failure.text
    assert call("--junit", folder / "no" / "x.xml", folder).exit_code == 2


@pytest.mark.parametrize(
    ("file", "text", "shown"),
    [
        (
            "greet.test.yaml",
            "tests: [{name: x, inptu: {}}]",
            "greet.test.yaml:1:19: error: unknown attribute",
        ),
        ("greet.yaml", "version: '2.0'\ngreet: {tasks: {t: {actoin: a}}}", "greet.yaml:2:21: error: unknown"),
        ("greet.test.yaml", "tests: [", "greet.test.yaml:1:"),
        ("greet.test.yaml", "definitions: other.yaml\ntests: []", "can't be read"),
        ("greet.test.yaml", "tests: []", "the test files hold no cases"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_command_with_status_2(
    folder: Path, file: str, text: str, shown: str
) -> None:
    (folder / file).write_text(text, encoding="utf-8")
    ended = call(folder)
    assert ended.exit_code == 2
    assert shown in ended.output
    assert "Traceback" not in ended.output


def test_a_definition_without_tests_and_tests_without_a_definition_are_told(folder: Path) -> None:
    (folder / "greet.test.yaml").rename(folder / "other.test.yaml")
    assert "greet.test.yaml doesn't exist beside it" in call(folder / "greet.yaml").output
    assert "which doesn't exist beside it" in call(folder / "other.test.yaml").output
    (folder / "empty").mkdir()
    assert call(folder / "empty").exit_code == 2


def test_definitions_may_be_several_files_of_all_kinds(folder: Path) -> None:
    book = "version: '2.0'\nname: b\nactions: {say: {base: std.echo, base-input: {output: 5}}}\n"
    tasks = "{t: {action: b.say, on-success: u}, u: {workflow: greet who=1}}"
    caller = f"version: '2.0'\nw: {{output: {{x: <% task(t).result %>}}, tasks: {tasks}}}\n"
    (folder / "book.yaml").write_text(book, encoding="utf-8")
    (folder / "w.yaml").write_text(caller, encoding="utf-8")
    (folder / "w.test.yaml").write_text(
        "definitions: [w.yaml, book.yaml, greet.yaml]\n"
        "tests: [{name: x, workflow: w, expect: {output: {x: 5}, tasks: {include: [greet/t]}}}]\n",
        encoding="utf-8",
    )
    ended = call(folder / "w.test.yaml")
    assert ended.exit_code == 0, ended.output
