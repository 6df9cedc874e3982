"""How long the group commit takes: ``python bench/store_commit.py [URL …] [--batch N]``.

Each execution of the measurement is one execution with one task and one action: four rows to
insert, then the same four to update. Microseconds per execution; best and median of the batches.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

from msgspec.structs import replace

from tramontane.core.state import ActionExecution, Execution, Task
from tramontane.store.commit import commit
from tramontane.store.database import Database, open_database
from tramontane.store.records import TurnWrite
from tramontane.values import freeze

_INPUT = freeze({"vm": {"id": "0a1b", "name": "web-1", "size": 4}, "zones": ["a", "b"]})


def new_turn(number: str) -> TurnWrite:
    """An execution that starts with one running action."""
    execution = Execution(
        id=f"e-{number}",
        root_id=f"e-{number}",
        project_id="project",
        workflow_name="deploy",
        workflow_namespace="",
        workflow_id="w-1",
        spec_hash="0" * 64,
        created_at=1,
        input=_INPUT,
        state="RUNNING",
        seq=2,
    )
    task = Task(
        id=f"t-{number}",
        execution_id=execution.id,
        root_id=execution.id,
        project_id="project",
        name="create",
        type="ACTION",
        workflow_name="deploy",
        workflow_namespace="",
        workflow_id="w-1",
        seq=1,
        created_at=1,
        state="RUNNING",
    )
    action = ActionExecution(
        id=f"a-{number}",
        execution_id=execution.id,
        root_id=execution.id,
        task_id=task.id,
        name="std.http",
        project_id="project",
        input=_INPUT,
        seq=2,
    )
    return TurnWrite(execution, None, 0, tasks=[task], actions=[action])


def next_turn(turn: TurnWrite) -> TurnWrite:
    """The same execution when its action has ended."""
    output = freeze({"result": {"status": 200}})
    return TurnWrite(
        replace(turn.execution, state="SUCCESS", output=output, seq=3),
        turn.execution,
        1,
        tasks=[replace(task, state="SUCCESS", published=output) for task in turn.tasks],
        actions=[replace(action, state="SUCCESS", output=output) for action in turn.actions],
    )


async def measure(database: Database, batch: int, rounds: int) -> None:
    inserts, updates = [], []
    for each in range(rounds):
        turns = [new_turn(f"{batch}-{each}-{place}") for place in range(batch)]
        inserts.append(await _time(database, turns))
        updates.append(await _time(database, [next_turn(turn) for turn in turns]))
    for name, times in (("insert", inserts), ("update", updates)):
        per_execution = [1e6 * seconds / batch for seconds in times]
        print(
            f"{database.name:11} batch {batch:4} {name}: best {min(per_execution):7.0f} µs, "
            f"median {statistics.median(per_execution):7.0f} µs an execution"
        )


async def _time(database: Database, turns: Sequence[TurnWrite]) -> float:
    start = time.perf_counter()
    outcomes = await commit(database, turns, "node")
    seconds = time.perf_counter() - start
    if not all(outcome.is_committed for outcome in outcomes):
        raise SystemExit(f"not committed: {outcomes}")
    return seconds


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="*", default=["sqlite:///bench-store.sqlite"])
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    for url in options.urls:
        database = await open_database(url)
        try:
            for batch in options.batch or [1, 50, 500]:
                await measure(database, batch, options.rounds)
        finally:
            await database.close()


if __name__ == "__main__":
    asyncio.run(main())
