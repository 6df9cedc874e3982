"""Trusts of a real Keystone, given through the API of a running node, and what actions get by them."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.api.lab import Client
from tests.auth.keystone import Keystone
from tests.auth.lab import served
from tests.service.harness import play

from tramontane.actions.base import ActionContext, SecurityContext
from tramontane.compose import OpenNode, open_node
from tramontane.config import Settings
from tramontane.core.state import Execution
from tramontane.service.caller import Caller
from tramontane.service.trusts import TriggerOwner, owner_of
from tramontane.store.definition_records import CronTriggerRow
from tramontane.store.definitions import Definitions

WORKFLOWS = """version: '2.0'
wf:
  tasks:
    t: {action: std.noop}
acting:
  tasks:
    t: {action: acting}
sleeping:
  tasks:
    t: {action: std.sleep seconds=0}
waiting:
  tasks:
    w: {action: std.async_noop, on-success: t}
    t: {action: acting}
"""
CRON = {"name": "nightly", "workflow_name": "wf", "pattern": "0 3 * * *"}
NUMBERS = itertools.count(1)


class Door:
    """Passes requests on to a Keystone, while it is open."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_open = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not self.is_open:
            return web.Response(status=503)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, f"{self._url}{request.path_qs}", headers=headers, data=await request.read()
            ) as answer,
        ):
            kept = {name: answer.headers[name] for name in ("X-Subject-Token",) if name in answer.headers}
            body = await answer.read()
            return web.Response(
                status=answer.status, body=body, headers=kept, content_type=answer.content_type
            )


@dataclass
class Deployment:
    """A node that reaches a Keystone by a door; ``seen``: on whose behalf the action ``acting`` ran."""

    runner: asyncio.Runner
    node: OpenNode
    keystone: Keystone
    door: Door
    seen: list[SecurityContext] = field(default_factory=list)

    def client(self, user: str, token: str | None = None) -> Client:
        headers = {"x-auth-token": token or self.keystone.token(user, "shop")}
        return Client(self.runner, self.node.app(), headers)

    @property
    def project_id(self) -> str:
        return project_id(self.keystone)

    def user_id(self, name: str) -> str:
        return str(self.keystone.call("GET", f"/users?name={name}")[1]["users"][0]["id"])

    def trusts(self) -> list[dict[str, Any]]:
        found = self.keystone.call("GET", "/OS-TRUST/trusts")[1]["trusts"]
        return [self.keystone.call("GET", f"/OS-TRUST/trusts/{each['id']}")[1]["trust"] for each in found]

    def trigger(self, name: str) -> CronTriggerRow:
        """A trigger as it is stored."""

        async def find() -> CronTriggerRow:
            async with Definitions(self.node.database).change() as change:
                found = await change.find(CronTriggerRow, name, TriggerOwner(self.project_id, None))
            assert found is not None
            return found

        return self.runner.run(find())

    def play(self, owner: Caller, workflow: str = "acting") -> Execution:
        """Run a workflow on behalf of somebody to its end."""
        return self.runner.run(play(self.node, workflow, owner))


def project_id(keystone: Keystone) -> str:
    return str(keystone.call("GET", "/projects?name=shop")[1]["projects"][0]["id"])


@contextmanager
def deployed(keystone: Keystone, file: Path, **more: Any) -> Iterator[Deployment]:
    """Have a node with this database file for the length of the block."""
    door = Door(keystone.url)
    entered = served(door.answer)
    with asyncio.Runner() as runner:
        url = runner.run(entered.__aenter__())
        given = {"keystone_username": "tramontane", "keystone_password": "pw", **more}
        opened = open_node(
            Settings(
                database=f"sqlite:///{file}",
                auth="keystone",
                keystone_url=url,
                load_action_plugins=False,
                shutdown_grace_seconds=1.0,
                **given,
            )
        )
        found = Deployment(runner, runner.run(opened.__aenter__()), keystone, door)

        class ActingAction:
            """Does something elsewhere on behalf of whoever it runs for."""

            def run(self, context: ActionContext) -> None:
                found.seen.append(context.security)

        found.node.registry.register("acting", ActingAction)
        try:
            yield found
        finally:
            runner.run(opened.__aexit__(None, None, None))
            runner.run(entered.__aexit__(None, None, None))


@pytest.fixture
def deployment(keystone: Keystone, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(keystone, tmp_path / "state.sqlite") as found:
        assert found.client("alice").post("/v2/workflows", WORKFLOWS).status == 201
        yield found
        for each in found.trusts():
            keystone.call("DELETE", f"/OS-TRUST/trusts/{each['id']}")


def somebody(keystone: Keystone) -> str:
    """A new member of the project, for tests that take something away from him."""
    name = f"somebody-{next(NUMBERS)}"
    keystone.user(name, project_id(keystone), "member")
    return name


def event(deployment: Deployment) -> dict[str, Any]:
    (workflow,) = deployment.client("alice").items("/v2/workflows?name=wf")
    return {"workflow_id": workflow["id"], "exchange": "e", "topic": "t", "event": "v", "name": "seen"}


# -- giving and ending ----------------------------------------------------------------------------


@pytest.mark.spec("API258", "SVC35")
def test_the_creator_of_a_trigger_trusts_the_service_until_the_trigger_is_deleted(
    deployment: Deployment,
) -> None:
    alice = deployment.client("alice")
    for kind, order in (("cron_triggers", CRON), ("event_triggers", event(deployment))):
        created = alice.post(f"/v2/{kind}", order)
        assert created.status == 201, created
        (trust,) = deployment.trusts()
        assert trust["trustor_user_id"] == deployment.user_id("alice")
        assert trust["trustee_user_id"] == deployment.user_id("tramontane")
        assert trust["project_id"] == deployment.project_id
        assert trust["impersonation"] is True
        assert {role["name"] for role in trust["roles"]} == {"member", "reader"}
        assert trust["expires_at"] is None
        assert trust["id"] not in str(created.json)
        assert alice.delete(f"/v2/{kind}/{created.json['id']}").status == 204
        assert deployment.trusts() == []


@pytest.mark.spec("API258", "SVC35")
def test_what_isn_t_stored_leaves_no_trust(deployment: Deployment) -> None:
    alice = deployment.client("alice")
    assert alice.post("/v2/cron_triggers", CRON).status == 201
    assert alice.post("/v2/cron_triggers", CRON).status == 409
    assert alice.post("/v2/cron_triggers", {**CRON, "name": "b", "pattern": "nonsense"}).status == 400
    (trust,) = deployment.trusts()
    assert deployment.trigger("nightly").trust_id == trust["id"]


def test_another_cloud_s_headers_change_nothing_about_who_gives_the_trust(deployment: Deployment) -> None:
    target = {"x-target-auth-uri": "http://127.0.0.1:1/v3", "x-target-auth-token": "of another cloud"}
    assert deployment.client("alice").post("/v2/cron_triggers", CRON, target).status == 201
    (trust,) = deployment.trusts()
    assert trust["trustor_user_id"] == deployment.user_id("alice")


def test_an_administrator_s_deletion_ends_the_trust_of_the_trigger_s_creator(deployment: Deployment) -> None:
    assert deployment.client("alice").post("/v2/cron_triggers", CRON).status == 201
    assert deployment.client("root").delete("/v2/cron_triggers/nightly").status == 204
    assert deployment.trusts() == []


def test_a_caller_who_may_give_no_trust_is_told_why_and_nothing_is_stored(deployment: Deployment) -> None:
    keystone, name = deployment.keystone, somebody(deployment.keystone)
    made = keystone.call(
        "POST",
        f"/users/{deployment.user_id(name)}/application_credentials",
        {"application_credential": {"name": "restricted"}},
        token=keystone.token(name, "shop"),
    )[1]["application_credential"]
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    headers, _ = keystone.call("POST", "/auth/tokens", {"auth": {"identity": identity}}, token="-")
    limited = deployment.client(name, headers["X-Subject-Token"])
    answer = limited.post("/v2/cron_triggers", CRON)
    assert answer.status == 403
    assert "Keystone lets the caller give this service no trust" in answer.fault
    assert answer.json["code"] == "trust-refused"
    assert limited.items("/v2/cron_triggers") == []


def test_while_keystone_is_away_no_trigger_is_made_and_a_deleted_one_s_trust_is_left_over(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    alice = deployment.client("alice")
    assert alice.post("/v2/cron_triggers", CRON).status == 201
    deployment.door.is_open = False
    refused = alice.post("/v2/cron_triggers", {**CRON, "name": "other"})
    assert (refused.status, refused.json["code"]) == (503, "identity-unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert [each["name"] for each in alice.items("/v2/cron_triggers")] == ["nightly"]
    with caplog.at_level(logging.WARNING):
        assert alice.delete("/v2/cron_triggers/nightly").status == 204
    assert "trust not deleted" in caplog.text
    assert alice.items("/v2/cron_triggers") == []
    assert len(deployment.trusts()) == 1


def test_a_trust_that_is_gone_already_keeps_no_trigger(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    alice = deployment.client("alice")
    assert alice.post("/v2/cron_triggers", CRON).status == 201
    (trust,) = deployment.trusts()
    alice_s = deployment.keystone.token("alice", "shop")
    deployment.keystone.call("DELETE", f"/OS-TRUST/trusts/{trust['id']}", token=alice_s)
    with caplog.at_level(logging.WARNING):
        assert alice.delete("/v2/cron_triggers/nightly").status == 204
    assert "trust not deleted" not in caplog.text


# -- acting under a trust -------------------------------------------------------------------------


@pytest.mark.spec("OSP13")
def test_the_actions_of_a_trigger_act_as_its_owner_by_the_trust(deployment: Deployment) -> None:
    assert deployment.client("alice").post("/v2/cron_triggers", CRON).status == 201
    trigger = deployment.trigger("nightly")
    assert deployment.play(owner_of(trigger)).state == "SUCCESS"
    (known,) = deployment.seen
    assert (known.project_id, known.project_name) == (deployment.project_id, "shop")
    assert (known.user_name, known.trust_id) == ("alice", trigger.trust_id)
    assert known.is_trust_scoped
    assert known.auth_token is not None
    _, said = deployment.keystone.call("GET", "/auth/tokens", token=None, subject=known.auth_token)
    facts = said["token"]
    assert facts["OS-TRUST:trust"]["id"] == trigger.trust_id
    assert facts["user"]["name"] == "alice"
    assert facts["project"]["name"] == "shop"
    assert {role["name"] for role in facts["roles"]} == {"member", "reader"}


def test_a_trigger_made_by_what_a_trigger_has_started_shares_its_trust(deployment: Deployment) -> None:
    alice = deployment.client("alice")
    assert alice.post("/v2/cron_triggers", CRON).status == 201
    deployment.play(owner_of(deployment.trigger("nightly")))
    acting = deployment.client("", deployment.seen[0].auth_token)
    assert acting.post("/v2/cron_triggers", {**CRON, "name": "next"}).status == 201
    assert len(deployment.trusts()) == 1
    assert alice.delete("/v2/cron_triggers/nightly").status == 204
    assert len(deployment.trusts()) == 1
    deployment.play(owner_of(deployment.trigger("next")))
    assert alice.delete("/v2/cron_triggers/next").status == 204
    assert deployment.trusts() == []


def test_an_owner_who_has_lost_his_roles_lets_the_action_fail_with_the_reason(
    deployment: Deployment,
) -> None:
    keystone, name = deployment.keystone, somebody(deployment.keystone)
    assert deployment.client(name).post("/v2/cron_triggers", CRON).status == 201
    role = keystone.call("GET", "/roles?name=member")[1]["roles"][0]["id"]
    user = deployment.user_id(name)
    keystone.call("DELETE", f"/projects/{deployment.project_id}/users/{user}/roles/{role}")
    ended = deployment.play(owner_of(deployment.trigger("nightly")))
    assert ended.state == "ERROR"
    assert "has no token to run with: Keystone gives this service no token for the trust" in (
        ended.state_info or ""
    )
    assert deployment.seen == []


def test_what_a_deleted_trigger_has_started_goes_on_without_a_token(deployment: Deployment) -> None:
    alice = deployment.client("alice")
    assert alice.post("/v2/cron_triggers", CRON).status == 201
    owner = owner_of(deployment.trigger("nightly"))
    assert alice.delete("/v2/cron_triggers/nightly").status == 204
    assert deployment.play(owner).state == "SUCCESS"
    (known,) = deployment.seen
    assert (known.auth_token, known.project_id) == (None, deployment.project_id)


def test_actions_that_act_for_nobody_need_no_keystone(deployment: Deployment) -> None:
    assert deployment.client("alice").post("/v2/cron_triggers", CRON).status == 201
    owner = owner_of(deployment.trigger("nightly"))
    deployment.door.is_open = False
    assert deployment.play(owner, "sleeping").state == "SUCCESS"


# -- tokens at rest -------------------------------------------------------------------------------


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())


def test_an_action_gets_its_caller_s_token_which_the_database_doesn_t_have_in_clear(
    deployment: Deployment, tmp_path: Path
) -> None:
    token = deployment.keystone.token("alice", "shop")
    alice = deployment.client("alice", token)
    answer = alice.post("/v2/executions?wait=20", {"workflow_name": "acting"})
    assert answer.json["state"] == "SUCCESS"
    assert alice.post("/v2/executions", {"workflow_name": "waiting"}).status == 201
    for more in ({"save_result": True}, {}):
        params = {"run_sync": True, **more}
        assert alice.post("/v2/action_executions", {"name": "acting", "params": params}).status == 201
    assert [each.auth_token for each in deployment.seen] == [token] * 3
    assert [each.user_name for each in deployment.seen] == ["alice"] * 3
    stored = everything_in(tmp_path)
    assert b"sealed:" in stored
    assert token.encode() not in stored


@pytest.mark.parametrize(
    ("then", "is_known"),
    [
        ({}, True),
        ({"secret_keys": ("k" * 32,)}, False),
        ({"secret_keys": ("k" * 32, "pw")}, True),
    ],
)
def test_a_token_outlives_its_process_where_the_key_is_the_same(
    keystone: Keystone, tmp_path: Path, then: dict[str, Any], is_known: bool
) -> None:
    token = keystone.token("alice", "shop")
    with deployed(keystone, tmp_path / "state.sqlite") as before:
        alice = before.client("alice", token)
        assert alice.post("/v2/workflows", WORKFLOWS).status == 201
        started = alice.post("/v2/executions", {"workflow_name": "waiting"}).json["id"]
        assert before.seen == []
    with deployed(keystone, tmp_path / "state.sqlite", **then) as after:
        alice = after.client("alice", token)
        (waiting,) = alice.items("/v2/action_executions?name=std.async_noop")
        done = alice.put(f"/v2/action_executions/{waiting['id']}", {"state": "SUCCESS"})
        assert done.status == 200, done
        ended = alice.get(f"/v2/executions/{started}?wait=20").json
        assert ended["state"] == "SUCCESS", ended
        (known,) = after.seen
        assert known.auth_token == (token if is_known else None)
        assert known.user_name == "alice"
