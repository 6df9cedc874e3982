"""Code sources and dynamic actions: Python that people upload (REST endpoints, sections 13 and 14).

Nothing here runs any of it; what can be said about it comes from its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tramontane.errors import BadRequestError
from tramontane.service.caller import Caller
from tramontane.service.catalog import Recent
from tramontane.service.definitions import Surroundings, Uploaded, missing, put_specs, require_writable
from tramontane.service.uploaded_code import CodeAction, action_of, problems_of, stored_code
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import CodeSourceRow, DynamicActionRow, DynamicEntry
from tramontane.store.definitions import DefinitionChange
from tramontane.store.tenancy import PRIVATE

_DESCRIBED = 2_000


class CodeSources:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @again_when_busy
    async def create(
        self, caller: Caller, name: str, content: str, namespace: str, scope: str
    ) -> Uploaded[CodeSourceRow]:
        """Store a module; what is wrong with it is only warned of.

        Raises:
            ConflictError: the project has one of this name in this namespace.
        """
        row = CodeSourceRow(
            id=self._around.new_id(),
            name=name,
            namespace=namespace,
            project_id=caller.project_id,
            scope=scope,
            content=content,
            version=1,
            created_at=self._around.now(),
        )
        warnings = await asyncio.to_thread(problems_of, content)
        async with self._around.definitions.change() as change:
            await change.insert(row)
            await self._store(change, row)
        self._around.changed()
        return Uploaded((row,), tuple(warnings))

    @again_when_busy
    async def update(
        self, caller: Caller, identifier: str, content: str, namespace: str, scope: str
    ) -> Uploaded[CodeSourceRow]:
        """Replace a module's text and scope; its version counts on.

        Raises:
            NotFoundError: no such code source for this caller.
            NotAllowedError: it belongs to another project.
        """
        warnings = await asyncio.to_thread(problems_of, content)
        async with self._around.definitions.change() as change:
            old = await _code_source(change, caller, identifier, namespace)
            require_writable(caller, old, "code source")
            row = replace(
                old,
                content=content,
                scope=scope,
                version=old.version + 1,
                updated_at=self._around.now(),
            )
            await change.update(row)
            await self._store(change, row)
        self._around.changed()
        return Uploaded((row,), tuple(warnings))

    async def _store(self, change: DefinitionChange, row: CodeSourceRow) -> None:
        """Keep this version for as long as something may run it."""
        await put_specs(change, [stored_code(row.name, row.content)], self._around.now())

    @again_when_busy
    async def delete(self, caller: Caller, identifier: str, namespace: str) -> None:
        """Delete a module with its dynamic actions.

        Raises:
            as :meth:`update`
        """
        async with self._around.definitions.change() as change:
            row = await _code_source(change, caller, identifier, namespace)
            require_writable(caller, row, "code source")
            await change.delete(row)
        self._around.changed()


@dataclass(frozen=True, slots=True)
class DynamicOrder:
    """A dynamic action as asked for; None: not given. ``source`` is the id or name of a code source."""

    name: str | None
    class_name: str | None = None
    source: str | None = None
    namespace: str = ""
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """What tells one version of a dynamic action from another."""

    name: str
    class_name: str
    code_source_id: str
    source_name: str
    source_version: int


class DynamicActions:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._described: Recent[CodeAction] = Recent(_DESCRIBED)

    @again_when_busy
    async def create(self, caller: Caller, order: DynamicOrder) -> DynamicActionRow:
        """Store an action; whether its class exists shows when it is run.

        Raises:
            BadRequestError: name, class or code source aren't given.
            NotFoundError: no such code source for this caller.
            ConflictError: the project has one of this name in this namespace.
        """
        if not order.name:
            raise BadRequestError("A dynamic action needs a name.")
        if not order.class_name:
            raise BadRequestError("A dynamic action needs a class_name.")
        if not order.source:
            raise BadRequestError("A dynamic action needs code_source_id or code_source_name.")
        async with self._around.definitions.change() as change:
            source = await _code_source(change, caller, order.source, order.namespace)
            row = DynamicActionRow(
                id=self._around.new_id(),
                name=order.name,
                namespace=order.namespace,
                project_id=caller.project_id,
                scope=order.scope or PRIVATE,
                code_source_id=source.id,
                code_source_name=source.name,
                class_name=order.class_name,
                created_at=self._around.now(),
            )
            await change.insert(row)
        self._around.changed()
        return row

    @again_when_busy
    async def update(self, caller: Caller, identifier: str, order: DynamicOrder) -> DynamicActionRow:
        """Change class, code source or scope of an action, found by id or name.

        Raises:
            NotFoundError: no such action or code source for this caller.
            NotAllowedError: it belongs to another project.
        """
        async with self._around.definitions.change() as change:
            row = await self._find(change, caller, identifier, order.namespace)
            if order.source:
                source = await _code_source(change, caller, order.source, order.namespace)
                row = replace(row, code_source_id=source.id, code_source_name=source.name)
            row = replace(
                row,
                class_name=order.class_name or row.class_name,
                scope=order.scope or row.scope,
                updated_at=self._around.now(),
            )
            await change.update(row)
        self._around.changed()
        return row

    @again_when_busy
    async def delete(self, caller: Caller, identifier: str, namespace: str) -> None:
        """Delete an action; its code source stays.

        Raises:
            as :meth:`update`
        """
        async with self._around.definitions.change() as change:
            await change.delete(await self._find(change, caller, identifier, namespace))
        self._around.changed()

    async def _find(
        self, change: DefinitionChange, caller: Caller, identifier: str, namespace: str
    ) -> DynamicActionRow:
        row = await change.find(DynamicActionRow, identifier, caller, namespace)
        if row is None:
            raise missing("dynamic action", identifier, namespace)
        require_writable(caller, row, "dynamic action")
        return row

    async def described(self, actions: Iterable[Listed]) -> list[CodeAction]:
        """Describe actions by their code, in the same order."""
        actions = list(actions)
        unknown = {item.code_source_id for item in actions if self._described.get(item) is None}
        code = await self._around.definitions.code(list(unknown)) if unknown else {}
        found = []
        for item in actions:
            action = self._described.get(item)
            if action is None:
                entry = DynamicEntry(item.class_name, item.source_name, code.get(item.code_source_id, ""))
                action = await asyncio.to_thread(action_of, item.name, entry)
                self._described.put(item, action)
            found.append(action)
        return found


async def _code_source(
    change: DefinitionChange, caller: Caller, identifier: str, namespace: str
) -> CodeSourceRow:
    row = await change.find(CodeSourceRow, identifier, caller, namespace)
    if row is None:
        raise missing("code source", identifier, namespace)
    return row
