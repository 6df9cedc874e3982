"""What actions give in a rehearsal: outcomes by task, item and attempt, and actions that only exist there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tramontane.core.state import ActionExecution, Micros
from tramontane.results import Result
from tramontane.values import freeze


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of an action ends: ``result`` after ``seconds``; None: only a report ends it."""

    result: Result | None
    seconds: float = 0


def gives(data: Any = None, after: float = 0) -> Outcome:
    """The action succeeds with ``data``."""
    return Outcome(Result(freeze(data)), after)


def fails(error: Any = "it failed", after: float = 0) -> Outcome:
    """The action ends in an error; an empty text is an error too."""
    return Outcome(Result(error=freeze(error)), after)


def cancels(error: Any = None, after: float = 0) -> Outcome:
    """The action ends CANCELLED."""
    return Outcome(Result(error=freeze(error), cancel=True), after)


def waits() -> Outcome:
    """The action goes on until somebody reports its result."""
    return Outcome(None)


@dataclass(frozen=True, slots=True)
class FakeAction:
    """An action that takes any input and whose results come from the script alone."""

    name: str
    is_sync: bool = True

    def check_input(self, given: Mapping[str, Any]) -> str | None:
        return None

    def settle(self, given: Mapping[str, Any], action_id: str) -> Result | None:
        return None


@dataclass(slots=True)
class Job:
    """An action that runs. ``due_at`` None: it waits for a report. ``number`` counts the runs of
    this task and item so far, from 0."""

    action: ActionExecution
    workflow_name: str
    dry_run: bool
    number: int = 0
    result: Result | None = None
    due_at: Micros | None = None


Scripted = Outcome | Sequence[Outcome] | Callable[[Job], Outcome]


@dataclass(slots=True)
class Script:
    """Outcomes by key: ``workflow/task[index]``, ``task[index]``, ``workflow/task``, ``task``, or
    ``action:name``. A sequence gives one outcome per run, its last one for all further runs."""

    entries: Mapping[str, Scripted] = field(default_factory=dict)
    _runs: Counter[tuple[str, str | None, int]] = field(default_factory=Counter)

    @property
    def names_tasks(self) -> bool:
        return any(not name.startswith("action:") for name in self.entries)

    def outcome(self, job: Job) -> Outcome | None:
        """Say how ``job`` ends; None: the script doesn't mention it."""
        action = job.action
        scripted = self._find(job.workflow_name, action)
        place = (job.workflow_name, action.task_name, action.index)
        job.number = self._runs[place]
        self._runs[place] += 1
        if scripted is None or isinstance(scripted, Outcome):
            return scripted
        if callable(scripted):
            return scripted(job)
        return scripted[min(job.number, len(scripted) - 1)]

    def _find(self, workflow: str, action: ActionExecution) -> Scripted | None:
        item = f"{action.task_name}[{action.index}]"
        keys = (
            f"{workflow}/{item}",
            item,
            f"{workflow}/{action.task_name}",
            str(action.task_name),
            f"action:{action.name}",
        )
        return next((self.entries[key] for key in keys if key in self.entries), None)

    def unknown_names(self, names: set[str]) -> list[str]:
        """Return keys whose task isn't among ``names``: a misspelt key would never be noticed."""
        tasks = {key: re.sub(r"\[\d+\]$", "", key.rpartition("/")[2]) for key in self.entries}
        return [key for key, task in tasks.items() if not key.startswith("action:") and task not in names]
