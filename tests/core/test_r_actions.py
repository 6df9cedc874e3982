"""Actions inside tasks (runtime checklist, section 8)."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, play

from tramontane.errors import IllegalStateError
from tramontane.rehearsal import cancels, gives, waits


@pytest.mark.spec("R235")
@pytest.mark.parametrize("action", ["description: nothing", "action: <% '' %>", "action: <% null %>"])
def test_a_task_without_an_action_does_nothing(action: str) -> None:
    run = play(f"wf: {{tasks: {{a: {{{action}}}}}}}")
    assert [each.name for each in run.actions("a")] == ["std.noop"]
    assert run.state == "SUCCESS"


@pytest.mark.spec("R236", "R237")
def test_an_asynchronous_action_runs_until_it_is_reported_once() -> None:
    run = begin("wf: {tasks: {a: {action: std.async_noop, on-success: b}, b: {}}}")
    run.world.run()
    assert (run.task("a").state, run.action("a").state) == ("RUNNING", "RUNNING")
    run.report("a", 5)
    assert (run.result("a"), run.state) == (5, "SUCCESS")
    with pytest.raises(IllegalStateError, match=f"^Action {run.action('a').id} is already completed$"):
        run.report("a", 6)
    assert (run.result("a"), run.names()) == (5, ["a", "b"])


@pytest.mark.spec("R238")
def test_pausing_an_asynchronous_action_pauses_task_and_workflow() -> None:
    run = begin("wf: {tasks: {a: {action: ajob}}}")
    run.pause_action("a")
    assert (run.action("a").state, run.task("a").state, run.state) == ("PAUSED",) * 3
    run.resume_action("a")
    assert (run.action("a").state, run.task("a").state, run.state) == ("RUNNING",) * 3


@pytest.mark.spec("R239")
def test_a_synchronous_action_cannot_be_paused() -> None:
    run = begin("wf: {tasks: {a: {action: job}}}", script={"a": waits()})
    with pytest.raises(IllegalStateError) as refused:
        run.pause_action("a")
    assert refused.value.message == (
        "Transition to the PAUSED state is only supported for asynchronous action execution."
    )


@pytest.mark.spec("R241")
def test_a_paused_action_may_be_completed_in_the_pause() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-success: b}, b: {}}}")
    run.pause_action("a")
    run.report("a", 1)
    assert (run.task("a").state, run.state, run.names()) == ("SUCCESS", "PAUSED", ["a"])
    run.resume()
    assert (run.names(), run.state) == (["a", "b"], "SUCCESS")


@pytest.mark.spec("R242")
def test_nothing_follows_a_cancelled_action() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-error: b, on-complete: b}, b: {}}}")
    run.report("a", cancel=True)
    assert (run.task("a").state, run.task("a").state_info, run.names()) == ("CANCELLED", None, ["a"])


def test_an_action_that_cancels_itself_may_say_why() -> None:
    run = play("wf: {tasks: {a: {action: job, on-complete: b}, b: {}}}", script={"a": cancels("gone")})
    assert (run.task("a").state, run.task("a").state_info, run.names()) == ("CANCELLED", "gone", ["a"])


@pytest.mark.spec("R243")
def test_a_report_after_the_cancel_completes_action_and_task_alone() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-success: b}, b: {}}}")
    run.stop("CANCELLED")
    run.report("a", 5)
    assert (run.action("a").state, run.task("a").state, run.result("a")) == ("SUCCESS", "SUCCESS", 5)
    assert (run.state, list(run.task("a").next_tasks), run.names()) == ("CANCELLED", [], ["a"])


@pytest.mark.spec("R244")
def test_the_environment_holds_default_input_of_actions() -> None:
    text = "wf: {tasks: {a: {action: std.echo}, b: {action: std.echo output='own'}}}"
    run = play(text, env={"__actions": {"std.echo": {"output": "d"}}})
    assert (run.result("a"), run.result("b")) == ("d", "own")


@pytest.mark.spec("R245")
@pytest.mark.parametrize(("value", "is_safe"), [("<% false %>", False), ("<% true %>", True), ("true", True)])
def test_safe_rerun_may_be_an_expression(value: str, is_safe: bool) -> None:
    run = begin(f"wf: {{tasks: {{a: {{action: job, safe-rerun: {value}}}}}}}", script={"a": gives(after=5)})
    run.world.lose_job(run.action("a").id)
    run.world.run()
    assert run.state == ("SUCCESS" if is_safe else "ERROR")
    assert len(run.actions("a")) == 1


@pytest.mark.spec("R306")
def test_of_two_reports_one_is_accepted() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-success: b}, b: {}}}")
    run.report("a", 1)
    with pytest.raises(IllegalStateError):
        run.report("a", 2)
    assert (run.result("a"), len(run.tasks("b"))) == (1, 1)
