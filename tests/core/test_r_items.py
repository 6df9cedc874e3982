"""with-items (runtime checklist, section 5)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.lab import begin, filled, play

from tramontane.rehearsal import Run, cancels, fails, gives

OVER = (
    "wf: {tasks: {a: {with-items: @, action: std.echo output=<% $.i %>, publish: {r: <% task().result %>}}}}"
)


def shown(run: Run) -> Any:
    return run.task("a").runtime_context["with_items"]


@pytest.mark.spec("R148")
def test_the_result_is_the_list_of_all_results() -> None:
    run = play(filled(OVER, "'i in [1, 2, 3]'"))
    assert run.result("a") == [1, 2, 3]
    assert shown(run) == {"capacity": None, "count": 3}


@pytest.mark.spec("R149")
def test_one_item_gives_a_list_of_one() -> None:
    assert play(filled(OVER, "'i in [7]'")).result("a") == [7]


@pytest.mark.spec("R150")
def test_several_variables_walk_together() -> None:
    run = play(
        """
        wf:
          input: [l: [a, b]]
          tasks:
            a:
              with-items: ['i in [1, 2]', 'j in <% $.l %>']
              action: std.echo output=<% [$.i, $.j] %>
        """
    )
    assert run.result("a") == [[1, "a"], [2, "b"]]


@pytest.mark.spec("R151")
def test_lists_of_different_length_are_a_structural_error() -> None:
    run = play(
        "wf: {tasks: {a: {with-items: ['i in [1, 2]', 'j in [1]'], action: std.noop, on-error: noop}}}"
    )
    assert run.state == "ERROR"
    assert "All arrays must have the same length." in (run.info or "")


@pytest.mark.spec("R152")
@pytest.mark.parametrize("concurrency", ["", "concurrency: 2, "])
def test_an_empty_list_succeeds_at_once(concurrency: str) -> None:
    run = play(
        filled(
            "wf: {tasks: {a: {with-items: 'i in []', @ action: std.echo output=1, "
            "publish: {r: <% task().result %>}, on-success: b}, b: {}}}",
            concurrency,
        )
    )
    assert (run.result("a"), run.actions("a"), run.task("a").published) == ([], [], {"r": []})
    assert run.names() == ["a", "b"]
    assert shown(run)["count"] == 0


@pytest.mark.spec("R153", "R154")
@pytest.mark.parametrize(
    ("value", "result"),
    [("<% abc %>", ["a", "b", "c"]), ("<% {k => 1, l => 2} %>", ["k", "l"]), ("<% range(3) %>", [0, 1, 2])],
)
def test_texts_maps_and_sequences_can_be_walked(value: str, result: list[Any]) -> None:
    assert play(filled(OVER, f"'i in {value}'")).result("a") == result


@pytest.mark.spec("R153")
@pytest.mark.parametrize("value", ["5", "null", "true"])
def test_other_values_cannot_be_walked(value: str) -> None:
    run = play(filled(OVER, f"'i in <% {value} %>'"))
    assert run.state == "ERROR"
    assert "Iterable type is expected for each value." in (run.info or "")


@pytest.mark.spec("R155", "R156")
def test_item_variables_hide_all_others() -> None:
    run = play(
        """
        wf:
          input: [i: 99]
          tasks:
            s: {publish: {i: 77}, on-success: a}
            a: {with-items: 'i in [1, 2]', action: std.echo output=<% $.i %>}
        """
    )
    assert run.result("a") == [1, 2]


@pytest.mark.spec("R157")
def test_item_maps_are_not_merged_with_published_ones() -> None:
    run = play(
        """
        wf:
          tasks:
            s: {publish: {i: {k: 1}}, on-success: a}
            a: {with-items: 'i in <% [{l => 2}] %>', action: std.echo output=<% $.i %>}
        """
    )
    assert run.result("a") == [{"l": 2}]


@pytest.mark.spec("R158")
def test_item_variables_are_not_seen_by_publish() -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in [1, 2]', action: std.noop, "
        "publish: {x: '<% $.get(i, none) %>'}}}}"
    )
    assert run.task("a").published == {"x": "none"}


@pytest.mark.spec("R159", "R160")
def test_results_are_in_item_order_whatever_ends_first() -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in [2, 0, 1]', action: std.echo output=<% $.i %> delay=<% $.i %>}}}"
    )
    assert run.result("a") == [2, 0, 1]


ITEMS = "wf: {tasks: {a: {with-items: 'i in [0, 1, 2]', action: job, @ on-error: b}, b: {}}}"


@pytest.mark.spec("R161", "R165")
@pytest.mark.parametrize("concurrency", ["", "concurrency: 1,"])
def test_a_failed_item_does_not_stop_the_others(concurrency: str) -> None:
    run = play(
        filled(ITEMS, concurrency), script={"a": lambda job: gives(job.action.index), "a[1]": fails("bad")}
    )
    task = run.task("a")
    assert (task.state, task.state_info) == ("ERROR", "One or more actions had failed.")
    assert run.result("a") == [0, "bad", 2]
    assert run.task("b").state == "SUCCESS"


@pytest.mark.spec("R162")
def test_a_cancelled_item_cancels_the_task_at_once() -> None:
    run = begin("wf: {tasks: {a: {with-items: 'i in [0, 1]', action: ajob}}}")
    run.report("a", cancel=True, index=1)
    task = run.task("a")
    assert (task.state, task.state_info) == ("CANCELLED", "One or more actions was cancelled.")
    assert run.state == "CANCELLED"
    assert run.action("a", 0).state == "RUNNING"


@pytest.mark.spec("R163")
def test_concurrency_bounds_how_many_items_run() -> None:
    run = begin(
        "wf: {tasks: {a: {with-items: 'i in range(5)', concurrency: 2, action: ajob}}}".replace(
            "range(5)", "<% range(5) %>"
        )
    )
    assert [action.index for action in run.running("a")] == [0, 1]
    assert shown(run) == {"capacity": 0, "count": 5}
    run.report("a", index=1)
    assert [action.index for action in run.running("a")] == [0, 2]
    run.report("a", index=0)
    run.report("a", index=2)
    assert [action.index for action in run.running("a")] == [3, 4]
    run.report("a", index=4)
    assert [action.index for action in run.running("a")] == [3]
    run.report("a", index=3)
    assert run.state == "SUCCESS"


@pytest.mark.spec("R164")
@pytest.mark.parametrize(("value", "is_wrong"), [("2", True), (-1, True), (0, False)])
def test_concurrency_must_be_a_whole_number(value: Any, is_wrong: bool) -> None:
    run = begin(
        "wf: {input: [c], tasks: {a: {with-items: 'i in [1, 2, 3]', concurrency: <% $.c %>, action: ajob}}}",
        {"c": value},
    )
    if is_wrong:
        assert run.state == "ERROR"
        assert "Invalid data type in ConcurrencyPolicy" in (run.info or "")
    else:
        assert len(run.running("a")) == 3


@pytest.mark.spec("R166")
@pytest.mark.not_at("reloaded", why="a tiny budget makes portions of one item")
def test_an_input_that_raises_for_one_item_starts_none() -> None:
    run = play("wf: {tasks: {a: {with-items: 'i in [1, 0]', action: std.echo output=<% 1 / $.i %>}}}")
    assert (run.state, run.actions("a")) == ("ERROR", [])
    assert (run.info or "").startswith("Failed to run task [")


@pytest.mark.spec("R167")
def test_a_sub_workflow_item_without_its_input_is_an_ordinary_error() -> None:
    run = play(
        """
        wf: {tasks: {a: {with-items: 'i in [1, 2]', workflow: sub, on-error: b}, b: {}}}
        sub: {input: [p], tasks: {t: {}}}
        """
    )
    assert run.task("a").state == "ERROR"
    assert run.task("b").state == "SUCCESS"


@pytest.mark.spec("R168")
def test_results_of_failed_sub_workflows_stand_in_their_places() -> None:
    run = play(
        """
        wf: {tasks: {a: {with-items: 'i in [1, 2]', workflow: sub p=<% $.i %>}}}
        sub:
          input: [p]
          output: {r: <% $.p %>}
          tasks: {t: {on-success: [{fail: <% $.p = 2 %>}]}}
        """
    )
    assert run.result("a") == [{"r": 1}, {"result": None}]


@pytest.mark.spec("R169")
def test_fields_of_all_results_can_be_read_at_once() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              with-items: 'i in [1, 2]'
              action: std.echo
              input: {output: {r: <% $.i %>}}
              publish: {x: <% task().result.r %>}
        """
    )
    assert run.task("a").published == {"x": [1, 2]}


@pytest.mark.spec("R170", "R171")
@pytest.mark.parametrize("concurrency", ["", "concurrency: 1, "])
def test_a_retry_repeats_all_items(concurrency: str) -> None:
    run = begin(
        filled(
            "wf: {tasks: {a: {with-items: 'i in [0, 1]', @ action: job, retry: {count: 1, delay: 1}}}}",
            concurrency,
        ),
        script={"a[0]": [fails(after=1), gives(0, after=1)], "a[1]": gives(1, after=1)},
    )
    most = 0
    while run.world.step():
        most = max(most, len(run.running("a")))
    assert most == (1 if concurrency else 2)
    assert [each.accepted for each in run.actions("a")] == [False, False, True, True]
    assert (run.state, run.result("a")) == ("SUCCESS", [0, 1])


@pytest.mark.spec("R172", "R173", "R328")
@pytest.mark.parametrize(
    ("failing", "reset", "repeated"), [(1, True, [0, 1, 2]), (1, False, [1]), (2, False, [2])]
)
def test_a_rerun_repeats_all_items_or_those_that_failed(
    failing: int, reset: bool, repeated: list[int]
) -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in [0, 1, 2]', action: job}}}",
        script={
            "a": lambda job: (
                fails("bad")
                if job.action.index == failing and job.number == 0
                else gives(job.action.index * 10 + job.number)
            )
        },
    )
    assert run.state == "ERROR"
    run.rerun("a", reset=reset)
    run.world.run()
    assert [each.index for each in run.actions("a")[3:]] == repeated
    assert run.result("a") == [index * 10 + (index in repeated) for index in range(3)]
    assert (run.state, run.task("a").state) == ("SUCCESS", "SUCCESS")


@pytest.mark.spec("R174")
def test_fail_on_judges_the_whole_list() -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in [1, 3]', action: std.echo output=<% $.i %>, "
        "fail-on: <% 3 in task().result %>}}}"
    )
    assert (run.task("a").state, run.task("a").state_info) == ("ERROR", "Failed by 'fail-on' policy")
    assert run.result("a") == [1, 3]


@pytest.mark.spec("R175")
def test_a_timeout_fails_the_task_and_leaves_its_items_running() -> None:
    run = play("wf: {tasks: {a: {with-items: 'i in [1, 2]', action: ajob, timeout: 1}}}")
    assert run.task("a").state == "ERROR"
    assert [each.state for each in run.actions("a")] == ["RUNNING", "RUNNING"]


@pytest.mark.spec("R176", "R315")
@pytest.mark.parametrize("state", ["CANCELLED", "ERROR"])
def test_no_further_item_starts_in_a_final_workflow(state: str) -> None:
    run = begin("wf: {tasks: {a: {with-items: 'i in [1, 2, 3]', concurrency: 1, action: ajob}}}")
    run.stop(state)
    run.report("a", index=0)
    run.world.run()
    assert len(run.actions("a")) == 1


@pytest.mark.spec("R336")
def test_an_unknown_action_is_an_ordinary_error() -> None:
    run = play("wf: {tasks: {a: {with-items: 'i in [1, 2]', action: no.such, on-error: b}, b: {}}}")
    assert (run.task("a").state_info or "").startswith("Failed to find action [")
    assert run.task("b").state == "SUCCESS"


@pytest.mark.spec("R307")
def test_fifty_items_with_five_slots_keep_their_order() -> None:
    run = begin(
        "wf: {tasks: {a: {with-items: 'i in <% range(50) %>', concurrency: 5, action: job}}}",
        script={"a": lambda job: gives(job.action.index, after=1)},
    )
    while run.world.step():
        assert len(run.running("a")) <= 5
    assert run.result("a") == list(range(50))


@pytest.mark.spec("R311")
def test_no_further_item_starts_in_a_pause() -> None:
    run = begin("wf: {tasks: {a: {with-items: 'i in [1, 2]', concurrency: 1, action: ajob}}}")
    run.pause()
    run.report("a", index=0)
    run.world.run()
    assert len(run.actions("a")) == 1
    run.resume()
    assert len(run.actions("a")) == 2
    run.report("a", index=1)
    assert run.state == "SUCCESS"


@pytest.mark.spec("R318")
def test_a_rerun_with_reset_survives_a_wait() -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in [0, 1, 2]', action: job, wait-before: 1}}}",
        script={"a[1]": [fails(), gives()]},
    )
    run.rerun("a", reset=True)
    run.world.run()
    assert (len(run.actions("a")), run.state) == (6, "SUCCESS")


@pytest.mark.spec("R319")
def test_a_paused_item_pauses_task_and_workflow_until_it_goes_on() -> None:
    run = begin("wf: {tasks: {a: {with-items: 'i in [0, 1]', action: ajob}}}")
    run.pause_action("a", 0)
    assert (run.task("a").state, run.state) == ("PAUSED", "PAUSED")
    run.report("a", 1, index=1)
    assert (run.task("a").state, run.state) == ("PAUSED", "PAUSED")
    run.resume_action("a", 0)
    assert (run.task("a").state, run.state) == ("RUNNING", "RUNNING")
    run.report("a", 0, index=0)
    assert (run.state, run.result("a")) == ("SUCCESS", [0, 1])


@pytest.mark.spec("R162")
def test_a_cancelled_item_by_its_action_cancels_too() -> None:
    run = play("wf: {tasks: {a: {with-items: 'i in [0, 1]', action: job}}}", script={"a[0]": cancels()})
    assert (run.task("a").state, run.state) == ("CANCELLED", "CANCELLED")


def test_a_paused_item_that_ends_lets_the_task_go_on() -> None:
    run = begin("wf: {tasks: {a: {with-items: 'i in [0, 1]', concurrency: 1, action: ajob}}}")
    run.pause_action("a", 0)
    run.report("a", 0, index=0)
    assert (run.task("a").state, run.state) == ("RUNNING", "PAUSED")
    run.resume()
    run.report("a", 1, index=1)
    assert (run.state, run.result("a")) == ("SUCCESS", [0, 1])


def test_a_paused_item_that_ends_in_a_running_workflow_lets_the_next_one_start() -> None:
    run = begin("wf: {tasks: {a: {with-items: 'i in [0, 1]', concurrency: 1, action: ajob}}}")
    run.pause_action("a", 0)
    run.resume()
    assert (run.task("a").state, run.state) == ("PAUSED", "RUNNING")
    run.resume_action("a", 0)
    run.report("a", 0, index=0)
    run.report("a", 1, index=1)
    assert (run.state, run.result("a")) == ("SUCCESS", [0, 1])


def test_a_rerun_without_reset_that_has_nothing_to_repeat_judges_again() -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in [1, 2]', action: job, fail-on: <% env().bad %>}}}",
        env={"bad": True},
    )
    assert run.task("a").state_info == "Failed by 'fail-on' policy"
    run.rerun("a", reset=False, env={"bad": False})
    run.world.run()
    assert (run.state, len(run.actions("a"))) == ("SUCCESS", 2)


@pytest.mark.parametrize(("count", "result"), [(1, ["new"]), (4, [0, "new", "new", "new"])])
def test_a_rerun_without_reset_takes_the_items_as_they_are_now(count: int, result: list[Any]) -> None:
    run = play(
        "wf: {tasks: {a: {with-items: 'i in <% range(env().n) %>', action: job}}}",
        script={"a": lambda job: fails() if job.number == 0 and job.action.index in (1, 2) else gives("new")}
        | {"a[0]": [fails() if count == 1 else gives(0), gives("new")]},
        env={"n": 3},
    )
    run.rerun("a", reset=False, env={"n": count})
    run.world.run()
    assert (run.state, run.result("a")) == ("SUCCESS", result)
