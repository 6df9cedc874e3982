"""The document that describes the API to programs says what the API does."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from tests.api.lab import Client
from tests.api.library import Library, TokenProjects
from tests.api.running import Running

from tramontane.api.collections import missing_identifier
from tramontane.api.operations import OPERATIONS
from tramontane.api.routes import ROUTES, openapi_document
from tramontane.api.values_in import schema_of

FILE = Path(__file__).resolve().parents[2] / "docs/reference/openapi.json"
FLOW = """version: '2.0'
wf:
  input: [{a: 1}]
  tasks:
    t: {action: std.async_noop, publish: {x: 1}, on-success: u}
    u: {with-items: 'i in [1, 2]', workflow: sub}
sub: {tasks: {s: {action: std.fail}}}
"""
DOCUMENT: dict[str, Any] = json.loads(json.dumps(openapi_document()))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def parameters(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in operation.get("parameters", ()):
        if "$ref" in each:
            each = DOCUMENT["components"]["parameters"][each["$ref"].rpartition("/")[2]]
        yield each


def test_the_reference_holds_the_document_of_this_version() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == DOCUMENT, (
        "write it again: tramontane schema --api > docs/reference/openapi.json"
    )


def test_everything_that_can_be_asked_for_is_described() -> None:
    """What only says that something is missing, or is off by default, isn't there to be asked for."""
    answering = {
        (path, method)
        for path, methods in ROUTES.items()
        for method, endpoint in methods.items()
        if endpoint.handler is not missing_identifier
        and endpoint.handler.__name__ != "no_update_by_path"
        and path not in ("/healthcheck", "/metrics")
    }
    assert {(path, method) for path, methods in OPERATIONS.items() for method in methods} == answering


def test_each_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)


def test_the_document_is_valid() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_it_is_answered_without_a_token_and_says_where_the_service_is(library: Library) -> None:
    client = library.client(authenticator=TokenProjects())
    assert client.get("/v2/workflows").status == 401
    answer = client.call("GET", "/workflowv2/v2/openapi.json", root_path="/workflowv2")
    assert answer.status == 200
    assert answer.json == {**DOCUMENT, "servers": [{"url": "http://localhost:8989/workflowv2"}]}


@pytest.fixture
def busy(service: Running) -> Client:
    """An administrator's client of a service that has one of everything, all of one name."""
    client = service.changed(authenticator=TokenProjects(), max_wait_seconds=0.01)
    client = client.with_headers({"x-auth-token": "p/admin"})
    workflow = client.post("/v2/workflows", FLOW).json["workflows"][0]["id"]
    client.post("/v2/executions", {"workflow_name": "wf"})
    client.post("/v2/executions", {"workflow_name": "sub"})
    client.post("/v2/workbooks", "version: '2.0'\nname: wf\n")
    client.post("/v2/actions", "version: '2.0'\nwf: {base: std.noop}\n")
    client.post("/v2/environments", {"name": "wf", "variables": {}})
    client.post("/v2/cron_triggers", {"name": "wf", "workflow_name": "wf", "pattern": "@daily"})
    event = {"workflow_id": workflow, "exchange": "x", "topic": "t", "event": "e"}
    client.post("/v2/event_triggers", event)
    client.post("/v2/code_sources?name=wf", "class A:\n    def run(self, context):\n        return 1\n")
    client.post("/v2/dynamic_actions", {"name": "wf", "class_name": "A", "code_source_name": "wf"})
    client.post(f"/v2/workflows/{workflow}/members", {"member_id": "p"})
    return client


def known(client: Client) -> dict[str, list[str]]:
    """Ids of what there is, by the collection's path."""
    found = {}
    for path in OPERATIONS:
        collection = path.removeprefix("/v2/")
        if path.startswith("/v2/") and re.fullmatch("[a-z_]+", collection) and "GET" in OPERATIONS[path]:
            found[path] = [item["id"] for item in client.items(path)]
    return found


def arguments(path: str, ids: dict[str, list[str]]) -> dict[str, str]:
    """Values for a path's variables by which it leads to something that exists."""
    collection = next((each for each in ids if path.startswith(f"{each}/")), "")
    here = (
        "wf" if collection in ("/v2/workbooks", "/v2/environments") else "".join(ids.get(collection, [])[:1])
    )
    values = {"member_id": "p", "namespace": "x", "action_id": ids["/v2/action_executions"][0]}
    return {name: values.get(name, here) for name in re.findall(r"{(\w+)}", path)}


def filled(path: str, ids: dict[str, list[str]]) -> str:
    return path.format_map(arguments(path, ids))


def test_the_parameters_are_those_that_are_taken(busy: Client) -> None:
    ids = known(busy)
    for method, path, operation in operations():
        described = {each["name"] for each in parameters(operation) if each["in"] == "query"}
        answer = busy.call(method, f"{filled(path, ids)}?bogus=1", {} if "requestBody" in operation else None)
        if answer.status < 300 or "bogus" not in answer.body.decode():
            # Public endpoints look at none; code sources take unknown ones.
            assert operation.get("security") == [] or "code_sources" in path, (method, path, answer)
            continue
        allowed = re.search(r"Allowed here: (.*)\.$", answer.fault)
        assert allowed, (method, path, answer)
        assert described == set(allowed.group(1).split(", ")) - {"none"}, (method, path)


def test_the_keys_of_bodies_are_those_that_are_taken(busy: Client) -> None:
    ids = known(busy)
    for method, path, operation in operations():
        model = OPERATIONS[path][method].body
        if model is None:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        answer = busy.call(method, filled(path, ids), {"bogus": 1})
        allowed = re.search(r"Known ones: (.*)\.$", answer.fault)
        assert allowed, (method, path, answer)
        refused = {name for name, convert in model.items() if schema_of(convert) is None}
        assert set(schema["properties"]) | refused == set(allowed.group(1).split(", ")), (method, path)
        assert set(schema.get("required", ())) <= set(schema["properties"])


def closed(schema: Any) -> Any:
    """The same schemas, taking no attribute that isn't described."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    deeper = {name: closed(each) for name, each in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        deeper.setdefault("additionalProperties", False)
    return deeper


def answered(client: Client, case: Case[Any]) -> Response:
    """Send a made-up request to the application in this process."""
    sent = case.as_transport_kwargs(base_url="http://localhost:8989")
    sent["headers"].pop("X-Auth-Token", None)  # who is calling isn't made up
    request = requests.Request(**sent).prepare()
    assert request.url is not None and request.method is not None
    body: Any = request.body or b""
    answer = client.call(
        request.method,
        request.url.removeprefix("http://localhost:8989"),
        body if isinstance(body, bytes) else body.encode(),
        {
            name: value if isinstance(value, str) else value.decode()
            for name, value in request.headers.items()
        },
    )
    packed = answer.headers.get("content-encoding") == "gzip"
    content = gzip.decompress(answer.body) if packed else answer.body
    headers = {name: [value] for name, value in answer.headers.items()}
    return Response(answer.status, headers, content, request, elapsed=0.1, verify=False)


load_all_checks()
CHECKED: list[Any] = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]
EXAMPLES = 10


def made_up(case: SearchStrategy[Case[Any]], client: Client, problems: list[str]) -> None:
    """Send some of the requests that a strategy makes; note what is wrong with the answers."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=case)
    def try_out(case: Case[Any]) -> None:
        try:
            case.validate_response(answered(client, case), checks=CHECKED)
        except FailureGroup as group:
            problems.extend(f"{case.method} {case.formatted_path}: {each}" for each in group.exceptions)

    # An operation without anything in it that could be wrong has no bad requests.
    with contextlib.suppress(Unsatisfiable):
        try_out()


def gently() -> list[tuple[str, str]]:
    """The operations in such an order that what the later ones need is still there."""
    order = {"GET": 0, "POST": 1, "PUT": 2, "DELETE": 3}
    found = [(method, path) for method, path, _ in operations()]
    return sorted(found, key=lambda each: (each[1] == "/maintenance", order[each[0]]))


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("exists", [True, False], ids=["things that exist", "whatever"])
def test_whatever_is_made_up_is_answered_as_described(
    busy: Client, mode: GenerationMode, exists: bool
) -> None:
    """Requests are made from the document: good and bad ones, about things that exist and that don't."""
    loaded = schemathesis.openapi.from_dict(closed(DOCUMENT))
    ids = known(busy)
    problems: list[str] = []
    for method, path in gently():
        variables = arguments(path, ids) if exists else None
        if exists and not variables:
            continue
        operation = loaded[path][method]
        made_up(operation.as_strategy(mode, path_parameters=variables), busy, problems)
    assert not problems, "\n\n".join(problems[:10])
