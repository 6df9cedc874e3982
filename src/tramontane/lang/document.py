"""What an upload yields: everything that is stored of a document, ready to be written.

These records hold plain data only, so that they can cross from the process that parses YAML.
"""

from __future__ import annotations

from dataclasses import dataclass

from tramontane.errors import Problem
from tramontane.values import FrozenDict


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How a document is checked.

    ``validate`` off skips schema, expressions and structure (language specification, section 8.2);
    ``strict`` turns warnings into errors; ``max_bytes`` bounds the text. ``reading`` looks for names in
    expressions that nothing defines, and for what can't happen.
    """

    validate: bool = True
    strict: bool = False
    allowed_languages: frozenset[str] = frozenset({"yaql", "jinja"})
    max_bytes: int = 32 * 2**20
    reading: bool = True


@dataclass(frozen=True, slots=True)
class WorkflowDocument:
    """One workflow of an upload; ``data`` is its stored spec, ``checksum`` None for workbook members."""

    name: str
    definition: str
    data: FrozenDict
    tags: tuple[str, ...]
    checksum: str | None


@dataclass(frozen=True, slots=True)
class ActionDocument:
    """One ad-hoc action of an upload."""

    name: str
    definition: str
    data: FrozenDict
    tags: tuple[str, ...]
    description: str | None


@dataclass(frozen=True, slots=True)
class WorkbookDocument:
    """A workbook; members are named ``<workbook>.<member>``."""

    name: str
    definition: str
    data: FrozenDict
    tags: tuple[str, ...]
    workflows: tuple[WorkflowDocument, ...]
    actions: tuple[ActionDocument, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """Everything that one text holds; warnings never stop it."""

    workflows: tuple[WorkflowDocument, ...] = ()
    actions: tuple[ActionDocument, ...] = ()
    workbook: WorkbookDocument | None = None
    warnings: tuple[Problem, ...] = ()
