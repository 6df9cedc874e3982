"""Definitions that are uploaded and run, over REST on both databases (checklist of the language)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.project import Project

NOOP = "{tasks: {t: {action: std.noop}}}"


def workflows(**bodies: str) -> str:
    """A document of these workflows."""
    return "version: '2.0'\n" + "".join(f"{name}: {body}\n" for name, body in bodies.items())


# -- running ---------------------------------------------------------------------------------


@pytest.mark.spec("D22")
def test_a_date_is_text(project: Project) -> None:
    run = project.play("wf: {vars: {a: {b: 2020-01-01}}, output: {r: <% $.a.b %>}, tasks: {t: {}}}")
    assert run.output == {"r": "2020-01-01"}


@pytest.mark.spec("D47")
def test_a_task_called_noop_never_runs(project: Project) -> None:
    run = project.play("wf: {tasks: {a: {on-success: noop}, noop: {publish: {x: 1}}}}")
    assert (run.state, run.names(), run.output) == ("SUCCESS", ["a"], {})


@pytest.mark.spec("D57", "D58")
@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"a": 1, "zz": 2}, "Invalid input [name=wf, class=DirectWorkflowSpec, unexpected=['zz']]"),
        ({}, "Invalid input [name=wf, class=DirectWorkflowSpec, missing=['a']]"),
    ],
)
def test_input_must_be_as_declared(project: Project, given: dict[str, Any], text: str) -> None:
    project.define("wf: {input: [a, b: 1], tasks: {t: {}}}")
    assert project.refusal(input=given) == text


@pytest.mark.spec("D67")
def test_a_task_without_an_action_runs_noop(project: Project) -> None:
    run = project.play("wf: {tasks: {t: {description: x}}}")
    assert [(each.name, each.state) for each in run.actions("t")] == [("std.noop", "SUCCESS")]


@pytest.mark.spec("D74")
def test_an_input_may_be_one_expression(project: Project) -> None:
    text = "wf: {input: [x], tasks: {t: {action: std.echo, input: <% $.x %>}}}"
    assert project.play(text, {"x": {"output": 3}}).result("t") == 3
    run = project.play(text, {"x": 5})
    assert (run.task("t").state, run.actions("t")) == ("ERROR", [])
    assert "Wrong dynamic input for task: t. Dict type is expected." in (run.task("t").state_info or "")


@pytest.mark.spec("D76")
@pytest.mark.parametrize(("given", "state"), [({"delay": 0}, "SUCCESS"), ({"nonsense": 1}, "ERROR")])
def test_parameters_and_an_expression_as_input_are_merged(
    project: Project, given: dict[str, Any], state: str
) -> None:
    run = project.play(
        "wf: {input: [x], tasks: {t: {action: std.echo output=1, input: <% $.x %>}}}", {"x": given}
    )
    assert run.state == state
    if state == "SUCCESS":
        assert (run.action("t").input, run.result("t")) == ({"output": 1, "delay": 0}, 1)


@pytest.mark.spec("D76")
def test_all_data_as_input_is_an_error_of_the_task(project: Project) -> None:
    run = project.play(
        "wf: {tasks: {t: {action: std.echo output=1, input: <% $ %>, on-error: h}, h: {}}}", env={"k": 1}
    )
    assert (run.task("t").state, run.names(), run.state) == ("ERROR", ["t", "h"], "SUCCESS")


@pytest.mark.spec("D77")
def test_an_unknown_action_fails_the_task_when_it_runs(project: Project) -> None:
    run = project.play("wf: {tasks: {t: {action: no.such}}}")
    assert (run.task("t").state, run.state) == ("ERROR", "ERROR")
    assert (run.task("t").state_info or "").startswith("Failed to find action [action_name=no.such")


@pytest.mark.spec("D78")
def test_the_name_of_an_action_may_be_an_expression(project: Project) -> None:
    run = project.play(
        "wf: {input: [a], tasks: {t: {action: <% $.a %>, input: {output: 1}}}}", {"a": "std.echo"}
    )
    assert [(each.name, each.result) for each in run.actions("t")] == [("std.echo", 1)]


@pytest.mark.spec("D113", "D114")
@pytest.mark.parametrize("clause", ["{t2: <% false %>}", "{next: {t2: <% false %>}}"])
def test_a_guarded_task_in_a_map_does_not_run(project: Project, clause: str) -> None:
    run = project.play(f"wf: {{tasks: {{t1: {{on-success: {clause}}}, t2: {{}}}}}}")
    assert (run.state, run.names()) == ("SUCCESS", ["t1"])


@pytest.mark.spec("D113", "D114")
@pytest.mark.parametrize("clause", ["{t2: <% true %>}", "{next: {t2: <% true %>}}"])
def test_a_guarded_task_in_a_map_runs_when_the_guard_holds(project: Project, clause: str) -> None:
    run = project.play(f"wf: {{tasks: {{t1: {{on-success: {clause}}}, t2: {{}}}}}}")
    assert (run.state, run.names()) == ("SUCCESS", ["t1", "t2"])


@pytest.mark.spec("D141")
@pytest.mark.parametrize("params", [{}, {"task_name": "unknown"}])
def test_a_reverse_workflow_wants_its_target(project: Project, params: dict[str, Any]) -> None:
    project.define("wf: {type: reverse, tasks: {t: {}}}")
    assert project.refusal(params=params).startswith("Invalid task name [")


@pytest.mark.spec("D146")
@pytest.mark.parametrize("value", [5, 1.5, True, None, "text", [1, {"a": 2}], {"k": [1]}])
def test_one_expression_gives_the_value_with_its_type(project: Project, value: Any) -> None:
    run = project.play("wf: {input: [x], tasks: {t: {action: std.echo output=<% $.x %>}}}", {"x": value})
    assert run.result("t") == value
    assert type(run.result("t")) is type(value)


# -- workflows ---------------------------------------------------------------------------------


@pytest.mark.spec("D165")
def test_a_workflow_is_created_once_in_each_namespace(project: Project) -> None:
    document = workflows(wa=NOOP)
    assert project.upload("workflows", document).status == 201
    assert project.upload("workflows", document).status == 409
    assert project.upload("workflows", document, "?namespace=n").status == 201
    assert len(project.items("/v2/workflows")) == 2


@pytest.mark.spec("D166")
def test_of_several_workflows_all_are_created_or_none(project: Project) -> None:
    project.upload("workflows", workflows(wb=NOOP))
    assert project.upload("workflows", workflows(wa=NOOP, wb=NOOP)).status == 409
    assert [item["name"] for item in project.items("/v2/workflows")] == ["wb"]
    assert project.ask("GET", "/v2/workflows/wa").status == 404


@pytest.mark.spec("D167")
def test_of_several_workflows_all_are_updated_or_none(project: Project) -> None:
    project.upload("workflows", workflows(wa=NOOP))
    before = project.request("GET", "/v2/workflows/wa")
    changed = workflows(wa="{tasks: {other: {action: std.noop}}}", unknown=NOOP)
    assert project.upload("workflows", changed, method="PUT").status == 404
    assert project.request("GET", "/v2/workflows/wa") == before


@pytest.mark.spec("D168")
def test_an_update_by_name_may_rename(project: Project) -> None:
    project.upload("workflows", workflows(wa=NOOP))
    before = project.request("GET", "/v2/workflows/wa")
    answer = project.upload("workflows", workflows(renamed=NOOP), "/wa", "PUT")
    assert (answer.status, answer.json["id"], answer.json["name"]) == (200, before["id"], "renamed")
    assert project.ask("GET", "/v2/workflows/wa").status == 404
    assert project.request("GET", "/v2/workflows/renamed")["id"] == before["id"]


@pytest.mark.spec("D169")
def test_an_update_by_name_takes_one_workflow_of_a_free_name(project: Project) -> None:
    project.upload("workflows", workflows(wa=NOOP, wb=NOOP))
    before = project.items("/v2/workflows")
    assert project.upload("workflows", workflows(x=NOOP, y=NOOP), "/wa", "PUT").status == 400
    assert project.upload("workflows", workflows(wb=NOOP), "/wa", "PUT").status == 409
    assert project.items("/v2/workflows") == before


@pytest.mark.spec("D175")
def test_a_sub_workflow_falls_back_to_the_default_namespace_and_a_read_does_not(project: Project) -> None:
    project.define("sub: {output: {from: default}, tasks: {t: {}}}")
    project.define("wf: {tasks: {a: {workflow: sub}}}", "n")
    run = project.start("wf", namespace="n")
    project.run()
    assert (run.state, run.result("a")) == ("SUCCESS", {"from": "default"})
    assert project.ask("GET", "/v2/workflows/sub?namespace=n").status == 404
    assert project.ask("GET", "/v2/workflows/sub").status == 200


@pytest.mark.spec("D176")
def test_a_bad_text_is_no_bad_request_for_validation(project: Project) -> None:
    answer = project.upload("workflows/validate", workflows(wf="{tasks: {t: {on-success: nope}}}"))
    assert (answer.status, answer.json["valid"]) == (200, False)
    assert "nope" in answer.json["error"]
    assert project.items("/v2/workflows") == []


UNKNOWN_TARGET = workflows(wf="{tasks: {t: {on-success: nope}}}")


@pytest.mark.spec("D177")
def test_by_default_validation_cannot_be_skipped(project: Project) -> None:
    assert project.upload("workflows", UNKNOWN_TARGET, "?skip_validation").status == 400
    assert project.items("/v2/workflows") == []


@pytest.mark.spec("D178", "D179")
def test_validation_may_be_skipped_where_the_server_lets_it(project: Project) -> None:
    with project.changed_api(validation_mode="enabled"):
        assert project.upload("workflows", UNKNOWN_TARGET).status == 400
        assert project.upload("workflows", UNKNOWN_TARGET, "?skip_validation").status == 201
        bad = workflows(w2="{tasks: {t: {with-items: bad, action: std.noop}}}")
        assert project.upload("workflows", bad, "?skip_validation").status == 400
        assert project.upload("workflows", "- a\n- b\n", "?skip_validation").status == 400
    assert [item["name"] for item in project.items("/v2/workflows")] == ["wf"]


# -- workbooks ---------------------------------------------------------------------------------

BOOK = """
version: '2.0'
name: book
actions:
  a1: {base: std.echo output='from book'}
workflows:
  w1: {tasks: {t: {action: a1}, s: {workflow: x}}}
  w2: {tasks: {t: {action: std.noop}}}
"""
ONE_LESS = BOOK.replace("  w2: {tasks: {t: {action: std.noop}}}\n", "")


@pytest.mark.spec("D170")
def test_an_unknown_workbook_cannot_be_updated(project: Project) -> None:
    assert project.upload("workbooks", BOOK, method="PUT").status == 404
    assert project.items("/v2/workflows") == []


@pytest.mark.spec("D171")
def test_members_of_a_workbook_are_named_after_it(project: Project) -> None:
    assert project.upload("workbooks", BOOK).status == 201
    assert [item["name"] for item in project.items("/v2/workflows")] == ["book.w1", "book.w2"]
    own = [item["name"] for item in project.items("/v2/actions?is_system=false")]
    assert "book.a1" in own


@pytest.mark.spec("D172")
def test_an_update_leaves_members_that_it_does_not_name(project: Project) -> None:
    project.upload("workbooks", BOOK)
    answer = project.upload("workbooks", ONE_LESS, method="PUT")
    assert answer.status == 200
    assert any("book.w2" in warning["message"] for warning in answer.json["warnings"])
    assert project.ask("GET", "/v2/workflows/book.w2").status == 200


@pytest.mark.spec("D173")
def test_a_bad_member_leaves_nothing(project: Project) -> None:
    assert project.upload("workbooks", BOOK.replace("action: a1", "on-success: nope")).status == 400
    assert project.ask("GET", "/v2/workbooks/book").status == 404
    assert project.items("/v2/workflows") == []
    assert project.ask("GET", "/v2/actions/book.a1").status == 404


@pytest.mark.spec("D174")
def test_a_workflow_of_a_workbook_finds_members_first(project: Project) -> None:
    project.upload("workbooks", BOOK)
    project.define("x: {output: {from: outside}, tasks: {t: {}}}")
    run = project.start("book.w1")
    project.run()
    assert (run.result("t"), run.result("s")) == ("from book", {"from": "outside"})

    project.upload(
        "workbooks", BOOK + "  x: {output: {from: book}, tasks: {t: {action: std.noop}}}\n", method="PUT"
    )
    run = project.start("book.w1")
    project.run()
    assert (run.state, run.result("s")) == ("SUCCESS", {"from": "book"})
