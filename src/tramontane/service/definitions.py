"""Uploading and deleting workflows, and what uploads of all kinds have in common.

An upload is checked first, outside of any transaction (:mod:`tramontane.service.checking`); then one
transaction writes everything that the text holds, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from tramontane.core.state import Micros
from tramontane.errors import BadRequestError, DefinitionError, NotAllowedError, NotFoundError, Problem
from tramontane.lang import CheckOptions
from tramontane.service.caller import Caller
from tramontane.service.checking import Checker
from tramontane.service.documents import CheckedWorkflow, Spec
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import (
    ActionRow,
    CodeSourceRow,
    EnvironmentRow,
    WorkbookRow,
    WorkflowRow,
)
from tramontane.store.definitions import DefinitionChange, Definitions
from tramontane.store.tenancy import PRIVATE, PUBLIC

R = TypeVar("R", WorkflowRow, WorkbookRow, ActionRow, EnvironmentRow, CodeSourceRow)


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How an upload is to be stored. That the caller may publish was checked before."""

    scope: str = PRIVATE
    namespace: str = ""
    check: CheckOptions = field(default_factory=CheckOptions)


@dataclass(frozen=True, slots=True)
class Uploaded(Generic[R]):
    """What is stored now, in the order of the document, and what is questionable about it."""

    rows: tuple[R, ...]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all uploads work with; ``changed`` is called after each change of a definition."""

    definitions: Definitions
    checker: Checker
    now: Callable[[], Micros]
    new_id: Callable[[], str]
    changed: Callable[[], None]


class Workflows:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @again_when_busy
    async def create(self, caller: Caller, text: str, options: UploadOptions) -> Uploaded[WorkflowRow]:
        """Store the workflows of a document.

        Raises:
            DefinitionError: the document breaks the language.
            ConflictError: one of the names is used already; none is stored then.
        """
        around = self._around
        checked = await around.checker.check("workflows", text, options.check)
        now = around.now()
        rows = tuple(
            new_workflow(document, around.new_id(), caller.project_id, options, now)
            for document in checked.workflows
        )
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec for document in checked.workflows], now)
            await change.insert(*rows)
        around.changed()
        return Uploaded(rows, checked.warnings)

    @again_when_busy
    async def update(self, caller: Caller, text: str, options: UploadOptions) -> Uploaded[WorkflowRow]:
        """Replace workflows, found by the names in the document.

        Raises:
            NotFoundError: one of them doesn't exist; none is changed then.
        """
        around = self._around
        checked = await around.checker.check("workflows", text, options.check)
        now = around.now()
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec for document in checked.workflows], now)
            rows = [
                await self._changed(change, caller, document.name, document, options, now)
                for document in checked.workflows
            ]
            await change.update(*rows)
        around.changed()
        return Uploaded(tuple(rows), checked.warnings)

    @again_when_busy
    async def replace(
        self, caller: Caller, identifier: str, text: str, options: UploadOptions
    ) -> Uploaded[WorkflowRow]:
        """Give a workflow (by id or name) the content and the name of the document's only one.

        Raises:
            ConflictError: its new name is used already.
        """
        around = self._around
        checked = await around.checker.check("workflows", text, options.check)
        document = the_only(checked.workflows, "workflow")
        now = around.now()
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec], now)
            row = await self._changed(change, caller, identifier, document, options, now)
            await change.update(row)
        around.changed()
        return Uploaded((row,), checked.warnings)

    async def _changed(
        self,
        change: DefinitionChange,
        caller: Caller,
        identifier: str,
        document: CheckedWorkflow,
        options: UploadOptions,
        now: Micros,
    ) -> WorkflowRow:
        row = await change.find_workflow(identifier, options.namespace, caller)
        if row is None:
            raise missing("workflow", identifier, options.namespace)
        require_writable(caller, row, "workflow")
        if row.scope == PUBLIC and options.scope != PUBLIC:
            await _require_no_foreign_triggers(change, row)
        return changed_workflow(row, document, options.scope, now)

    @again_when_busy
    async def delete(self, caller: Caller, identifier: str, namespace: str) -> None:
        """Delete a workflow with its shares; executions of it stay.

        Raises:
            BadRequestError: triggers start it.
        """
        async with self._around.definitions.change() as change:
            row = await change.find_workflow(identifier, namespace, caller)
            if row is None:
                raise missing("workflow", identifier, namespace)
            require_writable(caller, row, "workflow")
            triggers = await change.triggers_of(row.id)
            if triggers:
                ids = ", ".join(trigger.id for trigger in triggers)
                raise BadRequestError(
                    f"Can't delete workflow '{row.name}': it has triggers associated with it: {ids}. "
                    "Delete those first."
                )
            await change.delete(row)
        self._around.changed()


async def _require_no_foreign_triggers(change: DefinitionChange, row: WorkflowRow) -> None:
    foreign = [use.id for use in await change.triggers_of(row.id) if use.project_id != row.project_id]
    if foreign:
        raise NotAllowedError(
            f"Can't make workflow '{row.name}' private: triggers of other projects use it: "
            f"{', '.join(foreign)}."
        )


def new_workflow(
    document: CheckedWorkflow,
    workflow_id: str,
    project_id: str,
    options: UploadOptions,
    now: Micros,
    workbook_name: str | None = None,
) -> WorkflowRow:
    return WorkflowRow(
        id=workflow_id,
        name=document.name,
        namespace=options.namespace,
        project_id=project_id,
        scope=options.scope,
        definition=document.definition,
        checksum=document.checksum,
        tags=document.tags,
        is_system=False,
        spec_hash=document.spec.hash,
        input=document.input,
        interface=document.interface,
        workbook_name=workbook_name,
        created_at=now,
    )


def changed_workflow(row: WorkflowRow, document: CheckedWorkflow, scope: str, now: Micros) -> WorkflowRow:
    """The workflow with another content; id, namespace and owner stay."""
    return replace(
        row,
        name=document.name,
        scope=scope,
        definition=document.definition,
        checksum=document.checksum,
        tags=document.tags,
        spec_hash=document.spec.hash,
        input=document.input,
        interface=document.interface,
        updated_at=now,
    )


async def put_specs(change: DefinitionChange, specs: Sequence[Spec], now: Micros) -> None:
    for spec in specs:
        await change.put_spec_text(spec.hash, spec.data, now)


D = TypeVar("D")


def the_only(documents: Sequence[D], title: str) -> D:
    """The one definition that a document for a single object must hold."""
    if len(documents) != 1:
        raise BadRequestError(
            f"More than one {title} can't be given to update one {title} by its identifier; "
            f"the document holds {len(documents)}."
        )
    return documents[0]


def missing(title: str, identifier: str, namespace: str = "") -> NotFoundError:
    place = f" in namespace '{namespace}'" if namespace else ""
    return NotFoundError(f"There is no {title} '{identifier}'{place}.")


class Owned(Protocol):
    """What belongs to a project."""

    @property
    def name(self) -> str: ...
    @property
    def project_id(self) -> str: ...


def require_writable(caller: Caller, row: Owned, title: str) -> None:
    """Let owners and administrators change a definition; what came with the service only the latter.

    Raises:
        NotAllowedError: it belongs to another project.
        BadRequestError: it came with the service.
    """
    if caller.is_admin:
        return
    if row.project_id != caller.project_id:
        raise NotAllowedError(
            f"The {title} '{row.name}' belongs to another project; only that one may change it."
        )
    if isinstance(row, (WorkflowRow, ActionRow)) and row.is_system:
        raise BadRequestError(f"Attempt to modify a system {title}: {row.name}.")


def questionable(options: CheckOptions, warnings: Sequence[Problem]) -> tuple[Problem, ...]:
    """Give warnings that concern what is stored already; under strict checking they are errors.

    Raises:
        DefinitionError: strict checking was asked for and there are some.
    """
    if warnings and options.strict:
        texts = "; ".join(map(str, warnings))
        raise DefinitionError(f"Invalid DSL: {texts}", [replace(item, severity="error") for item in warnings])
    return tuple(warnings)
