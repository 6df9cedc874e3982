"""States of workflow, task and action executions, spelled as clients know them.

Source: runtime specification, sections 1.1 and 1.2.
"""

from __future__ import annotations

from typing import Final, Literal

State = Literal["IDLE", "WAITING", "RUNNING", "DELAYED", "PAUSED", "SUCCESS", "ERROR", "CANCELLED", "SKIPPED"]

IDLE: Final = "IDLE"
WAITING: Final = "WAITING"
RUNNING: Final = "RUNNING"
DELAYED: Final = "DELAYED"
PAUSED: Final = "PAUSED"
SUCCESS: Final = "SUCCESS"
ERROR: Final = "ERROR"
CANCELLED: Final = "CANCELLED"
SKIPPED: Final = "SKIPPED"

COMPLETED: Final[frozenset[str]] = frozenset({SUCCESS, ERROR, CANCELLED, SKIPPED})
"""States from which nothing moves on by itself."""

_TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    IDLE: frozenset({RUNNING, ERROR, CANCELLED}),
    WAITING: frozenset({RUNNING}),
    RUNNING: frozenset({RUNNING, PAUSED, DELAYED, SUCCESS, ERROR, CANCELLED}),
    DELAYED: frozenset({RUNNING, DELAYED, ERROR, CANCELLED}),
    PAUSED: frozenset({RUNNING, PAUSED, ERROR, CANCELLED}),
    SUCCESS: frozenset({SUCCESS}),
    CANCELLED: frozenset({RUNNING, CANCELLED}),
    ERROR: frozenset({RUNNING, ERROR, SKIPPED}),
    SKIPPED: frozenset(),
}


def is_completed(state: str) -> bool:
    """Tell whether ``state`` is one of the four final states."""
    return state in COMPLETED


def may_change(current: str, wanted: str) -> bool:
    """Tell whether the transition table lets ``current`` become ``wanted``."""
    return wanted in _TRANSITIONS.get(current, frozenset())
