"""Maintenance: pausing the whole service, and letting it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import ANY_UUID, Client
from tests.api.running import Running

from tramontane.auth import NotAuthenticatedError
from tramontane.compose import open_node
from tramontane.config import Settings
from tramontane.service.maintenance import REASON

WAITING = "version: '2.0'\nwaiting: {tasks: {ask: {action: std.async_noop}}}\n"
DELAYED = """version: '2.0'
delayed:
  tasks:
    t: {action: std.noop, wait-before: 100000}
outer:
  tasks:
    call: {workflow: delayed}
"""
WORKFLOW = "version: '2.0'\nthing: {tasks: {t: {action: std.noop}}}\n"
URL = "/maintenance"
AsCaller = Callable[[str], Client]


def pause(service: Running) -> None:
    """Pause a service in which nothing is running that would have to be waited for."""
    answer = service.put(URL, {"status": "PAUSED"})
    assert answer.status == 200, answer
    service.until(URL, lambda found: found == {"status": "PAUSED"})


def state(service: Running, execution: dict[str, Any]) -> str:
    return str(service.execution(execution["id"])["state"])


@pytest.mark.spec("API284")
def test_at_first_the_service_runs(service: Running) -> None:
    assert service.get(URL).json == {"status": "RUNNING"}


@pytest.mark.spec("API285", "SVC65")
def test_pausing_pauses_all_executions(service: Running, as_caller: AsCaller) -> None:
    service.define(DELAYED)
    own = service.start("outer")
    service.until("/v2/tasks", lambda found: "DELAYED" in {item["state"] for item in found["tasks"]})
    as_caller("b").post("/v2/workflows", DELAYED)
    other = as_caller("b").post("/v2/executions", {"workflow_name": "delayed"}).json
    answer = service.put(URL, {"status": "PAUSED"})
    assert answer.status == 200
    assert answer.json["status"] == "PAUSING"
    service.until(URL, lambda found: found == {"status": "PAUSED"})
    assert {item["state"] for item in service.items("/v2/executions")} == {"PAUSED"}
    assert service.execution(own["id"])["state_info"] == REASON
    assert service.execution(other["id"])["state_info"] == REASON


@pytest.mark.spec("API286", "SVC65")
def test_meanwhile_nothing_but_reading_goes_on(service: Running) -> None:
    service.define(WORKFLOW)
    pause(service)
    for path in ("/v2/workflows", "/v2/executions", "/v2/actions/std.echo", "/", "/v2", "/healthz", URL):
        assert service.get(path).status == 200, path
    for method, path, body in (
        ("POST", "/v2/workflows", WORKFLOW),
        ("POST", "/v2/workflows/validate", WORKFLOW),
        ("PUT", "/v2/workflows", WORKFLOW),
        ("DELETE", "/v2/workflows/thing", None),
        ("POST", "/v2/executions", {"workflow_name": "thing"}),
        ("PUT", f"/v2/executions/{ANY_UUID}", {"state": "PAUSED"}),
        ("DELETE", f"/v2/executions/{ANY_UUID}", None),
        ("PUT", f"/v2/tasks/{ANY_UUID}", {"state": "RUNNING"}),
        ("POST", "/v2/action_executions", {"name": "std.noop"}),
        ("PUT", f"/v2/action_executions/{ANY_UUID}", {"state": "SUCCESS"}),
        ("POST", "/v2/environments", {"name": "e"}),
        ("POST", "/v2/cron_triggers", {}),
        ("POST", "/v2/code_sources?name=x", "x = 1"),
        ("PUT", f"/v2/executions/{ANY_UUID}", b"{bad"),
        ("PUT", f"/v2/executions/{ANY_UUID}", ["CANCELLED"]),
    ):
        answer = service.call(method, path, body)
        assert answer.status == 423, path
        assert "PAUSED" in answer.headers["server-error-message"]
        assert answer.fault
    assert service.names("/v2/workflows") == ["thing"]


@pytest.mark.spec("API287", "SVC66", "L15")
def test_what_runs_comes_to_its_end_before_the_service_is_paused(service: Running) -> None:
    service.define(WAITING)
    execution, other = service.start("waiting"), service.start("waiting")
    answer = service.put(URL, {"status": "PAUSED"})
    assert answer.json == {"status": "PAUSING", "number_of_running_tasks": 2}
    service.until(
        "/v2/executions", lambda found: {item["state"] for item in found["executions"]} == {"PAUSED"}
    )
    assert service.get(URL).json == {"status": "PAUSING", "number_of_running_tasks": 2}
    assert service.post("/v2/environments", {"name": "e"}).status == 423
    assert service.put(f"/v2/executions/{execution['id']}", {"description": "x"}).status == 423
    task = service.tasks(execution["id"])["ask"]
    (action,) = service.actions(task["id"])
    done = service.put(f"/v2/action_executions/{action['id']}", {"state": "SUCCESS", "output": {}})
    assert (done.status, done.json["state"]) == (200, "SUCCESS")
    assert service.get(URL).json == {"status": "PAUSING", "number_of_running_tasks": 1}
    cancelled = service.put(f"/v2/executions/{other['id']}", {"state": "CANCELLED"})
    assert (cancelled.status, cancelled.json["state"]) == (200, "CANCELLED")
    service.until(URL, lambda found: found == {"status": "PAUSED"})
    assert service.put(f"/v2/action_executions/{action['id']}", {"state": "SUCCESS"}).status == 423
    cancelled = service.put(f"/v2/executions/{execution['id']}", {"state": "CANCELLED"})
    assert (cancelled.status, cancelled.json["state"]) == (200, "CANCELLED")


@pytest.mark.spec("API288", "SVC67")
def test_only_what_was_paused_for_maintenance_goes_on(service: Running, as_caller: AsCaller) -> None:
    service.define(DELAYED)
    as_caller("b").post("/v2/workflows", DELAYED)
    held = service.start("delayed")
    service.put(f"/v2/executions/{held['id']}", {"state": "PAUSED"})
    running = service.start("outer")
    other = as_caller("b").post("/v2/executions", {"workflow_name": "delayed"}).json
    pause(service)
    assert service.put(URL, {"status": "PAUSED"}).json == {"status": "PAUSED"}
    answer = service.put(URL, {"status": "RUNNING"})
    assert (answer.status, answer.json) == (200, {"status": "RUNNING"})
    assert service.put(URL, {"status": "RUNNING"}).json == {"status": "RUNNING"}
    service.until(
        "/v2/executions",
        lambda found: (
            [item["id"] for item in found["executions"] if item["state"] == "PAUSED"] == [held["id"]]
        ),
    )
    for execution in (running, other):
        resumed = service.execution(execution["id"])
        assert (resumed["state"], resumed["state_info"]) == ("RUNNING", None)
    assert state(service, held) == "PAUSED"
    assert service.post("/v2/environments", {"name": "e"}).status == 201


def test_workers_elsewhere_bring_their_actions_to_an_end(service: Running) -> None:
    service.define(WAITING)
    service.start("waiting")
    assert service.put(URL, {"status": "PAUSED"}).json["status"] == "PAUSING"
    for what in ("poll", "heartbeat", "complete"):
        assert service.post(f"/v2/workers/{what}", {}).status != 423


def test_work_goes_on_where_it_stopped(service: Running) -> None:
    service.define(
        "version: '2.0'\nwf:\n  tasks:\n    ask: {action: std.async_noop, on-success: after}\n"
        "    after: {action: std.noop}\n"
    )
    execution = service.start("wf")
    (action,) = service.actions(service.tasks(execution["id"])["ask"]["id"])
    service.put(URL, {"status": "PAUSED"})
    service.until(f"/v2/executions/{execution['id']}", lambda found: found["state"] == "PAUSED")
    service.put(f"/v2/action_executions/{action['id']}", {"state": "SUCCESS"})
    service.until(URL, lambda found: found == {"status": "PAUSED"})
    assert set(service.tasks(execution["id"])) == {"ask"}
    service.put(URL, {"status": "RUNNING"})
    assert service.finish(execution["id"])["state"] == "SUCCESS"
    assert set(service.tasks(execution["id"])) == {"ask", "after"}


def test_pausing_can_be_called_off(service: Running) -> None:
    service.define(WAITING)
    execution = service.start("waiting")
    service.put(URL, {"status": "PAUSED"})
    service.until(f"/v2/executions/{execution['id']}", lambda found: found["state"] == "PAUSED")
    assert service.put(URL, {"status": "PAUSED"}).json["status"] == "PAUSING"
    assert service.put(URL, {"status": "RUNNING"}).json == {"status": "RUNNING"}
    service.until(f"/v2/executions/{execution['id']}", lambda found: found["state"] == "RUNNING")


@pytest.mark.spec("API285", "API288")
def test_all_nodes_pause_and_go_on_together(shared_url: str) -> None:
    settings = Settings(database=shared_url, load_action_plugins=False)
    with asyncio.Runner() as runner:
        contexts = [open_node(settings) for _ in range(2)]
        one, two = (Running(runner, runner.run(context.__aenter__())) for context in contexts)
        one.define(DELAYED)
        runner.run(two.node.catalog.refresh())
        started = [node.start("delayed") for node in (one, two)]
        assert one.put(URL, {"status": "PAUSED"}).json["status"] == "PAUSING"
        two.until(URL, lambda found: found == {"status": "PAUSED"})
        assert {item["state"] for item in two.items("/v2/executions")} == {"PAUSED"}
        refused = two.post("/v2/executions", {"workflow_name": "delayed"})
        assert refused.status == 423, "by the time of PAUSED every node knows"
        assert two.put(URL, {"status": "RUNNING"}).json == {"status": "RUNNING"}
        for execution in started:
            one.until(f"/v2/executions/{execution['id']}", lambda found: found["state"] == "RUNNING")
        for context in contexts:
            runner.run(context.__aexit__(None, None, None))


def test_a_service_that_starts_in_maintenance_stays_in_it(sqlite_url: str) -> None:
    settings = Settings(database=sqlite_url, load_action_plugins=False)
    with asyncio.Runner() as runner:
        context = open_node(settings)
        before = Running(runner, runner.run(context.__aenter__()))
        before.define(DELAYED)
        execution = before.start("delayed")
        pause(before)
        runner.run(context.__aexit__(None, None, None))
        context = open_node(settings)
        after = Running(runner, runner.run(context.__aenter__()))
        assert after.post("/v2/environments", {"name": "e"}).status == 423
        assert state(after, execution) == "PAUSED"
        after.put(URL, {"status": "RUNNING"})
        after.until(f"/v2/executions/{execution['id']}", lambda found: found["state"] == "RUNNING")
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.spec("API289")
@pytest.mark.parametrize(
    "body", [{"status": "PAUSING"}, {"status": "BOGUS"}, {}, {"status": None}, {"status": 1}, {"x": 1}, []]
)
def test_other_states_cannot_be_asked_for(service: Running, body: Any) -> None:
    assert service.put(URL, body).status == 400
    assert service.get(URL).json == {"status": "RUNNING"}


@pytest.mark.spec("API290", "API67", "SVC68")
def test_only_administrators_change_it(service: Running, as_caller: AsCaller) -> None:
    assert as_caller("a").put(URL, {"status": "PAUSED"}).status == 403
    assert as_caller("a").get(URL).json == {"status": "RUNNING"}
    assert as_caller("a/admin").put(URL, {"status": "RUNNING"}).status == 200
    nobody = service.changed(authenticator=_Nobody())
    assert nobody.get(URL).status == 401
    assert nobody.put(URL, {"status": "PAUSED"}).status == 401


class _Nobody:
    async def authenticate(self, headers: object) -> Any:
        raise NotAuthenticatedError("The request has no token.")


def test_the_order_of_checks_is_xml_then_token_then_maintenance(
    service: Running, as_caller: AsCaller
) -> None:
    pause(service)
    xml = {"content-type": "text/xml"}
    assert service.post("/v2/environments", b"<a/>", xml).status == 415
    assert service.changed(authenticator=_Nobody()).post("/v2/environments", {}).status == 401
    assert as_caller("a").post("/v2/environments", {"scope": "public"}).status == 423
    assert service.post("/v2/nope", {}).status == 404
