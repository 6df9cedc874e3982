"""Records to rows and back. A row that was read gives a record equal to the one that was written.

Sequences inside the engine's own fields (``backlog``, ``next_tasks``, ``pending``, ``item_todo``,
``adhoc``) come back as tuples; users' JSON as frozen values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar, cast

import orjson
import sqlalchemy as sa

from tramontane.core.state import (
    ActionExecution,
    Cause,
    Execution,
    PastRun,
    SubWorkflow,
    Task,
    Timer,
)
from tramontane.store import schema, statements
from tramontane.store.records import InboxRow, JobRow
from tramontane.store.statements import Columns, columns_of
from tramontane.values import EMPTY, FrozenDict, FrozenList, decode, encode

Row = tuple[Any, ...]
Decoder = Callable[[Any], Any]
R = TypeVar("R")


def json_text(value: Any) -> str | None:
    """Write a JSON column: null stands for JSON's null, the empty containers cost nothing."""
    if value is None:
        return None
    if not value:
        kind = type(value)
        if kind is FrozenDict or kind is dict:
            return "{}"
        if kind is tuple or kind is FrozenList or kind is list:
            return "[]"
    return encode(value)


def json_value(text: str | None) -> Any:
    """Read a JSON column into a frozen value."""
    if text is None:
        return None
    if text == "{}":
        return EMPTY
    return decode(text)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _sequence(text: str | None) -> Any:
    if text is None:
        return None
    return () if text == "[]" else _tuples(decode(text))


def _causes_text(causes: tuple[Cause, ...]) -> str:
    return orjson.dumps([(cause.task_id, cause.run) for cause in causes]).decode() if causes else "[]"


def _causes(text: str) -> tuple[Cause, ...]:
    return () if text == "[]" else tuple(Cause(task_id, run) for task_id, run in orjson.loads(text))


_DECODERS: Mapping[str, Decoder] = {
    "tags": _sequence,
    "backlog": _sequence,
    "next_tasks": _sequence,
    "pending": _sequence,
    "item_todo": _sequence,
    "adhoc": _sequence,
    "causes": _causes,
}
_ENCODERS: Mapping[str, Callable[[Any], str | None]] = {"causes": _causes_text}


def row_writer(columns: Columns) -> Callable[[Any], Row]:
    """Make the function that turns a record into a row: plain columns, then JSON columns."""
    plain = _getter(columns.plain)
    if not columns.json:
        return plain
    wide = _getter(columns.json)
    special = [(place, _ENCODERS[name]) for place, name in enumerate(columns.json) if name in _ENCODERS]

    def write(record: Any) -> Row:
        return plain(record) + tuple(map(json_text, wide(record)))

    def write_special(record: Any) -> Row:
        values = list(wide(record))
        texts = {place: encoder(values[place]) for place, encoder in special}
        for place in texts:
            values[place] = None
        row: list[Any] = list(map(json_text, values))
        for place, text in texts.items():
            row[place] = text
        return plain(record) + tuple(row)

    return write_special if special else write


def _getter(names: tuple[str, ...]) -> Callable[[Any], Row]:
    if len(names) == 1:
        get = attrgetter(names[0])
        return lambda record: (get(record),)
    return cast("Callable[[Any], Row]", attrgetter(*names))


class RowReader:
    """Builds records of one class from rows that hold ``names`` in this order.

    ``extra`` are fields beyond the table's own columns, with what decodes them.
    """

    def __init__(
        self,
        table: sa.Table,
        build: Callable[..., Any],
        extra: Mapping[str, Decoder | None] = MappingProxyType({}),
    ) -> None:
        own = columns_of(table).all
        self.names = own + tuple(extra)
        self._build = build
        decoders = {name: _decoder(table.c[name]) for name in own} | dict(extra)
        self._decoders = [(name, decoder) for name, decoder in decoders.items() if decoder is not None]

    def __call__(self, row: Iterable[Any]) -> Any:
        fields = dict(zip(self.names, row, strict=True))
        for name, decoder in self._decoders:
            fields[name] = decoder(fields[name])
        return self._build(**fields)


def _decoder(column: sa.Column[Any]) -> Decoder | None:
    if column.info.get("json"):
        decoder: Decoder = _DECODERS.get(column.name, json_value)
        return decoder
    return bool if isinstance(column.type, sa.Boolean) else None


write_execution = row_writer(columns_of(schema.executions))
write_task = row_writer(columns_of(schema.tasks))
write_task_changes = row_writer(columns_of(schema.tasks, ("id", *statements.TASK_CHANGES)))
write_action = row_writer(columns_of(schema.action_executions))
write_action_changes = row_writer(columns_of(schema.action_executions, ("id", *statements.ACTION_CHANGES)))
write_subworkflow = row_writer(columns_of(schema.subworkflows))
write_past_run = row_writer(columns_of(schema.past_runs))
write_inbox = row_writer(columns_of(schema.inbox))
write_timer = row_writer(columns_of(schema.timers))
write_job = row_writer(columns_of(schema.jobs))

read_execution = RowReader(schema.executions, Execution, {"seq": None, "run": None})
read_task = RowReader(schema.tasks, Task)
read_action = RowReader(schema.action_executions, ActionExecution)
read_subworkflow = RowReader(schema.subworkflows, SubWorkflow, {"output": json_value})
read_past_run = RowReader(schema.past_runs, PastRun)
read_inbox = RowReader(schema.inbox, InboxRow)
read_timer = RowReader(schema.timers, Timer)
read_job = RowReader(schema.jobs, JobRow)

__all__ = [
    "Row",
    "RowReader",
    "json_text",
    "json_value",
    "read_action",
    "read_execution",
    "read_inbox",
    "read_job",
    "read_past_run",
    "read_subworkflow",
    "read_task",
    "read_timer",
    "row_writer",
    "write_action",
    "write_action_changes",
    "write_execution",
    "write_inbox",
    "write_job",
    "write_past_run",
    "write_subworkflow",
    "write_task",
    "write_task_changes",
    "write_timer",
]
