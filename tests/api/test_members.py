"""Workflows that are shared with other projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import ANY_UUID, Client
from tests.api.library import Library

WORKFLOW = "version: '2.0'\nthing:\n  tasks:\n    t: {action: std.noop}\n"
AsProject = Callable[[str], Client]


def define(client: Client, scope: str = "private") -> str:
    """Upload a workflow; gives its id."""
    answer = client.post(f"/v2/workflows?scope={scope}", WORKFLOW)
    assert answer.status == 201, answer
    identifier: str = answer.json["workflows"][0]["id"]
    return identifier


def share(client: Client, workflow: str, project: str) -> dict[str, Any]:
    answer = client.post(f"/v2/workflows/{workflow}/members", {"member_id": project})
    assert answer.status == 201, answer
    data = answer.json
    assert isinstance(data, dict)
    return data


def accepted(as_project: AsProject) -> str:
    """A workflow of project a that b has accepted."""
    workflow = define(as_project("a"))
    share(as_project("a"), workflow, "b")
    assert as_project("b").put(f"/v2/workflows/{workflow}/members/b", {"status": "accepted"}).status == 200
    return workflow


@pytest.mark.spec("API130")
def test_without_authentication_nothing_can_be_shared(client: Client) -> None:
    workflow = define(client)
    for method, path in (
        ("GET", "members"),
        ("POST", "members"),
        ("GET", "members/b"),
        ("PUT", "members/b"),
        ("DELETE", "members/b"),
    ):
        answer = client.call(method, f"/v2/workflows/{workflow}/{path}", {"member_id": "b"})
        assert answer.status == 400
        assert "authentication" in answer.fault


@pytest.mark.spec("API131")
def test_workflows_are_shared_by_their_uuid(as_project: AsProject) -> None:
    define(as_project("a"))
    for method, path in (("GET", "members"), ("POST", "members"), ("GET", "members/b"), ("PUT", "members/b")):
        answer = as_project("a").call(method, f"/v2/workflows/thing/{path}", {"member_id": "b"})
        assert answer.status == 400
    assert as_project("a").delete("/v2/workflows/thing/members/b").status == 400


@pytest.mark.spec("API132")
def test_only_private_workflows_are_shared_and_with_somebody(as_project: AsProject) -> None:
    workflow = define(as_project("a"))
    url = f"/v2/workflows/{workflow}/members"
    for nobody in ({}, {"member_id": None}, {"member_id": ""}, {"member_id": 7}, {"member_id": "x" * 81}):
        assert as_project("a").post(url, nobody).status == 400
    answer = as_project("a").post(url, {"member_id": "b", "nonsense": 1})
    assert answer.status == 400
    assert "nonsense" in answer.fault
    assert as_project("a").post(f"/v2/workflows/{ANY_UUID}/members", {"member_id": "b"}).status == 404
    assert as_project("b").post(url, {"member_id": "c"}).status == 404
    public = define(as_project("p/admin"), "public")
    answer = as_project("p").post(f"/v2/workflows/{public}/members", {"member_id": "b"})
    assert answer.status == 400
    assert "private" in answer.fault


@pytest.mark.spec("API133")
def test_a_new_share_is_pending(as_project: AsProject) -> None:
    workflow = define(as_project("a"))
    url = f"/v2/workflows/{workflow}/members"
    answer = as_project("a").post(url, {"member_id": "b", "status": "accepted"})
    assert answer.status == 201
    assert answer.json == {
        "id": answer.json["id"],
        "resource_id": workflow,
        "resource_type": "workflow",
        "project_id": "a",
        "member_id": "b",
        "status": "pending",
        "created_at": "2026-01-01 00:00:00",
    }
    assert as_project("a").post(url, {"member_id": "b"}).status == 409
    share(as_project("a"), workflow, "c")
    assert [item["member_id"] for item in as_project("a").items(url)] == ["b", "c"]


@pytest.mark.spec("API134")
def test_a_pending_member_sees_the_membership_alone(as_project: AsProject) -> None:
    workflow = define(as_project("a"))
    member = share(as_project("a"), workflow, "b")
    share(as_project("a"), workflow, "c")
    assert as_project("b").get(f"/v2/workflows/{workflow}").status == 404
    assert as_project("b").items("/v2/workflows") == []
    shown = {**member, "updated_at": None}
    assert as_project("b").items(f"/v2/workflows/{workflow}/members") == [shown]
    assert as_project("b").get(f"/v2/workflows/{workflow}/members/b").json == shown
    assert as_project("b").get(f"/v2/workflows/{workflow}/members/c").status == 404


@pytest.mark.spec("API135")
def test_the_member_alone_answers(as_project: AsProject, library: Library) -> None:
    workflow = define(as_project("a"))
    share(as_project("a"), workflow, "b")
    url = f"/v2/workflows/{workflow}/members/b"
    for other in ("a", "c", "a/admin", "c/admin"):
        assert as_project(other).put(url, {"status": "accepted"}).status == 404
    for wrong in ({"status": "zzz"}, {}, {"status": None}, {"status": 7}):
        assert as_project("b").put(url, wrong).status == 400
    library.clock.advance(5)
    answer = as_project("b").put(url, {"status": "accepted"})
    assert (answer.status, answer.json["status"]) == (200, "accepted")
    assert answer.json["updated_at"] == "2026-01-01 00:00:05"
    for status in ("rejected", "pending", "accepted"):
        assert as_project("b").put(url, {"status": status}).json["status"] == status
    assert as_project("a").get(url).json["status"] == "accepted"


@pytest.mark.spec("API136")
def test_an_accepted_member_sees_the_workflow(as_project: AsProject) -> None:
    workflow = accepted(as_project)
    for identifier in (workflow, "thing"):
        shown = as_project("b").get(f"/v2/workflows/{identifier}").json
        assert (shown["id"], shown["project_id"]) == (workflow, "a")
    assert [item["id"] for item in as_project("b").items("/v2/workflows")] == [workflow]
    assert as_project("c").items("/v2/workflows") == []
    own = define(as_project("b"))
    assert as_project("b").get("/v2/workflows/thing").json["id"] == own


@pytest.mark.spec("API137")
def test_an_accepted_member_uses_the_workflow_but_does_not_change_it(as_caller: AsProject) -> None:
    workflow = accepted(as_caller)
    member = as_caller("b")
    for how in ({"workflow_name": "thing"}, {"workflow_id": workflow}):
        started = member.post("/v2/executions?wait=20", how)
        assert started.status == 201
        assert (started.json["state"], started.json["project_id"]) == ("SUCCESS", "b")
    trigger = {"name": "t", "pattern": "@daily", "workflow_name": "thing"}
    assert member.post("/v2/cron_triggers", trigger).json["workflow_id"] == workflow
    event = {"workflow_id": workflow, "exchange": "x", "topic": "t", "event": "e"}
    assert member.post("/v2/event_triggers", event).status == 201
    assert member.put("/v2/workflows", WORKFLOW).status == 403
    assert member.put(f"/v2/workflows/{workflow}", WORKFLOW).status == 403
    assert member.delete(f"/v2/workflows/{workflow}").status == 403
    assert as_caller("a").items("/v2/executions") == []
    assert as_caller("c").post("/v2/executions", {"workflow_id": workflow}).status == 404


@pytest.mark.spec("API138")
def test_a_rejected_workflow_is_gone_at_once(as_caller: AsProject) -> None:
    workflow = accepted(as_caller)
    member = as_caller("b")
    assert member.post("/v2/executions", {"workflow_name": "thing"}).status == 201
    assert member.put(f"/v2/workflows/{workflow}/members/b", {"status": "rejected"}).status == 200
    for identifier in (workflow, "thing"):
        assert member.get(f"/v2/workflows/{identifier}").status == 404
        assert member.post("/v2/executions", {"workflow_id": identifier}).status == 404
    assert member.items("/v2/workflows") == []


@pytest.mark.spec("API139")
def test_third_projects_see_nothing_of_a_share(as_project: AsProject) -> None:
    workflow = accepted(as_project)
    for stranger in ("c", "c/admin"):
        assert as_project(stranger).items(f"/v2/workflows/{workflow}/members") == []
        assert as_project(stranger).get(f"/v2/workflows/{workflow}/members/b").status == 404
    assert as_project("a").items(f"/v2/workflows/{ANY_UUID}/members") == []


@pytest.mark.spec("API140")
def test_the_owner_alone_withdraws_a_share(as_project: AsProject) -> None:
    workflow = accepted(as_project)
    url = f"/v2/workflows/{workflow}/members/b"
    for other in ("b", "c", "c/admin"):
        assert as_project(other).delete(url).status == 404
    assert as_project("b").get(f"/v2/workflows/{workflow}").status == 200
    assert as_project("a").delete(url).status == 204
    assert as_project("a").delete(url).status == 404
    assert as_project("b").get(f"/v2/workflows/{workflow}").status == 404
    assert as_project("b").get(url).status == 404


@pytest.mark.spec("API141")
def test_a_member_does_not_share_on(as_project: AsProject) -> None:
    workflow = accepted(as_project)
    answer = as_project("b").post(f"/v2/workflows/{workflow}/members", {"member_id": "c"})
    assert answer.status == 403
    assert as_project("c").items(f"/v2/workflows/{workflow}/members") == []
    shared = as_project("d/admin").post(f"/v2/workflows/{workflow}/members", {"member_id": "c"})
    assert (shared.status, shared.json["project_id"]) == (201, "a")


@pytest.mark.spec("API142")
def test_the_shares_of_a_workflow_go_with_it(as_project: AsProject) -> None:
    workflow = accepted(as_project)
    assert as_project("a").delete(f"/v2/workflows/{workflow}").status == 204
    assert as_project("b").items(f"/v2/workflows/{workflow}/members") == []
    assert as_project("a").get(f"/v2/workflows/{workflow}/members/b").status == 404
