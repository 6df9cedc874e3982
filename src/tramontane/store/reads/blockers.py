"""What an execution's open tasks wait for, read from rows: a few statements, each by an index.

However much is open, little is read: the oldest tasks, and of each task's running actions and
sub-workflows the oldest beside their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Subquery, and_, bindparam, func, select

from tramontane.states import COMPLETED
from tramontane.store.reads.objects import Reader
from tramontane.store.schema import (
    action_executions,
    executions,
    heads,
    inbox,
    jobs,
    nodes,
    subworkflows,
    tasks,
    timers,
)

TASKS_SHOWN: Final = 200
CHILDREN_SHOWN: Final = 10

_OPEN: Final = tuple(sorted(COMPLETED))


class Standing(NamedTuple):
    """How an execution stands. ``node_name`` None although there is a ``node_id``: that node is gone."""

    id: str
    workflow_name: str
    state: str
    state_info: str | None
    spec_hash: str
    root_id: str
    parent_id: str | None
    parent_state: str | None
    parked: str | None
    node_id: str | None
    node_name: str | None


class OpenTask(NamedTuple):
    """An open task; ``item_todo`` is JSON text (null: all items)."""

    id: str
    name: str
    state: str
    phase: str
    retry_no: int
    item_count: int | None
    item_next: int
    item_todo: str | None
    concurrency: int


class DueTimer(NamedTuple):
    task_id: str
    kind: str
    due_at: int


class OpenAction(NamedTuple):
    """A running action; ``queued_at`` None: there is no job, it isn't for this service to run.

    ``total``: how many the task has; ``item``: the index within its items.
    """

    task_id: str
    total: int
    id: str
    name: str
    item: int
    state: str
    created_at: int
    queued_at: int | None
    pool: str | None
    claimed_by: str | None
    node_name: str | None
    lane: str | None = None
    urgency: int | None = None
    place: int | None = None

    @property
    def is_waiting(self) -> bool:
        """Nobody has claimed its job."""
        return self.queued_at is not None and self.claimed_by is None


class OpenCall(NamedTuple):
    """A called execution that hasn't ended for its task; ``state`` None: it doesn't exist."""

    task_id: str
    total: int
    id: str
    item: int
    workflow_name: str | None
    state: str | None
    parked: str | None
    created_at: int


class Source(NamedTuple):
    """The latest execution of a task that leads to a join; ``next_tasks`` is JSON text."""

    name: str
    id: str
    state: str
    next_tasks: str | None


class Process(NamedTuple):
    """A living node or executor; ``info`` is JSON text."""

    id: str
    name: str
    kind: str
    info: str


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Everything that is open in an execution. ``has_more``: there are more open tasks than these."""

    standing: Standing
    inbox_rows: int
    inbox_since: int | None
    tasks: Sequence[OpenTask]
    has_more: bool
    timers: Mapping[str, Sequence[DueTimer]]
    actions: Mapping[str, Sequence[OpenAction]]
    calls: Mapping[str, Sequence[OpenCall]]
    processes: Sequence[Process]

    @property
    def waiting_jobs(self) -> list[OpenAction]:
        """Actions that nobody has begun to run."""
        return [each for of_task in self.actions.values() for each in of_task if each.is_waiting]


async def read_open_work(reader: Reader, execution_id: str) -> OpenWork | None:
    """Read what is open in an execution; None: there is none of this id (visibility isn't asked for)."""
    key = {"execution_id": execution_id}
    found = await reader.lookup(_STANDING, key)
    if not found:
        return None
    standing = Standing(*found[0])
    if standing.state in COMPLETED:
        return OpenWork(standing, 0, None, (), False, {}, {}, {}, ())
    ((inbox_rows, since),) = await reader.lookup(_INBOX, key)
    open_tasks = [OpenTask(*row) for row in await reader.lookup(_TASKS, key)]
    due: dict[str, list[DueTimer]] = defaultdict(list)
    running: dict[str, list[OpenAction]] = defaultdict(list)
    called: dict[str, list[OpenCall]] = defaultdict(list)
    if open_tasks:
        for row in await reader.lookup(_TIMERS, key):
            due[row[0]].append(DueTimer(*row))
        for row in await reader.lookup(_ACTIONS, key):
            running[row[0]].append(OpenAction(*row))
        for row in await reader.lookup(_CALLS, key):
            called[row[0]].append(OpenCall(*row))
    processes: list[Process] = []
    if any(job.is_waiting for jobs_ in running.values() for job in jobs_):
        processes = [Process(*row) for row in await reader.lookup(_PROCESSES, {})]
    return OpenWork(
        standing,
        inbox_rows,
        since,
        open_tasks[:TASKS_SHOWN],
        len(open_tasks) > TASKS_SHOWN,
        due,
        running,
        called,
        processes,
    )


async def read_sources(reader: Reader, execution_id: str, names: Collection[str]) -> dict[str, Source]:
    """Read the latest execution of each of these tasks."""
    if not names:
        return {}
    rows = await reader.fetch(_SOURCES, {"execution_id": execution_id, "names": sorted(names)})
    return {row[0]: Source(*row) for row in rows}


def _standing() -> Select[Any]:
    parent = executions.alias("parent")
    return (
        select(
            executions.c.id,
            executions.c.workflow_name,
            executions.c.state,
            executions.c.state_info,
            executions.c.spec_hash,
            executions.c.root_id,
            executions.c.parent_id,
            parent.c.state.label("parent_state"),
            heads.c.parked,
            heads.c.node_id,
            nodes.c.name.label("node_name"),
        )
        .select_from(
            executions.join(heads, heads.c.id == executions.c.id)
            .outerjoin(nodes, nodes.c.id == heads.c.node_id)
            .outerjoin(parent, parent.c.id == executions.c.parent_id)
        )
        .where(executions.c.id == bindparam("execution_id"))
    )


def _open_tasks(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .where(tasks.c.execution_id == bindparam("execution_id"), tasks.c.state.not_in(_closed()))
        .order_by(tasks.c.seq)
        .limit(TASKS_SHOWN + 1)
    )


def _closed() -> tuple[Any, ...]:
    """Final states as literals: statements that are compiled once can't hold lists."""
    return tuple(bindparam(f"closed_{place}", state, unique=True) for place, state in enumerate(_OPEN))


def _shown() -> Subquery:
    return _open_tasks(tasks.c.id, tasks.c.generation).subquery("open_tasks")


def _timers() -> Select[Any]:
    shown = _shown()
    return (
        select(timers.c.task_id, timers.c.kind, timers.c.due_at)
        .select_from(shown.join(timers, timers.c.task_id == shown.c.id))
        .order_by(timers.c.due_at)
    )


def _actions() -> Select[Any]:
    shown = _shown()
    of_task: dict[str, Any] = {"partition_by": action_executions.c.task_id}
    ranked = (
        select(
            action_executions.c.task_id,
            action_executions.c.id,
            action_executions.c.seq,
            func.count().over(**of_task).label("total"),
            func.row_number().over(**of_task, order_by=action_executions.c.seq).label("place"),
        )
        .select_from(
            shown.join(
                action_executions,
                and_(
                    action_executions.c.task_id == shown.c.id,
                    action_executions.c.generation == shown.c.generation,
                ),
            )
        )
        .where(action_executions.c.state.not_in(_closed()))
    ).subquery("ranked")
    return (
        select(
            ranked.c.task_id,
            ranked.c.total,
            ranked.c.id,
            action_executions.c.name,
            action_executions.c.index,
            action_executions.c.state,
            action_executions.c.created_at,
            jobs.c.created_at.label("queued_at"),
            jobs.c.pool,
            jobs.c.claimed_by,
            nodes.c.name.label("node_name"),
            jobs.c.lane,
            jobs.c.urgency,
            jobs.c.place,
        )
        .select_from(
            ranked.join(action_executions, action_executions.c.id == ranked.c.id)
            .outerjoin(jobs, jobs.c.action_id == ranked.c.id)
            .outerjoin(nodes, nodes.c.id == jobs.c.claimed_by)
        )
        .where(ranked.c.place <= CHILDREN_SHOWN)
        .order_by(ranked.c.seq)
    )


def _calls() -> Select[Any]:
    shown = _shown()
    of_task: dict[str, Any] = {"partition_by": subworkflows.c.task_id}
    ranked = (
        select(
            subworkflows.c.task_id,
            subworkflows.c.id,
            subworkflows.c.index,
            subworkflows.c.seq,
            subworkflows.c.created_at,
            func.count().over(**of_task).label("total"),
            func.row_number().over(**of_task, order_by=subworkflows.c.seq).label("place"),
        )
        .select_from(
            shown.join(
                subworkflows,
                and_(
                    subworkflows.c.execution_id == bindparam("execution_id"),
                    subworkflows.c.task_id == shown.c.id,
                    subworkflows.c.generation == shown.c.generation,
                ),
            )
        )
        .where(subworkflows.c.state.not_in(_closed()))
    ).subquery("ranked")
    return (
        select(
            ranked.c.task_id,
            ranked.c.total,
            ranked.c.id,
            ranked.c.index,
            executions.c.workflow_name,
            executions.c.state,
            heads.c.parked,
            ranked.c.created_at,
        )
        .select_from(
            ranked.outerjoin(executions, executions.c.id == ranked.c.id).outerjoin(
                heads, heads.c.id == ranked.c.id
            )
        )
        .where(ranked.c.place <= CHILDREN_SHOWN)
        .order_by(ranked.c.seq)
    )


def _sources() -> Select[Any]:
    latest = (
        select(
            tasks.c.name,
            tasks.c.id,
            tasks.c.state,
            tasks.c.next_tasks,
            func.row_number().over(partition_by=tasks.c.name, order_by=tasks.c.seq.desc()).label("place"),
        ).where(
            tasks.c.execution_id == bindparam("execution_id"),
            tasks.c.name.in_(bindparam("names", expanding=True)),
        )
    ).subquery("latest")
    return select(latest.c.name, latest.c.id, latest.c.state, latest.c.next_tasks).where(latest.c.place == 1)


_STANDING: Final = _standing()
_INBOX: Final = select(*[func.count(), func.min(inbox.c.created_at)]).where(
    inbox.c.execution_id == bindparam("execution_id")
)
_TASKS: Final = _open_tasks(*(tasks.c[name] for name in OpenTask._fields))
_TIMERS: Final = _timers()
_ACTIONS: Final = _actions()
_CALLS: Final = _calls()
_SOURCES: Final = _sources()
_PROCESSES: Final = select(nodes.c.id, nodes.c.name, nodes.c.kind, nodes.c.info).order_by(
    nodes.c.started_at, nodes.c.id
)
