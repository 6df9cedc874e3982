"""The engine in every order of events, with crashes, lost turns and repeated reports.

Each definition here has one right outcome; the plain order gives it, and every other order must
give the same. ``TRAMONTANE_SEEDS`` sets how many orders are tried per definition.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from tests.core.chaos import Chaos, ChaoticWorld, Faults, outcome
from tests.core.definitions import DEFINITIONS, DISORDERLY, Example
from tests.core.lab import FAKES, REGISTRY, document

from tramontane.rehearsal import Outcome, Run, World, fails, gives, waits
from tramontane.rehearsal.script import Job

SEEDS = int(os.environ.get("TRAMONTANE_SEEDS", "8"))
CALM = Faults(0, 0, 0, 0, 0)


def scripted(example: Example, random: Random | None) -> dict[str, object]:
    """Let every job take its time; what it gives follows from task, item and attempt alone."""

    starts: dict[tuple[str, str, int], list[str]] = {}

    def end(job: Job) -> Outcome:
        action = job.action
        name = str(action.task_name)
        after = 0.0 if random is None else random.choice((0, 0, 1, 2, 3))
        ids = starts.setdefault((str(action.execution_id), name, action.index), [])
        if action.id not in ids:  # one that was lost and sent again is the same attempt
            ids.append(action.id)
        number = ids.index(action.id)
        if name in example.hanging:
            return waits()
        if number < example.failing.get(name, 0):
            return fails(f"{name} failed", after)
        return gives(f"{name}-{action.index}-{number}", after)

    return {"action:job": end}


def chaotic_world(example: Example, random: Random, faults: Faults) -> ChaoticWorld:
    return ChaoticWorld(
        document(example.text),
        script=scripted(example, random),
        registry=REGISTRY,
        fakes=FAKES,
        settles=random.random() < 0.5,
        max_steps=random.choice((1, 2, 3, 5, 500)),
        forgets=random.random() < 0.2,
        random=random,
        faults=faults,
    )


def chaotic(example: Example, seed: int, faults: Faults) -> Run:
    world = chaotic_world(example, Random(seed), faults)
    run = world.start("wf", env={"k": 1}, **example.params)
    chaos = Chaos(world)
    chaos.run()
    for _ in range(20):
        if not _rerun_one(example, world):
            break
        chaos.run()
    return run


def _rerun_one(example: Example, world: World) -> bool:
    """Run a failed task of the tree again, the deepest first, if the example wants that."""
    if not example.is_rerun:
        return False
    for run in reversed(world.runs()):
        failed = [task for task in run.all_tasks() if task.state == "ERROR" and not run.calls(task)]
        if run.state == "ERROR" and failed:
            run.rerun(failed[0])
            return True
    return False


def plain(example: Example) -> Run:
    world = World(
        document(example.text),
        script=scripted(example, None),  # type: ignore[arg-type]
        registry=REGISTRY,
        fakes=FAKES,
        settles=True,
    )
    run = world.start("wf", env={"k": 1}, **example.params)
    while True:
        world.run()
        if run.state == "PAUSED":
            run.resume()
        elif not _report_one(world) and not _rerun_one(example, world):
            return run


def _report_one(world: World) -> bool:
    for run in world.runs():
        for task in run.all_tasks():
            for action in run.running(task):
                if not action.is_sync:
                    run.report(task, "reported", index=action.index)
                    return True
    return False


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("example", DEFINITIONS, ids=lambda example: example.name)
def test_every_order_of_events_ends_the_same(example: Example, seed: int) -> None:
    expected = plain(example)
    assert expected.state == example.state
    run = chaotic(example, seed, Faults())
    assert outcome(run) == outcome(expected)


@pytest.mark.parametrize("example", DEFINITIONS, ids=lambda example: example.name)
def test_the_order_alone_changes_nothing(example: Example) -> None:
    expected = outcome(plain(example))
    for seed in range(1000, 1000 + max(2, SEEDS // 4)):
        assert outcome(chaotic(example, seed, CALM)) == expected


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("example", (*DEFINITIONS, *DISORDERLY), ids=lambda example: example.name)
def test_whatever_clients_do_nothing_hangs(example: Example, seed: int) -> None:
    world = chaotic_world(example, Random(-seed - 1), Faults())
    world.start("wf", env={"k": 1}, **example.params)
    chaos = Chaos(world)
    chaos.meddle(60)
    chaos.run()
    assert all(run.execution.is_completed for run in world.runs())
