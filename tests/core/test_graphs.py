"""Routing and joins against a naive model, on random graphs, in random orders with failures."""

from __future__ import annotations

import os
from random import Random

import pytest
from tests.core.chaos import Chaos, ChaoticWorld, Faults
from tests.core.graphs import Graph, random_graph
from tests.core.lab import FAKES, REGISTRY, document

from tramontane.rehearsal import Outcome, fails, gives
from tramontane.rehearsal.script import Job

SEEDS = int(os.environ.get("TRAMONTANE_SEEDS", "8")) * 8


def chaotic_world(graph: Graph, random: Random) -> ChaoticWorld:
    def end(job: Job) -> Outcome:
        node = next(node for node in graph.nodes if node.name == job.action.task_name)
        after = random.choice((0, 0, 1, 2))
        return fails("bad", after) if job.action.generation < node.fails else gives(1, after)

    return ChaoticWorld(
        document(graph.document()),
        script={"action:job": end},
        registry=REGISTRY,
        fakes=FAKES,
        max_steps=random.choice((1, 2, 3, 5, 500)),
        forgets=random.random() < 0.2,
        random=random,
        faults=Faults(),
    )


@pytest.mark.parametrize("part", range(10))
def test_a_graph_becomes_what_the_model_says(part: int) -> None:
    for seed in range(part, SEEDS, 10):
        random = Random(seed)
        graph = random_graph(random)
        state, states, output = graph.expected()
        world = chaotic_world(graph, random)
        run = world.start("wf")
        Chaos(world).run()
        where = f"seed {seed}\n{graph.document()}"
        assert sorted(run.names()) == sorted(states), where
        assert run.states() == states, where
        assert run.state == state, where
        if output is not None:
            assert run.output == output, where


@pytest.mark.parametrize("part", range(10))
def test_whatever_clients_do_no_graph_hangs(part: int) -> None:
    for seed in range(part, SEEDS, 10):
        random = Random(-seed - 1)
        graph = random_graph(random)
        world = chaotic_world(graph, random)
        run = world.start("wf")
        chaos = Chaos(world)
        chaos.meddle(80)
        chaos.run()
        assert run.execution.is_completed, f"seed {seed}\n{graph.document()}"
