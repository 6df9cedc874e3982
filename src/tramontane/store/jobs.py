"""Jobs: actions to run, each claimed by one process at a time.

A claim is a fact in the row, without an end of its own: it is renewed by the heartbeat of its
process and lost only by :meth:`Jobs.lose_claims`, the verdict that the process is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.core.state import ActionExecution, Micros
from tramontane.states import ERROR
from tramontane.store import codec, schema, statements
from tramontane.store.again import again_when_busy
from tramontane.store.claiming import Claiming, Taken, Wanted
from tramontane.store.database import Database
from tramontane.store.errors import (
    ClaimUnknownError,
    DatabaseBusyError,
    DatabaseUnavailableError,
    LostValueError,
)
from tramontane.store.limits import LimitBook
from tramontane.store.queries import chunks, columns, records
from tramontane.store.records import InboxRow, JobRow
from tramontane.values import FrozenDict


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job together with its action, whose input isn't repeated in the job.

    ``problem``: why the action can't be run; its input is empty then.
    """

    job: JobRow
    action: ActionExecution
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a process got. ``may_be_more``: others may wait that could be claimed at once; ``is_held``: some
    wait for a slot of a limit, so that the end of any action may let them go."""

    jobs: list[ClaimedJob]
    may_be_more: bool = False
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class LostClaims:
    """What became of a dead process's claims.

    ``reported``: jobs whose executions were told by inbox rows; ``repeated``: stand-alone actions
    that may run again, unclaimed now; ``failed``: stand-alone actions that ended with an error.
    """

    reported: list[JobRow]
    repeated: list[JobRow]
    failed: list[JobRow]


class Jobs:
    """The queue of actions to run."""

    def __init__(self, database: Database, book: LimitBook | None = None) -> None:
        """``book``: what this process knows of the limits, if others want to know it too."""
        self._database = database
        self._claiming = Claiming(book or LimitBook(), database.dialect.now_sql)

    async def claim(
        self,
        process_id: str,
        pools: Collection[str],
        limit: int,
        *,
        names: Collection[str] | None = None,
        project_id: str | None = None,
    ) -> Claim:
        """Claim up to ``limit`` jobs of these pools (``""``: jobs for anybody), in fair order.

        ``names``: of these actions alone; ``project_id``: of this project alone. Jobs whose inputs can't
        be fetched now are given back.

        Raises:
            ClaimUnknownError: some may be claimed now; :meth:`give_back` makes sure that they aren't.
            DatabaseUnavailableError: nothing is claimed.
        """
        taken = await self._take(
            Wanted(
                process_id,
                tuple(sorted(pools)),
                limit,
                None if names is None else tuple(names),
                project_id,
                self._database.formats.newest,
            )
        )
        claimed = [_claimed_by(job, process_id) for job in taken.jobs]
        jobs = await self._with_actions(process_id, claimed, taken.actions)
        return Claim(jobs, taken.may_be_more and len(jobs) == len(claimed), taken.is_held)

    @again_when_busy
    async def _take(self, wanted: Wanted) -> Taken:
        taken = Taken([], {})
        with _unsure(taken.jobs):
            async with self._database.write() as connection:
                await self._claiming.claim(connection, wanted, taken)
        return taken

    async def _with_actions(
        self, process_id: str, jobs: Sequence[JobRow], rows: Mapping[str, Sequence[Any]]
    ) -> list[ClaimedJob]:
        """Read the actions of claimed jobs. One whose input is lost has that for a problem."""
        try:
            actions = await self._actions([rows[job.action_id] for job in jobs])
            return [ClaimedJob(job, action) for job, action in zip(jobs, actions, strict=True)]
        except (DatabaseUnavailableError, LostValueError):
            return await self._one_by_one(process_id, jobs, rows)

    async def _one_by_one(
        self, process_id: str, jobs: Sequence[JobRow], rows: Mapping[str, Sequence[Any]]
    ) -> list[ClaimedJob]:
        found: list[ClaimedJob] = []
        unavailable: dict[str, DatabaseUnavailableError] = {}
        for job in jobs:
            row = rows[job.action_id]
            try:
                (action,) = await self._actions([row])
                found.append(ClaimedJob(job, action))
            except LostValueError as error:
                found.append(ClaimedJob(job, codec.read_action(row, lambda _: None), error.message))
            except DatabaseUnavailableError as error:
                unavailable[job.action_id] = error
        if unavailable:
            try:
                await self.release(process_id, list(unavailable))
            except DatabaseUnavailableError as error:
                attempts = [(job.action_id, job.attempt) for job in jobs]
                raise ClaimUnknownError(error.message, attempts) from error
        if unavailable and not found:
            raise next(iter(unavailable.values()))
        return found

    async def _actions(self, rows: Sequence[Sequence[Any]]) -> list[ActionExecution]:
        return await self._database.big_values.records(codec.read_action, rows)

    @again_when_busy
    async def hold(self, job: JobRow, names: Sequence[str]) -> bool | None:
        """Hold slots of limits for an action that is run without a record, by the process in ``claimed_by``.

        ``names`` are the action's. False: there is no slot; None: nothing limits it, and nothing is held.
        True: the row is there until :meth:`finish`.
        """
        async with self._database.write() as connection:
            lane, has_room = await self._claiming.has_room(connection, job.pool, names)
            if has_room:
                packing = self._database.big_values.packing()
                values = (
                    *codec.write_job(replace(job, lane=lane), packing),
                    self._database.formats.written,
                )
                row = dict(zip(statements.JOBS.columns, values, strict=True))
                await connection.execute(sa.insert(schema.jobs).values(row))
        return has_room

    async def in_service(self) -> list[tuple[str, str, str, int, int]]:
        """Of what is claimed, the last places: (pool, lane, action name, urgency, place)."""
        jobs = schema.jobs
        group = (jobs.c.pool, jobs.c.lane, jobs.c.action_name, jobs.c.urgency)
        statement = (
            sa.select(*group, sa.func.max(jobs.c.place))
            .where(jobs.c.claimed_by.is_not(None))
            .group_by(*group)
        )
        async with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3], row[4]) for row in await connection.execute(statement)]

    async def has_waiting(self, pool: str, lane: str, urgency: int) -> bool:
        """Tell whether a queue holds unclaimed jobs of this urgency."""
        jobs = schema.jobs
        statement = (
            sa.select(sa.literal(1))
            .where(
                jobs.c.claimed_by.is_(None),
                jobs.c.pool == pool,
                jobs.c.lane == lane,
                jobs.c.urgency == urgency,
            )
            .limit(1)
        )
        async with self._database.read() as connection:
            return await connection.scalar(statement) is not None

    @again_when_busy
    async def change_urgency(self, root_id: str, urgency: int) -> None:
        """Let the unclaimed jobs of a whole tree go before others, or behind them."""
        jobs = schema.jobs
        async with self._database.write() as connection:
            await connection.execute(
                sa.update(jobs)
                .where(jobs.c.root_id == root_id, jobs.c.claimed_by.is_(None))
                .values(urgency=urgency)
            )

    @again_when_busy
    async def give_back(self, process_id: str, attempts: Sequence[tuple[str, int]]) -> None:
        """Give back claims of which it isn't known whether they were made."""
        jobs = schema.jobs
        async with self._database.write() as connection:
            for part in chunks(sorted(attempts)):
                ours = sa.or_(
                    *(sa.and_(jobs.c.action_id == each, jobs.c.attempt == attempt) for each, attempt in part)
                )
                await connection.execute(
                    sa.update(jobs).where(ours, jobs.c.claimed_by == process_id).values(claimed_by=None)
                )

    @again_when_busy
    async def release(self, process_id: str, action_ids: Sequence[str]) -> None:
        """Give back claims on jobs that were not begun.

        One whose result waits in an inbox has been, and stays until its execution takes it.
        """
        jobs, inbox = schema.jobs, schema.inbox
        reported = (
            sa.select(sa.literal(1))
            .where(inbox.c.execution_id == jobs.c.execution_id)
            .where(sa.cast(inbox.c.payload, sa.Text).contains(jobs.c.action_id))
            .exists()
        )
        async with self._database.write() as connection:
            for part in chunks(sorted(action_ids)):
                await connection.execute(
                    sa.update(jobs)
                    .where(jobs.c.action_id.in_(part), jobs.c.claimed_by == process_id, ~reported)
                    .values(claimed_by=None)
                )

    @again_when_busy
    async def finish(self, process_id: str, action_ids: Sequence[str]) -> None:
        """Delete jobs that the process has claimed and that are over without a turn."""
        jobs = schema.jobs
        async with self._database.write() as connection:
            for part in chunks(sorted(action_ids)):
                await connection.execute(
                    sa.delete(jobs).where(jobs.c.action_id.in_(part), jobs.c.claimed_by == process_id)
                )

    async def still_held(
        self, process_id: str, attempts: Collection[tuple[str, int]]
    ) -> frozenset[tuple[str, int]]:
        """Of these (action id, attempt) pairs, those that the process may go on running."""
        jobs = schema.jobs
        held: set[tuple[str, int]] = set()
        async with self._database.read() as connection:
            for part in chunks([action_id for action_id, _ in attempts]):
                rows = await connection.execute(
                    sa.select(jobs.c.action_id, jobs.c.attempt).where(
                        jobs.c.action_id.in_(part), jobs.c.claimed_by == process_id
                    )
                )
                held.update((action_id, attempt) for action_id, attempt in rows)
        return frozenset(held & set(attempts))

    async def claims_of(self, process_id: str) -> list[JobRow]:
        """All jobs that a process has claimed."""
        jobs = schema.jobs
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(*columns(jobs, codec.read_job)).where(jobs.c.claimed_by == process_id)
            )
            return records(codec.read_job, rows)

    async def claimed(self, process_id: str, action_id: str, attempt: int) -> JobRow | None:
        """The job of an attempt, if the process may still report its result."""
        jobs = schema.jobs
        statement = sa.select(*columns(jobs, codec.read_job)).where(
            jobs.c.action_id == action_id, jobs.c.attempt == attempt, jobs.c.claimed_by == process_id
        )
        async with self._database.read() as connection:
            found = records(codec.read_job, await connection.execute(statement))
        return found[0] if found else None

    async def claimants(self) -> list[str]:
        """Ids of all processes, dead ones too, that hold claims."""
        jobs = schema.jobs
        statement = (
            sa.select(jobs.c.claimed_by)
            .where(jobs.c.claimed_by.is_not(None), jobs.c.format <= self._database.formats.newest)
            .distinct()
        )
        async with self._database.read() as connection:
            return [each for each in (await connection.execute(statement)).scalars() if each is not None]

    async def unserved(self, pools: Collection[str], before: Micros, limit: int = 500) -> list[JobRow]:
        """Unclaimed jobs of other pools than these that were written before a moment, oldest first."""
        jobs = schema.jobs
        statement = (
            sa.select(*columns(jobs, codec.read_job))
            .where(
                jobs.c.claimed_by.is_(None),
                jobs.c.pool.not_in(pools),
                jobs.c.created_at < before,
                jobs.c.format <= self._database.formats.newest,
            )
            .order_by(jobs.c.created_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return records(codec.read_job, await connection.execute(statement))

    @again_when_busy
    async def readdress(self, action_ids: Sequence[str], pool: str) -> None:
        """Put unclaimed jobs into another pool."""
        jobs = schema.jobs
        async with self._database.write() as connection:
            for part in chunks(sorted(action_ids)):
                await connection.execute(
                    sa.update(jobs)
                    .where(jobs.c.action_id.in_(part), jobs.c.claimed_by.is_(None))
                    .values(pool=pool)
                )

    async def waiting(self) -> dict[str, int]:
        """How many unclaimed jobs there are, by pool."""
        jobs = schema.jobs
        statement = (
            sa.select(jobs.c.pool, sa.func.count()).where(jobs.c.claimed_by.is_(None)).group_by(jobs.c.pool)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
            return {row[0]: row[1] for row in rows}

    @again_when_busy
    async def lose_claims(
        self,
        process_id: str,
        describe: Callable[[JobRow], Any],
        new_id: Callable[[], str],
        now: Micros,
        limit: int = 500,
        *,
        only_absent: bool = False,
    ) -> LostClaims:
        """Take the claims of a dead process away and tell the executions, in one transaction.

        ``describe`` gives the stored form of the event for a job's execution; ``only_absent``: nothing,
        if the process is in the register (again). Call again until nothing is lost any more.
        """
        jobs = schema.jobs
        lost = LostClaims([], [], [])
        async with self._database.write() as connection:
            rows = await connection.execute(
                sa.select(*columns(jobs, codec.read_job))
                .where(jobs.c.claimed_by == process_id, jobs.c.format <= self._database.formats.newest)
                .order_by(jobs.c.action_id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            claimed = records(codec.read_job, rows)
            # Looked at after the claims: those of a process that has come back are older than its return.
            if only_absent and await _is_registered(connection, process_id):
                return lost
            events: list[InboxRow] = []
            for job in claimed:
                if job.execution_id is not None and job.root_id is not None:
                    lost.reported.append(job)
                    events.append(InboxRow(new_id(), job.execution_id, job.root_id, describe(job), now))
                elif job.safe_rerun:
                    lost.repeated.append(job)
                else:
                    lost.failed.append(job)
            await _delete(connection, [*lost.reported, *lost.failed])
            if events:
                names, written = statements.INBOX.columns, self._database.formats.written
                packing = self._database.big_values.packing()
                await connection.execute(
                    sa.insert(schema.inbox),
                    [
                        dict(zip(names, (*codec.write_inbox(event, packing), written), strict=True))
                        for event in events
                    ],
                )
                await self._database.big_values.add(connection, packing.found)
            await _repeat(connection, lost.repeated)
            await _fail(connection, lost.failed, now)
        return lost


@contextmanager
def _unsure(claimed: Sequence[JobRow]) -> Iterator[None]:
    """A transaction that breaks off may have claimed what it had found until then."""
    try:
        yield
    except DatabaseBusyError:
        raise  # then nothing has happened
    except DatabaseUnavailableError as error:
        if not claimed:
            raise
        attempts = [(job.action_id, job.attempt) for job in claimed]
        raise ClaimUnknownError(error.message, attempts) from error


def _claimed_by(job: JobRow, process_id: str) -> JobRow:
    return JobRow(**{name: getattr(job, name) for name in codec.read_job.names} | {"claimed_by": process_id})


async def _is_registered(connection: AsyncConnection, process_id: str) -> bool:
    nodes = schema.nodes
    return await connection.scalar(sa.select(nodes.c.id).where(nodes.c.id == process_id)) is not None


async def _delete(connection: AsyncConnection, lost: Sequence[JobRow]) -> None:
    for part in chunks([job.action_id for job in lost]):
        await connection.execute(sa.delete(schema.jobs).where(schema.jobs.c.action_id.in_(part)))


async def _repeat(connection: AsyncConnection, lost: Sequence[JobRow]) -> None:
    jobs, actions = schema.jobs, schema.action_executions
    for part in chunks([job.action_id for job in lost]):
        await connection.execute(
            sa.update(jobs)
            .where(jobs.c.action_id.in_(part))
            .values(claimed_by=None, attempt=jobs.c.attempt + 1)
        )
        await connection.execute(
            sa.update(actions).where(actions.c.id.in_(part)).values(attempt=actions.c.attempt + 1)
        )


async def _fail(connection: AsyncConnection, lost: Sequence[JobRow], now: Micros) -> None:
    actions = schema.action_executions
    text = "The executor that ran the action is gone; whether it did its work isn't known."
    for part in chunks([job.action_id for job in lost]):
        await connection.execute(
            sa.update(actions)
            .where(actions.c.id.in_(part))
            .values(
                state=ERROR,
                accepted=True,
                output=codec.json_text(FrozenDict({"result": text})),
                updated_at=now,
                finished_at=now,
            )
        )
