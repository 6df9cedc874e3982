"""Where waiting jobs stand: what goes before them, and who holds the slots of limits that they wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, literal, or_, select

from tramontane.store.limits import WORKERS
from tramontane.store.reads.objects import Reader
from tramontane.store.reads.visibility import Viewer
from tramontane.store.schema import action_executions, jobs, limits, nodes

COUNTED: Final = 10_000
"""More jobs than these that go before one aren't counted."""

HOLDERS_SHOWN: Final = 10
_JOBS_SHOWN: Final = 10

LimitKey = tuple[str, str]
"""(kind, name)"""


class WaitingJob(Protocol):
    """An unclaimed job (:class:`tramontane.store.reads.blockers.OpenAction`)."""

    @property
    def id(self) -> str: ...
    @property
    def pool(self) -> str | None: ...
    @property
    def lane(self) -> str | None: ...
    @property
    def urgency(self) -> int | None: ...
    @property
    def place(self) -> int | None: ...


class Holder(NamedTuple):
    """A running action that holds a slot; ``process``: who runs it."""

    action_id: str
    execution_id: str | None
    action: str | None
    process: str | None


@dataclass(frozen=True, slots=True)
class FullLimit:
    """A limit without a free slot. ``holders`` are those that the viewer may see, not all of ``taken``."""

    kind: str
    name: str
    slots: int
    taken: int
    holders: Sequence[Holder]


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """``limits``: those that are used up; ``before``: how many jobs go before some of the waiting ones, by
    action id (:data:`COUNTED` + 1: more than that)."""

    limits: Mapping[LimitKey, FullLimit] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)


def limits_of(job: WaitingJob) -> tuple[LimitKey, LimitKey]:
    """The limits that a job may be under."""
    return ("pool", (job.pool or "").removeprefix(WORKERS)), ("action", job.lane or "")


async def read_queue(reader: Reader, waiting: Sequence[WaitingJob], viewer: Viewer) -> QueueFacts:
    """Look at the queue from where these jobs stand."""
    wanted = {key for job in waiting for key in limits_of(job)}
    full: dict[LimitKey, FullLimit] = {}
    for kind, name, slots in await reader.fetch(_LIMITS):
        if (kind, name) in wanted:
            ((taken,),) = await reader.fetch(_claimed(kind, name, func.count()))
            if taken >= slots:
                holders = await _holders(reader, kind, name, viewer)
                full[kind, name] = FullLimit(kind, name, slots, taken, holders)
    before: dict[str, int] = {}
    for job in waiting[:_JOBS_SHOWN]:
        place = {"pool": job.pool, "lane": job.lane, "urgency": job.urgency, "place": job.place}
        ((before[job.id],),) = await reader.lookup(_BEFORE, place)
    return QueueFacts(full, before)


def _claimed(kind: str, name: str, *shown: Any) -> Select[Any]:
    pools = [name, WORKERS + name]
    of_limit: ColumnElement[bool] = jobs.c.pool.in_(pools) if kind == "pool" else jobs.c.lane == name
    return select(*shown).select_from(jobs).where(jobs.c.claimed_by.is_not(None), of_limit)


async def _holders(reader: Reader, kind: str, name: str, viewer: Viewer) -> list[Holder]:
    statement = (
        _claimed(kind, name, jobs.c.action_id, jobs.c.execution_id, action_executions.c.name, nodes.c.name)
        .outerjoin(action_executions, action_executions.c.id == jobs.c.action_id)
        .outerjoin(nodes, nodes.c.id == jobs.c.claimed_by)
        .order_by(jobs.c.created_at)
        .limit(HOLDERS_SHOWN)
    )
    if not viewer.is_admin:
        statement = statement.where(jobs.c.project_id == viewer.project_id)
    return [Holder(*row) for row in await reader.fetch(statement)]


def _before() -> Select[Any]:
    urgency: BindParameter[int] = bindparam("urgency")
    place: BindParameter[int] = bindparam("place")
    earlier = (
        select(literal(1).label("one"))
        .where(
            jobs.c.claimed_by.is_(None),
            jobs.c.pool == bindparam("pool"),
            jobs.c.lane == bindparam("lane"),
            or_(jobs.c.urgency < urgency, and_(jobs.c.urgency == urgency, jobs.c.place < place)),
        )
        .limit(COUNTED + 1)
    )
    return select(func.count()).select_from(earlier.subquery("earlier"))


_LIMITS: Final = select(limits.c.kind, limits.c.name, limits.c.slots).where(limits.c.slots.is_not(None))
_BEFORE: Final = _before()
