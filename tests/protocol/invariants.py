"""What must hold of the rows after every transaction, whoever wrote it."""

from __future__ import annotations

from typing import Any

import orjson
from tests.protocol.memory import MemoryDatabase, Record

from tramontane.states import COMPLETED, RUNNING, WAITING
from tramontane.store.batch import Batch

_GOES_ON = ("started", "continued")
_TIMERS = {"before": "wait-before", "after": "wait-after", "retry": "retry"}


class Violation(AssertionError):
    """The protocol broke a promise."""


def require(holds: object, text: str) -> None:
    if not holds:
        raise Violation(text)


class Watch:
    """Looks at every transaction in the moment in which it becomes durable."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.broken: list[str] = []
        self.changes = 0
        database.writing = self._before_commit
        database.committed.append(self._after_commit)

    def note(self, text: str) -> None:
        """Remember a broken promise; the simulation ends with it."""
        self.broken.append(text)

    def _before_commit(self, batch: Batch, lost: frozenset[str]) -> None:
        """A turn writes only over the version that it was decided from."""
        heads = self._database.tables["heads"]
        for turn in batch.turns:
            head = turn.head
            if head.id in lost:
                continue
            known = heads[head.id]["version"] if head.id in heads else 0
            if known != head.version:
                self.note(f"a turn decided from version {head.version} of {head.id} writes over {known}")
            inbox = self._database.tables["inbox"]
            for statement, row in turn.rows:
                if statement.table.name == "inbox" and statement.kind == "delete" and row[0] not in inbox:
                    self.note(f"the inbox row {row[0]} of {head.id} counts a second time")

    def _after_commit(self, touched: frozenset[str]) -> None:
        self.changes += 1
        for execution_id in touched:
            try:
                check_movers(self._database, execution_id)
            except Violation as violation:
                self.note(str(violation))


def check_movers(database: MemoryDatabase, execution_id: str) -> None:
    """Each RUNNING execution has rows that will move it: every incomplete task of it has one."""
    head = database.tables["heads"].get(execution_id)
    if head is None or head["state"] != RUNNING or head["parked"] is not None:
        return
    inbox = [orjson.loads(row["payload"]) for row in database.of_execution("inbox", execution_id)]
    if any(event["kind"] in _GOES_ON for event in inbox):
        return
    told = {event.get("action_id") or event.get("child_id") for event in inbox}
    tasks = [row for row in database.of_execution("tasks", execution_id) if row["state"] not in COMPLETED]
    incomplete = [row for row in tasks if row["state"] != "SKIPPED"]
    require(incomplete, f"{execution_id} is RUNNING, nothing is left to do, and it hasn't ended")
    moving = [row for row in incomplete if _is_moved(database, row, told)]
    for row in incomplete:
        require(row in moving, f"nothing will move the task '{row['name']}' of {execution_id}: {_shown(row)}")
    require(
        any(row["state"] != WAITING or row["phase"] == "retry" for row in moving),
        f"all tasks of {execution_id} wait for each other",
    )


def _is_moved(database: MemoryDatabase, task: Record, told: set[Any]) -> bool:
    timer = _TIMERS.get(task["phase"])
    if timer is not None:
        return (task["id"], timer) in database.tables["timers"]
    if task["state"] == WAITING:
        return task["phase"] in ("new", "again")
    return task["phase"] == "active" and (
        any(_is_action_moved(database, row, told) for row in _children(database, "action_executions", task))
        or any(_is_call_moved(database, row, told) for row in _children(database, "subworkflows", task))
    )


def _children(database: MemoryDatabase, table: str, task: Record) -> list[Record]:
    return [
        row
        for row in database.rows(table)
        if row["task_id"] == task["id"]
        and row["generation"] == task["generation"]
        and row["state"] not in COMPLETED
    ]


def _is_action_moved(database: MemoryDatabase, action: Record, told: set[Any]) -> bool:
    """A job runs it, word of it has come, or somebody outside will bring its result."""
    return not action["is_sync"] or action["id"] in database.tables["jobs"] or action["id"] in told


def _is_call_moved(database: MemoryDatabase, call: Record, told: set[Any]) -> bool:
    child = database.tables["heads"].get(call["id"])
    return call["id"] in told or (child is not None and child["state"] not in COMPLETED)


def _shown(row: Record) -> str:
    return ", ".join(f"{name} {row[name]}" for name in ("state", "phase", "generation", "run"))
