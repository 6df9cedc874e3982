"""Workflow definitions over the API."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library

from tramontane.api.settings import ApiSettings
from tramontane.store import schema

TASKS = "  tasks:\n    t: {action: std.noop}\n"


def text(*names: str, head: str = "") -> str:
    """A document with workflows of these names."""
    return "version: '2.0'\n" + "".join(f"{name}:\n{head}{TASKS}" for name in names)


def create(client: Client, document: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.post(f"/v2/workflows{query}", document)
    assert answer.status == 201, answer
    workflows = answer.json["workflows"]
    assert isinstance(workflows, list)
    return workflows


def add_trigger(
    library: Library, workflow_id: str, project: str = "<default-project>", kind: str = "cron"
) -> str:
    """Store a trigger that starts a workflow, and give its id."""
    trigger_id = f"{kind}-{project}"[:36]
    common = {
        "id": trigger_id,
        "name": "t",
        "project_id": project,
        "scope": "private",
        "workflow_id": workflow_id,
        "created_at": 0,
    }
    own = (
        {"workflow_name": "wf", "pattern": "* * * * *"}
        if kind == "cron"
        else {"exchange": "e", "topic": "t", "event": "v"}
    )
    table = schema.cron_triggers if kind == "cron" else schema.event_triggers

    async def insert() -> None:
        async with library.database.write() as connection:
            await connection.execute(sa.insert(table), [{**common, **own}])

    library.runner.run(insert())
    return trigger_id


@pytest.mark.spec("API110", "API111", "D180")
def test_a_single_workflow_is_stored_byte_for_byte(client: Client) -> None:
    document = "\ufeff# a comment\r\n" + text("wf").replace("\n", "\r\n")
    (workflow,) = create(client, document)
    assert workflow["definition"] == document
    assert workflow["checksum"] == hashlib.md5(document.encode()).hexdigest()
    assert client.get("/v2/workflows/wf").json["definition"] == document


@pytest.mark.spec("API112", "D181")
def test_of_several_workflows_each_keeps_its_own_part(client: Client) -> None:
    document = text("b", "a")
    workflows = create(client, document)
    assert [item["name"] for item in workflows] == ["b", "a"]
    whole = yaml.safe_load(document)
    for item in workflows:
        own = yaml.safe_load(item["definition"])
        assert own == {"version": "2.0", item["name"]: whole[item["name"]]}


@pytest.mark.spec("API113", "D165", "D166")
def test_a_duplicate_stops_the_whole_upload(client: Client) -> None:
    create(client, text("b"))
    answer = client.post("/v2/workflows", text("a", "b"))
    assert answer.status == 409
    assert "Duplicate entry for WorkflowDefinition ['name', 'namespace', 'project_id']" in answer.fault
    assert client.get("/v2/workflows/a").status == 404
    create(client, text("a", "b"), "?namespace=n")


@pytest.mark.spec("API114", "D182", "D183")
def test_the_declared_input_reads_as_python_would_print_it(client: Client) -> None:
    (workflow,) = create(client, text("wf", head="  input: [x, {y: 5}, {z: null}]\n  output: {o: 1}\n"))
    assert workflow["input"] == 'x, y="5", z="None"'
    assert workflow["interface"] == {"input": ["x", {"y": 5}, {"z": None}], "output": ["o"]}
    (plain,) = create(client, text("plain"))
    assert plain["input"] == ""
    assert plain["interface"] == {"input": [], "output": []}


@pytest.mark.spec("API115", "API123", "API48")
def test_the_interface_is_an_object_in_uploads_and_text_elsewhere(client: Client) -> None:
    create(client, text("wf", head="  input: [x]\n"))
    shown = client.get("/v2/workflows/wf").json
    assert json.loads(shown["interface"]) == {"input": ["x"], "output": []}
    assert (
        client.get("/v2/workflows?fields=interface").json["workflows"][0]["interface"] == shown["interface"]
    )
    one = client.get("/v2/workflows/wf?fields=name,input").json
    assert set(one) == {"id", "name", "input", "interface"}
    listed = client.get("/v2/workflows?fields=input&limit=1").json
    assert set(listed["workflows"][0]) == {"id", "input", "interface"}
    assert listed["next"].endswith("&fields=input")
    assert client.get("/v2/workflows/wf?fields=bogus").status == 400


@pytest.mark.spec("API116", "API117", "D1", "D2", "D3", "D28", "D33")
@pytest.mark.parametrize(
    "document",
    [
        "",
        "a: [",
        "[]",
        "abc",
        "wf: {tasks: {t: {action: std.noop}}}",
        "version: '2.0'",
        "version: '2.0'\nwf: {tasks: {}}",
        "version: '2.0'\nwf: {tasks: {t: {nonsense: 1}}}",
        "version: '2.0'\nwf: {tasks: {t: {action: std.noop, on-success: zzz}}}",
        "version: '2.0'\n'a b': {tasks: {t: {action: std.noop}}}",
    ],
)
def test_what_breaks_the_language_is_refused(client: Client, document: str) -> None:
    answer = client.post("/v2/workflows", document)
    assert answer.status == 400
    assert answer.fault
    assert client.items("/v2/workflows") == []


@pytest.mark.spec("D5", "D109")
def test_the_reason_of_a_refusal_names_the_place(client: Client) -> None:
    assert client.post("/v2/workflows", "a: [").fault.startswith("Definition could not be parsed")
    answer = client.post("/v2/workflows", "version: '2.0'\nwf: {tasks: {t: {on-success: zzz}}}")
    assert "Task 'zzz' not found." in answer.fault


def test_questionable_documents_are_taken_with_warnings(client: Client) -> None:
    document = text("wf", head="  foo: 1\n")
    answer = client.post("/v2/workflows", document)
    assert answer.status == 201
    (warning,) = answer.json["warnings"]
    assert warning["severity"] == "warning"
    assert warning["path"] == "wf.foo"
    assert warning["line"] == 3
    assert "warnings" not in client.post("/v2/workflows", text("plain")).json


@pytest.mark.spec("D49")
def test_under_strict_checking_warnings_are_errors(client: Client, library: Library) -> None:
    document = text("wf", head="  foo: 1\n")
    answer = client.post("/v2/workflows?strict=true", document)
    assert answer.status == 400
    assert "foo" in answer.fault
    strict = library.client(ApiSettings(strict_definitions=True))
    assert strict.post("/v2/workflows", document).status == 400
    assert strict.post("/v2/workflows?strict=false", document).status == 201


def test_scopes_are_checked(client: Client) -> None:
    assert client.post("/v2/workflows?scope=bogus", text("wf")).status == 400
    assert create(client, text("wf"), "?scope=public")[0]["scope"] == "public"
    assert client.get("/v2/workflows/wf").json["scope"] == "public"


@pytest.mark.spec("API118", "API105")
def test_updating_by_name_replaces_content_and_makes_private(client: Client, library: Library) -> None:
    (old,) = create(client, text("wf"), "?scope=public")
    library.clock.advance(60)
    answer = client.put("/v2/workflows", text("wf", head="  tags: [x]\n  input: [a]\n"))
    assert answer.status == 200
    (new,) = answer.json["workflows"]
    assert new["id"] == old["id"]
    assert new["created_at"] == old["created_at"]
    assert new["updated_at"] == "2026-01-01 00:01:00"
    assert new["scope"] == "private"
    assert new["tags"] == ["x"]
    assert new["input"] == "a"
    assert new["checksum"] != old["checksum"]
    assert client.put("/v2/workflows", text("unknown")).status == 404


@pytest.mark.spec("D167")
def test_one_unknown_workflow_stops_an_update(client: Client) -> None:
    create(client, text("a"))
    answer = client.put("/v2/workflows", text("a", "b", head="  tags: [x]\n"))
    assert answer.status == 404
    assert client.get("/v2/workflows/a").json["tags"] == []


@pytest.mark.spec("API119", "API120", "D168", "D169")
@pytest.mark.parametrize("form", ["/v2/workflows/{}", "/v2/workflows?identifier={}"])
@pytest.mark.parametrize("by", ["id", "name"])
def test_updating_one_workflow_may_rename_it(client: Client, form: str, by: str) -> None:
    (old,) = create(client, text("wf"))
    create(client, text("other"))
    url = form.format(old[by])
    assert client.put(url, text("renamed", "second")).status == 400
    assert client.put(url, text("other")).status == 409
    answer = client.put(url, text("renamed"))
    assert answer.status == 200
    assert (answer.json["id"], answer.json["name"]) == (old["id"], "renamed")
    assert client.get("/v2/workflows/wf").status == 404
    assert client.put(form.format("nothing"), text("x")).status == 404


@pytest.mark.spec("API121", "API122", "D175")
def test_namespaces_are_part_of_names_but_not_of_ids(client: Client) -> None:
    (own,) = create(client, text("wf"), "?namespace=n")
    assert own["namespace"] == "n"
    assert client.get("/v2/workflows/wf").status == 404
    assert client.get("/v2/workflows/wf?namespace=n").json["id"] == own["id"]
    assert client.get(f"/v2/workflows/{own['id']}").status == 200
    assert client.get(f"/v2/workflows/{own['id']}?namespace=").status == 200
    assert client.put(f"/v2/workflows/{own['id']}", text("wf2")).json["namespace"] == "n"
    assert client.put("/v2/workflows", text("wf2")).status == 404
    assert client.put("/v2/workflows?namespace=n", text("wf2")).status == 200
    assert client.post("/v2/workflows?namespace=" + "n" * 256, text("wf")).status == 400


@pytest.mark.spec("API124", "API125")
def test_deleting(client: Client) -> None:
    create(client, text("wf"))
    create(client, text("wf"), "?namespace=n")
    assert client.delete("/v2/workflows/wf?namespace=n").status == 204
    assert client.delete("/v2/workflows/wf?namespace=n").status == 404
    assert client.get("/v2/workflows/wf").status == 200
    answer = client.delete("/v2/workflows/wf")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert client.delete(f"/v2/workflows/{ANY_UUID}").status == 404


@pytest.mark.spec("API124")
@pytest.mark.parametrize("kind", ["cron", "event"])
def test_a_workflow_with_triggers_can_not_be_deleted(client: Client, library: Library, kind: str) -> None:
    (workflow,) = create(client, text("wf"))
    trigger = add_trigger(library, workflow["id"], "other", kind)
    answer = client.delete("/v2/workflows/wf")
    assert answer.status == 400
    assert trigger in answer.fault


@pytest.mark.spec("API92")
def test_a_workflow_that_others_trigger_stays_public(client: Client, library: Library) -> None:
    (workflow,) = create(client, text("wf"), "?scope=public")
    add_trigger(library, workflow["id"])
    assert client.put("/v2/workflows?scope=public", text("wf")).status == 200
    add_trigger(library, workflow["id"], "other", "event")
    assert client.put("/v2/workflows", text("wf")).status == 403
    assert client.put(f"/v2/workflows/{workflow['id']}", text("wf")).status == 403
    assert client.get("/v2/workflows/wf").json["scope"] == "public"


@pytest.mark.spec("API127", "API128")
def test_lists_show_what_the_command_line_reads(client: Client) -> None:
    create(client, text("wf", head="  tags: [a, b]\n"))
    names = "id,name,namespace,project_id,tags,input,scope,created_at,updated_at"
    (item,) = client.items(f"/v2/workflows?fields={names}")
    assert set(item) == {*names.split(","), "interface"}
    assert item["tags"] == ["a", "b"]
    assert item["updated_at"] is None
    assert item["project_id"] == "<default-project>"


@pytest.mark.spec("API50")
@pytest.mark.parametrize(
    "resource",
    [
        "workflows",
        "workbooks",
        "environments",
        "cron_triggers",
        "event_triggers",
        "code_sources",
        "dynamic_actions",
    ],
)
def test_every_resource_can_be_filtered_by_name(client: Client, resource: str) -> None:
    (used,) = create(client, text("used"), "?namespace=other")
    client.post("/v2/code_sources?name=used", "x = 1")
    for name in ("aa", "ab", "bb"):
        bodies: dict[str, Any] = {
            "workflows": text(name),
            "workbooks": f"version: '2.0'\nname: {name}\n",
            "environments": {"name": name},
            "cron_triggers": {"name": name, "workflow_id": used["id"], "pattern": "@daily"},
            "event_triggers": {
                **{"name": name, "workflow_id": used["id"]},
                **dict.fromkeys(("exchange", "topic", "event"), name),
            },
            "code_sources": "x = 1",
            "dynamic_actions": {"name": name, "class_name": "A", "code_source_name": "used"},
        }
        query = f"?name={name}" if resource == "code_sources" else ""
        assert client.post(f"/v2/{resource}{query}", bodies[resource]).status == 201
    if resource == "workflows":
        client.delete(f"/v2/workflows/{used['id']}")
    if resource == "code_sources":
        client.delete("/v2/code_sources/used")
    for query, found in (
        ("aa", ["aa"]),
        ("eq:aa", ["aa"]),
        ("neq:aa", ["ab", "bb"]),
        ("gt:aa", ["ab", "bb"]),
        ("gte:ab", ["ab", "bb"]),
        ("lt:ab", ["aa"]),
        ("lte:ab", ["aa", "ab"]),
        ("in:aa,bb", ["aa", "bb"]),
        ("nin:aa,bb", ["ab"]),
        ("has:b", ["ab", "bb"]),
    ):
        assert client.names(f"/v2/{resource}?name={query}") == found


@pytest.mark.spec("API129", "D176")
@pytest.mark.parametrize("kind", ["workflows", "workbooks", "actions"])
def test_validating_always_succeeds_and_stores_nothing(client: Client, kind: str) -> None:
    good = {
        "workflows": text("wf"),
        "workbooks": "version: '2.0'\nname: wb\n",
        "actions": "version: '2.0'\na: {base: std.noop}\n",
    }
    assert client.post(f"/v2/{kind}/validate", good[kind]).json == {"valid": True}
    for bad in ("", "a: [", "version: '2.0'\nx: {nonsense: 1}", b"\xff\xfe", "[" * 100_000):
        answer = client.post(f"/v2/{kind}/validate", bad)
        assert answer.status == 200
        assert answer.json["valid"] is False
        assert answer.json["error"]
    assert client.items(f"/v2/{kind}?scope=private&namespace=") == [] or kind == "actions"


def test_validating_reports_warnings_and_problems(client: Client, library: Library) -> None:
    questionable = text("wf", head="  foo: 1\n")
    answer = client.post("/v2/workflows/validate", questionable).json
    assert answer["valid"] is True
    assert answer["warnings"][0]["path"] == "wf.foo"
    assert client.post("/v2/workflows/validate?strict=true", questionable).json["valid"] is False
    lenient = library.client(ApiSettings(validation_mode="disabled"))
    broken = lenient.post("/v2/workflows/validate", "version: '2.0'\nwf: {tasks: {t: {nonsense: 1}}}").json
    assert broken["valid"] is False
    assert broken["problems"][0]["path"] == "wf.tasks.t.nonsense"


@pytest.mark.spec("API108", "D177", "D178", "D179")
@pytest.mark.parametrize(
    ("mode", "query", "status"),
    [
        ("mandatory", "?skip_validation", 400),
        ("enabled", "", 400),
        ("enabled", "?skip_validation", 201),
        ("enabled", "?skip_validation=", 201),
        ("disabled", "", 201),
    ],
)
def test_who_decides_whether_documents_are_validated(
    library: Library, mode: Any, query: str, status: int
) -> None:
    client = library.client(ApiSettings(validation_mode=mode))
    unknown_target = "version: '2.0'\nwf: {tasks: {t: {action: std.noop, on-success: zzz}}}"
    assert client.post(f"/v2/workflows{query}", unknown_target).status == status
    workbook = "version: '2.0'\nname: wb\nworkflows: {w: {tasks: {t: {action: std.noop, on-success: zzz}}}}"
    assert client.post(f"/v2/workbooks{query}", workbook).status == status
    for broken in ("[]", "version: '2.0'\nwf: {tasks: {t: {with-items: bad, action: std.noop}}}"):
        assert client.post(f"/v2/workflows{query}", broken).status == 400


def test_large_documents_are_checked_in_a_process_of_their_own(client: Client, library: Library) -> None:
    tasks = "".join(
        f"    t{number}: {{action: std.noop, description: {'x' * 50}}}\n" for number in range(1000)
    )
    (workflow,) = create(client, f"version: '2.0'\nbig:\n  tasks:\n{tasks}")
    assert workflow["name"] == "big"
    assert library.checker.has_process
    broken = f"version: '2.0'\nbroken:\n  foo: 1\n  tasks:\n{tasks}    bad: {{nonsense: 1}}\n"
    answer = client.post("/v2/workflows", broken)
    assert answer.status == 400
    errors = [item["path"] for item in answer.json["problems"] if item["severity"] == "error"]
    assert errors == ["broken.tasks.bad.nonsense"]


def test_others_get_to_know_of_each_change(client: Client, library: Library) -> None:
    create(client, text("wf"))
    assert library.changes == 1
    client.post("/v2/workflows", text("wf"))
    assert library.changes == 1
    client.put("/v2/workflows", text("wf"))
    client.delete("/v2/workflows/wf")
    client.post("/v2/environments", {"name": "e"})
    assert library.changes == 4
