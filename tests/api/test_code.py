"""Code sources and dynamic actions: uploaded Python, and what runs of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library
from tests.api.running import Running

MODULE = '''
class Greet:
    """Greets somebody."""

    def __init__(self, name, greeting="hello", times=1):
        self.name, self.greeting, self.times = name, greeting, times

    def run(self, context):
        return " ".join([self.greeting] * self.times) + " " + self.name


class Later:
    def run(self, context):
        return None

    def is_sync(self):
        return False
'''
BROKEN = "class Greet:\n    def run(self, context)\n        return 1\n"
AsProject = Callable[[str], Client]


def upload(client: Client, content: str = MODULE, query: str = "name=module") -> dict[str, Any]:
    answer = client.post(f"/v2/code_sources?{query}", content)
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


def action(client: Client, **attributes: Any) -> dict[str, Any]:
    body = {"name": "greet", "class_name": "Greet", "code_source_name": "module", **attributes}
    answer = client.post("/v2/dynamic_actions", body)
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


def ran(client: Client, name: str, given: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Run an action for the answer; gives state and result."""
    answer = client.post("/v2/action_executions", {"name": name, "input": given or {}, **more})
    assert answer.status == 201, answer
    return {"state": answer.json["state"], **json.loads(answer.json["output"])}


# -- code sources -----------------------------------------------------------------------------


@pytest.mark.spec("API275")
def test_a_code_source_is_stored_as_it_is(client: Client) -> None:
    source = upload(client)
    assert source == {
        "id": source["id"],
        "name": "module",
        "namespace": "",
        "content": MODULE,
        "version": 1,
        "project_id": "<default-project>",
        "scope": "private",
        "created_at": "2026-01-01 00:00:00",
    }
    assert client.post("/v2/code_sources?name=module", MODULE).status == 409
    assert upload(client, "", "name=module&namespace=n&unknown=1")["content"] == ""
    for query in ("", "name=", "scope=public", "name=x&scope=zz", f"name={'x' * 256}"):
        assert client.post(f"/v2/code_sources?{query}", MODULE).status == 400, query
    assert client.post("/v2/code_sources?name=y", b"\xff").status == 400
    assert [item["namespace"] for item in client.items("/v2/code_sources")] == ["", "n"]
    answer = client.post("/v2/code_sources?name=spaced name", MODULE, {"content-type": "text/plain"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.spec("API276", "ACT63")
def test_an_update_counts_the_versions(client: Client, library: Library) -> None:
    source = upload(client, query="name=module&scope=public")
    library.clock.advance(1)
    changed = client.put("/v2/code_sources?identifier=module", "x = 1")
    assert changed.status == 200
    assert changed.json == {
        **source,
        "content": "x = 1",
        "version": 2,
        "scope": "private",
        "updated_at": "2026-01-01 00:00:01",
    }
    for url in (f"?identifier={source['id']}", f"/{source['id']}?scope=public", "/module"):
        assert client.put(f"/v2/code_sources{url}", MODULE).status == 200
    assert client.get("/v2/code_sources/module").json["version"] == 5
    for url in ("?identifier=nope", "?identifier=module&namespace=n", f"/{ANY_UUID}"):
        assert client.put(f"/v2/code_sources{url}", MODULE).status == 404
    for url in ("", "?identifier=", "?identifier=module&scope=zz"):
        assert client.put(f"/v2/code_sources{url}", MODULE).status == 400


@pytest.mark.spec("API277")
def test_a_code_source_is_found_by_name_in_its_namespace_or_by_id(client: Client) -> None:
    source = upload(client, query="name=module&namespace=n")
    shown = {**source, "updated_at": None}
    assert client.get(f"/v2/code_sources/{source['id']}").json == shown
    assert client.get("/v2/code_sources/module?namespace=n").json == shown
    assert client.get("/v2/code_sources/module").status == 404
    fields = client.get(f"/v2/code_sources/{source['id']}?fields=name,version").json
    assert fields == {"id": source["id"], "name": "module", "version": 1}
    assert client.get(f"/v2/code_sources/{source['id']}?fields=bogus").status == 400
    assert client.items("/v2/code_sources") == [shown]


def test_code_sources_are_listed_by_what_they_have(client: Client) -> None:
    upload(client)
    upload(client, query="name=other&namespace=n&scope=public")
    for query, names in (
        ("name=module", ["module"]),
        ("namespace=n", ["other"]),
        ("scope=public", ["other"]),
        ("name=nin:module,x", ["other"]),
        ("tags=x", []),
        ("all_projects=true", ["module", "other"]),
        ("created_at=gt:2026-01-01", []),
        (f"project_id={ANY_UUID}", []),
        ("sort_keys=name&sort_dirs=desc", ["other", "module"]),
    ):
        assert client.names(f"/v2/code_sources?{query}") == names, query
    for wrong in ("content=x", "version=1", "project_id=q"):
        assert client.get(f"/v2/code_sources?{wrong}").status == 400
    columns = "id,name,namespace,project_id,scope,created_at,updated_at"
    assert set(client.items(f"/v2/code_sources?fields={columns}")[0]) == set(columns.split(","))


@pytest.mark.spec("API278", "ACT65")
def test_a_deleted_code_source_takes_its_actions_along(client: Client) -> None:
    upload(client)
    upload(client, query="name=other")
    action(client)
    action(client, name="kept", code_source_name="other")
    assert client.delete("/v2/code_sources/module?namespace=n").status == 404
    assert client.delete("/v2/code_sources/module").status == 204
    assert client.delete("/v2/code_sources/module").status == 404
    assert client.names("/v2/dynamic_actions") == ["kept"]
    assert client.get("/v2/actions/greet").status == 404


# -- dynamic actions --------------------------------------------------------------------------


@pytest.mark.spec("API279")
def test_a_dynamic_action_names_a_class_of_a_code_source(client: Client) -> None:
    source = upload(client)
    created = action(client)
    assert created == {
        "id": created["id"],
        "name": "greet",
        "namespace": "",
        "code_source_id": source["id"],
        "code_source_name": "module",
        "class_name": "Greet",
        "project_id": "<default-project>",
        "scope": "private",
        "created_at": "2026-01-01 00:00:00",
    }
    by_id = action(client, name="by id", code_source_name=None, code_source_id=source["id"])
    assert by_id["code_source_name"] == "module"
    whole = {"name": "x", "class_name": "Greet", "code_source_name": "module"}
    for missing in whole:
        for nothing in ({}, {missing: None}, {missing: ""}):
            body = {name: value for name, value in whole.items() if name != missing}
            assert client.post("/v2/dynamic_actions", {**body, **nothing}).status == 400, missing
    for wrong, status in (
        ({"code_source_name": "nope"}, 404),
        ({"code_source_id": ANY_UUID}, 404),
        ({"namespace": "n"}, 404),
        ({"name": "greet"}, 409),
        ({"scope": "zz"}, 400),
        ({"nonsense": 1}, 400),
        ({"project_id": "p"}, 400),
        ({"class_name": "C" * 181}, 400),
    ):
        assert client.post("/v2/dynamic_actions", {**whole, **wrong}).status == status, wrong
    assert action(client, name="absent", class_name="Absent")["class_name"] == "Absent"


@pytest.mark.spec("API280")
def test_a_dynamic_action_changes_in_all_but_its_name(client: Client, library: Library) -> None:
    upload(client)
    other = upload(client, query="name=other")
    created = action(client)
    library.clock.advance(1)
    changed = client.put("/v2/dynamic_actions", {"name": "greet", "class_name": "Later"})
    assert changed.status == 200
    assert changed.json == {**created, "class_name": "Later", "updated_at": "2026-01-01 00:00:01"}
    kept = client.put("/v2/dynamic_actions", {"id": created["id"], "scope": "public", "namespace": ""})
    assert (kept.json["class_name"], kept.json["scope"]) == ("Later", "public")
    moved = client.put(
        "/v2/dynamic_actions", {"id": created["id"], "name": "new", "code_source_name": "other"}
    )
    assert (moved.json["code_source_id"], moved.json["scope"]) == (other["id"], "public")
    assert moved.json["name"] == "greet"
    for wrong, status in (
        ({}, 400),
        ({"class_name": "Greet"}, 400),
        ({"name": "nope"}, 404),
        ({"name": "greet", "namespace": "n"}, 404),
        ({"name": "greet", "code_source_id": ANY_UUID}, 404),
        ({"name": "greet", "scope": "zz"}, 400),
    ):
        assert client.put("/v2/dynamic_actions", wrong).status == status, wrong
    assert client.put("/v2/dynamic_actions/greet", {"class_name": "Greet"}).status == 400


@pytest.mark.spec("API283")
def test_the_stored_namespace_is_shown_with_fields_too(client: Client) -> None:
    upload(client, query="name=module&namespace=n")
    created = action(client, namespace="n")
    for url in (f"/v2/dynamic_actions/{created['id']}", "/v2/dynamic_actions/greet"):
        shown = client.get(f"{url}?namespace=n&fields=name,namespace").json
        assert shown == {"id": created["id"], "name": "greet", "namespace": "n"}
    (listed,) = client.items("/v2/dynamic_actions?fields=name,namespace")
    assert listed["namespace"] == "n"
    assert client.items("/v2/dynamic_actions?fields=name") == [{"id": created["id"], "name": "greet"}]
    assert client.get("/v2/dynamic_actions/greet").status == 404
    assert client.get(f"/v2/dynamic_actions/{created['id']}").json == {**created, "updated_at": None}
    assert client.get("/v2/dynamic_actions?tags=x").status == 400
    assert client.delete("/v2/dynamic_actions/greet").status == 404
    assert client.delete("/v2/dynamic_actions/greet?namespace=n").status == 204
    assert client.delete(f"/v2/dynamic_actions/{created['id']}").status == 404


@pytest.mark.spec("API77", "ACT66")
@pytest.mark.parametrize("kind", ["code_sources", "dynamic_actions"])
def test_uploaded_code_is_for_administrators(as_project: AsProject, kind: str) -> None:
    for method, url in (
        ("GET", ""),
        ("POST", "?name=x"),
        ("PUT", "?identifier=x"),
        ("DELETE", ""),
        ("GET", "/x"),
        ("PUT", "/x"),
        ("DELETE", "/x"),
    ):
        answer = as_project("a").call(method, f"/v2/{kind}{url}", {"name": "x"})
        assert answer.status == 403, (method, url)
    assert as_project("a").get(f"/v2/{kind}?all_projects=true").status == 403
    assert as_project("a/admin").get(f"/v2/{kind}?all_projects=true").status == 200


# -- as actions -------------------------------------------------------------------------------


@pytest.mark.spec("API160", "API155")
def test_dynamic_actions_are_actions_like_others(client: Client) -> None:
    upload(client)
    action(client)
    shown = client.get("/v2/actions/greet").json
    assert shown == {
        "id": "greet",
        "name": "greet",
        "is_system": False,
        "input": 'name, greeting="hello", times=1',
        "description": "Greets somebody.",
        "tags": None,
        "definition": "",
        "scope": "private",
        "project_id": "<default-project>",
        "created_at": "",
        "updated_at": "",
        "namespace": "",
    }
    assert shown in client.items("/v2/actions")
    assert client.get("/v2/actions/greet/n").json == shown, "as with ad-hoc ones, the empty namespace is next"
    for query, is_there in (
        ("name=greet", True),
        ("is_system=false", True),
        ("is_system=true", False),
        ("scope=private", True),
        ("scope=public", False),
        ("created_at=gt:2030-01-01", True),
        ("tags=x", False),
        ("input=has:times", True),
        ("description=has:somebody", True),
        ("namespace=n", False),
    ):
        names = [item["name"] for item in client.items(f"/v2/actions?{query}")]
        assert ("greet" in names) is is_there, query
    pages = client.follow("/v2/actions?limit=3&sort_keys=created_at")
    names = [item["name"] for page in pages for item in page]
    assert len(names) == len(set(names))
    assert "greet" in names


def test_an_ad_hoc_action_comes_before_a_dynamic_one_and_that_before_an_installed_one(client: Client) -> None:
    upload(client)
    action(client, name="std.echo")
    assert client.get("/v2/actions/std.echo").json["description"] == "Greets somebody."
    client.post("/v2/actions", "version: '2.0'\nstd.echo: {base: std.noop, description: own}\n")
    assert client.get("/v2/actions/std.echo").json["description"] == "own"


@pytest.mark.spec("ACT64")
def test_broken_code_harms_only_itself(service: Running) -> None:
    answer = service.post("/v2/code_sources?name=broken", BROKEN)
    assert answer.status == 201
    (warning,) = answer.json["warnings"]
    assert (warning["line"], warning["severity"]) == (2, "warning")
    upload(service)
    action(service)
    action(service, name="broken", code_source_name="broken")
    action(service, name="absent", class_name="Absent")
    names = [item["name"] for item in service.items("/v2/actions")]
    assert {"greet", "broken", "absent", "std.echo"} <= set(names)
    assert "line 2" in service.get("/v2/actions/broken").json["description"]
    failed = ran(service, "broken")
    assert failed["state"] == "ERROR"
    assert "'broken'" in failed["result"]
    assert "line 2" in failed["result"]
    failed = ran(service, "absent")
    assert failed["state"] == "ERROR"
    assert "no class 'Absent'" in failed["result"]
    assert ran(service, "greet", {"name": "you"}) == {"state": "SUCCESS", "result": "hello you"}


@pytest.mark.spec("API281")
def test_a_dynamic_action_runs_at_once(service: Running) -> None:
    upload(service)
    action(service)
    given = {"name": "you", "times": 2}
    assert ran(service, "greet", given) == {"state": "SUCCESS", "result": "hello hello you"}
    for wrong in ({}, {"name": "you", "more": 1}):
        answer = service.post("/v2/action_executions", {"name": "greet", "input": wrong})
        assert answer.status == 400
        assert "Invalid input" in answer.fault
    saved = service.post(
        "/v2/action_executions", {"name": "greet", "input": given, "params": {"save_result": True}}
    ).json
    assert (saved["name"], saved["state"]) == ("greet", "RUNNING")
    ended = service.until(f"/v2/action_executions/{saved['id']}", lambda found: found["state"] != "RUNNING")
    assert (ended["state"], json.loads(ended["output"])) == ("SUCCESS", {"result": "hello hello you"})
    later = action(service, name="later", class_name="Later")
    begun = service.post("/v2/action_executions", {"name": later["name"]}).json
    assert begun["state"] == "RUNNING"
    done = service.put(f"/v2/action_executions/{begun['id']}", {"state": "SUCCESS", "output": {"x": 1}}).json
    assert json.loads(done["output"]) == {"result": {"x": 1}}


@pytest.mark.spec("API282", "ACT63")
def test_the_next_run_uses_the_code_as_it_is_then(service: Running) -> None:
    upload(service)
    action(service)
    assert ran(service, "greet", {"name": "you"})["result"] == "hello you"
    service.put("/v2/code_sources?identifier=module", MODULE.replace("hello", "good day"))
    assert ran(service, "greet", {"name": "you"})["result"] == "good day you"
    assert 'greeting="good day"' in service.get("/v2/actions/greet").json["input"]
    service.put("/v2/dynamic_actions", {"name": "greet", "class_name": "Later"})
    assert service.post("/v2/action_executions", {"name": "greet", "input": {"name": "x"}}).status == 400
    service.delete("/v2/dynamic_actions/greet")
    assert service.post("/v2/action_executions", {"name": "greet"}).status == 400


def test_workflows_use_dynamic_actions_also_below_ad_hoc_ones(service: Running) -> None:
    upload(service)
    action(service)
    service.post(
        "/v2/actions",
        "version: '2.0'\nloud:\n  input: [who]\n  base: greet\n  base-input: {name: <% $.who %>}\n"
        "  output: <% $.toUpper() %>\n",
    )
    service.define(
        "version: '2.0'\nwf:\n  output: {r: <% $.r %>, l: <% $.l %>}\n  tasks:\n"
        "    one: {action: greet name='you', publish: {r: <% task().result %>}, on-success: two}\n"
        "    two: {action: loud who='me', publish: {l: <% task().result %>}, on-success: three}\n"
        "    three: {with-items: 'i in [1, 2]', action: greet name=<% str($.i) %>}\n"
    )
    ended = service.start("wf", wait=20)
    assert json.loads(ended["output"]) == {"r": "hello you", "l": "HELLO ME"}
    names = {item["name"] for item in service.items("/v2/action_executions")}
    assert names == {"greet", "loud"}
    assert json.loads(service.task(ended["id"], "three")["result"]) == ["hello 1", "hello 2"]


def test_private_code_is_run_by_its_own_project_only(as_caller: AsProject) -> None:
    upload(as_caller("a/admin"))
    action(as_caller("a/admin"))
    body = {"name": "greet", "input": {"name": "you"}}
    assert as_caller("a").post("/v2/action_executions", body).status == 201
    assert as_caller("b").post("/v2/action_executions", body).status == 400
    assert as_caller("b").get("/v2/actions/greet").status == 404
    assert as_caller("a").get("/v2/actions/greet").status == 200
    public = as_caller("a/admin").put("/v2/dynamic_actions", {"name": "greet", "scope": "public"})
    assert public.status == 200
    assert as_caller("b").post("/v2/action_executions", body).status == 201
