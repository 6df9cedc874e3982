"""The worked examples of the runtime specification, section 13."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, play

from tramontane.rehearsal import gives

pytestmark = pytest.mark.spec("R339")


def test_clean_up_then_fail() -> None:
    run = play(
        """
        wf:
          input: [host: h1]
          output-on-error: {why: <% $.get(why) %>, host: <% $.host %>}
          tasks:
            probe:
              action: std.fail error_data={{ {"code":7} }}
              publish-on-error: {why: <% task().result.code %>}
              on-error:
                - tidy
                - fail(msg='gave up on <% $.host %> with <% $.why %>')
            tidy: {action: std.noop}
        """
    )
    assert (run.state, run.info) == ("ERROR", "gave up on h1 with 7")
    assert run.output == {"result": "gave up on h1 with 7", "why": None, "host": "h1"}
    assert (run.task("tidy").state, run.task("probe").error_handled) == ("SUCCESS", True)
    assert run.task("probe").published == {"why": 7}


def test_who_wins_at_a_join() -> None:
    run = play(
        """
        wf:
          output: {n: <% $.n %>, cfg: <% $.cfg %>, who: <% $.who %>}
          tasks:
            init: {publish: {n: 0, cfg: {base: 1}}, on-success: [left, right]}
            left: {publish: {n: 1}, on-success: left2}
            left2: {publish: {n: 2, cfg: {l: 1}}, on-success: meet}
            right:
              action: std.echo output=1 delay=1
              publish: {n: 50, cfg: {r: 1}, who: right}
              on-success: meet
            meet: {join: all}
        """
    )
    assert run.output == {"n": 2, "cfg": {"l": 1, "r": 1}, "who": "right"}


def test_polling_with_retry() -> None:
    run = begin(
        """
        wf:
          tasks:
            poll:
              action: job
              publish: {last: <% task().result %>}
              retry: {count: 2, delay: 1, continue-on: <% $.last = pending %>}
              on-success: next
            next: {publish: {seen: <% $.last %>}}
        """,
        script={"poll": gives("pending", after=1)},
    )
    seen = [run.task("poll").state]
    while run.world.step():
        task = run.task("poll")
        number = task.runtime_context.get("retry_task_policy", {}).get("retry_no")
        shown = f"{task.state}{number}" if task.state == "DELAYED" else task.state
        if shown != seen[-1]:
            seen.append(shown)
    assert seen == ["RUNNING", "DELAYED1", "RUNNING", "DELAYED2", "RUNNING", "SUCCESS"]
    assert [each.accepted for each in run.actions("poll")] == [False, False, True]
    assert (len(run.tasks("next")), run.state) == (1, "SUCCESS")
    assert run.task("next").published == {"seen": "pending"}


def test_a_sub_workflow_with_an_error_output_and_the_roots_environment() -> None:
    run = play(
        """
        wf:
          output: {code: <% $.code %>}
          tasks:
            call:
              workflow: child
              input: {x: 4, color: red}
              publish-on-error: {code: <% task().result.code %>}
              on-error: noop
        child:
          input: [x]
          output-on-error: {code: <% $.x * 10 + env().add %>}
          tasks:
            t: {on-success: "fail(msg='child gave up')"}
        """,
        env={"add": 2},
    )
    child = run.sub("call").execution
    assert (run.state, run.output) == ("SUCCESS", {"code": 42})
    assert (run.task("call").state, run.task("call").state_info) == ("ERROR", "child gave up")
    assert run.result("call") == {"result": "child gave up", "code": 42}
    assert (child.input, child.params["color"], child.params["env"]) == ({"x": 4}, "red", {})


def test_a_reverse_workflow() -> None:
    run = play(
        """
        wf:
          type: reverse
          output: {v: <% $.v %>}
          tasks:
            fetch: {publish: {v: 1}}
            build: {requires: [fetch], publish: {v: <% $.v + 1 %>}}
            docs: {requires: [fetch]}
            ship: {requires: [build, docs], publish: {shipped: <% $.v %>}}
            extra: {requires: [ship]}
        """,
        task_name="ship",
    )
    assert (run.names(), run.output) == (["fetch", "build", "docs", "ship"], {"v": 2})
    assert run.task("ship").published == {"shipped": 2}


def test_a_counting_loop() -> None:
    run = play(
        """
        wf:
          vars: {i: 0}
          output: {sum: <% $.sum %>, i: <% $.i %>}
          tasks:
            first: {publish: {sum: 0}, on-success: step}
            step:
              publish: {i: <% $.i + 1 %>, sum: <% $.sum + $.i %>}
              on-success:
                - step: <% $.i < 4 %>
        """
    )
    assert [(task.published["i"], task.published["sum"]) for task in run.tasks("step")] == [
        (1, 0),
        (2, 1),
        (3, 3),
        (4, 6),
    ]
    assert run.output == {"sum": 6, "i": 4}
