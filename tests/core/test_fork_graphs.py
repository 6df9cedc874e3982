"""Forks of random graphs: wherever an execution is forked, and however it ended, the new one becomes
what the whole graph must become."""

from __future__ import annotations

import os
from random import Random

import pytest
from tests.core.graphs import Graph, random_graph
from tests.core.lab import FAKES, REGISTRY, document
from tests.core.test_fork import fork

from tramontane.rehearsal import Outcome, Run, World, fails, gives
from tramontane.rehearsal.script import Job

SEEDS = int(os.environ.get("TRAMONTANE_SEEDS", "10")) * 20


def world_of(graph: Graph, random: Random) -> World:
    def end(job: Job) -> Outcome:
        node = next(node for node in graph.nodes if node.name == job.action.task_name)
        after = random.choice((0, 0, 1, 2))
        return fails("bad", after) if job.action.generation < node.fails else gives(1, after)

    script = {"action:job": end}
    return World(
        document(graph.document()), script=script, registry=REGISTRY, fakes=FAKES, settles=True, max_steps=5
    )


def check(graph: Graph, run: Run, random: Random, where: str) -> None:
    """Fork at a task, or at two, and compare with what the graph must become."""
    state, states, output = graph.expected()
    names = run.names()
    chosen = random.sample(names, random.randint(1, min(2, len(names))))
    new = fork(run, *chosen, script=run.world.script.entries)
    where = f"{where}, forked at {chosen}\n{graph.document()}"
    assert sorted(new.names()) == sorted(states), where
    assert new.states() == states, where
    assert new.state == state, where
    if output is not None:
        assert new.output == output, where


@pytest.mark.parametrize("part", range(10))
def test_a_fork_ends_as_its_source_did(part: int) -> None:
    for seed in range(part, SEEDS, 10):
        random = Random(seed)
        graph = random_graph(random)
        world = world_of(graph, random)
        run = world.start("wf")
        world.run()
        check(graph, run, random, f"seed {seed}")


@pytest.mark.parametrize("part", range(10))
def test_a_fork_of_an_execution_that_was_stopped_ends_as_the_whole_would_have(part: int) -> None:
    for seed in range(part, SEEDS, 10):
        random = Random(-seed - 1)
        graph = random_graph(random)
        world = world_of(graph, random)
        run = world.start("wf")
        for _ in range(random.randint(0, 20)):
            world.step()
        run.stop(random.choice(("ERROR", "CANCELLED")))
        for _ in range(random.choice((0, 5, 1000))):
            world.step()
        check(graph, run, random, f"seed {-seed - 1}")
