"""Event triggers over the API: what events start is stored, changed, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library

WORKFLOWS = """version: '2.0'
wf:
  input: [{a: 1}]
  tasks:
    t: {action: std.noop}
needy:
  input: [must]
  tasks:
    t: {action: std.noop}
"""
AsProject = Callable[[str], Client]


def define(client: Client) -> dict[str, str]:
    """Upload the workflows; gives their ids by name."""
    answer = client.post("/v2/workflows", WORKFLOWS)
    assert answer.status == 201, answer
    return {item["name"]: item["id"] for item in answer.json["workflows"]}


@pytest.fixture
def ids(client: Client) -> dict[str, str]:
    return define(client)


def order(workflow_id: str, **attributes: Any) -> dict[str, Any]:
    return {
        "workflow_id": workflow_id,
        "exchange": "nova",
        "topic": "notifications",
        "event": "compute.instance.create.end",
        **attributes,
    }


def created(client: Client, workflow_id: str, **attributes: Any) -> dict[str, Any]:
    answer = client.post("/v2/event_triggers", order(workflow_id, **attributes))
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


@pytest.mark.spec("API260")
def test_a_trigger_is_stored_with_all_its_attributes(client: Client, ids: dict[str, str]) -> None:
    trigger = created(client, ids["wf"])
    assert trigger == {
        "id": trigger["id"],
        "created_at": "2026-01-01 00:00:00",
        "updated_at": None,
        "project_id": "<default-project>",
        "name": "",
        "workflow_id": ids["wf"],
        "workflow_input": "{}",
        "workflow_params": "{}",
        "exchange": "nova",
        "topic": "notifications",
        "event": "compute.instance.create.end",
        "scope": "private",
    }
    assert client.get(f"/v2/event_triggers/{trigger['id']}").json == trigger
    assert client.items("/v2/event_triggers") == [trigger]


@pytest.mark.spec("API261", "SVC40")
@pytest.mark.parametrize("name", ["exchange", "topic", "event", "workflow_id"])
@pytest.mark.parametrize("value", [None, "", "absent"])
def test_what_an_event_is_known_by_is_needed(
    client: Client, ids: dict[str, str], name: str, value: str | None
) -> None:
    body = {**order(ids["wf"]), name: value}
    if value == "absent":
        del body[name]
    answer = client.post("/v2/event_triggers", body)
    assert answer.status == 400
    assert name in answer.fault
    assert client.items("/v2/event_triggers") == []


@pytest.mark.spec("API261")
def test_the_workflow_is_named_by_its_id(client: Client, ids: dict[str, str]) -> None:
    for wrong in ("wf", "1a2b3c", 7, [ids["wf"]]):
        assert client.post("/v2/event_triggers", {**order(ids["wf"]), "workflow_id": wrong}).status == 400
    assert client.post("/v2/event_triggers", order(ANY_UUID)).status == 404


@pytest.mark.spec("API262")
def test_what_cannot_be_stored_is_refused(client: Client, ids: dict[str, str]) -> None:
    answer = client.post("/v2/event_triggers", order(ids["needy"]))
    assert answer.status == 400
    assert "Invalid input" in answer.fault
    created(client, ids["needy"], workflow_input='{"must": 1}')
    duplicate = client.post("/v2/event_triggers", order(ids["needy"], name="x", workflow_input={"must": 2}))
    assert duplicate.status == 409
    for name in ("id", "created_at", "updated_at", "project_id", "nonsense"):
        answer = client.post("/v2/event_triggers", order(ids["wf"], **{name: "x"}))
        assert answer.status == 400
        assert name in answer.fault
    for name, limit in (("name", 200), ("exchange", 80), ("topic", 80), ("event", 80)):
        assert client.post("/v2/event_triggers", order(ids["wf"], **{name: "x" * (limit + 1)})).status == 400
    for name, value in (("scope", "zz"), ("workflow_input", [1]), ("workflow_params", "q")):
        assert client.post("/v2/event_triggers", order(ids["wf"], **{name: value})).status == 400


@pytest.mark.spec("API263")
def test_a_trigger_is_read_by_its_uuid(client: Client, ids: dict[str, str]) -> None:
    trigger = created(client, ids["wf"], name="mine")
    url = f"/v2/event_triggers/{trigger['id']}"
    assert client.get(f"{url}?fields=name,event").json == {
        "id": trigger["id"],
        "name": "mine",
        "event": "compute.instance.create.end",
    }
    assert client.get(f"{url}?fields=trust_id").status == 400
    for method in ("GET", "PUT", "DELETE"):
        body = {"name": "x"} if method == "PUT" else None
        assert client.call(method, "/v2/event_triggers/mine", body).status == 400
        assert client.call(method, f"/v2/event_triggers/{ANY_UUID}", body).status == 404


@pytest.mark.spec("API264")
def test_lists_are_filtered_by_what_triggers_have(client: Client, ids: dict[str, str]) -> None:
    created(client, ids["wf"], name="one", event="e1", workflow_params={"env": {}})
    created(client, ids["wf"], name="two", event="e2", topic="other", workflow_input={"a": 2})
    created(client, ids["needy"], name="three", exchange="glance", workflow_input={"must": 1})
    for query, names in (
        ("event=e1", ["one"]),
        ("event=in:e1,e2", ["one", "two"]),
        ("topic=other", ["two"]),
        ("topic=neq:other", ["one", "three"]),
        ("exchange=glance", ["three"]),
        ("name=has:o", ["one", "two"]),
        (f"workflow_id={ids['needy']}", ["three"]),
        (f"workflow_id=neq:{ids['needy']}", ["one", "two"]),
        ('workflow_input={"a":2}', ["two"]),
        ('workflow_params={"env":{}}', ["one"]),
        ("scope=private&event=e2", ["two"]),
        ("sort_keys=event&sort_dirs=desc&limit=1", ["two"]),
    ):
        assert client.names(f"/v2/event_triggers?{query}") == names, query
    for wrong in ("workflow_id=q", "trust_id=x", "workflow_input=q"):
        assert client.get(f"/v2/event_triggers?{wrong}").status == 400, wrong
    columns = "id,name,workflow_id,workflow_params,exchange,topic,event,created_at,updated_at"
    for item in client.items(f"/v2/event_triggers?fields={columns}"):
        assert set(item) == set(columns.split(","))


@pytest.mark.spec("API265", "SVC40")
def test_some_attributes_can_be_changed(client: Client, ids: dict[str, str], library: Library) -> None:
    trigger = created(client, ids["wf"])
    url = f"/v2/event_triggers/{trigger['id']}"
    library.clock.advance(60)
    assert client.put(url, {}).json == trigger
    changed = client.put(url, {"name": "new", "workflow_input": {"a": 5}})
    assert changed.status == 200
    assert changed.json == {
        **trigger,
        "name": "new",
        "workflow_input": '{"a":5}',
        "updated_at": "2026-01-01 00:01:00",
    }
    assert client.get(url).json == changed.json
    for name in ("exchange", "topic", "event"):
        assert client.put(url, {name: "other"}).status == 400
        assert client.put(url, {name: None}).status == 200
    moved = client.put(url, {"workflow_id": ids["needy"]})
    assert moved.status == 400, "the input doesn't suit the other workflow"
    moved = client.put(url, {"workflow_id": ids["needy"], "workflow_input": {"must": 1}})
    assert (moved.status, moved.json["workflow_id"]) == (200, ids["needy"])
    assert client.put(url, {"workflow_id": ANY_UUID}).status == 404
    assert client.put(url, {"workflow_id": "q"}).status == 400
    assert client.put(url, {"workflow_input": {"a": 1}}).status == 400
    assert client.put(url, {"scope": "zz"}).status == 400
    assert client.put(url, {"id": trigger["id"]}).status == 400
    assert json.loads(client.get(url).json["workflow_input"]) == {"must": 1}


def test_a_change_makes_no_duplicates(client: Client, ids: dict[str, str]) -> None:
    created(client, ids["wf"])
    other = created(client, ids["needy"], workflow_input={"must": 1})
    change = {"workflow_id": ids["wf"], "workflow_input": {}}
    assert client.put(f"/v2/event_triggers/{other['id']}", change).status == 409


@pytest.mark.spec("API266")
def test_a_deleted_trigger_lets_its_workflow_go(client: Client, ids: dict[str, str]) -> None:
    trigger = created(client, ids["wf"])
    refused = client.delete("/v2/workflows/wf")
    assert refused.status == 400
    assert trigger["id"] in refused.fault
    assert client.delete(f"/v2/event_triggers/{trigger['id']}").status == 204
    assert client.delete(f"/v2/event_triggers/{trigger['id']}").status == 404
    assert client.delete("/v2/workflows/wf").status == 204


@pytest.mark.spec("SVC48")
def test_public_triggers_are_changed_by_their_project_and_administrators_only(as_project: AsProject) -> None:
    workflow = define(as_project("a"))["wf"]
    trigger = created(as_project("a/admin"), workflow, scope="public")
    url = f"/v2/event_triggers/{trigger['id']}"
    assert as_project("b").get(url).json["project_id"] == "a"
    assert as_project("b").put(url, {"name": "x"}).status == 403
    assert as_project("b").delete(url).status == 403
    assert as_project("a").put(url, {"name": "x"}).json["name"] == "x"
    changed = as_project("c/admin").put(url, {"name": "y"})
    assert (changed.status, changed.json["project_id"]) == (200, "a")
    private = as_project("a").put(url, {"scope": "private"})
    assert private.json["scope"] == "private"
    assert as_project("b").get(url).status == 404
    assert as_project("b").put(url, {"name": "x"}).status == 404
    assert as_project("b").delete(url).status == 404
    assert as_project("a").put(url, {"scope": "public"}).status == 403


def test_a_trigger_has_a_trust_for_as_long_as_it_exists(as_project: AsProject, library: Library) -> None:
    workflow = define(as_project("a"))["wf"]
    trigger = created(as_project("a"), workflow)
    (trust,) = library.trusts.given
    assert as_project("a").post("/v2/event_triggers", order(workflow)).status == 409
    assert library.trusts.given == [trust]
    assert as_project("a").delete(f"/v2/event_triggers/{trigger['id']}").status == 204
    assert library.trusts.given == []
