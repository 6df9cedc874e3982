"""The executor of a node: when it claims."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from tests.service.harness import run

from tramontane.actions.registry import Registry
from tramontane.runtime.executor import Executor
from tramontane.store.jobs import Claim


class Queue:
    """Stands for the jobs in the database; each claim ends when it is let go."""

    def __init__(self) -> None:
        self.claims: asyncio.Queue[asyncio.Future[Claim]] = asyncio.Queue()

    async def claim(self, pools: Collection[str], limit: int) -> Claim:
        answer: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        await self.claims.put(answer)
        return await answer

    async def settle_doubts(self) -> None:
        """Nothing is in doubt."""

    async def release_others(self, begun: Collection[tuple[str, int]]) -> None:
        """Nothing is claimed."""


def test_a_job_that_is_written_during_a_claim_is_looked_for_at_once() -> None:
    async def test() -> None:
        runner: Any = None
        queue: Any = Queue()
        executor = Executor(Registry(), runner, slots=1, poll_seconds=1000)
        executor.connect(queue)
        await executor.start()
        first = await queue.claims.get()
        assert not executor.reserve(""), "the only slot may be filled by the claim"
        executor.wake()
        first.set_result(Claim([]))
        second = await queue.claims.get()
        assert not executor.reserve(""), "newer jobs queue behind the ones to be claimed"
        second.set_result(Claim([]))
        round_over = asyncio.ensure_future(executor.claiming.next_round())
        (await queue.claims.get()).set_result(Claim([]))
        await round_over
        assert executor.reserve("")
        executor.release(1)
        await executor.stop(0)

    run(test())
