"""What stands in for tasks, actions and sub-workflows."""

from __future__ import annotations

from tests.testing.lab import judged, played, titles

CALL = """
wf:
  input: [url: here]
  output: {got: <% task(ask).result %>}
  tasks: {ask: {action: std.http url=<% $.url %>}}
"""
RETRY = """
wf:
  tasks:
    ask: {action: std.http url='x', retry: {count: 3, delay: 86400}, publish: {got: <% task().result %>}}
"""
ITEMS = """
wf:
  output: {got: <% task(ask).result %>}
  tasks: {ask: {with-items: 'i in [1, 2, 3]', action: std.http url=<% $.i %>}}
"""
PARENT = """
wf:
  output: {got: <% task(call).result %>}
  tasks: {call: {workflow: child x=1}}
child:
  input: [x]
  tasks: {ask: {action: std.http url='x'}}
"""


def test_a_task_gives_what_its_mock_says() -> None:
    assert not judged(CALL, "mock: {tasks: {ask: {result: 5}}}\nexpect: {output: {got: 5}}")


def test_an_action_gives_what_its_mock_says_wherever_it_is_called() -> None:
    assert not judged(CALL, "mock: {actions: {std.http: {result: 5}}}\nexpect: {output: {got: 5}}")


def test_the_mock_of_a_task_comes_before_the_one_of_its_action() -> None:
    case = "mock: {actions: {std.http: {result: 5}}, tasks: {ask: {result: 6}}}\nexpect: {output: {got: 6}}"
    assert not judged(CALL, case)


def test_an_action_with_effects_and_without_a_mock_fails_the_case_and_says_what_to_write() -> None:
    (mismatch,) = judged(CALL, "expect: {state: SUCCESS}")
    assert mismatch.title.startswith("the task 'ask' calls the action 'std.http', which has effects outside")
    assert '"url":"here"' in mismatch.title
    assert "  mock: {tasks: {ask: {result: …}}}" in mismatch.lines
    assert "  mock: {actions: {std.http: {result: …}}}" in mismatch.lines


def test_an_action_that_is_not_installed_fails_the_case_unless_it_is_mocked() -> None:
    workflow = "wf: {tasks: {a: {action: std.ecoh output=1, on-error: noop}}}"
    (title,) = titles(workflow, "expect: {state: SUCCESS}")
    assert "'std.ecoh' (did you mean 'std.echo'?), which isn't installed here" in title
    assert not judged(workflow, "mock: {tasks: {a: {result: 1}}}")


def test_pure_actions_run_as_they_are() -> None:
    workflow = """
    wf:
      tasks:
        a: {action: std.echo output=5 delay=3600, publish: {x: <% task().result %>}, on-success: b}
        b: {action: std.sleep seconds=3600, on-success: c}
        c: {action: std.fail error_data="no", on-error: d}
        d: {action: std.noop}
    """
    case = "expect: {elapsed: 2h, published: {a: {x: 5}}, tasks: {order: [a, b, c, d], states: {c: ERROR}}}"
    assert not judged(workflow, case)


def test_a_pure_action_can_be_mocked_too() -> None:
    workflow = "wf: {output: {x: <% task(a).result %>}, tasks: {a: {action: std.echo output=1}}}"
    assert not judged(workflow, "mock: {actions: {std.echo: {result: 2}}}\nexpect: {output: {x: 2}}")


def test_a_list_gives_one_outcome_per_run_and_its_last_one_stays() -> None:
    case = """
    mock: {tasks: {ask: [{error: a}, {error: b}, {result: 7}]}}
    expect: {published: {ask: {got: 7}}, tasks: {runs: {ask: 3}}, elapsed: 2d}
    """
    assert not judged(RETRY, case)
    assert not judged(
        RETRY, "mock: {tasks: {ask: [{error: a}]}}\nexpect: {state: ERROR, calls: {std.http: 4}}"
    )


def test_items_have_mocks_of_their_own() -> None:
    case = """
    mock: {tasks: {ask: {items: [{result: a}, {error: b, after: 5}, {result: c}]}}}
    expect: {state: ERROR, elapsed: 5s, state-info: One or more actions had failed}
    """
    assert not judged(ITEMS, case)
    case = "mock: {tasks: {ask: {items: [{result: a}, {result: z}]}}}\nexpect: {output: {got: [a, z, z]}}"
    assert not judged(ITEMS, case)


def test_a_mock_can_depend_on_the_input() -> None:
    mock = "{by-input: [{input: {url: 2}, result: two}, {result: other}]}"
    case = f"mock: {{actions: {{std.http: {mock}}}}}\nexpect: {{output: {{got: [other, two, other]}}}}"
    assert not judged(ITEMS, case)


def test_an_input_that_no_mock_fits_fails_the_case() -> None:
    (title,) = titles(CALL, "mock: {tasks: {ask: {by-input: [{input: {url: there}, result: 1}]}}}")
    assert "no mock 'by-input' fits an action that is called with" in title


def test_a_choice_by_input_may_give_outcomes_in_turn() -> None:
    turns = "{by-input: [{input: {url: x}, in-turn: [{error: a}, {result: 1}]}]}"
    case = f"mock: {{tasks: {{ask: {turns}}}}}\nexpect: {{tasks: {{runs: {{ask: 2}}}}}}"
    assert not judged(RETRY, case)


def test_a_cancelled_action_cancels_the_workflow() -> None:
    assert not judged(CALL, "mock: {tasks: {ask: {cancel: true}}}\nexpect: {state: CANCELLED}")


def test_an_action_that_never_ends_runs_into_the_timeout_of_its_task() -> None:
    workflow = "wf: {tasks: {ask: {action: std.http url='x', timeout: 172800}}}"
    case = "mock: {tasks: {ask: {never: true}}}\nexpect: {state: ERROR, state-info: timed out, elapsed: 2d}"
    assert not judged(workflow, case)


def test_an_asynchronous_action_can_be_paused_and_is_reported_later() -> None:
    workflow = "wf: {tasks: {ask: {action: people.ask, publish: {said: <% task().result %>}}}}"
    mock = "mock: {actions: {people.ask: {async: true, result: yes, after: 3d}}}"
    assert not judged(workflow, f"{mock}\nexpect: {{published: {{ask: {{said: true}}}}, elapsed: 3d}}")
    found = played(workflow, mock)
    assert found.run is not None and not found.run.action("ask").is_sync


def test_a_mocked_sub_workflow_gives_its_output() -> None:
    mock = "mock: {workflows: {child: {result: {y: 2}, after: 60}}}"
    case = f"{mock}\nexpect: {{output: {{got: {{y: 2}}}}, elapsed: 1m}}"
    assert not judged(PARENT, case)
    assert [name for _, name in played(PARENT, "mock: {workflows: {child: {result: {}}}}").began_tasks()] == [
        "call"
    ]


def test_a_mocked_sub_workflow_may_fail_or_be_cancelled() -> None:
    case = "mock: {workflows: {child: {error: broken}}}\nexpect: {state: ERROR, state-info: broken}"
    assert not judged(PARENT, case)
    assert not judged(PARENT, "mock: {workflows: {child: {cancel: true}}}\nexpect: {state: CANCELLED}")


def test_an_error_of_a_mocked_sub_workflow_may_be_its_whole_output() -> None:
    workflow = """
    wf:
      output: {code: <% $.code %>}
      tasks: {call: {workflow: gone, publish-on-error: {code: <% task().result.code %>}, on-error: noop}}
    """
    mock = "mock: {workflows: {gone: {error: {result: broken, code: 7}}}}"
    assert not judged(
        workflow, f"{mock}\nexpect: {{output: {{code: 7}}, tasks: {{states: {{call: ERROR}}}}}}"
    )
    found = played(workflow, mock)
    assert found.run is not None and found.run.task("call").state_info == "broken"


def test_the_mock_of_a_sub_workflow_can_depend_on_its_input() -> None:
    parent = """
    wf:
      output: {got: <% task(call).result.y %>}
      tasks: {call: {with-items: 'i in [1, 2]', workflow: child x=<% $.i %>}}
    child:
      input: [x]
      tasks: {t: {action: std.noop}}
    """
    mock = "{by-input: [{input: {x: 2}, result: {y: two}}, {result: {y: other}}]}"
    case = f"mock: {{workflows: {{child: {mock}}}}}\nexpect: {{output: {{got: [other, two]}}}}"
    assert not judged(parent, case)


def test_a_mocked_sub_workflow_needs_no_definition_and_checks_its_input_if_it_has_one() -> None:
    assert not judged("wf: {tasks: {a: {workflow: gone x=1}}}", "mock: {workflows: {gone: {result: {}}}}")
    wrong = PARENT.replace("child x=1", "child")
    case = "mock: {workflows: {child: {result: {}}}}\nexpect: {state: ERROR, state-info: \"missing=['x']\"}"
    assert not judged(wrong, case)


def test_the_mock_of_a_workflow_does_not_replace_it_in_its_own_test() -> None:
    case = (
        "workflow: child\ninput: {x: 1}\nmock: {workflows: {child: {error: no}}, tasks: {ask: {result: 1}}}"
    )
    assert not judged(PARENT, case)


def test_a_tasks_list_begins_anew_in_each_sub_workflow_and_an_actions_list_does_not() -> None:
    parent = """
    wf:
      output: {got: <% task(call).result.x %>}
      tasks: {call: {with-items: 'i in [1, 2]', concurrency: 1, workflow: child}}
    child:
      output: {x: <% task(ask).result %>}
      tasks: {ask: {action: std.http url='x'}}
    """
    turns = "[{result: a}, {result: b}]"
    case = f"mock: {{tasks: {{ask: {turns}}}}}\nexpect: {{output: {{got: [a, a]}}}}"
    assert not judged(parent, case)
    case = f"mock: {{actions: {{std.http: {turns}}}}}\nexpect: {{output: {{got: [a, b]}}}}"
    assert not judged(parent, case)


BOOK = """
name: book
actions:
  ask: {base: std.http, base-input: {url: <% $.host %>}, input: [host], output: <% $.status %>}
workflows:
  wf:
    input: [host: h]
    output: {got: <% task(a).result %>}
    tasks: {a: {action: ask host=<% $.host %>}}
  wrong:
    tasks: {a: {action: ask hst=1}}
"""


def test_a_mocked_base_goes_through_the_output_of_the_ad_hoc_action() -> None:
    case = """
    mock: {actions: {std.http: {result: {status: 201}}}}
    expect: {output: {got: 201}, calls: {ask: [{url: h}]}}
    """
    assert not judged(BOOK, case)


def test_a_mocked_ad_hoc_action_gives_its_result_as_it_is_and_checks_its_input() -> None:
    for name in ("ask", "book.ask"):
        case = f"mock: {{actions: {{{name}: {{result: 1}}}}}}\nexpect: {{output: {{got: 1}}}}"
        assert not judged(BOOK, case)
    mock = "mock: {actions: {ask: {result: 1}}}"
    case = f"workflow: wrong\n{mock}\nexpect: {{state: ERROR, state-info: Invalid input}}"
    assert not judged(BOOK, case)


def test_the_input_of_a_mocked_action_that_is_installed_is_checked() -> None:
    workflow = "wf: {tasks: {a: {action: std.http adress='x'}}}"
    case = "mock: {tasks: {a: {result: 1}}}\nexpect: {state: ERROR, state-info: \"unexpected=['adress']\"}"
    assert not judged(workflow, case)
