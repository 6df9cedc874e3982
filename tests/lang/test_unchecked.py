"""Uploads without validation (section 8.2)."""

from __future__ import annotations

import pytest
from tests.lang.lab import ACTIONS, UNCHECKED, WORKBOOK, T, W, accept, document, refuse, spec_of
from tests.lang.test_tasks import constant


@pytest.mark.spec("D178")
@pytest.mark.parametrize(
    "text",
    [
        T("on-success: zzz"),
        T("unknown: 1"),
        T("publish: {a: <% $. %>}"),
        T("timeout: -1"),
        T("join: all"),
        T("retry: {count: 1}"),
        T("input: abc"),
        W("output: {a: <% $. %>}"),
        W("tasks: {a: {on-success: a}}"),
        W("foo: 1"),
        "wf: {tasks: {t: {action: std.noop}}}\n",
        W("description: x\ndescription: y"),
        T("on-success: 5"),
        T("on-success: [5, [t2], {t2: 5}]"),
        T("timeout: null"),
    ],
)
def test_neither_schema_nor_expressions_nor_structure_are_checked(text: str) -> None:
    spec = spec_of(accept(text, options=UNCHECKED))
    assert list(spec.tasks.values())


@pytest.mark.spec("D178")
def test_an_unknown_target_stays_in_the_spec() -> None:
    spec = spec_of(accept(T("action: a\nworkflow: b\non-success: zzz"), options=UNCHECKED))
    assert [target.name for target in spec.tasks["t"].on_success.targets] == ["zzz"]
    assert spec.tasks["t"].workflow is None and constant(spec.tasks["t"].action) == "a"


@pytest.mark.spec("D179")
@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "[1]",
        "",
        "version: '2.0'\n",
        T("with-items: bad"),
        W("type: foo"),
        W("type: [a]"),
        T("action: /x a=1"),
        document("wf:"),
        document("wf: {}"),
        document("wf: {description: x}"),
        W("tasks: [a]"),
        W("tasks: {t: null}"),
        W("tasks: {t: std.noop}"),
        W("input: 5"),
        document("'a b': {tasks: {t: {action: x}}}"),
        document("5: {tasks: {t: {action: x}}}"),
    ],
)
def test_what_could_not_be_loaded_is_still_refused(text: str) -> None:
    refuse(text, options=UNCHECKED)


def test_actions_and_workbooks_need_their_shape_too() -> None:
    refuse("a: {description: x}", parse=ACTIONS, options=UNCHECKED)
    refuse("workflows: {}", parse=WORKBOOK, options=UNCHECKED)
    accept("name: wb\nother: 1\nworkflows: null\n", WORKBOOK, UNCHECKED)
    accept("a: {base: x, other: 1}\n", ACTIONS, UNCHECKED)
