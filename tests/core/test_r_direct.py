"""Direct workflows: routes, engine commands, defaults, structural errors (runtime checklist, section 2)."""

from __future__ import annotations

import pytest
from tests.core.lab import begin, events_of, play

from tramontane.rehearsal import Run, fails, gives


def next_tasks(run: Run, task: str) -> list[list[str]]:
    return [list(each) for each in run.task(task).next_tasks]


@pytest.mark.spec("R29")
def test_only_tasks_that_nobody_names_start() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-success: b}, b: {}}}")
    assert run.names() == ["a"]


@pytest.mark.spec("R30")
def test_a_guarded_route_makes_no_start_task() -> None:
    run = play("wf: {tasks: {a: {on-success: [{b: <% false %>}]}, b: {}}}")
    assert run.names() == ["a"]
    assert run.state == "SUCCESS"


@pytest.mark.spec("R31")
def test_on_success_and_on_complete_both_run() -> None:
    run = play("wf: {tasks: {a: {on-success: b, on-complete: d}, b: {}, d: {}}}")
    assert run.names() == ["a", "b", "d"]


@pytest.mark.spec("R32")
def test_nothing_follows_a_cancelled_task() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, on-complete: c, on-error: c}, c: {}}}")
    run.report("a", cancel=True)
    assert run.names() == ["a"]


@pytest.mark.spec("R33")
@pytest.mark.parametrize(
    ("guard", "followed"),
    [
        ("<% 5 %>", True),
        ('<% "no" %>', True),
        ("{{ 'False' }}", True),
        ('<% "" %>', False),
        ("<% null %>", False),
        ("<% [] %>", False),
        ("<% 0 %>", False),
        ("<% {} %>", False),
        ("{{ 0 }}", False),
    ],
)
def test_a_guard_counts_by_its_truth(guard: str, followed: bool) -> None:
    run = play(
        f"wf: {{tasks: {{a: {{on-success: [{{b: '{guard.replace(chr(39), chr(39) * 2)}'}}]}}, b: {{}}}}}}"
    )
    assert ("b" in run.names()) is followed
    assert run.state == "SUCCESS"


@pytest.mark.spec("R34")
def test_a_guard_sees_what_was_just_published_and_the_final_state() -> None:
    run = play(
        """
        wf:
          tasks:
            a:
              action: std.echo output=3
              publish: {x: <% task().result %>}
              on-success:
                - b: <% $.x = 3 and task().result = 3 and task(a).state = SUCCESS %>
            b: {}
        """
    )
    assert run.names() == ["a", "b"]


@pytest.mark.spec("R35")
def test_every_mention_of_a_task_starts_it() -> None:
    run = play("wf: {tasks: {a: {on-success: [b, {b: <% true %>}], on-complete: b}, b: {}}}")
    assert run.names() == ["a", "b", "b", "b"]


@pytest.mark.spec("R36")
def test_a_task_without_join_runs_once_per_arrival_with_the_data_of_its_trigger() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {publish: {x: 1}, on-success: j}
            b: {publish: {x: 2}, on-success: j}
            j: {publish: {y: <% $.x %>}}
        """
    )
    assert sorted(task.published["y"] for task in run.tasks("j")) == [1, 2]


@pytest.mark.spec("R37", "R38")
def test_a_raising_guard_fails_task_and_workflow_at_once() -> None:
    run = play("wf: {tasks: {a: {on-success: [{b: <% $.nope %>}], on-error: h}, b: {}, h: {}}}")
    assert run.names() == ["a"]
    assert run.states() == {"a": "ERROR"}
    assert run.state == "ERROR"
    assert run.info == run.task("a").state_info
    assert (run.info or "").startswith("Failed to handle action completion [")


@pytest.mark.spec("R39")
def test_a_raising_publish_is_no_error_that_can_be_handled() -> None:
    run = play("wf: {tasks: {a: {publish: {x: <% $.nope %>}, on-error: b}, b: {}}}")
    assert (run.names(), run.state) == (["a"], "ERROR")
    assert (run.info or "").startswith("Failed to handle action completion [")


@pytest.mark.spec("R40")
def test_a_raising_input_is_no_error_that_can_be_handled() -> None:
    run = play("wf: {tasks: {a: {action: std.echo output=<% $.nope %>, on-error: b}, b: {}}}")
    assert (run.names(), run.state, run.task("a").state) == (["a"], "ERROR", "ERROR")
    assert (run.info or "").startswith("Failed to run task [")


@pytest.mark.spec("R41", "R42", "R43", "R44")
@pytest.mark.parametrize(
    ("command", "info"),
    [
        ("fail(msg='x y')", "x y"),
        ('fail msg="boom <% $.q %>"', "boom 9"),
        ("fail", None),
        ("fail msg=5", "5"),
        ("fail(msg=<% {a => 1} %>)", '{"a": 1}'),
    ],
)
def test_fail_ends_the_workflow_with_its_message(command: str, info: str | None) -> None:
    run = play(
        f"""
        wf:
          input: [q: 9]
          tasks:
            a:
              on-success:
                - {command!r}
        """
    )
    assert (run.state, run.info, run.output) == ("ERROR", info, {"result": info})
    assert run.task("a").state == "SUCCESS"


@pytest.mark.spec("R45")
def test_a_message_that_cannot_be_evaluated_is_a_structural_error() -> None:
    run = play("wf: {tasks: {a: {on-success: ['fail(msg=<% $.nope %>)']}}}")
    assert (run.state, run.task("a").state) == ("ERROR", "ERROR")
    assert (run.info or "").startswith("Failed to handle action completion [")


@pytest.mark.spec("R46")
def test_tasks_before_a_fail_run_and_those_behind_it_never_exist() -> None:
    run = begin(
        "wf: {tasks: {a: {on-success: [b, fail, c]}, b: {action: job}, c: {}}}", script={"b": gives(after=1)}
    )
    assert (run.state, run.names()) == ("ERROR", ["a", "b"])
    assert next_tasks(run, "a") == [["b", "on-success"], ["c", "on-success"]]
    assert [each.state for each in run.actions("b")] == ["RUNNING"]
    run.world.run()
    assert run.task("b").state == "SUCCESS"
    assert (run.state, run.names()) == ("ERROR", ["a", "b"])


@pytest.mark.spec("R47")
def test_a_task_that_outlives_the_end_completes_without_followers() -> None:
    run = play(
        "wf: {tasks: {a: {on-success: fail}, b: {action: job, publish: {x: 1}, on-success: c}, c: {}}}",
        script={"b": gives(after=2)},
    )
    task = run.task("b")
    assert (task.state, task.published, list(task.next_tasks)) == ("SUCCESS", {"x": 1}, [])
    assert (run.state, run.names()) == ("ERROR", ["a", "b"])


@pytest.mark.spec("R48")
def test_succeed_ends_the_workflow_with_its_output() -> None:
    run = play("wf: {output: {z: 1}, tasks: {a: {on-success: [\"succeed(msg='all good')\"]}}}")
    assert (run.state, run.info, run.output) == ("SUCCESS", "all good", {"z": 1})


@pytest.mark.spec("R49")
def test_succeed_does_not_wait_for_other_branches() -> None:
    run = begin(
        "wf: {tasks: {a: {publish: {x: 1}, on-success: succeed}, b: {action: ajob, publish: {y: 2}}}}"
    )
    assert (run.state, run.output) == ("SUCCESS", {"x": 1})
    run.report("b")
    assert run.task("b").state == "SUCCESS"
    assert (run.state, run.output) == ("SUCCESS", {"x": 1})


@pytest.mark.spec("R50", "R51", "R52", "R53")
@pytest.mark.parametrize(
    ("clauses", "state", "info", "handled"),
    [
        ("on-error: succeed", "SUCCESS", None, True),
        ("on-complete: succeed", "SUCCESS", None, False),
        ('on-error: [fail msg="m"]', "ERROR", "m", True),
        ("on-error: noop", "SUCCESS", None, True),
    ],
)
def test_a_command_from_on_error_handles_the_error(
    clauses: str, state: str, info: str | None, handled: bool
) -> None:
    run = play(f"wf: {{tasks: {{a: {{action: std.fail, {clauses}}}}}}}")
    assert (run.state, run.info, run.task("a").error_handled) == (state, info, handled)


@pytest.mark.spec("R54")
def test_what_stands_behind_a_pause_runs_at_the_resume() -> None:
    run = begin(
        """
        wf:
          tasks:
            a: {on-success: [b, "pause(msg='hold on')", c, fail, d]}
            b: {}
            c: {}
            d: {}
        """
    )
    assert (run.state, run.info) == ("PAUSED", "hold on")
    assert run.names() == ["a", "b"]
    run.resume()
    run.world.run()
    assert (run.state, run.names()) == ("ERROR", ["a", "b", "c"])
    assert run.states() == {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"}


@pytest.mark.spec("R55")
def test_a_pause_alone_leaves_a_finished_task() -> None:
    run = begin("wf: {tasks: {a: {on-success: pause}}}")
    assert (run.state, run.task("a").state) == ("PAUSED", "SUCCESS")
    run.resume()
    assert run.state == "SUCCESS"


@pytest.mark.spec("R56")
def test_the_first_ending_command_of_both_clauses_counts() -> None:
    run = play(
        """
        wf:
          tasks:
            a: {on-success: [b, "succeed(msg='m m')"], on-complete: [c, fail]}
            b: {}
            c: {}
        """
    )
    assert (run.state, run.info, run.names()) == ("SUCCESS", "m m", ["a", "b"])


@pytest.mark.spec("R57")
def test_the_default_on_error_applies_without_a_self_loop() -> None:
    run = play("wf: {task-defaults: {on-error: h}, tasks: {a: {action: std.fail}, h: {action: std.fail}}}")
    assert run.names() == ["a", "h"]
    assert run.state == "ERROR"


@pytest.mark.spec("R58")
def test_an_own_clause_replaces_the_default_one() -> None:
    run = play(
        """
        wf:
          task-defaults: {on-success: ds, on-complete: dc}
          tasks:
            a: {on-success: own, on-error: ds}
            own: {on-success: noop, on-complete: noop}
            ds: {on-success: noop, on-complete: noop}
            dc: {on-success: noop, on-complete: noop}
        """
    )
    assert run.names() == ["a", "own", "dc"]


@pytest.mark.spec("R59")
def test_a_clause_that_only_publishes_keeps_the_default_targets() -> None:
    run = play(
        """
        wf:
          task-defaults: {on-success: ds}
          tasks:
            a: {on-success: {publish: {branch: {x: 1}}}}
            ds: {publish: {y: <% $.x %>}}
        """
    )
    assert run.names() == ["a", "ds"]
    assert run.task("ds").published == {"y": 1}


@pytest.mark.spec("R60")
def test_the_publish_of_a_default_clause_applies() -> None:
    run = play(
        """
        wf:
          task-defaults: {on-success: {publish: {branch: {x: 1}}, next: ds}}
          tasks:
            a: {}
            ds: {on-success: noop}
        """
    )
    assert run.task("a").published == {"x": 1}


@pytest.mark.spec("R61")
def test_a_literal_zero_switches_a_default_wait_off() -> None:
    run = begin(
        """
        wf:
          task-defaults: {wait-before: 2}
          tasks:
            a: {wait-before: 0}
            b: {}
        """
    )
    assert run.states() == {"a": "SUCCESS", "b": "DELAYED"}


@pytest.mark.spec("R62")
def test_the_default_retry_applies() -> None:
    run = play("wf: {task-defaults: {retry: {count: 2, delay: 0}}, tasks: {a: {action: std.fail}}}")
    assert len(run.actions("a")) == 3


@pytest.mark.spec("R63", "R64")
def test_a_task_may_loop_to_itself() -> None:
    run = play(
        """
        wf:
          vars: {n: 0}
          output: {n: <% $.n %>, last: <% $.last %>}
          tasks:
            s: {on-success: a}
            a:
              action: std.echo output=<% $.n + 1 %>
              publish: {n: <% task().result %>}
              on-success:
                - a: <% $.n < 3 %>
                - z: <% $.n = 3 %>
            z: {publish: {last: <% task(a).result %>}}
        """
    )
    assert len(run.tasks("a")) == 3
    assert run.output == {"n": 3, "last": 3}


@pytest.mark.spec("R65", "R66")
@pytest.mark.parametrize(
    ("action", "text"),
    [
        ('<% "no.such" %>', "Failed to find action [action_name=no.such"),
        ("std.echo output=1 zz=2", "unexpected=['zz']"),
    ],
)
def test_an_action_that_cannot_be_run_is_an_ordinary_error(action: str, text: str) -> None:
    run = play(f"wf: {{tasks: {{a: {{action: '{action}', on-error: b}}, b: {{}}}}}}".replace("['", "['"))
    assert run.names() == ["a", "b"]
    assert text in (run.task("a").state_info or "")
    assert run.state == "SUCCESS"


@pytest.mark.spec("R67")
def test_an_input_that_is_no_map_is_a_structural_error() -> None:
    run = play("wf: {tasks: {a: {action: std.echo, input: '<% [1] %>', on-error: b}, b: {}}}")
    assert (run.state, run.names()) == ("ERROR", ["a"])
    assert "Wrong dynamic input for task: a. Dict type is expected." in (run.info or "")


@pytest.mark.spec("R68")
def test_a_structural_error_ends_the_workflow_at_once_and_leaves_other_tasks_alone() -> None:
    run = begin("wf: {tasks: {a: {publish: {x: <% $.nope %>}}, b: {action: ajob, on-success: c}, c: {}}}")
    assert (run.state, run.task("b").state) == ("ERROR", "RUNNING")
    run.report("b")
    assert (run.task("b").state, run.names(), run.state) == ("SUCCESS", ["a", "b"], "ERROR")


@pytest.mark.spec("R69")
def test_a_structural_error_ends_a_paused_workflow() -> None:
    run = begin("wf: {tasks: {a: {action: ajob, publish: {x: <% $.nope %>}}}}")
    run.pause()
    run.report("a")
    assert (run.state, run.task("a").state) == ("ERROR", "ERROR")


def test_the_trigger_of_a_default_route_is_recorded() -> None:
    run = play("wf: {task-defaults: {on-error: h}, tasks: {a: {action: job}, h: {}}}", script={"a": fails()})
    assert events_of(run, "h") == [("a", "on-error")]
