"""The work of a process that only runs actions: jobs come from the database, results go to it.

A result for a workflow becomes an inbox row of its execution, written together with those that wait
beside it and tried until the database takes it. Whatever comes twice or too late changes nothing: the
core compares the attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

from tramontane.core.events import ActionCompleted, to_data
from tramontane.core.state import Micros
from tramontane.errors import UnavailableError
from tramontane.results import Result
from tramontane.service.claims import Doubts, lose_claims, release_others
from tramontane.service.ports import ExecutionStore
from tramontane.service.standalone import StandAloneResults
from tramontane.store.jobs import Claim, Jobs
from tramontane.store.limits import LimitBook
from tramontane.store.nodes import Nodes
from tramontane.store.records import InboxRow, JobRow
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_PAUSE = 0.5
_BATCH = 200


class ResultPosts:
    """Brings results to the inboxes of executions; many at a time when many wait."""

    def __init__(
        self,
        store: ExecutionStore,
        alone: StandAloneResults,
        new_id: Callable[[], str],
        now: Callable[[], Micros],
        told: Callable[[str], None],
    ) -> None:
        """``told`` gets the id of each execution whose inbox has something new."""
        self._store = store
        self._alone = alone
        self._new_id = new_id
        self._now = now
        self._told = told
        self._waiting: list[tuple[InboxRow, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def report(self, job: JobRow, result: Result) -> None:
        """Bring the result of a job; returns when it is durable."""
        if job.execution_id is None or job.root_id is None:
            await _until_taken(lambda: self._alone.complete(job.action_id, job.attempt, result))
            return
        try:
            await self._post(self._row(job, result))
        except ValueError as error:
            refusal = f"The result of the action can't be stored: {error} [action_ex_id={job.action_id}]"
            await self._post(self._row(job, Result(error=refusal)))
        self._told(job.execution_id)

    def _row(self, job: JobRow, result: Result) -> InboxRow:
        assert job.execution_id is not None
        assert job.root_id is not None
        event = ActionCompleted(job.action_id, result.data, result.error, result.cancel, job.attempt)
        return InboxRow(
            self._new_id(), job.execution_id, job.root_id, FrozenDict(to_data(event)), self._now()
        )

    async def _post(self, row: InboxRow) -> None:
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((row, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="results")
        await written

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            try:
                await self._write_rows([row for row, _ in batch])
            except ValueError:
                # One of them can't be stored: which one shows when each is alone.
                for row, written in batch:
                    await self._write_alone(row, written)
                continue
            for _, written in batch:
                if not written.done():
                    written.set_result(None)

    async def _write_alone(self, row: InboxRow, written: asyncio.Future[None]) -> None:
        try:
            await self._write_rows([row])
        except ValueError as error:
            if not written.done():
                written.set_exception(error)
        else:
            if not written.done():
                written.set_result(None)

    async def _write_rows(self, rows: Sequence[InboxRow]) -> None:
        await _until_taken(lambda: self._store.post(rows))


async def _until_taken(write: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await write()
            return
        except UnavailableError as error:
            log.warning("result not stored yet: %s", error.message)
        await asyncio.sleep(_PAUSE)


class ExecutorWork:
    """What an executor outside of nodes does in the database."""

    def __init__(
        self,
        process_id: str,
        jobs: Jobs,
        book: LimitBook,
        nodes: Nodes,
        posts: ResultPosts,
        new_id: Callable[[], str],
        now: Callable[[], Micros],
        told: Callable[[str], None],
    ) -> None:
        self.process_id = process_id
        self._jobs = jobs
        self._book = book
        self._nodes = nodes
        self._posts = posts
        self._new_id = new_id
        self._now = now
        self._told = told
        self._doubts = Doubts(jobs, process_id)

    async def claim(self, pools: Collection[str], limit: int) -> Claim:
        """Claim unclaimed jobs of these pools, in fair order."""
        return await self._doubts.note(self._jobs.claim(self.process_id, pools, limit))

    def doubt(self, jobs: Sequence[JobRow]) -> None:
        """These may be claimed by this process, which doesn't run them."""
        self._doubts.add((job.action_id, job.attempt) for job in jobs)

    async def settle_doubts(self) -> None:
        """Give back jobs that this process may have claimed without getting to know it."""
        await self._doubts.settle()

    async def report(self, job: JobRow, result: Result) -> None:
        """Bring the result of a job; returns when it is durable, and a slot of its limit is free again."""
        await self._posts.report(job, result)
        if job.lane or self._book.caps(job.pool):
            await _until_taken(lambda: self._jobs.finish(self.process_id, [job.action_id]))

    async def hand_over(self, job: JobRow) -> None:
        """An asynchronous action was begun: its result comes from outside, the job is over."""
        await _until_taken(lambda: self._jobs.finish(self.process_id, [job.action_id]))

    async def give_back(self, job: JobRow) -> None:
        """Let others run a job that was claimed and not begun."""
        await self._jobs.release(self.process_id, [job.action_id])

    async def release_others(self, begun: Collection[tuple[str, int]]) -> None:
        """Let others run every job that this process has claimed, but those that it has ``begun``."""
        await release_others(self._jobs, self.process_id, begun)

    async def still_held(self, jobs: Collection[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        """Of these (action id, attempt) pairs, those that this process may go on running."""
        return await self._jobs.still_held(self.process_id, jobs)

    async def register(self, name: str, kind: str, info: FrozenDict) -> Micros:
        """Enter this process into the register, and see who else is in it; return the database's time."""
        now = await self._nodes.register(self.process_id, name, kind, info)
        await self.look_around()
        return now

    async def look_around(self) -> None:
        """See who takes part: what is written is what all of them can read."""
        await self._nodes.all()

    async def beat(self) -> Micros | None:
        """Show that this process lives; None: it was declared dead."""
        return await self._nodes.beat(self.process_id)

    async def hold(self) -> bool:
        """Keep the session lock that shows this process's life."""
        return await self._nodes.hold(self.process_id)

    async def lose_claims(self) -> int:
        """Give up what was not finished: it is lost, or sent again where that is safe."""
        return await lose_claims(self._jobs, self.process_id, self._new_id, self._now, self._told)

    async def accept_verdict(self) -> None:
        """Others have buried this process: give up what it had claimed, before it registers again."""
        await self.lose_claims()

    async def leave(self) -> None:
        """Take this process out of the register."""
        await self._nodes.remove(self.process_id)
