"""Reading definitions from files: text, kind of document, and what the language makes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import click

from tramontane.cli.diagnostics import Source, render
from tramontane.errors import DefinitionError, Problem
from tramontane.lang import parse_actions, parse_workbook, parse_workflows
from tramontane.lang.document import CheckOptions, Upload, WorkflowDocument
from tramontane.lang.yaml_loader import YamlError, load

Kind = Literal["workflows", "workbook", "actions"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STDIN: Final = "-"
PATHS: Final[dict[Kind, str]] = {"workflows": "workflows", "workbook": "workbooks", "actions": "actions"}
"""Where documents of each kind are uploaded to, below ``/v2``."""

_PARSERS: Final[dict[Kind, Callable[[str, CheckOptions], Upload]]] = {
    "workflows": parse_workflows,
    "workbook": parse_workbook,
    "actions": parse_actions,
}


@dataclass(frozen=True)
class Checked:
    """What became of one file; ``upload`` is None when it is refused."""

    source: Source
    kind: Kind
    problems: tuple[Problem, ...]
    upload: Upload | None

    @property
    def is_valid(self) -> bool:
        return self.upload is not None

    @property
    def workflows(self) -> tuple[WorkflowDocument, ...]:
        holder = self.upload and (self.upload.workbook or self.upload)
        return holder.workflows if holder else ()

    @property
    def names(self) -> dict[str, list[str]]:
        """Names of the workflows and actions that the file defines."""
        holder = self.upload and (self.upload.workbook or self.upload)
        return {
            "workflows": [workflow.name for workflow in self.workflows],
            "actions": [action.name for action in holder.actions] if holder else [],
        }

    def choose(self, wanted: str | None) -> WorkflowDocument:
        """Find a workflow: by its name, a workbook's member by its short name too, or the only one.

        Raises:
            click.UsageError: when that is none; the message lists those that the file holds.
        """
        file, known = self.source.name, ", ".join(self.names["workflows"]) or "none"
        if wanted is None:
            if len(self.workflows) == 1:
                return self.workflows[0]
            raise click.UsageError(f"name the workflow with --workflow; {file} holds {known}")
        prefix = f"{self.upload.workbook.name}." if self.upload and self.upload.workbook else ""
        for workflow in self.workflows:
            if workflow.name in (wanted, prefix + wanted):
                return workflow
        raise click.UsageError(f"{file} has no workflow '{wanted}'; it holds {known}")


def check(file: str, kind: Kind | None, *, strict: bool = False) -> Checked:
    """Read and check one file; without a ``kind`` its shape tells."""
    source, found = Source("<stdin>" if file == STDIN else file, ""), kind or "workflows"
    try:
        source = read_source(file)
        found = kind or guess_kind(source.text)
        upload = _PARSERS[found](source.text, CheckOptions(strict=strict))
    except DefinitionError as error:
        return Checked(source, found, error.problems or (Problem(error.message),), None)
    return Checked(source, found, upload.warnings, upload)


def check_for_use(file: str, kind: Kind | None, *, quiet: bool) -> Checked:
    """Check a file that is to be worked with: one that is refused ends the command.

    Findings go to the standard error; ``quiet`` leaves out warnings.
    """
    checked = check(file, kind)
    if not (quiet and checked.is_valid):
        for problem in checked.problems:
            for line in render(problem, checked.source):
                click.echo(line, err=True)
    if not checked.is_valid:
        raise click.exceptions.Exit(1)
    return checked


def read_source(path: str) -> Source:
    """Read a file, or the standard input for ``-``.

    Raises:
        click.ClickException: when it can't be read.
        DefinitionError: when it isn't text in UTF-8.
    """
    name = "<stdin>" if path == STDIN else path
    try:
        data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except OSError as error:
        raise click.ClickException(f"{name} can't be read: {error.strerror}") from None
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        problem = Problem("the file isn't text in UTF-8", line=line, column=column)
        raise DefinitionError(str(problem), [problem]) from None


def guess_kind(text: str) -> Kind:
    """Tell from its shape which kind of document a text is; a list of workflows when nothing else fits."""
    try:
        root = load(text).root
    except YamlError:
        return "workflows"
    if not isinstance(root, Mapping):
        return "workflows"
    if _looks_like_workbook(root):
        return "workbook"
    items = [value for key, value in root.items() if key != "version" and isinstance(value, Mapping)]
    actions = sum("base" in item and "tasks" not in item for item in items)
    return "actions" if actions > len(items) // 2 else "workflows"


def _looks_like_workbook(root: Mapping[str, Any]) -> bool:
    named = isinstance(root.get("name"), str)
    sections = [root[key] for key in ("workflows", "actions") if key in root]
    if named:
        return bool(sections) or set(root) <= {"version", "name", "description", "tags"}
    return any(
        isinstance(section, Mapping)
        and any(
            isinstance(member, Mapping) and {"tasks", "base"} & set(member) for member in section.values()
        )
        for section in sections
    )
