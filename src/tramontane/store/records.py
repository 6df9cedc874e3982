"""What one turn writes, and what is read back: the store's side of the engine's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tramontane.core.state import (
    ActionExecution,
    Execution,
    Micros,
    PastRun,
    SubWorkflow,
    Task,
    Timer,
)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """An event waiting for an execution; ``payload`` is the event's stored form."""

    id: str
    execution_id: str
    root_id: str
    payload: Any
    created_at: Micros


@dataclass(frozen=True, slots=True)
class JobRow:
    """An action to run: one row per action execution, claimed by one node or executor at a time.

    ``lane`` names the limit that it waits for (``""``: none); of the jobs in one lane of a pool those with
    the lowest ``urgency`` are run first, and of these the one with the lowest ``place``.
    """

    action_id: str
    execution_id: str | None
    root_id: str | None
    project_id: str
    action_name: str
    pool: str  # "" : any executor
    attempt: int
    safe_rerun: bool
    timeout: int | None
    dry_run: bool
    context: Any
    claimed_by: str | None  # node id
    created_at: Micros
    lane: str = ""
    urgency: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """Where an execution is loaded from; ``data`` is the checkpoint's stored form."""

    execution_id: str
    root_id: str
    seq: int
    data: Any


@dataclass(slots=True)
class TurnWrite:
    """Everything that one turn changes; it is written whole or not at all.

    ``version`` is the head's version that the turn read (0: the execution is new). Turns with the
    same ``bundle`` win or lose together.
    """

    execution: Execution
    before: Execution | None
    version: int
    tasks: Sequence[Task] = ()
    actions: Sequence[ActionExecution] = ()
    subworkflows: Sequence[SubWorkflow] = ()
    past_runs: Sequence[PastRun] = ()
    children: Sequence[Execution] = ()
    inbox: Sequence[InboxRow] = ()
    consumed_inbox: Sequence[str] = ()
    timers: Sequence[Timer] = ()
    dropped_timers: Sequence[tuple[str, str]] = ()
    jobs: Sequence[JobRow] = ()
    dropped_jobs: Sequence[str] = ()
    checkpoint: CheckpointRow | None = None
    drops_checkpoint: bool = False
    bundle: str | None = None
    encoded: Any = None  # as rows, once that was done (tramontane.store.batch)
    takeovers: int = 0  # what the counter is to be: a commit by which the execution gets on puts it back
    format: int = 1  # of the execution's records: never lower than it was read


@dataclass(slots=True)
class StoredExecution:
    """An execution as loaded for a turn; ``root_params`` are the root's (the environment is read there)."""

    execution: Execution
    version: int
    tasks: list[Task] = field(default_factory=list)
    actions: list[ActionExecution] = field(default_factory=list)
    subworkflows: list[SubWorkflow] = field(default_factory=list)
    past_runs: list[PastRun] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    inbox: list[InboxRow] = field(default_factory=list)
    root_params: Any = None
    checkpoint: Any = None  # its data; the records are those that it names, and newer ones
    parked: str | None = None  # why nobody runs it any more
    takeovers: int = 0  # since its last commit
    format: int = 1


@dataclass(frozen=True, slots=True)
class TaskPlace:
    """Which execution a task belongs to, and whose it is."""

    execution_id: str
    project_id: str
