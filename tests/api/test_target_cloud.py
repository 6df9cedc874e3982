"""Headers that send the actions of a request to another cloud (REST specification, section 6.4)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.library import Library, TokenProjects
from tests.api.running import Running

from tramontane.actions.base import ActionContext, SecurityContext
from tramontane.store.executions import Executions

URI = {"x-target-auth-uri": "https://other.example/v3"}
WHOLE = {
    **URI,
    "x-target-auth-token": "other token",
    "x-target-project-id": "p9",
    "x-target-user-id": "u9",
    "x-target-user-name": "bob",
    "x-target-region-name": "Two",
    "x-target-insecure": "True",
    "x-target-service-catalog": base64.b64encode(json.dumps([{"type": "compute"}]).encode()).decode(),
    "x-target-user-domain-name": "ignored",
}
FLOW = """version: '2.0'
show:
  output: {seen: <% $.openstack %>}
  tasks:
    t: {action: std.async_noop}
"""


@pytest.mark.spec("API81")
@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (URI, "X-Target-Auth-Token"),
        ({**URI, "x-target-auth-token": ""}, "X-Target-Auth-Token"),
        ({**WHOLE, "x-target-insecure": "zz"}, "X-Target-Insecure"),
        ({**WHOLE, "x-target-insecure": "true"}, "X-Target-Insecure"),
        ({**WHOLE, "x-target-service-catalog": "?"}, "X-Target-Service-Catalog"),
        ({**WHOLE, "x-target-service-catalog": "bm8="}, "X-Target-Service-Catalog"),
    ],
)
def test_headers_that_can_t_be_used_are_refused(client: Client, headers: dict[str, str], words: str) -> None:
    answer = client.get("/v2/workflows", headers)
    assert answer.status == 400
    assert words in answer.fault


@pytest.mark.spec("API81")
@pytest.mark.parametrize("headers", [WHOLE, {**URI, "x-target-auth-token": "t"}, {"x-target-insecure": "zz"}])
def test_a_complete_set_changes_no_answer(client: Client, headers: dict[str, str]) -> None:
    assert client.get("/v2/workflows", headers).status == 200


def test_they_are_no_means_of_authentication(library: Library) -> None:
    client = library.client(authenticator=TokenProjects())
    assert client.get("/v2/workflows", WHOLE).status == 401
    mine = client.with_headers({"x-auth-token": "a", **WHOLE})
    (workflow,) = mine.post("/v2/workflows", FLOW).json["workflows"]
    assert workflow["project_id"] == "a"


def test_actions_get_the_other_cloud(service: Running) -> None:
    seen: list[SecurityContext] = []

    class ActingAction:
        def run(self, context: ActionContext) -> None:
            seen.append(context.security)

    service.node.registry.register("acting", ActingAction)
    service.define("version: '2.0'\nact:\n  tasks:\n    t: {action: acting}\n")
    assert service.post("/v2/executions?wait=20", {"workflow_name": "act"}, WHOLE).json["state"] == "SUCCESS"
    assert seen == [
        SecurityContext(
            is_target=True,
            auth_uri="https://other.example/v3",
            auth_token="other token",
            auth_cacert=None,
            insecure=True,
            service_catalog=({"type": "compute"},),
            project_id="p9",
            user_name="bob",
            region_name="Two",
        )
    ]


def test_nobody_gets_what_another_caller_s_sealed_token_holds(service: Running) -> None:
    """What a caller sends is sealed as it is, even where it looks as if it were."""
    seen: list[str | None] = []

    class ActingAction:
        def run(self, context: ActionContext) -> None:
            seen.append(context.security.auth_token)

    service.node.registry.register("acting", ActingAction)
    service.define(FLOW)
    started = service.post("/v2/executions", {"workflow_name": "show"}, WHOLE).json
    stored = service.run(Executions(service.node.database).load(started["id"]))
    assert stored is not None
    stolen = stored.execution.security["auth_token"]
    headers = {**URI, "x-target-auth-token": stolen}
    order = {"name": "acting", "params": {"run_sync": True}}
    assert service.post("/v2/action_executions", order, headers).status == 201
    assert seen == [stolen]


@pytest.fixture
def started(service: Running) -> Iterator[dict[str, Any]]:
    service.define(FLOW)
    yield service.post("/v2/executions", {"workflow_name": "show"}, WHOLE).json


def test_the_actions_of_an_execution_get_the_other_cloud_and_expressions_no_secrets(
    service: Running, started: dict[str, Any]
) -> None:
    stored = service.run(Executions(service.node.database).load(started["id"]))
    assert stored is not None
    security = stored.execution.security
    assert (security["project_id"], security["user_id"]) == ("p9", "u9")
    assert "other token" not in str(security)
    assert "compute" not in str(security)
    (action,) = service.actions(service.tasks(started["id"])["t"]["id"])
    service.put(f"/v2/action_executions/{action['id']}", {"state": "SUCCESS"})
    ended = service.finish(started["id"])
    seen = json.loads(ended["output"])["seen"]
    assert (seen["auth_token"], seen["service_catalog"]) == ("***", "***")
    assert (seen["project_id"], seen["is_target"]) == ("p9", True)
    assert "other token" not in str(ended)
    assert ended["project_id"] == "<default-project>"
