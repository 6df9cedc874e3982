"""What storing does to records: every record can be taken through its stored form and back.

The world uses it to forget what it holds in memory, so that anything that a decision relies on and
that no row holds shows at once.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tramontane.core.events import AnyEvent, from_data, to_data
from tramontane.core.memory import ExecutionState
from tramontane.values import FrozenDict, decode, encode, freeze

Record = TypeVar("Record", bound=msgspec.Struct)


def stored(record: Record) -> Record:
    """Return the record as it comes back from rows: JSON fields through text, the rest as it is."""
    kind = type(record)
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        value = getattr(record, field.name)
        fields[field.name] = decode(encode(value)) if field.type is Any else value
    return kind(**fields)


def stored_event(event: AnyEvent) -> AnyEvent:
    """Return the event as it comes back from an inbox row."""
    return from_data(decode(encode(freeze(to_data(event)))))


def rebuilt(state: ExecutionState, root_env: FrozenDict) -> ExecutionState:
    """Return the same execution as loaded from its rows: without memos, all JSON read anew."""
    return ExecutionState.from_records(
        stored(state.execution),
        [stored(task) for task in state.tasks.values()],
        [stored(action) for action in state.actions.values()],
        [stored(call) for call in state.subworkflows.values()],
        [stored(past) for past in state.past_runs.values()],
        root_env=root_env,
    )
