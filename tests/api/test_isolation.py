"""What belongs to a project doesn't exist for others: every endpoint, called with another project's token.

Project ``a`` owns one object of each kind, all of which hold the word HUSHED or are named by it. The node
asks for tokens that it has issued itself, and a policy file lets everybody use uploaded code, so that
isolation alone is between project ``b`` and what ``a`` has.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.running import Running

from tramontane.api.collections import missing_identifier
from tramontane.api.routes import ROUTES
from tramontane.auth import PolicyRules
from tramontane.auth.cache import hash_of
from tramontane.auth.policy import DEFAULTS
from tramontane.compose import open_node
from tramontane.config import Settings
from tramontane.store.tokens import TokenRow, Tokens

HUSHED = "hushed"
WORKFLOWS = f"""version: '2.0'
{HUSHED}:
  input: [word]
  tasks:
    many: {{with-items: 'i in <% [1, 2] %>', action: std.echo, input: {{output: <% $.word %>}}}}
    inner: {{workflow: {HUSHED}_inner}}
    open: {{action: std.async_noop}}
{HUSHED}_inner:
  tasks:
    t: {{action: std.noop}}
{HUSHED}_ended:
  tasks:
    t: {{action: std.fail}}
"""
WORKBOOK = f"version: '2.0'\nname: {HUSHED}_book\n"
ACTION = f"version: '2.0'\n{HUSHED}_action: {{base: std.echo output='{HUSHED}'}}\n"
MODULE = f"class Hushed:\n    '''{HUSHED}'''\n    def run(self, context):\n        return '{HUSHED}'\n"
ONE = f"version: '2.0'\n{HUSHED}:\n  tasks:\n    t: {{action: std.noop}}\n"
OWN = "version: '2.0'\nown:\n  tasks:\n    t: {action: std.noop}\n"

POLICY = "\n".join(
    f'"{name}": "@"' for name in DEFAULTS if name.startswith(("code_sources:", "dynamic_actions:"))
)
PATHS = [path for path, methods in ROUTES.items() if not all(each.is_public for each in methods.values())]
CALLS = [(method, path) for path in PATHS for method in ROUTES[path]]


@dataclass
class World:
    """What project ``a`` has on a node, and clients of both projects."""

    a: Running
    b: Running
    places: dict[str, dict[str, tuple[str, ...]]]

    def place(self, resource: str, variable: str = "id") -> str:
        return self.places[resource][variable][0]

    def urls(self, path: str) -> list[str]:
        """The URLs at which a path has what is ``a``'s."""
        names = re.findall(r"{(\w+)}", path)
        values = self.places[path.split("/")[2]] if names else {}
        chosen = itertools.product(*(values[name] for name in names))
        return [path.format(**dict(zip(names, each, strict=True))) for each in chosen]

    def everything(self) -> dict[str, Any]:
        """All that ``a`` sees, by URL."""
        seen = {}
        for path in PATHS:
            if "GET" in ROUTES[path] and not path.endswith(MOVING):
                for url in self.urls(path):
                    answer = self.a.get(url)
                    assert answer.status == 200, (url, answer)
                    seen[url] = answer.json
        return seen

    def bodies(self) -> dict[str, Any]:
        """What is sent, by method and path: what would do something if the object were there."""
        workflow_id = self.place("workflows", "identifier")
        cron = {"name": "mine", "workflow_name": f"{HUSHED}_inner", "pattern": "0 0 1 1 *"}
        event = {"workflow_id": workflow_id, "exchange": "x", "topic": "t", "event": "e"}
        action = {
            "name": "mine",
            "class_name": "Hushed",
            "code_source_id": self.place("code_sources", "identifier"),
        }
        attempt = {"worker_id": "w", "action_id": self.place("action_executions"), "attempt": 1}
        return {
            "PUT /maintenance": {"status": "PAUSED"},
            "POST /v2/workbooks": "version: '2.0'\nname: own\n",
            "PUT /v2/workbooks": WORKBOOK,
            "PUT /v2/workbooks/{name}": WORKBOOK,
            "POST /v2/workflows": OWN,
            "PUT /v2/workflows": ONE,
            "PUT /v2/workflows/{identifier}": ONE,
            "POST /v2/workflows/{identifier}/members": {"member_id": "b"},
            "PUT /v2/workflows/{identifier}/members/{member_id}": {"status": "accepted"},
            "POST /v2/actions": "version: '2.0'\nown: {base: std.noop}\n",
            "PUT /v2/actions": ACTION,
            "PUT /v2/actions/{identifier}": ACTION,
            "POST /v2/executions": {"workflow_id": workflow_id, "input": {"word": "x"}},
            "PUT /v2/executions/{id}": {"state": "PAUSED"},
            "POST /v2/executions/{id}/fork": {"task": "many"},
            "PUT /v2/tasks/{id}": {"state": "RUNNING", "reset": True},
            "POST /v2/action_executions": {"name": f"{HUSHED}_action"},
            "PUT /v2/action_executions/{id}": {"state": "SUCCESS", "output": {"result": 1}},
            "POST /v2/environments": {"name": "own", "variables": {}},
            "PUT /v2/environments": {"name": f"{HUSHED}_env", "variables": {}},
            "PUT /v2/environments/{name}": {"name": f"{HUSHED}_env", "variables": {}},
            "POST /v2/cron_triggers": cron,
            "POST /v2/event_triggers": event,
            "PUT /v2/event_triggers/{id}": {"name": "mine"},
            "POST /v2/code_sources": "class Own:\n    pass\n",
            "PUT /v2/code_sources": MODULE,
            "PUT /v2/code_sources/{identifier}": MODULE,
            "POST /v2/dynamic_actions": action,
            "PUT /v2/dynamic_actions": {"id": self.place("dynamic_actions", "identifier"), "class_name": "X"},
            "PUT /v2/dynamic_actions/{identifier}": {"class_name": "X"},
            "PUT /v2/limits": {"kind": "pool", "name": "gpu", "limit": 1},
            "POST /v2/workers/poll": {"worker_id": "w", "actions": ["std.async_noop", "std.echo"]},
            "POST /v2/workers/heartbeat": {"worker_id": "w", "held": []},
            "POST /v2/workers/complete": {**attempt, "data": 1},
            "POST /v2/workflows/validate": OWN,
            "POST /v2/workbooks/validate": WORKBOOK,
            "POST /v2/actions/validate": ACTION,
        }


MOVING = ("/events", "/blockers", "/metrics")
"""What goes on for ever, tells the time, or is an administrator's and of no project."""

DOCUMENTS = ("workbooks", "workflows", "actions")
QUERIES = {
    "POST /v2/code_sources": "?name=own",
    "PUT /v2/code_sources": f"?identifier={HUSHED}_code",
}

ANSWERS = {
    **{f"GET {path}": 200 for path in PATHS if "{" not in path},
    "GET /v2/workflows/{identifier}/members": 200,
    "GET /v2/tasks/{id}/action_executions": 200,
    "GET /v2/tasks/{id}/workflow_executions": 200,
    "PUT /v2/environments/{name}": 400,
    "PUT /v2/dynamic_actions/{identifier}": 400,
    "PUT /maintenance": 403,
    "GET /metrics": 403,
    "PUT /v2/limits": 403,
    **{
        f"POST /v2/{kind}": 201
        for kind in ("workbooks", "workflows", "actions", "environments", "code_sources")
    },
    **{f"POST /v2/{kind}/validate": 200 for kind in ("workbooks", "workflows", "actions")},
    **{f"POST /v2/workers/{call}": 200 for call in ("poll", "heartbeat", "complete")},
    "DELETE /v2/workflows/{identifier}/members": 400,
    "POST /v2/action_executions": 400,
    **{
        f"{method} {path}": 400
        for method, path in CALLS
        if ROUTES[path][method].handler is missing_identifier
    },
}
"""What ``b`` is answered where it isn't that the object doesn't exist."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("isolation")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    settings = Settings(
        database=f"sqlite:///{folder}/state.sqlite",
        load_action_plugins=False,
        auth="token",
        policy_file=policy,
        allow_action_execution_deletion=True,
    )
    with asyncio.Runner() as runner:
        context = open_node(settings)
        node = runner.run(context.__aenter__())
        register = Tokens(node.database)
        clients = {}
        for name in ("a", "b"):
            token = f"token of {name}"
            runner.run(register.add(TokenRow(name, hash_of(token), name, name, ("member",), 0)))
            clients[name] = Running(runner, node, {"x-auth-token": token})
        yield World(clients["a"], clients["b"], furnished(clients["a"]))
        runner.run(context.__aexit__(None, None, None))


def furnished(a: Running) -> dict[str, dict[str, tuple[str, ...]]]:
    """Create one object of each kind; gives the values of the paths' variables by first segment."""

    def made(url: str, body: Any) -> Any:
        answer = a.post(url, body)
        assert answer.status == 201, (url, answer)
        return answer.json

    made("/v2/workbooks", WORKBOOK)
    ids = {each["name"]: each["id"] for each in a.define(WORKFLOWS)}
    (action,) = made("/v2/actions", ACTION)["actions"]
    made("/v2/environments", {"name": f"{HUSHED}_env", "variables": {"word": HUSHED}})
    started = a.start(HUSHED, input={"word": HUSHED})
    ended = a.start(f"{HUSHED}_ended", wait=20)
    assert ended["state"] == "ERROR"
    a.until(f"/v2/executions/{started['id']}/tasks", is_quiet)
    many = a.tasks(started["id"])["many"]["id"]
    (inside, _) = a.actions(many)
    alone = made(
        "/v2/action_executions",
        {"name": "std.echo", "input": {"output": HUSHED}, "params": {"save_result": True, "run_sync": True}},
    )
    cron = {"name": f"{HUSHED}_cron", "workflow_name": f"{HUSHED}_inner", "pattern": "0 0 1 1 *"}
    event = {"workflow_id": ids[f"{HUSHED}_inner"], "exchange": "x", "topic": "t", "event": HUSHED}
    code = made(f"/v2/code_sources?name={HUSHED}_code", MODULE)
    dynamic = {"name": f"{HUSHED}_dynamic", "class_name": "Hushed", "code_source_id": code["id"]}
    made(f"/v2/workflows/{ids[HUSHED]}/members", {"member_id": "z"})
    (opened,) = a.actions(a.tasks(started["id"])["open"]["id"])
    return {
        "workbooks": {"name": (f"{HUSHED}_book",)},
        "workflows": {"identifier": (ids[HUSHED],), "member_id": ("z",)},
        "actions": {"identifier": (f"{HUSHED}_action", action["id"]), "namespace": ("n",)},
        "environments": {"name": (f"{HUSHED}_env",)},
        "executions": {"id": (started["id"], ended["id"])},
        "tasks": {"id": (many,), "action_id": (inside["id"],)},
        "action_executions": {"id": (opened["id"], inside["id"], alone["id"])},
        "cron_triggers": {"identifier": (made("/v2/cron_triggers", cron)["id"], cron["name"])},
        "event_triggers": {"id": (made("/v2/event_triggers", event)["id"],)},
        "code_sources": {"identifier": (code["id"], code["name"])},
        "dynamic_actions": {"identifier": (made("/v2/dynamic_actions", dynamic)["id"], dynamic["name"])},
    }


def is_quiet(listed: Any) -> bool:
    """Tell whether nothing but the task that is left open goes on."""
    states = {task["name"]: task["state"] for task in listed["tasks"]}
    return states == {"many": "SUCCESS", "inner": "SUCCESS", "open": "RUNNING"}


@pytest.mark.spec("API83", "API84")
def test_another_project_sees_and_changes_nothing(world: World) -> None:
    before = world.everything()
    assert any(HUSHED in str(shown) for shown in before.values())
    bodies = world.bodies()
    wrong = []
    for method, path in CALLS:
        call = f"{method} {path}"
        if method in ("POST", "PUT") and ANSWERS.get(call) != 400:
            assert call in bodies, f"{call}: say in bodies() what is sent there"
        for url in world.urls(path):
            answer = world.b.call(method, url + QUERIES.get(call, ""), bodies.get(call))
            if answer.status != ANSWERS.get(call, 404):
                wrong.append((call, url, answer))
            if answer.status < 400 and HUSHED.encode() in answer.body:
                wrong.append((call, url, answer))
    assert not wrong, "\n".join(f"{c} {u} {x.status} {x.body[:160]!r}" for c, u, x in wrong)
    assert world.everything() == before


@pytest.mark.spec("API66", "API67", "API68", "API70")
def test_without_a_good_token_there_is_nothing(world: World) -> None:
    bodies = world.bodies()
    forged = {
        "x-roles": "admin",
        "x-project-id": "a",
        "x-identity-status": "Confirmed",
        "x-service-identity-status": "Confirmed",
    }
    nobody = Client(world.a._runner, world.a.app)
    before = world.everything()
    for headers in ({}, forged, {**forged, "x-auth-token": "nonsense"}, {"authorization": "Bearer nonsense"}):
        for method, path in CALLS:
            for url in world.urls(path):
                answer = nobody.with_headers(headers).call(method, url, bodies.get(f"{method} {path}"))
                assert answer.status == 401, (method, url, headers, answer)
                assert answer.headers["www-authenticate"]
                assert answer.headers["server-error-message"] == answer.fault
    assert world.everything() == before
    for path in ("/", "/v2", "/v2/", "/healthz"):
        assert nobody.get(path).status == 200
    assert nobody.get("/v2/nothing").status == 401


@pytest.mark.spec("API70")
def test_identity_headers_beside_a_token_change_nothing(world: World) -> None:
    claims = {"x-roles": "admin", "x-project-id": "a", "x-user-id": "a", "x-tenant-id": "a"}
    claimed = world.b.with_headers(claims)
    for resource in ("workflows", "executions"):
        assert not [item for item in claimed.items(f"/v2/{resource}") if item["project_id"] == "a"]
        assert claimed.get(f"/v2/{resource}?all_projects=true").status == 403
    assert claimed.post("/v2/workflows?scope=public", "version: '2.0'\nx: {tasks: {t: {}}}\n").status == 403


SPY = """version: '2.0'
spy:
  input: [execution_id, task_id]
  output:
    executions: <% executions() %>
    by_id: <% executions($.execution_id) %>
    tasks: <% tasks($.execution_id, true) %>
    all_tasks: <% tasks() %>
  output-on-error: {failed: true}
  tasks:
    t: {action: std.noop}
peek_execution:
  input: [execution_id]
  output: {it: <% execution($.execution_id) %>}
  tasks: {t: {action: std.noop}}
"""


def test_expressions_reach_their_own_project_alone(world: World) -> None:
    world.b.define(SPY)
    ids = {"execution_id": world.place("executions"), "task_id": world.place("tasks")}
    ended = world.b.start("spy", wait=20, input=ids)
    assert ended["state"] == "SUCCESS", ended
    output = json.loads(ended["output"])
    assert output["by_id"] == output["tasks"] == []
    assert {each["project_id"] for each in output["executions"]} == {"b"}
    assert HUSHED not in ended["output"]


@pytest.mark.parametrize(
    "task",
    [f"workflow: {HUSHED}_inner", f"action: {HUSHED}_action", f"action: {HUSHED}_dynamic"],
)
def test_tasks_reach_their_own_project_alone(world: World, task: str) -> None:
    name = f"reach_{task.split('_')[-1]}"
    world.b.define(f"version: '2.0'\n{name}:\n  tasks:\n    t: {{{task}}}\n")
    ended = world.b.start(name, wait=20)
    assert ended["state"] == "ERROR"
    assert "not found" in ended["state_info"].lower() or "failed to find" in ended["state_info"].lower()


@pytest.mark.parametrize(
    "body",
    [
        {"workflow_name": HUSHED, "input": {"word": "x"}},
        {"workflow_id": "WORKFLOW", "input": {"word": "x"}},
        {"source_execution_id": "EXECUTION"},
        {"workflow_name": "mine", "id": "EXECUTION"},
        {"workflow_name": "mine", "params": {"env": f"{HUSHED}_env"}},
    ],
)
def test_starts_reach_their_own_project_alone(world: World, body: dict[str, Any]) -> None:
    world.b.post("/v2/workflows", OWN.replace("own", "mine"))
    known = {"WORKFLOW": world.place("workflows", "identifier"), "EXECUTION": world.place("executions")}
    given = {name: known.get(str(value), value) for name, value in body.items()}
    count = len(world.a.items("/v2/executions"))
    answer = world.b.post("/v2/executions", given)
    assert answer.status in (400, 404, 409), answer
    assert len(world.a.items("/v2/executions")) == count


@pytest.mark.spec("API77")
def test_what_is_for_administrators_is_refused_to_others(world: World) -> None:
    member = world.b.changed(rules=PolicyRules()).with_headers({"x-auth-token": "token of b"})
    guarded = [
        (method, path)
        for method, path in CALLS
        if path.startswith(("/v2/code_sources", "/v2/dynamic_actions"))
        or (method, path) == ("PUT", "/maintenance")
    ]
    assert len(guarded) > 10
    for method, path in guarded:
        for url in world.urls(path):
            answer = member.call(method, url, world.bodies().get(f"{method} {path}"))
            assert answer.status == 403, (method, url, answer)
            assert "policy" in answer.fault
