"""Tasks over the API."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from tests.api.lab import ANY_UUID
from tests.api.running import Running

RESULTS = """version: '2.0'
results:
  tasks:
    nothing: {action: std.noop, tags: [x]}
    text: {action: std.echo output='hi'}
    items:
      with-items: i in [1, 2]
      action: std.echo output=<% $.i %>
    one_item:
      with-items: i in [1]
      action: std.echo output=<% $.i %>
    failed:
      action: std.fail error_data=<% {a => 1} %>
      on-error: nothing2
    nothing2: {action: std.noop}
    call: {workflow: sub}
    calls:
      with-items: i in [1, 2]
      workflow: sub
    waiting: {action: std.async_noop}
    dropped: {action: std.echo output=5, keep-result: false}
sub:
  output: {o: 1}
  tasks: {s: {action: std.noop}}
"""
FAILING = """version: '2.0'
failing:
  tasks:
    t: {action: std.fail, on-success: next, on-skip: skipped}
    next: {action: std.noop}
    skipped: {action: std.noop}
"""
COLUMNS = (
    "id,name,workflow_name,workflow_namespace,workflow_execution_id,state,state_info,created_at,started_at,"
    "finished_at"
)


def failed_task(service: Running) -> tuple[str, str]:
    """Run a workflow into an error; gives the ids of the execution and of its failed task."""
    service.define(FAILING)
    execution_id = service.start("failing", wait=20)["id"]
    return execution_id, service.tasks(execution_id)["t"]["id"]


@pytest.mark.spec("API210", "API213", "API128")
def test_items_of_lists(service: Running) -> None:
    service.define(RESULTS)
    execution_id = service.start("results")["id"]
    service.until(
        f"/v2/tasks?workflow_execution_id={execution_id}&state=SUCCESS",
        lambda found: len(found["tasks"]) == 8,
    )
    for item in service.items(f"/v2/tasks?fields={COLUMNS}&workflow_execution_id={execution_id}"):
        assert list(item) == COLUMNS.split(",")
    for item in service.items("/v2/tasks"):
        assert "result" not in item
        assert "published_global" not in item
        assert [key for key in item if "type" in key] == ["type"]
    tasks = service.tasks(execution_id)
    assert tasks["nothing"]["type"] == "ACTION"
    assert tasks["call"]["type"] == "WORKFLOW"
    assert tasks["nothing"]["tags"] == ["x"]
    assert tasks["text"]["tags"] == []


@pytest.mark.spec("API211", "API213")
def test_results_are_json_texts(service: Running) -> None:
    service.define(RESULTS)
    execution_id = service.start("results")["id"]
    service.until(
        f"/v2/tasks?workflow_execution_id={execution_id}&state=SUCCESS",
        lambda found: len(found["tasks"]) == 8,
    )
    expected = {
        "nothing": "null",
        "text": '"hi"',
        "items": "[1,2]",
        "one_item": "[1]",
        "failed": '{"a":1}',
        "call": '{"o":1}',
        "calls": '[{"o":1},{"o":1}]',
        "waiting": "[]",
        "dropped": "null",
    }
    assert {name: service.task(execution_id, name)["result"] for name in expected} == expected
    listed = service.items(f"/v2/tasks?workflow_execution_id={execution_id}&fields=name,result,state")
    assert {item["name"]: item["result"] for item in listed} == {**expected, "nothing2": "null"}
    for item in listed:
        assert set(item) == {"id", "name", "result", "state"}
    shown = service.task(execution_id, "text")
    assert [key for key in shown if "type" in key] == ["type"]


@pytest.mark.spec("API212")
def test_global_variables_of_a_task_show_when_there_are_some(service: Running) -> None:
    service.define(
        """version: '2.0'
publishing:
  tasks:
    global: {action: std.noop, on-success: {publish: {global: {g: 1}, branch: {b: 2}}, next: plain}}
    plain: {action: std.noop, publish: {p: 3}}
"""
    )
    execution_id = service.start("publishing", wait=20)["id"]
    shown = service.task(execution_id, "global")
    assert json.loads(shown["published_global"]) == {"g": 1}
    assert json.loads(shown["published"]) == {"b": 2}
    assert "published_global" not in service.task(execution_id, "plain")


def test_the_single_read_tells_what_followed(service: Running) -> None:
    service.define(
        """version: '2.0'
following:
  tasks:
    a: {action: std.noop, on-success: b}
    b: {action: std.fail, on-error: c}
    c: {action: std.async_noop}
"""
    )
    execution_id = service.start("following")["id"]
    service.until(f"/v2/tasks?workflow_execution_id={execution_id}", lambda found: len(found["tasks"]) == 3)
    a, b, c = (service.task(execution_id, name) for name in "abc")
    assert (a["next_tasks"], a["has_next_tasks"], a["error_handled"]) == ([["b", "on-success"]], True, False)
    assert (b["next_tasks"], b["error_handled"]) == ([["c", "on-error"]], True)
    assert (c["next_tasks"], c["has_next_tasks"]) == (None, False)


@pytest.mark.spec("API214", "API215")
def test_filters(service: Running) -> None:
    execution_id, task_id = failed_task(service)
    service.define("version: '2.0'\nother: {tasks: {t: {action: std.noop, publish: {x: 1}}}}\n")
    other = service.start("other", wait=20)["id"]
    for query, found in (
        ("name=t", 2),
        ("state=ERROR", 1),
        ("state=neq:ERROR", 1),
        (f"workflow_execution_id={execution_id}", 1),
        (f"workflow_execution_id=nin:{execution_id}", 1),
        ("workflow_name=other", 1),
        ("processed=true", 2),
        ("processed=false", 0),
        ('published={"x": 1}', 1),
        ("published={}", 1),
    ):
        assert len(service.items(f"/v2/tasks?{query}")) == found, query
    assert {item["id"] for item in service.items(f"/v2/tasks?workflow_execution_id=neq:{other}")} == {task_id}
    for bad in ("result=x", "reset=true", "env={}", "workflow_execution_id=zz", "processed=maybe"):
        assert service.get(f"/v2/tasks?{bad}").status == 400


@pytest.mark.spec("API216", "API219")
def test_running_a_failed_task_again(service: Running) -> None:
    service.define(
        """version: '2.0'
depends:
  tasks:
    t: {action: std.echo output=<% env().missing.deep %>, publish: {r: <% task().result %>}}
"""
    )
    execution_id = service.start("depends", wait=20, params={"env": {"a": 1}})["id"]
    assert service.execution(execution_id)["state"] == "ERROR"
    task_id = service.tasks(execution_id)["t"]["id"]
    body = {"id": task_id, "state": "RUNNING", "reset": True, "env": '{"missing": {"deep": 7}}'}
    answer = service.put(f"/v2/tasks/{task_id}", body)
    assert (answer.status, answer.json["id"]) == (200, task_id)
    ended = service.finish(execution_id)
    assert ended["state"] == "SUCCESS"
    assert json.loads(ended["params"])["env"] == {"a": 1, "missing": {"deep": 7}}
    assert json.loads(ended["output"]) == {"r": 7}


@pytest.mark.spec("API217", "API218")
def test_what_a_change_of_a_task_must_say(service: Running) -> None:
    execution_id, task_id = failed_task(service)
    url = f"/v2/tasks/{task_id}"
    again = {"state": "RUNNING", "reset": True}
    for body in (
        {},
        {"reset": True},
        {"state": "SUCCESS", "reset": True},
        {"state": "RUNNING"},
        {"state": "RUNNING", "reset": False},
        {"state": "RUNNING", "reset": None},
        {"state": "RUNNING", "reset": "abc"},
        {**again, "name": "other"},
        {**again, "workflow_name": "other"},
        {**again, "nonsense": 1},
        {**again, "env": "[1]"},
    ):
        assert service.put(url, body).status == 400, body
    assert service.execution(execution_id)["state"] == "ERROR"
    assert service.put(f"/v2/tasks/{ANY_UUID}", {"state": "BOGUS"}).status == 404
    assert service.put("/v2/tasks/nope", again).status == 404
    assert service.put(url, {**again, "name": "t", "workflow_name": "failing"}).status == 200
    service.define("version: '2.0'\nfine: {tasks: {t: {action: std.noop}}}\n")
    fine = service.start("fine", wait=20)["id"]
    assert service.put(f"/v2/tasks/{service.tasks(fine)['t']['id']}", again).status == 400


@pytest.mark.spec("API220")
def test_skipping_a_failed_task(service: Running) -> None:
    execution_id, task_id = failed_task(service)
    assert service.put(f"/v2/tasks/{task_id}", {"state": "SKIPPED"}).status == 200
    assert service.finish(execution_id)["state"] == "SUCCESS"
    tasks = service.tasks(execution_id)
    assert (tasks["t"]["state"], tasks["skipped"]["state"]) == ("SKIPPED", "SUCCESS")
    assert "skipped" in tasks["t"]["state_info"]
    assert "next" not in tasks


@pytest.mark.spec("API221")
@pytest.mark.parametrize(("reset", "runs"), [(False, 3), (True, 4)])
def test_only_failed_items_run_again_unless_all_are_wanted(service: Running, reset: bool, runs: int) -> None:
    service.define(
        """version: '2.0'
items:
  tasks:
    t:
      with-items: i in [0, 1]
      workflow: maybe
      input: {i: <% $.i %>}
maybe:
  input: [i]
  tasks:
    m:
      on-success:
        - fail: <% $.i = 1 %>
"""
    )
    execution_id = service.start("items", wait=20)["id"]
    task_id = service.tasks(execution_id)["t"]["id"]
    assert service.put(f"/v2/tasks/{task_id}", {"state": "RUNNING", "reset": reset}).status == 200
    assert service.finish(execution_id)["state"] == "ERROR"
    assert len(service.items(f"/v2/tasks/{task_id}/workflow_executions")) == runs


@pytest.mark.spec("API222")
def test_a_task_run_again_below_sets_its_parents_running(service: Running) -> None:
    service.define(
        """version: '2.0'
above: {tasks: {call: {workflow: below}}}
below: {tasks: {t: {action: std.fail, on-error: wait}, wait: {action: std.async_noop, on-complete: fail}}}
"""
    )
    execution_id = service.start("above")["id"]
    listed = "/v2/tasks?name=wait&workflow_name=below"
    wait = service.until(listed, lambda found: len(found["tasks"]) == 1)["tasks"][0]
    (action,) = service.actions(wait["id"])
    service.put(f"/v2/action_executions/{action['id']}", {"state": "SUCCESS"})
    assert service.finish(execution_id)["state"] == "ERROR"
    (failed,) = service.items("/v2/tasks?name=t")
    assert service.put(f"/v2/tasks/{failed['id']}", {"state": "RUNNING", "reset": True}).status == 200
    service.until(
        "/v2/executions",
        lambda found: all(item["state"] == "RUNNING" for item in found["executions"]),
    )
    assert service.tasks(execution_id)["call"]["state"] == "RUNNING"


@pytest.mark.spec("API223")
def test_a_single_read_shows_chosen_fields(service: Running) -> None:
    _, task_id = failed_task(service)
    url = f"/v2/tasks/{task_id}"
    assert set(service.get(f"{url}?fields=name,state,result").json) == {"id", "name", "state", "result"}
    assert set(service.get(f"{url}?fields=name,published_global").json) == {"id", "name"}
    assert service.get(f"{url}?fields=bogus").status == 400
    assert service.get(f"/v2/tasks/{ANY_UUID}").status == 404
    assert service.get("/v2/tasks/1a2b3c").status == 404


@pytest.mark.spec("API224", "API225")
def test_the_actions_of_a_task(service: Running) -> None:
    service.define(RESULTS)
    execution_id = service.start("results")["id"]
    service.until(
        f"/v2/tasks?name=items&workflow_execution_id={execution_id}&state=SUCCESS",
        lambda found: found["tasks"],
    )
    task_id = service.tasks(execution_id)["items"]["id"]
    url = f"/v2/tasks/{task_id}/action_executions"
    actions = service.items(url)
    assert [json.loads(item["input"]) for item in actions] == [{"output": 1}, {"output": 2}]
    assert all(item["task_name"] == "items" for item in actions)
    assert all("output" not in item for item in actions)
    assert all("output" in item for item in service.items(f"{url}?include_output=true"))
    assert len(service.items(f"{url}?state=SUCCESS")) == 2
    assert service.get(f"{url}?task_execution_id={task_id}").status == 400
    assert service.items(f"/v2/tasks/{ANY_UUID}/action_executions") == []
    assert service.get("/v2/tasks/abc/action_executions").status == 400
    page = service.get(f"{url}?limit=1").json
    assert "/v2/action_executions?" in page["next"] and f"task_execution_id=eq:{task_id}" in page["next"]
    pages = service.follow(f"{url}?limit=1")
    assert [item["id"] for items in pages for item in items] == [item["id"] for item in actions]
    one = service.get(f"{url}/{actions[0]['id']}").json
    assert one == service.get(f"/v2/action_executions/{actions[0]['id']}").json
    other = service.tasks(execution_id)["text"]["id"]
    assert service.get(f"/v2/tasks/{other}/action_executions/{actions[0]['id']}").status == 404


@pytest.mark.spec("API226")
def test_the_executions_of_a_task(service: Running) -> None:
    service.define(
        """version: '2.0'
top: {tasks: {call: {workflow: middle}, plain: {action: std.noop}}}
middle: {tasks: {deep: {workflow: bottom}}}
bottom: {tasks: {b: {action: std.noop}}}
"""
    )
    execution_id = service.start("top", wait=20)["id"]
    call = service.tasks(execution_id)["call"]["id"]
    (direct,) = service.items(f"/v2/tasks/{call}/workflow_executions")
    assert direct["workflow_name"] == "middle"
    assert {"params", "input"} <= set(direct)
    tree = [item["workflow_name"] for item in service.items(f"/v2/tasks/{call}/executions")]
    assert tree == ["middle", "bottom"]
    assert len(service.items(f"/v2/tasks/{call}/executions?max_depth=0")) == 1
    assert service.items(f"/v2/tasks/{call}/executions?errors_only=True") == []
    assert service.items(f"/v2/tasks/{ANY_UUID}/workflow_executions") == []
    assert service.get("/v2/tasks/abc/workflow_executions").status == 400
    assert service.get(f"/v2/tasks/{ANY_UUID}/executions").status == 404
    for refused in ("task_execution_id=" + ANY_UUID, "include_output=true", "nulls=description"):
        assert service.get(f"/v2/tasks/{call}/workflow_executions?{refused}").status == 400
    link = service.get(f"/v2/tasks/{call}/workflow_executions?limit=1").json["next"]
    assert "/v2/executions?" in link and f"task_execution_id=eq:{call}" in link


def test_answers_are_the_same_while_many_ask(service: Running) -> None:
    execution_id, task_id = failed_task(service)
    shown: list[Any] = [service.get(f"/v2/tasks/{task_id}").json for _ in range(3)]
    assert shown[0] == shown[1] == shown[2]
    assert shown[0]["workflow_execution_id"] == execution_id


@pytest.mark.spec("API65")
def test_what_was_created_at_once_has_an_order_all_the_same(service: Running) -> None:
    names = [f"t{number}" for number in range(6)]
    tasks = "".join(
        f"    {name}: {{action: std.noop, on-success: {after}}}\n"
        for name, after in itertools.pairwise(names)
    )
    service.define(f"version: '2.0'\nchain:\n  tasks:\n{tasks}    t5: {{action: std.noop}}\n")
    execution_id = service.start("chain", wait=20)["id"]
    url = f"/v2/executions/{execution_id}/tasks"
    assert service.names(url) == names
    assert service.names(f"{url}?sort_dirs=desc") == names[::-1]
    for direction, expected in (("asc", names), ("desc", names[::-1])):
        pages = service.follow(f"{url}?sort_keys=created_at&sort_dirs={direction}&limit=2")
        assert [item["name"] for page in pages for item in page] == expected
