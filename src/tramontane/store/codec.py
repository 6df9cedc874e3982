"""Records to rows and back. A row that was read gives a record equal to the one that was written.

Sequences inside the engine's own fields (``backlog``, ``next_tasks``, ``pending``, ``item_todo``,
``adhoc``) come back as tuples; users' JSON as frozen values. Big values are taken out of rows
(:mod:`tramontane.store.packing`); who reads rows has to fetch those that they refer to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, cast

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
from tramontane.store.packing import Key, Packing
from tramontane.store.records import CheckpointRow, InboxRow, JobRow
from tramontane.store.references import MARK, hashes, restore
from tramontane.store.references import write as write_escaped
from tramontane.store.statements import columns_of
from tramontane.values import EMPTY, FrozenDict, FrozenList, decode, encode, parse

Row = tuple[Any, ...]
Decoder = Callable[[Any], Any]
Encoder = Callable[[Any, Any, Packing], str]
Writer = Callable[[Any, Packing], Row]
FindValue = Callable[[str], Any]
"""Gives the value of a hash that a row refers to."""


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


def row_writer(table: sa.Table, only: Sequence[str] | None = None) -> Writer:
    """Make the function that turns a record into a row: plain columns, then JSON columns."""
    columns = columns_of(table, only)
    plain = _getter(columns.plain)
    if not columns.json:
        return lambda record, _packing: plain(record)
    wide = _getter(columns.json)
    encoders = [_encoder(table.c[name]) for name in columns.json]

    def write(record: Any, packing: Packing) -> Row:
        row: list[str | None] = []
        for value, encode_column in zip(wide(record), encoders, strict=True):
            if value is None:
                row.append(None)
            elif not value and type(value) in _EMPTY:
                row.append(_EMPTY[type(value)])
            else:
                text = encode_column(value, record, packing)
                packing.size += len(text)
                row.append(text)
        return plain(record) + tuple(row)

    return write


_EMPTY: Final[Mapping[type, str]] = {FrozenDict: "{}", dict: "{}", FrozenList: "[]", list: "[]", tuple: "[]"}


def _encoder(column: sa.Column[Any]) -> Encoder:
    if column.name == "causes":
        return lambda causes, _record, _packing: _causes_text(causes)
    big = column.info.get("big")
    if big is None:
        return lambda value, _record, _packing: encode(value)
    if big == "slots":
        return _checkpoint_text
    whole = big == "whole"
    return lambda value, record, packing: packing.write(value, root_of(record), whole=whole)


def _checkpoint_text(data: Any, record: Any, packing: Packing) -> str:
    """Write a checkpoint: of its ``slots`` the values may be big, the lists around them stay in the row."""
    slots = ",".join(
        f"[{packing.write(value, root_of(record))},{write_escaped(counters)}]"
        for value, counters in data["slots"]
    )
    rest = write_escaped({name: item for name, item in data.items() if name != "slots"})
    return f'{rest[:-1]},"slots":[{slots}]}}'


def root_of(record: Any) -> str:
    """The root of the tree that a record belongs to; a stand-alone action is the root of its own."""
    root_id: str = record.root_id or record.id
    return root_id


def _getter(names: tuple[str, ...]) -> Callable[[Any], Row]:
    if len(names) == 1:
        get = attrgetter(names[0])
        return lambda record: (get(record),)
    return cast("Callable[[Any], Row]", attrgetter(*names))


class RowReader:
    """Builds records of one class from rows that hold ``names`` in this order.

    ``extra`` are fields beyond the table's own columns, with what decodes them (``big``: of those, fields
    that may refer to big values).
    """

    def __init__(
        self,
        table: sa.Table,
        build: Callable[..., Any],
        extra: Mapping[str, Decoder | None] = MappingProxyType({}),
        big: Collection[str] = (),
    ) -> None:
        own = columns_of(table).all
        self.names = own + tuple(extra)
        self._build = build
        self._big = tuple(name for name in self.names if name in big or _is_big(table, name))
        self._big_places = tuple(self.names.index(name) for name in self._big)
        self._root_place = self.names.index("root_id") if self._big else 0
        self._id_place = self.names.index("id") if "id" in self.names else 0
        decoders = {name: _decoder(table.c[name]) for name in own} | dict(extra)
        self._decoders = [
            (name, decoder)
            for name, decoder in decoders.items()
            if decoder is not None and name not in self._big
        ]

    def __call__(self, row: Sequence[Any], find: FindValue | None = None) -> Any:
        """Build the record of a row; ``find`` gives what it refers to (None: it refers to nothing)."""
        fields = dict(zip(self.names, row, strict=True))
        for name, decoder in self._decoders:
            fields[name] = decoder(fields[name])
        for name in self._big:
            fields[name] = big_json_value(fields[name], find)
        return self._build(**fields)

    def references(self, row: Sequence[Any]) -> Iterator[Key]:
        """The big values that a row refers to."""
        for place in self._big_places:
            text = row[place]
            if text is not None and MARK in text:
                root_id = row[self._root_place] or row[self._id_place]
                for content_hash in hashes(text):
                    yield root_id, content_hash


def _is_big(table: sa.Table, name: str) -> bool:
    return name in table.c and "big" in table.c[name].info


def big_json_value(text: str | None, find: FindValue | None) -> Any:
    """Read a JSON column that may refer to big values into a frozen value."""
    if text is None:
        return None
    if text == "{}":
        return EMPTY
    if MARK not in text:
        return decode(text)
    return restore(parse(text), find or _nothing)


def _nothing(content_hash: str) -> Any:
    raise LookupError(f"the big value {content_hash} was not fetched before its row was read")


def _decoder(column: sa.Column[Any]) -> Decoder | None:
    if column.info.get("json"):
        decoder: Decoder = _DECODERS.get(column.name, json_value)
        return decoder
    return bool if isinstance(column.type, sa.Boolean) else None


write_execution = row_writer(schema.executions)
write_task = row_writer(schema.tasks)
write_task_changes = row_writer(schema.tasks, ("id", *statements.TASK_CHANGES))
write_action = row_writer(schema.action_executions)
write_action_changes = row_writer(schema.action_executions, ("id", *statements.ACTION_CHANGES))
write_subworkflow = row_writer(schema.subworkflows)
write_past_run = row_writer(schema.past_runs)
write_checkpoint = row_writer(schema.checkpoints)
write_inbox = row_writer(schema.inbox)
write_timer = row_writer(schema.timers)
write_job = row_writer(schema.jobs)

read_execution = RowReader(schema.executions, Execution, {"seq": None, "run": None})
read_task = RowReader(schema.tasks, Task)
read_action = RowReader(schema.action_executions, ActionExecution)
read_subworkflow = RowReader(schema.subworkflows, SubWorkflow, {"output": json_value}, big={"output"})
read_past_run = RowReader(schema.past_runs, PastRun)
read_checkpoint = RowReader(schema.checkpoints, CheckpointRow)
read_inbox = RowReader(schema.inbox, InboxRow)
read_timer = RowReader(schema.timers, Timer)
read_job = RowReader(schema.jobs, JobRow)

__all__ = [
    "Row",
    "RowReader",
    "json_text",
    "json_value",
    "read_action",
    "read_checkpoint",
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
    "write_checkpoint",
    "write_execution",
    "write_inbox",
    "write_job",
    "write_past_run",
    "write_subworkflow",
    "write_task",
    "write_task_changes",
    "write_timer",
]
