"""What the engine asks of its surroundings: the commit, loading, job and timer services.

The store implements :class:`ExecutionStore`; the services of :mod:`tramontane.runtime` the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tramontane.core.decision import ActionInfo as ActionInfo
from tramontane.core.state import ActionExecution, Execution, HistoryKey, Recalled, Timer
from tramontane.errors import UnavailableError
from tramontane.results import Result
from tramontane.store.commit import CommitOutcome
from tramontane.store.records import InboxRow, JobRow, StoredExecution, TaskPlace, TurnWrite
from tramontane.values import FrozenDict


class ExecutionStore(Protocol):
    """Reading and writing executions whole."""

    @property
    def written_format(self) -> int:
        """The format of records that every process that takes part can read."""

    async def commit(self, turns: Sequence[TurnWrite], node_id: str) -> Sequence[CommitOutcome]:
        """Write turns in one transaction (:func:`tramontane.store.commit.commit`).

        Raises:
            DatabaseUnavailableError: nothing was written.
            OutcomeUnknownError: the batch may have been written; :meth:`committed` tells.
        """

    async def prepare(self, turns: Sequence[TurnWrite]) -> int:
        """Do what can be done before :meth:`commit`; give about how many bytes that will write.

        Raises:
            DatabaseUnavailableError: nothing was written that counts.
        """

    async def committed(self, execution_ids: Sequence[str], token: int) -> frozenset[str]:
        """Of these executions, those whose heads a commit with this token has written.

        Raises:
            DatabaseUnavailableError: the database can't be asked.
        """

    async def load(self, execution_id: str) -> StoredExecution | None:
        """Load an execution with all its records; None: there is no such execution."""

    async def load_open(self, execution_id: str) -> StoredExecution | None:
        """Load what a turn of the execution needs: from its checkpoint on, if there is one."""

    async def recall(self, execution_id: str, keys: Sequence[HistoryKey]) -> Mapping[HistoryKey, Recalled]:
        """Give the records that a checkpoint has left out and a decision has asked for."""

    async def post(self, rows: Sequence[InboxRow]) -> None:
        """Write inbox rows on their own."""

    async def discard_all(self, execution_id: str) -> None:
        """Delete all inbox rows of an execution that doesn't exist any more."""

    async def unpark(self, execution_id: str) -> None:
        """See :meth:`tramontane.store.executions.Executions.unpark`."""

    async def park(self, execution_id: str, reason: str) -> None:
        """Mark an execution as one that nobody runs any more, and why."""

    async def delete(
        self, execution_id: str, *, only_completed: bool = False, inbox: Sequence[InboxRow] = ()
    ) -> Sequence[str]:
        """Delete an execution with everything below it, and write ``inbox``, in one transaction.

        Returns:
            the ids of the executions that are gone; none if there was nothing to delete.

        Raises:
            NotAllowedError: ``only_completed``, and it isn't.
        """


class RecordStore(Protocol):
    """Single records, whoever they belong to, and action executions outside of workflows."""

    async def execution(self, execution_id: str) -> Execution | None: ...
    async def task_place(self, task_id: str) -> TaskPlace | None: ...
    async def action(self, action_id: str) -> ActionExecution | None: ...

    async def waiting_events(self, action_ids: Sequence[str]) -> Sequence[InboxRow]:
        """Read the events about these actions that still wait, oldest first; of very many not all."""

    async def add_action(self, action: ActionExecution, job: JobRow | None) -> None:
        """Store an action execution that belongs to no task."""

    async def change_action(self, before: ActionExecution, after: ActionExecution, drop_job: bool) -> bool:
        """Write ``after``, unless the record isn't as ``before`` (state, attempt) any more: False then."""

    async def delete_action(self, action_id: str) -> bool: ...


class QueuedJobs(Protocol):
    """Jobs that wait (:class:`tramontane.store.jobs.Jobs`)."""

    async def change_urgency(self, root_id: str, urgency: int) -> None:
        """Let the unclaimed jobs of a whole tree go before others, or behind them."""


class LimitedRuns(Protocol):
    """Slots of limits for what is run without a record (:class:`tramontane.store.jobs.Jobs`)."""

    async def hold(self, job: JobRow, names: Sequence[str]) -> bool | None:
        """Hold slots while an action runs; False: there are none; None: it needs none."""

    async def finish(self, process_id: str, action_ids: Sequence[str]) -> None:
        """Give them back."""


class Jobs(Protocol):
    """The local executor as the engine sees it."""

    def reserve(self, pool: str) -> bool:
        """Take a free slot for a job of this pool; False: the job stays unclaimed."""

    def release(self, count: int) -> None:
        """Give slots back whose jobs were not written."""

    def begin(self, job: JobRow, action: ActionExecution) -> None:
        """Run a job that is written and claimed by this node, on a slot that was reserved for it."""

    def doubt(self, jobs: Sequence[JobRow]) -> None:
        """These may be written and claimed by this node, which won't run them: see that they get free."""

    def wake(self) -> None:
        """Unclaimed jobs were written."""

    def drop(self, action_id: str, interrupt: bool) -> None:
        """The job is over; with ``interrupt`` stop the action if it runs here."""

    async def run(
        self, info: ActionInfo, given: FrozenDict, context: FrozenDict, seconds: int | None
    ) -> Result | None:
        """Run an action for a caller who waits for it, for so many seconds; None: it is asynchronous.

        Raises:
            UnavailableError: the executor has no slot for it.
        """


class Timers(Protocol):
    """The timer service as the engine sees it."""

    def note(self, timer: Timer) -> None:
        """A timer was written."""

    def forget(self, task_id: str, kind: str) -> None:
        """A timer was deleted."""


class Witness(Protocol):
    """Gets to know what became durable, in order per execution; must not raise or block."""

    def __call__(self, turn: TurnWrite) -> None: ...


class NoJobs:
    """Stands for an executor elsewhere: every job stays unclaimed."""

    def reserve(self, pool: str) -> bool:
        return False

    def release(self, count: int) -> None:
        return None

    def begin(self, job: JobRow, action: ActionExecution) -> None:
        raise AssertionError("a job was claimed for a node without an executor")

    def doubt(self, jobs: Sequence[JobRow]) -> None:
        return None

    def wake(self) -> None:
        return None

    def drop(self, action_id: str, interrupt: bool) -> None:
        return None

    async def run(
        self, info: ActionInfo, given: FrozenDict, context: FrozenDict, seconds: int | None
    ) -> Result | None:
        raise UnavailableError("This node runs no actions itself; ask another node, or store the result.")


class NoTimers:
    """Stands for timers that are polled elsewhere."""

    def note(self, timer: Timer) -> None:
        return None

    def forget(self, task_id: str, kind: str) -> None:
        return None
