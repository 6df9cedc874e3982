"""What a monitoring system reads of a node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from tests.api.running import Running

from tramontane.compose import open_node
from tramontane.config import Settings
from tramontane.store import schema

FLOWS = """
version: '2.0'
held: {tasks: {t: {action: std.async_noop}}}
late: {tasks: {t: {action: std.echo output=1, wait-before: 1000}}}
quick: {tasks: {t: {action: std.sleep seconds=0}}}
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    settings = Settings(database=f"sqlite:///{tmp_path}/state.sqlite", load_action_plugins=False)
    with asyncio.Runner() as runner:
        context = open_node(settings)
        node = runner.run(context.__aenter__())
        yield Running(runner, node)
        runner.run(context.__aexit__(None, None, None))


def read(client: Running) -> dict[tuple[str, ...], float]:
    """The numbers by name and labels."""
    answer = client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_limits_are_numbers_too(running: Running) -> None:
    assert running.put("/v2/limits", {"kind": "pool", "name": "gpu", "limit": 4}).status == 200
    numbers = read(running)
    assert numbers["tramontane_limit_slots", "pool", "gpu"] == 4
    assert numbers["tramontane_limit_slots_taken", "pool", "gpu"] == 0
    assert numbers["tramontane_delayed_decisions_total",] == 0


def test_numbers_tell_what_a_node_has_done_and_what_waits(running: Running) -> None:
    running.define(FLOWS)
    for workflow in ("held", "late"):
        running.start(workflow)
    running.start("quick", wait=20)
    numbers = read(running)
    assert numbers["tramontane_executions", "RUNNING"] == 2
    assert numbers["tramontane_executions_started_total",] == 3
    assert numbers["tramontane_executions_completed_total",] == 1
    assert numbers["tramontane_executions_parked",] == numbers["tramontane_executions_stranded",] == 0
    assert numbers["tramontane_commit_turns_total",] >= numbers["tramontane_commit_batches_total",] > 0
    assert numbers["tramontane_actions_begun_total",] == 2


def test_an_execution_that_nothing_will_move_is_counted_and_named(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.define(FLOWS)
    kept, lost = running.start("late"), running.start("late")

    async def lose() -> None:
        async with running.node.database.write() as connection:
            timers = schema.timers
            await connection.execute(sa.delete(timers).where(timers.c.execution_id == lost["id"]))
        for _ in range(2):
            await running.node.runtime.stranded.loop.next_round()

    running.run(lose())
    assert read(running)["tramontane_executions_stranded",] == 1
    named = [record.getMessage() for record in caplog.records if "stranded" in record.getMessage()]
    assert len(named) == 1 and lost["id"] in named[0] and kept["id"] not in named[0]
