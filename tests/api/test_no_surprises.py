"""Whatever is sent: every answer is JSON that says what is wrong, and never an unforeseen error."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.lab import ANY_UUID, Client
from tests.api.running import Running

from tramontane.api.routes import ROUTES

WORKFLOW = "version: '2.0'\nwf: {input: [{a: 1}], tasks: {t: {action: std.async_noop}}}\n"
SEGMENTS = (ANY_UUID, "wf", "é漢", "a b", "x" * 300, "..", "%", "0")
ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    "0",
    0,
    -1,
    1.5,
    2**70,
    True,
    [],
    ["x"],
    {},
    {"x": {"y": [None]}},
    "{}",
    "[1]",
    "\ud800",
    "x" * 300,
    "a\0b",
)
QUERIES = (
    "limit=-1", "limit=9999999999999999999999", "marker=x", f"marker={ANY_UUID}", "sort_keys=x", "sort_keys=",
    "sort_dirs=up", "fields=x", "fields=,", "name=has:%25", "created_at=gt:x", "created_at=2026-13-01",
    "tags=gt:x", "tags=,", "input=x", "input={}", "params=[1]", "workflow_id=in:x", "project_id=x",
    "state=gt:", "accepted=maybe", "nulls=id", "nulls=x", "all_projects=x", "include_output=x", "force=x",
    "max_depth=x", "max_depth=99999999999", "errors_only=x", "namespace=%00", "scope=zz", "is_system=x",
    "wait=x", "wait=-1", "strict=x", "remaining_executions=x", "published={", "total=x", "current_only=x",
    "%ff=%ff", "=", "unknown=1", "description=", "identifier=", "name=", "a=1&a=2", "limit=1&limit=2",
)  # fmt: skip
KEYS = sorted(
    {
        "id", "name", "state", "status", "input", "params", "output", "description", "workflow_id",
        "workflow_name", "workflow_namespace", "source_execution_id", "scope", "variables", "env", "reset",
        "member_id", "pattern", "first_execution_time", "remaining_executions", "workflow_input",
        "workflow_params", "exchange", "topic", "event", "class_name", "code_source_id", "code_source_name",
        "namespace", "state_info", "task_execution_id", "tags", "project_id", "unknown",
    }
)  # fmt: skip


def endpoints() -> list[tuple[str, str]]:
    return sorted((method, path) for path, methods in ROUTES.items() for method in methods)


def filled(path: str, segment: str) -> str:
    """A path whose variables are replaced."""
    return "/".join(segment if part.startswith("{") else part for part in path.split("/"))


def check(client: Client, method: str, url: str, body: Any = None, headers: Any = None) -> None:
    """An answer may refuse, but it is one that was foreseen, and JSON."""
    if (
        method == "PUT"
        and url == "/maintenance"
        and isinstance(body, dict)
        and body.get("status") == "PAUSED"
    ):
        return
    answer = client.call(method, url, body, headers)
    assert answer.status < 500, (method, url, body, answer)
    if answer.status >= 400 and url.partition("?")[0] != "/healthcheck":
        assert answer.headers["content-type"].startswith("application/json"), (method, url, answer)
        assert answer.fault


@pytest.fixture
def busy(service: Running) -> Running:
    """A service that has one of everything."""
    (workflow,) = service.define(WORKFLOW)
    service.start("wf")
    service.post("/v2/workbooks", "version: '2.0'\nname: wf\n")
    service.post("/v2/actions", "version: '2.0'\nwf: {base: std.noop}\n")
    service.post("/v2/environments", {"name": "wf", "variables": {}})
    service.post("/v2/cron_triggers", {"name": "wf", "workflow_name": "wf", "pattern": "@daily"})
    event = {"workflow_id": workflow["id"], "exchange": "x", "topic": "t", "event": "e"}
    service.post("/v2/event_triggers", event)
    service.post("/v2/code_sources?name=wf", "x = 1")
    service.post("/v2/dynamic_actions", {"name": "wf", "class_name": "A", "code_source_name": "wf"})
    return service


def known_ids(client: Client) -> Iterator[str]:
    for path in (
        "executions", "tasks", "action_executions", "workflows", "cron_triggers", "event_triggers",
        "code_sources", "dynamic_actions",
    ):  # fmt: skip
        yield client.items(f"/v2/{path}")[0]["id"]


@pytest.mark.spec("API23")
def test_odd_paths_and_queries_are_refused_or_answered(busy: Running) -> None:
    for method, path in endpoints():
        if method == "GET":
            for segment in (*SEGMENTS, *known_ids(busy)):
                check(busy, method, filled(path, segment))
            for query in QUERIES:
                check(busy, method, f"{filled(path, ANY_UUID)}?{query}")


@pytest.mark.spec("API23")
def test_odd_bodies_are_refused_or_taken(busy: Running) -> None:
    writing = [(method, path) for method, path in endpoints() if method in ("POST", "PUT")]
    for method, path in writing:
        for segment in ("wf", ANY_UUID):
            for body in (
                b"",
                b"{bad",
                b"\xff\xfe",
                b"[1]",
                b'"x"',
                b"null",
                b"{}",
                b"- a\n- b",
                b"a: b: c",
                b"\0",
            ):
                check(busy, method, filled(path, segment), body)
            check(busy, method, filled(path, segment), b"<a/>", {"content-type": "text/xml"})
            check(busy, method, filled(path, segment), b"a=1", {"content-type": "text/plain"})


@pytest.mark.spec("API23")
def test_odd_values_of_every_attribute_are_refused_or_taken(busy: Running) -> None:
    """Each attribute with each odd value, beside others that make sense."""
    workflow = busy.items("/v2/workflows")[0]["id"]
    task, action, execution = (
        busy.items(f"/v2/{kind}")[0]["id"] for kind in ("tasks", "action_executions", "executions")
    )
    trigger = busy.items("/v2/event_triggers")[0]["id"]
    sensible: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/v2/executions"): {"workflow_name": "wf"},
        ("PUT", f"/v2/executions/{execution}"): {"state": "PAUSED"},
        ("PUT", f"/v2/tasks/{task}"): {"state": "RUNNING", "reset": True},
        ("POST", "/v2/action_executions"): {"name": "std.noop"},
        ("PUT", f"/v2/action_executions/{action}"): {"state": "RUNNING"},
        ("POST", "/v2/environments"): {"name": "wf"},
        ("PUT", "/v2/environments"): {"name": "wf"},
        ("POST", "/v2/cron_triggers"): {"name": "wf", "workflow_name": "wf", "pattern": "@daily"},
        ("POST", "/v2/event_triggers"): {
            "workflow_id": workflow,
            "exchange": "x",
            "topic": "t",
            "event": "e",
        },
        ("PUT", f"/v2/event_triggers/{trigger}"): {},
        ("POST", "/v2/dynamic_actions"): {"name": "wf", "class_name": "A", "code_source_name": "wf"},
        ("PUT", "/v2/dynamic_actions"): {"name": "wf"},
        ("PUT", "/maintenance"): {"status": "RUNNING"},
    }
    for ((method, url), body), key, value in itertools.product(sensible.items(), KEYS, ODD):
        check(
            busy, method, url, json.dumps({**body, key: value}).encode(), {"content-type": "application/json"}
        )


@pytest.mark.spec("API23")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(endpoints()),
    st.sampled_from(SEGMENTS),
    st.lists(st.sampled_from(QUERIES), max_size=3),
    st.one_of(
        st.none(),
        st.binary(max_size=30),
        st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ODD), max_size=4).map(
            lambda body: json.dumps(body).encode()
        ),
    ),
)
def test_nothing_that_is_made_up_surprises(
    busy: Running, endpoint: tuple[str, str], segment: str, queries: list[str], body: bytes | None
) -> None:
    method, path = endpoint
    check(busy, method, f"{filled(path, segment)}?{'&'.join(queries)}", body)
