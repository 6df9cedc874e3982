"""Shorthand for documents under test: W(x) of the checklist, and what becomes of a text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from tramontane.errors import DefinitionError, Problem
from tramontane.lang import (
    CheckOptions,
    Upload,
    WorkflowSpec,
    load_workflow,
    parse_actions,
    parse_workbook,
    parse_workflows,
)

Parse = Callable[[str | bytes, CheckOptions], Upload]

LENIENT = CheckOptions(reading=False)
STRICT = CheckOptions(strict=True, reading=False)
UNCHECKED = CheckOptions(validate=False)


def document(text: str) -> str:
    """Put a version line before a dedented text."""
    return "version: '2.0'\n" + textwrap.dedent(text).lstrip("\n")


def W(attributes: str) -> str:
    """A workflow ``wf`` with these attributes, and a task ``t`` when they have no tasks."""
    text = textwrap.dedent(attributes).strip("\n")
    if not re.search(r"^tasks:", text, re.MULTILINE):
        text += "\ntasks: {t: {action: std.noop}}"
    return document("wf:\n" + textwrap.indent(text, "  ") + "\n")


def T(attributes: str, others: str = "t2: {action: std.noop}") -> str:
    """A direct workflow whose task ``t`` has these attributes, beside some other tasks."""
    body = textwrap.indent(textwrap.dedent(attributes).strip("\n"), "      ")
    rest = textwrap.indent(textwrap.dedent(others).strip("\n"), "    ")
    return document(f"wf:\n  tasks:\n    t:\n{body}\n{rest}\n")


def accept(text: str | bytes, parse: Parse = parse_workflows, options: CheckOptions = LENIENT) -> Upload:
    """Parse a document that must be taken without any finding."""
    upload = parse(text, options)
    assert not upload.warnings, upload.warnings
    return upload


def refuse(
    text: str | bytes, *found: str, parse: Parse = parse_workflows, options: CheckOptions = LENIENT
) -> DefinitionError:
    """Parse a document that must be refused with a message that holds all of ``found``."""
    with pytest.raises(DefinitionError) as caught:
        parse(text, options)
    for part in found:
        assert part in caught.value.message
    assert any(problem.severity == "error" for problem in caught.value.problems)
    return caught.value


def warn(text: str, *found: str, parse: Parse = parse_workflows) -> Upload:
    """Parse a document that is taken with one warning, and refused under strict checking."""
    upload = parse(text, LENIENT)
    messages = [str(problem) for problem in upload.warnings]
    assert len(messages) == 1, messages
    assert all(problem.severity == "warning" and problem.line > 0 for problem in upload.warnings)
    for part in found:
        assert part in messages[0]
    refuse(text, *found, parse=parse, options=STRICT)
    return upload


def spec_of(upload: Upload) -> WorkflowSpec:
    """Load the only workflow of an upload."""
    [workflow] = upload.workflows
    return load_workflow(workflow.data)


def data_of(upload: Upload) -> dict[str, Any]:
    """Return the stored data of the only workflow of an upload."""
    [workflow] = upload.workflows
    return workflow.data


def task_input(text: str) -> Any:
    """Return the stored input of task ``t`` of the only workflow."""
    return data_of(parse_workflows(text))["tasks"]["t"].get("input")


def problem_of(error: DefinitionError, path: str) -> Problem:
    """Return the one problem at a path."""
    [problem] = [item for item in error.problems if item.path == path]
    return problem


WORKBOOK = parse_workbook
ACTIONS = parse_actions
