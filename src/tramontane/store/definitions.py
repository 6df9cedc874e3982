"""What people have stored beside executions: looked up as a viewer sees it, and changed.

A viewer's own object comes first, then public and shared ones, then (for an administrator) the
oldest of the others. A change is one transaction that also moves the catalog's counter, by which
nodes notice that what they keep in memory is old.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.core.state import Micros
from tramontane.errors import ConflictError
from tramontane.store import schema
from tramontane.store.codec import json_text, json_value
from tramontane.store.database import Database
from tramontane.store.definition_records import (
    ActionRow,
    AnyDefinition,
    CodeSourceRow,
    CronTriggerRow,
    DynamicActionRow,
    DynamicEntry,
    EnvironmentRow,
    EventTriggerRow,
    MemberRow,
    TriggerUse,
    WorkbookRow,
    WorkflowEntry,
    WorkflowRow,
)
from tramontane.store.errors import NewerRecordError
from tramontane.store.queries import chunks
from tramontane.store.tenancy import PUBLIC, Viewer
from tramontane.values import FrozenDict, encode

R = TypeVar(
    "R",
    WorkflowRow,
    WorkbookRow,
    ActionRow,
    EnvironmentRow,
    MemberRow,
    CodeSourceRow,
    DynamicActionRow,
    CronTriggerRow,
    EventTriggerRow,
)

_JSON = ("tags", "variables", "workflow_input", "workflow_params")


@dataclass(frozen=True)
class _Kind(Generic[R]):
    """A kind of definition: where it is stored, and what clients call it in errors."""

    row: type[R]
    table: sa.Table
    title: str
    unique: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in fields(self.row))

    def values(self, row: R) -> dict[str, Any]:
        values = {name: getattr(row, name) for name in self.names}
        for name in _JSON:
            if name in values:
                values[name] = json_text(values[name])
        return values

    def read(self, row: Sequence[Any]) -> R:
        values = dict(zip(self.names, row, strict=True))
        for name in _JSON:
            if name in values:
                values[name] = json_value(values[name])
        if "tags" in values:
            values["tags"] = tuple(values["tags"] or ())
        if "is_system" in values:
            values["is_system"] = bool(values["is_system"])
        return self.row(**values)

    def duplicate(self, row: R, error: IntegrityError) -> ConflictError:
        if "sameness" in str(error.orig):
            return ConflictError(
                "The project has another cron trigger with the same workflow, pattern, input, params, "
                "first time and count."
            )
        values = ", ".join(str(getattr(row, name)) for name in self.unique)
        return ConflictError(f"Duplicate entry for {self.title} {list(self.unique)}: {values}")


_NAMED = ("name", "namespace", "project_id")
_WORKFLOWS = _Kind(WorkflowRow, schema.workflow_definitions, "WorkflowDefinition", _NAMED)
_WORKBOOKS = _Kind(WorkbookRow, schema.workbooks, "Workbook", _NAMED)
_ACTIONS = _Kind(ActionRow, schema.action_definitions, "ActionDefinition", _NAMED)
_ENVIRONMENTS = _Kind(EnvironmentRow, schema.environments, "Environment", ("name", "project_id"))
_MEMBERS = _Kind(MemberRow, schema.members, "ResourceMember", ("resource_id", "resource_type", "member_id"))
_CODE_SOURCES = _Kind(CodeSourceRow, schema.code_sources, "CodeSource", _NAMED)
_DYNAMIC_ACTIONS = _Kind(DynamicActionRow, schema.dynamic_actions, "DynamicActionDefinition", _NAMED)
_CRON_TRIGGERS = _Kind(CronTriggerRow, schema.cron_triggers, "CronTrigger", ("name", "project_id"))
_EVENT_TRIGGERS = _Kind(
    EventTriggerRow,
    schema.event_triggers,
    "EventTrigger",
    ("exchange", "topic", "event", "workflow_id", "project_id"),
)
_KINDS: Mapping[type, _Kind[Any]] = {
    kind.row: kind
    for kind in (
        _WORKFLOWS,
        _WORKBOOKS,
        _ACTIONS,
        _ENVIRONMENTS,
        _MEMBERS,
        _CODE_SOURCES,
        _DYNAMIC_ACTIONS,
        _CRON_TRIGGERS,
        _EVENT_TRIGGERS,
    )
}


class Definitions:
    """Reading definitions; :meth:`change` opens a transaction that reads and writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- for decisions --------------------------------------------------------------------

    async def workflow(self, workflow_id: str, viewer: Viewer) -> WorkflowEntry | None:
        """Find a workflow by its id, whatever its namespace."""
        table = schema.workflow_definitions
        return await self._entry(table.c.id == workflow_id, viewer)

    async def workflow_named(self, name: str, namespace: str, viewer: Viewer) -> WorkflowEntry | None:
        """Find a workflow by its name in exactly this namespace."""
        table = schema.workflow_definitions
        return await self._entry((table.c.name == name) & (table.c.namespace == namespace), viewer)

    async def _entry(self, condition: sa.ColumnElement[bool], viewer: Viewer) -> WorkflowEntry | None:
        table = schema.workflow_definitions
        names = [each.name for each in fields(WorkflowEntry)]
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    _seen(sa.select(*(table.c[name] for name in names)), table, condition, viewer)
                )
            ).first()
        return None if row is None else WorkflowEntry(*row)

    async def action_named(self, name: str, namespace: str, viewer: Viewer) -> str | None:
        """Give the spec hash of an ad-hoc action in exactly this namespace."""
        table = schema.action_definitions
        condition = (table.c.name == name) & (table.c.namespace == namespace)
        async with self._database.read() as connection:
            found: str | None = await connection.scalar(
                _seen(sa.select(table.c.spec_hash), table, condition, viewer)
            )
        return found

    async def dynamic_action_named(self, name: str, namespace: str, viewer: Viewer) -> DynamicEntry | None:
        """Find a dynamic action in exactly this namespace, with its code as it is now."""
        table, sources = schema.dynamic_actions, schema.code_sources
        condition = (table.c.name == name) & (table.c.namespace == namespace)
        statement = sa.select(table.c.class_name, sources.c.name, sources.c.content).join_from(
            table, sources, sources.c.id == table.c.code_source_id
        )
        async with self._database.read() as connection:
            row = (await connection.execute(_seen(statement, table, condition, viewer))).first()
        return None if row is None else DynamicEntry(*row)

    async def code(self, source_ids: Sequence[str]) -> dict[str, str]:
        """Give the content of code sources by id."""
        table = schema.code_sources
        found: dict[str, str] = {}
        async with self._database.read() as connection:
            for ids in chunks(source_ids):
                rows = await connection.execute(
                    sa.select(table.c.id, table.c.content).where(table.c.id.in_(ids))
                )
                found |= {row.id: row.content for row in rows}
        return found

    async def members(self, workflow_id: str, project_id: str) -> list[MemberRow]:
        """Give the shares of a workflow that concern a project: those it gave, or the one it got."""
        table = schema.members
        async with self._database.read() as connection:
            rows = await connection.execute(
                _select(_MEMBERS)
                .where(
                    table.c.resource_id == workflow_id,
                    table.c.resource_type == "workflow",
                    (table.c.project_id == project_id) | (table.c.member_id == project_id),
                )
                .order_by(table.c.created_at, table.c.id)
            )
            return [_MEMBERS.read(row) for row in rows]

    async def environment(self, name: str, viewer: Viewer) -> FrozenDict | None:
        """Give an environment's variables; None: there is no such environment."""
        async with self._database.read() as connection:
            row = await _find(connection, _ENVIRONMENTS, {"name": name}, viewer)
        if row is None:
            return None
        variables: FrozenDict = FrozenDict() if row.variables is None else row.variables
        return variables

    async def spec(self, spec_hash: str) -> FrozenDict | None:
        """Give a checked document by its content's hash.

        Raises:
            NewerRecordError: a later version has written it.
        """
        specs = schema.specs
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(specs.c.data, specs.c.format).where(specs.c.hash == spec_hash)
                )
            ).first()
        if row is None:
            return None
        if row.format > self._database.formats.newest:
            raise NewerRecordError(
                "A later version of the service has stored this definition in a format that this node "
                f"doesn't know; nothing was accepted. Ask another node [hash={spec_hash}]"
            )
        data: FrozenDict | None = json_value(row.data)
        return data

    async def version(self) -> int:
        """Give the counter that moves with every change of a definition or environment."""
        async with self._database.read() as connection:
            return int(await connection.scalar(sa.select(schema.catalog.c.version)) or 0)

    # -- for use cases --------------------------------------------------------------------

    async def has_trust(self, trust_id: str) -> bool:
        """Tell whether a trigger has this trust."""
        tables = (schema.cron_triggers, schema.event_triggers)
        having = (sa.exists().where(table.c.trust_id == trust_id) for table in tables)
        async with self._database.read() as connection:
            return bool(await connection.scalar(sa.select(sa.or_(*having))))

    async def find_workflow(self, identifier: str, namespace: str, viewer: Viewer) -> WorkflowRow | None:
        """Find a workflow by its id (in any namespace) or by its name in exactly this namespace."""
        async with self._database.read() as connection:
            return await _find_by_either(connection, _WORKFLOWS, identifier, namespace, viewer)

    async def find_workbook(self, name: str, namespace: str, viewer: Viewer) -> WorkbookRow | None:
        async with self._database.read() as connection:
            return await _find(connection, _WORKBOOKS, {"name": name, "namespace": namespace}, viewer)

    async def find_action(self, identifier: str, namespace: str, viewer: Viewer) -> ActionRow | None:
        """Find an ad-hoc action by its id or by its name in exactly this namespace."""
        async with self._database.read() as connection:
            return await _find_by_either(connection, _ACTIONS, identifier, namespace, viewer)

    async def find_environment(self, name: str, viewer: Viewer) -> EnvironmentRow | None:
        async with self._database.read() as connection:
            return await _find(connection, _ENVIRONMENTS, {"name": name}, viewer)

    @asynccontextmanager
    async def change(self) -> AsyncIterator[DefinitionChange]:
        """A transaction that reads and writes definitions: everything in it happens or nothing does.

        Raises:
            ConflictError: a name is used already («Duplicate entry for …»).
            DatabaseUnavailableError: nothing was changed.
        """
        async with self._database.write() as connection:
            # Moving the counter first also makes changes wait for each other.
            await connection.execute(sa.update(schema.catalog).values(version=schema.catalog.c.version + 1))
            yield DefinitionChange(connection, self._database.formats.written)


class DefinitionChange:
    """What can be done inside one transaction of :meth:`Definitions.change`."""

    def __init__(self, connection: AsyncConnection, written: int = 1) -> None:
        """``written``: the format of checked documents."""
        self._connection = connection
        self._written = written

    async def find_workflow(self, identifier: str, namespace: str, viewer: Viewer) -> WorkflowRow | None:
        return await _find_by_either(self._connection, _WORKFLOWS, identifier, namespace, viewer)

    async def find_workbook(self, name: str, namespace: str, viewer: Viewer) -> WorkbookRow | None:
        return await _find(self._connection, _WORKBOOKS, {"name": name, "namespace": namespace}, viewer)

    async def find_action(self, identifier: str, namespace: str, viewer: Viewer) -> ActionRow | None:
        return await _find_by_either(self._connection, _ACTIONS, identifier, namespace, viewer)

    async def find_environment(self, name: str, viewer: Viewer) -> EnvironmentRow | None:
        return await _find(self._connection, _ENVIRONMENTS, {"name": name}, viewer)

    async def find(
        self, kind: type[R], identifier: str, viewer: Viewer, namespace: str | None = None
    ) -> R | None:
        """Find what a viewer means by an id or a name; ``namespace`` None: this kind has none."""
        return await _find_by_either(self._connection, _KINDS[kind], identifier, namespace, viewer)

    async def find_by_id(self, kind: type[R], object_id: str, viewer: Viewer) -> R | None:
        return await _find(self._connection, _KINDS[kind], {"id": object_id}, viewer)

    async def member(self, workflow_id: str, member_id: str) -> MemberRow | None:
        """Find the share of a workflow with a project, whoever asks."""
        table = schema.members
        row = (
            await self._connection.execute(
                _select(_MEMBERS).where(
                    table.c.resource_id == workflow_id,
                    table.c.resource_type == "workflow",
                    table.c.member_id == member_id,
                )
            )
        ).first()
        return None if row is None else _MEMBERS.read(row)

    async def own(self, kind: type[R], name: str, namespace: str, project_id: str) -> R | None:
        """Find a project's own definition by name; ``namespace`` has no meaning for environments."""
        found = _KINDS[kind]
        table = found.table
        condition = (table.c.name == name) & (table.c.project_id == project_id)
        if "namespace" in table.c:
            condition &= table.c.namespace == namespace
        rows = await self._connection.execute(_select(found).where(condition))
        row = rows.first()
        return None if row is None else found.read(row)

    async def insert(self, *rows: AnyDefinition) -> None:
        """Store new definitions.

        Raises:
            ConflictError: one of the names is used already; the transaction is to be left.
        """
        for row in rows:
            kind = _KINDS[type(row)]
            await self._execute(sa.insert(kind.table).values(kind.values(row)), kind, row)

    async def update(self, *rows: AnyDefinition) -> None:
        """Store new versions of definitions, found by id.

        Raises:
            ConflictError: a new name is used already; the transaction is to be left.
        """
        for row in rows:
            kind = _KINDS[type(row)]
            values = kind.values(row)
            statement = sa.update(kind.table).where(kind.table.c.id == values.pop("id")).values(values)
            await self._execute(statement, kind, row)

    async def _execute(self, statement: sa.Executable, kind: _Kind[Any], row: Any) -> None:
        try:
            await self._connection.execute(statement)
        except IntegrityError as error:
            raise kind.duplicate(row, error) from error

    async def delete(self, row: AnyDefinition) -> None:
        """Delete a definition; a workflow's shares and a code source's dynamic actions go with it."""
        kind = _KINDS[type(row)]
        await self._connection.execute(sa.delete(kind.table).where(kind.table.c.id == row.id))
        if isinstance(row, CodeSourceRow):
            dynamic = schema.dynamic_actions
            await self._connection.execute(sa.delete(dynamic).where(dynamic.c.code_source_id == row.id))
        if isinstance(row, WorkflowRow):
            members = schema.members
            await self._connection.execute(
                sa.delete(members).where(
                    members.c.resource_id == row.id, members.c.resource_type == "workflow"
                )
            )

    async def put_spec(self, data: Any, now: Micros) -> str:
        """Store a checked document, if it isn't there; return the hash of its content."""
        text = encode(data)
        spec_hash = hashlib.sha256(text.encode()).hexdigest()
        await self.put_spec_text(spec_hash, text, now)
        return spec_hash

    async def put_spec_text(self, spec_hash: str, text: str, now: Micros) -> None:
        """Store a checked document that is JSON text already, under the hash of that text."""
        specs = schema.specs
        known = await self._connection.scalar(sa.select(specs.c.hash).where(specs.c.hash == spec_hash))
        if known is None:
            await self._connection.execute(
                sa.insert(specs).values(hash=spec_hash, data=text, created_at=now, format=self._written)
            )

    async def triggers_of(self, workflow_id: str) -> list[TriggerUse]:
        """All triggers, of any project, that start this workflow."""
        found = []
        for kind, table in (("cron", schema.cron_triggers), ("event", schema.event_triggers)):
            rows = await self._connection.execute(
                sa.select(table.c.id, sa.literal(kind), table.c.project_id)
                .where(table.c.workflow_id == workflow_id)
                .order_by(table.c.id)
            )
            found += [TriggerUse(*row) for row in rows]
        return found


# -- looking up -----------------------------------------------------------------------------------


def _select(kind: _Kind[Any]) -> sa.Select[Any]:
    return sa.select(*(kind.table.c[name] for name in kind.names))


async def _find(
    connection: AsyncConnection, kind: _Kind[R], key: Mapping[str, str], viewer: Viewer
) -> R | None:
    condition = sa.and_(*(kind.table.c[name] == value for name, value in key.items()))
    row = (await connection.execute(_seen(_select(kind), kind.table, condition, viewer))).first()
    return None if row is None else kind.read(row)


async def _find_by_either(
    connection: AsyncConnection, kind: _Kind[R], identifier: str, namespace: str | None, viewer: Viewer
) -> R | None:
    if len(identifier) <= 36:
        found = await _find(connection, kind, {"id": identifier}, viewer)
        if found is not None:
            return found
    key = {"name": identifier}
    if namespace is not None:
        key["namespace"] = namespace
    return await _find(connection, kind, key, viewer)


def _seen(
    statement: sa.Select[Any], table: sa.Table, condition: sa.ColumnElement[bool], viewer: Viewer
) -> sa.Select[Any]:
    """Of what meets the condition, the one that the viewer means."""
    own = table.c.project_id == viewer.project_id
    public = table.c.scope == PUBLIC
    visible = own | public
    if table is schema.workflow_definitions:
        visible |= table.c.id.in_(_shared_with(viewer.project_id))
    if not viewer.is_admin:
        statement = statement.where(visible)
    return (
        statement.where(condition)
        .order_by(sa.case((own, 0), (visible, 1), else_=2), table.c.created_at, table.c.id)
        .limit(1)
    )


def _shared_with(project_id: str) -> sa.Select[Any]:
    members = schema.members
    return sa.select(members.c.resource_id).where(
        members.c.resource_type == "workflow",
        members.c.member_id == project_id,
        members.c.status == "accepted",
    )
