"""Reading definitions from files: text, kind of document, and what the language makes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

import click

from tramontane.cli.diagnostics import Source
from tramontane.errors import DefinitionError, Problem
from tramontane.lang import parse_actions, parse_workbook, parse_workflows
from tramontane.lang.document import CheckOptions, Upload
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


def parse(text: str, kind: Kind, *, strict: bool = False) -> Upload:
    """Check a document and return what it holds.

    Raises:
        DefinitionError: with everything that is wrong with it.
    """
    return _PARSERS[kind](text, CheckOptions(strict=strict))
