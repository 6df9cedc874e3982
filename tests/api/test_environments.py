"""Environments over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.library import Library


@pytest.mark.spec("API267")
@pytest.mark.parametrize("variables", [{"a": {"b": 1}}, '{"a": {"b": 1}}'])
def test_variables_come_as_objects_or_text_and_show_as_text(client: Client, variables: Any) -> None:
    answer = client.post("/v2/environments", {"name": "e", "description": "d", "variables": variables})
    assert answer.status == 201
    assert json.loads(answer.json["variables"]) == {"a": {"b": 1}}
    assert "updated_at" not in answer.json
    assert json.loads(client.get("/v2/environments/e").json["variables"]) == {"a": {"b": 1}}


@pytest.mark.spec("API268")
def test_what_was_not_sent_is_absent_at_first_and_null_later(client: Client) -> None:
    created = client.post("/v2/environments", {"name": "e"}).json
    assert set(created) == {"id", "name", "scope", "project_id", "created_at"}
    shown = client.get("/v2/environments/e").json
    assert (shown["description"], shown["variables"], shown["updated_at"]) == (None, None, None)


@pytest.mark.spec("API269")
@pytest.mark.parametrize(
    "body",
    [
        {"name": "e", "extra": 1},
        {"name": "e", "id": "x"},
        {"name": "e", "created_at": "x"},
        {"name": "e", "scope": "zz"},
        {"name": "e", "variables": [1]},
        {"name": "e", "variables": "[1]"},
        {"name": "e", "variables": "{bad"},
        {"name": "e", "variables": ""},
        {"name": "e", "variables": 5},
        {"name": 5},
        {"name": None},
        {"name": ""},
        {"name": "x" * 201},
        {},
    ],
)
def test_bad_bodies_are_refused(client: Client, body: dict[str, Any]) -> None:
    assert client.post("/v2/environments", body).status == 400
    assert client.items("/v2/environments") == []


@pytest.mark.spec("API270")
def test_a_name_is_used_once_per_project(client: Client, as_project: Callable[[str], Client]) -> None:
    assert client.post("/v2/environments", {"name": "e"}).status == 201
    answer = client.post("/v2/environments", {"name": "e"})
    assert answer.status == 409
    assert as_project("b").post("/v2/environments", {"name": "e"}).status == 201


@pytest.mark.spec("API271")
def test_environments_are_found_by_name(client: Client) -> None:
    created = client.post("/v2/environments", {"name": "my env"}).json
    assert client.get("/v2/environments/my%20env").status == 200
    assert client.get(f"/v2/environments/{created['id']}").status == 404
    assert set(client.get("/v2/environments/my env?fields=name,variables").json) == {
        "id",
        "name",
        "variables",
    }
    assert client.get("/v2/environments/my env?fields=bogus").status == 400


@pytest.mark.spec("API272")
def test_updating_replaces_what_is_given(client: Client, library: Library) -> None:
    client.post(
        "/v2/environments",
        {"name": "e", "description": "d", "scope": "public", "variables": {"a": 1, "b": 2}},
    )
    library.clock.advance(3)
    changed = client.put("/v2/environments", {"name": "e", "variables": {"b": 3}}).json
    assert json.loads(changed["variables"]) == {"b": 3}
    assert (changed["description"], changed["scope"]) == ("d", "public")
    assert changed["updated_at"] == "2026-01-01 00:00:03"
    assert client.put("/v2/environments", {"name": "e", "description": None}).json["description"] is None
    assert client.put("/v2/environments", {"name": "unknown"}).status == 404
    assert client.put("/v2/environments", {"variables": {}}).status == 400
    assert client.put("/v2/environments/e", {"name": "e"}).status == 400


@pytest.mark.spec("API273")
def test_deleting(client: Client) -> None:
    client.post("/v2/environments", {"name": "e"})
    assert client.delete("/v2/environments/e").status == 204
    assert client.delete("/v2/environments/e").status == 404


@pytest.mark.spec("API274")
def test_lists(client: Client) -> None:
    first = client.post("/v2/environments", {"name": "a", "variables": {"x": [1]}}).json
    client.post("/v2/environments", {"name": "b"})
    assert client.names(f"/v2/environments?marker={first['id']}") == ["b"]
    assert client.names('/v2/environments?variables={"x": [1]}') == ["a"]
    fields = "name,description,variables,scope,created_at,updated_at"
    for item in client.items(f"/v2/environments?fields={fields}"):
        assert list(item) == ["id", *fields.split(",")]
