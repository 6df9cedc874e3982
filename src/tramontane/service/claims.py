"""Claims that are lost (their process is dead, or gives them back at its end), and claims in doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

from tramontane.core.events import ActionLost, to_data
from tramontane.core.state import Micros
from tramontane.store.errors import ClaimUnknownError
from tramontane.store.jobs import Jobs
from tramontane.store.records import JobRow
from tramontane.values import FrozenDict

T = TypeVar("T")

_BATCH = 500


async def lose_claims(
    jobs: Jobs,
    process_id: str,
    new_id: Callable[[], str],
    now: Callable[[], Micros],
    told: Callable[[str], None],
    *,
    only_absent: bool = False,
) -> int:
    """Take away all claims of a process that is over: its actions were lost, or are sent again.

    ``only_absent``: unless it has come back and is in the register.
    ``told`` gets the ids of the executions that have something in their inbox now.
    """
    count = 0
    while True:
        lost = await jobs.lose_claims(process_id, _lost, new_id, now(), _BATCH, only_absent=only_absent)
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


class Doubts:
    """Claims of which a process doesn't know whether they were made for it, since an answer was lost.

    Nobody else may run such a job while this process lives: it has to give them back.
    """

    def __init__(self, jobs: Jobs, process_id: str) -> None:
        self._jobs = jobs
        self._process_id = process_id
        self._attempts: set[tuple[str, int]] = set()

    def add(self, attempts: Iterable[tuple[str, int]]) -> None:
        """Doubt attempts that a commit of this process may have claimed for it.

        One that is written again meanwhile and runs may be given back too: only a ``safe-rerun`` action
        is written twice with one number, which may run twice.
        """
        self._attempts.update(attempts)

    async def note(self, claim: Awaitable[T]) -> T:
        """Wait for a claim, and remember what it leaves in doubt.

        Raises:
            UnavailableError: whatever was claimed will be given back.
        """
        try:
            return await claim
        except ClaimUnknownError as error:
            self._attempts.update(error.attempts)
            raise

    async def settle(self) -> None:
        """Give back what may be claimed; to be called before claiming again.

        Raises:
            UnavailableError: some claims are still in doubt.
        """
        if self._attempts:
            await self._jobs.give_back(self._process_id, sorted(self._attempts))
            self._attempts.clear()
