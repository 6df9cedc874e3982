"""Hostile and broken requests: never an unforeseen error, and what is refused has changed nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.api.lab import ANY_UUID, Client
from tests.api.running import Running

from tramontane.api.routes import ROUTES
from tramontane.compose import open_node
from tramontane.config import Settings

EXAMPLES = 2000
EXISTS = "something that exists"
SEGMENTS = (
    "' OR '1'='1", "'; DROP TABLE executions; --", '"', "\\", "%27", "%2e%2e%2f", "..", "../../etc/passwd",
    "%2F", "%25", "%FF", "%C3%28", "%ED%A0%80", "~", "*", "?", "a;b=c", "a%0d%0aset-cookie:x", "é漢𝄞", "null",
    "undefined", "-1", "0x10", "1e9", "9" * 400, "x" * 5000, ANY_UUID, ANY_UUID.upper(), ANY_UUID[:-1],
    "wf", "validate", "%00", " ", "{id}", "${jndi:ldap://x}", "<script>", "[]", "__proto__",
)  # fmt: skip
NAMES = sorted(
    {
        "limit", "marker", "sort_keys", "sort_dirs", "fields", "nulls", "total", "name", "state", "tags",
        "input", "params", "output", "created_at", "workflow_id", "project_id", "all_projects", "scope",
        "namespace",
        "wait", "force", "strict", "identifier", "max_depth", "errors_only", "recursive", "last_event_id",
        "remaining_executions", "accepted", "unknown", "limit;", "' OR 1=1", "",
    }
)  # fmt: skip
OPERATORS = ("", "eq:", "neq:", "gt:", "gte:", "lt:", "lte:", "in:", "nin:", "has:", "bogus:", ":")
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(
            [
                "application/json",
                "application/json; charset=utf-16",
                "text/plain",
                "text/xml",
                "",
                ";",
                "a/b/c",
            ]
        ),
        "accept": st.sampled_from(["*/*", "", "text/html", ";q=0", "application/json;q=0", ",,,"]),
        "accept-encoding": st.sampled_from(["gzip", "*", "gzip;q=", "br;q=1,,"]),
        "content-encoding": st.sampled_from(["gzip", "deflate"]),
        "content-length": st.sampled_from(["0", "-1", "x", "9" * 30]),
        "x-request-id": st.text(st.characters(max_codepoint=255), max_size=200),
        "idempotency-key": st.text(st.characters(max_codepoint=255), max_size=300),
        "last-event-id": st.sampled_from(["", "x", "-1", "9" * 30, "1.end"]),
        "x-target-auth-uri": st.sampled_from(["", "http://x"]),
    },
)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(SEGMENTS)
)
VALUES = st.recursive(
    SCALARS,
    lambda deeper: st.one_of(
        st.lists(deeper, max_size=3), st.dictionaries(st.text(max_size=8), deeper, max_size=3)
    ),
    max_leaves=8,
)
KEYS = (
    "id", "name", "state", "status", "input", "params", "output", "description", "workflow_id",
    "workflow_name", "source_execution_id", "scope", "variables", "env", "reset", "member_id", "pattern",
    "task", "worker_id", "pools", "held", "action_id", "attempt", "project_id", "unknown", "' OR 1=1 --",
)  # fmt: skip
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5).map(lambda body: json.dumps(body).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(KEYS), SCALARS, max_size=4).map(
        lambda body: json.dumps(body).encode("utf-16")
    ),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"input": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
            b'{"name": "' + b"x" * 1_000_000 + b'"}',
            b'{"name": "a", "name": "b"}',
            b'{"name": "\xff\xfe"}',
            b'\xef\xbb\xbf{"name": "bom"}',
            b"version: '2.0'\nwf: &a {tasks: {t: *a}}",
            b"version: '2.0'\na: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nwf: {tasks: {t: {input: *c}}}",
            b"version: '2.0'\nwf: !!python/object/apply:os.system ['true']",
            b"\0" * 100,
        ]
    ),
)


@pytest.fixture
def quiet(sqlite_url: str) -> Iterator[Running]:
    """A node that writes nothing of its own while nobody asks for anything."""
    plain = Settings(
        database=sqlite_url, load_action_plugins=False, heartbeat_seconds=3600, lease_seconds=36_000
    )
    with asyncio.Runner() as runner:
        context = open_node(plain)
        service = Running(runner, runner.run(context.__aenter__()))
        fill(service)
        yield service
        runner.run(context.__aexit__(None, None, None))


def fill(service: Running) -> None:
    """Have one of everything."""
    flow = "version: '2.0'\nwf: {tasks: {t: {action: std.noop, wait-before: 86400}}}"
    (workflow,) = service.define(flow)
    service.start("wf")
    service.post(
        "/v2/action_executions", {"name": "std.noop", "params": {"save_result": True, "run_sync": True}}
    )
    service.post("/v2/environments", {"name": "wf", "variables": {}})
    service.post("/v2/workbooks", "version: '2.0'\nname: wf\n")
    service.post("/v2/cron_triggers", {"name": "wf", "workflow_name": "wf", "pattern": "@yearly"})
    event = {"workflow_id": workflow["id"], "exchange": "x", "topic": "t", "event": "e"}
    service.post("/v2/event_triggers", event)
    service.post("/v2/code_sources?name=wf", "class A:\n    def run(self, context):\n        return 1\n")
    service.post("/v2/dynamic_actions", {"name": "wf", "class_name": "A", "code_source_name": "wf"})


class Changes:
    """Tells whether anything was written to a database file since the last time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._version = self._read()

    def _read(self) -> int:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        assert isinstance(version, int)
        return version

    def happened(self) -> bool:
        before, self._version = self._version, self._read()
        return before != self._version

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def changes(quiet: Running, tmp_path: Path) -> Iterator[Changes]:
    watched = Changes(tmp_path / "test.sqlite")
    assert quiet.post("/v2/environments", {"name": "control"}).status == 201
    assert watched.happened()
    yield watched
    watched.close()


def targets() -> st.SearchStrategy[tuple[str, str]]:
    """A method with a path whose variables are something strange, or something that exists."""
    routes = sorted((method, path) for path, methods in ROUTES.items() for method in methods)

    def fill(route: tuple[str, str], segments: list[str]) -> tuple[str, str]:
        method, path = route
        rest = iter(segments)
        return method, "/".join(next(rest) if part.startswith("{") else part for part in path.split("/"))

    # Pausing the whole service is what its endpoint is for.
    ours = [route for route in routes if route != ("PUT", "/maintenance")]
    segments = st.one_of(st.just(EXISTS), st.sampled_from(SEGMENTS))
    return st.builds(fill, st.sampled_from(ours), st.lists(segments, min_size=3, max_size=3))


def existing(client: Client, path: str) -> str:
    """The path with what exists in the place of what stands for it."""
    while EXISTS in path:
        before, _, after = path.partition(EXISTS)
        answer = client.get(before.rstrip("/"))
        found = answer.json if answer.status == 200 else {}
        items = next((each for each in found.values() if isinstance(each, list)), [])
        path = f"{before}{items[0].get('id') if items else 'wf'}{after}"
    return path


def is_write(method: str, status: int) -> bool:
    return method in ("POST", "PUT", "DELETE") and status < 300


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    target=targets(),
    query=st.one_of(
        st.just([]),
        st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.sampled_from(OPERATORS),
                st.one_of(st.sampled_from(SEGMENTS), st.text(max_size=10)),
            ),
            max_size=3,
        ),
    ),
    body=BODIES,
    headers=HEADERS,
)
def test_what_is_refused_has_changed_nothing(
    quiet: Running,
    changes: Changes,
    target: tuple[str, str],
    query: list[tuple[str, str, str]],
    body: bytes,
    headers: dict[str, str],
) -> None:
    client = quiet.changed(max_wait_seconds=0.001)
    method, path = target[0], existing(client, target[1])
    text = "&".join(f"{name}={operator}{value}" for name, operator, value in query)
    text = text.encode("utf-8", "replace").decode().replace("#", "%23").replace("\0", "%00")
    changes.happened()
    answer = client.call(method, f"{path}?{text}".replace("\n", "%0a").replace("\r", "%0d"), body, headers)
    assert answer.status < 500, answer
    if answer.status >= 400 and path != "/healthcheck" and "content-encoding" not in answer.headers:
        assert answer.fault
    if not is_write(method, answer.status):
        assert not changes.happened(), (method, path, answer)
    # What the caller sends never reaches the headers of an answer as lines of its own.
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("text", ["' OR '1'='1", "x' UNION SELECT 1 --", "%' OR 1=1 --", "\\"])
def test_texts_of_filters_are_texts(quiet: Running, text: str) -> None:
    encoded = text.replace("%", "%25").replace(" ", "%20").replace("\\", "%5C")
    for query in (f"workflow_name={encoded}", f"workflow_name=has:{encoded}", f"state=in:{encoded}"):
        assert quiet.items(f"/v2/executions?{query}") == []
    assert len(quiet.items("/v2/executions")) == 1
