"""Reverse workflows (runtime checklist, section 9)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.lab import begin, play, world

from tramontane.errors import BadRequestError
from tramontane.rehearsal import fails, gives

DIAMOND = """
wf:
  type: reverse
  tasks:
    a: {action: job, publish: {s: a}}
    b: {action: job, requires: [a], publish: {s: b}}
    c: {action: job, requires: [a]}
    d: {action: job, requires: [b, c], publish: {seen: <% $.s %>}}
    e: {action: job, requires: [d]}
"""


@pytest.mark.spec("R246", "R249", "R252")
def test_what_the_target_requires_runs_first() -> None:
    run = play(DIAMOND, script={"b": gives(after=1), "c": gives(after=2)}, task_name="d")
    assert (run.state, run.names()) == ("SUCCESS", ["a", "b", "c", "d"])
    assert run.task("d").published == {"seen": "b"}
    assert run.output == {"s": "b", "seen": "b"}


@pytest.mark.spec("R249")
def test_the_task_that_published_more_often_wins_though_it_ended_first() -> None:
    run = play(DIAMOND, script={"b": gives(after=1), "c": gives(after=9)}, task_name="d")
    assert run.task("d").published == {"seen": "b"}


@pytest.mark.spec("R247")
def test_a_target_without_requirements_runs_alone() -> None:
    assert play(DIAMOND, task_name="a").names() == ["a"]


@pytest.mark.spec("R248")
@pytest.mark.parametrize("params", [{}, {"task_name": "nope"}])
def test_a_start_without_a_valid_target_is_refused(params: dict[str, Any]) -> None:
    made = world(DIAMOND)
    with pytest.raises(BadRequestError, match=r"^Invalid task name \["):
        made.start("wf", **params)
    assert made.runs() == []


@pytest.mark.spec("R250")
def test_branches_that_do_not_depend_on_a_failure_go_on() -> None:
    run = play(
        """
        wf:
          type: reverse
          tasks:
            a: {action: job}
            f: {action: job}
            c: {action: job}
            c2: {action: job, requires: [c]}
            b: {action: job, requires: [a, f, c2]}
        """,
        script={"f": fails(), "c": gives(after=2)},
        task_name="b",
    )
    assert run.states() == {"a": "SUCCESS", "f": "ERROR", "c": "SUCCESS", "c2": "SUCCESS"}
    assert run.state == "ERROR"
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: f"


@pytest.mark.spec("R251")
def test_default_requirements_are_added_except_to_the_task_itself() -> None:
    run = play("wf: {type: reverse, task-defaults: {requires: [a]}, tasks: {a: {}, b: {}}}", task_name="b")
    assert (run.names(), run.state) == (["a", "b"], "SUCCESS")


@pytest.mark.spec("R253")
@pytest.mark.parametrize(("target", "is_refused"), [("a", True), ("c", True), ("d", False)])
def test_a_target_in_or_behind_a_cycle_is_refused(target: str, is_refused: bool) -> None:
    text = """
    wf:
      type: reverse
      tasks:
        a: {requires: [b]}
        b: {requires: [a]}
        c: {requires: [a]}
        d: {}
    """
    if is_refused:
        with pytest.raises(BadRequestError, match=r"a -> b|b -> a"):
            play(text, task_name=target)
    else:
        assert play(text, task_name=target).names() == ["d"]


@pytest.mark.spec("R254")
def test_a_rerun_lets_the_target_run() -> None:
    run = play(
        "wf: {type: reverse, tasks: {a: {action: std.echo output=<% env().x %>, "
        "fail-on: '<% task().result = bad %>'}, b: {requires: [a]}}}",
        env={"x": "bad"},
        task_name="b",
    )
    assert (run.state, run.states()) == ("ERROR", {"a": "ERROR"})
    run.rerun("a", env={"x": "good"})
    run.world.run()
    assert (run.state, run.states()) == ("SUCCESS", {"a": "SUCCESS", "b": "SUCCESS"})


@pytest.mark.spec("R255")
def test_a_skipped_task_satisfies_a_requirement() -> None:
    run = play("wf: {type: reverse, tasks: {a: {action: std.fail}, b: {requires: [a]}}}", task_name="b")
    run.skip("a")
    run.world.run()
    assert (run.state, run.states()) == ("SUCCESS", {"a": "SKIPPED", "b": "SUCCESS"})


@pytest.mark.spec("R256")
def test_next_tasks_name_what_a_completion_started() -> None:
    run = play("wf: {type: reverse, tasks: {a: {}, b: {requires: [a]}}}", task_name="b")
    assert [list(each) for each in run.task("a").next_tasks] == [["b", None]]
    assert "triggered_by" not in run.task("b").runtime_context


def test_a_reverse_workflow_can_be_paused() -> None:
    run = begin("wf: {type: reverse, tasks: {a: {action: ajob}, b: {requires: [a]}}}", task_name="b")
    run.pause()
    run.report("a")
    assert (run.state, run.names(), run.task("a").processed) == ("PAUSED", ["a"], False)
    run.resume()
    run.world.run()
    assert (run.state, run.names(), run.task("a").processed) == ("SUCCESS", ["a", "b"], True)


def test_a_revived_workflow_starts_what_completed_tasks_had_made_ready() -> None:
    run = begin(
        "wf: {type: reverse, tasks: {a: {action: std.fail}, c: {action: ajob}, d: {requires: [c]}, "
        "t: {requires: [a, d]}}}",
        task_name="t",
    )
    run.stop("ERROR")
    run.report("c")
    assert run.names() == ["a", "c"]
    run.skip("a")
    run.world.run()
    assert (run.state, run.names()) == ("SUCCESS", ["a", "c", "d", "t"])
