"""Expressions in running workflows, over REST on both databases (expression checklist)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.conformance.project import Project
from tests.core.texts import filled

# -- in the output ------------------------------------------------------------------------

IN_OUTPUT = """
wf:
  input: [d: {k: v, n: {m: 5}}]
  output: {r: '@'}
  tasks:
    t1: {action: std.echo output=7}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("<% {1 => 2} %>", {"1": 2}, marks=pytest.mark.spec("E63")),
        pytest.param("<% env() %>", {}, marks=pytest.mark.spec("E136")),
        pytest.param("<% execution().name %>", "wf", marks=pytest.mark.spec("E141")),
        pytest.param("<% task(t1).result %>", 7, marks=pytest.mark.spec("E145")),
        pytest.param("<% task(nope) %>", None, marks=pytest.mark.spec("E146")),
        pytest.param("<% task() %>", None, marks=pytest.mark.spec("E147")),
        pytest.param('{{ task("t1").result }}', 7, marks=pytest.mark.spec("E148")),
        pytest.param("<% tasks(execution().id).name %>", ["t1"], marks=pytest.mark.spec("E151")),
        pytest.param("{{ executions()[0].name }}", "wf", marks=pytest.mark.spec("E154")),
        pytest.param('<% json_parse("[1,2]") %>', [1, 2], marks=pytest.mark.spec("E157")),
        pytest.param('<% yaml_parse("a: [1, 2]") %>', {"a": [1, 2]}, marks=pytest.mark.spec("E158")),
        pytest.param('<% yaml_parse("") %>', None, marks=pytest.mark.spec("E158")),
        pytest.param('<% yaml_parse("a: &x") %>', {"a": "&x"}, marks=pytest.mark.spec("E159")),
        pytest.param("<% yaml_dump($.d) %>", "k: v\nn:\n  m: 5\n", marks=pytest.mark.spec("E160")),
        pytest.param("<% json_pp($.d) = json_dump($.d) %>", True, marks=pytest.mark.spec("E161")),
        pytest.param("<% uuid() = uuid() %>", False, marks=pytest.mark.spec("E156")),
        pytest.param("<% uuid().len() %>", 36, marks=pytest.mark.spec("E156")),
    ],
)
def test_the_output_is_evaluated(project: Project, text: str, expected: Any) -> None:
    run = project.play(filled(IN_OUTPUT, text))
    assert (run.state, run.output) == ("SUCCESS", {"r": expected})


@pytest.mark.spec("E88")
def test_the_output_may_hold_the_own_id(project: Project) -> None:
    run = project.play(filled(IN_OUTPUT, "<% $__execution.id %>"))
    assert run.output == {"r": run.id}


@pytest.mark.spec("E141")
def test_the_map_of_an_execution_has_eight_keys(project: Project) -> None:
    run = project.play(filled(IN_OUTPUT, "<% execution() %>"))
    assert set(run.output["r"]) == {
        "id",
        "name",
        "spec",
        "input",
        "params",
        "created_at",
        "updated_at",
        "root_execution_id",
    }
    assert (run.output["r"]["id"], run.output["r"]["root_execution_id"]) == (run.id, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("<% $.nope %>", "nope", marks=pytest.mark.spec("E166")),
        pytest.param("<% env().x %>", "x", marks=pytest.mark.spec("E135")),
        pytest.param('<% json_parse("x") %>', "Expecting value", marks=pytest.mark.spec("E157")),
        pytest.param("<% $.d.json_dump() %>", 'Unknown method "json_dump"', marks=pytest.mark.spec("E162")),
        pytest.param("<% $.d.select($) %>", "select", marks=pytest.mark.spec("E169")),
    ],
)
def test_an_output_that_raises_fails_the_workflow_alone(project: Project, text: str, reason: str) -> None:
    run = project.play(filled(IN_OUTPUT, text))
    assert (run.state, run.states()) == ("ERROR", {"t1": "SUCCESS"})
    info = run.info or ""
    assert info.startswith(f"Failed to check and complete [wf_ex_id={run.id}, wf_name=wf]: ")
    assert reason in info
    assert run.output["result"] == info
    assert "'k'" not in info and "'m'" not in info, "the data is nobody's business"


@pytest.mark.spec("E91")
def test_a_time_span_is_published_as_seconds(project: Project) -> None:
    run = project.play("wf: {tasks: {t: {publish: {x: <% timespan(hours => 1) %>}}}}")
    assert (run.state, run.output) == ("SUCCESS", {"x": 3600.0})


# -- the environment, the input, vars --------------------------------------------------------


@pytest.mark.spec("E135")
def test_the_environment_is_read(project: Project) -> None:
    assert project.play(filled(IN_OUTPUT, "<% env().x %>"), env={"x": 1}).output == {"r": 1}


@pytest.mark.spec("E137")
@pytest.mark.parametrize(("params", "expected"), [({}, 1), ({"evaluate_env": False}, "<% env().a %>")])
def test_the_environment_is_evaluated_unless_told_otherwise(
    project: Project, params: dict[str, Any], expected: Any
) -> None:
    run = project.play(filled(IN_OUTPUT, "<% env().b %>"), env={"a": 1, "b": "<% env().a %>"}, **params)
    assert run.output == {"r": expected}


@pytest.mark.spec("E138")
def test_defaults_of_the_input_are_not_evaluated(project: Project) -> None:
    run = project.play("wf: {input: [a: 1, b: <% $.a %>], output: {r: <% $.b %>}, tasks: {t: {}}}")
    assert run.output == {"r": "<% $.a %>"}


@pytest.mark.spec("E139")
def test_given_input_is_not_evaluated(project: Project) -> None:
    run = project.play("wf: {input: [a], output: {r: <% $.a %>}, tasks: {t: {}}}", {"a": "<% 1 %>"})
    assert (run.execution.input, run.output) == ({"a": "<% 1 %>"}, {"r": "<% 1 %>"})


@pytest.mark.spec("E140")
def test_vars_see_the_input(project: Project) -> None:
    run = project.play(
        "wf: {input: [a], vars: {x: <% $.a %>}, output: {r: <% $.x %>}, tasks: {t: {}}}", {"a": 1}
    )
    assert run.output == {"r": 1}


@pytest.mark.spec("E167")
def test_vars_that_raise_refuse_the_start(project: Project) -> None:
    project.define("wf: {vars: {x: <% $.nope %>}, tasks: {t: {}}}")
    assert "nope" in project.refusal()


# -- tasks ----------------------------------------------------------------------------------


@pytest.mark.spec("E142")
def test_an_action_may_know_its_task(project: Project) -> None:
    run = project.play("wf: {tasks: {t1: {action: std.echo output=<% task().name %>}}}")
    assert run.result("t1") == "t1"


@pytest.mark.spec("E143")
def test_a_publish_sees_the_final_state(project: Project) -> None:
    run = project.play("wf: {tasks: {t1: {publish: {x: <% task().state %>}}}}")
    assert run.task("t1").published == {"x": "SUCCESS"}


@pytest.mark.spec("E144")
def test_publish_on_error_sees_the_error(project: Project) -> None:
    run = project.play(
        """
        wf:
          tasks:
            t1:
              action: std.fail
              publish-on-error: {x: <% task().result %>, s: <% task().state %>}
              on-error: noop
        """
    )
    text = run.task("t1").published["x"]
    assert "Fail action expected exception" in text
    assert (run.action("t1").result, run.task("t1").state_info) == (text, text)
    assert run.task("t1").published["s"] == "ERROR"


@pytest.mark.spec("E149")
def test_a_later_task_sees_an_earlier_ones_result(project: Project) -> None:
    run = project.play(
        """
        wf:
          tasks:
            t1: {action: std.echo output=7, on-success: t2}
            t2: {action: std.echo, input: {output: "{{ task('t1').result }}"}}
        """
    )
    assert run.result("t2") == 7


@pytest.mark.spec("E150")
def test_one_item_gives_a_list_of_one(project: Project) -> None:
    run = project.play(
        """
        wf:
          output: {r: <% task(t1).result %>}
          tasks: {t1: {with-items: 'i in [5]', action: std.echo output=<% $.i %>}}
        """
    )
    assert run.output == {"r": [5]}


TREE = """
wf:
  output: {r: '@'}
  tasks: {a: {workflow: sub}}
sub: {tasks: {b: {}}}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("<% tasks(execution().id).name %>", ["a"], marks=pytest.mark.spec("E151")),
        pytest.param("<% tasks(execution().id, true).name %>", ["a", "b"], marks=pytest.mark.spec("E152")),
        pytest.param(
            "<% tasks(recursive => true, workflowExecutionId => execution().id).name %>",
            ["a", "b"],
            marks=pytest.mark.spec("E153"),
        ),
        pytest.param(
            "<% tasks(recursive => true, workflow_execution_id => execution().id).name %>",
            ["a", "b"],
            marks=pytest.mark.spec("E153"),
        ),
    ],
)
def test_tasks_are_listed_with_or_without_those_below(
    project: Project, text: str, expected: list[str]
) -> None:
    run = project.play(filled(TREE, text))
    assert run.output == {"r": expected}


@pytest.mark.spec("E155")
def test_globals_are_read_by_name(project: Project) -> None:
    run = project.play(
        """
        wf:
          output: {g: <% global(g) %>, n: <% global(nope) %>}
          tasks: {t: {on-success: {publish: {global: {g: 7}}}}}
        """
    )
    assert run.output == {"g": 7, "n": None}


# -- guards and failures ----------------------------------------------------------------------


@pytest.mark.spec("E163")
@pytest.mark.parametrize(
    ("guard", "is_followed"),
    [('<% "false" %>', True), ("<% 0 %>", False), ("<% [] %>", False), ("<% null %>", False)],
)
def test_guards_go_by_truthiness(project: Project, guard: str, is_followed: bool) -> None:
    run = project.play(f"wf: {{tasks: {{a: {{on-success: [{{b: '{guard}'}}]}}, b: {{}}}}}}")
    assert run.names() == (["a", "b"] if is_followed else ["a"])


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param("on-success: [{b: <% $.nope %>}]", marks=pytest.mark.spec("E164")),
        pytest.param("publish: {x: <% $.nope %>}, on-success: b", marks=pytest.mark.spec("E165")),
    ],
)
def test_what_raises_after_the_action_fails_task_and_workflow(project: Project, attributes: str) -> None:
    run = project.play(f"wf: {{tasks: {{a: {{{attributes}, on-error: b}}, b: {{}}}}}}")
    task = run.task("a")
    assert (task.state, run.state, run.names()) == ("ERROR", "ERROR", ["a"])
    assert [action.state for action in run.actions("a")] == ["SUCCESS"]
    assert task.state_info == run.info
    assert re.match(
        r"Failed to handle action completion \[error=.*nope.*, wf=wf, task=a, action=", run.info or ""
    )


@pytest.mark.spec("E168")
def test_an_input_that_raises_starts_no_action(project: Project) -> None:
    run = project.play("wf: {tasks: {a: {action: std.echo output=<% $.nope %>, on-error: b}, b: {}}}")
    assert (run.task("a").state, run.actions("a"), run.names()) == ("ERROR", [], ["a"])
    assert (run.info or "").startswith("Failed to run task [error=")


# -- listing functions: the execution itself is shown as it is now ------------------------------


def test_an_execution_lists_itself_as_it_is(project: Project) -> None:
    run = project.play(
        """
        wf:
          output:
            own: <% executions(execution().id) %>
            running: <% executions(state => RUNNING).id %>
            ended: <% executions(state => SUCCESS).id %>
            tasks: <% tasks().select([$.name, $.state]) %>
            flat: <% tasks(execution().id, false, SUCCESS, true).name %>
          tasks: {t: {action: std.echo output=1, on-success: u}, u: {}}
        """
    )
    (own,) = run.output["own"]
    assert (own["id"], own["name"], own["input"], own["root_execution_id"]) == (run.id, "wf", {}, None)
    assert run.output["running"] == [run.id]
    assert run.output["ended"] == []
    assert run.output["tasks"] == [["t", "SUCCESS"], ["u", "SUCCESS"]]
    assert run.output["flat"] == ["t", "u"]


def test_records_of_others_look_like_the_own(project: Project) -> None:
    first = project.play("wf: {output: {r: <% executions() %>}, tasks: {t: {publish: {x: 1}}}}")
    (own,) = first.output["r"]
    second = project.play("wf: {output: {r: <% executions() %>}, tasks: {t: {}}}")
    other, own_of_second = second.output["r"]
    assert (other["id"], own_of_second["id"]) == (first.id, second.id)
    changed = {"state", "output", "updated_at"}
    assert {key: value for key, value in other.items() if key not in changed} == {
        key: value for key, value in own.items() if key not in changed
    }
    assert (other["state"], own["state"]) == ("SUCCESS", "RUNNING")


@pytest.mark.parametrize(
    "text",
    [
        "<% executions(from_time => yesterday) %>",
        "<% executions(from_time => 5) %>",
        "<% executions(5) %>",
        "<% executions(state => [1]) %>",
        "<% tasks([1]) %>",
        "<% tasks(5) %>",
        "<% tasks(null, false, {a => 1}) %>",
    ],
)
def test_arguments_of_the_wrong_kind_are_errors(project: Project, text: str) -> None:
    run = project.play(filled(IN_OUTPUT, text))
    assert run.state == "ERROR"
    assert re.search(r"(executions|tasks)\(\)", run.info or "")
