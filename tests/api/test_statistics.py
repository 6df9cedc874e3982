"""What large users ask of big trees: unhandled errors, counts of tasks and of items."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.lab import ANY_UUID
from tests.api.running import Running

from tramontane.store.reads.reader import DatabaseReader

ERRORS = """version: '2.0'
top:
  tasks:
    good: {action: std.noop}
    handled: {workflow: inner, on-error: good_too}
    good_too: {action: std.noop}
    first: {workflow: inner}
    retried: {action: std.fail, retry: {count: 1, delay: 0}}
    items:
      with-items: i in [0, 1, 2]
      action: std.fail
      input: {error_data: {x: <% $.i %>}}
    refused: {action: std.noop, fail-on: true}
inner:
  tasks:
    a: {action: std.echo output=1, on-success: b}
    b: {action: std.fail}
"""
ITEMS = """version: '2.0'
many:
  input: [count]
  tasks:
    t:
      with-items: i in <% range(0, $.count) %>
      action: std.async_noop
      concurrency: 3
called:
  tasks:
    t: {with-items: 'i in [1, 2]', workflow: one}
one: {tasks: {n: {action: std.async_noop}}}
plain: {tasks: {t: {action: std.noop}}}
"""
TREE = """version: '2.0'
root:
  tasks:
    a: {action: std.noop, on-success: j}
    b: {workflow: leaf}
    c: {action: std.fail, on-error: d}
    d: {action: std.async_noop}
    e: {action: std.noop, wait-before: 100000}
    j: {join: all}
    k: {action: std.async_noop, on-success: j}
leaf:
  tasks:
    x: {action: std.noop}
    y: {action: std.async_noop}
"""
NONE = dict.fromkeys(
    ("RUNNING", "SUCCESS", "ERROR", "IDLE", "PAUSED", "SKIPPED", "WAITING", "DELAYED", "CANCELLED"), 0
)


def errors(service: Running, execution_id: str) -> list[dict[str, Any]]:
    answer = service.get(f"/v2/executions/{execution_id}/errors_report")
    assert answer.status == 200, answer
    assert set(answer.json) == {"errors"}
    found = answer.json["errors"]
    assert isinstance(found, list)
    return found


def places(found: list[dict[str, Any]]) -> list[str]:
    """Each error as the path of names that leads to it."""
    names: dict[str, str] = {}
    for item in found:
        above = "" if item["parent_id"] is None else f"{names[item['parent_id']]}/"
        names[item["id"]] = f"{above}{item['name']}"
    return [names[item["id"]] for item in found]


@pytest.mark.spec("L2")
def test_errors_that_nothing_handled_are_listed_in_the_order_of_the_tree(service: Running) -> None:
    service.define(ERRORS)
    execution = service.start("top", wait=20)
    assert execution["state"] == "ERROR"
    found = errors(service, execution["id"])
    assert places(found) == [
        "top",
        "top/first",
        "top/first/inner",
        "top/first/inner/b",
        "top/first/inner/b/std.fail",
        "top/retried",
        "top/retried/std.fail",
        "top/retried/std.fail",
        "top/items",
        "top/items/std.fail",
        "top/items/std.fail",
        "top/items/std.fail",
        "top/refused",
    ]
    kinds = [item["type"] for item in found]
    assert kinds == [
        "WORKFLOW",
        "TASK",
        "WORKFLOW",
        *["TASK", "ACTION"],
        *["TASK", "ACTION", "ACTION"],
        *["TASK", "ACTION", "ACTION", "ACTION"],
        "TASK",
    ]
    assert found[0]["error"].startswith("Failure caused by error in tasks: ")
    assert "\n" not in found[0]["error"]
    assert all(item["error"] for item in found)
    for item in found:
        keys = {"id", "parent_id", "type", "name", "error"}
        assert set(item) == (keys | {"attributes", "params", "idx"} if item["type"] == "ACTION" else keys)
    items = [item for item in found if item["parent_id"] == found[8]["id"]]
    assert [(item["idx"], item["error"]) for item in items] == [(n, f'{{"x":{n}}}') for n in range(3)]
    assert [json.loads(item["params"]) for item in items] == [{"error_data": {"x": n}} for n in range(3)]
    attempts = [item for item in found if item["parent_id"] == found[5]["id"]]
    assert [item["idx"] for item in attempts] == [0, 1]


@pytest.mark.spec("L2")
def test_a_part_of_a_tree_has_its_own_report(service: Running) -> None:
    service.define(ERRORS)
    execution = service.start("top", wait=20)
    for name in ("first", "handled"):
        task = service.task(execution["id"], name)
        (called,) = service.items(f"/v2/tasks/{task['id']}/workflow_executions")
        found = errors(service, called["id"])
        assert places(found) == ["inner", "inner/b", "inner/b/std.fail"]
        assert found[0]["parent_id"] is None


@pytest.mark.spec("L2")
def test_without_unhandled_errors_the_report_is_empty(service: Running) -> None:
    service.define(
        "version: '2.0'\nwf: {tasks: {t: {action: std.fail, on-error: [u]}, u: {action: std.noop}}}\n"
    )
    execution = service.start("wf", wait=20)
    assert execution["state"] == "SUCCESS"
    assert errors(service, execution["id"]) == []


def test_failed_tasks_of_a_running_execution_are_reported_without_it(service: Running) -> None:
    service.define("version: '2.0'\nwf: {tasks: {bad: {action: std.fail}, ask: {action: std.async_noop}}}\n")
    execution = service.start("wf")
    service.until(f"/v2/executions/{execution['id']}/tasks_statistics", lambda found: found["ERROR"] == 1)
    found = errors(service, execution["id"])
    assert [item["name"] for item in found] == ["bad", "std.fail"]
    assert found[0]["parent_id"] == execution["id"]


@pytest.mark.spec("L3")
def test_tasks_are_counted_over_the_tree_or_in_one_execution(service: Running) -> None:
    service.define(TREE)
    execution = service.start("root")
    url = f"/v2/executions/{execution['id']}/tasks_statistics"
    service.until(url, lambda found: (found["RUNNING"], found["WAITING"], found["DELAYED"]) == (4, 1, 1))
    own = {**NONE, "SUCCESS": 1, "ERROR": 1, "RUNNING": 3, "DELAYED": 1, "WAITING": 1, "TOTAL": 7}
    assert service.get(f"{url}?current_only=true").json == own
    whole = {**own, "SUCCESS": 2, "RUNNING": 4, "TOTAL": 9}
    for query in ("", "?current_only=false", "?current_only="):
        assert service.get(f"{url}{query}").json == whole
    task = service.task(execution["id"], "b")
    (called,) = service.items(f"/v2/tasks/{task['id']}/workflow_executions")
    below = service.get(f"/v2/executions/{called['id']}/tasks_statistics").json
    assert below == {**NONE, "SUCCESS": 1, "RUNNING": 1, "TOTAL": 2}
    assert service.get(f"{url}?current_only=maybe").status == 400
    assert service.get(f"{url}?bogus=1").status == 400


@pytest.mark.spec("L4")
def test_the_items_of_a_task_are_counted(service: Running) -> None:
    service.define(ITEMS)
    execution = service.start("many", input={"count": 10})
    task = service.tasks(execution["id"])["t"]
    url = f"/v2/tasks/{task['id']}/with_items_statistics"
    assert service.get(url).json == {**NONE, "RUNNING": 3, "IDLE": 7, "TOTAL": 10}
    running = service.actions(task["id"])
    for action, body in zip(
        running, ({"state": "SUCCESS"}, {"state": "ERROR"}, {"state": "PAUSED"}), strict=True
    ):
        assert service.put(f"/v2/action_executions/{action['id']}", body).status == 200
    found = service.get(url).json
    assert (found["SUCCESS"], found["ERROR"], found["PAUSED"], found["TOTAL"]) == (1, 1, 1, 10)
    assert found["RUNNING"] + found["IDLE"] == 7


@pytest.mark.spec("L4")
def test_an_item_that_was_run_again_counts_once(service: Running) -> None:
    service.define(ITEMS)
    execution = service.start("many", input={"count": 2})
    task = service.tasks(execution["id"])["t"]
    url = f"/v2/tasks/{task['id']}/with_items_statistics"
    for action, state in zip(service.actions(task["id"]), ("SUCCESS", "ERROR"), strict=True):
        service.put(f"/v2/action_executions/{action['id']}", {"state": state})
    service.until(f"/v2/tasks/{task['id']}", lambda found: found["state"] == "ERROR")
    assert service.get(url).json == {**NONE, "SUCCESS": 1, "ERROR": 1, "TOTAL": 2}
    assert service.put(f"/v2/tasks/{task['id']}", {"state": "RUNNING", "reset": False}).status == 200
    service.until(url, lambda found: found["RUNNING"] == 1)
    assert service.get(url).json == {**NONE, "SUCCESS": 1, "RUNNING": 1, "TOTAL": 2}


@pytest.mark.spec("L4")
def test_sub_workflows_are_items_too(service: Running) -> None:
    service.define(ITEMS)
    execution = service.start("called")
    task = service.tasks(execution["id"])["t"]
    url = f"/v2/tasks/{task['id']}/with_items_statistics"
    assert service.get(url).json == {**NONE, "RUNNING": 2, "TOTAL": 2}


def test_where_there_is_nothing_to_count_it_is_said(service: Running) -> None:
    service.define(ITEMS)
    task = service.tasks(service.start("plain", wait=20)["id"])["t"]
    answer = service.get(f"/v2/tasks/{task['id']}/with_items_statistics")
    assert answer.status == 404
    assert "with-items" in answer.fault
    for path in (
        "tasks/{}/with_items_statistics",
        "executions/{}/tasks_statistics",
        "executions/{}/errors_report",
    ):
        assert service.get(f"/v2/{path.format(ANY_UUID)}").status == 404
        assert service.get(f"/v2/{path.format('x')}").status == 400
        assert service.get(f"/v2/{path.format(ANY_UUID)}?bogus=1").status in (400, 404)


@pytest.mark.spec("L2", "L3", "L4")
def test_each_answer_takes_few_statements_whatever_the_size(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.define(ERRORS + ITEMS.removeprefix("version: '2.0'\n"))
    execution = service.start("top", wait=20)
    items = service.start("many", input={"count": 50})
    task = service.tasks(items["id"])["t"]
    count = 0
    plain = DatabaseReader.fetch

    async def counted(self: DatabaseReader, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return await plain(self, *arguments)

    monkeypatch.setattr(DatabaseReader, "fetch", counted)
    for url, statements in (
        (f"/v2/executions/{execution['id']}/errors_report", 3),
        (f"/v2/executions/{execution['id']}/tasks_statistics", 1),
        (f"/v2/tasks/{task['id']}/with_items_statistics", 1),
    ):
        count = 0
        assert service.get(url).status == 200
        assert count == statements, url
