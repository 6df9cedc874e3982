"""Running a failed task again, or skipping it (REST endpoints, section 8)."""

from __future__ import annotations

from tramontane.core.events import RerunAsked, SkipAsked
from tramontane.errors import NotFoundError
from tramontane.service.caller import Caller, may_see
from tramontane.service.engine import Engine
from tramontane.service.executions import visible_to
from tramontane.service.ports import RecordStore
from tramontane.values import FrozenDict


class TaskUseCases:
    """What callers do with tasks (:class:`tramontane.service.services.Tasks`)."""

    def __init__(self, engine: Engine, records: RecordStore) -> None:
        self._engine = engine
        self._records = records

    async def rerun(self, caller: Caller, task_id: str, reset: bool, env: FrozenDict | None) -> None:
        """Run a task in ERROR again, its execution and all above it going back to RUNNING.

        Raises:
            NotFoundError: no such task for this caller.
            BadRequestError: the task, its execution or one above can't run again.
        """
        await self._revive(caller, task_id, RerunAsked(task_id, reset, env or None))

    async def skip(self, caller: Caller, task_id: str, env: FrozenDict | None) -> None:
        """Skip a task in ERROR: the workflow goes on as its on-skip says.

        Raises:
            as :meth:`rerun`
        """
        await self._revive(caller, task_id, SkipAsked(task_id, env or None))

    async def _revive(self, caller: Caller, task_id: str, event: RerunAsked | SkipAsked) -> None:
        place = await self._records.task_place(task_id)
        if place is None or not may_see(caller, place.project_id):
            raise NotFoundError(f"Task execution not found [id={task_id}]")
        guard = visible_to(caller, place.execution_id)
        await self._engine.revive(place.execution_id, event, guard)
