"""Policies (runtime checklist, section 6)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.lab import begin, filled, play, second

from tramontane.rehearsal import Run, cancels, fails, gives, waits


def attempts(run: Run, task: str = "a") -> int:
    return len(run.actions(task))


@pytest.mark.spec("R177")
def test_wait_before_holds_the_action_back() -> None:
    run = begin("wf: {tasks: {a: {action: job, wait-before: 2}}}", script={"a": waits()})
    assert (run.task("a").state, run.actions("a")) == ("DELAYED", [])
    run.world.advance(1.9)
    assert run.actions("a") == []
    run.world.advance(0.1)
    assert (run.task("a").state, attempts(run)) == ("RUNNING", 1)


@pytest.mark.spec("R178")
def test_wait_after_holds_the_followers_back() -> None:
    run = begin("wf: {tasks: {a: {wait-after: 2, publish: {x: 1}, on-success: b}, b: {}}}")
    task = run.task("a")
    assert (task.state, task.state_info) == ("DELAYED", "Delayed by 'wait-after' policy [delay=2]")
    assert (task.published, run.actions("a")[0].state) == ({"x": 1}, "SUCCESS")
    assert second(run, task.finished_at) == 0
    assert run.names() == ["a"]
    run.world.run()
    assert second(run, run.task("b").created_at) == 2
    assert second(run, run.task("a").finished_at) == 2


@pytest.mark.spec("R179")
def test_wait_after_applies_to_failures() -> None:
    run = begin(
        "wf: {tasks: {a: {action: job, wait-after: 2, on-error: b}, b: {}}}", script={"a": fails("bad")}
    )
    assert run.task("a").state == "DELAYED"
    run.world.run()
    assert (run.task("a").state, run.task("a").state_info) == ("ERROR", "bad")
    assert second(run, run.task("b").created_at) == 2


@pytest.mark.spec("R180")
def test_retry_repeats_a_failing_action() -> None:
    run = begin("wf: {tasks: {a: {action: std.fail, retry: {count: 2, delay: 1}}}}")
    task = run.task("a")
    assert (task.state, task.state_info) == ("DELAYED", "Delayed by 'retry' policy [delay=1]")
    run.world.run()
    assert run.task("a").runtime_context["retry_task_policy"] == {"retry_no": 2}
    assert [each.accepted for each in run.actions("a")] == [False, False, True]
    assert second(run, run.actions("a")[2].created_at) == 2
    assert (run.task("a").state, run.state) == ("ERROR", "ERROR")


@pytest.mark.spec("R181")
def test_a_count_of_zero_is_no_retry() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, retry: {count: 0, delay: 1}}}}")
    assert attempts(run) == 1
    assert "retry_task_policy" not in run.task("a").runtime_context


@pytest.mark.spec("R182", "R183", "R184", "R185")
@pytest.mark.parametrize(
    ("conditions", "outcome", "expected", "state"),
    [
        ("break-on: <% true %>", fails(), 1, "ERROR"),
        ("continue-on: <% true %>", gives(), 3, "SUCCESS"),
        ("continue-on: <% false %>", fails(), 1, "ERROR"),
        ("continue-on: <% true %>, break-on: <% true %>", gives(), 3, "SUCCESS"),
        ("break-on: <% true %>", gives(), 1, "SUCCESS"),
    ],
)
def test_conditions_steer_the_retry(conditions: str, outcome: Any, expected: int, state: str) -> None:
    run = play(
        f"wf: {{tasks: {{a: {{action: job, retry: {{count: 2, delay: 1, {conditions}}}}}}}}}",
        script={"a": outcome},
    )
    assert (attempts(run), run.task("a").state) == (expected, state)


@pytest.mark.spec("R186")
def test_continue_on_sees_what_was_just_published() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, publish: {x: <% task().result %>}, "
        "retry: {count: 5, delay: 1, continue-on: <% $.x < 3 %>}}}}",
        script={"a": lambda job: gives(job.number + 1)},
    )
    assert (attempts(run), run.task("a").published) == (3, {"x": 3})


@pytest.mark.spec("R187")
def test_followers_start_once_after_the_last_iteration() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, retry: {count: 3, delay: 1}, on-success: b, on-error: c}, b: "
        "{}, c: {}}}",
        script={"a": [fails(), gives()]},
    )
    assert (run.names(), attempts(run), run.state) == (["a", "b"], 2, "SUCCESS")


@pytest.mark.spec("R188")
def test_a_delay_of_zero_repeats_at_once() -> None:
    run = begin("wf: {tasks: {a: {action: std.fail, retry: {count: 2, delay: 0}}}}")
    assert (attempts(run), run.state) == (3, "ERROR")


@pytest.mark.spec("R189")
def test_iterations_do_not_see_what_earlier_ones_published() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              action: std.echo output=<% $.get(x, 0) + 1 %>
              publish: {x: <% task().result %>}
              retry: {count: 2, delay: 1, continue-on: <% true %>}
        """
    )
    assert [each.result for each in run.actions("a")] == [1, 1, 1]


@pytest.mark.spec("R190")
@pytest.mark.parametrize("condition", ["break-on", "continue-on"])
def test_a_raising_condition_is_a_structural_error(condition: str) -> None:
    run = play(
        f"wf: {{tasks: {{a: {{action: std.fail, retry: {{count: 2, delay: 1, {condition}: <% $.nope "
        f"%>}}}}}}}}"
    )
    assert run.state == "ERROR"
    assert (run.info or "").startswith("Failed to handle action completion [")


@pytest.mark.spec("R191", "R192")
def test_a_timeout_fails_the_task_and_leaves_the_action_running() -> None:
    run = play(
        "wf: {tasks: {a: {action: ajob, timeout: 1, publish-on-error: {r: <% task().result %>}, "
        "on-error: b}, b: {}}}"
    )
    task = run.task("a")
    assert (task.state, task.state_info) == ("ERROR", "Task timed out [timeout(s)=1].")
    assert (run.actions("a")[0].state, task.published) == ("RUNNING", {"r": []})
    assert (run.task("b").state, run.state) == ("SUCCESS", "SUCCESS")


@pytest.mark.spec("R193")
def test_a_timeout_covers_the_wait_before() -> None:
    run = play("wf: {tasks: {a: {timeout: 1, wait-before: 3}}}")
    assert (run.task("a").state, run.actions("a")) == ("ERROR", [])
    assert second(run, run.task("a").finished_at) == 1


@pytest.mark.spec("R194")
def test_a_timeout_of_zero_is_none() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, timeout: 0}}}")
    run.world.advance(100)
    assert run.state == "RUNNING"


@pytest.mark.spec("R195")
def test_every_iteration_has_its_own_timeout() -> None:
    run = play("wf: {tasks: {a: {action: ajob, timeout: 1, retry: {count: 2, delay: 1}}}}")
    assert (attempts(run), run.task("a").state_info) == (3, "Task timed out [timeout(s)=1].")
    assert second(run, run.task("a").finished_at) == 5


@pytest.mark.spec("R196")
def test_a_timeout_does_not_strike_during_the_wait_after() -> None:
    run = play("wf: {tasks: {a: {timeout: 1, wait-after: 3}}}")
    assert (run.task("a").state, run.state) == ("SUCCESS", "SUCCESS")
    assert second(run, run.task("a").finished_at) == 3


@pytest.mark.spec("R197")
def test_a_timeout_may_come_from_the_environment() -> None:
    run = play("wf: {tasks: {a: {action: ajob, timeout: <% env().t %>}}}", env={"t": 2})
    assert run.task("a").state_info == "Task timed out [timeout(s)=2]."


@pytest.mark.spec("R198")
def test_a_late_report_completes_the_action_but_not_the_task() -> None:
    run = play("wf: {tasks: {a: {action: ajob, timeout: 1, on-error: noop}}}")
    run.report("a", 5)
    assert (run.actions("a")[0].state, run.task("a").state) == ("SUCCESS", "ERROR")


@pytest.mark.spec("R199")
def test_pause_before_pauses_the_workflow() -> None:
    run = begin("wf: {tasks: {a: {action: job, pause-before: true}}}", script={"a": gives(after=1)})
    task = run.task("a")
    assert (task.state, task.state_info, run.state) == ("IDLE", "Set by 'pause-before' policy", "PAUSED")
    assert run.actions("a") == []
    run.resume()
    assert (run.task("a").state, run.task("a").state_info) == ("RUNNING", None)
    run.world.run()
    assert run.state == "SUCCESS"


@pytest.mark.spec("R200")
def test_the_other_before_policies_apply_at_the_resume() -> None:
    run = begin("wf: {tasks: {a: {pause-before: true, wait-before: 1}}}")
    run.resume()
    assert (run.task("a").state, run.actions("a")) == ("DELAYED", [])
    run.world.run()
    assert (run.state, second(run, run.actions("a")[0].created_at)) == ("SUCCESS", 1)


@pytest.mark.spec("R201")
def test_a_timeout_does_not_run_while_pause_before_holds_the_task() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, pause-before: true, timeout: 1}}}")
    run.world.advance(10)
    assert (run.state, run.task("a").state) == ("PAUSED", "IDLE")
    run.resume()
    run.world.run()
    assert second(run, run.task("a").finished_at) == 11


@pytest.mark.spec("R202")
def test_pause_before_must_be_a_boolean() -> None:
    run = play('wf: {tasks: {a: {pause-before: <% "x" %>}}}')
    assert run.state == "ERROR"
    assert "PauseBeforePolicy" in (run.info or "")
    assert play("wf: {tasks: {a: {pause-before: <% false %>}}}").state == "SUCCESS"


@pytest.mark.spec("R203", "R204")
@pytest.mark.parametrize("condition", ["<% true %>", "<% 1 %>"])
def test_fail_on_turns_a_success_into_an_error(condition: str) -> None:
    run = play(
        filled(
            "wf: {tasks: {a: {fail-on: @, publish: {x: 1}, publish-on-error: {y: 2}, on-error: b}, b: {}}}",
            condition,
        )
    )
    task = run.task("a")
    assert (task.state, task.state_info) == ("ERROR", "Failed by 'fail-on' policy")
    assert (run.actions("a")[0].state, task.published) == ("SUCCESS", {"x": 1})
    assert run.task("b").state == "SUCCESS"


@pytest.mark.spec("R205")
def test_fail_on_is_retried() -> None:
    run = play("wf: {tasks: {a: {fail-on: <% true %>, retry: {count: 1, delay: 1}}}}")
    assert (attempts(run), run.task("a").state) == (2, "ERROR")


@pytest.mark.spec("R206")
def test_fail_on_comes_after_the_wait() -> None:
    run = begin("wf: {tasks: {a: {fail-on: <% true %>, wait-after: 1}}}")
    assert run.task("a").state == "DELAYED"
    run.world.run()
    assert run.task("a").state == "ERROR"


@pytest.mark.spec("R207", "R208")
@pytest.mark.parametrize("policy", ["wait-after", "wait-before"])
def test_waits_apply_to_the_first_iteration_only(policy: str) -> None:
    run = play(f"wf: {{tasks: {{a: {{action: std.fail, {policy}: 10, retry: {{count: 2, delay: 1}}}}}}}}")
    assert attempts(run) == 3
    assert second(run, run.task("a").finished_at) == 12


@pytest.mark.spec("R209")
@pytest.mark.parametrize("value", ["abc", "1", 1.5, True, None, -1])
def test_a_wait_must_be_a_whole_number(value: Any) -> None:
    run = play("wf: {input: [w], tasks: {a: {wait-before: <% $.w %>, on-error: b}, b: {}}}", {"w": value})
    assert (run.state, run.names()) == ("ERROR", ["a"])
    assert (run.info or "").startswith("Failed to run task [error=Invalid data type in WaitBeforePolicy:")


@pytest.mark.spec("R210")
@pytest.mark.parametrize("value", ["1", -1])
def test_a_bad_retry_prevents_the_start(value: Any) -> None:
    run = play("wf: {input: [c], tasks: {a: {retry: {count: <% $.c %>, delay: 1}}}}", {"c": value})
    assert (run.state, run.actions("a")) == ("ERROR", [])
    assert "RetryPolicy" in (run.info or "")


@pytest.mark.spec("R210")
def test_a_bad_wait_after_prevents_the_start() -> None:
    run = play('wf: {tasks: {a: {wait-after: <% "x" %>}}}')
    assert (run.state, run.actions("a")) == ("ERROR", [])


@pytest.mark.spec("R211", "R345")
@pytest.mark.parametrize(("outcomes", "expected"), [([cancels()], 1), ([fails(), cancels()], 2)])
def test_a_cancelled_action_is_not_retried(outcomes: list[Any], expected: int) -> None:
    run = play("wf: {tasks: {a: {action: job, retry: {count: 3, delay: 1}}}}", script={"a": outcomes})
    assert (attempts(run), run.task("a").state, run.state) == (expected, "CANCELLED", "CANCELLED")


@pytest.mark.spec("R212")
def test_a_sub_workflow_is_repeated_by_a_new_execution() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub, retry: {count: 2, delay: 1}}}}
        sub: {tasks: {t: {action: std.fail}}}
        """
    )
    assert len({each.id for each in run.calls("a")}) == 3
    assert run.result("a") == run.sub("a").output


@pytest.mark.spec("R309")
def test_a_delay_that_ends_in_a_pause_is_held_until_the_resume() -> None:
    run = begin("wf: {tasks: {a: {wait-before: 1}}}")
    run.pause()
    run.world.advance(5)
    assert (run.state, run.actions("a")) == ("PAUSED", [])
    run.resume()
    assert (run.state, attempts(run)) == ("SUCCESS", 1)


@pytest.mark.spec("R310")
def test_no_iteration_begins_in_a_pause() -> None:
    run = begin(
        "wf: {tasks: {a: {action: job, retry: {count: 1, delay: 1}}}}", script={"a": [fails(), gives()]}
    )
    run.world.settle()
    run.pause()
    run.world.advance(5)
    assert attempts(run) == 1
    run.resume()
    run.world.run()
    assert (run.state, attempts(run)) == ("SUCCESS", 2)


@pytest.mark.spec("R312")
def test_a_timeout_in_a_pause_is_followed_up_at_the_resume() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, timeout: 1, on-error: b}, b: {}}}")
    run.pause()
    run.world.advance(2)
    assert (run.task("a").state, run.names()) == ("ERROR", ["a"])
    run.resume()
    run.world.run()
    assert (run.names(), run.state) == (["a", "b"], "SUCCESS")


@pytest.mark.spec("R313", "R314")
@pytest.mark.parametrize(("policy", "expected"), [("wait-before: 1", 0), ("retry: {count: 2, delay: 1}", 1)])
@pytest.mark.parametrize("state", ["CANCELLED", "ERROR"])
def test_nothing_delayed_starts_in_a_final_workflow(policy: str, expected: int, state: str) -> None:
    run = begin(f"wf: {{tasks: {{a: {{action: std.fail, {policy}}}}}}}")
    assert run.task("a").state == "DELAYED"
    run.stop(state)
    run.world.run()
    assert (attempts(run), run.task("a").state) == (expected, "DELAYED")


@pytest.mark.spec("R317")
def test_publishing_starts_empty_in_every_iteration() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, publish-on-error: {e: 1}, retry: {count: 1, delay: 0}}}}",
        script={"a": [fails(), gives()]},
    )
    assert (run.task("a").published, run.output) == ({}, {})


@pytest.mark.spec("R320")
def test_wait_after_applies_to_a_cancelled_action() -> None:
    run = begin("wf: {tasks: {a: {action: job, wait-after: 2}}}", script={"a": cancels()})
    run.world.settle()
    assert run.task("a").state == "DELAYED"
    run.world.run()
    assert run.task("a").state == "CANCELLED"
    assert second(run, run.task("a").finished_at) == 2


def test_an_error_after_the_wait_says_that_the_task_could_not_be_completed() -> None:
    run = play("wf: {tasks: {a: {wait-after: 1, fail-on: <% $.nope %>, on-error: b}, b: {}}}")
    assert (run.state, run.names()) == ("ERROR", ["a"])
    assert (run.info or "").startswith("Failed to complete task [error=")
