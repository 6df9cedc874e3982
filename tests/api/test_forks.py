"""Forking executions over the API: previews, new executions, refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.api.lab import ANY_UUID, Client
from tests.api.running import Running

from tramontane.auth import Caller

CHAIN = """version: '2.0'
chain:
  input: [n, {limit: 5}]
  output: {r: <% $.r %>}
  tasks:
    first: {action: std.echo output=<% $.n %>, publish: {first: <% task().result %>}, on-success: call}
    call: {workflow: helper, publish: {helped: <% task().result.h %>}, on-success: last}
    last:
      action: std.echo output=<% $.first + $.helped %>
      fail-on: <% $.n > $.limit %>
      publish: {r: <% task().result %>}
      on-success: after
    after: {action: std.noop}
helper:
  output: {h: 10}
  tasks: {h: {action: std.noop}}
"""
BETTER = CHAIN.replace("$.n > $.limit", "false").replace("$.first + $.helped", "$.first * $.helped")


def failed(service: Running) -> dict[str, Any]:
    """An execution that failed at its third task."""
    service.define(CHAIN)
    execution = service.start("chain", wait=20, input={"n": 7})
    assert execution["state"] == "ERROR"
    return execution


def fork(service: Client, execution_id: str, **body: Any) -> Any:
    return service.post(f"/v2/executions/{execution_id}/fork", body)


def test_a_preview_tells_what_is_taken_over_and_what_runs_again(service: Running) -> None:
    source = failed(service)
    before = len(service.items("/v2/executions"))
    answer = fork(service, source["id"], task="call", preview=True)
    assert answer.status == 200
    preview = answer.json
    assert (preview["source_execution_id"], preview["workflow_name"]) == (source["id"], "chain")
    assert preview["same_definition"] is True
    assert [each["name"] for each in preview["reused"]] == ["first"]
    again = [(each["name"], each["state"], each["reason"]) for each in preview["runs_again"]]
    assert again == [("call", "SUCCESS", "asked"), ("last", "ERROR", "follows")]
    assert (preview["new_tasks"], preview["changed_tasks"], preview["warnings"]) == ([], [], [])
    assert len(service.items("/v2/executions")) == before


def test_a_fork_runs_on_under_a_corrected_definition(service: Running) -> None:
    source = failed(service)
    service.put("/v2/workflows", BETTER)
    answer = fork(service, source["id"], task="last", workflow_name="chain")
    assert answer.status == 201
    started = answer.json
    assert started["source_execution_id"] == source["id"]
    assert started["id"] != source["id"]
    ended = service.finish(started["id"])
    assert (ended["state"], json.loads(ended["output"])) == ("SUCCESS", {"r": 70})
    params = json.loads(ended["params"])
    assert (params["source_execution_id"], params["forked_at"]) == (source["id"], ["last"])
    assert f"Forked from the execution '{source['id']}' at 'last'" in ended["description"]
    assert {name: task["state"] for name, task in service.tasks(started["id"]).items()} == dict.fromkeys(
        ("first", "call", "last", "after"), "SUCCESS"
    )
    assert service.execution(source["id"])["state"] == "ERROR"


def test_what_was_taken_over_reads_like_any_other_record(service: Running) -> None:
    source = failed(service)
    new = fork(service, source["id"], task="last", input={"n": 1}).json["id"]
    service.finish(new)
    first = service.task(new, "first")
    assert (first["result"], json.loads(first["published"])) == ("7", {"first": 7})
    (action,) = service.actions(first["id"])
    assert (action["state"], action["task_execution_id"]) == ("SUCCESS", first["id"])
    call = service.tasks(new)["call"]["id"]
    (child,) = service.items(f"/v2/tasks/{call}/workflow_executions")
    (original,) = service.items(f"/v2/tasks/{service.tasks(source['id'])['call']['id']}/workflow_executions")
    assert (child["state"], child["root_execution_id"]) == ("SUCCESS", new)
    assert json.loads(child["params"])["source_execution_id"] == original["id"]
    assert service.items(f"/v2/executions/{child['id']}/tasks") == []
    report = service.get(f"/v2/executions/{new}/report?errors_only=false").json
    assert len(report["root_workflow_execution"]["task_executions"]) == 4


def test_without_a_workflow_the_definition_is_the_one_that_the_source_ran(service: Running) -> None:
    source = failed(service)
    service.put("/v2/workflows", BETTER)
    assert fork(service, source["id"], task="last", preview=True).json["same_definition"] is True
    ended = service.finish(fork(service, source["id"], task="last").json["id"])
    assert ended["state"] == "ERROR"
    service.delete("/v2/workflows/chain")
    ended = service.finish(fork(service, source["id"], task="last", input={"limit": 9}).json["id"])
    assert (ended["state"], json.loads(ended["output"])) == ("SUCCESS", {"r": 17})


def test_input_and_environment_are_laid_over_those_of_the_source(service: Running) -> None:
    service.define(
        "version: '2.0'\nwf:\n  input: [a, b: 0]\n  output: {all: ['<% $.a %>', '<% $.b %>', "
        "'<% env().x %>', '<% env().y %>']}\n  tasks: {t: {action: std.noop}}"
    )
    source = service.start("wf", wait=20, input={"a": 1}, params={"env": {"x": 1, "y": 1}})
    ended = service.finish(fork(service, source["id"], task="t", input={"b": 2}, env={"y": 2}).json["id"])
    assert json.loads(ended["output"]) == {"all": [1, 2, 1, 2]}


def test_input_that_a_newer_definition_does_not_declare_is_left_out(service: Running) -> None:
    service.define("version: '2.0'\nwf: {input: [a, b], tasks: {t: {action: std.noop}}}")
    source = service.start("wf", wait=20, input={"a": 1, "b": 2})
    service.put("/v2/workflows", "version: '2.0'\nwf: {input: [b, c], tasks: {t: {action: std.noop}}}")
    answer = fork(service, source["id"], task="t", workflow_name="wf")
    assert answer.status == 400 and "missing=['c']" in answer.fault
    new = fork(service, source["id"], task="t", workflow_name="wf", input={"c": 3}).json
    assert json.loads(new["input"]) == {"b": 2, "c": 3}


def test_a_preview_names_changed_tasks_and_failures_that_stay(service: Running) -> None:
    tasks = "{a: {action: std.fail}, b: {action: std.noop}, c: {action: std.noop}}"
    document = f"version: '2.0'\nwf: {{tasks: {tasks}}}"
    service.define(document)
    source = service.start("wf", wait=20)
    newer = document.replace("c: {action: std.noop}", "c: {action: std.echo output=1}, d: {action: std.noop}")
    service.put("/v2/workflows", newer)
    preview = fork(service, source["id"], task="b", workflow_name="wf", preview=True).json
    assert (preview["changed_tasks"], preview["new_tasks"]) == (["c"], ["d"])
    assert "The task 'a' is taken over in ERROR" in preview["warnings"][0]
    both = fork(service, source["id"], task=["a", "b"], preview=True).json
    assert (len(both["runs_again"]), both["warnings"]) == (2, [])


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "'task' is missing"),
        ({"task": 5}, 400, "'task' must be the name or id of a task"),
        ({"task": []}, 400, "needs the name or id of a task"),
        ({"task": "last", "wokflow": "x"}, 400, "Unknown attribute 'wokflow'"),
        ({"task": "last", "input": 5}, 400, "'input' must be a JSON object"),
        ({"task": "nothing"}, 404, "has no task 'nothing'; its tasks: 'first', 'call', 'last'"),
        ({"task": "last", "workflow_name": "nothing"}, 404, "Workflow not found"),
        ({"task": "last", "workflow_name": "helper"}, 400, "has no task 'last'"),
        ({"task": "last", "input": {"x": 1}}, 400, "unexpected=['x']"),
    ],
)
def test_a_fork_that_can_not_be_meant_is_refused(
    service: Running, body: dict[str, Any], status: int, message: str
) -> None:
    source = failed(service)
    before = len(service.items("/v2/executions"))
    answer = fork(service, source["id"], **body)
    assert answer.status == status
    assert message in answer.fault
    assert len(service.items("/v2/executions")) == before


def test_running_executions_and_parts_of_others_are_no_sources(service: Running) -> None:
    service.define("version: '2.0'\nwaiting: {tasks: {t: {action: std.async_noop}}}")
    running = service.start("waiting")
    answer = fork(service, running["id"], task="t")
    assert answer.status == 400 and "wait for its end, or stop it first" in answer.fault
    source = failed(service)
    call = service.tasks(source["id"])["call"]["id"]
    (child,) = service.items(f"/v2/tasks/{call}/workflow_executions")
    answer = fork(service, child["id"], task="h")
    assert answer.status == 400 and "isn't part of another one" in answer.fault
    assert fork(service, ANY_UUID, task="t").status == 404


def test_a_deleted_sub_execution_can_not_be_taken_over(service: Running) -> None:
    source = failed(service)
    call = service.tasks(source["id"])["call"]["id"]
    (child,) = service.items(f"/v2/tasks/{call}/workflow_executions")
    assert service.delete(f"/v2/executions/{child['id']}").status == 204
    answer = fork(service, source["id"], task="last")
    assert answer.status == 400 and "was deleted; fork at the task that called it" in answer.fault
    assert fork(service, source["id"], task="call").status == 201


def test_a_start_from_a_fork_begins_from_scratch(service: Running) -> None:
    source = failed(service)
    new = fork(service, source["id"], task="last", input={"limit": 9}).json["id"]
    service.finish(new)
    again = service.post("/v2/executions?wait=20", {"source_execution_id": new}).json
    assert again["state"] == "SUCCESS"
    assert "forked_at" not in json.loads(again["params"])
    assert service.actions(service.tasks(again["id"])["first"]["id"])


class _Others:
    """Authentication that takes everybody for a member of another project."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        return Caller("others")


def test_nobody_else_can_fork_an_execution(service: Running) -> None:
    source = failed(service)
    answer = fork(service.changed(authenticator=_Others()), source["id"], task="last", preview=True)
    assert answer.status == 404
