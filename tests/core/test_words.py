"""Words between parents and children overtake one another on their way; the newest counts."""

from __future__ import annotations

from tests.core.lab import FAKES, REGISTRY, document

from tramontane.rehearsal import Run, World, waits
from tramontane.rehearsal.queues import Move

TREE = """
wf: {tasks: {a: {workflow: sub}}}
sub: {output: {k: <% env().k %>}, tasks: {t: {action: ajob, on-success: u}, u: {}}}
"""


def newest_first(moves: list[Move]) -> Move:
    return moves[-1]


def started() -> tuple[World, Run]:
    """Start the tree, whose sub-workflow waits for a report of its first task."""
    world = World(
        document(TREE), script={"action:ajob": waits()}, registry=REGISTRY, fakes=FAKES, choose=newest_first
    )
    world.queues.overtaking = True
    run = world.start("wf", env={"k": 1})
    world.settle()
    return world, run


def test_an_older_pause_of_the_parent_does_not_undo_a_newer_resume() -> None:
    world, run = started()
    child = run.sub("a")
    run.pause()
    run.resume()
    assert len(world.queues.inboxes[child.id]) == 2
    world.settle()
    assert (run.state, child.state) == ("RUNNING", "RUNNING")
    child.report("t", "done")
    world.settle()
    assert run.state == "SUCCESS"


def test_an_older_resume_of_the_parent_does_not_undo_a_newer_pause() -> None:
    world, run = started()
    run.pause()
    world.settle()
    run.resume()
    run.pause()
    world.settle()
    assert (run.state, run.sub("a").state) == ("PAUSED", "PAUSED")


def test_an_older_pause_of_a_child_does_not_undo_its_newer_resume() -> None:
    world, run = started()
    child = run.sub("a")
    child.pause()
    child.resume()
    assert len(world.queues.inboxes[run.id]) == 2
    world.settle()
    assert (run.state, child.state, run.task("a").state) == ("RUNNING", "RUNNING", "RUNNING")


def test_an_older_environment_does_not_replace_a_newer_one() -> None:
    world, run = started()
    run.pause()
    world.settle()
    run.change_env({"k": 2})
    run.change_env({"k": 3})
    run.resume()
    world.settle()
    run.sub("a").report("t", "done")
    world.settle()
    assert run.result("a") == {"k": 3}


def test_a_pause_and_an_environment_do_not_replace_each_other() -> None:
    world, run = started()
    run.pause()
    run.change_env({"k": 2})
    world.settle()
    assert run.sub("a").state == "PAUSED"
    run.resume()
    world.settle()
    run.sub("a").report("t", "done")
    world.settle()
    assert run.result("a") == {"k": 2}
