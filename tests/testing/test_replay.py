"""Replays: definitions of today over what a past execution recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import pytest
from tests.testing.lab import REGISTRY, definitions

from tramontane.errors import BadRequestError, NotFoundError
from tramontane.rehearsal import FakeAction, Run, World, fails, gives
from tramontane.rehearsal.script import Scripted
from tramontane.testing import Difference, replay
from tramontane.testing.recording import (
    RecordedCall,
    RecordedExecution,
    RecordedRun,
    RecordedTask,
    from_json,
    to_json,
)

CHAIN = """
wf:
  input: [n: 1]
  output: {b: <% $.b %>}
  tasks:
    a: {action: job n=<% $.n %>, publish: {a: <% task().result %>}, on-success: b}
    b: {action: job n=<% $.a %>, publish: {b: <% task().result %>}}
"""


def ran(text: str, script: Mapping[str, Scripted], **start: Any) -> RecordedExecution:
    """Run ``wf`` in a world where ``job`` takes any input, and record it."""
    world = World(
        "version: '2.0'\n" + dedent(text), script=script, registry=REGISTRY, fakes=[FakeAction("job")]
    )
    run = world.start("wf", start.pop("input", {}), **start)
    world.run()
    return recorded(run)


def recorded(run: Run) -> RecordedExecution:
    execution = run.execution
    return RecordedExecution(
        id=run.id,
        workflow_name=execution.workflow_name,
        state=run.state,
        state_info=run.info,
        input=execution.input,
        params=execution.params,
        output=run.output,
        created_at=execution.created_at,
        tasks=tuple(
            RecordedTask(
                task.name,
                task.state,
                task.state_info,
                task.published,
                tuple(
                    RecordedRun(each.name, each.state, each.index, each.input, each.result)
                    for each in run.actions(task)
                ),
                tuple(
                    RecordedCall(recorded(run.world.run_of(call.id)), call.index) for call in run.calls(task)
                ),
            )
            for task in run.all_tasks()
        ),
    )


def different(recording: RecordedExecution, text: str) -> list[Difference]:
    return replay(recording, definitions(text), REGISTRY).differences


def titles(recording: RecordedExecution, text: str) -> list[str]:
    return [each.title for each in different(recording, text)]


def test_the_same_definition_goes_the_same_way() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    found = replay(recording, definitions(CHAIN), REGISTRY)
    assert (found.differences, found.same_tasks) == ([], ["a", "b"])
    assert found.run is not None
    assert found.run.execution.created_at == recording.created_at


def test_a_changed_publish_shows_in_what_follows_from_it() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    text = CHAIN.replace("publish: {b: <% task().result %>}", "publish: {b: <% task().result + 1 %>}")
    published, output = different(recording, text)
    assert (published.title, output.title) == ("what b publishes", "the output")
    assert published.lines == ("  {", '-   "b": 2', '+   "b": 3', "  }")


def test_another_input_is_told_and_the_recorded_result_is_used() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    (found,) = different(recording, CHAIN.replace("job n=<% $.a %>", "job n=<% $.a + 1 %>"))
    assert found.title == "b (job) gets another input (its recorded result is used all the same)"
    assert found.lines == ("  {", '-   "n": 1', '+   "n": 2', "  }")


def test_tasks_that_run_now_or_no_more_are_named() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    away = "on-success: [c, b: <% false %>]"
    text = CHAIN.replace("on-success: b", away).replace("<% $.b %>", "<% $.get(b) %>")
    text += "    c: {action: std.noop}\n"
    assert titles(recording, text) == ["b doesn't run any more", "c runs, which it didn't", "the output"]


def test_an_action_without_a_recorded_result_stops_its_branch() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    text = CHAIN.replace("on-success: b", "on-success: c")
    text += "    c: {action: job n=5, on-success: b}\n"
    lacking, *others = different(recording, text)
    assert (lacking.title, lacking.lines) == ("c (job) has no recorded result", ('  called with {"n":5}',))
    assert [each.title for each in others] == [
        "b isn't reached",
        "c runs, which it didn't",
        "the state at the end",
    ]


def test_another_action_has_no_recorded_result() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    lacking, *_ = different(recording, CHAIN.replace("b: {action: job", "b: {action: other"))
    assert lacking.title == "b (other) has no recorded result"
    assert lacking.lines[-1] == "  then it called job"


RETRY = "wf: {tasks: {a: {action: job, retry: {count: 2, delay: 60}, publish: {x: <% task().result %>}}}}"


def test_runs_of_a_retry_get_their_own_results() -> None:
    recording = ran(RETRY, {"a": [fails("x"), fails("y"), gives(3)]})
    assert different(recording, RETRY) == []
    found = different(recording, RETRY.replace("count: 2", "count: 1"))
    assert [each.title for each in found][:2] == ["the state of a", "what a publishes"]
    recording = ran(RETRY, {"a": fails("x")})
    assert "a (job), run 4, has no recorded result" in titles(
        recording, RETRY.replace("count: 2", "count: 3")
    )


def test_items_get_their_own_results() -> None:
    text = """
    wf:
      output: {r: <% task(a).result %>}
      tasks: {a: {with-items: 'i in [1, 2]', action: job i=<% $.i %>}}
    """
    recording = ran(text, {"a[0]": gives("x"), "a[1]": gives("y")})
    assert different(recording, text) == []
    assert "a[2] (job) has no recorded result" in titles(recording, text.replace("[1, 2]", "[1, 2, 3]"))


def test_executions_of_a_loop_get_their_own_results() -> None:
    text = """
    wf:
      vars: {i: 0}
      tasks:
        s: {action: std.noop, on-success: a}
        a: {action: job, publish: {i: <% task().result %>}, on-success: [a: <% $.i < 3 %>]}
    """
    recording = ran(text, {"a": [gives(1), gives(2), gives(3)]})
    assert different(recording, text) == []
    found = different(recording, text.replace("$.i < 3", "$.i < 2"))
    assert [each.title for each in found] == [
        "how often a is executed",
        "what a publishes",
        "the output",
    ]


NESTED = """
wf:
  output: {y: <% $.y %>}
  tasks:
    call: {with-items: 'i in [1, 2]', workflow: child x=<% $.i %>, publish: {y: <% task().result.y %>}}
child:
  input: [x]
  output: {y: <% $.y %>}
  tasks:
    t: {action: job x=<% $.x %>, publish: {y: <% task().result %>}}
"""


def test_sub_workflows_are_replayed_by_their_definitions() -> None:
    recording = ran(NESTED, {"child/t": [gives("a"), gives("b")]})
    assert different(recording, NESTED) == []
    text = NESTED.replace("publish: {y: <% task().result %>}", "publish: {y: <% task().result + z %>}")
    assert titles(recording, text) == [
        "what call publishes",
        "what call/t publishes",
        "what call/t publishes",
        "the output",
    ]


def test_a_sub_workflow_without_a_definition_gives_what_was_recorded() -> None:
    recording = ran(NESTED, {"child/t": [gives("a"), gives("b")]})
    assert different(recording, NESTED[: NESTED.index("child:\n  input")]) == []


def test_a_failed_sub_workflow_without_a_definition_gives_its_whole_error_output() -> None:
    text = """
    wf:
      output: {c: <% $.c %>}
      tasks: {call: {workflow: child, publish-on-error: {c: <% task().result.code %>}, on-error: noop}}
    """
    child = """
    child:
      output-on-error: {code: 7}
      tasks: {t: {action: job, on-error: 'fail(msg="gone")'}}
    """
    recording = ran(dedent(text) + dedent(child), {"t": fails("x")})
    assert recording.output == {"c": 7}
    assert different(recording, text) == []


def test_pure_actions_are_computed_anew() -> None:
    text = """
    wf:
      output: {r: <% $.r %>}
      tasks: {a: {action: std.echo output=1, publish: {r: <% task().result %>}}}
    """
    recording = ran(text, {})
    assert titles(recording, text.replace("output=1", "output=2")) == ["what a publishes", "the output"]


def test_a_recorded_result_has_gone_through_the_output_of_its_ad_hoc_action() -> None:
    book = """
    name: b
    actions:
      ask: {base: std.http, base-input: {url: x}, output: <% $.status %>}
    workflows:
      wf: {output: {r: <% task(a).result %>}, tasks: {a: {action: ask}}}
    """
    recording = RecordedExecution(
        id="1",
        workflow_name="b.wf",
        state="SUCCESS",
        output={"r": 200},
        tasks=(RecordedTask("a", "SUCCESS", runs=(RecordedRun("ask", "SUCCESS", result=200),)),),
    )
    assert different(recording, dedent(book)) == []


def test_a_refused_start_and_another_end_are_told() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)}, input={"n": 4})
    (refused,) = different(recording, CHAIN.replace("input: [n: 1]", "input: [m: 1]"))
    assert refused.title == "the start is refused"
    assert "unexpected=['n']" in refused.lines[0]
    found = different(recording, CHAIN.replace("job n=<% $.a %>,", "job n=<% $.a %>, fail-on: true,"))
    assert [each.title for each in found] == [
        "the state of b",
        "the state at the end",
        "the output",
    ]


def test_environment_and_parameters_are_those_of_the_recording() -> None:
    text = """
    wf:
      type: reverse
      output: {r: <% env().r %>}
      tasks: {t: {action: std.noop}, u: {action: std.noop}}
    """
    recording = ran(text, {}, env={"r": 5}, task_name="t")
    assert different(recording, text) == []


def test_texts_of_failures_do_not_differ_by_their_ids() -> None:
    recording = ran(CHAIN, {"a": fails("x")})
    other = RecordedExecution(**{name: getattr(recording, name) for name in recording.__struct_fields__})
    assert different(other, CHAIN) == []


def test_a_workflow_that_the_definitions_lack_is_told() -> None:
    recording = ran(CHAIN, {"a": gives(1), "b": gives(2)})
    with pytest.raises(NotFoundError, match="hold no workflow 'wf'; they hold other"):
        replay(recording, definitions(CHAIN.replace("wf:", "other:")), REGISTRY)
    assert replay(recording, definitions(CHAIN.replace("wf:", "other:")), REGISTRY, "other").differences == []


def test_a_recording_survives_its_file() -> None:
    recording = ran(NESTED, {"child/t": [gives({"a": [1, None]}), fails("b")]})
    assert from_json(to_json(recording)) == recording


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"format": 99, "execution": {}}), "nonsense"])
def test_a_file_that_is_no_recording_is_told(text: str) -> None:
    with pytest.raises(BadRequestError):
        from_json(text)
