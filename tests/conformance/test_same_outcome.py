"""Whole trees end on a node as they do in the engine alone, over REST on both databases."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest
from tests.conformance.project import Project
from tests.core.definitions import DEFINITIONS, Example
from tests.core.lab import FAKES, REGISTRY, document

from tramontane.rehearsal import Outcome, Run, World, fails, gives, waits
from tramontane.rehearsal.script import Job


def scripted(example: Example) -> dict[str, Any]:
    """What an action gives follows from its task, item and attempt; later items end first."""
    starts: Counter[tuple[str | None, str, int]] = Counter()

    def end(job: Job) -> Outcome:
        name, index = str(job.action.task_name), job.action.index
        place = job.action.execution_id, name, index
        starts[place] += 1
        if name in example.hanging:
            return waits()
        if starts[place] <= example.failing.get(name, 0):
            return fails(f"{name} failed", after=3 - index % 3)
        return gives(f"{name}-{index}-{starts[place]}", after=3 - index % 3)

    return {"action:job": end}


def finish(example: Example, world: World, run: Run) -> None:
    """Let it go on until nothing is left to be reported, resumed or run again."""
    world.run()
    while _resume(run) or _report(world) or (example.is_rerun and _rerun(world)):
        world.run()


def _resume(run: Run) -> bool:
    if run.state != "PAUSED":
        return False
    run.resume()
    return True


def _report(world: World) -> bool:
    for run in world.runs():
        for task in run.all_tasks():
            for action in run.running(task):
                if action.name == "ajob":
                    run.report(task, "reported", index=action.index)
                    return True
    return False


def _rerun(world: World) -> bool:
    for run in reversed(world.runs()):
        failed = [task for task in run.all_tasks() if task.state == "ERROR" and not run.calls(task)]
        if run.state == "ERROR" and failed:
            run.rerun(failed[0])
            return True
    return False


def shown(run: Run) -> Any:
    """States, results and data of a tree, without ids and times."""
    tasks = []
    for task in run.all_tasks():
        calls = [shown(run.world.run_of(call.id)) for call in run.calls(task)]
        following = None if task.next_tasks is None else [list(each) for each in task.next_tasks]
        actions = [
            (action.name, action.index, action.state, action.accepted, action.result)
            for action in run.actions(task)
        ]
        fields = (task.type, task.processed, task.published, task.published_global, following)
        result = None if calls else run.result(task)
        tasks.append((task.name, task.state, fields, result, sorted(actions, key=str), calls))
    output = run.output if run.state == "SUCCESS" else None
    return run.execution.workflow_name, run.state, output, sorted(tasks, key=str)


@pytest.mark.parametrize("example", DEFINITIONS, ids=lambda example: example.name)
def test_a_tree_ends_as_in_the_engine_alone(example: Example, project: Project) -> None:
    alone = World(
        document(example.text), script=scripted(example), registry=REGISTRY, fakes=FAKES, settles=True
    )
    expected = alone.start("wf", env={"k": 1}, **example.params)
    finish(example, alone, expected)
    started = project.begin(example.text, script=scripted(example), env={"k": 1}, **example.params)
    run, world = cast(Run, started), cast(World, project)  # they offer the same
    finish(example, world, run)
    assert run.state == example.state
    assert shown(run) == shown(expected)
