"""Workbooks over the API."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.api.lab import Client
from tests.api.library import Library

WORKBOOK = """version: '2.0'
name: wb
tags: [x]
actions:
  a1:
    base: std.echo output='hi'
workflows:
  w1:
    tags: [member]
    tasks:
      t: {action: a1}
  "w2":
    tasks:
      w1: {action: std.noop}
"""
WITHOUT_W2 = WORKBOOK[: WORKBOOK.index('  "w2"')]


def create(client: Client, document: str = WORKBOOK, query: str = "") -> dict[str, Any]:
    answer = client.post(f"/v2/workbooks{query}", document)
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


@pytest.mark.spec("API97")
def test_the_answer_to_a_creation_has_all_but_a_time_of_change(client: Client) -> None:
    workbook = create(client)
    assert set(workbook) == {
        "id",
        "name",
        "namespace",
        "definition",
        "tags",
        "scope",
        "project_id",
        "created_at",
    }
    assert workbook["definition"] == WORKBOOK
    assert workbook["tags"] == ["x"]


@pytest.mark.spec("API98")
def test_a_name_is_used_once_per_namespace(client: Client) -> None:
    create(client)
    assert client.post("/v2/workbooks", WORKBOOK).status == 409
    create(client, query="?namespace=n")


@pytest.mark.spec("API99", "D171")
def test_members_become_definitions_of_their_own(client: Client) -> None:
    create(client, query="?namespace=n&scope=public")
    for name in ("wb.w1", "wb.w2"):
        workflow = client.get(f"/v2/workflows/{name}?namespace=n").json
        assert (workflow["scope"], workflow["namespace"]) == ("public", "n")
    action = client.get("/v2/actions/wb.a1?namespace=n").json
    assert (action["scope"], action["namespace"], action["is_system"]) == ("public", "n", False)
    assert client.get("/v2/workflows/wb.w1?namespace=n").json["tags"] == ["member"]


@pytest.mark.spec("API100", "D185", "D186")
def test_a_members_text_is_cut_out_of_the_workbook(client: Client) -> None:
    create(client)
    member = client.get("/v2/workflows/wb.w1").json
    assert member["definition"].startswith("w1:")
    assert "version" not in member["definition"]
    assert member["checksum"] is None
    assert yaml.safe_load(member["definition"])["w1"]["tasks"] == {"t": {"action": "a1"}}
    quoted = client.get("/v2/workflows/wb.w2").json["definition"]
    assert yaml.safe_load(quoted)["w2"]["tasks"] == {"w1": {"action": "std.noop"}}


@pytest.mark.spec("API101", "D35", "D36", "D37", "D38")
@pytest.mark.parametrize(
    "document",
    [
        "version: '2.0'\n",
        "version: '2.0'\nname: a b\n",
        "version: '2.0'\nname: ''\n",
        "version: '2.0'\nname: 5\n",
        "version: '2.0'\nname: wb\ntriggers: {}\n",
        "version: '2.0'\nname: wb\nworkflows: {}\n",
        "version: '2.0'\nname: wb\nworkflows: {a.b: {tasks: {t: {action: std.noop}}}}\n",
        "",
        "5",
        "[]",
    ],
)
def test_what_is_no_workbook_is_refused(client: Client, document: str) -> None:
    assert client.post("/v2/workbooks", document).status == 400


@pytest.mark.spec("API101", "D34")
def test_a_workbook_needs_no_members_but_a_real_scope(client: Client) -> None:
    assert client.post("/v2/workbooks?scope=x", WORKBOOK).status == 400
    create(client, "version: '2.0'\nname: empty\n")


@pytest.mark.spec("API102")
def test_workbooks_are_found_by_name_in_their_namespace(client: Client) -> None:
    workbook = create(client)
    assert client.get("/v2/workbooks/wb").json["id"] == workbook["id"]
    assert client.get("/v2/workbooks/wb").json["updated_at"] is None
    assert client.get(f"/v2/workbooks/{workbook['id']}").status == 404
    assert client.get("/v2/workbooks/wb?namespace=n").status == 404
    assert set(client.get("/v2/workbooks/wb?fields=name,scope").json) == {"id", "name", "scope"}
    assert client.get("/v2/workbooks/wb?fields=nope").status == 400


@pytest.mark.spec("API103", "D170")
def test_updates_find_the_workbook_by_the_name_inside(client: Client) -> None:
    assert client.put("/v2/workbooks", WORKBOOK).status == 404
    workbook = create(client)
    assert client.put("/v2/workbooks", WORKBOOK).json["id"] == workbook["id"]
    assert client.put("/v2/workbooks?namespace=n", WORKBOOK).status == 404
    assert client.put("/v2/workbooks/wb", WORKBOOK).status == 404


@pytest.mark.spec("API104", "API105")
def test_an_update_that_changes_nothing_leaves_the_time_of_change(client: Client, library: Library) -> None:
    create(client)
    library.clock.advance(5)
    assert "updated_at" not in client.put("/v2/workbooks", WORKBOOK).json
    assert client.get("/v2/workbooks/wb").json["updated_at"] is None
    assert client.get("/v2/workflows/wb.w1").json["updated_at"] is None
    changed = client.put("/v2/workbooks?scope=public", WORKBOOK).json
    assert (changed["scope"], changed["updated_at"]) == ("public", "2026-01-01 00:00:05")
    library.clock.advance(5)
    assert client.put("/v2/workbooks?scope=public", WORKBOOK).json["updated_at"] == "2026-01-01 00:00:05"
    private = client.put("/v2/workbooks", WORKBOOK).json
    assert (private["scope"], private["updated_at"]) == ("private", "2026-01-01 00:00:10")


@pytest.mark.spec("API106", "D172")
def test_an_update_adds_members_and_keeps_those_that_left(client: Client) -> None:
    create(client, WITHOUT_W2)
    assert client.get("/v2/workflows/wb.w2").status == 404
    assert "warnings" not in client.put("/v2/workbooks", WORKBOOK).json
    assert client.get("/v2/workflows/wb.w2").status == 200
    answer = client.put("/v2/workbooks", WITHOUT_W2)
    assert answer.status == 200
    (warning,) = answer.json["warnings"]
    assert "wb.w2" in warning["message"]
    assert client.get("/v2/workflows/wb.w2").status == 200


@pytest.mark.spec("API107")
def test_members_outlive_their_workbook(client: Client) -> None:
    create(client)
    assert client.delete("/v2/workbooks/wb").status == 204
    assert client.delete("/v2/workbooks/wb").status == 404
    assert client.get("/v2/workflows/wb.w1").status == 200
    assert client.get("/v2/actions/wb.a1").status == 200


@pytest.mark.spec("API109")
def test_a_page_starts_after_a_workbooks_id(client: Client) -> None:
    first = create(client)
    create(client, "version: '2.0'\nname: z\n")
    assert client.names(f"/v2/workbooks?marker={first['id']}") == ["z"]
    pages = client.follow("/v2/workbooks?limit=1&sort_keys=name")
    assert [item["name"] for page in pages for item in page] == ["wb", "z"]


@pytest.mark.spec("D173")
def test_a_bad_member_leaves_nothing_behind(client: Client) -> None:
    assert client.post("/v2/workbooks", WORKBOOK + "  w3: {tasks: {}}\n").status == 400
    assert client.items("/v2/workbooks") == []
    assert client.items("/v2/workflows") == []


def test_a_definition_that_a_workbook_takes_over_is_named(client: Client) -> None:
    plain = "version: '2.0'\nwb.w1: {tasks: {t: {action: std.noop}}}\n"
    client.post("/v2/workflows", plain)
    old = client.get("/v2/workflows/wb.w1").json
    strict = client.post("/v2/workbooks?strict=true", WORKBOOK)
    assert strict.status == 400
    assert client.items("/v2/workbooks") == []
    (warning,) = create(client)["warnings"]
    assert "wb.w1" in warning["message"]
    taken = client.get("/v2/workflows/wb.w1").json
    assert taken["id"] == old["id"]
    assert taken["checksum"] is None


def test_a_workbook_may_be_written_as_json(client: Client) -> None:
    create(
        client,
        '{"version": "2.0", "name": "j", "workflows": {"w": {"tasks": {"t": {"action": "std.noop"}}}}}',
    )
    text = client.get("/v2/workflows/j.w").json["definition"]
    assert yaml.safe_load(text)["w"]["tasks"]["t"] == {"action": "std.noop"}
