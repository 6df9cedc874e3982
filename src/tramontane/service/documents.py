"""Checked documents in the form in which they are stored: texts, ready to be written.

What is expensive to make of a document is made here, where the document is checked (which may be
another process), so that only texts have to travel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from tramontane.errors import Problem
from tramontane.lang import (
    ActionDocument,
    CheckOptions,
    Upload,
    WorkflowDocument,
    action_input_text,
    input_text,
    interface,
    parse_actions,
    parse_workbook,
    parse_workflows,
)
from tramontane.values import encode

Kind = Literal["workflows", "workbook", "actions"]


@dataclass(frozen=True, slots=True)
class Spec:
    """A checked document as JSON text, and the hash that it is stored under."""

    hash: str
    data: str

    @classmethod
    def of(cls, data: object) -> Spec:
        text = encode(data)
        return cls(hashlib.sha256(text.encode()).hexdigest(), text)


@dataclass(frozen=True, slots=True)
class CheckedWorkflow:
    """``input`` is the declared input as people read it, ``interface`` JSON text."""

    name: str
    definition: str
    checksum: str | None
    tags: tuple[str, ...]
    spec: Spec
    input: str
    interface: str


@dataclass(frozen=True, slots=True)
class CheckedAction:
    """``input`` None: the action declares none."""

    name: str
    definition: str
    tags: tuple[str, ...]
    spec: Spec
    input: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class CheckedWorkbook:
    name: str
    definition: str
    tags: tuple[str, ...]
    spec: Spec


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that one text holds. Members of a workbook carry their full names."""

    workflows: tuple[CheckedWorkflow, ...] = ()
    actions: tuple[CheckedAction, ...] = ()
    workbook: CheckedWorkbook | None = None
    warnings: tuple[Problem, ...] = ()


_PARSERS: Final[dict[Kind, Callable[[str, CheckOptions], Upload]]] = {
    "workflows": parse_workflows,
    "workbook": parse_workbook,
    "actions": parse_actions,
}


def check(kind: Kind, text: str, options: CheckOptions) -> Checked:
    """Check a document.

    Raises:
        DefinitionError: with everything that is wrong with it.
    """
    upload = _PARSERS[kind](text, options)
    workbook = upload.workbook
    if workbook is None:
        return Checked(
            tuple(map(_workflow, upload.workflows)),
            tuple(map(_action, upload.actions)),
            warnings=upload.warnings,
        )
    return Checked(
        tuple(map(_workflow, workbook.workflows)),
        tuple(map(_action, workbook.actions)),
        CheckedWorkbook(workbook.name, workbook.definition, workbook.tags, Spec.of(workbook.data)),
        upload.warnings,
    )


def _workflow(document: WorkflowDocument) -> CheckedWorkflow:
    return CheckedWorkflow(
        document.name,
        document.definition,
        document.checksum,
        document.tags,
        Spec.of(document.data),
        input_text(document.data),
        encode(interface(document.data)),
    )


def _action(document: ActionDocument) -> CheckedAction:
    return CheckedAction(
        document.name,
        document.definition,
        document.tags,
        Spec.of(document.data),
        action_input_text(document.data) or None,
        document.description,
    )
