"""Who sees and changes what (REST specification, sections 7 and 8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library
from tests.api.running import Running
from tests.api.test_lists import UUIDS, execution, store

from tramontane.store import schema

WORKFLOW = "version: '2.0'\nthing:\n  tasks:\n    t: {action: std.noop}\n"
WORKBOOK = "version: '2.0'\nname: thing\n"
ACTION = "version: '2.0'\nthing: {base: std.noop}\n"
AsProject = Callable[[str], Client]

BODIES: dict[str, Any] = {
    "workflows": WORKFLOW,
    "workbooks": WORKBOOK,
    "actions": ACTION,
    "environments": {"name": "thing"},
}
KINDS = list(BODIES)
CRON: dict[str, Any] = {"name": "thing", "pattern": "@daily", "workflow_name": "thing"}


def event(client: Client) -> dict[str, Any]:
    """An event trigger of a project's workflow."""
    workflow = client.get("/v2/workflows/thing").json["id"]
    return {"name": "thing", "workflow_id": workflow, "exchange": "x", "topic": "t", "event": "e"}


def publish(client: Client, kind: str) -> Any:
    """Create a public thing of a kind."""
    if kind == "environments":
        return client.post("/v2/environments", {"name": "thing", "scope": "public"})
    return client.post(f"/v2/{kind}?scope=public", BODIES[kind])


@pytest.mark.spec("API83", "API84", "API85")
@pytest.mark.parametrize("kind", KINDS)
def test_private_things_are_seen_by_their_project_and_administrators(
    as_project: AsProject, kind: str
) -> None:
    assert as_project("a").post(f"/v2/{kind}", BODIES[kind]).status == 201
    assert as_project("b").get(f"/v2/{kind}/thing").status == 404
    assert as_project("b").delete(f"/v2/{kind}/thing").status == 404
    assert "thing" not in as_project("b").names(f"/v2/{kind}")
    for token in ("a", "b/admin"):
        assert as_project(token).get(f"/v2/{kind}/thing").json["project_id"] == "a"
        assert "thing" in as_project(token).names(f"/v2/{kind}")


@pytest.mark.spec("API86")
def test_an_administrator_finds_any_workflow_by_its_id(as_project: AsProject) -> None:
    (workflow,) = as_project("a").post("/v2/workflows", WORKFLOW).json["workflows"]
    assert as_project("b/admin").get(f"/v2/workflows/{workflow['id']}").status == 200
    assert as_project("b").get(f"/v2/workflows/{workflow['id']}").status == 404


@pytest.mark.spec("API83", "API84", "API85", "API95")
def test_executions_are_seen_by_their_project_and_administrators(
    as_project: AsProject, library: Library
) -> None:
    store(library, execution(1, project_id="a"))
    url = f"/v2/executions/{UUIDS[1]}"
    assert as_project("a").get(url).status == 200
    assert as_project("b/admin").get(url).status == 200
    assert as_project("b").get(url).status == 404
    assert as_project("b").put(url, {"state": "PAUSED"}).status == 404
    assert as_project("b").delete(url).status == 404
    assert as_project("b").items("/v2/executions") == []
    assert as_project("b").get(f"/v2/executions?marker={UUIDS[1]}").status == 404
    for below in ("tasks", "executions", "report"):
        assert as_project("b").get(f"{url}/{below}").status == 404
    assert len(as_project("b/admin").items("/v2/executions")) == 1


@pytest.mark.spec("API87")
@pytest.mark.parametrize("kind", KINDS)
def test_public_things_are_seen_by_everybody(as_project: AsProject, kind: str) -> None:
    assert publish(as_project("a/admin"), kind).status == 201
    assert as_project("b").get(f"/v2/{kind}/thing").json["project_id"] == "a"
    assert "thing" in as_project("b").names(f"/v2/{kind}")


@pytest.mark.spec("API88", "API89", "API96")
@pytest.mark.parametrize("kind", KINDS)
def test_public_things_are_changed_by_their_owner_and_administrators_only(
    as_project: AsProject, kind: str
) -> None:
    assert publish(as_project("a/admin"), kind).status == 201
    assert as_project("b").put(f"/v2/{kind}", BODIES[kind]).status == 403
    assert as_project("b").delete(f"/v2/{kind}/thing").status == 403
    assert as_project("c/admin").put(f"/v2/{kind}", BODIES[kind]).status == 200
    changed = as_project("a").get(f"/v2/{kind}/thing").json
    assert changed["project_id"] == "a"
    assert as_project("a").delete(f"/v2/{kind}/thing").status == 204


@pytest.mark.spec("API83", "API84")
def test_private_triggers_are_seen_by_their_project_and_administrators(as_project: AsProject) -> None:
    owner = as_project("a")
    assert owner.post("/v2/workflows", WORKFLOW).status == 201
    cron = owner.post("/v2/cron_triggers", CRON).json
    on_event = owner.post("/v2/event_triggers", event(owner)).json
    for url in (f"cron_triggers/{cron['id']}", "cron_triggers/thing", f"event_triggers/{on_event['id']}"):
        assert as_project("b").get(f"/v2/{url}").status == 404
        assert as_project("b").delete(f"/v2/{url}").status == 404
        assert as_project("b/admin").get(f"/v2/{url}").json["project_id"] == "a"
    assert as_project("b").put(f"/v2/event_triggers/{on_event['id']}", {"name": "x"}).status == 404
    for kind in ("cron_triggers", "event_triggers"):
        assert as_project("b").names(f"/v2/{kind}") == []
        assert as_project("b/admin").names(f"/v2/{kind}") == ["thing"]


@pytest.mark.spec("API76", "SVC70")
def test_only_administrators_publish_triggers(as_project: AsProject) -> None:
    client = as_project("a")
    assert client.post("/v2/workflows", WORKFLOW).status == 201
    for kind, body in (("cron_triggers", CRON), ("event_triggers", event(client))):
        assert client.post(f"/v2/{kind}", {**body, "scope": "public"}).status == 403
        assert client.post(f"/v2/{kind}", {**body, "scope": "zz"}).status == 400
        assert client.names(f"/v2/{kind}") == []
        assert as_project("a/admin").post(f"/v2/{kind}", {**body, "scope": "public"}).status == 201
        assert as_project("b").names(f"/v2/{kind}") == ["thing"]


@pytest.mark.spec("API92")
@pytest.mark.parametrize("kind", ["cron", "event"])
def test_a_workflow_that_others_trigger_stays_public(as_project: AsProject, kind: str) -> None:
    assert publish(as_project("a/admin"), "workflows").status == 201
    other = as_project("b")
    trigger = CRON if kind == "cron" else event(other)
    created = other.post(f"/v2/{kind}_triggers", trigger).json
    assert as_project("a").put("/v2/workflows", WORKFLOW).status == 403
    assert as_project("a/admin").put("/v2/workflows?scope=public", WORKFLOW).status == 200
    assert other.delete(f"/v2/{kind}_triggers/{created['id']}").status == 204
    assert as_project("a").put("/v2/workflows", WORKFLOW).status == 200


@pytest.mark.spec("API76", "API82", "SVC70")
@pytest.mark.parametrize("kind", KINDS)
def test_only_administrators_publish(as_project: AsProject, kind: str) -> None:
    answer = publish(as_project("a"), kind)
    assert answer.status == 403
    assert answer.fault
    assert "thing" not in as_project("a/admin").names(f"/v2/{kind}")
    bogus = as_project("a").post(f"/v2/{kind}?scope=bogus", BODIES[kind])
    assert bogus.status == 400


@pytest.mark.spec("API90", "API91")
@pytest.mark.parametrize("kind", KINDS)
def test_ones_own_thing_comes_before_a_public_one_of_the_same_name(as_project: AsProject, kind: str) -> None:
    assert publish(as_project("a/admin"), kind).status == 201
    assert as_project("b").post(f"/v2/{kind}", BODIES[kind]).status == 201
    assert as_project("b").get(f"/v2/{kind}/thing").json["project_id"] == "b"
    assert as_project("a").get(f"/v2/{kind}/thing").json["project_id"] == "a"
    assert as_project("b/admin").get(f"/v2/{kind}/thing").json["project_id"] == "b"
    assert as_project("c/admin").get(f"/v2/{kind}/thing").json["project_id"] == "a"
    assert as_project("b").delete(f"/v2/{kind}/thing").status == 204
    assert as_project("b").get(f"/v2/{kind}/thing").json["project_id"] == "a"


@pytest.mark.spec("API78", "API79")
def test_looking_across_projects_is_for_administrators(as_project: AsProject) -> None:
    for kind in ("workflows", "executions", "cron_triggers", "event_triggers"):
        assert as_project("a").get(f"/v2/{kind}?all_projects=true").status == 403
        assert as_project("a").get(f"/v2/{kind}?all_projects=false").status == 200
        assert as_project("a/admin").get(f"/v2/{kind}?all_projects=true").status == 200
    assert as_project("a").get(f"/v2/executions?project_id={ANY_UUID}").status == 403
    assert as_project("a").get(f"/v2/workflows?project_id={ANY_UUID}").status == 200
    assert as_project("a/admin").get(f"/v2/executions?project_id={ANY_UUID}").status == 200


def test_a_rule_that_refuses_stops_every_endpoint_that_it_guards(library: Library) -> None:
    class Nothing:
        def allows(self, rule: str, caller: object) -> bool:
            return False

    client = library.client(rules=Nothing())
    for method, path in (
        ("GET", "/v2/workflows"),
        ("POST", "/v2/workflows"),
        ("PUT", "/v2/workflows/x"),
        ("DELETE", "/v2/workbooks/x"),
        ("GET", "/v2/actions/std.echo"),
        ("GET", f"/v2/executions/{ANY_UUID}/report"),
        ("GET", f"/v2/tasks/{ANY_UUID}/workflow_executions"),
        ("POST", "/v2/action_executions"),
        ("PUT", "/v2/environments"),
    ):
        assert client.call(method, path).status == 403, path
    for path in ("/", "/v2"):
        assert client.get(path).status == 200
    assert client.post("/v2/workflows/validate", WORKFLOW).status == 200


@pytest.mark.spec("API93")
def test_what_came_with_the_service_is_changed_by_administrators_only(
    as_project: AsProject, library: Library
) -> None:
    assert as_project("a/admin").post("/v2/workflows?scope=public", WORKFLOW).status == 201

    async def mark() -> None:
        async with library.database.write() as connection:
            await connection.execute(sa.update(schema.workflow_definitions).values(is_system=True))

    library.runner.run(mark())
    assert as_project("a").delete("/v2/workflows/thing").status == 400
    assert as_project("a").put("/v2/workflows", WORKFLOW).status == 400
    assert as_project("a/admin").delete("/v2/workflows/thing").status == 204


@pytest.mark.spec("API94", "API96")
def test_an_administrator_describes_anothers_execution(as_caller: AsProject) -> None:
    assert as_caller("a").post("/v2/workflows", WORKFLOW).status == 201
    started = as_caller("a").post("/v2/executions?wait=20", {"workflow_name": "thing"}).json
    url = f"/v2/executions/{started['id']}"
    answer = as_caller("b/admin").put(url, {"description": "looked at"})
    assert (answer.status, answer.json["project_id"]) == (200, "a")
    assert as_caller("a").get(url).json["description"] == "looked at"
    assert as_caller("b").put(url, {"description": "x"}).status == 404
    assert as_caller("b").delete(url).status == 404
    assert as_caller("b/admin").delete(url).status == 204


@pytest.mark.spec("API83", "API84")
def test_what_runs_is_seen_by_its_project_only(service: Running, as_caller: AsProject) -> None:
    document = "version: '2.0'\nthing: {tasks: {t: {action: std.async_noop}}}\n"
    as_caller("a").post("/v2/workflows", document)
    as_caller("a").post("/v2/executions", {"workflow_name": "thing"})
    service.until("/v2/action_executions", lambda found: len(found["action_executions"]) == 1)
    (task,) = as_caller("a").items("/v2/tasks")
    (action,) = as_caller("a").items("/v2/action_executions")
    stranger = as_caller("b")
    assert stranger.get(f"/v2/tasks/{task['id']}").status == 404
    assert stranger.get(f"/v2/action_executions/{action['id']}").status == 404
    assert stranger.put(f"/v2/tasks/{task['id']}", {"state": "RUNNING", "reset": True}).status == 404
    assert stranger.put(f"/v2/action_executions/{action['id']}", {"state": "SUCCESS"}).status == 404
    assert stranger.delete(f"/v2/action_executions/{action['id']}").status == 404
    assert stranger.get(f"/v2/tasks/{task['id']}/executions").status == 404
    for path in ("tasks", "action_executions", f"tasks/{task['id']}/action_executions"):
        assert stranger.items(f"/v2/{path}") == []
    assert stranger.post("/v2/executions", {"workflow_name": "thing"}).status == 404


@pytest.mark.spec("API90")
def test_each_project_starts_its_own_workflow_of_a_name(as_caller: AsProject) -> None:
    for project in ("a", "b"):
        document = (
            f"version: '2.0'\nthing: {{output: {{o: {project}}}, tasks: {{t: {{action: std.noop}}}}}}\n"
        )
        assert as_caller(project).post("/v2/workflows", document).status == 201
    for project in ("a", "b", "a/admin"):
        ended = as_caller(project).post("/v2/executions?wait=20", {"workflow_name": "thing"}).json
        assert json.loads(ended["output"]) == {"o": project[0]}
