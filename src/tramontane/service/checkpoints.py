"""When long executions get checkpoints (:mod:`tramontane.core.checkpoint`), which also end what memory holds
of their history.

A checkpoint is written by a turn, with all else that the turn changes. One that a turn makes wrong
is deleted by it: the execution is loaded whole then, until the next one is worth its price.
"""

from __future__ import annotations

from tramontane.core.checkpoint import Checkpoint, shrunk, take_checkpoint, to_data
from tramontane.core.decision import CoreSettings, Env
from tramontane.core.draft import Draft, NeedsData
from tramontane.core.memory import ExecutionState
from tramontane.service.cache import Slot
from tramontane.service.catalog import Catalog
from tramontane.store.records import CheckpointRow, TurnWrite


class Checkpoints:
    """Adds checkpoints to turns before they are written, and draws the consequence afterwards."""

    def __init__(self, catalog: Catalog, settings: CoreSettings) -> None:
        self._catalog = catalog
        self._settings = settings

    async def note(self, slot: Slot, write: TurnWrite, *, voided: bool) -> Checkpoint | None:
        """Add to a turn that has been decided what it does to the execution's checkpoint; return a new one.

        ``voided``: the turn changes what the stored one has left out.
        """
        state = slot.state
        assert state is not None
        write.drops_checkpoint = state.past is not None and (voided or write.execution.is_completed)
        if write.execution.is_completed or not state.is_due_for_checkpoint:
            return None
        taken = await self._take(state)
        if taken is None:
            state.note_no_checkpoint()
            return None
        execution = state.execution
        write.checkpoint = CheckpointRow(execution.id, execution.root_id, taken.seq, to_data(taken))
        write.drops_checkpoint = False
        return taken

    async def _take(self, state: ExecutionState) -> Checkpoint | None:
        spec = await self._catalog.spec(state.execution.spec_hash)
        if spec.type == "reverse":
            return None
        env = Env(now=0, new_id=str, new_uuid=str, settings=self._settings)
        try:
            return take_checkpoint(Draft(spec, state, env))
        except NeedsData:
            return None

    @staticmethod
    def written(slot: Slot, write: TurnWrite, taken: Checkpoint | None) -> None:
        """The turn is durable: what its checkpoint has left out needs no memory any more."""
        if slot.state is None:
            return
        if taken is not None:
            slot.state = shrunk(slot.state, taken)
        elif write.drops_checkpoint:
            slot.state.drop_checkpoint()
