"""Operations on executions (runtime checklist, section 10)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.lab import begin, events_of, play, second

from tramontane.errors import (
    BadRequestError,
    EvaluationError,
    IllegalStateError,
    NotAllowedError,
    NotFoundError,
)
from tramontane.rehearsal import Run, fails, gives, waits

ONE = "wf: {tasks: {a: {action: ajob, on-success: b, on-error: c}, b: {}, c: {}}}"
FAILING = "wf: {tasks: {a: {action: job, on-success: b}, b: {}}}"


@pytest.mark.spec("R257", "R258")
@pytest.mark.parametrize("is_evaluated", [True, False])
def test_the_environment_is_evaluated_once(is_evaluated: bool) -> None:
    given = {"A": "1", "B": "<% env().A %>", "C": "{{ env().B }}"}
    expected = {"A": "1", "B": "1", "C": "<% env().A %>"} if is_evaluated else given
    params: dict[str, Any] = {} if is_evaluated else {"evaluate_env": False}
    run = play("wf: {output: {e: <% env() %>}, tasks: {a: {}}}", env=given, **params)
    assert run.output == {"e": expected}
    assert run.execution.params["env"] == expected


@pytest.mark.spec("R259")
@pytest.mark.parametrize(
    ("env", "text"),
    [
        ("nosuch", r"^Environment is not found: nosuch$"),
        ([1], r"^Unexpected value type for environment \["),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused(env: Any, text: str) -> None:
    with pytest.raises(BadRequestError, match=text):
        play("wf: {tasks: {a: {}}}", env=env)


@pytest.mark.spec("R259")
def test_a_stored_environment_is_copied() -> None:
    run = play("wf: {tasks: {a: {}}}", env="site", environments={"site": {"k": 1}})
    assert run.execution.params["env"] == {"k": 1}


@pytest.mark.spec("R261")
def test_what_completes_in_a_pause_is_followed_up_at_the_resume() -> None:
    run = begin(ONE)
    run.pause()
    assert (run.state, run.info) == ("PAUSED", None)
    run.report("a")
    assert run.task("a").state == "SUCCESS"
    assert [list(each) for each in run.task("a").next_tasks] == [["b", "on-success"]]
    assert run.names() == ["a"]
    run.resume()
    assert (run.names(), run.state) == (["a", "b"], "SUCCESS")


@pytest.mark.spec("R262", "R263")
def test_a_finished_workflow_ignores_a_resume_and_refuses_a_pause() -> None:
    run = play("wf: {tasks: {a: {}}}")
    run.resume()
    assert run.state == "SUCCESS"
    with pytest.raises(IllegalStateError, match="from SUCCESS to PAUSED"):
        run.pause()


@pytest.mark.spec("R264")
def test_an_error_in_a_pause_is_handled_at_the_resume() -> None:
    run = begin(ONE)
    run.pause()
    run.report("a", error="bad")
    assert run.names() == ["a"]
    run.resume()
    assert (run.names(), run.state) == (["a", "c"], "SUCCESS")


@pytest.mark.spec("R265")
def test_the_environment_of_a_resume_is_merged_and_not_evaluated() -> None:
    run = begin(ONE, env={"x": {"k": 1}})
    run.pause()
    run.resume(env={"x": {"m": 2}, "y": "<% 1 + 1 %>"})
    assert run.execution.params["env"] == {"x": {"k": 1, "m": 2}, "y": "<% 1 + 1 %>"}


@pytest.mark.spec("R266")
def test_a_second_stop_changes_nothing() -> None:
    run = begin(ONE)
    run.stop("SUCCESS", "first")
    run.stop("SUCCESS", "second")
    assert (run.state, run.info) == ("SUCCESS", "first")


@pytest.mark.spec("R267")
def test_an_ended_workflow_cannot_be_stopped_with_success() -> None:
    run = begin(ONE)
    run.stop("ERROR", "m")
    with pytest.raises(IllegalStateError, match="from ERROR to SUCCESS"):
        run.stop("SUCCESS")
    run.stop("CANCELLED")
    assert (run.state, run.info) == ("ERROR", "m")


@pytest.mark.spec("R268")
def test_a_paused_workflow_can_be_failed_and_cancelled() -> None:
    for state in ("ERROR", "CANCELLED"):
        run = begin(ONE)
        run.pause()
        with pytest.raises(IllegalStateError, match="from PAUSED to SUCCESS"):
            run.stop("SUCCESS")
        run.stop(state)
        assert run.state == state


@pytest.mark.spec("R269")
def test_a_cancel_without_a_message_has_no_text() -> None:
    run = begin(ONE)
    run.stop("CANCELLED")
    assert (run.state, run.info, run.output) == ("CANCELLED", None, {"result": None})


@pytest.mark.spec("R270")
def test_a_stop_whose_output_raises_is_refused() -> None:
    run = begin("wf: {output: {r: <% $.nope %>}, tasks: {a: {action: ajob}}}")
    with pytest.raises(EvaluationError):
        run.stop("SUCCESS")
    assert run.state == "RUNNING"


@pytest.mark.spec("R271", "R285")
def test_a_rerun_that_fails_again_fails_the_workflow_again() -> None:
    run = play(FAILING, script={"a": [fails("one"), fails("two", after=1)]})
    old = run.output
    run.rerun("a")
    assert (run.state, run.info, run.output) == ("RUNNING", None, old)
    run.world.run()
    assert (run.state, len(run.actions("a")), run.task("a").state_info) == ("ERROR", 2, "two")
    assert run.output != old


@pytest.mark.spec("R272")
def test_a_rerun_with_a_better_environment_succeeds() -> None:
    run = play("wf: {tasks: {a: {fail-on: <% env().bad %>, on-success: b}, b: {}}}", env={"bad": True})
    assert run.state == "ERROR"
    run.rerun("a", env={"bad": False})
    run.world.run()
    assert (run.state, run.names()) == ("SUCCESS", ["a", "b"])


@pytest.mark.spec("R273")
def test_other_failed_tasks_stay_failed() -> None:
    run = play(
        "wf: {tasks: {a: {action: job}, b: {action: job}}}", script={"a": [fails(), gives()], "b": fails()}
    )
    run.rerun("a")
    run.world.run()
    assert run.state == "ERROR"
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: b"


@pytest.mark.spec("R274")
def test_a_handled_error_in_a_successful_workflow_cannot_be_rerun() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-error: noop}}}")
    with pytest.raises(
        IllegalStateError, match=r"^Can't change workflow execution state from SUCCESS to RUNNING"
    ):
        run.rerun("a")
    assert (run.state, run.task("a").state) == ("SUCCESS", "ERROR")


def failed_beside_running() -> Run:
    run = begin("wf: {tasks: {a: {action: job}, b: {action: ajob}}}", script={"a": [fails(), gives()]})
    assert (run.state, run.task("a").state) == ("RUNNING", "ERROR")
    return run


@pytest.mark.spec("R275")
def test_a_rerun_in_a_paused_workflow_does_nothing() -> None:
    run = failed_beside_running()
    run.pause()
    run.rerun("a")
    assert (run.state, run.task("a").state, len(run.actions("a"))) == ("PAUSED", "ERROR", 1)


@pytest.mark.spec("R276")
def test_a_rerun_in_a_running_workflow_takes_no_environment() -> None:
    run = failed_beside_running()
    with pytest.raises(IllegalStateError) as refused:
        run.rerun("a", env={"k": 1})
    assert refused.value.message == (
        "Updating env to workflow execution is only permitted if it is in IDLE, PAUSED, or ERROR state."
    )
    run.rerun("a")
    run.world.run()
    assert run.task("a").state == "SUCCESS"


@pytest.mark.spec("R277", "R278")
def test_only_failed_tasks_can_be_rerun() -> None:
    run = begin("wf: {tasks: {a: {}, b: {action: ajob}, c: {action: job}}}", script={"c": fails()})
    run.report("b", cancel=True)
    assert run.state == "CANCELLED"
    for task in ("a", "b"):
        with pytest.raises(IllegalStateError):
            run.rerun(task)
    assert run.state == "CANCELLED"


@pytest.mark.spec("R279")
def test_a_rerun_revives_the_join_that_failed_by_it() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, on-success: j}, b: {on-success: j}, j: {join: all}}}",
        script={"a": [fails(), gives()]},
    )
    assert run.task("j").state == "ERROR"
    run.rerun("a")
    run.world.run()
    assert (run.task("j").state, len(run.tasks("j")), run.state) == ("SUCCESS", 1, "SUCCESS")


@pytest.mark.spec("R280")
def test_a_rerun_of_a_join_runs_its_action_again() -> None:
    run = play(
        "wf: {tasks: {a: {on-success: j}, b: {on-success: j}, j: {join: all, action: job}}}",
        script={"j": [fails(), gives(7)]},
    )
    run.rerun("j")
    run.world.run()
    assert (run.state, run.result("j")) == ("SUCCESS", 7)
    assert [each.accepted for each in run.actions("j")] == [False, True]


def test_a_rerun_of_a_join_that_failed_by_its_inbound_tasks_fails_again() -> None:
    run = play(
        "wf: {tasks: {a: {action: std.fail, on-success: j, on-error: noop}, b: {on-success: j}, j: "
        "{join: all}}}"
    )
    run.rerun("j")
    run.world.run()
    assert (run.task("j").state_info, run.state) == ("Failed by tasks: ['a']", "ERROR")


@pytest.mark.spec("R281")
def test_a_rerun_waits_and_retries_anew() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, wait-before: 2, retry: {count: 1, delay: 1}}}}")
    assert (len(run.actions("a")), second(run, run.task("a").finished_at)) == (2, 3)
    run.rerun("a")
    assert run.task("a").state == "DELAYED"
    assert "retry_task_policy" not in run.task("a").runtime_context
    run.world.run()
    assert (len(run.actions("a")), second(run, run.task("a").finished_at)) == (4, 6)


NESTED = """
wf: {tasks: {a: {workflow: sub, on-success: b}, b: {}}}
sub: {tasks: {t: {action: job, on-success: u}, u: {}}}
"""


@pytest.mark.spec("R282")
def test_a_rerun_inside_a_sub_workflow_revives_the_ancestors() -> None:
    run = play(NESTED, script={"t": [fails(), gives(after=1)]})
    sub = run.sub("a")
    assert (run.state, sub.state) == ("ERROR", "ERROR")
    sub.rerun("t")
    assert (run.state, run.task("a").state, sub.state) == ("RUNNING", "RUNNING", "RUNNING")
    run.world.run()
    assert (run.state, sub.state, len(run.calls("a"))) == ("SUCCESS", "SUCCESS", 1)
    assert run.names() == ["a", "b"]
    assert run.result("a") == sub.output


@pytest.mark.spec("R282")
def test_a_rerun_below_a_successful_root_is_refused_as_a_whole() -> None:
    run = play(NESTED.replace("on-success: b}, b", "on-error: b}, b"), script={"t": fails()})
    sub = run.sub("a")
    assert (run.state, sub.state) == ("SUCCESS", "ERROR")
    with pytest.raises(IllegalStateError, match="from SUCCESS to RUNNING"):
        sub.rerun("t")
    assert (run.state, sub.state, sub.task("t").state) == ("SUCCESS", "ERROR", "ERROR")


@pytest.mark.spec("R283")
def test_the_environment_of_a_rerun_inside_a_sub_workflow_is_the_roots() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub}}}
        sub: {tasks: {t: {fail-on: <% env().bad %>}}}
        """,
        env={"bad": True},
    )
    run.sub("a").rerun("t", env={"bad": False})
    run.world.run()
    assert (run.state, run.execution.params["env"]) == ("SUCCESS", {"bad": False})


@pytest.mark.spec("R284")
def test_a_rerun_of_the_calling_task_makes_a_new_sub_execution() -> None:
    run = play(NESTED, script={"t": [fails(), gives()]})
    old = run.sub("a")
    run.rerun("a")
    run.world.run()
    assert (len(run.calls("a")), old.state, run.sub("a").state, run.state) == (
        2,
        "ERROR",
        "SUCCESS",
        "SUCCESS",
    )
    assert run.result("a") == run.sub("a").output


@pytest.mark.spec("R286")
def test_a_rerun_runs_the_success_branch_in_addition() -> None:
    run = play(
        "wf: {tasks: {a: {action: job, on-error: [h, fail], on-success: b}, b: {}, h: {}}}",
        script={"a": [fails(), gives()]},
    )
    assert run.states() == {"a": "ERROR", "h": "SUCCESS"}
    run.rerun("a")
    run.world.run()
    assert run.states() == {"a": "SUCCESS", "h": "SUCCESS", "b": "SUCCESS"}
    assert run.state == "SUCCESS"


@pytest.mark.spec("R287", "R291")
def test_a_skipped_task_goes_on_as_after_a_success() -> None:
    run = play(FAILING, script={"a": fails("bad")})
    run.skip("a")
    run.world.run()
    assert (run.task("a").state, run.task("a").state_info) == ("SKIPPED", "Task was skipped.")
    assert events_of(run, "b") == [("a", "on-success")]
    assert (run.result("a"), run.state) == ("bad", "SUCCESS")


@pytest.mark.spec("R288")
@pytest.mark.parametrize(
    ("clause", "names"),
    [("c", ["a", "c"]), ("[{c: <% false %>}]", ["a", "b"]), ("[{c: <% false %>}, noop]", ["a"])],
)
def test_on_skip_replaces_on_success_if_it_gives_a_command(clause: str, names: list[str]) -> None:
    run = play(
        f"wf: {{tasks: {{a: {{action: std.fail, on-skip: {clause}, on-success: b}}, b: {{}}, c: {{}}}}}}"
    )
    run.skip("a")
    run.world.run()
    assert (run.names(), run.state) == (names, "SUCCESS")


@pytest.mark.spec("R289")
@pytest.mark.parametrize(
    ("publish", "seen"),
    [("publish-on-skip: {x: skip}", {"x": "skip"}), ("description: none", {"x": "error"})],
)
def test_a_skip_publishes_or_keeps_what_the_failure_published(publish: str, seen: dict[str, str]) -> None:
    run = play(
        f"wf: {{tasks: {{a: {{action: std.fail, publish-on-error: {{x: error}}, {publish}, on-success: b}}, "
        "b: {publish: {y: <% $.x %>}}}}"
    )
    run.skip("a")
    run.world.run()
    assert (run.task("a").published, run.task("b").published) == (seen, {"y": seen["x"]})


@pytest.mark.spec("R290")
def test_a_skip_publishes_by_on_complete_but_does_not_run_it() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              action: std.fail
              on-complete: {publish: {branch: {x: 1}}, next: c}
            c: {}
        """
    )
    assert run.names() == ["a", "c"]
    run.skip("a")
    run.world.run()
    assert (run.names(), run.task("a").published) == (["a", "c"], {"x": 1})


@pytest.mark.spec("R292")
def test_skipped_tasks_do_not_fail_the_workflow() -> None:
    run = play("wf: {tasks: {a: {action: std.fail}, b: {action: std.fail}}}")
    run.skip("a")
    run.world.run()
    assert run.state == "ERROR"
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: b"
    run.skip("b")
    run.world.run()
    assert run.state == "SUCCESS"


@pytest.mark.spec("R293")
def test_a_skip_inside_a_sub_workflow_lets_the_parent_go_on() -> None:
    run = play(NESTED, script={"t": fails()})
    run.sub("a").skip("t")
    run.world.run()
    assert (run.sub("a").state, run.task("a").state, run.state) == ("SUCCESS", "SUCCESS", "SUCCESS")
    assert run.names() == ["a", "b"]


@pytest.mark.spec("R294")
def test_a_skip_of_the_calling_task_leaves_the_sub_workflow_failed() -> None:
    run = play(NESTED, script={"t": fails()})
    run.skip("a")
    run.world.run()
    assert (run.sub("a").state, run.state, run.names()) == ("ERROR", "SUCCESS", ["a", "b"])


def test_a_skip_whose_publish_raises_changes_nothing() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, publish-on-skip: {x: <% $.nope %>}}}}")
    with pytest.raises(EvaluationError):
        run.skip("a")
    assert (run.state, run.task("a").state) == ("ERROR", "ERROR")


@pytest.mark.spec("R295")
def test_reports_for_deleted_executions_are_refused() -> None:
    run = begin(ONE)
    action = run.action("a")
    with pytest.raises(NotAllowedError):
        run.delete()
    run.delete(force=True)
    with pytest.raises(NotFoundError):
        run.world.report_action(action.id)


def test_deleting_a_sub_execution_by_force_fails_the_calling_task() -> None:
    run = begin(
        """
        wf: {tasks: {a: {workflow: sub, on-error: b}, b: {}}}
        sub: {tasks: {t: {action: ajob}}}
        """
    )
    sub = run.sub("a")
    with pytest.raises(NotAllowedError):
        sub.delete()
    sub.delete(force=True)
    run.world.run()
    assert (run.task("a").state, run.names(), run.state) == ("ERROR", ["a", "b"], "SUCCESS")


def test_the_environment_of_a_paused_workflow_can_be_changed() -> None:
    run = begin(ONE, env={"x": {"k": 1}})
    run.pause()
    run.change_env({"x": {"m": 2}})
    assert run.execution.params["env"] == {"x": {"k": 1, "m": 2}}


@pytest.mark.spec("R327")
def test_a_skip_may_change_the_environment() -> None:
    run = play(
        "wf: {tasks: {a: {action: std.fail, on-success: b}, b: {publish: {k: <% env().k %>}}}}", env={"k": 0}
    )
    run.skip("a", env={"k": 1})
    run.world.run()
    assert run.task("b").published == {"k": 1}


@pytest.mark.spec("R330")
def test_a_failed_task_of_a_cancelled_workflow_can_be_rerun() -> None:
    run = failed_beside_running()
    run.stop("CANCELLED")
    run.rerun("a")
    assert run.state == "RUNNING"
    run.world.run()
    assert run.task("a").state == "SUCCESS"


@pytest.mark.spec("R334")
def test_pausing_twice_keeps_the_message() -> None:
    run = begin("wf: {tasks: {a: {on-success: [\"pause(msg='hold on')\"]}}}")
    run.pause()
    assert (run.state, run.info) == ("PAUSED", "hold on")
    run.resume()
    assert run.info is None


@pytest.mark.spec("R338")
def test_unknown_params_are_kept_and_shown() -> None:
    run = play("wf: {output: {p: <% execution().params %>}, tasks: {a: {}}}", read_only=True, foo=1)
    assert run.output["p"] == {"read_only": True, "foo": 1, "namespace": "", "env": {}}


@pytest.mark.spec("R321", "R322")
@pytest.mark.parametrize(
    ("clause", "names", "state", "info"),
    [
        ("[b, \"fail(msg='q q')\", c]", ["a", "b"], "ERROR", "q q"),
        ("[b, pause, c]", ["a", "b", "c"], "SUCCESS", None),
    ],
)
def test_commands_of_a_completion_in_a_pause_act_at_the_resume(
    clause: str, names: list[str], state: str, info: str | None
) -> None:
    run = begin(f"wf: {{tasks: {{a: {{action: ajob, on-success: {clause}}}, b: {{}}, c: {{}}}}}}")
    run.pause()
    run.report("a")
    assert run.names() == ["a"]
    run.resume()
    run.world.run()
    assert (run.names(), run.state, run.info) == (names, state, info)
    assert run.task("b").state == "SUCCESS"


@pytest.mark.spec("R340")
@pytest.mark.parametrize(("clause", "value"), [("[tidy, fail]", None), ("fail", 1)])
def test_data_of_a_task_with_followers_are_missing_in_output_on_error(clause: str, value: Any) -> None:
    run = play(
        "wf: {output-on-error: {x: <% $.get(x) %>}, tasks: {a: {action: std.fail, "
        f"publish-on-error: {{x: 1}}, on-error: {clause}}}, tidy: {{}}}}}}"
    )
    assert (run.state, run.output) == ("ERROR", {"result": None, "x": value})


@pytest.mark.spec("R342")
def test_an_on_error_that_only_publishes_handles_nothing() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-error: {publish: {branch: {x: 1}}}}}}")
    assert (run.task("a").published, run.task("a").error_handled, run.state) == ({"x": 1}, False, "ERROR")


@pytest.mark.spec("R337")
def test_on_complete_beats_the_attribute_which_beats_the_clause() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              action: std.fail
              publish-on-error: {x: 1}
              on-error: {publish: {branch: {x: 9, z: 4}}, next: noop}
              on-complete: {publish: {branch: {x: 2, y: 3}}}
        """
    )
    assert run.task("a").published == {"x": 2, "y": 3, "z": 4}


@pytest.mark.spec("R343")
def test_globals_are_seen_by_branches_that_run_already() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {on-success: {publish: {global: {g: 1}}}}
            b: {action: job, publish: {x: <% $.g %>, y: <% global(g) %>}}
        """,
        script={"b": gives(after=1)},
    )
    assert run.task("b").published == {"x": 1, "y": 1}


@pytest.mark.spec("R308")
def test_start_tasks_are_created_in_document_order() -> None:
    run = begin("wf: {tasks: {u3: {action: ajob}, u1: {action: ajob}, u2: {action: ajob}}}")
    assert run.names() == ["u3", "u1", "u2"]
    assert [task.id for task in run.all_tasks()] == sorted(task.id for task in run.all_tasks())


@pytest.mark.spec("R316")
def test_a_cleanup_before_a_fail_runs_in_the_failed_workflow() -> None:
    run = begin(
        "wf: {tasks: {a: {action: std.fail, on-error: [cleanup, fail]}, cleanup: {action: job}}}",
        script={"cleanup": waits()},
    )
    assert (run.state, run.task("cleanup").state, len(run.running("cleanup"))) == ("ERROR", "RUNNING", 1)


def test_a_second_pause_in_the_backlog_pauses_again() -> None:
    run = begin(
        "wf: {tasks: {d: {action: ajob, on-success: e}, a: {on-success: [pause, b, pause msg='again', c]}, "
        "b: {}, c: {}, e: {}}}"
    )
    run.report("d")
    run.resume()
    assert (run.state, run.info, run.names()) == ("PAUSED", "again", ["d", "a", "b"])
    run.resume()
    run.world.run()
    assert (run.state, run.names()) == ("SUCCESS", ["d", "a", "b", "c", "e"])


@pytest.mark.world_only("the options of a stop are asked for by other means over REST")
def test_a_rerun_inside_an_item_repeats_the_items_that_have_no_result() -> None:
    run = begin(
        """
        wf:
          tasks:
            a:
              with-items: "i in [0, 1, 2]"
              concurrency: 1
              workflow: sub
              retry: {count: 1, delay: 9}
        sub: {tasks: {t: {action: job}}}
        """,
        script={"t": [fails(), fails(), fails(), gives()]},
    )
    assert (run.task("a").state, len(run.calls("a"))) == ("DELAYED", 3)
    run.stop("ERROR", recursive=True)
    run.sub("a", 1).rerun("t")
    run.world.run()
    assert [call.index for call in run.calls("a") if call.accepted] == [1, 0, 2]
    assert (run.task("a").state, run.state) == ("SUCCESS", "SUCCESS")
