"""Event triggers: storing, changing and deleting them (REST endpoints, section 11)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tramontane.core.creation import complete_input
from tramontane.errors import BadRequestError, NotFoundError
from tramontane.service import trusts as agreements
from tramontane.service.caller import Caller
from tramontane.service.catalog import Catalog
from tramontane.service.definitions import Surroundings, missing, require_writable
from tramontane.service.trusts import Trusts
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import EventTriggerRow, WorkflowRow
from tramontane.store.definitions import DefinitionChange
from tramontane.store.tenancy import PRIVATE
from tramontane.values import EMPTY, FrozenDict


@dataclass(frozen=True, slots=True)
class EventOrder:
    """An event trigger as asked for."""

    workflow_id: str
    exchange: str
    topic: str
    event: str
    name: str = ""
    input: FrozenDict = EMPTY
    params: FrozenDict = EMPTY
    scope: str = PRIVATE


@dataclass(frozen=True, slots=True)
class EventChange:
    """What is to be different; None: nothing."""

    name: str | None = None
    workflow_id: str | None = None
    input: FrozenDict | None = None
    params: FrozenDict | None = None
    scope: str | None = None


class EventTriggers:
    def __init__(self, around: Surroundings, catalog: Catalog, trusts: Trusts) -> None:
        self._around = around
        self._catalog = catalog
        self._trusts = trusts

    @again_when_busy
    async def create(self, caller: Caller, order: EventOrder) -> EventTriggerRow:
        """Store a new trigger.

        Raises:
            BadRequestError: an attribute is missing, or the workflow doesn't take the input.
            NotFoundError: no such workflow for this caller.
            ConflictError: the project has one for the same event and workflow.
        """
        for name in ("workflow_id", "exchange", "topic", "event"):
            if not getattr(order, name):
                raise BadRequestError(f"An event trigger needs '{name}'.")
        await self._check_input(caller, order.workflow_id, order.input)
        async with agreements.trusted(self._trusts, self._around.definitions, caller) as trust_id:
            row = EventTriggerRow(
                id=self._around.new_id(),
                name=order.name,
                project_id=caller.project_id,
                scope=order.scope,
                workflow_id=order.workflow_id,
                workflow_input=order.input,
                workflow_params=order.params,
                exchange=order.exchange,
                topic=order.topic,
                event=order.event,
                trust_id=trust_id,
                created_at=self._around.now(),
            )
            async with self._around.definitions.change() as change:
                await _require_workflow(change, caller, order.workflow_id)
                await change.insert(row)
        self._around.changed()
        return row

    @again_when_busy
    async def update(self, caller: Caller, trigger_id: str, wanted: EventChange) -> EventTriggerRow:
        """Change a trigger; the input is checked against the workflow that it has then.

        Raises:
            NotFoundError: no such trigger or workflow for this caller.
            NotAllowedError: the trigger belongs to another project.
            BadRequestError: the workflow doesn't take the input.
            ConflictError: another trigger starts that workflow by the same event.
        """
        async with self._around.definitions.change() as change:
            row = await _find(change, caller, trigger_id)
            changed = replace(
                row,
                name=row.name if wanted.name is None else wanted.name,
                workflow_id=wanted.workflow_id or row.workflow_id,
                workflow_input=row.workflow_input if wanted.input is None else wanted.input,
                workflow_params=row.workflow_params if wanted.params is None else wanted.params,
                scope=wanted.scope or row.scope,
            )
            if changed == row:
                return row
            await _require_workflow(change, caller, changed.workflow_id)
            await self._check_input(caller, changed.workflow_id, changed.workflow_input)
            changed = replace(changed, updated_at=self._around.now())
            await change.update(changed)
        self._around.changed()
        return changed

    @again_when_busy
    async def delete(self, caller: Caller, trigger_id: str) -> None:
        """Delete a trigger.

        Raises:
            NotFoundError: no such trigger for this caller.
            NotAllowedError: it belongs to another project.
        """
        async with self._around.definitions.change() as change:
            row = await _find(change, caller, trigger_id)
            await change.delete(row)
        self._around.changed()
        await agreements.end(self._trusts, self._around.definitions, row.trust_id)

    async def _check_input(self, caller: Caller, workflow_id: str, given: FrozenDict) -> None:
        found = await self._catalog.workflow_to_start(workflow_id, "", caller)
        if found is None or found.id != workflow_id:
            raise missing("workflow", workflow_id)
        complete_input(found.spec, given)


async def _find(change: DefinitionChange, caller: Caller, trigger_id: str) -> EventTriggerRow:
    row = await change.find_by_id(EventTriggerRow, trigger_id, caller)
    if row is None:
        raise NotFoundError(f"There is no event trigger '{trigger_id}'.")
    require_writable(caller, row, "event trigger")
    return row


async def _require_workflow(change: DefinitionChange, caller: Caller, workflow_id: str) -> None:
    if await change.find_by_id(WorkflowRow, workflow_id, caller) is None:
        raise missing("workflow", workflow_id)
