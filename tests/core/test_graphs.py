"""Routing and joins against a naive model, on random graphs, in random orders with failures."""

from __future__ import annotations

import os
from random import Random

import pytest
from tests.core.chaos import Chaos, ChaoticWorld, Faults
from tests.core.graphs import Graph, random_graph
from tests.core.lab import FAKES, REGISTRY, document

from tramontane.rehearsal import Outcome, Run, fails, gives
from tramontane.rehearsal.script import Job

SEEDS = int(os.environ.get("TRAMONTANE_SEEDS", "10")) * 20

pytestmark = [
    pytest.mark.world_only("orders, crashes and lost turns are chosen here"),
    pytest.mark.not_at("reloaded", why="each seed chooses its own budget and when to load from rows"),
]


def carried_out(graph: Graph, random: Random) -> Run:
    def end(job: Job) -> Outcome:
        node = next(node for node in graph.nodes if node.name == job.action.task_name)
        after = random.choice((0, 0, 1, 2))
        return fails("bad", after) if job.action.generation < node.fails else gives(1, after)

    world = ChaoticWorld(
        document(graph.document()),
        script={"action:job": end},
        registry=REGISTRY,
        fakes=FAKES,
        max_steps=random.choice((1, 2, 3, 5, 500)),
        forgets=random.random() < 0.2,
        random=random,
        faults=Faults(),
    )
    run = world.start("wf")
    Chaos(world).run()
    return run


@pytest.mark.parametrize("part", range(10))
def test_a_graph_becomes_what_the_model_says(part: int) -> None:
    for seed in range(part, SEEDS, 10):
        random = Random(seed)
        graph = random_graph(random)
        state, states, output = graph.expected()
        run = carried_out(graph, random)
        where = f"seed {seed}\n{graph.document()}"
        assert sorted(run.names()) == sorted(states), where
        assert run.states() == states, where
        assert run.state == state, where
        if output is not None:
            assert run.output == output, where
