"""Workbooks: one document whose workflows and actions become definitions of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tramontane.core.state import Micros
from tramontane.errors import Problem
from tramontane.service.actions import changed_action, new_action
from tramontane.service.caller import Caller
from tramontane.service.definitions import (
    Surroundings,
    Uploaded,
    UploadOptions,
    changed_workflow,
    missing,
    new_workflow,
    put_specs,
    questionable,
    require_writable,
)
from tramontane.service.documents import Checked, CheckedAction, CheckedWorkbook, CheckedWorkflow
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import ActionRow, WorkbookRow, WorkflowRow
from tramontane.store.definitions import DefinitionChange


class Workbooks:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @again_when_busy
    async def create(self, caller: Caller, text: str, options: UploadOptions) -> Uploaded[WorkbookRow]:
        """Store a workbook; its members are created, or updated where they exist.

        Raises:
            ConflictError: there is a workbook of this name.
        """
        around = self._around
        checked = await around.checker.check("workbook", text, options.check)
        document = _workbook(checked)
        now = around.now()
        row = WorkbookRow(
            id=around.new_id(),
            name=document.name,
            namespace=options.namespace,
            project_id=caller.project_id,
            scope=options.scope,
            definition=document.definition,
            checksum=None,
            tags=document.tags,
            spec_hash=document.spec.hash,
            created_at=now,
        )
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec], now)
            await change.insert(row)
            found = await _Members(around, change, row, options, now).store(checked)
            warnings = questionable(options.check, found)
        around.changed()
        return Uploaded((row,), (*checked.warnings, *warnings))

    @again_when_busy
    async def update(self, caller: Caller, text: str, options: UploadOptions) -> Uploaded[WorkbookRow]:
        """Replace the workbook that the document names. Members that left the document stay stored.

        What is the same as before keeps its time of change.
        """
        around = self._around
        checked = await around.checker.check("workbook", text, options.check)
        document = _workbook(checked)
        now = around.now()
        async with around.definitions.change() as change:
            old = await change.find_workbook(document.name, options.namespace, caller)
            if old is None:
                raise missing("workbook", document.name, options.namespace)
            require_writable(caller, old, "workbook")
            row = replace(
                old,
                scope=options.scope,
                definition=document.definition,
                tags=document.tags,
                spec_hash=document.spec.hash,
            )
            warnings = await _Members(around, change, row, options, now).store(checked)
            if row != old:
                row = replace(row, updated_at=now)
                await put_specs(change, [document.spec], now)
                await change.update(row)
                warnings += await self._dropped(old, checked)
            kept = questionable(options.check, warnings)
        around.changed()
        return Uploaded((row,), (*checked.warnings, *kept))

    async def _dropped(self, old: WorkbookRow, checked: Checked) -> list[Problem]:
        """Warn of members that the new document doesn't have any more."""
        spec: Mapping[str, object] = await self._around.definitions.spec(old.spec_hash) or {}
        new = {document.name for document in checked.workflows} | {item.name for item in checked.actions}
        return [
            Problem(
                f"the {title} '{old.name}.{name}' isn't in the workbook any more; it stays stored",
                path=f"{section}.{name}",
                severity="warning",
            )
            for section, title in (("workflows", "workflow"), ("actions", "action"))
            for name in _members(spec, section)
            if f"{old.name}.{name}" not in new
        ]

    @again_when_busy
    async def delete(self, caller: Caller, name: str, namespace: str) -> None:
        """Delete a workbook; its members stay."""
        async with self._around.definitions.change() as change:
            row = await change.find_workbook(name, namespace, caller)
            if row is None:
                raise missing("workbook", name, namespace)
            require_writable(caller, row, "workbook")
            await change.delete(row)
        self._around.changed()


def _workbook(checked: Checked) -> CheckedWorkbook:
    assert checked.workbook is not None, "a checked workbook holds a workbook"
    return checked.workbook


def _members(spec: Mapping[str, object], section: str) -> list[str]:
    found = spec.get(section)
    return [name for name in found if name != "version"] if isinstance(found, Mapping) else []


class _Members:
    """Stores the members of one workbook, in the transaction that stores the workbook."""

    def __init__(
        self,
        around: Surroundings,
        change: DefinitionChange,
        workbook: WorkbookRow,
        options: UploadOptions,
        now: Micros,
    ) -> None:
        self._around = around
        self._change = change
        self._workbook = workbook
        self._options = options
        self._now = now

    async def store(self, checked: Checked) -> list[Problem]:
        """Create or update every member; warn of those that were definitions of their own before."""
        specs = [item.spec for item in checked.workflows] + [item.spec for item in checked.actions]
        await put_specs(self._change, specs, self._now)
        warnings = []
        for workflow in checked.workflows:
            if await self._store_workflow(workflow):
                warnings.append(_taken_over("workflow", workflow.name))
        for action in checked.actions:
            if await self._store_action(action):
                warnings.append(_taken_over("action", action.name))
        return warnings

    async def _store_workflow(self, document: CheckedWorkflow) -> bool:
        book = self._workbook
        old = await self._change.own(WorkflowRow, document.name, book.namespace, book.project_id)
        if old is None:
            await self._change.insert(
                new_workflow(
                    document, self._around.new_id(), book.project_id, self._options, self._now, book.name
                )
            )
            return False
        row = changed_workflow(old, document, book.scope, self._now)
        row = replace(row, workbook_name=book.name)
        if replace(row, updated_at=old.updated_at) != old:
            await self._change.update(row)
        return old.workbook_name is None

    async def _store_action(self, document: CheckedAction) -> bool:
        book = self._workbook
        old = await self._change.own(ActionRow, document.name, book.namespace, book.project_id)
        if old is None:
            await self._change.insert(
                new_action(
                    document, self._around.new_id(), book.project_id, self._options, self._now, book.name
                )
            )
            return False
        row = replace(changed_action(old, document, book.scope, self._now), workbook_name=book.name)
        if replace(row, updated_at=old.updated_at) != old:
            await self._change.update(row)
        return old.workbook_name is None


def _taken_over(title: str, name: str) -> Problem:
    return Problem(
        f"the {title} '{name}' existed on its own; it belongs to this workbook now",
        path=name,
        severity="warning",
    )
