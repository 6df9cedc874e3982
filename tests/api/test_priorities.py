"""Priorities of executions over REST: who is run first, for whom, and how that changes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.running import Running
from tests.api.test_workers import complete, poll

from tramontane.auth import Caller, NoAuthentication

FLOWS = """
version: '2.0'
one:
  input: [image]
  tasks:
    a: {action: img.resize image=<% $.image %>}
outer:
  input: [image]
  tasks:
    b: {workflow: one image=<% $.image %>}
"""


def images(jobs: list[dict[str, Any]]) -> list[Any]:
    return [job["input"]["image"] for job in jobs]


@pytest.fixture
def offered(service: Running) -> Running:
    """A service whose worker has said what it brings."""
    poll(service, "w")
    service.define(FLOWS)
    return service


def queued(service: Running, image: str, workflow: str = "one", **params: Any) -> str:
    """Start an execution and wait until its action waits; gives its id."""
    execution_id = service.start(workflow, input={"image": image}, params=params)["id"]
    waits(service, image)
    return str(execution_id)


def waits(service: Running, image: str) -> None:
    def is_waiting(found: Any) -> bool:
        return any(each["input"] == f'{{"image":"{image}"}}' for each in found["action_executions"])

    service.until("/v2/action_executions?fields=input", is_waiting)


def test_actions_of_executions_with_a_higher_priority_are_run_first(offered: Running) -> None:
    queued(offered, "low", priority=-1)
    queued(offered, "plain")
    queued(offered, "high", priority=7)
    assert images(poll(offered, "w", limit=3)) == ["high", "plain", "low"]


def test_a_sub_workflow_has_the_priority_of_its_root(offered: Running) -> None:
    queued(offered, "plain")
    queued(offered, "inside", "outer", priority=3)
    assert images(poll(offered, "w", limit=2)) == ["inside", "plain"]


def test_no_definition_gives_its_sub_workflows_a_priority(offered: Running) -> None:
    offered.define(
        "version: '2.0'\nsly:\n  tasks:\n    t: {workflow: one, input: {image: sly, priority: 9}}\n"
    )
    queued(offered, "plain")
    offered.start("sly")
    waits(offered, "sly")
    assert images(poll(offered, "w", limit=2)) == ["plain", "sly"]


def test_a_priority_changes_while_actions_wait_and_for_those_to_come(offered: Running) -> None:
    offered.define(
        "version: '2.0'\ntwo:\n  tasks:\n    a: {action: img.resize, input: {image: first}, on-success: b}\n"
        "    b: {action: img.resize, input: {image: second}}\n"
    )
    queued(offered, "plain")
    two = offered.start("two")["id"]
    answer = offered.put(f"/v2/executions/{two}", {"params": {"priority": 2}})
    assert answer.status == 200, answer
    assert '"priority":2' in answer.json["params"]
    (first,) = poll(offered, "w")
    assert images([first]) == ["first"]
    assert complete(offered, "w", first, data=1)
    offered.until(f"/v2/executions/{two}/tasks", lambda found: len(found["tasks"]) == 2)
    assert images(poll(offered, "w")) == ["second"]


def test_a_priority_changes_for_sub_workflows_that_are_called_already(offered: Running) -> None:
    offered.define(
        "version: '2.0'\ninner:\n  tasks:\n"
        "    a: {action: img.resize, input: {image: first}, on-success: b}\n"
        "    b: {action: img.resize, input: {image: second}}\n"
        "above:\n  tasks:\n    c: {workflow: inner}\n"
    )
    above = offered.start("above")["id"]
    (first,) = poll(offered, "w", wait=10)
    queued(offered, "plain")
    assert offered.put(f"/v2/executions/{above}", {"params": {"priority": 4}}).status == 200
    (child,) = offered.items(f"/v2/executions?root_execution_id={above}")
    offered.until(f"/v2/executions/{child['id']}", lambda shown: '"priority":4' in shown["params"])
    assert complete(offered, "w", first, data=1)
    offered.until(f"/v2/executions/{child['id']}/tasks", lambda found: len(found["tasks"]) == 2)
    assert images(poll(offered, "w", wait=10)) == ["second"]


def test_the_priority_of_a_sub_workflow_is_changed_at_its_root(offered: Running) -> None:
    above = offered.start("outer", input={"image": "x"})["id"]
    url = f"/v2/executions?root_execution_id={above}"
    child = offered.until(url, lambda found: found["executions"])["executions"][0]["id"]
    answer = offered.put(f"/v2/executions/{child}", {"params": {"priority": 1}})
    assert answer.status == 400
    assert above in answer.json["faultstring"]


@pytest.mark.parametrize("priority", [11, -11, "5", 1.5, True, [1]])
def test_what_is_no_priority_is_refused(offered: Running, priority: Any) -> None:
    body = {"workflow_name": "one", "input": {"image": 1}, "params": {"priority": priority}}
    assert offered.post("/v2/executions", body).status == 400
    plain = offered.start("one", input={"image": 1})["id"]
    assert offered.put(f"/v2/executions/{plain}", {"params": {"priority": priority}}).status == 400
    assert (
        offered.put(f"/v2/executions/{plain}", {"state": "PAUSED", "params": {"priority": 1}}).status == 400
    )


def test_only_administrators_go_before_others(offered: Running) -> None:
    class Member(NoAuthentication):
        async def authenticate(self, *_: Any) -> Caller:
            return Caller("<default-project>", roles=frozenset({"member"}))

    workflow = offered.get("/v2/workflows/one").json["id"]
    member = offered.changed(authenticator=Member())

    def start(priority: int) -> int:
        body = {"workflow_name": "one", "input": {"image": 1}, "params": {"priority": priority}}
        return member.post("/v2/executions", body).status

    assert start(1) == 403
    assert start(-3) == 201
    assert start(0) == 201
    cron = {"name": "c", "workflow_name": "one", "pattern": "0 0 1 1 *", "workflow_input": {"image": 1}}
    event = {
        "workflow_id": workflow,
        "exchange": "x",
        "topic": "t",
        "event": "e",
        "workflow_input": {"image": 1},
    }
    for url, body in (("/v2/cron_triggers", cron), ("/v2/event_triggers", event)):
        assert member.post(url, {**body, "workflow_params": {"priority": 5}}).status == 403
        assert member.post(url, {**body, "workflow_params": {"priority": -5}}).status == 201


def test_what_is_started_after_another_has_no_priority_of_it(offered: Running) -> None:
    source = offered.start("one", input={"image": "x"}, params={"priority": 5})["id"]
    again = offered.post("/v2/executions", {"source_execution_id": source}).json
    assert "priority" not in again["params"]
