"""The statements of the group commit, described once; each dialect renders them in its own way.

A statement writes many rows of one table; a row is a tuple in the order of ``columns``. Plain
columns come first, JSON columns after them (:mod:`tramontane.store.codec` builds rows that way).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Literal

import sqlalchemy as sa

from tramontane.store import schema
from tramontane.store.errors import ConsumedError, RefusedError

Kind = Literal["insert-new", "upsert", "insert-missing", "update", "delete"]

_order = count()


@dataclass(frozen=True, eq=False, slots=True)
class Statement:
    """Write rows of ``table``.

    ``insert-new`` reports which rows existed before; ``upsert`` sets ``changes`` of rows that exist;
    ``insert-missing`` leaves those alone; ``update`` must find every row; ``delete`` need not,
    unless each row ``counts`` once. ``order`` is the place within a transaction.
    """

    table: sa.Table
    kind: Kind
    columns: tuple[str, ...]
    key: tuple[str, ...]
    changes: tuple[str, ...] = ()
    order: int = field(default_factory=_order.__next__)
    counts: bool = False

    @property
    def must_match(self) -> bool:
        """Whether fewer rows than given mean that something is wrong."""
        return self.kind == "update" or self.counts

    def missing(self, rows: int) -> RefusedError:
        """Give the error for so many rows that aren't there."""
        if self.counts:
            return ConsumedError(f"{rows} rows of '{self.table.name}' have been used up by others")
        return RefusedError(f"{rows} rows of '{self.table.name}' to be changed are gone")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a record: plain ones and those that hold JSON."""

    plain: tuple[str, ...]
    json: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return self.plain + self.json


def columns_of(table: sa.Table, only: Sequence[str] | None = None) -> Columns:
    """Sort the columns of a table (or ``only`` some of them) into plain and JSON ones."""
    names = [c.name for c in table.columns if c.name != "format"] if only is None else only
    return Columns(
        tuple(each for each in names if not table.c[each].info.get("json")),
        tuple(each for each in names if table.c[each].info.get("json")),
    )


def _insert(table: sa.Table, kind: Kind, changes: Sequence[str] = ()) -> Statement:
    key = tuple(column.name for column in table.primary_key.columns)
    return Statement(table, kind, columns_of(table).all, key, tuple(changes))


def _insert_alone(table: sa.Table, kind: Kind) -> Statement:
    """For records that are read alone: their rows end with their own format."""
    columns = (*columns_of(table).all, "format")
    key = tuple(column.name for column in table.primary_key.columns)
    changes = tuple(each for each in columns if each not in key) if kind == "upsert" else ()
    return Statement(table, kind, columns, key, changes)


def _upsert(table: sa.Table, changes: Sequence[str]) -> Statement:
    key = tuple(column.name for column in table.primary_key.columns)
    return _insert(table, "upsert", [each for each in changes if each not in key])


def _update(table: sa.Table, changes: Sequence[str]) -> Statement:
    names = columns_of(table, changes).all
    return Statement(table, "update", ("id", *names), ("id",), names)


def _delete(table: sa.Table, *, counts: bool = False) -> Statement:
    key = tuple(column.name for column in table.primary_key.columns)
    return Statement(table, "delete", key, key, counts=counts)


TASK_CHANGES = (
    "state", "state_info", "phase", "processed", "error_handled", "round_seq", "hits", "run",
    "generation", "retry_no", "item_count", "item_next", "concurrency", "completed_seq",
    "outlives_end", "started_at", "finished_at", "updated_at", "next_tasks", "published",
    "published_global", "runtime_context", "causes", "pending", "item_todo",
)  # fmt: skip
"""What may change in a task after its creation (``tags`` and ``is_join`` come from the definition)."""

ACTION_CHANGES = (
    "generation", "state", "accepted", "updated_at", "state_info", "attempt", "started_at",
    "finished_at", "output",
)  # fmt: skip
"""What may change in an action execution: its input, of any size, never does."""

HEAD_COLUMNS = (
    "id",
    "root_id",
    "version",
    "token",
    "first_token",
    "node_id",
    "state",
    "seq",
    "run",
    "format",
)
HEAD_CHANGES = ("version", "token", "node_id", "state", "seq", "run", "takeovers", "format")

HEADS_NEW = Statement(schema.heads, "insert-new", HEAD_COLUMNS, ("id",))
HEADS = Statement(schema.heads, "update", ("id", *HEAD_CHANGES), ("id",), HEAD_CHANGES)
BIG_VALUES = _insert(schema.big_values, "insert-missing")
EXECUTIONS_NEW = _insert(schema.executions, "insert-missing")


@cache
def executions_update(changes: tuple[str, ...]) -> Statement:
    """The statement that changes just these columns of executions."""
    names = columns_of(schema.executions, changes).all
    return Statement(schema.executions, "update", ("id", *names), ("id",), names, EXECUTIONS_NEW.order)


TASKS_NEW = _upsert(schema.tasks, TASK_CHANGES)
TASKS = _update(schema.tasks, TASK_CHANGES)
ACTIONS_NEW = _upsert(schema.action_executions, ACTION_CHANGES)
ACTIONS = _update(schema.action_executions, ACTION_CHANGES)
SUBWORKFLOWS = _upsert(
    schema.subworkflows, ("index", "generation", "state", "accepted", "updated_at", "run", "child_seq")
)
PAST_RUNS = _insert(schema.past_runs, "insert-missing")
CHECKPOINTS_DROPPED = _delete(schema.checkpoints)
CHECKPOINTS = _upsert(schema.checkpoints, ("seq", "data"))
INBOX_USED = _delete(schema.inbox, counts=True)
INBOX = _insert_alone(schema.inbox, "insert-missing")
TIMERS_DROPPED = _delete(schema.timers)
TIMERS = _insert_alone(schema.timers, "upsert")
JOBS_DROPPED = _delete(schema.jobs)
JOBS = _insert_alone(schema.jobs, "upsert")
