"""The queries that load executions: whole ones, open ones from their checkpoints, and what those lack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tramontane.core.state import ActionExecution, HistoryKey, Recalled, SubWorkflow, Task
from tramontane.states import COMPLETED
from tramontane.store import codec, schema
from tramontane.store.codec import FindValue, RowReader
from tramontane.store.database import Database
from tramontane.store.dialect import Query
from tramontane.store.errors import NewerRecordError
from tramontane.store.packing import Key
from tramontane.store.records import StoredExecution
from tramontane.store.references import hashes

_MANY = 500
"""Rows beyond which they are decoded in a thread, where it delays nobody."""

Rows = Sequence[Sequence[Any]]


def _names(alias: str, table: sa.Table, reader: RowReader) -> str:
    return ", ".join(f'{alias}."{name}"' for name in reader.names if name in table.c)


_ENDED = ", ".join(f"'{state}'" for state in sorted(COMPLETED))
_HEADS = (
    f"SELECT {_names('e', schema.executions, codec.read_execution)}, e_head.seq, e_head.run, "
    "e_head.version, e_head.parked, e_head.takeovers, e_head.format "
    "FROM heads AS e_head JOIN executions AS e ON e.id=e_head.id WHERE e_head.id "
)
_ROOTS = (
    "SELECT h.id, r.params, r.id FROM heads AS h JOIN executions AS r ON r.id=h.root_id "
    "WHERE h.root_id<>h.id AND h.id "
)
_TASKS = f"SELECT {_names('t', schema.tasks, codec.read_task)} FROM tasks AS t"
_ACTIONS = f"SELECT {_names('a', schema.action_executions, codec.read_action)} FROM action_executions AS a"
_CALLS = (
    f"SELECT {_names('s', schema.subworkflows, codec.read_subworkflow)}, "
    f"CASE WHEN s.state IN ({_ENDED}) THEN c.output END "
    "FROM subworkflows AS s LEFT JOIN executions AS c ON c.id=s.id"
)
_PAST_RUNS = f"SELECT {_names('p', schema.past_runs, codec.read_past_run)} FROM past_runs AS p"
_TIMERS = f"SELECT {_names('t', schema.timers, codec.read_timer)} FROM timers AS t"
_INBOX = f"SELECT {_names('i', schema.inbox, codec.read_inbox)} FROM inbox AS i"
_CHECKPOINTS = f"SELECT {_names('k', schema.checkpoints, codec.read_checkpoint)} FROM checkpoints AS k"

_PLACES: tuple[tuple[str, RowReader], ...] = (
    ("tasks", codec.read_task),
    ("actions", codec.read_action),
    ("subworkflows", codec.read_subworkflow),
    ("past_runs", codec.read_past_run),
    ("timers", codec.read_timer),
    ("inbox", codec.read_inbox),
)
"""Where records go, in the order of the queries for them, which stand between heads and roots."""


class LoadQueries:
    """Executions with all their records, several at once.

    ``unless_checkpointed``: those that have a checkpoint come without records.
    """

    def __init__(self, database: Database, *, unless_checkpointed: bool = False) -> None:
        self._dialect = database.dialect
        self._assemble = Assembly(database)
        wanted = self._dialect.any_of(1)

        def of(alias: str) -> str:
            condition = f" WHERE {alias}.execution_id {wanted}"
            if not unless_checkpointed or alias == "i":
                return condition
            checkpoints = f"SELECT 1 FROM checkpoints AS k WHERE k.execution_id={alias}.execution_id"
            return f"{condition} AND NOT EXISTS ({checkpoints})"

        self._texts = (
            _HEADS + wanted,
            f"{_TASKS}{of('t')} ORDER BY t.seq",
            f"{_ACTIONS}{of('a')} ORDER BY a.seq",
            f"{_CALLS}{of('s')} ORDER BY s.seq",
            f"{_PAST_RUNS}{of('p')} ORDER BY p.task_id, p.run",
            f"{_TIMERS}{of('t')} ORDER BY t.due_at",
            f"{_INBOX}{of('i')} AND i.format<={database.formats.newest} ORDER BY i.created_at, i.id",
            _ROOTS + wanted,
        )

    def queries(self, ids: Sequence[str]) -> list[Query]:
        parameters = (self._dialect.array(ids),)
        return [(text, parameters) for text in self._texts]

    async def run(self, ids: Sequence[str]) -> dict[str, StoredExecution]:
        return await self._assemble(await self._dialect.fetch(self.queries(ids)))


class Assembly:
    """Builds executions from the rows of the queries, in their order."""

    def __init__(self, database: Database) -> None:
        self._big_values = database.big_values
        self._newest = database.formats.newest

    async def __call__(self, found: Sequence[Rows]) -> dict[str, StoredExecution]:
        newer = [head[0] for head in found[0] if head[-1] > self._newest]
        if newer:
            raise NewerRecordError(
                "A later version of the service has written this execution in a format that this node "
                f"doesn't know; nothing was accepted. Ask another node [id={', '.join(newer)}]"
            )
        find = await self._big_values.fetch(_references(found))
        if sum(map(len, found)) < _MANY:
            return _assembled(found, find)
        return await asyncio.to_thread(_assembled, found, find)


def _references(found: Sequence[Rows]) -> Iterator[Key]:
    """The big values that the rows refer to."""
    heads, *records, roots = found
    for row in heads:
        yield from codec.read_execution.references(row)
    for rows, (_, reader) in zip(records, _PLACES, strict=True):
        for row in rows:
            yield from reader.references(row)
    for _, params, root_id in roots:
        for content_hash in hashes(params or ""):
            yield root_id, content_hash


def _assembled(found: Sequence[Rows], find: FindValue | None) -> dict[str, StoredExecution]:
    heads, *records, roots = found
    executions: dict[str, StoredExecution] = {}
    for *fields, version, parked, takeovers, number in heads:
        execution = codec.read_execution(fields, find)
        executions[execution.id] = StoredExecution(
            execution, version, parked=parked, takeovers=takeovers, format=number
        )
    for rows, (place, reader) in zip(records, _PLACES, strict=True):
        for row in rows:
            record = reader(row, find)
            owner = executions.get(record.execution_id)
            if owner is not None:
                getattr(owner, place).append(record)
    for execution_id, params, _ in roots:
        if execution_id in executions:
            executions[execution_id].root_params = codec.big_json_value(params, find)
    return executions


class OpenQueries:
    """One execution from its checkpoint on, and the records before that which turn out to be needed."""

    def __init__(self, database: Database) -> None:
        self._dialect = database.dialect
        self._big_values = database.big_values
        self._assemble = Assembly(database)
        self._of_inbox = f" AND i.format<={database.formats.newest} ORDER BY i.created_at, i.id"
        self._whole = LoadQueries(database)
        self._short = LoadQueries(database, unless_checkpointed=True)

    # -- loading --------------------------------------------------------------------------

    async def load(self, execution_id: str) -> StoredExecution | None:
        """Load it by one look at the database, or by two if it has a checkpoint."""
        checkpoints = self._of(_CHECKPOINTS, "k.execution_id", [execution_id])
        rows, *found = await self._dialect.fetch([checkpoints, *self._short.queries([execution_id])])
        while rows:
            seen = rows
            (row,) = await self._big_values.records(codec.read_checkpoint, rows)
            rows, *found = await self._dialect.fetch([checkpoints, *self._since(execution_id, row.data)])
            if not rows:  # dropped meanwhile
                return (await self._whole.run([execution_id])).get(execution_id)
            if rows == seen:
                stored = (await self._assemble(self._joined(found))).get(execution_id)
                if stored is not None:
                    stored.checkpoint = row.data
                return stored
        return (await self._assemble(found)).get(execution_id)

    def _since(self, execution_id: str, data: Mapping[str, Any]) -> list[Query]:
        """What the checkpoint names, and what was created since."""
        seq = data["seq"]
        own = self._dialect.array([execution_id])
        wanted = self._dialect.any_of(1)
        later = data["runs"]
        near = [task_id for task_id in data["tasks"] if task_id not in later]
        newer = " AND {0}.seq>$2"
        return [
            (_HEADS + wanted, (own,)),
            self._of(_TASKS, "t.id", data["tasks"]),
            (f"{_TASKS} WHERE t.execution_id {wanted}{newer.format('t')}", (own, seq)),
            self._of(_ACTIONS, "a.id", data["children"]),
            (f"{_ACTIONS} WHERE a.execution_id {wanted}{newer.format('a')}", (own, seq)),
            self._of(_CALLS, "s.id", data["children"]),
            (f"{_CALLS} WHERE s.execution_id {wanted}{newer.format('s')}", (own, seq)),
            self._of(_PAST_RUNS, "p.task_id", near),
            (
                f"{_PAST_RUNS} WHERE p.task_id {wanted} AND p.run>=$2",
                (self._dialect.array(later), min(later.values(), default=0)),
            ),
            # What belongs to tasks created since; nearly always nothing.
            (
                f"{_PAST_RUNS} JOIN tasks AS t ON t.id=p.task_id WHERE t.execution_id {wanted} AND t.seq>$2",
                (own, seq),
            ),
            self._of(_INBOX, "i.execution_id", [execution_id], self._of_inbox),
            (_ROOTS + wanted, (own,)),
        ]

    @staticmethod
    def _joined(found: Sequence[Rows]) -> list[Rows]:
        """Bring the rows of :meth:`_since` into the order of whole loads."""
        heads, kept, new, actions, new_actions, calls, new_calls, near, later, latest, inbox, roots = found
        return [
            heads,
            [*kept, *new],
            [*actions, *new_actions],
            [*calls, *new_calls],
            [*near, *later, *latest],
            [],
            inbox,
            roots,
        ]

    def _of(self, select: str, column: str, values: Iterable[str], more: str = "") -> Query:
        return f"{select} WHERE {column} {self._dialect.any_of(1)}{more}", (self._dialect.array(values),)

    # -- recalling ------------------------------------------------------------------------

    async def recall(self, execution_id: str, keys: Sequence[HistoryKey]) -> dict[HistoryKey, Recalled]:
        """Look up all keys together, by their kind."""
        if any(key.what == "all" for key in keys):
            stored = (await self._whole.run([execution_id])).get(execution_id)
            whole = Recalled()
            if stored is not None:
                whole = Recalled(stored.tasks, stored.actions, stored.subworkflows, stored.past_runs)
            return {HistoryKey("all"): whole}
        callers = await self._callers([key.name for key in keys if key.what == "child"])
        task_ids = {key.name for key in keys if key.what == "task"} | set(callers.values())
        tasks = await self._tasks(execution_id, task_ids)
        names = {key.name for key in keys if key.what == "named"} | {task.name for task in tasks.values()}
        newest = await self._newest(execution_id, names)
        parents = set(tasks) | {key.name for key in keys if key.what in ("children", "counting")}
        children = await self._children(execution_id, parents)
        return {key: _found(key, callers, tasks, newest, children) for key in keys}

    async def _records(self, reader: RowReader, rows: Rows) -> list[Any]:
        find = await self._big_values.fetch(key for row in rows for key in reader.references(row))
        if len(rows) < _MANY:
            return [reader(row, find) for row in rows]
        return await asyncio.to_thread(lambda: [reader(row, find) for row in rows])

    async def _callers(self, child_ids: Sequence[str]) -> dict[str, str]:
        """Which task each of these children belongs to."""
        if not child_ids:
            return {}
        selects = [
            f"SELECT c.id, c.task_id FROM {name} AS c" for name in ("action_executions", "subworkflows")
        ]
        queries = [self._of(select, "c.id", child_ids) for select in selects]
        return dict(row for rows in await self._dialect.fetch(queries) for row in rows if row[1] is not None)

    async def _tasks(self, execution_id: str, ids: Iterable[str]) -> dict[str, Task]:
        ids = list(ids)
        if not ids:
            return {}
        (rows,) = await self._dialect.fetch([self._of(_TASKS, "t.id", ids)])
        found = await self._records(codec.read_task, rows)
        return {task.id: task for task in found if task.execution_id == execution_id}

    async def _newest(self, execution_id: str, names: Iterable[str]) -> dict[str, Task]:
        names = list(names)
        if not names:
            return {}
        text = (
            f"{_TASKS} JOIN (SELECT n.execution_id, MAX(n.seq) AS seq FROM tasks AS n WHERE "
            f"n.execution_id {self._dialect.any_of(1)} AND n.name {self._dialect.any_of(2)} "
            "GROUP BY n.execution_id, n.name) AS newest "
            "ON t.execution_id=newest.execution_id AND t.seq=newest.seq"
        )
        parameters = (self._dialect.array([execution_id]), self._dialect.array(names))
        (rows,) = await self._dialect.fetch([(text, parameters)])
        return {task.name: task for task in await self._records(codec.read_task, rows)}

    async def _children(
        self, execution_id: str, task_ids: Iterable[str]
    ) -> dict[str, list[ActionExecution | SubWorkflow]]:
        task_ids = list(task_ids)
        if not task_ids:
            return {}
        own, those = self._dialect.any_of(1), self._dialect.any_of(2)
        calls = (
            f"{_CALLS} WHERE s.execution_id {own} AND s.task_id {those}",
            (self._dialect.array([execution_id]), self._dialect.array(task_ids)),
        )
        actions, found = await self._dialect.fetch([self._of(_ACTIONS, "a.task_id", task_ids), calls])
        children: dict[str, list[ActionExecution | SubWorkflow]] = {}
        for reader, rows in ((codec.read_action, actions), (codec.read_subworkflow, found)):
            for child in await self._records(reader, rows):
                children.setdefault(child.task_id, []).append(child)
        return children


def _found(
    key: HistoryKey,
    callers: Mapping[str, str],
    tasks: Mapping[str, Task],
    newest: Mapping[str, Task],
    children: Mapping[str, Sequence[ActionExecution | SubWorkflow]],
) -> Recalled:
    if key.what == "named":
        return Recalled([newest[key.name]] if key.name in newest else ())
    task_id = callers.get(key.name, "") if key.what == "child" else key.name
    own = children.get(task_id, ())
    if key.what == "counting":
        own = [child for child in own if child.accepted or not child.is_completed]
    found: dict[str, Task] = {}
    if key.what in ("task", "child") and task_id in tasks:
        task = tasks[task_id]
        found = {each.id: each for each in (task, newest.get(task.name, task))}
    elif key.what in ("task", "child"):
        own = ()
    return Recalled(
        list(found.values()),
        [child for child in own if isinstance(child, ActionExecution)],
        [child for child in own if isinstance(child, SubWorkflow)],
    )
