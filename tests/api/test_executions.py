"""Executions over the API: starting, watching, changing, deleting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.lab import ANY_UUID
from tests.api.running import Running

from tramontane.store.executions import Executions

SIMPLE = """version: '2.0'
simple:
  input: [a, {b: 2}]
  tags: [x]
  output: {r: <% $.a + $.b %>}
  tasks:
    t: {action: std.echo output=<% $.a %>, publish: {v: <% task().result %>}}
"""
WAITING = """version: '2.0'
waiting:
  tasks:
    ask: {action: std.async_noop, on-success: after}
    after: {action: std.noop}
"""
FAILING = "version: '2.0'\nfailing: {tasks: {t: {action: std.fail}}}\n"
NESTED = """version: '2.0'
parent:
  tasks:
    one: {workflow: child, on-success: two}
    two: {workflow: middle}
middle:
  tasks:
    deep: {workflow: child}
child:
  tasks:
    c: {action: std.noop}
"""
NESTED_WAITING = """version: '2.0'
outer:
  tasks:
    call: {workflow: inner}
inner:
  tasks:
    ask: {action: std.async_noop}
"""
COLUMNS = {
    "id",
    "workflow_id",
    "workflow_name",
    "workflow_namespace",
    "description",
    "task_execution_id",
    "root_execution_id",
    "state",
    "state_info",
    "created_at",
    "updated_at",
}


@pytest.mark.spec("API161", "API170", "API177")
def test_a_start_answers_with_the_execution_as_it_was_at_the_start(service: Running) -> None:
    service.define(SIMPLE)
    started = service.start("simple", input={"a": 1})
    assert set(started) >= COLUMNS
    assert (started["state"], started["output"], started["state_info"]) == ("RUNNING", "{}", None)
    assert json.loads(started["params"]) == {"namespace": "", "env": {}}
    assert started["description"] == ""
    assert started["tags"] == ["x"]
    assert started["updated_at"] is not None
    assert (started["root_execution_id"], started["task_execution_id"]) == (None, None)
    assert "published_global" not in started and "source_execution_id" not in started


def test_a_start_that_waits_shows_the_end(service: Running) -> None:
    service.define(SIMPLE + WAITING.removeprefix("version: '2.0'\n"))
    ended = service.start("simple", wait=20, input={"a": 1})
    assert ended["state"] == "SUCCESS"
    assert json.loads(ended["output"]) == {"r": 3}
    assert service.start("waiting", wait=0.01)["state"] == "RUNNING"
    for bad in ("x", "-1", "nan", "inf"):
        assert service.post(f"/v2/executions?wait={bad}", {"workflow_name": "waiting"}).status == 400


@pytest.mark.spec("API162")
def test_a_workflow_is_named_by_id_or_name_in_either_key(service: Running) -> None:
    (workflow,) = service.define(SIMPLE)
    for key in ("workflow_id", "workflow_name"):
        for identifier in (workflow["id"], "simple"):
            answer = service.post("/v2/executions", {key: identifier, "input": {"a": 1}})
            assert answer.status == 201
            assert answer.json["workflow_id"] == workflow["id"]
    both = service.post("/v2/executions", {"workflow_id": "", "workflow_name": "simple", "input": {"a": 1}})
    assert both.status == 201


@pytest.mark.spec("API163", "API164")
def test_input_comes_as_object_or_text_and_is_completed(service: Running) -> None:
    service.define(SIMPLE + WAITING.removeprefix("version: '2.0'\n"))
    for given in ({"a": 1}, '{"a": 1}'):
        assert json.loads(service.start("simple", input=given)["input"]) == {"a": 1, "b": 2}
    assert service.start("waiting", input=None)["input"] == "{}"
    assert service.start("waiting", input={})["input"] == "{}"


@pytest.mark.spec("API165", "D57", "D58")
@pytest.mark.parametrize("given", [{}, {"a": 1, "zz": 2}, "zz", "[1]", 5, "", [1]])
def test_wrong_input_is_refused(service: Running, given: Any) -> None:
    service.define(SIMPLE)
    answer = service.post("/v2/executions", {"workflow_name": "simple", "input": given})
    assert answer.status == 400
    assert service.items("/v2/executions") == []


@pytest.mark.spec("D57", "D58")
def test_refused_input_is_named(service: Running) -> None:
    service.define(SIMPLE)
    fault = service.post("/v2/executions", {"workflow_name": "simple", "input": {"zz": 2}}).fault
    assert "Invalid input" in fault
    assert "missing=['a']" in fault
    assert "unexpected=['zz']" in fault


@pytest.mark.spec("API166", "API167")
def test_a_start_needs_an_existing_workflow(service: Running) -> None:
    service.define(WAITING, "?namespace=n")
    assert service.post("/v2/executions", {}).status == 400
    assert service.post("/v2/executions", {"workflow_name": ""}).status == 400
    assert service.post("/v2/executions", {"workflow_name": "nope"}).status == 404
    assert service.post("/v2/executions", {"workflow_id": ANY_UUID}).status == 404
    assert service.post("/v2/executions", {"workflow_name": "waiting"}).status == 404
    bad = {"workflow_name": "waiting", "workflow_namespace": {"a": 1}}
    assert service.post("/v2/executions", bad).status == 400
    started = service.start("waiting", workflow_namespace="n")
    assert started["workflow_namespace"] == "n"
    assert json.loads(started["params"])["namespace"] == "n"


@pytest.mark.spec("API168", "API169")
def test_environments_come_by_value_or_by_name(service: Running) -> None:
    service.define("version: '2.0'\nshow: {output: {v: <% env().x %>}, tasks: {t: {action: std.noop}}}\n")
    service.post("/v2/environments", {"name": "e", "variables": {"x": "named"}})

    def output(params: Any) -> Any:
        return json.loads(service.start("show", wait=20, params=params)["output"])["v"]

    assert output({"env": {"x": 1}}) == 1
    assert output('{"env": {"x": 1}}') == 1
    assert output({"env": "e"}) == "named"
    assert output({"env": {"x": "<% 1 + 1 %>"}}) == 2
    kept = service.start("show", params={"env": {"x": "<% 1 + 1 %>"}, "evaluate_env": False})
    assert json.loads(kept["params"])["env"] == {"x": "<% 1 + 1 %>"}
    answer = service.post("/v2/executions", {"workflow_name": "show", "params": {"env": "unknown"}})
    assert answer.status == 400
    assert "unknown" in answer.fault
    bad = service.post("/v2/executions", {"workflow_name": "show", "params": {"env": {"x": "<% $.%>"}}})
    assert bad.status == 400


def test_unknown_parameters_are_kept(service: Running) -> None:
    service.define(WAITING)
    started = service.start("waiting", params={"read_only": True, "mine": [1]})
    params = json.loads(started["params"])
    assert (params["read_only"], params["mine"]) == (True, [1])


@pytest.mark.spec("API171", "D141")
def test_a_reverse_workflow_needs_a_target(service: Running) -> None:
    service.define("version: '2.0'\nback: {type: reverse, tasks: {t: {action: std.noop}}}\n")
    for params in ({}, {"task_name": "unknown"}):
        assert service.post("/v2/executions", {"workflow_name": "back", "params": params}).status == 400
    assert service.start("back", wait=20, params={"task_name": "t"})["state"] == "SUCCESS"


@pytest.mark.spec("API172", "API173")
def test_a_chosen_id_starts_once(service: Running) -> None:
    service.define(SIMPLE + WAITING.removeprefix("version: '2.0'\n"))
    for chosen in (ANY_UUID, "my own id"):
        first = service.start("simple", wait=20, id=chosen, input={"a": 1})
        assert first["id"] == chosen
        again = service.post("/v2/executions", {"id": chosen, "workflow_name": "waiting"})
        assert again.status == 201
        assert again.json == first
        assert again.json["state"] == "SUCCESS"
    assert len(service.items("/v2/executions")) == 2
    generated = service.start("waiting", id="")
    assert len(generated["id"]) == 36
    assert service.post("/v2/executions", {"workflow_name": "waiting", "id": "x" * 37}).status == 400


@pytest.mark.spec("API174", "API175")
def test_starting_again_like_another_execution(service: Running) -> None:
    (workflow,) = service.define(SIMPLE)
    source = service.start("simple", input={"a": 1, "b": 5}, params={"env": {"k": 1}}, description="mine")
    again = service.post("/v2/executions", {"source_execution_id": source["id"], "description": "redo"}).json
    assert again["id"] != source["id"]
    assert again["workflow_id"] == workflow["id"]
    assert json.loads(again["input"]) == {"a": 1, "b": 5}
    assert json.loads(again["params"])["env"] == {"k": 1}
    assert again["description"] == f"redo Based on the execution '{source['id']}'"
    changed = service.post("/v2/executions", {"source_execution_id": source["id"], "input": {"b": 7}}).json
    assert json.loads(changed["input"]) == {"a": 1, "b": 7}
    assert changed["description"] == f"Based on the execution '{source['id']}'"
    assert service.post("/v2/executions", {"source_execution_id": ANY_UUID}).status == 404


@pytest.mark.spec("API176", "API177", "API178")
def test_what_a_start_ignores_and_what_it_refuses(service: Running) -> None:
    service.define(WAITING)
    started = service.start("waiting", state="ERROR", output={"x": 1}, created_at="2000-01-01 00:00:00")
    assert started["state"] == "RUNNING"
    assert not started["created_at"].startswith("2000")
    assert service.start("waiting", description=None)["description"] is None
    assert service.start("waiting", description="d" * 255)["description"] == "d" * 255
    assert (
        service.post("/v2/executions", {"workflow_name": "waiting", "description": "d" * 256}).status == 400
    )
    service.define("version: '2.0'\nbig: {input: [a], tasks: {t: {action: std.noop}}}\n")
    huge = {"workflow_name": "big", "input": {"a": "x" * (10241 * 1024)}}
    answer = service.post("/v2/executions", huge)
    assert answer.status == 400
    assert answer.json["code"] == "size-limit"


@pytest.mark.spec("API179")
def test_global_variables_show_on_the_single_read(service: Running) -> None:
    service.define(
        """version: '2.0'
with:
  vars: {secret: 1}
  tasks:
    t:
      action: std.noop
      on-success:
        publish: {global: {g: 5}}
without:
  vars: {secret: 1}
  tasks: {t: {action: std.noop}}
"""
    )
    for name, shown in (("with", {"g": 5}), ("without", {})):
        execution = service.finish(service.start(name)["id"])
        assert json.loads(execution["published_global"]) == shown
        assert isinstance(execution["output"], str)


@pytest.mark.spec("API180", "API181")
def test_a_single_read_shows_chosen_fields(service: Running) -> None:
    service.define(WAITING)
    url = f"/v2/executions/{service.start('waiting')['id']}"
    assert set(service.get(f"{url}?fields=state,input").json) == {"id", "state", "input"}
    assert service.get(f"{url}?fields=bogus").status == 400
    assert service.get(f"{url}?nonsense=1").status == 400
    assert service.get(f"/v2/executions/{ANY_UUID}").status == 404
    assert service.get("/v2/executions/1a2b3c").status == 404


@pytest.mark.spec("API185", "API186", "API187")
def test_a_change_must_change_something(service: Running) -> None:
    service.define(WAITING)
    url = f"/v2/executions/{service.start('waiting')['id']}"
    body: dict[str, Any]
    for body in ({}, {"workflow_name": "x"}, {"state": ""}, {"state": None}, {"params": {"env": {}}}):
        assert service.put(url, body).status == 400
    changed = service.put(url, {"description": "new"})
    assert (changed.status, changed.json["description"]) == (200, "new")
    assert service.put(url, {"description": "x", "state": "PAUSED"}).status == 400
    assert service.put(url, {"project_id": "x", "state": "PAUSED"}).status == 400
    for state in ("PAUSED", "STOPPED"):
        assert service.put(f"/v2/executions/{ANY_UUID}", {"state": state}).status == 404


@pytest.mark.spec("API188", "API189")
def test_pausing_and_resuming_reach_sub_executions(service: Running) -> None:
    service.define(NESTED_WAITING)
    started = service.start("outer")
    url = f"/v2/executions/{started['id']}"
    below = f"/v2/executions?root_execution_id={started['id']}"
    service.until(below, lambda found: len(found["executions"]) == 1)
    for _ in range(2):
        answer = service.put(url, {"state": "PAUSED"})
        assert (answer.status, answer.json["state"]) == (200, "PAUSED")
    service.until(below, lambda found: found["executions"][0]["state"] == "PAUSED")
    resumed = service.put(url, {"state": "RUNNING", "params": {"env": {"k": 1}}})
    assert (resumed.status, resumed.json["state"]) == (200, "RUNNING")
    assert json.loads(resumed.json["params"])["env"] == {"k": 1}
    service.until(below, lambda found: found["executions"][0]["state"] == "RUNNING")
    again = service.put(url, {"state": "RUNNING"})
    assert (again.status, again.json["state"]) == (200, "RUNNING")


@pytest.mark.spec("API189", "API193")
def test_a_finished_execution_can_not_be_moved(service: Running) -> None:
    service.define(SIMPLE)
    ended = service.start("simple", wait=20, input={"a": 1})
    url = f"/v2/executions/{ended['id']}"
    assert service.put(url, {"state": "PAUSED"}).status == 400
    for state in ("RUNNING", "SUCCESS", "ERROR", "CANCELLED"):
        answer = service.put(url, {"state": state})
        assert (answer.status, answer.json["state"]) == (200, "SUCCESS"), state


@pytest.mark.spec("API190", "API191", "API192")
def test_where_the_environment_may_change(service: Running) -> None:
    service.define(WAITING)
    url = f"/v2/executions/{service.start('waiting', params={'env': {'a': {'x': 1}}})['id']}"
    change = {"params": {"env": {"a": {"y": 2}}}}
    assert service.put(url, {"state": "CANCELLED", **change}).status == 400
    assert service.put(url, change).status == 403
    assert service.put(url, {"description": "new", **change}).status == 403
    assert service.get(url).json["description"] == ""
    assert service.put(url, {"params": {"env": "text"}}).status == 400
    service.put(url, {"state": "PAUSED"})
    answer = service.put(url, {"description": "new", **change})
    assert answer.status == 200
    assert json.loads(answer.json["params"])["env"] == {"a": {"x": 1, "y": 2}}
    assert answer.json["description"] == "new"
    service.put(url, {"state": "ERROR"})
    assert service.put(url, {"params": '{"env": {"b": 3}}'}).status == 200
    assert json.loads(service.get(url).json["params"])["env"] == {"a": {"x": 1, "y": 2}, "b": 3}


@pytest.mark.spec("API193", "API194", "API196")
def test_stopping(service: Running) -> None:
    service.define(WAITING)

    def running() -> str:
        return f"/v2/executions/{service.start('waiting')['id']}"

    forced = service.put(running(), {"state": "ERROR", "state_info": "Forced"}).json
    assert (forced["state"], forced["state_info"]) == ("ERROR", "Forced")
    assert service.put(running(), {"state": "SUCCESS", "state_info": "ok"}).json["state"] == "SUCCESS"
    paused = running()
    service.put(paused, {"state": "PAUSED"})
    assert service.put(paused, {"state": "SUCCESS"}).status == 400
    assert service.put(paused, {"state": "ERROR"}).json["state"] == "ERROR"
    for state in ("IDLE", "BOGUS", "running", "SKIPPED", "DELAYED"):
        assert service.put(running(), {"state": state}).status == 400


@pytest.mark.spec("API195")
def test_cancelling_reaches_sub_executions(service: Running) -> None:
    service.define(NESTED_WAITING)
    started = service.start("outer")
    below = f"/v2/executions?root_execution_id={started['id']}"
    service.until(below, lambda found: len(found["executions"]) == 1)
    answer = service.put(f"/v2/executions/{started['id']}", {"state": "CANCELLED", "state_info": "enough"})
    assert (answer.json["state"], answer.json["state_info"]) == ("CANCELLED", "enough")
    service.until(below, lambda found: found["executions"][0]["state"] == "CANCELLED")


@pytest.mark.spec("L7")
def test_a_recursive_termination_ends_the_tree(service: Running) -> None:
    service.define(NESTED_WAITING)
    started = service.start("outer")
    below = f"/v2/executions?root_execution_id={started['id']}"
    inner = service.until(below, lambda found: len(found["executions"]) == 1)["executions"][0]
    tasks = f"/v2/executions/{inner['id']}/tasks"
    service.until(tasks, lambda found: [each["state"] for each in found["tasks"]] == ["RUNNING"])
    answer = service.put(
        f"/v2/executions/{started['id']}",
        {"state": "ERROR", "state_info": "enough", "params": {"recursive_terminate": True}},
    )
    assert (answer.status, answer.json["state"]) == (200, "ERROR")
    service.until(below, lambda found: found["executions"][0]["state"] == "ERROR")
    service.until(tasks, lambda found: [each["state"] for each in found["tasks"]] == ["ERROR"])


@pytest.mark.spec("L9")
def test_a_forced_cancel_ends_running_tasks_at_once(service: Running) -> None:
    service.define(WAITING)
    started = service.start("waiting")
    url = f"/v2/executions/{started['id']}"
    service.until(f"{url}/tasks", lambda found: len(found["tasks"]) == 1)
    answer = service.put(url, {"state": "CANCELLED", "params": {"force_cancel": True}})
    assert (answer.status, answer.json["state"]) == (200, "CANCELLED")
    [task] = service.until(f"{url}/tasks", lambda found: found["tasks"][0]["state"] == "ERROR")["tasks"]
    assert task["state_info"] == "Task was failed due to workflow force cancel."


@pytest.mark.spec("API197")
def test_deleting_unfinished_executions_takes_force(service: Running) -> None:
    service.define(WAITING + SIMPLE.removeprefix("version: '2.0'\n"))
    running = f"/v2/executions/{service.start('waiting')['id']}"
    for query in ("", "?force=false", "?force="):
        assert service.delete(running + query).status == 403
    assert service.delete(f"{running}?force=maybe").status == 400
    assert service.delete(f"{running}?force=True").status == 204
    finished = f"/v2/executions/{service.start('simple', wait=20, input={'a': 1})['id']}"
    assert service.delete(finished).status == 204
    assert service.delete(finished).status == 404
    assert service.get(finished).status == 404


@pytest.mark.spec("API198")
def test_deleting_takes_everything_below_along(service: Running) -> None:
    service.define(NESTED)
    started = service.start("parent", wait=20)
    other = service.start("child", wait=20)
    assert service.delete(f"/v2/executions/{started['id']}").status == 204
    assert [item["id"] for item in service.items("/v2/executions")] == [other["id"]]
    assert {item["workflow_execution_id"] for item in service.items("/v2/tasks")} == {other["id"]}
    assert len(service.items("/v2/action_executions")) == 1


@pytest.mark.spec("API126")
def test_executions_outlive_their_definition(service: Running) -> None:
    (workflow,) = service.define(SIMPLE)
    ended = service.start("simple", wait=20, input={"a": 1})
    assert service.delete("/v2/workflows/simple").status == 204
    shown = service.execution(ended["id"])
    assert (shown["workflow_id"], shown["workflow_name"]) == (workflow["id"], "simple")


@pytest.mark.spec("API199")
def test_the_tasks_of_an_execution(service: Running) -> None:
    service.define(NESTED)
    started = service.start("parent", wait=20)
    url = f"/v2/executions/{started['id']}/tasks"
    assert service.names(url) == ["one", "two"]
    assert service.names(f"{url}?name=two") == ["two"]
    assert service.get(f"{url}?workflow_execution_id={ANY_UUID}").status == 400
    assert service.get("/v2/executions/abc/tasks").status == 400
    assert service.get(f"/v2/executions/{ANY_UUID}/tasks").status == 404
    page = service.get(f"{url}?limit=1").json
    assert page["next"].startswith("http://localhost:8989/v2/tasks?")
    assert f"workflow_execution_id=eq:{started['id']}" in page["next"]
    assert [item["name"] for items in service.follow(f"{url}?limit=1") for item in items] == ["one", "two"]


@pytest.mark.spec("API200", "API201", "API202", "API184")
def test_sub_executions_come_in_the_order_of_calls(service: Running) -> None:
    service.define(NESTED)
    started = service.start("parent", wait=20)
    url = f"/v2/executions/{started['id']}/executions"

    def names(query: str = "") -> list[str]:
        return [item["workflow_name"] for item in service.items(url + query)]

    assert names() == ["parent", "child", "middle", "child"]
    assert names("?max_depth=-1&errors_only=") == names()
    assert names("?max_depth=0") == ["parent"]
    assert names("?max_depth=1") == ["parent", "child", "middle"]
    assert names("?errors_only=True") == ["parent"]
    assert service.items(url)[0]["id"] == started["id"]
    assert all("output" not in item and "input" in item for item in service.items(url))
    assert all("output" in item for item in service.items(f"{url}?include_output=true"))
    assert service.get(f"{url}?max_depth=x").status == 400
    assert service.get(f"{url}?limit=1").status == 400
    assert service.get("/v2/executions/abc/executions").status == 400
    assert service.get(f"/v2/executions/{ANY_UUID}/executions").status == 404
    assert len(service.items(f"/v2/executions?root_execution_id={started['id']}")) == 3
    middle = service.items("/v2/executions?workflow_name=middle")[0]
    below = [item["workflow_name"] for item in service.items(f"/v2/executions/{middle['id']}/executions")]
    assert below == ["middle", "child"]
    assert middle["root_execution_id"] == started["id"]
    direct = service.items(f"/v2/executions?task_execution_id={middle['task_execution_id']}")
    assert [item["id"] for item in direct] == [middle["id"]]


@pytest.mark.spec("API201", "API205")
def test_only_what_failed(service: Running) -> None:
    service.define(
        """version: '2.0'
mixed:
  tasks:
    good: {workflow: fine}
    bad: {workflow: broken}
fine: {tasks: {f: {action: std.noop}}}
broken: {tasks: {b: {action: std.fail}, ok: {action: std.noop}}}
"""
    )
    url = f"/v2/executions/{service.start('mixed', wait=20)['id']}"
    listed = service.items(f"{url}/executions?errors_only=True")
    assert [item["workflow_name"] for item in listed] == ["mixed", "broken"]
    report = service.get(f"{url}/report?errors_only=true").json
    (bad,) = report["root_workflow_execution"]["task_executions"]
    assert bad["name"] == "bad"
    assert [item["name"] for item in bad["workflow_executions"][0]["task_executions"]] == ["b"]
    assert report["statistics"]["total_tasks_count"] == report["statistics"]["error_tasks_count"] == 2
    whole = service.get(f"{url}/report").json
    assert whole == service.get(f"{url}/report?errors_only=false").json
    assert whole["statistics"]["total_tasks_count"] == 5
    assert whole["statistics"]["success_tasks_count"] == 3


@pytest.mark.spec("API203", "API204", "API206", "API209")
def test_the_report_nests_tasks_actions_and_sub_workflows(service: Running) -> None:
    service.define(NESTED)
    url = f"/v2/executions/{service.start('parent', wait=20)['id']}/report"
    report = service.get(url).json
    root = report["root_workflow_execution"]
    assert (root["name"], root["state"]) == ("parent", "SUCCESS")
    one, two = root["task_executions"]
    assert (one["name"], one["action_executions"]) == ("one", [])
    (child,) = one["workflow_executions"]
    (task,) = child["task_executions"]
    (action,) = task["action_executions"]
    assert action["name"] == "std.noop"
    assert action["accepted"] is True
    assert action["last_heartbeat"] is None, "nobody runs it any more"
    deep = two["workflow_executions"][0]["task_executions"][0]["workflow_executions"][0]
    assert deep["name"] == "child"
    assert report["statistics"] == {
        "total_tasks_count": 5,
        "running_tasks_count": 0,
        "success_tasks_count": 5,
        "error_tasks_count": 0,
        "idle_tasks_count": 0,
        "paused_tasks_count": 0,
        "estimated_time": 0,
    }
    shallow = service.get(f"{url}?max_depth=0").json
    (called,) = shallow["root_workflow_execution"]["task_executions"][0]["workflow_executions"]
    assert "task_executions" not in called
    assert shallow["statistics"]["total_tasks_count"] == 2
    counted = service.get(f"{url}?statistics_only=true").json
    assert set(counted) == {"statistics"}
    assert counted["statistics"] == report["statistics"]
    assert service.get(f"{url}?max_depth=x").status == 400
    assert service.get(f"/v2/executions/{ANY_UUID}/report").status == 404
    assert service.get("/v2/executions/abc/report").status == 400


@pytest.mark.spec("API207")
def test_the_report_counts_retries_where_there_were_some(service: Running) -> None:
    service.define(
        """version: '2.0'
stubborn:
  tasks:
    tries: {action: std.fail, retry: {count: 2, delay: 0}, on-error: plain}
    plain: {action: std.noop}
"""
    )
    url = f"/v2/executions/{service.start('stubborn', wait=20)['id']}/report"
    tries, plain = service.get(url).json["root_workflow_execution"]["task_executions"]
    assert tries["retry_count"] == 2
    assert len(tries["action_executions"]) == 3
    assert "retry_count" not in plain


@pytest.mark.spec("API208")
def test_the_report_estimates_from_earlier_executions(service: Running) -> None:
    service.define(WAITING)

    def estimate(execution_id: str) -> Any:
        return service.get(f"/v2/executions/{execution_id}/report").json["statistics"]["estimated_time"]

    first = service.start("waiting")["id"]
    assert estimate(first) == -1
    service.put(f"/v2/executions/{first}", {"state": "SUCCESS"})
    assert estimate(first) == 0
    assert estimate(service.start("waiting")["id"]) == 1


def test_an_execution_that_nobody_runs_any_more_says_why(service: Running) -> None:
    service.define(WAITING)
    execution_id = service.start("waiting")["id"]
    assert "parked" not in service.execution(execution_id)
    service.run(Executions(service.node.database).park(execution_id, "it can't be written"))
    assert service.execution(execution_id)["parked"] == "it can't be written"
    assert "parked" not in service.get(f"/v2/executions/{execution_id}?fields=state").json


def test_a_parked_execution_goes_on_when_it_is_resumed(service: Running) -> None:
    service.define(
        "{version: '2.0', wf: {tasks: {ask: {action: std.async_noop, on-success: b}, b: {action: std.noop}}}}"
    )
    execution_id = service.start("wf")["id"]
    action = service.get("/v2/action_executions").json["action_executions"][0]["id"]
    service.run(Executions(service.node.database).park(execution_id, "a bug"))
    service.run(service.node.engine.forget([execution_id]))
    refused = service.put(f"/v2/action_executions/{action}", {"state": "SUCCESS"})
    assert (refused.status, refused.json["code"]) == (400, "parked")
    paused = service.put(f"/v2/executions/{execution_id}", {"state": "PAUSED"})
    assert (paused.status, paused.json["code"]) == (400, "parked")
    assert service.put(f"/v2/executions/{execution_id}", {"state": "RUNNING"}).status == 200
    assert "parked" not in service.execution(execution_id)
    assert service.put(f"/v2/action_executions/{action}", {"state": "SUCCESS"}).status == 200
    assert service.finish(execution_id)["state"] == "SUCCESS"


def test_waiting_for_the_end_of_an_execution_that_goes_on_costs_its_time_only(service: Running) -> None:
    service.define(WAITING)
    started = service.start("waiting")
    assert service.get(f"/v2/executions/{started['id']}?wait=0.01").json["state"] == "RUNNING"
    assert service.get(f"/v2/executions/{ANY_UUID}?wait=1").status == 404


def attributes(data: Any) -> Iterator[tuple[str, Any]]:
    """All attributes of an answer, at any depth."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key, value
            yield from attributes(value)
    elif isinstance(data, list):
        for item in data:
            yield from attributes(item)


@pytest.mark.spec("API25", "API74")
def test_every_time_has_one_form_and_everything_belongs_to_the_default_project(service: Running) -> None:
    service.post("/v2/environments", {"name": "e"})
    service.post("/v2/actions", "version: '2.0'\na: {base: std.noop}\n")
    service.post("/v2/workbooks", "version: '2.0'\nname: wb\n")
    service.define(NESTED)
    started = service.start("parent", wait=20)
    alone = {"name": "std.noop", "params": {"save_result": True, "run_sync": True}}
    answers = [started, service.post("/v2/action_executions", alone).json]
    for path in ("environments", "actions", "workbooks", "workflows"):
        answers += [service.get(f"/v2/{path}/{item['name']}").json for item in service.items(f"/v2/{path}")]
    for path in ("executions", "tasks", "action_executions"):
        answers += [service.get(f"/v2/{path}/{item['id']}").json for item in service.items(f"/v2/{path}")]
        answers += service.items(f"/v2/{path}")
    answers.append(service.get(f"/v2/executions/{started['id']}/report").json)
    found = [pair for data in answers for pair in attributes(data)]
    times = [value for name, value in found if name.endswith("_at") and value not in (None, "")]
    assert len(times) > 50
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", value) for value in times)
    projects = {value for name, value in found if name == "project_id"}
    assert projects == {"<default-project>", None}


def test_unfinished_executions_are_found_by_their_states_wherever_they_stand(service: Running) -> None:
    """They are looked up by another way than ended ones: none of them may be missing."""
    service.define(NESTED_WAITING)
    service.define(FAILING)
    service.start("failing", wait=20)
    running = service.start("outer")["id"]
    paused = service.start("outer")["id"]
    service.until("/v2/executions?workflow_name=inner", lambda data: len(data["executions"]) == 2)
    service.put(f"/v2/executions/{paused}", {"state": "PAUSED"})
    service.until("/v2/executions?state=PAUSED", lambda data: len(data["executions"]) == 2)

    def found(query: str) -> list[tuple[str, str]]:
        return sorted(
            (item["workflow_name"], item["state"]) for item in service.items(f"/v2/executions?{query}")
        )

    assert found("state=RUNNING") == [("inner", "RUNNING"), ("outer", "RUNNING")]
    assert found("state=in:RUNNING,PAUSED,nonsense") == [
        ("inner", "PAUSED"),
        ("inner", "RUNNING"),
        ("outer", "PAUSED"),
        ("outer", "RUNNING"),
    ]
    assert found("state=in:RUNNING,ERROR") == [
        ("failing", "ERROR"),
        ("inner", "RUNNING"),
        ("outer", "RUNNING"),
    ]
    assert found("state=neq:RUNNING") == [("failing", "ERROR"), ("inner", "PAUSED"), ("outer", "PAUSED")]
    assert found(f"state=RUNNING&root_execution_id={running}") == [("inner", "RUNNING")]
