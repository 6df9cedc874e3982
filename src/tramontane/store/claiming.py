"""Which waiting jobs a process claims next.

The queue of a pool has lanes: one for what isn't limited, one for each limited action. Within a lane
the more urgent jobs come first, and of equally urgent ones those with the lower place; places are given
out so that no execution and no project keeps the others waiting (service/fairness.py). Between the lanes
and pools of one claimant it goes around. And one job in eight is the one that has waited longest, if that
is for more than five minutes: so nothing starves, whatever else is more urgent.

Where nothing is limited and one pool is asked for, a claim is one ordered read with ``SKIP LOCKED``. Under
limits it chooses first, locks the limits that it needs, counts again, and then takes what still fits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.store import codec, schema
from tramontane.store.limits import WORKERS, Limit, LimitBook, lock_limits, names_of, read_limits
from tramontane.store.queries import chunks, columns, records
from tramontane.store.records import JobRow

Queue = tuple[str, str]
"""(pool, lane)"""

_AGED_MICROS: Final = 300 * 1_000_000
_AGED_SHARE: Final = 8
_AGED_PAUSE: Final = 5.0
"""Seconds after which it is looked again for jobs that waited too long, where there were none."""

_ROUNDS: Final = 5
"""So often a claim looks again when others were faster, or jobs were in the wrong lane."""

_QUEUES: Final = 200
"""So many queues are looked at in one statement."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a process asks for. ``limit``: so many at most; ``names``, ``project_id``: of these alone;
    ``newest``: the latest format that it reads."""

    process_id: str
    pools: tuple[str, ...]
    limit: int
    names: tuple[str, ...] | None = None
    project_id: str | None = None
    newest: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that waits. ``is_aged``: it has waited so long that it goes before the others."""

    action_id: str
    queue: Queue
    urgency: int
    place: int
    is_aged: bool = False


@dataclass(slots=True)
class Taken:
    """What a claim got. ``actions``: rows of the jobs' actions by id; ``may_be_more``: others may wait that
    could be claimed now; ``is_held``: some wait for slots of a limit."""

    jobs: list[JobRow]
    actions: dict[str, sa.Row[Any]]
    may_be_more: bool = False
    is_held: bool = False


class Rooms:
    """How many more jobs the limits let in; a job takes a slot of its pool's limit and of its lane's."""

    def __init__(self, limits: Iterable[Limit], claimed: Mapping[Queue, int]) -> None:
        self._free = {limit.key: limit.slots for limit in limits if limit.slots is not None}
        for queue, count in claimed.items():
            for key in self.limits_of(queue):
                self._free[key] = max(0, self._free[key] - count)

    def limits_of(self, queue: Queue) -> list[tuple[str, str]]:
        """The limits that jobs of a queue are under."""
        pool, lane = queue
        return [key for key in (("pool", pool.removeprefix(WORKERS)), ("action", lane)) if key in self._free]

    def free(self, queue: Queue) -> int | None:
        """How many more jobs of a queue there is room for; None: there is no limit."""
        return min((self._free[key] for key in self.limits_of(queue)), default=None)

    def enter(self, queue: Queue) -> bool:
        """Take the slots for one job; False: there is none."""
        if self.free(queue) == 0:
            return False
        for key in self.limits_of(queue):
            self._free[key] -= 1
        return True


def choose(candidates: Iterable[Candidate], rooms: Rooms, limit: int, turn: int) -> list[Candidate]:
    """Choose whom to claim: those that waited too long, then by urgency, from each queue in turn.

    ``turn``: which of the queues begins.
    """
    queues: dict[Queue, list[Candidate]] = {}
    aged: list[Candidate] = []
    for each in candidates:
        if each.is_aged:
            aged.append(each)
        else:
            queues.setdefault(each.queue, []).append(each)
    first = {each.action_id for each in aged}
    order = sorted(queues)
    ranked: list[tuple[int, int, int, Candidate]] = []
    for position, queue in enumerate(order):
        line = [each for each in queues[queue] if each.action_id not in first]
        line.sort(key=lambda each: (each.urgency, each.place))
        own = (position - turn) % len(order)
        for _, same in itertools.groupby(line, key=lambda each: each.urgency):
            ranked.extend((each.urgency, rank, own, each) for rank, each in enumerate(same))
    ranked.sort(key=lambda each: each[:3])
    chosen: list[Candidate] = []
    for each in itertools.chain(aged, (candidate for *_, candidate in ranked)):
        if len(chosen) == limit:
            break
        if rooms.enter(each.queue):
            chosen.append(each)
    return chosen


class Claiming:
    """Claims of one process; remembers whose turn it is."""

    def __init__(self, book: LimitBook, now_sql: str) -> None:
        self.book = book
        self._now = sa.literal_column(now_sql, sa.BigInteger())
        self._turn = 0
        self._asked = 0
        self._aged_again_at = -math.inf

    async def claim(self, connection: AsyncConnection, wanted: Wanted, taken: Taken) -> None:
        """Claim jobs within the transaction of ``connection``; ``taken`` gets to know which."""
        limits = await self._limits(connection)
        for _ in range(_ROUNDS):
            left = wanted.limit - len(taken.jobs)
            found, is_all = await self._next(connection, wanted, limits, left)
            is_right = await self._take(connection, wanted, found, taken, bool(limits))
            taken.may_be_more = not (is_all and is_right)
            if len(taken.jobs) >= wanted.limit or not taken.may_be_more:
                break
        if limits and len(taken.jobs) < wanted.limit:
            taken.is_held = await self._is_held(connection, wanted, limits)

    async def has_room(
        self, connection: AsyncConnection, pool: str, names: Sequence[str]
    ) -> tuple[str, bool | None]:
        """Tell whether the limits let one more job in, and keep others out until the transaction ends.

        ``names`` are the action's. Gives the job's lane, too; None: nothing limits it.
        """
        limits = await self._limits(connection)
        queue = (pool, self.book.lane_of(names))
        keys = Rooms(limits, {}).limits_of(queue)
        if not keys:
            return queue[1], None
        return queue[1], Rooms(await lock_limits(connection, keys), await _claimed(connection)).enter(queue)

    async def _limits(self, connection: AsyncConnection) -> list[Limit]:
        book = self.book
        is_current = book.is_current()
        if book.is_empty and is_current:
            return []
        began = book.now()
        limits = await read_limits(connection)
        book.note(limits, began)
        if book.uncounted == 2 or (book.uncounted and not is_current):
            await _count_in(connection, book)
            book.uncounted -= 1
        return limits

    # -- choosing -------------------------------------------------------------------------

    def _aged_share(self, wanted: int) -> int:
        """How many of so many jobs are to be those that have waited too long."""
        self._asked += wanted
        if self._asked < _AGED_SHARE or self.book.now() < self._aged_again_at:
            self._asked = min(self._asked, _AGED_SHARE)
            return 0
        aged, self._asked = divmod(self._asked, _AGED_SHARE)
        return min(aged, wanted)

    def _note_aged(self, found: int) -> None:
        if not found:
            self._aged_again_at = self.book.now() + _AGED_PAUSE

    async def _next(
        self, connection: AsyncConnection, wanted: Wanted, limits: Sequence[Limit], left: int
    ) -> tuple[list[JobRow], bool]:
        """Lock the next jobs; False: others were faster, or a limit lets in fewer than it seemed."""
        lanes = ["", *sorted(limit.name for limit in limits if limit.kind == "action")]
        queues = [(pool, lane) for lane in lanes for pool in wanted.pools]
        aged = self._aged_share(left)
        if len(queues) == 1 and not limits:
            return await self._next_of_one(connection, wanted, queues[0], left, aged), True
        self._turn += 1
        rooms = Rooms(limits, await _claimed(connection) if limits else {})
        open_queues = [queue for queue in queues if rooms.free(queue) != 0]
        candidates: list[Candidate] = []
        if aged:
            candidates = await self._waiting(connection, wanted, open_queues, aged, is_aged=True)
            candidates.sort(key=lambda each: each.place)
            del candidates[aged:]
            self._note_aged(len(candidates))
        candidates += await self._waiting(connection, wanted, open_queues, left)
        chosen = still = choose(candidates, rooms, left, self._turn)
        keys = {key for each in chosen for key in rooms.limits_of(each.queue)}
        if keys:
            # Nobody else claims under these limits from here on: what is counted now stays true.
            known = {limit.key: limit for limit in limits}
            known.update((limit.key, limit) for limit in await lock_limits(connection, keys))
            rooms = Rooms(known.values(), await _claimed(connection))
            still = [each for each in chosen if rooms.enter(each.queue)]
        found = await self._locked_of(connection, [each.action_id for each in still])
        return found, len(found) == len(chosen)

    async def _next_of_one(
        self, connection: AsyncConnection, wanted: Wanted, queue: Queue, left: int, aged: int
    ) -> list[JobRow]:
        """Nothing is limited and there is one queue."""
        jobs = schema.jobs
        first: list[JobRow] = []
        statement = self._of_queue(columns(jobs, codec.read_job), wanted, queue)
        statement = statement.with_for_update(skip_locked=True)
        if aged:
            rows = await connection.execute(self._aged(statement).limit(aged))
            first = records(codec.read_job, rows)
            self._note_aged(len(first))
        if first:
            statement = statement.where(jobs.c.action_id.not_in([job.action_id for job in first]))
        if len(first) == left:
            return first
        rows = await connection.execute(_by_place(statement).limit(left - len(first)))
        return [*first, *records(codec.read_job, rows)]

    def _of_queue(self, shown: Sequence[Any], wanted: Wanted, queue: Queue) -> sa.Select[Any]:
        """The jobs of a queue that wait, and that this process wants."""
        jobs = schema.jobs
        statement = sa.select(*shown).where(
            jobs.c.claimed_by.is_(None),
            jobs.c.pool == queue[0],
            jobs.c.lane == queue[1],
            jobs.c.format <= wanted.newest,
        )
        if wanted.names is not None:
            statement = statement.where(jobs.c.action_name.in_(wanted.names))
        if wanted.project_id is not None:
            statement = statement.where(jobs.c.project_id == wanted.project_id)
        return statement

    def _aged(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        created_at = schema.jobs.c.created_at
        return statement.where(created_at < self._now - _AGED_MICROS).order_by(created_at)

    async def _locked_of(self, connection: AsyncConnection, action_ids: Sequence[str]) -> list[JobRow]:
        jobs = schema.jobs
        found: dict[str, JobRow] = {}
        for part in chunks(action_ids):
            rows = await connection.execute(
                sa.select(*columns(jobs, codec.read_job))
                .where(jobs.c.action_id.in_(part), jobs.c.claimed_by.is_(None))
                .with_for_update(skip_locked=True)
            )
            found.update((job.action_id, job) for job in records(codec.read_job, rows))
        return [found[action_id] for action_id in action_ids if action_id in found]

    async def _waiting(
        self,
        connection: AsyncConnection,
        wanted: Wanted,
        queues: Sequence[Queue],
        limit: int,
        *,
        is_aged: bool = False,
    ) -> list[Candidate]:
        """The first of each queue."""
        found: list[Candidate] = []
        for part in chunks(queues, _QUEUES):
            heads = [sa.select(self._heads(wanted, queue, limit, is_aged).subquery()) for queue in part]
            statement = heads[0] if len(heads) == 1 else sa.union_all(*heads)
            for action_id, pool, lane, urgency, place in await connection.execute(statement):
                found.append(Candidate(action_id, (pool, lane), urgency, place, is_aged))
        return found

    def _heads(self, wanted: Wanted, queue: Queue, limit: int, is_aged: bool) -> sa.Select[Any]:
        jobs = schema.jobs
        place = jobs.c.created_at if is_aged else jobs.c.place
        shown = (jobs.c.action_id, jobs.c.pool, jobs.c.lane, jobs.c.urgency, place.label("place"))
        statement = self._of_queue(shown, wanted, queue)
        return (self._aged(statement) if is_aged else _by_place(statement)).limit(limit)

    # -- taking ---------------------------------------------------------------------------

    async def _take(
        self, connection: AsyncConnection, wanted: Wanted, found: Sequence[JobRow], taken: Taken, check: bool
    ) -> bool:
        """Claim locked jobs; with ``check`` those alone that are in the right lane.

        Those that aren't, because whoever wrote them didn't know the limit yet, change it; False:
        there were some.
        """
        if not found:
            return True
        actions = await _actions_of(connection, [job.action_id for job in found])
        lanes: dict[str, list[str]] = {}
        ours: list[JobRow] = []
        gone: list[str] = []
        for job in found:
            action = actions.get(job.action_id)
            if action is None:
                gone.append(job.action_id)
                continue
            lane = self.book.lane_of(_names(action)) if check else job.lane
            if lane == job.lane:
                ours.append(job)
            else:
                lanes.setdefault(lane, []).append(job.action_id)
        jobs = schema.jobs
        for part in chunks([job.action_id for job in ours]):
            await connection.execute(
                sa.update(jobs).where(jobs.c.action_id.in_(part)).values(claimed_by=wanted.process_id)
            )
        for lane, action_ids in lanes.items():
            await _change_lane(connection, action_ids, lane)
        for part in chunks(gone):
            await connection.execute(sa.delete(jobs).where(jobs.c.action_id.in_(part)))
        taken.jobs.extend(ours)
        taken.actions.update(actions)
        return not lanes

    async def _is_held(self, connection: AsyncConnection, wanted: Wanted, limits: Sequence[Limit]) -> bool:
        """Tell whether jobs wait in queues whose limits are used up."""
        rooms = Rooms(limits, await _claimed(connection))
        lanes = ["", *(limit.name for limit in limits if limit.kind == "action")]
        full = [(pool, lane) for lane in lanes for pool in wanted.pools if rooms.free((pool, lane)) == 0]
        return bool(full) and bool(await self._waiting(connection, wanted, full, 1))


def _by_place(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.order_by(schema.jobs.c.urgency, schema.jobs.c.place)


async def _claimed(connection: AsyncConnection) -> dict[Queue, int]:
    """Count what is claimed, by pool and lane."""
    jobs = schema.jobs
    rows = await connection.execute(
        sa.select(jobs.c.pool, jobs.c.lane, sa.func.count())
        .where(jobs.c.claimed_by.is_not(None))
        .group_by(jobs.c.pool, jobs.c.lane)
    )
    return {(pool, lane): count for pool, lane, count in rows}


async def _actions_of(connection: AsyncConnection, action_ids: Sequence[str]) -> dict[str, sa.Row[Any]]:
    """Read the rows of actions; what they refer to is fetched when they are claimed for good."""
    actions = schema.action_executions
    found: dict[str, sa.Row[Any]] = {}
    for part in chunks(action_ids):
        rows = await connection.execute(
            sa.select(*columns(actions, codec.read_action)).where(actions.c.id.in_(part))
        )
        found.update((row.id, row) for row in rows)
    return found


def _names(action: sa.Row[Any]) -> list[str]:
    return names_of(action.name, codec.json_value(action.adhoc))


async def _change_lane(connection: AsyncConnection, action_ids: Sequence[str], lane: str) -> None:
    jobs = schema.jobs
    for part in chunks(action_ids):
        await connection.execute(sa.update(jobs).where(jobs.c.action_id.in_(part)).values(lane=lane))


async def _count_in(connection: AsyncConnection, book: LimitBook) -> None:
    """Have jobs that were claimed before a limit was known hold a slot of it."""
    jobs = schema.jobs
    rows = await connection.execute(
        sa.select(*columns(jobs, codec.read_job))
        .where(jobs.c.claimed_by.is_not(None))
        .order_by(jobs.c.action_id)
        .with_for_update(skip_locked=True)
    )
    claimed = records(codec.read_job, rows)
    actions = await _actions_of(connection, [job.action_id for job in claimed])
    lanes: dict[str, list[str]] = {}
    for job in claimed:
        action = actions.get(job.action_id)
        if action is not None:
            lane = book.lane_of(_names(action))
            if lane != job.lane:
                lanes.setdefault(lane, []).append(job.action_id)
    for lane, action_ids in lanes.items():
        await _change_lane(connection, action_ids, lane)
