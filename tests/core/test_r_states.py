"""States, fields and texts of executions (runtime checklist, section 1)."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, events_of, play, second

from tramontane.errors import IllegalStateError
from tramontane.rehearsal import fails, gives, waits

FAILING = "wf: {tasks: {a: {action: job}}}"


@pytest.mark.spec("R1")
def test_a_workflow_of_one_task_succeeds_with_an_empty_output() -> None:
    run = begin("wf: {tasks: {a: {action: ajob}}}")
    assert (run.state, run.info, run.output) == ("RUNNING", None, {})
    run.report("a")
    assert (run.state, run.info, run.output) == ("SUCCESS", None, {})


@pytest.mark.spec("R2")
def test_without_output_everything_published_is_the_output() -> None:
    run = play("wf: {tasks: {a: {publish: {x: 1}}, b: {publish: {z: 3}}}}")
    assert run.output == {"x": 1, "z": 3}


@pytest.mark.spec("R3", "R4", "R7")
def test_an_unhandled_error_fails_the_workflow_and_the_text_names_task_and_action() -> None:
    run = play(FAILING, script={"a": fails("it broke")})
    task, action = run.task("a"), run.action("a")
    assert (task.state, run.state) == ("ERROR", "ERROR")
    assert run.info is not None
    lines = run.info.splitlines()
    assert lines[0] == "Failure caused by error in tasks: a"
    at = lines.index(f"  a [task_ex_id={task.id}] -> it broke")
    assert lines[at + 1] == f"    [action_ex_id={action.id}, idx=0]: it broke"
    assert run.output["result"] == run.info


@pytest.mark.spec("R5")
def test_failed_tasks_are_listed_by_name() -> None:
    run = play("wf: {tasks: {b: {action: job}, a: {action: job}}}", script={"a": fails(), "b": fails()})
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: a, b"


@pytest.mark.spec("R6")
def test_an_on_error_clause_whose_guards_were_false_handles_nothing() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-error: [{noop: <% false %>}]}}}")
    assert run.state == "ERROR"
    assert (run.info or "").splitlines()[0] == "Failure caused by error in tasks: a"
    assert run.task("a").error_handled is False


@pytest.mark.spec("R8")
def test_a_cancelled_action_cancels_task_and_workflow() -> None:
    run = begin("wf: {tasks: {a: {action: ajob}}}")
    run.report("a", cancel=True)
    assert run.task("a").state == "CANCELLED"
    assert (run.state, run.info) == ("CANCELLED", "Cancelled tasks: a")
    assert run.output == {"result": "Cancelled tasks: a"}


@pytest.mark.spec("R9")
def test_a_cancel_wins_over_an_error() -> None:
    run = begin("wf: {tasks: {a: {action: ajob}, b: {action: std.fail}}}")
    run.report("a", cancel=True)
    assert run.states() == {"a": "CANCELLED", "b": "ERROR"}
    assert run.state == "CANCELLED"


@pytest.mark.spec("R10")
def test_other_branches_run_to_their_end_before_the_workflow_fails() -> None:
    run = begin(
        "wf: {tasks: {a: {action: std.fail}, b: {action: job, on-success: c}, c: {action: job}}}",
        script={"b": gives(after=1), "c": gives(after=1)},
    )
    assert (run.task("a").state, run.state) == ("ERROR", "RUNNING")
    run.world.advance(1)
    assert (run.task("c").state, run.state) == ("RUNNING", "RUNNING")
    run.world.run()
    assert (run.task("c").state, run.state) == ("SUCCESS", "ERROR")


@pytest.mark.spec("R11")
def test_an_error_with_a_follower_is_handled() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-error: b}, b: {}}}")
    assert run.task("a").error_handled is True
    assert run.state == "SUCCESS"


@pytest.mark.spec("R12")
def test_on_complete_runs_after_an_error_but_does_not_handle_it() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-complete: d}, d: {}}}")
    assert run.task("d").state == "SUCCESS"
    assert run.task("a").error_handled is False
    assert run.state == "ERROR"


@pytest.mark.spec("R13")
def test_next_tasks_hold_names_and_events_in_clause_order() -> None:
    run = play("wf: {tasks: {a: {action: std.fail, on-complete: d, on-error: b}, b: {}, d: {}}}")
    assert [list(each) for each in run.task("a").next_tasks] == [["b", "on-error"], ["d", "on-complete"]]


@pytest.mark.spec("R14", "R15")
@pytest.mark.parametrize(
    ("clause", "expected"), [("[noop, b]", [["b", "on-success"]]), ("fail", [])], ids=["noop", "fail"]
)
def test_engine_commands_are_no_next_tasks(clause: str, expected: list[list[str]]) -> None:
    run = play(f"wf: {{tasks: {{a: {{on-success: {clause}}}, b: {{}}}}}}")
    assert [list(each) for each in run.task("a").next_tasks] == expected


@pytest.mark.spec("R16")
def test_processed_waits_for_the_resume_of_a_paused_workflow() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-success: b}, b: {action: ajob}}}")
    run.pause()
    run.report("a")
    assert (run.task("a").state, run.task("a").processed) == ("SUCCESS", False)
    run.resume()
    assert run.task("a").processed is True
    run.report("b")
    assert run.task("b").processed is True


@pytest.mark.spec("R17")
def test_a_raising_guard_leaves_the_task_unprocessed() -> None:
    run = play("wf: {tasks: {a: {on-success: [{b: <% $.nope %>}]}, b: {}}}")
    task = run.task("a")
    assert (task.state, task.next_tasks, task.processed) == ("ERROR", None, False)


@pytest.mark.spec("R18")
def test_the_type_of_a_task_tells_whether_it_calls_a_workflow() -> None:
    run = play(
        """
        wf: {tasks: {a: {workflow: sub}, b: {action: std.noop}, c: {}}}
        sub: {tasks: {t: {}}}
        """
    )
    assert {task.name: task.type for task in run.all_tasks()} == {
        "a": "WORKFLOW",
        "b": "ACTION",
        "c": "ACTION",
    }


@pytest.mark.spec("R19")
def test_triggered_by_names_the_task_and_the_event() -> None:
    run = play("wf: {tasks: {a: {on-success: b}, b: {}}}")
    assert run.task("b").runtime_context["triggered_by"] == [
        {"task_id": run.task("a").id, "event": "on-success"}
    ]
    assert "triggered_by" not in run.task("a").runtime_context


@pytest.mark.spec("R20")
def test_a_map_as_error_is_the_result_and_its_text_the_state_info() -> None:
    run = play(
        "wf: {output-on-error: {r: <% task(a).result %>}, tasks: {a: {action: job}}}",
        script={"a": fails({"a": 1})},
    )
    assert run.task("a").state_info == '{"a": 1}'
    assert run.output["r"] == {"a": 1}


@pytest.mark.spec("R21")
def test_an_empty_error_text_leaves_state_info_null() -> None:
    run = play(FAILING, script={"a": fails("")})
    assert (run.task("a").state, run.task("a").state_info) == ("ERROR", None)


@pytest.mark.spec("R22", "R23")
def test_started_at_moves_on_a_rerun_only_and_finished_at_is_cleared() -> None:
    run = begin(
        "wf: {tasks: {a: {action: job, retry: {count: 1, delay: 5}}}}",
        script={"a": [fails(), fails(), waits()]},
    )
    assert second(run, run.task("a").started_at) == 0
    assert run.task("a").finished_at is None
    run.world.run()
    assert second(run, run.task("a").started_at) == 0
    assert second(run, run.task("a").finished_at) == 5
    run.world.advance(10)
    run.rerun("a")
    assert second(run, run.task("a").started_at) == 15
    assert run.task("a").finished_at is None


@pytest.mark.spec("R24")
def test_a_delayed_task_says_which_policy_delays_it() -> None:
    run = begin("wf: {tasks: {a: {wait-before: 2}}}")
    task = run.task("a")
    assert (task.state, task.state_info) == ("DELAYED", "Delayed by 'wait-before' policy [delay=2]")


@pytest.mark.spec("R25")
def test_only_actions_of_the_last_iteration_are_accepted() -> None:
    run = begin(
        "wf: {tasks: {a: {action: job, retry: {count: 1, delay: 0}}}}",
        script={"a": [fails(after=1), gives(7, after=1)]},
    )
    assert [each.accepted for each in run.actions("a")] == [False]
    run.world.run()
    assert [(each.state, each.accepted) for each in run.actions("a")] == [("ERROR", False), ("SUCCESS", True)]


@pytest.mark.spec("R26")
def test_pausing_a_finished_workflow_is_refused() -> None:
    run = play("wf: {tasks: {a: {}}}")
    with pytest.raises(IllegalStateError) as refused:
        run.pause()
    assert refused.value.message == (
        f"Can't change workflow execution state from SUCCESS to PAUSED. [workflow=wf, execution_id={run.id}]"
    )


@pytest.mark.spec("R27")
def test_a_completed_action_cannot_run_again() -> None:
    run = play("wf: {tasks: {a: {}}}")
    with pytest.raises(IllegalStateError, match=r"^Invalid state transition from SUCCESS to RUNNING\.$"):
        run.resume_action("a")


@pytest.mark.spec("R28")
def test_the_text_of_a_structural_error_has_no_trace() -> None:
    run = play("wf: {tasks: {a: {action: std.echo, input: {output: <% $.nope %>}}}}")
    text = run.task("a").state_info
    assert text is not None and text == run.info
    assert text.startswith("Failed to run task [error=") and text.endswith(", wf=wf, task=a]:")
    assert "Traceback" not in text and "\n" not in text


def test_triggers_are_listed_for_tests_by_name() -> None:
    run = play("wf: {tasks: {a: {on-complete: b}, b: {}}}")
    assert events_of(run, "b") == [("a", "on-complete")]
