"""Joins (runtime checklist, section 4)."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, events_of, filled, play, second

from tramontane.rehearsal import cancels, fails, gives

TWO = """
wf:
  tasks:
    a: {action: job, on-success: j}
    b: {action: job, on-success: j}
    j: {join: all}
"""


@pytest.mark.spec("R117", "R118")
def test_a_join_waits_for_all_its_inbound_tasks() -> None:
    run = begin(TWO, script={"a": gives(), "b": gives(after=1)})
    task = run.task("j")
    assert (task.state, task.state_info) == ("WAITING", "Task is waiting.")
    run.world.run()
    assert (run.state, run.task("j").state) == ("SUCCESS", "SUCCESS")
    assert events_of(run, "j") == [("a", "on-success"), ("b", "on-success")]


@pytest.mark.spec("R119")
def test_a_join_fails_when_an_inbound_task_fails() -> None:
    run = play(TWO, script={"a": fails(), "b": gives()})
    assert (run.task("j").state, run.task("j").state_info) == ("ERROR", "Failed by tasks: ['a']")
    assert run.state == "ERROR"
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: a, j"


HANDLED = """
wf:
  tasks:
    a: {action: job, on-success: j, on-error: noop}
    b: {action: job, on-success: j}
    j: {join: all, on-error: ON_ERROR}
    k: {}
"""


@pytest.mark.spec("R120")
def test_a_handled_error_still_fails_the_join() -> None:
    run = play(HANDLED.replace(", on-error: ON_ERROR", ""), script={"a": fails()})
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: j"
    assert run.state == "ERROR"


@pytest.mark.spec("R121")
def test_a_failed_join_is_an_ordinary_error() -> None:
    run = play(HANDLED.replace("ON_ERROR", "k"), script={"a": fails()})
    assert (run.state, run.task("k").state) == ("SUCCESS", "SUCCESS")
    assert run.actions("j") == []


@pytest.mark.spec("R122")
def test_a_guard_that_was_false_fails_the_join() -> None:
    run = play("wf: {tasks: {a: {on-success: [{j: <% false %>}]}, b: {on-success: j}, j: {join: all}}}")
    assert (run.task("j").state, run.task("j").state_info) == ("ERROR", "Failed by tasks: ['a']")
    assert events_of(run, "j") == [("a", "not triggered")]


@pytest.mark.spec("R123")
def test_a_join_that_nobody_triggers_does_not_exist() -> None:
    run = play("wf: {tasks: {a: {on-success: [{j: <% false %>}]}, j: {join: all}}}")
    assert (run.state, run.names()) == ("SUCCESS", ["a"])


@pytest.mark.spec("R124")
def test_a_join_may_be_triggered_by_an_error() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-error: j}, b: {on-success: j}, j: {join: all}}}")
    assert (run.state, run.task("j").state) == ("SUCCESS", "SUCCESS")
    assert events_of(run, "j") == [("a", "on-error"), ("b", "on-success")]


@pytest.mark.spec("R125")
def test_a_join_triggered_by_on_complete_runs_though_the_error_stays_unhandled() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-complete: j}, j: {join: all}}}")
    assert (run.task("j").state, run.state) == ("SUCCESS", "ERROR")
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: a"


@pytest.mark.spec("R126")
def test_a_task_that_names_the_join_twice_triggers_it_once() -> None:
    run = play("wf: {tasks: {a: {on-success: j, on-complete: j}, j: {join: all}}}")
    assert len(run.tasks("j")) == 1 and len(run.actions("j")) == 1
    assert events_of(run, "j") == [("a", "on-complete")]


@pytest.mark.spec("R127")
def test_one_trigger_is_enough_for_join_one() -> None:
    run = play(
        "wf: {tasks: {a: {action: std.fail, on-success: j, on-error: noop}, b: {on-success: j}, j: "
        "{join: one}}}"
    )
    assert (run.state, run.task("j").state) == ("SUCCESS", "SUCCESS")


THREE = """
wf:
  tasks:
    a: {action: job, on-success: j, on-error: noop}
    b: {action: job, on-success: j, on-error: noop}
    c: {action: job, on-success: j, on-error: noop}
    j: {join: 2, on-complete: k}
    k: {}
"""


@pytest.mark.spec("R128")
def test_a_partial_join_fails_when_too_few_triggers_are_left() -> None:
    run = play(THREE, script={"a": fails(), "b": fails(), "c": gives()})
    assert (run.task("j").state, run.task("j").state_info) == ("ERROR", "Failed by tasks: ['a', 'b']")
    assert events_of(run, "j") == []


@pytest.mark.spec("R129")
def test_a_late_trigger_does_not_run_a_partial_join_again() -> None:
    run = play(THREE, script={"c": gives(after=1)})
    assert len(run.actions("j")) == 1
    assert len(run.tasks("k")) == 1
    assert run.state == "SUCCESS"
    assert {name for name, _ in events_of(run, "j")} == {"a", "b", "c"}


@pytest.mark.spec("R130")
def test_a_trigger_while_the_join_runs_is_ignored() -> None:
    run = play(
        "wf: {tasks: {a: {on-success: j}, b: {action: job, on-success: j}, j: {join: one, action: job}}}",
        script={"b": gives(after=1), "j": gives(after=5)},
    )
    assert len(run.actions("j")) == 1
    assert run.state == "SUCCESS"


CONDITIONAL = """
wf:
  tasks:
    s: {on-success: [{a: <% true %>}, {b: <% false %>}]}
    a: {on-success: j}
    b: {on-success: j}
    j: {join: KIND}
"""


@pytest.mark.spec("R131", "R132")
@pytest.mark.parametrize(("kind", "state"), [("all", "ERROR"), ("one", "SUCCESS")])
def test_conditional_branches_meet_at_join_one_only(kind: str, state: str) -> None:
    run = play(CONDITIONAL.replace("KIND", kind))
    assert run.task("j").state == state
    if state == "ERROR":
        assert run.task("j").state_info == "Failed by tasks: ['b']"


@pytest.mark.spec("R133")
def test_a_join_fails_when_the_route_to_an_inbound_task_is_lost() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {action: std.fail, on-success: a1, on-error: noop}
            a1: {on-success: a2}
            a2: {on-success: j}
            b: {on-success: j}
            j: {join: all}
        """
    )
    assert (run.task("j").state, run.task("j").state_info) == ("ERROR", "Failed by tasks: ['a2']")
    assert events_of(run, "j") == []


@pytest.mark.spec("R134")
def test_a_failed_join_fails_the_next_one() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {action: std.fail, on-success: j1}
            b: {on-success: j1}
            c: {on-success: j2}
            j1: {join: all, on-success: j2}
            j2: {join: all}
        """
    )
    assert run.task("j2").state_info == "Failed by tasks: ['j1']"


@pytest.mark.spec("R135")
def test_a_failed_join_may_trigger_the_next_one() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {action: std.fail, on-success: j1, on-error: noop}
            b: {on-success: j1}
            c: {on-success: j2}
            j1: {join: all, on-error: [h, j2]}
            j2: {join: all}
            h: {}
        """
    )
    assert run.states() == {
        "a": "ERROR",
        "b": "SUCCESS",
        "c": "SUCCESS",
        "j1": "ERROR",
        "j2": "SUCCESS",
        "h": "SUCCESS",
    }
    assert run.state == "SUCCESS"


@pytest.mark.spec("R136")
def test_a_cancelled_inbound_task_fails_the_join_and_cancels_the_workflow() -> None:
    run = play(TWO, script={"a": cancels(), "b": gives()})
    assert (run.task("j").state, run.state) == ("ERROR", "CANCELLED")


@pytest.mark.spec("R137")
def test_a_skipped_task_triggers_the_join_and_its_data_arrive() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {action: std.fail, publish-on-skip: {x: skipped}, on-success: j}
            b: {on-success: j}
            j: {join: all, publish: {seen: <% $.x %>}}
        """
    )
    assert run.task("j").state == "ERROR"
    run.skip("a")
    run.world.run()
    assert run.task("j").published == {"seen": "skipped"}
    assert run.state == "SUCCESS"


@pytest.mark.spec("R138")
def test_a_wait_before_delays_a_ready_join() -> None:
    run = begin(
        "wf: {tasks: {a: {action: job, on-success: j}, j: {join: all, wait-before: 1, action: job}}}",
        script={"a": gives(after=5)},
    )
    run.world.advance(5)
    task = run.task("j")
    assert (task.state, task.state_info) == ("DELAYED", "Delayed by 'wait-before' policy [delay=1]")
    run.world.run()
    assert second(run, run.actions("j")[0].created_at) == 6


@pytest.mark.spec("R139")
def test_pause_before_holds_a_ready_join() -> None:
    run = begin("wf: {tasks: {a: {on-success: j}, j: {join: all, pause-before: true}}}")
    assert (run.state, run.task("j").state) == ("PAUSED", "IDLE")
    assert run.task("j").state_info == "Set by 'pause-before' policy"
    run.resume()
    assert (run.state, len(run.actions("j"))) == ("SUCCESS", 1)


@pytest.mark.spec("R140")
def test_the_timeout_of_a_join_counts_from_its_readiness() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, on-success: j}, j: {join: all, timeout: 1, action: ajob}}}",
        script={"a": gives(after=5)},
    )
    assert (run.task("j").state, run.task("j").state_info) == ("ERROR", "Task timed out [timeout(s)=1].")
    assert second(run, run.task("j").finished_at) == 6


@pytest.mark.spec("R141")
def test_concurrency_bounds_the_items_of_a_join() -> None:
    run = begin(
        "wf: {tasks: {a: {on-success: j}, "
        "j: {join: all, with-items: 'i in [1, 2, 3]', concurrency: 1, action: job}}}",
        script={"j": gives(after=1)},
    )
    for expected in (1, 2, 3):
        assert (len(run.actions("j")), len(run.running("j"))) == (expected, 1)
        run.world.advance(1)
    assert run.state == "SUCCESS"


@pytest.mark.spec("R142")
def test_the_action_of_a_join_is_retried() -> None:
    run = begin(
        "wf: {tasks: {a: {on-success: j}, j: {join: all, action: std.fail, retry: {count: 1, delay: 1}}}}"
    )
    task = run.task("j")
    assert (task.state, task.state_info) == ("WAITING", "Delayed by 'retry' policy [delay=1]")
    run.world.run()
    assert (len(run.actions("j")), run.task("j").state) == (2, "ERROR")


@pytest.mark.spec("R143")
def test_a_join_in_a_cycle_runs_again_as_the_same_record() -> None:
    run = play(
        """
        wf:
          vars: {n: 0}
          output: {n: <% $.n %>, r: <% task(j).result %>}
          tasks:
            s: {on-success: [x, y]}
            x: {on-success: j}
            y: {on-success: j}
            j:
              join: all
              action: std.echo output=<% $.n + 1 %>
              publish: {n: <% task().result %>}
              on-success: [{x: <% $.n < 2 %>}]
        """
    )
    assert (len(run.tasks("x")), len(run.tasks("y")), len(run.tasks("j"))) == (2, 1, 1)
    assert len(run.actions("j")) == 2
    assert [each.accepted for each in run.actions("j")] == [False, True]
    assert run.output == {"n": 2, "r": 2}


@pytest.mark.spec("R144")
def test_a_join_behind_a_loop_waits_for_its_end() -> None:
    run = play(
        """
        wf:
          vars: {n: 0}
          tasks:
            s: {on-success: a}
            a: {publish: {n: <% $.n + 1 %>}, on-success: [{a: <% $.n < 3 %>}, {j: <% $.n = 3 %>}]}
            b: {on-success: j}
            j: {join: all, publish: {seen: <% $.n %>}}
        """
    )
    assert (len(run.tasks("a")), run.task("j").published, run.state) == (3, {"seen": 3}, "SUCCESS")


@pytest.mark.spec("R145")
def test_a_join_completed_in_a_pause_runs_once_after_the_resume() -> None:
    run = begin(
        "wf: {tasks: {a: {on-success: j}, b: {action: ajob, on-success: j}, j: {join: all, action: job}}}"
    )
    run.pause()
    run.report("b")
    assert run.task("j").state == "WAITING"
    run.resume()
    run.world.run()
    assert (run.state, len(run.tasks("j")), len(run.actions("j"))) == ("SUCCESS", 1, 1)


@pytest.mark.spec("R146")
def test_a_join_of_a_workflow_that_was_ended_stays_waiting() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {on-success: j}
            b: {action: job, on-success: j}
            c: {on-success: fail}
            j: {join: all}
        """,
        script={"b": gives(after=1)},
    )
    assert (run.state, run.task("b").state, run.task("j").state) == ("ERROR", "SUCCESS", "WAITING")


@pytest.mark.spec("R147")
def test_a_join_as_default_handler_counts_every_task_as_inbound() -> None:
    run = play(
        "wf: {task-defaults: {on-error: h}, tasks: {a: {action: std.fail}, b: {action: std.fail}, h: "
        "{join: all}}}"
    )
    assert (run.state, run.task("h").state) == ("SUCCESS", "SUCCESS")
    assert events_of(run, "h") == [("a", "on-error"), ("b", "on-error")]


@pytest.mark.spec("R326")
@pytest.mark.parametrize(("kind", "state"), [("all", "ERROR"), ("one", "SUCCESS")])
def test_a_default_handler_join_fails_by_tasks_that_succeed(kind: str, state: str) -> None:
    run = play(
        filled(
            "wf: {task-defaults: {on-error: h}, tasks: {a: {action: std.fail}, b: {}, h: {join: @}}}", kind
        )
    )
    assert run.task("h").state == state
    if kind == "all":
        assert run.task("h").state_info == "Failed by tasks: ['b']"


@pytest.mark.spec("R324")
def test_a_cycle_that_was_never_entered_fails_the_join() -> None:
    run = play(
        """
        wf:
          tasks:
            s: {on-success: [x, {a: <% false %>}]}
            x: {on-success: j}
            a: {on-success: b}
            b: {on-success: [{a: <% false %>}, j]}
            j: {join: all}
        """
    )
    assert (run.state, run.task("j").state_info) == ("ERROR", "Failed by tasks: ['b']")


@pytest.mark.spec("R325")
def test_a_join_before_a_fail_stays_waiting() -> None:
    run = play(
        "wf: {tasks: {a: {on-success: [j, fail]}, b: {action: job, on-success: j}, j: {join: all}}}",
        script={"b": gives(after=1)},
    )
    assert (run.state, run.task("b").state, run.task("j").state) == ("ERROR", "SUCCESS", "WAITING")
    assert run.actions("j") == []


@pytest.mark.spec("R331")
def test_a_join_in_the_backlog_of_a_pause_waits_like_any_other() -> None:
    run = begin(
        "wf: {tasks: {a: {on-success: [pause, j]}, b: {action: ajob, on-success: j}, j: {join: all}}}"
    )
    assert run.state == "PAUSED"
    run.resume()
    assert (run.state, run.task("j").state) == ("RUNNING", "WAITING")
    run.report("b")
    assert (run.state, len(run.tasks("j")), len(run.actions("j"))) == ("SUCCESS", 1, 1)


@pytest.mark.spec("R335")
def test_a_join_is_created_by_its_first_trigger_and_started_when_it_runs() -> None:
    run = play(TWO, script={"a": gives(after=1), "b": gives(after=3)})
    assert (second(run, run.task("j").created_at), second(run, run.task("j").started_at)) == (1, 3)


@pytest.mark.spec("R305")
def test_ten_triggers_at_once_run_a_join_once() -> None:
    tasks = "\n".join(f"            t{n}: {{action: job, on-success: j}}" for n in range(10))
    run = play(f"""
        wf:
          tasks:
{tasks}
            j: {{join: all, action: job}}
        """)
    assert (len(run.tasks("j")), len(run.actions("j")), run.state) == (1, 1, "SUCCESS")


def test_a_later_round_counts_triggers_of_the_earlier_one() -> None:
    run = begin(
        "wf: {tasks: {a: {action: ajob, on-success: j}, b: {action: std.fail, on-success: j}, "
        "c: {on-success: j}, j: {join: all}}}"
    )
    assert run.task("j").state == "ERROR"
    run.skip("b")
    assert run.task("j").state == "WAITING"
    run.report("a")
    assert (run.task("j").state, run.state) == ("SUCCESS", "SUCCESS")


def test_a_join_does_not_wait_for_what_an_ending_command_threw_away() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {on-success: [b, fail, c]}
            b: {on-success: j}
            c: {on-success: j}
            x: {action: std.fail, on-success: j}
            j: {join: all}
        """
    )
    run.skip("x")
    run.world.run()
    assert (run.state, run.task("j").state_info) == ("ERROR", "Failed by tasks: ['b', 'c']")


def test_a_trigger_that_an_end_threw_away_does_not_hold_the_join_up() -> None:
    run = begin(
        """
        wf:
          tasks:
            x: {action: std.fail, on-success: j}
            a: {on-success: [pause, j]}
            b: {action: ajob, on-success: j}
            j: {join: all}
        """
    )
    assert run.state == "PAUSED"
    run.stop("ERROR")
    run.skip("x")
    run.world.settle()
    run.report("b")
    assert (run.state, run.task("j").state) == ("SUCCESS", "SUCCESS")


@pytest.mark.parametrize("kind", ["all", "3"])
def test_a_late_trigger_does_not_fail_a_failed_join_again(kind: str) -> None:
    run = play(
        filled(
            """
            wf:
              tasks:
                a: {action: std.fail, on-success: j, on-error: noop}
                b: {on-success: j}
                c: {action: job, on-success: j}
                j: {join: @, on-error: h}
                h: {}
            """,
            kind,
        ),
        script={"c": gives(after=1)},
    )
    assert (run.state, len(run.tasks("h"))) == ("SUCCESS", 1)
    assert run.task("j").state_info == "Failed by tasks: ['a']"


def test_a_late_task_that_names_the_join_twice_does_not_run_it_again() -> None:
    run = play(
        "wf: {tasks: {a: {on-success: j}, b: {action: job, on-success: j, on-complete: j}, "
        "j: {join: one, on-success: k}, k: {}}}",
        script={"b": gives(after=1)},
    )
    assert (run.state, len(run.actions("j")), len(run.tasks("k"))) == ("SUCCESS", 1, 1)
