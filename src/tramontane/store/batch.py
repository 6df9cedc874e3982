"""Turns made ready for writing: encoded once, grouped into bundles, resolved against the fence.

Pure data and decisions; the dialects execute what :meth:`Batch.plan` says.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tramontane.core.state import Execution
from tramontane.states import COMPLETED
from tramontane.store import codec, statements
from tramontane.store.codec import Row, Writer
from tramontane.store.packing import Found, Key, Memory, Packing
from tramontane.store.records import TurnWrite
from tramontane.store.statements import Statement

_STATE = ("state", "state_info", "updated_at", "finished_at")
_COLUMN_GROUPS = (
    _STATE,
    ("description", "tags"),
    ("output",),
    ("globals", "published_global"),
    ("params",),
    ("backlog",),
    ("security",),
    ("parent_seq", "env_seq"),
)
"""Columns of an execution that change together; ``input`` and what names it never change."""

NOTHING: Final[Mapping[Key, Found]] = MappingProxyType({})

_ROW_SIZE: Final = 500

_RANDOM = random.SystemRandom()


@dataclass(slots=True)
class Head:
    """What a turn writes into the head of its execution."""

    id: str
    root_id: str
    version: int  # as read; 0: new
    state: str
    seq: int
    run: int
    takeovers: int
    format: int


@dataclass(slots=True)
class EncodedTurn:
    """A turn as rows. ``rows`` are in no particular order; statements have one.

    ``found`` are the big values that the rows refer to.
    """

    head: Head
    bundle: str | None
    found: Mapping[Key, Found]
    children: list[Head] = field(default_factory=list)
    rows: list[tuple[Statement, Row]] = field(default_factory=list)

    size: int = 0
    """About how many bytes the turn writes; a big value counts unless it seems to be stored."""


def encode_turn(turn: TurnWrite, memory: Memory, written: int = 1) -> EncodedTurn:
    """Turn everything that a turn writes into rows.

    A task, action or call of a sub-workflow is new when its ``seq`` lies beyond the execution's
    ``seq`` before the turn; of others only what can change is written. ``written`` is the format of what
    other executions will read.

    Raises:
        TypeError, ValueError: for a value that has no stored form.
    """
    before, execution = turn.before, turn.execution
    packing = Packing(memory)
    encoded = EncodedTurn(
        _head(execution, turn.version, turn.format, turn.takeovers), turn.bundle, packing.found
    )
    put = encoded.rows.append
    if before is None:
        put((statements.EXECUTIONS_NEW, codec.write_execution(execution, packing)))
    elif before is not execution:
        put_execution_changes(encoded, before, execution, packing)
    for child in turn.children:
        encoded.children.append(_head(child, 0, written))
        put((statements.EXECUTIONS_NEW, codec.write_execution(child, packing)))
    known = -1 if before is None else before.seq
    for task in turn.tasks:
        if task.seq > known:
            put((statements.TASKS_NEW, codec.write_task(task, packing)))
        else:
            put((statements.TASKS, codec.write_task_changes(task, packing)))
    for action in turn.actions:
        if action.seq > known:
            put((statements.ACTIONS_NEW, codec.write_action(action, packing)))
        else:
            put((statements.ACTIONS, codec.write_action_changes(action, packing)))
    _encode_small(turn, encoded, packing, written)
    encoded.size = packing.size + len(encoded.rows) * _ROW_SIZE
    return encoded


def _encode_small(turn: TurnWrite, encoded: EncodedTurn, packing: Packing, written: int) -> None:
    put = encoded.rows.append
    for call in turn.subworkflows:
        put((statements.SUBWORKFLOWS, codec.write_subworkflow(call, packing)))
    for past in turn.past_runs:
        put((statements.PAST_RUNS, codec.write_past_run(past, packing)))
    for event in turn.inbox:
        put((statements.INBOX, (*codec.write_inbox(event, packing), written)))
    for event_id in turn.consumed_inbox:
        put((statements.INBOX_USED, (event_id,)))
    for timer in {(each.task_id, each.kind): each for each in turn.timers}.values():
        put((statements.TIMERS, (*codec.write_timer(timer, packing), turn.format)))
    for timer_key in turn.dropped_timers:
        put((statements.TIMERS_DROPPED, tuple(timer_key)))
    for job in {each.action_id: each for each in turn.jobs}.values():
        put((statements.JOBS, (*codec.write_job(job, packing), turn.format)))
    if turn.checkpoint is not None:
        put((statements.CHECKPOINTS, codec.write_checkpoint(turn.checkpoint, packing)))
    elif turn.drops_checkpoint:
        put((statements.CHECKPOINTS_DROPPED, (turn.execution.id,)))
    for action_id in turn.dropped_jobs:
        put((statements.JOBS_DROPPED, (action_id,)))


def put_execution_changes(
    encoded: EncodedTurn, before: Execution, execution: Execution, packing: Packing
) -> None:
    """Write just the columns whose values are other objects than before."""
    changed: list[str] = []
    for group in _COLUMN_GROUPS:
        if any(getattr(before, name) is not getattr(execution, name) for name in group):
            changed.extend(group)
    if changed:
        statement = statements.executions_update(tuple(changed))
        encoded.rows.append((statement, _execution_writer(statement)(execution, packing)))


_writers: dict[Statement, Writer] = {}


def _execution_writer(statement: Statement) -> Writer:
    writer = _writers.get(statement)
    if writer is None:
        writer = _writers[statement] = codec.row_writer(statement.table, statement.columns)
    return writer


def _head(execution: Execution, version: int, format: int, takeovers: int = 0) -> Head:
    place = execution.id, execution.root_id, version
    return Head(*place, execution.state, execution.seq, execution.run, takeovers, format)


@dataclass(slots=True)
class Plan:
    """What to execute, in this order, and which turns have lost their race."""

    writes: list[tuple[Statement, list[Row]]]
    lost: frozenset[str]


def new_token() -> int:
    """A number that no other commit has."""
    return _RANDOM.getrandbits(62)


def big_value_row(key: Key, found: Found) -> Row:
    root_id, content_hash = key
    data = found.text() if found.place is None else None
    return (root_id, content_hash, found.big.size, found.place, data)


class Batch:
    """Turns (and rows that belong to none) to be written in one transaction."""

    def __init__(
        self,
        turns: Sequence[EncodedTurn],
        node_id: str | None = None,
        token: int = 0,
        rows: Sequence[tuple[Statement, Row]] = (),
        found: Mapping[Key, Found] = NOTHING,
    ) -> None:
        """``found``: the big values that ``rows`` refer to."""
        self.turns = turns
        self.node_id = node_id
        self.token = token
        self._rows = rows
        self._found = found

    @property
    def known_ids(self) -> list[str]:
        """Ids of heads to lock, in order: those that were read."""
        return sorted(turn.head.id for turn in self.turns if turn.head.version)

    @property
    def doubtful(self) -> list[Key]:
        """Big values that may be stored already: all but those of new trees."""
        keys = set(self._found)
        for turn in self.turns:
            if turn.found and (turn.head.version or turn.head.id != turn.head.root_id):
                keys.update(turn.found)
        return sorted(keys)

    def plan(
        self,
        versions: Mapping[str, int],
        taken: Iterable[str] = (),
        stored: Collection[Key] = (),
    ) -> Plan:
        """Decide who has won.

        ``versions`` are those of the heads that could be locked; ``taken`` are ids that were to be
        new and aren't; ``stored`` are big values that needn't be written. A turn that lost takes its
        whole bundle with it.
        """
        occupied = frozenset(taken)
        lost = {turn.head.id for turn in self.turns if self._has_lost(turn, versions, occupied)}
        broken = {turn.bundle for turn in self.turns if turn.head.id in lost and turn.bundle is not None}
        winners = [turn for turn in self.turns if turn.head.id not in lost and turn.bundle not in broken]
        lost.update(turn.head.id for turn in self.turns if turn.bundle in broken)
        return Plan(self._writes(winners, stored), frozenset(lost))

    @staticmethod
    def _has_lost(turn: EncodedTurn, versions: Mapping[str, int], taken: frozenset[str]) -> bool:
        if turn.head.version and versions.get(turn.head.id) != turn.head.version:
            return True
        if not turn.head.version and turn.head.id in taken:
            return True
        return any(child.id in taken for child in turn.children)

    def _writes(
        self, turns: Sequence[EncodedTurn], stored: Collection[Key]
    ) -> list[tuple[Statement, list[Row]]]:
        rows: dict[Statement, list[Row]] = {}
        found = dict(self._found)
        for statement, row in self._rows:
            rows.setdefault(statement, []).append(row)
        new_heads: list[Row] = []
        heads: list[Row] = []
        for turn in turns:
            if turn.head.version:
                heads.append(self._head_changes(turn.head))
            else:
                new_heads.append(self._new_head(turn.head))
            new_heads.extend(self._new_head(child) for child in turn.children)
            for statement, row in turn.rows:
                rows.setdefault(statement, []).append(row)
            found.update(turn.found)
        # In the order of their keys: two batches that store the same don't wait for each other.
        big = [big_value_row(key, found[key]) for key in sorted(found) if key not in stored]
        if big:
            rows[statements.BIG_VALUES] = big
        if new_heads:
            rows[statements.HEADS_NEW] = sorted(new_heads)
        if heads:
            rows[statements.HEADS] = heads
        return sorted(rows.items(), key=lambda each: (each[0].order, each[0].changes))

    def _new_head(self, head: Head) -> Row:
        node_id = None if head.state in COMPLETED else self.node_id
        place = (head.id, head.root_id, 1, self.token, self.token, node_id)
        return (*place, head.state, head.seq, head.run, head.format)

    def _head_changes(self, head: Head) -> Row:
        node_id = None if head.state in COMPLETED else self.node_id
        place = (head.id, head.version + 1, self.token, node_id)
        return (*place, head.state, head.seq, head.run, head.takeovers, head.format)
