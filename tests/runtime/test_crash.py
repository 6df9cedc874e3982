"""Processes that are killed in the middle of their work: what they acknowledged ends all the same."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.runtime.worker import TASKS
from tests.service.harness import a_node, finished, run, stored
from tests.service.test_engine import left_over

from tramontane.compose import OpenNode
from tramontane.store import schema

ROOT = Path(__file__).parents[2]


async def worker(url: str, prefix: str) -> Process:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.runtime.worker", url, prefix,
        stdout=PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


async def acknowledged(process: Process, count: int) -> list[str]:
    """Read so many acknowledgements, kill the process, and read what it said before it died."""
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(count)]
    process.send_signal(signal.SIGKILL)
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().strip() for line in lines if line.endswith(b"\n")]


async def check(node: OpenNode, execution_id: str) -> None:
    """An acknowledged execution is there, has ended well, and did everything once."""
    execution = await finished(node, execution_id)
    assert (execution.state, execution.state_info) == ("SUCCESS", None), execution_id
    names = sorted(task.name for task in (await stored(node, execution_id)).tasks)
    assert names == sorted(TASKS[execution_id.split("-")[0]])


async def everything(node: OpenNode) -> list[str]:
    async with node.database.read() as connection:
        return list((await connection.execute(sa.select(schema.heads.c.id))).scalars())


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed_again_and_again(
    seed: int, sqlite_url: str
) -> None:
    async def test() -> None:
        chance = random.Random(seed)
        promised: list[str] = []
        for number in range(3):
            process = await worker(sqlite_url, str(number))
            promised += await acknowledged(process, chance.randint(5, 120))
        assert len(promised) == len(set(promised)) >= 15
        async with a_node(sqlite_url) as node:
            for execution_id in promised:
                await check(node, execution_id)
            for execution_id in await everything(node):
                await finished(node, execution_id)  # also what was stored and not acknowledged any more
            assert await left_over(node) == {"inbox": 0, "timers": 0, "jobs": 0}

    run(test())


def test_a_living_node_carries_on_what_a_killed_one_left(shared_url: str) -> None:
    async def test() -> None:
        async with a_node(shared_url, heartbeat_seconds=0.1, lease_seconds=1.0) as node:
            process = await worker(shared_url, "x")
            promised = await acknowledged(process, 60)
            for execution_id in promised:
                await check(node, execution_id)
            assert node.runtime.reaper.buried >= 1

    run(test())
