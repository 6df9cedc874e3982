"""What can happen to an execution. Each event is a small frozen record; the union is closed.

Events from other executions, executors and clients elsewhere are stored as inbox rows
(:func:`to_data`, :func:`from_data`); API calls and local results come straight from memory.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tramontane.core.state import Json
from tramontane.values import EMPTY


class Event(msgspec.Struct, frozen=True, tag_field="kind"):
    pass


class Word(Event, frozen=True, kw_only=True):
    """What parents and children tell each other.

    ``sent`` is the sender's own counter (``seq``) when it said so: words may overtake one another on
    their way, and one that is older than what was heard before changes nothing. 0: from a client.
    """

    sent: int = 0


class Started(Event, frozen=True, tag="started"):
    """A sub-workflow execution, created by its parent's decision, begins its tasks."""


class Continued(Event, frozen=True, tag="continued"):
    """An earlier decision stopped at its budget, or the execution was taken over: go on."""


class ActionCompleted(Event, frozen=True, tag="action-completed"):
    """An action reported its result. ``attempt`` None: from a client, valid for any attempt."""

    action_id: str
    data: Json = None
    error: Json = None
    cancel: bool = False
    attempt: int | None = None


class ActionPaused(Event, frozen=True, tag="action-paused"):
    action_id: str


class ActionResumed(Event, frozen=True, tag="action-resumed"):
    action_id: str


class ActionLost(Event, frozen=True, tag="action-lost"):
    """Whoever ran the action died: ``safe-rerun`` sends it again, otherwise it fails."""

    action_id: str
    attempt: int


class TimerFired(Event, frozen=True, tag="timer-fired"):
    task_id: str
    timer: str
    generation: int


class PauseAsked(Word, frozen=True, tag="pause-asked"):
    message: str | None = None
    by_parent: bool = False


class ResumeAsked(Word, frozen=True, tag="resume-asked"):
    env: Json = None  # merged into the environment first, when given
    by_parent: bool = False


class StopAsked(Word, frozen=True, tag="stop-asked"):
    """Stop with SUCCESS, ERROR or CANCELLED; ``message`` becomes ``state_info``."""

    state: str
    message: str | None = None
    by_parent: bool = False
    recursive: bool = False  # ERROR: children too (large users, L7)
    force: bool = False


class RerunAsked(Event, frozen=True, tag="rerun-asked"):
    task_id: str
    reset: bool
    env: Json = None


class SkipAsked(Event, frozen=True, tag="skip-asked"):
    task_id: str
    env: Json = None


class EnvironmentMerged(Event, frozen=True, tag="environment-merged"):
    """A client changed the root's environment without a state change."""

    env: Json


class EnvironmentChanged(Word, frozen=True, tag="environment-changed"):
    """Tells a descendant what the root's environment is now."""

    env: Json = EMPTY


class PriorityChanged(Event, frozen=True, tag="priority-changed"):
    """A client changed the priority of the tree; parents tell their sub-workflows."""

    priority: int


class DescriptionChanged(Event, frozen=True, tag="description-changed"):
    description: str | None


class ChildCompleted(Event, frozen=True, tag="child-completed"):
    """A sub-workflow ended; ``run`` tells its ends apart."""

    child_id: str
    run: int
    state: str
    output: Json
    state_info: str | None = None


class ChildPaused(Word, frozen=True, tag="child-paused"):
    child_id: str


class ChildResumed(Word, frozen=True, tag="child-resumed"):
    child_id: str


class ChildRevived(Event, frozen=True, tag="child-revived"):
    """A task inside a sub-workflow was re-run or skipped: the way up to the root runs again."""

    child_id: str
    run: int
    env: Json = None


class ChildDeleted(Event, frozen=True, tag="child-deleted"):
    """A sub-execution was deleted by force while this execution waited for it."""

    child_id: str


AnyWord = PauseAsked | ResumeAsked | StopAsked | EnvironmentChanged | ChildPaused | ChildResumed

AnyEvent = (
    Started
    | Continued
    | ActionCompleted
    | ActionPaused
    | ActionResumed
    | ActionLost
    | TimerFired
    | PauseAsked
    | ResumeAsked
    | StopAsked
    | RerunAsked
    | SkipAsked
    | EnvironmentMerged
    | EnvironmentChanged
    | PriorityChanged
    | DescriptionChanged
    | ChildCompleted
    | ChildPaused
    | ChildResumed
    | ChildRevived
    | ChildDeleted
)


def to_data(event: AnyEvent) -> dict[str, Any]:
    """Give the stored form of an event: a map with its ``kind`` (JSON fields stay as they are)."""
    data: dict[str, Any] = {"kind": event.__struct_config__.tag}
    for name in event.__struct_fields__:
        data[name] = getattr(event, name)
    return data


def from_data(data: Any) -> AnyEvent:
    """Rebuild an event from its stored form."""
    event: AnyEvent = msgspec.convert(data, AnyEvent)
    return event
