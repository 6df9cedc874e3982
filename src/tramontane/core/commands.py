"""What a decision wants done. Each command becomes a row in the same transaction as the
decision's changes; nothing is done before that transaction is durable."""

from __future__ import annotations

from typing import Any

import msgspec

from tramontane.core.events import AnyEvent
from tramontane.core.state import ActionExecution, Execution, Timer


class RunAction(msgspec.Struct, frozen=True):
    """Hand an action to an executor (a job row). ``context`` is what the action gets to know."""

    action: ActionExecution
    context: Any  # frozen map: workflow and task names and ids, callback path, security
    dry_run: bool = False


class StartSubWorkflow(msgspec.Struct, frozen=True):
    """Insert a child execution (its head included); its tasks begin by a ``Started`` inbox event."""

    execution: Execution


class Send(msgspec.Struct, frozen=True):
    """Put an event into the inbox of another execution of the same tree."""

    execution_id: str
    root_id: str
    event: AnyEvent


class SetTimer(msgspec.Struct, frozen=True):
    timer: Timer


class DropTimer(msgspec.Struct, frozen=True):
    task_id: str
    kind: str


class DropJob(msgspec.Struct, frozen=True):
    """The job of this action is over (completed or no longer wanted)."""

    action_id: str
    interrupt: bool = False  # True: whoever runs it should stop


class Continue(msgspec.Struct, frozen=True):
    """The budget of this turn is used up: send ``Continued`` to oneself."""


AnyCommand = RunAction | StartSubWorkflow | Send | SetTimer | DropTimer | DropJob | Continue
