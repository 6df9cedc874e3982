"""Claims that are lost: their process is dead, or gives them back at its end."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tramontane.core.events import ActionLost, to_data
from tramontane.core.state import Micros
from tramontane.store.jobs import Jobs
from tramontane.store.records import JobRow
from tramontane.values import FrozenDict

_BATCH = 500


async def lose_claims(
    jobs: Jobs,
    process_id: str,
    new_id: Callable[[], str],
    now: Callable[[], Micros],
    told: Callable[[str], None],
) -> int:
    """Take away all claims of a process that is over: its actions were lost, or are sent again.

    ``told`` gets the ids of the executions that have something in their inbox now.
    """
    count = 0
    while True:
        lost = await jobs.lose_claims(process_id, _lost, new_id, now(), _BATCH)
        for job in lost.reported:
            if job.execution_id is not None:
                told(job.execution_id)
        found = len(lost.reported) + len(lost.repeated) + len(lost.failed)
        count += found
        if found < _BATCH:
            return count


async def release_others(jobs: Jobs, process_id: str, begun: Collection[tuple[str, int]]) -> None:
    """Let others run every job that a process has claimed, but those that it has ``begun``."""
    claimed = await jobs.claims_of(process_id)
    unbegun = [job.action_id for job in claimed if (job.action_id, job.attempt) not in begun]
    if unbegun:
        await jobs.release(process_id, unbegun)


def _lost(job: JobRow) -> FrozenDict:
    return FrozenDict(to_data(ActionLost(job.action_id, job.attempt)))
