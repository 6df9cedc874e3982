"""What the largest users added to the language: rehearsals, safe input, hard ends."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, filled, play

from tramontane.rehearsal import waits


@pytest.mark.parametrize("clause", ["dry-run: true", "dry-run: <% env().dry %>"])
def test_a_dry_run_calls_the_test_of_the_action(clause: str) -> None:
    run = play(
        filled(
            "wf: {tasks: {a: {action: std.echo output=5 delay=100, @}, b: {action: std.fail, @}}}",
            clause,
            clause,
        ),
        env={"dry": True},
    )
    assert (run.state, run.result("a"), run.result("b")) == ("SUCCESS", 5, None)
    assert run.task("a").finished_at == run.task("a").started_at


def test_a_dry_run_of_the_whole_execution_covers_all_tasks() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-success: b}, b: {action: std.fail}}}", dry_run=True)
    assert (run.state, run.names()) == ("SUCCESS", ["a", "b"])


@pytest.mark.spec("L6")
@pytest.mark.parametrize("input", ["{output: <% $.nope %>}", "'<% [1] %>'"])
@pytest.mark.parametrize(("safe", "names"), [("true", ["a", "b"]), ("false", ["a"])])
def test_safe_input_makes_bad_data_an_ordinary_error(input: str, safe: str, names: list[str]) -> None:
    text = "wf: {tasks: {a: {action: std.echo, input: @, safe-input: @, on-error: b}, b: {}}}"
    run = play(filled(text, input, safe))
    assert (run.task("a").state, run.names()) == ("ERROR", names)


TREE = """
wf: {tasks: {a: {workflow: sub}, w: {wait-before: 50, on-success: x}, x: {}}}
sub: {tasks: {t: {action: job}, s: {action: ajob}}}
"""


@pytest.mark.world_only("the options of a stop are asked for by other means over REST")
def test_a_recursive_termination_ends_the_tree_and_interrupts_its_actions() -> None:
    run = begin(TREE, script={"t": waits()})
    run.stop("ERROR", "enough", recursive=True)
    run.world.run()
    sub = run.sub("a")
    assert (run.state, run.info, sub.state, sub.info) == ("ERROR", "enough", "ERROR", "enough")
    assert {task.state for task in [*run.all_tasks(), *sub.all_tasks()]} == {"ERROR"}
    assert {task.state_info for task in sub.all_tasks()} == {
        "Task was failed due to recursive termination of the workflow."
    }
    assert run.world.queues.jobs == {}
    assert run.names() == ["a", "w"]


@pytest.mark.world_only("the options of a stop are asked for by other means over REST")
def test_a_forced_cancel_ends_the_tasks_at_once() -> None:
    run = begin("wf: {tasks: {a: {action: job, on-error: b}, b: {}}}", script={"a": waits()})
    run.stop("CANCELLED", force=True)
    assert (run.state, run.task("a").state, run.names()) == ("CANCELLED", "ERROR", ["a"])
    assert run.task("a").state_info == "Task was failed due to workflow force cancel."
    assert run.world.queues.jobs == {}
