"""The examples of the language guide: fenced YAML blocks whose head says what happens when they run.

A head is made of comment lines, each a key and a YAML value. ``state`` is SUCCESS unless it is said:

========================  =====================================================================
what is given             meaning
========================  =====================================================================
``name``, ``also``        a name for the block; names of blocks of the page that it needs
``start``                 the workflow to start, unless the block holds one alone
``input``, ``env``,       as for a start over the API
``params``
``environments``          stored environments by name
``script``                what tasks (or single items, ``task[0]``) give, see below
``pretend``               actions that exist in the example only, and what they give
``then``                  what an operator does next; the expectations behind it are about the end
------------------------  ---------------------------------------------------------------------
what is expected          meaning
------------------------  ---------------------------------------------------------------------
``state``, ``output``     of the execution
``info``                  a part of its ``state_info``
``tasks``                 all tasks in order of creation, or states of some by name
``published``,            by task
``result``, ``runs``
``took``                  seconds that passed
``refused``, ``warns``    a part of why the document (or the start) is refused, or of a warning
========================  =====================================================================

A key of the first part that comes after an expectation begins another run of the same block. Results are
values, ``{fails: …}``, ``{waits: true}``, ``{gives: …, after: seconds}`` or a list of them, one per run.
``part: task`` marks a block that holds attributes of one task only; it is checked, not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "language"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"# ([a-z]+): (.*)")
GIVEN = ("start", "input", "env", "params", "environments", "script", "pretend")
EXPECTED = ("state", "info", "output", "tasks", "published", "result", "runs", "took", "refused")
ABOUT = ("name", "also", "part", "warns")


@dataclass
class Stage:
    """What an operator does, and what is expected after that."""

    then: list[Any] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)


@dataclass
class Case:
    """One run of a block."""

    given: dict[str, Any] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=lambda: [Stage()])


@dataclass
class Block:
    """A fenced block of YAML: its text, and what its head says of it."""

    page: str
    line: int
    text: str
    about: dict[str, Any] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return sorted(GUIDE.glob("*.md"))


def blocks(path: Path) -> Iterator[Block]:
    """Yield the YAML blocks of a page."""
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match[1] == "yaml":
            line = text.count("\n", 0, match.start()) + 1
            yield _read(Block(path.stem, line, match[2]))


def _read(block: Block) -> Block:
    case = Case()
    for line in block.text.splitlines():
        match = _HEAD.fullmatch(line)
        if match is None:
            break
        key, value = match[1], yaml.safe_load(match[2])
        stage = case.stages[-1]
        if key in ABOUT:
            block.about[key] = value
        elif key in GIVEN:
            if any(each.expected for each in case.stages):
                block.cases.append(case)
                case = Case()
            case.given[key] = value
        elif key == "then":
            case.stages.append(Stage(value if isinstance(value, list) else [value]))
        elif key in EXPECTED:
            assert key not in stage.expected, f"{block.id}: {key} twice"
            stage.expected[key] = value
        else:
            break
    block.cases.append(case)
    return block


def tables(path: Path, *heads: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a page's tables with these heads in front, cells without back quotes."""
    wanted: list[str] | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            wanted = None
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if tuple(cells[: len(heads)]) == heads:
            wanted = []
        elif wanted is not None and not set(line) <= set("|-: "):
            yield line, [cell.replace("\\|", "|").strip("`").strip() for cell in cells]


def data_of(path: Path) -> Mapping[str, Any]:
    """Return the data that the expressions of a page see: its block that is named so."""
    [found] = [block for block in blocks(path) if block.about.get("name") == "data"]
    data = yaml.safe_load(found.text)
    assert isinstance(data, dict)
    return data
