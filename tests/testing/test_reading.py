"""Test files that can't be meant: each finding has its place and says what was expected."""

from __future__ import annotations

import pytest
from tests.testing.lab import cases, problems

from tramontane.errors import DefinitionError
from tramontane.testing import open_file

ONE = "wf: {tasks: {a: {action: std.noop, on-success: b}, b: {action: std.noop}}}"
TWO = ONE + "\nother: {tasks: {c: {action: std.noop}}}"
BOOK = "name: book\nworkflows: {wf: {tasks: {a: {action: std.noop}}}, x: {tasks: {b: {action: std.noop}}}}"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("tests: 5", 1, 8, "found the number 5, expected a list of cases"),
        ("test: []", 1, 1, "unknown attribute of a test file 'test' (did you mean 'tests'?)"),
        ("tests: [{name: x, inputs: {}}]", 1, 19, "(did you mean 'input'?)"),
        ("tests: [{input: {}}]", 1, 9, "'name' is missing"),
        ("tests:\n- name: x\n- name: x", 3, 9, "the case in line 2 has the same name"),
        ("tests: [{name: x, name: y}]", 1, 19, "the key 'name' stands twice"),
        ("tests: [{name: x, workflow: wff}]", 1, 29, "there is no workflow 'wff' (did you mean 'wf'?)"),
        ("tests: [{name: x, input: 7}]", 1, 26, "expected a map"),
        ("tests: [{name: x, run-for: long}]", 1, 28, "expected seconds"),
        ("tests: [{name: x, mock: {task: {}}}]", 1, 26, "unknown kind of mock 'task'"),
        (
            "tests: [{name: x, mock: {tasks: {aa: {result: 1}}}}]",
            1,
            34,
            "has a task 'aa' (did you mean 'a'?)",
        ),
        ("tests: [{name: x, mock: {tasks: {no/a: {result: 1}}}}]", 1, 34, "there is no workflow 'no'"),
        (
            "tests: [{name: x, mock: {tasks: {wf/z: {result: 1}}}}]",
            1,
            34,
            "the workflow 'wf' has no task 'z'",
        ),
        ("tests: [{name: x, mock: {tasks: {a: 1}}}]", 1, 37, "expected a mock"),
        ("tests: [{name: x, mock: {tasks: {a: []}}}]", 1, 37, "expected at least one outcome"),
        ("tests: [{name: x, mock: {tasks: {a: {}}}}]", 1, 37, "expected exactly one of result, error"),
        (
            "tests: [{name: x, mock: {tasks: {a: {result: 1, error: 2}}}}]",
            1,
            37,
            "found 'result' and 'error'",
        ),
        ("tests: [{name: x, mock: {tasks: {a: {error: null}}}}]", 1, 45, "any other value but null"),
        ("tests: [{name: x, mock: {tasks: {a: {never: 1}}}}]", 1, 45, "expected true"),
        ("tests: [{name: x, mock: {workflows: {w: {result: 1}}}}]", 1, 50, "the output of the workflow"),
        ("tests: [{name: x, steps: [{}]}]", 1, 27, "expected exactly one of pause, resume"),
        (
            "tests: [{name: x, steps: [{pause: true, at: 1, when: {state: ERROR}}]}]",
            1,
            27,
            "both 'at' and 'when'",
        ),
        ("tests: [{name: x, steps: [{pause: true, when: {task: a}}]}]", 1, 47, "'state' is missing"),
        ("tests: [{name: x, steps: [{rerun: {reset: true}}]}]", 1, 35, "'task' is missing"),
        ("tests: [{name: x, steps: [{stop: {state: DONE}}]}]", 1, 42, "expected one of SUCCESS"),
        ("tests: [{name: x, expect: {state: SUCESS}}]", 1, 35, "(did you mean 'SUCCESS'?)"),
        ("tests: [{name: x, expect: {refused: no, state: ERROR}}]", 1, 41, "nothing else to expect"),
        ("tests: [{name: x, expect: {tasks: [c]}}]", 1, 36, "the workflow 'wf' has no task 'c'"),
        ("tests: [{name: x, expect: {calls: {std.http: x}}}]", 1, 46, "a number of calls"),
        ("tests: [{name: x, 5: 6}]", 1, 19, "put it in quotes"),
        ("tests: [{name: x", 1, 17, ""),
        ("[]", 1, 1, "expected a map with 'tests'"),
        ("{}", 1, 1, "'tests' is missing"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(text: str, line: int, column: int, message: str) -> None:
    found = problems(ONE, text)
    assert found, text
    assert any((each.line, each.column) == (line, column) and message in each.message for each in found), (
        found
    )


def test_all_mistakes_are_reported_at_once() -> None:
    text = "tests:\n- {name: x, input: 1, expect: {state: x}}\n- {name: y, steps: 5}\n"
    assert {each.line for each in problems(ONE, text)} == {2, 3}
    assert len(problems(ONE, text)) == 3


def test_several_workflows_want_one_named() -> None:
    assert (
        "'workflow' is missing; the definitions hold other, wf"
        in problems(TWO, "tests: [{name: x}]")[0].message
    )
    (case,) = cases(TWO, "workflow: other\ntests: [{name: x}]")
    assert case.workflow == "other"


def test_members_of_a_workbook_go_by_their_short_names() -> None:
    (case,) = cases(BOOK, "tests: [{name: x, workflow: x, mock: {tasks: {wf/a: {result: 1}}}}]")
    assert case.workflow == "book.x"
    assert list(case.mocks.tasks) == [("book.wf", "a")]


def test_a_case_knows_its_line() -> None:
    first, second = cases(ONE, "tests:\n\n- name: x\n- name: y\n")
    assert (first.line, second.line) == (3, 4)


def test_a_file_names_its_definitions() -> None:
    assert open_file("tests: []").definitions is None
    assert open_file("definitions: a.yaml").definitions == ("a.yaml",)
    assert open_file("definitions: [a.yaml, b.yaml]").definitions == ("a.yaml", "b.yaml")
    with pytest.raises(DefinitionError):
        open_file("definitions: 5")
