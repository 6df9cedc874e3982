"""Why an execution isn't moving: each kind of blocker, seen over the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.running import Running

from tramontane.api.blockers import KINDS, diagnosis
from tramontane.core.events import Continued, to_data
from tramontane.store.executions import Executions
from tramontane.store.reads.blockers import OpenAction, OpenTask, OpenWork, Process, Standing
from tramontane.store.reads.queue import QueueFacts
from tramontane.store.records import InboxRow
from tramontane.values import FrozenDict

Blockers = dict[str, list[dict[str, Any]]]


def why(client: Client, execution_id: str) -> dict[str, Any]:
    answer = client.get(f"/v2/executions/{execution_id}/blockers")
    assert answer.status == 200, answer
    data = answer.json
    assert isinstance(data, dict)
    for blocker in [*data["blockers"], *(each for task in data["tasks"] for each in task["blockers"])]:
        assert blocker["kind"] in KINDS
        assert blocker["text"]
    return data


def of_tasks(data: dict[str, Any]) -> Blockers:
    return {task["name"]: task["blockers"] for task in data["tasks"]}


def start(service: Running, document: str, **body: Any) -> str:
    """Define one workflow or more and start the first."""
    first = service.define(f"version: '2.0'\n{document}")[0]["name"]
    execution_id = service.start(first, **body)["id"]
    assert isinstance(execution_id, str)
    return execution_id


def until(service: Running, execution_id: str, name: str, kind: str) -> list[dict[str, Any]]:
    """Wait until a task is held by something of this kind; give all that holds it."""

    def holds(data: dict[str, Any]) -> bool:
        return any(blocker["kind"] == kind for blocker in of_tasks(data).get(name, ()))

    found = service.until(f"/v2/executions/{execution_id}/blockers", holds)
    return of_tasks(found)[name]


def kinds(blockers: list[dict[str, Any]]) -> list[str]:
    return [blocker["kind"] for blocker in blockers]


def test_an_asynchronous_action_waits_for_its_report(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {ask: {action: std.async_noop}}}")
    (blocker,) = until(service, execution_id, "ask", "report")
    (action,) = service.items("/v2/action_executions")
    assert blocker["kind"] == "report"
    assert blocker["action_execution_id"] == action["id"]
    assert blocker["action"] == "std.async_noop"
    assert blocker["since"] == action["created_at"]


def test_a_job_waits_for_an_executor_of_its_pool(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {far: {action: std.async_noop, target: mars}}}")
    (blocker,) = of_tasks(why(service, execution_id))["far"]
    assert blocker["kind"] == "job"
    assert blocker["pool"] == "mars"
    assert blocker["executors"] == []
    assert "none is alive" in blocker["text"]


def test_a_running_action_tells_who_runs_it(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {slow: {action: std.sleep seconds=30}}}")
    (blocker,) = of_tasks(why(service, execution_id))["slow"]
    assert blocker["kind"] == "action"
    assert blocker["is_alive"] is True
    assert ":" in blocker["claimed_by"]
    service.put(f"/v2/executions/{execution_id}", {"state": "CANCELLED", "params": {"force_cancel": True}})


def test_a_delay_tells_its_end(service: Running) -> None:
    execution_id = start(
        service,
        "wf:\n  tasks:\n"
        "    later: {action: std.noop, wait-before: 100}\n"
        "    after: {action: std.noop, wait-after: 100}\n"
        "    again: {action: std.fail, retry: {count: 3, delay: 100}}\n",
    )
    found = of_tasks(why(service, execution_id))
    for name, timer in (("later", "wait-before"), ("after", "wait-after"), ("again", "retry")):
        (blocker,) = found[name]
        assert (blocker["kind"], blocker["timer"]) == ("timer", timer)
        assert blocker["until"] > service.tasks(execution_id)[name]["created_at"]
    assert "retry 1" in found["again"][0]["text"]


def test_a_timeout_is_a_deadline_beside_what_the_task_waits_for(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {ask: {action: std.async_noop, timeout: 100}}}")
    assert kinds(until(service, execution_id, "ask", "report")) == ["report", "deadline"]


def test_a_join_tells_who_came_and_who_is_missing(service: Running) -> None:
    execution_id = start(
        service,
        "wf:\n  tasks:\n"
        "    quick: {action: std.noop, on-success: meet}\n"
        "    slow: {action: std.async_noop, on-success: [meet, late]}\n"
        "    late: {action: std.noop, on-success: meet}\n"
        "    meet: {join: all}\n",
    )
    blocker = of_tasks(why(service, execution_id))["meet"][0]
    assert blocker["kind"] == "join"
    assert blocker["needs"] == 3
    places = {place["name"]: (place["state"], place["leads_here"]) for place in blocker["sources"]}
    assert places == {"quick": ("SUCCESS", True), "slow": ("RUNNING", None), "late": (None, None)}
    assert "1 of 3 came (quick)" in blocker["text"]
    assert "slow (RUNNING), late (not begun)" in blocker["text"]


def test_items_wait_for_slots(service: Running) -> None:
    execution_id = start(
        service,
        "wf:\n  tasks:\n    each:\n      with-items: i in <% range(20) %>\n"
        "      concurrency: 12\n      action: std.async_noop\n",
    )
    blockers = of_tasks(why(service, execution_id))["each"]
    assert blockers[0]["kind"] == "items"
    assert (blockers[0]["left"], blockers[0]["count"], blockers[0]["concurrency"]) == (8, 20, 12)
    assert len(blockers) == 1 + 10  # of many running actions ten are shown
    assert blockers[1]["of"] == 12
    assert [blocker["item"] for blocker in blockers[1:]] == list(range(10))


def test_a_sub_workflow_is_named_with_its_state(service: Running) -> None:
    execution_id = start(
        service,
        "outer: {tasks: {call: {workflow: inner}}}\ninner: {tasks: {ask: {action: std.async_noop}}}\n",
    )
    (blocker,) = of_tasks(why(service, execution_id))["call"]
    assert blocker["kind"] == "sub-workflow"
    assert (blocker["workflow_name"], blocker["state"]) == ("inner", "RUNNING")
    assert kinds(until(service, blocker["execution_id"], "ask", "report")) == ["report"]


def test_a_paused_tree_says_where_to_resume_it(service: Running) -> None:
    execution_id = start(
        service,
        "outer: {tasks: {call: {workflow: inner}}}\n"
        "inner: {tasks: {ask: {action: std.async_noop, on-success: next}, next: {action: std.noop}}}\n",
    )
    child = of_tasks(why(service, execution_id))["call"][0]["execution_id"]
    assert service.put(f"/v2/executions/{execution_id}", {"state": "PAUSED"}).status == 200
    service.until(f"/v2/executions/{child}", lambda data: data["state"] == "PAUSED")
    data = why(service, child)
    assert kinds(data["blockers"]) == ["paused", "parent-paused"]
    assert data["blockers"][0]["resume"] == execution_id
    assert data["blockers"][1]["execution_id"] == execution_id


def test_pause_before_is_named(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {held: {action: std.noop, pause-before: true}}}")
    data = why(service, execution_id)
    assert kinds(data["blockers"]) == ["paused"]
    assert kinds(of_tasks(data)["held"]) == ["pause-before"]


def test_a_parked_execution_says_why(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {ask: {action: std.async_noop}}}")
    service.run(Executions(service.node.database).park(execution_id, "a bug"))
    data = why(service, execution_id)
    assert data["blockers"][0]["kind"] == "parked"
    assert data["blockers"][0]["reason"] == "a bug"


def test_events_that_nobody_has_taken_yet_are_counted(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {ask: {action: std.async_noop}}}")
    store = Executions(service.node.database)
    service.run(store.park(execution_id, "a bug"))  # so that nobody takes it
    row = InboxRow("x", execution_id, execution_id, FrozenDict(to_data(Continued())), 0)
    service.run(store.post([row]))
    blocker = why(service, execution_id)["blockers"][1]
    assert (blocker["kind"], blocker["count"]) == ("inbox", 1)


def test_maintenance_is_named(service: Running) -> None:
    execution_id = start(service, "wf: {tasks: {ask: {action: std.async_noop}}}")
    service.put("/maintenance", {"status": "PAUSED"})
    assert "maintenance" in kinds(why(service, execution_id)["blockers"])


def test_an_ended_execution_waits_for_nothing(service: Running) -> None:
    service.define("version: '2.0'\nwf: {tasks: {t: {action: std.noop}}}")
    ended = service.start("wf", wait=20)
    data = why(service, ended["id"])
    assert (data["state"], data["blockers"], data["tasks"]) == ("SUCCESS", [], [])


def test_nobody_else_is_told(service: Running, as_caller: Callable[[str], Client]) -> None:
    execution_id = start(service, "wf: {tasks: {ask: {action: std.async_noop}}}")
    assert as_caller("other").get(f"/v2/executions/{execution_id}/blockers").status == 404
    assert service.get("/v2/executions/none/blockers").status == 404
    assert service.get(f"/v2/executions/{execution_id}/blockers?x=1").status == 400


# -- what takes more than one node to see ----------------------------------------------------------

STANDING = Standing("e", "wf", "RUNNING", None, "hash", "e", None, None, None, "n1", None)
TASK = OpenTask("t", "t", "RUNNING", "active", 0, None, 0, None, 0)


def diagnosed(
    standing: Standing = STANDING,
    tasks: tuple[OpenTask, ...] = (),
    actions: tuple[OpenAction, ...] = (),
    processes: tuple[Process, ...] = (),
) -> dict[str, Any]:
    work = OpenWork(standing, 0, None, tasks, False, {}, {"t": actions}, {}, processes)
    return diagnosis(work, "RUNNING", {}, None, 0, QueueFacts())


def action(**changes: Any) -> OpenAction:
    job = OpenAction("t", 1, "a", "std.echo", 0, "RUNNING", 0, 0, "mars", None, None)
    return job._replace(**changes)


def test_a_node_that_is_gone_is_named() -> None:
    (blocker,) = diagnosed()["blockers"]
    assert (blocker["kind"], blocker["node_id"]) == ("node-gone", "n1")


def test_a_claim_of_a_dead_process_is_told_from_that_of_a_living_one() -> None:
    dead = diagnosed(tasks=(TASK,), actions=(action(claimed_by="x"),))["tasks"][0]["blockers"][0]
    alive = diagnosed(tasks=(TASK,), actions=(action(claimed_by="x", node_name="h:1"),))
    assert (dead["kind"], dead["is_alive"]) == ("action", False)
    assert alive["tasks"][0]["blockers"][0]["is_alive"] is True


@pytest.mark.parametrize(
    ("pool", "kind", "pools", "serves"),
    [
        ("mars", "executor", '["mars"]', True),
        ("mars", "executor", '["venus", ""]', False),
        ("mars", "node", "[]", False),
        ("", "node", "[]", True),
        ("", "executor", '["mars", ""]', True),
        ("", "executor", '["mars"]', False),
    ],
)
def test_processes_count_by_the_pools_that_they_serve(pool: str, kind: str, pools: str, serves: bool) -> None:
    process = Process("p", "host:1", kind, f'{{"pools": {pools}}}')
    data = diagnosed(tasks=(TASK,), actions=(action(pool=pool),), processes=(process,))
    assert data["tasks"][0]["blockers"][0]["executors"] == (["host:1"] if serves else [])


def test_an_execution_without_anything_open_is_said_to_be_stuck() -> None:
    standing = STANDING._replace(node_name="h:1")
    assert kinds(diagnosed(standing)["blockers"]) == ["nothing"]
    assert kinds(diagnosed(standing, (TASK,))["tasks"][0]["blockers"]) == ["start"]


def test_every_kind_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/rest-api.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page, re.MULTILINE))
    assert set(KINDS.items()) <= rows
