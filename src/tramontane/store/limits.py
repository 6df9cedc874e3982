"""Concurrency limits: how many jobs of a pool, or of an action, may be claimed at the same time.

What is taken is counted from the claimed rows of ``jobs``, so no slot is ever lost: it is free when its
row is. Claims of what is limited lock the limit's row, and move it, so that no two of them count at
the same time, on no server of a cluster either (:mod:`tramontane.store.claiming`).

A :class:`LimitBook` is what a process knows of the limits. It tells whether something is limited at
all; how many slots there are is read by each claim anew.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tramontane.core.state import Micros
from tramontane.store import schema
from tramontane.store.again import again_when_busy
from tramontane.store.database import Database

Kind = Literal["pool", "action"]
KINDS: Final = ("action", "pool")

WORKERS: Final = "worker:"
"""Begins the stored names of actions that workers bring, and of their pools: a limit is for both."""

CURRENT: Final = 1.0
"""Seconds for which a process may take what it knows for what is."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``slots`` None: it was lifted; jobs that waited for it may still be in its lane."""

    kind: str
    name: str
    slots: int | None

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit in force with the jobs that hold its slots, and those that wait in its queue."""

    kind: str
    name: str
    slots: int
    taken: int
    waiting: int
    updated_at: Micros


class LimitBook:
    """The limits as this process has read them last."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._read_at = -math.inf
        self._pools: frozenset[str] = frozenset()
        self._actions: frozenset[str] = frozenset()
        self.uncounted = 0
        """How often claims made before a limit was known here have still to be counted in."""

    def now(self) -> float:
        return self._monotonic()

    def is_current(self, seconds: float = CURRENT) -> bool:
        """Tell whether the limits were read within so many seconds."""
        return self._monotonic() - self._read_at <= seconds

    @property
    def is_empty(self) -> bool:
        """Nothing is limited, and nothing was that somebody may still wait for."""
        return not self._pools and not self._actions

    def note(self, limits: Sequence[Limit], began: float) -> None:
        """Take over what a reading that began at that moment (:meth:`now`) has found."""
        pools = frozenset(each.name for each in limits if each.kind == "pool")
        actions = frozenset(each.name for each in limits if each.kind == "action")
        if actions - self._actions:
            # Twice: processes that didn't know yet may claim past a limit for a moment longer.
            self.uncounted = 2
        self._pools, self._actions, self._read_at = pools, actions, began

    def forget(self) -> None:
        """Have the limits read again at once: this process has changed them."""
        self._read_at = -math.inf

    def caps(self, pool: str) -> bool:
        """Tell whether a pool is limited."""
        return pool.removeprefix(WORKERS) in self._pools

    def lane_of(self, names: Collection[str]) -> str:
        """Give the lane of a job whose action has these names, outermost first; ``""``: it isn't limited."""
        if self._actions:
            for name in names:
                if name in self._actions:
                    return name
        return ""


def names_of(name: str, adhoc: Sequence[Any]) -> list[str]:
    """The names of an action that a limit may be for: ad-hoc ones from outside in, then the real one.

    ``name`` and ``adhoc`` are those of its execution.
    """
    if not adhoc:
        return [name.removeprefix(WORKERS)]
    return [*(str(each[0]) for each in adhoc), str(adhoc[-1][3]).removeprefix(WORKERS)]


class Limits:
    """The register of limits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @again_when_busy
    async def set(self, kind: Kind, name: str, slots: int, now: Micros) -> None:
        """Limit a pool or an action, or change its limit."""
        if not await self._change(kind, name, slots, now):
            try:
                async with self._database.write() as connection:
                    row = {"kind": kind, "name": name, "slots": slots, "turns": 0, "updated_at": now}
                    await connection.execute(sa.insert(schema.limits).values(row))
            except IntegrityError:  # somebody else has just done the same
                await self._change(kind, name, slots, now)

    async def lift(self, kind: Kind, name: str, now: Micros) -> bool:
        """Take a limit away; False: there is none.

        The row stays: processes that don't know yet go on putting jobs into its lane.
        """
        return await self._change(kind, name, None, now)

    @again_when_busy
    async def _change(self, kind: Kind, name: str, slots: int | None, now: Micros) -> bool:
        table = schema.limits
        statement = sa.update(table).where(table.c.kind == kind, table.c.name == name)
        if slots is None:
            statement = statement.where(table.c.slots.is_not(None))
        async with self._database.write() as connection:
            changed = await connection.execute(
                statement.values(slots=slots, turns=table.c.turns + 1, updated_at=now)
            )
        return bool(changed.rowcount)

    async def used(self) -> list[LimitUse]:
        """All limits in force, by kind and name, and how far they are used up."""
        table, jobs = schema.limits, schema.jobs

        def count(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
            of_pool = jobs.c.pool.in_([table.c.name, sa.literal(WORKERS) + table.c.name])
            of_limit = sa.case((table.c.kind == "pool", of_pool), else_=jobs.c.lane == table.c.name)
            return sa.select(sa.func.count()).select_from(jobs).where(of_limit, *conditions).scalar_subquery()

        statement = (
            sa.select(
                table.c.kind,
                table.c.name,
                table.c.slots,
                count(jobs.c.claimed_by.is_not(None)),
                count(jobs.c.claimed_by.is_(None)),
                table.c.updated_at,
            )
            .where(table.c.slots.is_not(None))
            .order_by(table.c.kind, table.c.name)
        )
        async with self._database.read() as connection:
            return [LimitUse(*row) for row in await connection.execute(statement)]


async def read_limits(connection: AsyncConnection) -> list[Limit]:
    table = schema.limits
    rows = await connection.execute(sa.select(table.c.kind, table.c.name, table.c.slots))
    return [Limit(*row) for row in rows]


async def lock_limits(connection: AsyncConnection, keys: Collection[tuple[str, str]]) -> list[Limit]:
    """Keep others from claiming under these limits until the transaction ends; give them as they are now.

    Rows are locked in their order, so that two never wait for each other. They are changed, too: locks
    hold on one server of a cluster, changes are compared on all.
    """
    table = schema.limits
    wanted = sa.tuple_(table.c.kind, table.c.name).in_(sorted(keys))
    rows = await connection.execute(
        sa.select(table.c.kind, table.c.name, table.c.slots)
        .where(wanted)
        .order_by(table.c.kind, table.c.name)
        .with_for_update()
    )
    locked = [Limit(*row) for row in rows]
    await connection.execute(sa.update(table).where(wanted).values(turns=table.c.turns + 1))
    return locked
