"""Ad-hoc actions: uploading and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tramontane.actions.registry import Registry
from tramontane.core.state import Micros
from tramontane.errors import BadRequestError, Problem
from tramontane.service.caller import Caller
from tramontane.service.definitions import (
    Surroundings,
    Uploaded,
    UploadOptions,
    missing,
    put_specs,
    questionable,
    require_writable,
    the_only,
)
from tramontane.service.documents import CheckedAction
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import ActionRow
from tramontane.store.definitions import DefinitionChange
from tramontane.store.tenancy import PUBLIC


class Actions:
    def __init__(self, around: Surroundings, registry: Registry) -> None:
        self._around = around
        self._registry = registry

    @again_when_busy
    async def create(self, caller: Caller, text: str, options: UploadOptions) -> Uploaded[ActionRow]:
        """Store the actions of a document.

        Raises:
            ConflictError: one of the names is used already; none is stored then.
            BadRequestError: a public one would hide an installed action from everybody.
        """
        around = self._around
        checked = await around.checker.check("actions", text, options.check)
        warnings = self._hidden(checked.actions, options)
        now = around.now()
        rows = tuple(
            new_action(document, around.new_id(), caller.project_id, options, now)
            for document in checked.actions
        )
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec for document in checked.actions], now)
            await change.insert(*rows)
        around.changed()
        return Uploaded(rows, (*checked.warnings, *warnings))

    @again_when_busy
    async def update(self, caller: Caller, text: str, options: UploadOptions) -> Uploaded[ActionRow]:
        """Replace actions, found by the names in the document; all of them or none."""
        around = self._around
        checked = await around.checker.check("actions", text, options.check)
        now = around.now()
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec for document in checked.actions], now)
            rows = [
                await self._changed(change, caller, document.name, document, options, now)
                for document in checked.actions
            ]
            warnings = self._hidden(checked.actions, options)
            await change.update(*rows)
        around.changed()
        return Uploaded(tuple(rows), (*checked.warnings, *warnings))

    @again_when_busy
    async def replace(
        self, caller: Caller, identifier: str, text: str, options: UploadOptions
    ) -> Uploaded[ActionRow]:
        """Give an action (by id or name) the content and the name of the document's only one."""
        around = self._around
        checked = await around.checker.check("actions", text, options.check)
        document = the_only(checked.actions, "action")
        now = around.now()
        async with around.definitions.change() as change:
            await put_specs(change, [document.spec], now)
            row = await self._changed(change, caller, identifier, document, options, now)
            warnings = self._hidden([document], options)
            await change.update(row)
        around.changed()
        return Uploaded((row,), (*checked.warnings, *warnings))

    async def _changed(
        self,
        change: DefinitionChange,
        caller: Caller,
        identifier: str,
        document: CheckedAction,
        options: UploadOptions,
        now: Micros,
    ) -> ActionRow:
        row = await change.find_action(identifier, options.namespace, caller)
        if row is None:
            self._refuse_installed(identifier)
            raise missing("action", identifier, options.namespace)
        require_writable(caller, row, "action")
        return changed_action(row, document, options.scope, now)

    @again_when_busy
    async def delete(self, caller: Caller, identifier: str, namespace: str) -> None:
        """Delete an ad-hoc action, found by id or by its name in exactly this namespace."""
        async with self._around.definitions.change() as change:
            row = await change.find_action(identifier, namespace, caller)
            if row is None:
                self._refuse_installed(identifier)
                raise missing("action", identifier, namespace)
            require_writable(caller, row, "action")
            await change.delete(row)
        self._around.changed()

    def _refuse_installed(self, identifier: str) -> None:
        if self._registry.find(identifier) is not None:
            raise BadRequestError(f"Attempt to modify a system action: {identifier}.")

    def _hidden(self, documents: Sequence[CheckedAction], options: UploadOptions) -> tuple[Problem, ...]:
        """Refuse public actions that are called like installed ones; warn of private ones."""
        names = [document.name for document in documents if self._registry.find(document.name) is not None]
        if names and options.scope == PUBLIC:
            raise BadRequestError(
                "A public action can't have the name of an installed one, which it would hide: "
                f"{', '.join(names)}."
            )
        return questionable(
            options.check,
            [
                Problem(
                    f"'{name}' is the name of an installed action, which it hides in this project",
                    path=name,
                    severity="warning",
                )
                for name in names
            ],
        )


def new_action(
    document: CheckedAction,
    action_id: str,
    project_id: str,
    options: UploadOptions,
    now: Micros,
    workbook_name: str | None = None,
) -> ActionRow:
    return ActionRow(
        id=action_id,
        name=document.name,
        namespace=options.namespace,
        project_id=project_id,
        scope=options.scope,
        definition=document.definition,
        tags=document.tags,
        is_system=False,
        spec_hash=document.spec.hash,
        input=document.input,
        description=document.description,
        workbook_name=workbook_name,
        created_at=now,
    )


def changed_action(row: ActionRow, document: CheckedAction, scope: str, now: Micros) -> ActionRow:
    """The action with another content; id, namespace and owner stay."""
    return replace(
        row,
        name=document.name,
        scope=scope,
        definition=document.definition,
        tags=document.tags,
        spec_hash=document.spec.hash,
        input=document.input,
        description=document.description,
        updated_at=now,
    )
