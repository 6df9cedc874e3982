"""Actions over the API: installed ones and ad-hoc ones."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.library import Library

ACTION = """version: '2.0'
greet:
  base: std.echo output='<% $.a %> <% $.b %>'
  input: [a, {b: dd}]
  description: says hello
  tags: [x, y]
"""
BARE = "version: '2.0'\nbare: {base: std.noop}\n"


def create(client: Client, document: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.post(f"/v2/actions{query}", document)
    assert answer.status == 201, answer
    actions = answer.json["actions"]
    assert isinstance(actions, list)
    return actions


@pytest.mark.spec("API143", "D184")
def test_creating_shows_null_for_what_is_not_declared(client: Client) -> None:
    (greet,) = create(client, ACTION)
    assert greet["input"] == 'a, b="dd"'
    assert greet["description"] == "says hello"
    assert greet["tags"] == ["x", "y"]
    assert greet["definition"] == ACTION
    assert greet["is_system"] is False
    assert "updated_at" not in greet
    (bare,) = create(client, BARE)
    assert (bare["input"], bare["description"], bare["tags"]) == (None, None, [])
    shown = client.get("/v2/actions/bare").json
    assert (shown["input"], shown["description"], shown["updated_at"]) == ("", None, None)


def test_each_of_several_actions_keeps_the_whole_text(client: Client) -> None:
    document = ACTION + BARE.removeprefix("version: '2.0'\n")
    actions = create(client, document)
    assert [item["name"] for item in actions] == ["greet", "bare"]
    assert {item["definition"] for item in actions} == {document}


@pytest.mark.spec("API144")
def test_a_duplicate_stops_the_whole_upload(client: Client) -> None:
    create(client, BARE)
    assert (
        client.post("/v2/actions", "version: '2.0'\nnew: {base: std.noop}\nbare: {base: std.noop}\n").status
        == 409
    )
    assert client.get("/v2/actions/new").status == 404
    create(client, BARE, "?namespace=n")


@pytest.mark.spec("API145", "D161", "D162")
@pytest.mark.parametrize(
    "document",
    [
        "version: '2.0'\nname: wb\nactions: {a: {base: std.noop}}\n",
        "version: '2.0'\na: {}\n",
        "version: '2.0'\na: {base: std.noop, foo: 1}\n",
        "version: '2.0'\n'a b': {base: std.noop}\n",
        "",
    ],
)
def test_what_is_no_list_of_actions_is_refused(client: Client, document: str) -> None:
    assert client.post("/v2/actions", document).status == 400


@pytest.mark.spec("API146", "API155")
def test_an_installed_action_is_known_by_its_name(client: Client) -> None:
    assert client.get("/v2/actions/std.echo").json == {
        "id": "std.echo",
        "name": "std.echo",
        "is_system": True,
        "input": "output, delay=0",
        "description": client.get("/v2/actions/std.echo").json["description"],
        "tags": None,
        "definition": "",
        "scope": None,
        "project_id": None,
        "created_at": "",
        "updated_at": "",
        "namespace": "",
    }


@pytest.mark.spec("API147", "API148", "API149")
def test_namespaces_fall_back_to_the_default_one(client: Client) -> None:
    create(client, ACTION)
    create(client, BARE, "?namespace=n1")
    assert client.get("/v2/actions/greet?namespace=other").status == 200
    assert client.get("/v2/actions/bare/n1").json == client.get("/v2/actions/bare?namespace=n1").json
    assert client.get("/v2/actions/std.echo/n1").status == 200
    assert client.get("/v2/actions/bare").status == 404
    assert client.get("/v2/actions/unknown").status == 404
    assert client.get("/v2/actions/a/b/c").status == 404


def test_an_action_can_be_found_by_its_id(client: Client) -> None:
    (greet,) = create(client, ACTION, "?namespace=n1")
    assert client.get(f"/v2/actions/{greet['id']}").json["name"] == "greet"


@pytest.mark.spec("API150", "API30")
def test_the_list_is_whole_and_sorted_by_name(client: Client) -> None:
    create(client, ACTION)
    answer = client.get("/v2/actions").json
    names = [item["name"] for item in answer["actions"]]
    assert "next" not in answer
    assert {"std.echo", "greet"} <= set(names)
    assert names == sorted(names)


@pytest.mark.spec("API151", "API40")
def test_pages_of_actions(client: Client) -> None:
    create(client, ACTION)
    data = client.get("/v2/actions?limit=1&sort_keys=name&sort_dirs=desc").json
    follower = client.get(data["next"].removeprefix("http://localhost:8989")).json
    assert follower["actions"][0]["name"] < data["actions"][0]["name"]
    pages = client.follow("/v2/actions?limit=3&sort_keys=created_at,name&sort_dirs=asc,desc")
    listed = [item["id"] for page in pages for item in page]
    assert sorted(listed) == sorted(item["id"] for item in client.items("/v2/actions"))
    assert listed[-1] == client.get("/v2/actions/greet").json["id"]


@pytest.mark.spec("API152")
def test_a_page_starts_after_an_id_or_a_name(client: Client) -> None:
    (greet,) = create(client, ACTION)
    names = client.names("/v2/actions")
    after = names[names.index("greet") + 1 :]
    for marker in ("greet", greet["id"]):
        assert client.names(f"/v2/actions?marker={marker}") == after
        assert client.names(f"/v2/actions?marker={marker}&limit=2") == after[:2]
    assert client.names("/v2/actions?marker=unknown") == names


@pytest.mark.spec("API153", "API53", "API36")
def test_actions_are_filtered_by_name(client: Client) -> None:
    create(client, ACTION)
    names = client.names("/v2/actions")
    assert client.names("/v2/actions?name=in:greet,std.echo") == ["greet", "std.echo"]
    assert client.names("/v2/actions?name=in:greet,std.echo&name=greet") == ["greet"]
    assert client.names("/v2/actions?name=nin:greet,std.echo") == [
        name for name in names if name not in ("greet", "std.echo")
    ]
    assert "greet" not in client.names("/v2/actions?name=neq:greet")
    assert all(name > "std.f" for name in client.names("/v2/actions?name=gt:std.f"))
    assert client.names("/v2/actions?name=lte:greet") == ["greet"]
    assert client.names("/v2/actions?name=has:ech") == ["std.echo"]
    assert client.get("/v2/actions?sort_keys=bogus").status == 400
    assert client.get("/v2/actions?limit=0").status == 400


@pytest.mark.spec("API154", "API155")
def test_actions_are_filtered_by_everything_else(client: Client, library: Library) -> None:
    create(client, ACTION)
    create(client, BARE)
    installed = [item.name for item in library.api.services.registry.all()]
    assert client.names("/v2/actions?is_system=true") == installed
    assert client.names("/v2/actions?is_system=false") == ["bare", "greet"]
    assert client.names("/v2/actions?is_system=neq:true&sort_dirs=desc") == ["greet", "bare"]
    assert client.names("/v2/actions?tags=x,y") == ["greet"]
    assert client.names("/v2/actions?tags=X") == []
    assert client.names("/v2/actions?description=says hello") == ["greet"]
    assert client.names("/v2/actions?definition=has:says") == ["greet"]
    assert client.names('/v2/actions?input=a, b="dd"') == ["greet"]
    assert client.names("/v2/actions?input=&is_system=false") == ["bare"]
    assert client.names("/v2/actions?is_system=false&created_at=gt:2020-01-01") == ["bare", "greet"]
    assert client.names("/v2/actions?is_system=false&created_at=lt:2020-01-01") == []
    assert client.get("/v2/actions?is_system=maybe").status == 400
    assert client.get("/v2/actions?all_projects=true").status == 400


@pytest.mark.spec("API156")
def test_other_namespaces_are_listed_only_when_asked_for(client: Client) -> None:
    create(client, BARE, "?namespace=n1")
    assert "bare" not in client.names("/v2/actions")
    assert client.names("/v2/actions?namespace=n1") == ["bare"]


def test_the_fields_of_the_command_line_are_taken_and_nothing_is_left_out(client: Client) -> None:
    fields = "id,name,is_system,input,description,tags,created_at,updated_at"
    for item in client.items(f"/v2/actions?fields={fields}&sort_keys=created_at"):
        assert set(fields.split(",")) <= set(item)
    assert client.get("/v2/actions?fields=nonsense").status == 200


@pytest.mark.spec("API157", "API158")
def test_updating(client: Client, library: Library) -> None:
    (old,) = create(client, ACTION)
    library.clock.advance(7)
    (new,) = client.put("/v2/actions", ACTION.replace("says", "sings")).json["actions"]
    assert (new["id"], new["description"]) == (old["id"], "sings hello")
    assert new["updated_at"] == "2026-01-01 00:00:07"
    assert new["created_at"] == old["created_at"]
    assert client.put("/v2/actions", BARE).status == 404
    assert client.put("/v2/actions?namespace=n", ACTION).status == 404
    assert client.put("/v2/actions", "version: '2.0'\nstd.echo: {base: std.noop}\n").status == 400
    assert client.put("/v2/actions/std.echo", BARE).status == 400
    renamed = client.put(f"/v2/actions/{old['id']}", BARE).json["actions"]
    assert [(item["id"], item["name"]) for item in renamed] == [(old["id"], "bare")]
    two = "version: '2.0'\na: {base: std.noop}\nb: {base: std.noop}\n"
    assert client.put(f"/v2/actions/{old['id']}", two).status == 400
    assert client.put("/v2/actions/bare", ACTION).json["actions"][0]["name"] == "greet"


@pytest.mark.spec("API159")
def test_deleting(client: Client) -> None:
    (greet,) = create(client, ACTION)
    create(client, BARE, "?namespace=n1")
    assert client.delete("/v2/actions/bare").status == 404
    assert client.delete("/v2/actions/greet/n1").status == 404
    assert client.delete("/v2/actions/bare/n1").status == 204
    assert client.delete(f"/v2/actions/{greet['id']}").status == 204
    assert client.delete("/v2/actions/greet").status == 404
    assert client.delete("/v2/actions/std.echo").status == 400


def test_the_name_of_an_installed_action_can_be_hidden_only_from_oneself(client: Client) -> None:
    document = "version: '2.0'\nstd.echo: {base: std.noop}\n"
    assert client.post("/v2/actions?scope=public", document).status == 400
    assert client.post("/v2/actions?strict=true", document).status == 400
    answer = client.post("/v2/actions", document)
    assert answer.status == 201
    assert "std.echo" in answer.json["warnings"][0]["message"]
    assert client.get("/v2/actions/std.echo").json["is_system"] is False
    assert client.put("/v2/actions?scope=public", document).status == 400
