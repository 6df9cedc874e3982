"""Results of actions that belong to no task: what becomes of them, wherever the action was run."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tramontane.clock import Clock
from tramontane.core.adhoc import transform
from tramontane.core.state import ActionExecution, Micros
from tramontane.core.texts import check_size
from tramontane.errors import BadRequestError, EvaluationError
from tramontane.expressions import Budget, CompiledStructure
from tramontane.results import Result
from tramontane.service.ports import RecordStore
from tramontane.states import SUCCESS
from tramontane.values import FrozenDict


class StandAloneResults:
    """Applies results to the records of actions that were run on their own."""

    def __init__(
        self,
        records: RecordStore,
        functions: OutsideWorkflow,
        now: Callable[[], Micros],
        limit_kb: int,
    ) -> None:
        self._records = records
        self._functions = functions
        self._now = now
        self._limit_kb = limit_kb

    async def complete(self, action_id: str, attempt: int, result: Result) -> None:
        """Take the result that an executor brings for an action of no task; a late one changes nothing.

        Raises:
            UnavailableError: nothing was written.
        """
        while True:
            action = await self._records.action(action_id)
            if action is None or action.is_completed or action.attempt != attempt:
                return
            done = ended(action, self.finished(action.adhoc, result), self._now())
            if await self._records.change_action(action, done, drop_job=True):
                return

    def finished(self, adhoc: Sequence[Any], result: Result) -> Result:
        """Apply the outputs of ad-hoc actions, and the size limit, to what the real action gave."""
        try:
            if adhoc and result.state == SUCCESS:
                result = Result(data=transform(adhoc, result.data, self._evaluate))
            check_size(FrozenDict({"result": result.value}), self._limit_kb, "ActionExecution", "output")
        except BadRequestError as error:
            return Result(error=error.message)
        return result

    def _evaluate(self, structure: CompiledStructure, data: Any) -> Any:
        return structure.evaluate(OwnScope(data, self._functions), Budget())


def ended(action: ActionExecution, result: Result, now: Micros) -> ActionExecution:
    """Give an action's record as it is with its result."""
    return replace(
        action,
        state=result.state,
        output=FrozenDict({"result": result.value}),
        accepted=True,
        finished_at=now,
        updated_at=now,
    )


class OutsideWorkflow:
    """The engine's functions where there is no execution (expression specification, section 6)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def env(self) -> Mapping[str, Any] | None:
        return None

    def execution(self) -> Mapping[str, Any]:
        raise EvaluationError("execution() can't be used outside of a workflow")

    def executions(
        self,
        id: str | None = None,
        root_execution_id: str | None = None,
        state: str | None = None,
        from_time: str | None = None,
        to_time: str | None = None,
    ) -> list[Mapping[str, Any]]:
        raise EvaluationError("executions() can't be used outside of a workflow")

    def task(self, name: str | None = None) -> Mapping[str, Any] | None:
        return None

    def tasks(
        self,
        workflow_execution_id: str | None = None,
        recursive: bool = False,
        state: str | None = None,
        flat: bool = False,
    ) -> list[Mapping[str, Any]]:
        raise EvaluationError("tasks() can't be used outside of a workflow")

    def global_(self, name: str) -> Any:
        return None

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def now(self) -> dt.datetime:
        return self._clock.now()


class OwnScope:
    """What expressions of an action on its own see."""

    __slots__ = ("data", "functions")

    def __init__(self, data: Any, functions: OutsideWorkflow) -> None:
        self.data = data
        self.functions = functions
