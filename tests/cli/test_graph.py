"""``tramontane graph``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from tramontane.cli import main

TWO = """version: '2.0'
first: {tasks: {a: {on-success: b}, b: {action: std.noop}}}
second: {tasks: {c: {action: std.noop}}}
"""
ONE = "version: '2.0'\nfirst: {tasks: {a: {on-success: b}, b: {action: std.noop}}}\n"
BOOK = """version: '2.0'
name: book
workflows:
  first: {tasks: {a: {action: std.noop}}}
  second: {tasks: {c: {action: std.noop}}}
"""


def graph(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["graph", *map(str, arguments)], input=stdin)


def test_the_only_workflow_is_drawn_as_mermaid() -> None:
    result = graph("-", stdin=ONE)
    assert result.exit_code == 0
    assert result.output.startswith('---\ntitle: "first"\n---\nflowchart TD\n')


@pytest.mark.parametrize(("wanted", "start"), [("dot", "digraph"), ("svg", "<svg "), ("mermaid", "---")])
def test_the_format_can_be_chosen(wanted: str, start: str) -> None:
    assert graph("-", "--format", wanted, stdin=ONE).output.startswith(start)


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", "<svg "), ("a.gv", "digraph"), ("a.dot", "digraph"), ("a.md", "---")]
)
def test_the_name_of_the_output_tells_the_format(tmp_path: Path, name: str, start: str) -> None:
    target = tmp_path / name
    result = graph("-", "-o", target, stdin=ONE)
    assert (result.exit_code, result.output) == (0, "")
    assert target.read_text(encoding="utf-8").startswith(start)


def test_the_format_given_wins_over_the_name(tmp_path: Path) -> None:
    target = tmp_path / "a.dot"
    graph("-", "-o", target, "--format", "svg", stdin=ONE)
    assert ElementTree.fromstring(target.read_text(encoding="utf-8")).tag.endswith("svg")


def test_one_of_several_workflows_has_to_be_named() -> None:
    result = graph("-", stdin=TWO)
    assert result.exit_code == 2
    assert "first, second" in result.output
    assert 'title: "second"' in graph("-", "--workflow", "second", stdin=TWO).output
    assert "has no workflow 'third'" in graph("-", "-w", "third", stdin=TWO).output


def test_a_member_of_a_workbook_is_found_by_either_name() -> None:
    assert 'title: "second"' in graph("-", "-w", "second", stdin=BOOK).output
    assert 'title: "second"' in graph("-", "-w", "book.second", stdin=BOOK).output


def test_a_document_that_is_refused_is_not_drawn() -> None:
    result = graph("-", stdin=ONE.replace("on-success: b", "on-success: z"))
    assert result.exit_code == 1
    assert "Task 'z' not found." in result.output
    assert "flowchart" not in result.output


def test_an_output_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    result = graph("-", "-o", tmp_path / "no" / "a.svg", stdin=ONE)
    assert result.exit_code == 1
    assert "can't be written" in result.output
