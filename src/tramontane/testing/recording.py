"""What a past execution did: tasks, results of actions, sub-workflows. Plain data with a form in JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from tramontane.errors import BadRequestError
from tramontane.results import Result
from tramontane.states import CANCELLED, SUCCESS, is_completed
from tramontane.values import EMPTY, decode, encode

FORMAT = 1


class RecordedRun(msgspec.Struct, frozen=True):
    """One run of an action for a task (for one item of it); ``seconds`` from its creation to its end."""

    action: str
    state: str
    index: int = 0
    input: Any = EMPTY
    result: Any = None
    seconds: float = 0.0

    @property
    def outcome(self) -> Result | None:
        """How the run ended; None: it hasn't."""
        return result_of(self.state, self.result)


class RecordedCall(msgspec.Struct, frozen=True):
    """One call of a sub-workflow for a task (for one item of it)."""

    execution: RecordedExecution
    index: int = 0
    seconds: float = 0.0


class RecordedTask(msgspec.Struct, frozen=True):
    """One task execution; runs and calls in order of creation."""

    name: str
    state: str
    state_info: str | None = None
    published: Any = EMPTY
    runs: tuple[RecordedRun, ...] = ()
    calls: tuple[RecordedCall, ...] = ()


class RecordedExecution(msgspec.Struct, frozen=True):
    """A workflow execution with its tasks in order of creation; ``created_at`` in microseconds since 1970."""

    id: str
    workflow_name: str
    state: str
    state_info: str | None = None
    input: Any = EMPTY
    params: Any = EMPTY
    output: Any = EMPTY
    created_at: int = 0
    tasks: tuple[RecordedTask, ...] = ()


class _File(msgspec.Struct, frozen=True):
    format: int
    execution: RecordedExecution


def result_of(state: str, value: Any) -> Result | None:
    """Rebuild a result from what is stored of it; None: there is none yet."""
    if not is_completed(state):
        return None
    if state == SUCCESS:
        return Result(value)
    return Result(error="" if value is None else value, cancel=state == CANCELLED)


def to_json(recording: RecordedExecution) -> str:
    """Write a recording as the text of a file."""
    return encode(msgspec.to_builtins(_File(FORMAT, recording)))


def from_json(text: str) -> RecordedExecution:
    """Read a recording; values come back frozen.

    Raises:
        BadRequestError: the text is no recording, or one of another version.
    """
    try:
        found = msgspec.convert(decode(text), _File)
    except (ValueError, msgspec.ValidationError) as error:
        raise BadRequestError(f"this is no exported execution: {error}") from None
    if found.format != FORMAT:
        raise BadRequestError(f"the export has the format {found.format}; this version reads {FORMAT}")
    return found.execution
