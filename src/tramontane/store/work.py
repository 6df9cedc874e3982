"""What waits to be done, found by polling: the inbox, due timers, executions without a living node.

Nothing here claims anything (but :meth:`Work.take_over`): two nodes that pick up the same find out by
the fence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tramontane.core.state import Micros, Timer
from tramontane.states import COMPLETED, PAUSED, RUNNING
from tramontane.store import codec, schema
from tramontane.store.again import again_when_busy
from tramontane.store.database import Database
from tramontane.store.queries import chunks, columns, records


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An execution that changed its node; ``takeovers`` counts since its last commit."""

    id: str
    takeovers: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An execution with something in its inbox, and the node that ran it last."""

    id: str
    node_id: str | None


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer that is due, and the node that ran its execution last."""

    timer: Timer
    node_id: str | None


class Work:
    """Queries of the runtime's loops."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest = database.formats.newest

    async def waiting_executions(
        self, node_id: str, now: Micros, grace: Micros = 1_000_000, limit: int = 500
    ) -> list[Waiting]:
        """Executions with inbox rows, longest waiting first.

        Rows of executions that another node ran last are left to it for ``grace`` microseconds. Executions
        that are gone are among them (their rows are to be discarded), parked ones not, and nothing that a
        later version has written.
        """
        inbox, heads = schema.inbox, schema.heads
        oldest = sa.func.min(inbox.c.created_at)
        statement = (
            sa.select(inbox.c.execution_id, heads.c.node_id)
            .select_from(inbox.outerjoin(heads, heads.c.id == inbox.c.execution_id))
            .where(
                heads.c.parked.is_(None),
                inbox.c.format <= self._newest,
                heads.c.format.is_(None) | (heads.c.format <= self._newest),
                (heads.c.node_id == node_id)
                | heads.c.node_id.is_(None)
                | (inbox.c.created_at <= now - grace),
            )
            .group_by(inbox.c.execution_id, heads.c.node_id)
            .order_by(oldest)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [Waiting(*row) for row in await connection.execute(statement)]

    async def due_timers(
        self, node_id: str, now: Micros, grace: Micros = 1_000_000, limit: int = 500
    ) -> list[DueTimer]:
        """Timers that are due, oldest first; those of other nodes' executions ``grace`` later."""
        timers, heads = schema.timers, schema.heads
        statement = (
            sa.select(*columns(timers, codec.read_timer), heads.c.node_id)
            .join_from(timers, heads, heads.c.id == timers.c.execution_id)
            .where(
                timers.c.due_at <= now,
                heads.c.parked.is_(None),
                timers.c.format <= self._newest,
                heads.c.format <= self._newest,
                (heads.c.node_id == node_id) | heads.c.node_id.is_(None) | (timers.c.due_at <= now - grace),
            )
            .order_by(timers.c.due_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
            return [DueTimer(codec.read_timer(fields), owner) for *fields, owner in rows]

    async def timers_of(self, node_id: str, until: Micros, limit: int = 10_000) -> list[Timer]:
        """The next timers of a node's own executions, for its memory after a start."""
        timers, heads = schema.timers, schema.heads
        statement = (
            sa.select(*columns(timers, codec.read_timer))
            .join_from(timers, heads, heads.c.id == timers.c.execution_id)
            .where(
                timers.c.due_at <= until,
                heads.c.node_id == node_id,
                timers.c.format <= self._newest,
                heads.c.format <= self._newest,
            )
            .order_by(timers.c.due_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return records(codec.read_timer, await connection.execute(statement))

    async def executions_of(self, node_id: str, limit: int = 10_000) -> list[str]:
        """Ids of the executions that a node ran last and that aren't completed, paused ones left out."""
        heads = schema.heads
        statement = (
            sa.select(heads.c.id)
            .where(heads.c.node_id == node_id, *self._runnable())
            .order_by(heads.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def all_executions_of(self, node_id: str) -> list[str]:
        """Ids of all executions that a node ran last and that aren't completed."""
        heads = schema.heads
        statement = sa.select(heads.c.id).where(heads.c.node_id == node_id).order_by(heads.c.id)
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    @again_when_busy
    async def give(self, node_id: str, receiver: str, execution_ids: Sequence[str]) -> int:
        """Make executions of a node another one's; return how many. Locked ones are left as they are."""
        heads = schema.heads
        given = 0
        async with self._database.write() as connection:
            for part in chunks(execution_ids):
                rows = await connection.execute(
                    sa.select(heads.c.id)
                    .where(heads.c.id.in_(part), heads.c.node_id == node_id)
                    .order_by(heads.c.id)
                    .with_for_update(skip_locked=True)
                )
                free = list(rows.scalars())
                if free:
                    await connection.execute(
                        sa.update(heads).where(heads.c.id.in_(free)).values(node_id=receiver)
                    )
                given += len(free)
        return given

    async def nodes_with_executions(self) -> list[str]:
        """Ids of all nodes (dead ones too) that some unfinished execution names which they should run."""
        heads = schema.heads
        statement = (
            sa.select(heads.c.node_id).where(heads.c.node_id.is_not(None), *self._runnable()).distinct()
        )
        async with self._database.read() as connection:
            return [each for each in (await connection.execute(statement)).scalars() if each is not None]

    @again_when_busy
    async def take_over(
        self, node_id: str, from_nodes: Sequence[str], limit: int = 500, *, counted: bool = True
    ) -> list[TakenOver]:
        """Make executions of dead or suspect nodes this node's own; returns which (none: all are done).

        ``counted``: the counter of takeovers goes up. Locked ones are left for the next call. The old node
        isn't fenced by this but by the next commit; that also puts the counter back to 0.
        """
        heads = schema.heads
        async with self._database.write() as connection:
            rows = await connection.execute(
                sa.select(heads.c.id, heads.c.takeovers)
                .where(heads.c.node_id.in_(from_nodes), *self._runnable())
                .order_by(heads.c.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            more = 1 if counted else 0
            taken = [TakenOver(execution_id, takeovers + more) for execution_id, takeovers in rows]
            for part in chunks([each.id for each in taken]):
                await connection.execute(
                    sa.update(heads)
                    .where(heads.c.id.in_(part))
                    .values(node_id=node_id, takeovers=heads.c.takeovers + more)
                )
        return taken

    async def stranded(self, node_id: str, after: str = "", limit: int = 1000) -> list[tuple[str, bool]]:
        """RUNNING executions of a node in the order of their ids, and whether nothing will move each.

        What moves one is an inbox row, a timer, a job, a sub-workflow that hasn't ended, or an action whose
        result somebody outside will bring. Call again from the last id on; an empty list is the end.
        """
        heads, children, calls = schema.heads, schema.heads.alias("children"), schema.subworkflows
        actions = schema.action_executions
        moved = [
            sa.exists().where(table.c.execution_id == heads.c.id)
            for table in (schema.inbox, schema.timers, schema.jobs)
        ]
        moved.append(
            sa.exists().where(
                calls.c.execution_id == heads.c.id,
                children.c.id == calls.c.id,
                children.c.state.not_in(COMPLETED),
            )
        )
        moved.append(
            sa.exists().where(
                actions.c.execution_id == heads.c.id,
                actions.c.is_sync.is_(False),
                actions.c.state.not_in(COMPLETED),
            )
        )
        statement = (
            sa.select(heads.c.id, sa.case((sa.or_(*moved), 0), else_=1))
            .where(
                heads.c.node_id == node_id,
                heads.c.state == RUNNING,
                heads.c.parked.is_(None),
                heads.c.id > after,
            )
            .order_by(heads.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [(row[0], bool(row[1])) for row in await connection.execute(statement)]

    async def unfinished(self) -> dict[tuple[str, bool], int]:
        """How many executions haven't ended, by state and whether they are parked; of all nodes."""
        heads = schema.heads
        is_parked = sa.case((heads.c.parked.is_(None), 0), else_=1)
        statement = (
            sa.select(heads.c.state, is_parked, sa.func.count())
            .where(heads.c.node_id.is_not(None))
            .group_by(heads.c.state, is_parked)
        )
        async with self._database.read() as connection:
            return {(row[0], bool(row[1])): row[2] for row in await connection.execute(statement)}

    @again_when_busy
    async def adopt(self, node_id: str, execution_ids: Sequence[str]) -> list[str]:
        """Make executions of other nodes this one's, because those do nothing about them; return which.

        As :meth:`take_over`: locked ones, and those that have just found another node, are left out.
        """
        heads = schema.heads
        adopted: list[str] = []
        async with self._database.write() as connection:
            for part in chunks(sorted(execution_ids)):
                rows = await connection.execute(
                    sa.select(heads.c.id)
                    .where(heads.c.id.in_(part), heads.c.node_id != node_id)
                    .order_by(heads.c.id)
                    .with_for_update(skip_locked=True)
                )
                found = list(rows.scalars())
                if found:
                    await connection.execute(
                        sa.update(heads)
                        .where(heads.c.id.in_(found))
                        .values(node_id=node_id, takeovers=heads.c.takeovers + 1)
                    )
                adopted += found
        return adopted

    def _runnable(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Conditions for heads of executions that have to be run, and that this version can run."""
        heads = schema.heads
        return heads.c.state != PAUSED, heads.c.parked.is_(None), heads.c.format <= self._newest

    async def is_open(self, execution_id: str) -> bool:
        """Whether an inbox row, a timer or a job will move the execution."""
        async with self._database.read() as connection:
            for table in (schema.inbox, schema.timers, schema.jobs):
                found = await connection.scalar(
                    sa.select(sa.literal(1)).where(table.c.execution_id == execution_id).limit(1)
                )
                if found is not None:
                    return True
        return False
