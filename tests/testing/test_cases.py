"""Steps of operators, and expectations that hold or don't."""

from __future__ import annotations

from tests.testing.lab import judged, played, titles

from tramontane.testing import summary

TWO = """
wf:
  input: [x: 1]
  output: {x: <% $.x %>}
  tasks:
    a: {action: std.http url='a', on-success: b, publish: {x: <% $.x + 1 %>}}
    b: {action: std.noop}
"""
ASK = "wf: {tasks: {ask: {action: std.async_noop, on-success: after}, after: {action: std.noop}}}"
FAILING = "wf: {tasks: {ask: {action: std.http url='x', on-success: after}, after: {action: std.noop}}}"
MOCK = "mock: {actions: {std.http: {result: 1}}}\n"


def test_a_pause_holds_what_would_come_next_until_the_resume() -> None:
    step = "{when: {task: a, state: RUNNING}, pause: true}"
    case = MOCK + f"steps: [{step}]\nexpect: {{state: PAUSED, tasks: [a]}}"
    assert not judged(TWO, case)
    case = MOCK + f"steps: [{step}, {{at: 2d, resume: true}}]\nexpect: {{elapsed: 2d, tasks: [a, b]}}"
    assert not judged(TWO, case)


def test_a_resume_may_change_the_environment() -> None:
    workflow = """
    wf:
      output: {r: <% env().r %>}
      tasks: {a: {action: std.noop, pause-before: true}}
    """
    case = "env: {r: 1}\nsteps: [{when: {state: PAUSED}, resume: {env: {r: 2}}}]\nexpect: {output: {r: 2}}"
    assert not judged(workflow, case)


def test_a_cancel_ends_the_workflow_with_a_message() -> None:
    case = "steps: [{at: 1h, cancel: enough}]\nexpect: {state: CANCELLED, state-info: enough, elapsed: 1h}"
    assert not judged(ASK, case)
    case = "steps: [{stop: {state: SUCCESS, message: fine}}]\nexpect: {state: SUCCESS, state-info: fine}"
    assert not judged(ASK, case)


def test_a_report_completes_an_asynchronous_action() -> None:
    assert not judged(
        ASK, "steps: [{at: 5d, report: {task: ask, result: 1}}]\nexpect: {tasks: [ask, after], elapsed: 5d}"
    )
    assert not judged(ASK, "steps: [{report: {task: ask, error: no}}]\nexpect: {state: ERROR, tasks: [ask]}")


def test_a_failed_task_can_be_run_again_or_skipped() -> None:
    mock = "mock: {tasks: {ask: [{error: no}, {result: 1}]}}\n"
    expected = "expect: {tasks: {runs: {ask: 2}, exactly: [ask, after]}}"
    case = f"{mock}steps: [{{when: {{state: ERROR}}, rerun: ask}}]\n{expected}"
    assert not judged(FAILING, case)
    case = mock + "steps: [{skip: ask}]\nexpect: {tasks: {states: {ask: SKIPPED, after: SUCCESS}}}"
    assert not judged(FAILING, case)


def test_each_step_waits_for_the_one_before_it() -> None:
    mock = "mock: {tasks: {ask: [{error: a}, {error: b}, {result: 1}]}}\n"
    again = "{when: {task: ask, state: ERROR}, rerun: ask}"
    assert not judged(FAILING, mock + f"steps: [{again}, {again}]\nexpect: {{tasks: {{runs: {{ask: 3}}}}}}")


def test_two_steps_may_wait_for_tasks_that_began_together() -> None:
    workflow = "wf: {tasks: {a: {action: std.async_noop}, b: {action: std.async_noop}}}"
    steps = ", ".join(
        f"{{when: {{task: {n}, state: RUNNING}}, report: {{task: {n}, result: 1}}}}" for n in "ba"
    )
    assert not judged(workflow, f"steps: [{steps}]")


def test_a_step_whose_moment_never_comes_fails_the_case() -> None:
    assert titles(TWO, MOCK + "steps: [{when: {task: b, state: ERROR}, pause: true}]") == [
        "step 1 (pause) waits until the task 'b' is ERROR, but that doesn't happen"
    ]
    (title,) = titles(ASK, "steps: [{at: 2h, pause: true}, {at: 1h, resume: true}]")
    assert "step 2 (resume) comes too late: it is 2h after the start already, not 1h" in title


def test_a_step_that_the_engine_refuses_fails_the_case_with_its_reason() -> None:
    (title,) = titles(TWO, MOCK + "steps: [{rerun: b}]")
    assert title.startswith("step 1 (rerun) was refused: Only a task in state ERROR can be run again")
    (title,) = titles(ASK, "steps: [{report: {task: after, result: 1}}]")
    assert title == "step 1 (report) was refused: the task 'after' was not started"


def test_a_step_reaches_tasks_of_sub_workflows() -> None:
    workflow = """
    wf: {tasks: {call: {workflow: child}}}
    child: {tasks: {ask: {action: std.async_noop}}}
    """
    case = """
    steps: [{when: {task: child/ask, state: RUNNING}, report: {task: ask, result: 1}}]
    expect: {tasks: {include: [child/ask]}}
    """
    assert not judged(workflow, case)


def test_success_is_expected_unless_something_else_is_said() -> None:
    (mismatch,) = judged(FAILING, "mock: {tasks: {ask: {error: broken pipe}}}")
    assert mismatch.title == "state"
    assert mismatch.lines[:2] == ("- SUCCESS", "+ ERROR")
    assert any("broken pipe" in line for line in mismatch.lines)


def test_an_execution_that_does_not_end_shows_what_it_waits_for() -> None:
    (mismatch,) = judged(ASK, "expect: {state: SUCCESS}")
    assert mismatch.lines == ("- SUCCESS", "+ RUNNING", "  ask is RUNNING")


def test_each_expectation_that_does_not_hold_is_shown() -> None:
    expected = """
    expect:
      state: ERROR
      state-info: gone
      output: {x: 3}
      output-contains: {y: 1}
      published: {a: {x: 5}, b: {z: 1}}
      tasks: {exactly: [a], include: [b], exclude: [b], order: [b, a], states: {b: ERROR}, runs: {a: 2}}
      calls: {std.http: [{url: b}]}
      elapsed: {at-least: 1s}
    """
    assert titles(TWO, MOCK + "".join(line[4:] + "\n" for line in expected.strip("\n").splitlines())) == [
        "state",
        "state-info doesn't contain",
        "output",
        "output doesn't contain",
        "what a published doesn't contain",
        "what b published doesn't contain",
        "other tasks ran than expected",
        "tasks that shouldn't have run",
        "the tasks began in another order",
        "the state of b",
        "how often a ran",
        "what std.http was called with",
        "the simulated time that it took",
    ]


def test_tasks_that_did_not_run_are_named() -> None:
    mock = "mock: {tasks: {a: {error: no}}}\n"
    (mismatch,) = judged(TWO, mock + "expect: {state: ERROR, tasks: [a, b]}")
    assert (mismatch.title, mismatch.lines) == ("other tasks ran than expected", ("- b",))
    assert titles(
        TWO, mock + "expect: {state: ERROR, tasks: {include: [b], order: [a, b], states: {b: SUCCESS}}}"
    ) == [
        "tasks that should have run",
        "tasks of the expected order that didn't run",
        "the state of b",
    ]


def test_a_differing_output_is_shown_line_by_line() -> None:
    (mismatch,) = judged(TWO, MOCK + "expect: {output: {x: 3}}")
    assert mismatch.lines == ("  {", '-   "x": 3', '+   "x": 2', "  }")


def test_a_refused_start_can_be_expected() -> None:
    workflow = "wf: {input: [a], tasks: {t: {action: std.noop}}}"
    assert not judged(workflow, "expect: {refused: \"missing=['a']\"}")
    assert titles(workflow, "input: {a: 1}\nexpect: {refused: x}") == [
        "the start should have been refused, but the workflow ran"
    ]
    assert titles(workflow, "expect: {refused: x}") == ["the start was refused for another reason"]
    (mismatch,) = judged(workflow, "expect: {state: SUCCESS}")
    assert mismatch.title == "the start was refused"


def test_an_endless_loop_fails_the_case_unless_it_is_watched_for_a_while_only() -> None:
    loop = """
    wf:
      tasks:
        s: {action: std.noop, on-success: a}
        a: {action: std.echo output=1 delay=60, on-success: a}
    """
    (title,) = titles(loop, "expect: {state: SUCCESS}")
    assert "still busy after 20000 steps" in title
    assert not judged(loop, "run-for: 10m\nexpect: {state: RUNNING, tasks: {runs: {a: 11}}, elapsed: 10m}")


def test_environments_by_name_and_parameters_reach_the_start() -> None:
    workflow = """
    wf:
      type: reverse
      output: {r: <% env().r %>}
      tasks: {t: {action: std.noop}, u: {action: std.noop}}
    """
    case = """
    params: {task_name: t}
    env: prod
    environments: {prod: {r: eu}}
    expect: {output: {r: eu}, tasks: [t]}
    """
    assert not judged(workflow, case)


def test_calls_are_counted_and_compared_by_some_of_their_input() -> None:
    assert not judged(TWO, MOCK + "expect: {calls: {std.http: 1, std.noop: 1}}")
    assert not judged(TWO, MOCK + "expect: {calls: {std.http: [{url: a}]}}")
    assert titles(TWO, MOCK + "expect: {calls: {std.http: 0}}") == ["how often std.http was called"]


def test_the_summary_names_tasks_in_the_order_in_which_they_began() -> None:
    assert summary(played(TWO, MOCK)) == [("a", "SUCCESS", 1), ("b", "SUCCESS", 1)]


def test_random_ids_and_times_are_the_same_in_every_run() -> None:
    workflow = "wf: {output: {t: <% now() %>, u: <% uuid() %>}, tasks: {a: {action: std.noop}}}"
    first, second = played(workflow, "input: {}"), played(workflow, "input: {}")
    assert first.run is not None and second.run is not None
    assert first.run.output == second.run.output
