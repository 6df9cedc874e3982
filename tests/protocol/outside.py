"""What actions do outside of the service: everything here has happened, whoever dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.core.definitions import Example
from tests.core.test_simulation import scripted

from tramontane.core.state import ActionExecution
from tramontane.rehearsal.script import Job, Outcome
from tramontane.results import Result

_FOR_EVER = 1e9


class Outside:
    """Plays the actions of executions as their examples say, and counts them."""

    def __init__(self, chance: Random, note: Callable[[str], None]) -> None:
        self.begun: Counter[str] = Counter()
        self.hangs = False  # some actions never end: they mustn't take all slots
        self._scripts: dict[str, Callable[[Job], Outcome]] = {}
        self._chance = chance
        self._note = note

    def expect(self, root_id: str, example: Example) -> None:
        """A tree of this example is going to be started."""
        self.hangs = self.hangs or bool(example.hanging)
        self._scripts[root_id] = scripted(example, self._chance)["action:job"]  # type: ignore[assignment]

    async def run(self, action: ActionExecution) -> Result | None:
        self.begun[action.id] += 1
        if self.begun[action.id] > 1 and not action.safe_rerun:
            self._note(f"the action {action.id} of '{action.task_name}' isn't safe-rerun and runs again")
        if not action.is_sync:
            return None
        outcome = self._scripts[str(action.root_id)](Job(action, str(action.workflow_name), False))
        await asyncio.sleep(_FOR_EVER if outcome.result is None else outcome.seconds)
        return outcome.result
