"""The documents that a test is about, checked and ready to be put into a world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tramontane.lang import load_workflow, parse_actions, parse_workbook, parse_workflows
from tramontane.lang.spec import WorkflowSpec
from tramontane.rehearsal.library import Library

Kind = Literal["workflows", "workbook", "actions"]

_PARSERS = {"workflows": parse_workflows, "workbook": parse_workbook, "actions": parse_actions}


@dataclass(frozen=True, slots=True)
class Document:
    """One text of definitions."""

    kind: Kind
    text: str

    def specs(self) -> dict[str, WorkflowSpec]:
        """Check the text and give its workflows by full name.

        Raises:
            DefinitionError: with everything that is wrong with it.
        """
        upload = _PARSERS[self.kind](self.text)
        holder = upload.workbook or upload
        return {each.name: load_workflow(each.data) for each in holder.workflows}


@dataclass(frozen=True)
class Definitions:
    """Some documents together."""

    documents: tuple[Document, ...]
    workflows: Mapping[str, WorkflowSpec] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[str, WorkflowSpec] = {}
        for document in self.documents:
            found.update(document.specs())
        object.__setattr__(self, "workflows", found)

    def workflow(self, name: str) -> str | None:
        """Give the full name of a workflow, a workbook's member by its short name too."""
        if name in self.workflows:
            return name
        members = [each for each in self.workflows if each.endswith(f".{name}")]
        return members[0] if len(members) == 1 else None

    @cached_property
    def task_names(self) -> frozenset[str]:
        return frozenset(name for spec in self.workflows.values() for name in spec.tasks)

    def fill(self, library: Library) -> None:
        """Upload all documents."""
        for document in self.documents:
            match document.kind:
                case "workflows":
                    library.add_workflows(document.text)
                case "workbook":
                    library.add_workbook(document.text)
                case "actions":
                    library.add_actions(document.text)


def names_text(names: Iterable[str]) -> str:
    """List names for a message."""
    return ", ".join(sorted(names)) or "none"
