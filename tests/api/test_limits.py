"""Concurrency limits over REST: set, seen, changed while actions wait, and why something waits for one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.running import Running
from tests.api.test_blockers import until, why
from tests.api.test_workers import complete, poll

MANY = """
version: '2.0'
wf:
  tasks:
    a: {with-items: 'i in <% range(5) %>', action: img.resize image=<% $.i %>}
"""
ITEMS = """
version: '2.0'
items:
  tasks:
    a: {with-items: 'i in <% range(20) %>', action: std.sleep seconds=0}
"""


def set_limit(service: Running, kind: str, name: str, limit: int | None) -> list[dict[str, Any]]:
    answer = service.put("/v2/limits", {"kind": kind, "name": name, "limit": limit})
    assert answer.status == 200, answer
    limits = answer.json["limits"]
    assert isinstance(limits, list)
    return limits


def limits(service: Running) -> dict[str, tuple[int, int, int]]:
    found = service.get("/v2/limits").json["limits"]
    return {each["name"]: (each["limit"], each["taken"], each["waiting"]) for each in found}


def test_limits_are_set_shown_changed_and_taken_away(service: Running) -> None:
    (one,) = set_limit(service, "pool", "gpu", 4)
    assert (one["kind"], one["name"], one["limit"], one["taken"], one["waiting"]) == ("pool", "gpu", 4, 0, 0)
    set_limit(service, "action", "std.ssh", 10)
    set_limit(service, "pool", "gpu", 5)
    assert limits(service) == {"std.ssh": (10, 0, 0), "gpu": (5, 0, 0)}
    set_limit(service, "pool", "gpu", None)
    assert limits(service) == {"std.ssh": (10, 0, 0)}
    assert service.put("/v2/limits", {"kind": "pool", "name": "gpu", "limit": None}).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "pool", "name": "gpu"},
        {"kind": "pool", "name": "", "limit": 1},
        {"kind": "pool", "name": " ", "limit": 1},
        {"kind": "project", "name": "x", "limit": 1},
        {"kind": "pool", "name": "gpu", "limit": -1},
        {"kind": "pool", "name": "gpu", "limit": 1.5},
        {"kind": "pool", "name": "gpu", "limit": "4"},
        {"kind": "pool", "name": "gpu", "limit": True},
        {"name": "gpu", "limit": 1},
    ],
)
def test_what_is_no_limit_is_refused(service: Running, body: dict[str, Any]) -> None:
    assert service.put("/v2/limits", body).status == 400
    assert limits(service) == {}


@pytest.mark.parametrize(("kind", "name"), [("action", "img.resize"), ("pool", "gpu")])
def test_workers_get_no_more_than_the_limit_and_the_next_when_one_ends(
    service: Running, kind: str, name: str
) -> None:
    document = MANY if kind == "action" else MANY.replace("action: img", "target: gpu, action: img")
    offer = {"limit": 9, "pools": ["gpu"]}
    poll(service, "w", **offer)
    set_limit(service, kind, name, 2)
    service.define(document)
    execution = service.start("wf")
    first = poll(service, "w", wait=10, **offer)
    assert len(first) == 2
    assert poll(service, "v", **offer) == []
    assert limits(service) == {name: (2, 2, 3)}
    assert complete(service, "w", first[0], data=1)
    (third,) = poll(service, "v", wait=10, **offer)
    set_limit(service, kind, name, 1)
    assert complete(service, "v", third, data=1)
    assert poll(service, "v", **offer) == [], "one runs still, as many as may"
    set_limit(service, kind, name, 9)
    left = poll(service, "v", wait=10, **offer)
    for worker, job in (("w", first[1]), *(("v", job) for job in left)):
        assert complete(service, worker, job, data=1)
    assert service.finish(execution["id"])["state"] == "SUCCESS"


def test_actions_of_the_node_itself_run_one_after_the_other_under_a_limit(service: Running) -> None:
    """The end of each lets the next one begin; waiting for a poll would take a second each."""
    set_limit(service, "action", "std.sleep", 1)
    service.define(ITEMS)
    assert service.start("items", wait=20)["state"] == "SUCCESS"


def test_why_something_waits_names_the_limit_and_who_holds_its_slots(service: Running) -> None:
    poll(service, "w")
    set_limit(service, "action", "img.resize", 1)
    service.define(MANY)
    execution_id = service.start("wf")["id"]
    (job,) = poll(service, "w", wait=10)
    blockers = until(service, execution_id, "a", "limit")
    (running,) = [each for each in blockers if each["kind"] == "action"]
    (blocker, *_) = [each for each in blockers if each["kind"] == "limit"]
    assert running["action_execution_id"] == job["action_id"]
    assert blocker["limit"] == {"kind": "action", "name": "img.resize", "limit": 1, "taken": 1}
    (holder,) = blocker["holders"]
    assert holder["action_execution_id"] == job["action_id"]
    assert holder["workflow_execution_id"] == execution_id
    assert job["action_id"] in blocker["text"]


def test_why_something_waits_tells_how_many_go_before_it(service: Running) -> None:
    service.define(MANY.replace("img.resize image=<% $.i %>", "std.async_noop, target: mars"))
    execution_id = service.start("wf")["id"]
    blockers = until(service, execution_id, "a", "job")
    assert [each["before"] for each in blockers] == [0, 1, 2, 3, 4]
    assert why(service, execution_id)["tasks"][0]["blockers"][4]["text"].endswith("4 jobs are before it.")


def test_an_action_that_a_caller_waits_for_needs_a_slot_too(service: Running) -> None:
    body = {"name": "std.sleep", "input": {"seconds": 0}, "params": {"run_sync": True}}
    set_limit(service, "action", "std.sleep", 0)
    refused = service.post("/v2/action_executions", body)
    assert refused.status == 503
    assert "limits" in refused.json["faultstring"]
    set_limit(service, "action", "std.sleep", 1)
    for _ in range(2):
        assert service.post("/v2/action_executions", body).status == 201
    assert limits(service) == {"std.sleep": (1, 0, 0)}, "the slot is free again"


def test_a_stand_alone_action_waits_for_a_slot(service: Running) -> None:
    set_limit(service, "action", "std.sleep", 0)
    body = {"name": "std.sleep", "input": {"seconds": 0}, "params": {"save_result": True}}
    action = service.post("/v2/action_executions", body).json
    assert limits(service) == {"std.sleep": (0, 0, 1)}
    set_limit(service, "action", "std.sleep", 1)
    service.until(f"/v2/action_executions/{action['id']}", lambda shown: shown["state"] == "SUCCESS")
