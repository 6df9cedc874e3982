"""Action executions over the API: running actions, reporting results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.lab import ANY_UUID
from tests.api.running import Running

ASKING = (
    "version: '2.0'\nasking: {tasks: {ask: {action: std.async_noop, publish: {r: <% task().result %>}}}}\n"
)
COLUMNS = {
    "id",
    "name",
    "workflow_name",
    "workflow_namespace",
    "task_name",
    "task_execution_id",
    "state",
    "state_info",
    "accepted",
    "created_at",
    "updated_at",
    "input",
    "output",
}


def run(service: Running, name: str, **body: Any) -> dict[str, Any]:
    answer = service.post("/v2/action_executions", {"name": name, **body})
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


def asking(service: Running) -> tuple[str, str]:
    """Start a workflow that waits for a result; gives the URLs of its execution and of the action."""
    service.define(ASKING)
    execution_id = service.start("asking")["id"]
    found = service.until("/v2/action_executions", lambda data: len(data["action_executions"]) == 1)
    return f"/v2/executions/{execution_id}", f"/v2/action_executions/{found['action_executions'][0]['id']}"


@pytest.mark.spec("API227", "API230")
def test_an_action_runs_without_leaving_a_trace(service: Running) -> None:
    outcome = run(service, "std.echo", input={"output": "x"})
    assert outcome["id"] is None
    assert outcome["state"] == "SUCCESS"
    assert json.loads(outcome["output"]) == {"result": "x"}
    assert json.loads(outcome["input"]) == {"output": "x"}
    for absent in ("created_at", "updated_at", "accepted", "task_execution_id", "workflow_name", "tags"):
        assert outcome[absent] is None
    failed = run(service, "std.fail", input='{"error_data": {"code": 5}}')
    assert failed["state"] == "ERROR"
    assert json.loads(failed["output"]) == {"result": {"code": 5}}
    assert service.items("/v2/action_executions") == []


@pytest.mark.spec("API228")
def test_a_result_is_kept_on_request(service: Running) -> None:
    saved = run(service, "std.echo", input={"output": 1}, params={"save_result": True}, description="mine")
    assert COLUMNS - {"task_name"} <= set(saved)
    assert (saved["state"], saved["output"], saved["accepted"]) == ("RUNNING", None, False)
    assert (saved["updated_at"], saved["description"], saved["workflow_name"]) == (None, "mine", None)
    url = f"/v2/action_executions/{saved['id']}"
    ended = service.until(url, lambda data: data["state"] == "SUCCESS")
    assert json.loads(ended["output"]) == {"result": 1}
    assert ended["accepted"] is True
    assert ended["description"] == "mine"


@pytest.mark.spec("API229")
def test_a_kept_result_can_be_waited_for(service: Running) -> None:
    saved = run(service, "std.echo", input={"output": 1}, params='{"run_sync": true, "save_result": true}')
    assert (saved["state"], saved["accepted"], saved["updated_at"]) == ("SUCCESS", True, None)
    assert json.loads(saved["output"]) == {"result": 1}
    assert len(saved["created_at"]) == 19
    assert service.get(f"/v2/action_executions/{saved['id']}").json["state"] == "SUCCESS"


@pytest.mark.spec("API231", "API234")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "no.such"},
        {"name": "std.echo"},
        {"name": "std.echo", "input": {"output": 1, "zz": 2}},
        {"name": "std.echo", "input": "abc"},
        {"name": "std.echo", "input": [1]},
        {"name": "std.echo", "input": {"output": 1}, "nonsense": 1},
        {"name": 5},
    ],
)
def test_bad_orders_are_refused(service: Running, body: dict[str, Any]) -> None:
    assert service.post("/v2/action_executions", body).status == 400


@pytest.mark.spec("API232", "API234")
def test_asynchronous_actions_are_stored_and_can_not_be_waited_for(service: Running) -> None:
    assert (
        service.post("/v2/action_executions", {"name": "std.async_noop", "params": {"run_sync": True}}).status
        == 400
    )
    stored = run(service, "std.async_noop", params={"unknown": 1})
    assert stored["state"] == "RUNNING"
    assert service.get(f"/v2/action_executions/{stored['id']}").status == 200


@pytest.mark.spec("API233")
def test_the_namespace_selects_the_action(service: Running) -> None:
    for namespace, word in (("", "default"), ("n", "other")):
        document = f"version: '2.0'\nsay: {{base: std.echo output='{word}'}}\n"
        assert service.post(f"/v2/actions?namespace={namespace}", document).status == 201

    def said(**body: Any) -> Any:
        return json.loads(run(service, "say", **body)["output"])["result"]

    assert said() == "default"
    assert said(workflow_namespace="n") == "other"
    assert said(workflow_namespace="unknown") == "default"


@pytest.mark.spec("API235", "API241")
@pytest.mark.parametrize("output", [{"a": 1}, '{"a": 1}'])
def test_reporting_success_lets_the_workflow_go_on(service: Running, output: Any) -> None:
    execution, action = asking(service)
    answer = service.put(action, {"state": "SUCCESS", "output": output})
    assert answer.status == 200
    assert (answer.json["state"], answer.json["accepted"]) == ("SUCCESS", True)
    assert json.loads(answer.json["output"]) == {"result": {"a": 1}}
    ended = service.get(f"{execution}?wait=20").json
    assert ended["state"] == "SUCCESS"
    assert json.loads(ended["output"]) == {"r": {"a": 1}}


@pytest.mark.parametrize(("output", "result"), [([1], [1]), ("5", 5), ('"text"', "text"), (False, False)])
def test_any_json_value_is_a_result(service: Running, output: Any, result: Any) -> None:
    _, action = asking(service)
    answer = service.put(action, {"state": "SUCCESS", "output": output})
    assert json.loads(answer.json["output"]) == {"result": result}


@pytest.mark.spec("API235", "API236", "API237")
@pytest.mark.parametrize(
    ("state", "result"), [("SUCCESS", {}), ("ERROR", "Unknown error"), ("CANCELLED", None)]
)
def test_what_a_report_without_output_means(service: Running, state: str, result: Any) -> None:
    execution, action = asking(service)
    answer = service.put(action, {"state": state})
    assert answer.json["state"] == state
    assert json.loads(answer.json["output"]) == {"result": result}
    assert service.get(f"{execution}?wait=20").json["state"] == state


@pytest.mark.spec("API238")
def test_an_asynchronous_action_pauses_and_goes_on(service: Running) -> None:
    execution, action = asking(service)
    for state in ("PAUSED", "RUNNING"):
        assert service.put(action, {"state": state}).json["state"] == state
        assert service.until(execution, lambda data, state=state: data["state"] == state)  # type: ignore[misc]
    service.put(action, {"state": "SUCCESS"})
    assert service.get(f"{execution}?wait=20").json["state"] == "SUCCESS"


@pytest.mark.spec("API239")
def test_what_a_report_must_say(service: Running) -> None:
    execution, action = asking(service)
    body: dict[str, Any]
    for body in (
        {},
        {"state": "BOGUS"},
        {"output": {}},
        {"state": "SUCCESS", "output": "no json"},
        {"state": "SUCCESS", "nonsense": 1},
    ):
        assert service.put(action, body).status == 400, body
    for unknown in (ANY_UUID, "1a2b3c", execution.rpartition("/")[2]):
        assert service.put(f"/v2/action_executions/{unknown}", {"state": "SUCCESS"}).status == 404
    assert service.get(action).json["state"] == "RUNNING"


@pytest.mark.spec("API240")
def test_a_result_is_reported_once(service: Running) -> None:
    _, action = asking(service)
    assert service.put(action, {"state": "SUCCESS"}).status == 200
    answer = service.put(action, {"state": "ERROR"})
    assert answer.status == 400
    assert answer.fault
    alone = f"/v2/action_executions/{run(service, 'std.async_noop')['id']}"
    assert service.put(alone, {"state": "ERROR", "output": {"a": 1}}).status == 200
    assert service.put(alone, {"state": "SUCCESS"}).status == 400
    assert json.loads(service.get(alone).json["output"]) == {"result": {"a": 1}}


@pytest.mark.spec("API242", "API244")
def test_lists(service: Running) -> None:
    _, action = asking(service)
    saved = run(service, "std.echo", input={"output": 1}, params={"run_sync": True, "save_result": True})
    items = service.items("/v2/action_executions")
    assert len(items) == 2
    for item in items:
        assert COLUMNS - {"output"} <= set(item)
        assert "output" not in item
    assert {item["task_name"] for item in items} == {"ask", None}
    assert all("output" in item for item in service.items("/v2/action_executions?include_output=True"))
    assert all("output" in item for item in service.items("/v2/action_executions?fields=output"))

    def ids(query: str) -> list[str]:
        return [item["id"] for item in service.items(f"/v2/action_executions?{query}")]

    asked = action.rpartition("/")[2]
    for query, found in (
        ("accepted=false", [asked]),
        ("accepted=True", [saved["id"]]),
        ("task_name=ask", [asked]),
        ("workflow_name=asking", [asked]),
        ("name=std.echo", [saved["id"]]),
        ("state=RUNNING", [asked]),
        ('input={"output": 1}', [saved["id"]]),
        ('output={"result": 1}', [saved["id"]]),
    ):
        assert ids(query) == found, query
    assert service.get("/v2/action_executions?workflow_id=" + ANY_UUID).status == 400


def test_a_single_read(service: Running) -> None:
    _, action = asking(service)
    shown = service.get(action).json
    assert set(shown) >= COLUMNS
    assert (shown["output"], shown["tags"], shown["task_name"]) == (None, None, "ask")
    assert set(service.get(f"{action}?fields=state,output").json) == {"id", "state", "output"}
    assert service.get(f"{action}?fields=bogus").status == 400
    assert service.get(f"/v2/action_executions/{ANY_UUID}").status == 404


@pytest.mark.spec("API243")
def test_deleting(service: Running) -> None:
    _, of_task = asking(service)
    running = f"/v2/action_executions/{run(service, 'std.async_noop')['id']}"
    echo = run(service, "std.echo", input={"output": 1}, params={"run_sync": True, "save_result": True})
    finished = f"/v2/action_executions/{echo['id']}"
    allowed = service.changed(allow_action_execution_deletion=True)
    assert service.delete(f"/v2/action_executions/{ANY_UUID}").status == 404
    assert service.delete(finished).status == 403
    for url in (of_task, running):
        assert allowed.delete(url).status == 403
