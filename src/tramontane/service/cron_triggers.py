"""Cron triggers: storing and deleting schedules (REST endpoints, section 10)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from tramontane.core.creation import complete_input
from tramontane.core.state import Micros
from tramontane.errors import BadRequestError, NotFoundError
from tramontane.service import trusts as agreements
from tramontane.service.caller import Caller
from tramontane.service.catalog import Catalog
from tramontane.service.definitions import Surroundings, missing, require_writable
from tramontane.service.schedule import Schedule, plan
from tramontane.service.trusts import Trusts
from tramontane.store.again import again_when_busy
from tramontane.store.definition_records import CronTriggerRow, WorkflowRow
from tramontane.store.tenancy import PRIVATE
from tramontane.values import EMPTY, FrozenDict


@dataclass(frozen=True, slots=True)
class CronOrder:
    """A cron trigger as asked for. ``workflow`` is an id or a name in the empty namespace."""

    name: str | None
    workflow: str | None
    input: FrozenDict = EMPTY
    params: FrozenDict = EMPTY
    pattern: str | None = None
    first_time: Micros | None = None
    count: int | None = None
    scope: str = PRIVATE


class CronTriggers:
    def __init__(self, around: Surroundings, catalog: Catalog, trusts: Trusts) -> None:
        self._around = around
        self._catalog = catalog
        self._trusts = trusts

    @again_when_busy
    async def create(self, caller: Caller, order: CronOrder) -> CronTriggerRow:
        """Store a new trigger.

        Raises:
            BadRequestError: the schedule can't be, or the workflow doesn't take the input.
            NotFoundError: no such workflow for this caller.
            ConflictError: the project has one of this name, or the same under another name.
        """
        if not order.name:
            raise BadRequestError("A cron trigger needs a name.")
        now = self._around.now()
        schedule = plan(order.pattern, order.first_time, order.count, now)
        if not order.workflow:
            raise BadRequestError("A cron trigger needs workflow_id or workflow_name.")
        found = await self._catalog.workflow_to_start(order.workflow, "", caller)
        if found is None:
            raise missing("workflow", order.workflow)
        complete_input(found.spec, order.input)
        async with agreements.trusted(self._trusts, self._around.definitions, caller) as trust_id:
            row = CronTriggerRow(
                id=self._around.new_id(),
                name=order.name,
                project_id=caller.project_id,
                scope=order.scope,
                workflow_name=found.name,
                workflow_id=found.id,
                workflow_input=order.input,
                workflow_params=order.params,
                pattern=schedule.pattern,
                remaining_executions=schedule.count,
                first_execution_time=schedule.first_time,
                next_execution_time=schedule.next_time,
                sameness=_sameness(found.id, order, schedule),
                trust_id=trust_id,
                created_at=now,
            )
            async with self._around.definitions.change() as change:
                if await change.find_by_id(WorkflowRow, found.id, caller) is None:
                    raise missing("workflow", order.workflow)
                await change.insert(row)
        self._around.changed()
        return row

    @again_when_busy
    async def delete(self, caller: Caller, identifier: str) -> None:
        """Delete a trigger, found by id or name; what it has started goes on.

        Raises:
            NotFoundError: no such trigger for this caller.
            NotAllowedError: it belongs to another project.
        """
        async with self._around.definitions.change() as change:
            row = await change.find(CronTriggerRow, identifier, caller)
            if row is None:
                raise NotFoundError(f"There is no cron trigger '{identifier}'.")
            require_writable(caller, row, "cron trigger")
            await change.delete(row)
        self._around.changed()
        await agreements.end(self._trusts, self._around.definitions, row.trust_id)


def _sameness(workflow_id: str, order: CronOrder, schedule: Schedule) -> str | None:
    """What triggers that start the same thing at the same times have in common.

    Upstream compares only those that have a count and a first time, and so do we.
    """
    if schedule.count is None or schedule.first_time is None:
        return None
    parts = (workflow_id, schedule.pattern, order.input, order.params, schedule.count, schedule.first_time)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
