"""What a wake-up is worth: the time of an execution whose action another node runs, with words and without.

``python -m bench.wakeups [DATABASE]`` starts two nodes on an empty PostgreSQL database: one gets the calls
and runs no actions, the other runs them, so each execution needs a word in each direction. Printed are
milliseconds from the call to the end, with all words heard, and with every one lost.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace

from tramontane.auth import Caller
from tramontane.compose import OpenNode, open_node
from tramontane.config import Settings
from tramontane.service.definitions import UploadOptions
from tramontane.service.services import StartOrder

CALLER = Caller("bench")
WORKFLOW = "version: '2.0'\nwf: {tasks: {t: {action: std.sleep seconds=0}}}"
_COUNT = 40
_PAUSE = 0.35
"""Seconds between executions, so that they meet the polling at any moment."""


async def measure(caller: OpenNode) -> list[float]:
    """Play executions one after the other; give the milliseconds of each."""
    seconds = asyncio.get_running_loop().time
    taken = []
    for _ in range(_COUNT):
        await asyncio.sleep(_PAUSE)
        began = seconds()
        started = await caller.services.executions.start(CALLER, StartOrder("wf"))
        await caller.services.executions.wait(started.execution.id, 30)
        taken.append((seconds() - began) * 1000)
    return taken


def show(title: str, taken: Sequence[float]) -> None:
    ordered = sorted(taken)
    print(
        f"{title}: median {statistics.median(ordered):.0f} ms, "
        f"90% {ordered[len(ordered) * 9 // 10]:.0f} ms, worst {ordered[-1]:.0f} ms"
    )


async def main(url: str) -> None:
    plain = Settings(database=url, load_action_plugins=False)
    async with (
        open_node(replace(plain, executor_slots=0)) as caller,
        open_node(plain) as worker,
    ):
        await caller.services.workflows.create(CALLER, WORKFLOW, UploadOptions())
        for node in (caller, worker):
            await node.runtime.reaper.loop.next_round()
        await measure(caller)  # warm
        show("every word heard", await measure(caller))
        for node in (caller, worker):
            node.database.dialect.listen(lambda _: None)
        show("every word lost", await measure(caller))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "postgresql://postgres@127.0.0.1:5432/bench"))
