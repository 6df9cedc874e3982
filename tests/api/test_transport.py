"""Routes, methods, media types, sizes, faults: what holds for every request."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.api.lab import ANY_UUID, Client, call
from tests.api.library import Library

from tramontane.actions.base import ActionContext
from tramontane.api.routes import ROUTES
from tramontane.api.settings import ApiSettings
from tramontane.api.target_cloud import with_target
from tramontane.auth import Caller
from tramontane.store.errors import DatabaseUnavailableError

WORKFLOW = "version: '2.0'\nwf:\n  tasks:\n    t: {action: std.noop}\n"


@pytest.mark.spec("API1")
def test_the_root_names_the_version_and_where_it_is(client: Client) -> None:
    answer = client.get("/")
    assert answer.status == 200
    assert answer.json == {
        "versions": [
            {
                "id": "v2.0",
                "status": "CURRENT",
                "links": [{"href": "http://localhost:8989/v2", "target": "v2", "rel": "self"}],
            }
        ]
    }


@pytest.mark.spec("API2")
def test_the_version_links_to_itself_with_and_without_a_slash(client: Client) -> None:
    for path in ("/v2", "/v2/"):
        assert client.get(path).json == {"uri": "http://localhost:8989/v2"}


@pytest.mark.spec("API3", "API4")
def test_forwarded_headers_count_only_where_proxies_are_trusted(library: Library) -> None:
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "openstack",
        "X-Forwarded-Prefix": "/workflowv2",
    }
    trusting = library.client(ApiSettings(trust_proxy_headers=True))
    assert trusting.get("/v2", headers).json["uri"] == "https://openstack/workflowv2/v2"
    root = trusting.get("/", headers).json
    assert root["versions"][0]["links"][0]["href"] == "https://openstack/workflowv2/v2"
    assert library.client().get("/v2", headers).json["uri"] == "http://localhost:8989/v2"


def test_below_a_mount_prefix_routes_and_links_are_right(client: Client) -> None:
    answer = client.call("GET", "/workflowv2/v2/workflows", root_path="/workflowv2")
    assert answer.json == {"workflows": []}
    links = client.call("GET", "/workflowv2/v2", root_path="/workflowv2")
    assert links.json["uri"] == "http://localhost:8989/workflowv2/v2"


@pytest.mark.spec("API5")
@pytest.mark.parametrize("path", ["/v1", "/v2/nope", "/v2/services", "/v2/environments.json", "/v2//x"])
def test_unknown_paths_are_not_found(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404
    assert answer.fault


@pytest.mark.spec("API6")
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_unsupported_methods_name_the_supported_ones(client: Client, method: str) -> None:
    answer = client.call(method, "/v2/environments")
    assert answer.status == 405
    assert answer.headers["allow"] == "DELETE, GET, POST, PUT"


@pytest.mark.spec("API7")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v2/cron_triggers/x"),
        ("POST", "/v2/tasks"),
        ("DELETE", "/v2/tasks/x"),
        ("GET", "/v2/workflows/validate"),
        ("PUT", "/v2/workbooks/validate"),
        ("GET", f"/v2/executions/{ANY_UUID}/tasks/{ANY_UUID}"),
    ],
)
def test_methods_that_a_path_does_not_take_are_refused(client: Client, method: str, path: str) -> None:
    assert client.call(method, path).status == 405


DELETABLE = sorted(
    {
        path.rsplit("/", 1)[0]
        for path, methods in ROUTES.items()
        if "DELETE" in methods and path.count("/") == 3
    }
)


@pytest.mark.spec("API8")
@pytest.mark.parametrize("path", DELETABLE)
def test_deleting_a_whole_collection_lacks_an_identifier(client: Client, path: str) -> None:
    answer = client.delete(path)
    assert answer.status == 400
    assert answer.fault


@pytest.mark.parametrize("path", ["/v2/executions", "/v2/tasks", "/v2/action_executions"])
def test_putting_a_whole_collection_lacks_an_identifier(client: Client, path: str) -> None:
    assert client.put(path, {}).status == 400


@pytest.mark.spec("API9")
def test_a_slash_at_the_end_changes_nothing(client: Client) -> None:
    assert client.get("/v2/tasks/").json == client.get("/v2/tasks").json
    assert client.get("/v2/actions/std.echo/").json == client.get("/v2/actions/std.echo").json


@pytest.mark.spec("API10")
@pytest.mark.parametrize(
    "media", ["text/xml", "application/xml", "application/foo+xml", "text/xml; charset=utf-8"]
)
def test_xml_bodies_are_refused_with_the_reason_in_a_header(client: Client, media: str) -> None:
    answer = client.post("/v2/environments", b"<a/>", {"content-type": media})
    assert answer.status == 415
    assert "JSON" in answer.headers["server-error-message"]
    assert client.post("/v2/workflows", WORKFLOW, {"content-type": media}).status == 415


@pytest.mark.spec("API11")
def test_json_endpoints_take_json_whatever_its_parameters(client: Client) -> None:
    body = b'{"name": "e"}'
    assert client.post("/v2/environments", body, {"content-type": "text/plain"}).status == 415
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/v2/environments", body, form).status == 400
    typed = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/v2/environments", body, typed).status == 201
    assert client.post("/v2/environments", b'{"name": "f"}').status == 201


@pytest.mark.spec("API12")
@pytest.mark.parametrize("body", [b"{bad", b"[1]", b'"x"', b"", b"  ", b"\xff\xfe"])
def test_bodies_must_be_json_objects(client: Client, body: bytes) -> None:
    answer = client.post("/v2/environments", body, {"content-type": "application/json"})
    assert answer.status == 400
    assert answer.fault


@pytest.mark.spec("API13")
@pytest.mark.parametrize("media", [None, "text/plain", "application/json", "nonsense"])
def test_definitions_are_taken_whatever_their_media_type(client: Client, media: str | None) -> None:
    headers = {} if media is None else {"content-type": media}
    assert client.post("/v2/workflows", WORKFLOW, headers).status == 201


@pytest.mark.spec("API14", "D10")
def test_definitions_are_utf8_and_kept_as_they_are(client: Client) -> None:
    assert client.post("/v2/workflows", b"\xff\xfe").status == 400
    text = WORKFLOW.replace("wf:", "wf:\n  description: é漢 ☃")
    assert client.post("/v2/workflows", text).status == 201
    assert client.get("/v2/workflows/wf").json["definition"] == text


@pytest.mark.spec("API15")
def test_multipart_uploads_are_no_definitions(client: Client) -> None:
    body = (
        '--x\r\nContent-Disposition: form-data; name="f"; filename="w.yaml"\r\n\r\n'
        + WORKFLOW
        + "\r\n--x--\r\n"
    )
    answer = client.post("/v2/workflows", body, {"content-type": "multipart/form-data; boundary=x"})
    assert answer.status == 400


@pytest.mark.spec("API16", "API17")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("image/png", 406),
        ("text/plain", 406),
        ("application/xml", 406),
        ("text/xml", 406),
        ("application/json;q=0", 406),
        ("*/*", 200),
        ("application/json", 200),
        ("application/json;q=0.5, text/xml", 200),
        ("text/html, */*;q=0.1", 200),
    ],
)
def test_answers_are_json_or_none_at_all(client: Client, accept: str, status: int) -> None:
    client.post("/v2/workflows", WORKFLOW)
    for path in ("/v2/workflows/wf", "/v2/environments"):
        answer = client.get(path, {"accept": accept})
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"


def test_nothing_is_created_for_a_client_that_takes_no_json(client: Client) -> None:
    assert client.post("/v2/workflows", WORKFLOW, {"accept": "application/xml"}).status == 406
    assert client.names("/v2/workflows") == []
    assert client.post("/v2/workflows", WORKFLOW, {"accept": "text/plain"}).status == 201


@pytest.mark.spec("API18", "API19")
def test_faults_have_one_shape(client: Client) -> None:
    for answer in (
        client.get("/v2/workflows/none"),
        client.post("/v2/workflows", "a: ["),
        client.put("/v2/actions", "a: ["),
        client.get("/v2/nope"),
    ):
        assert answer.headers["content-type"] == "application/json"
        body = answer.json
        assert body["faultcode"] == "Client"
        assert body["debuginfo"] is None
        assert answer.fault
        assert body["code"]


def test_what_is_wrong_with_a_document_is_listed_one_by_one(client: Client) -> None:
    answer = client.post("/v2/workflows", "version: '2.0'\nwf:\n  tasks:\n    a: {foo: 1, bar: 2}\n")
    problems = answer.json["problems"]
    assert {item["path"] for item in problems} == {"wf.tasks.a.foo", "wf.tasks.a.bar"}
    assert all(item["line"] == 4 and item["column"] > 0 for item in problems)


@pytest.mark.spec("API18")
def test_what_nobody_foresaw_is_a_fault_of_the_server_without_a_trace(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    client = library.client(reader=None)
    answer = client.get("/v2/workflows")
    assert answer.status == 500
    assert answer.json["faultcode"] == "Server"
    assert "Traceback" not in answer.body.decode()
    assert "AttributeError" in caplog.text


@pytest.mark.spec("API20")
@pytest.mark.parametrize("name", ["workbooks", "workflows", "actions", "executions", "tasks", "environments"])
def test_unknown_parameters_are_named(client: Client, name: str) -> None:
    for parameter in ("nonsense", "is_system<False"):
        answer = client.get(f"/v2/{name}?{parameter}=1")
        assert answer.status == 400
        assert parameter in answer.fault


@pytest.mark.spec("API21", "API22")
def test_unknown_keys_of_bodies_are_named(client: Client) -> None:
    for path, key in (
        ("/v2/environments", "nonsense"),
        ("/v2/environments", "project_id"),
        ("/v2/executions", "nonsense"),
        ("/v2/executions", "project_id"),
        ("/v2/action_executions", "nonsense"),
    ):
        answer = client.post(path, {"name": "x", key: "y"} if "exec" not in path else {key: "y"})
        assert answer.status == 400
        assert key in answer.fault


@pytest.mark.spec("API24")
def test_the_answer_to_an_upload_names_its_charset(client: Client) -> None:
    posted = client.post("/v2/workflows", WORKFLOW)
    assert posted.headers["content-type"] == "application/json;charset=utf-8"
    assert client.get("/v2/workflows").headers["content-type"] == "application/json"


@pytest.mark.spec("API26")
def test_the_health_check_is_off_until_it_is_switched_on(library: Library) -> None:
    assert library.client().get("/healthcheck").status == 404
    answer = library.client(ApiSettings(healthcheck=True)).get("/healthcheck")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.spec("API27")
def test_info_shows_the_operators_file(library: Library, tmp_path: Path) -> None:
    assert library.client().get("/info").status == 400
    file = tmp_path / "info.json"
    client = library.client(ApiSettings(info_file=file))
    assert client.get("/info").fault
    file.write_text('{"build": 5}')
    assert client.get("/info").json == {"build": 5}


def test_liveness_and_readiness(library: Library) -> None:
    async def not_ready() -> tuple[str, ...]:
        return ("the database is away",)

    assert library.client().get("/healthz").status == 200
    assert library.client().get("/readyz").status == 200
    answer = library.client(readiness=not_ready).get("/readyz")
    assert answer.status == 503
    assert "the database is away" in answer.fault
    assert answer.headers["retry-after"]


def test_a_body_beyond_the_limit_is_refused_declared_or_not(library: Library) -> None:
    client = library.client(ApiSettings(max_body_bytes=100))
    assert client.post("/v2/workflows", "x" * 101, {"content-length": "101"}).status == 413
    streamed = client.call("POST", "/v2/workflows", "x" * 1000, chunks=20)
    assert streamed.status == 413
    assert streamed.fault


def test_a_body_may_arrive_in_pieces(client: Client) -> None:
    assert client.call("POST", "/v2/workflows", WORKFLOW, chunks=7).status == 201


def test_options_answer_with_nothing(client: Client) -> None:
    answer = client.call("OPTIONS", "/v2/workflows")
    assert (answer.status, answer.body) == (200, b"")


def test_other_origins_are_let_in_only_when_configured(library: Library) -> None:
    asked = {"origin": "http://ui.example"}
    assert "access-control-allow-origin" not in library.client().get("/v2", asked).headers
    client = library.client(ApiSettings(cors_origins=("http://ui.example",)))
    answer = client.get("/v2", asked)
    assert answer.headers["access-control-allow-origin"] == "http://ui.example"
    assert "X-Project-Id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in client.get("/v2", {"origin": "http://evil.example"}).headers


def test_every_answer_carries_the_id_of_its_request(client: Client) -> None:
    ids = {client.get(path).headers["x-openstack-request-id"] for path in ("/v2", "/v2/nope")}
    assert len(ids) == 2
    assert all(item.startswith("req-") for item in ids)


def test_paths_are_utf8_and_may_hold_encoded_slashes(client: Client) -> None:
    assert client.post("/v2/environments", {"name": "é漢"}).status == 201
    assert client.get("/v2/environments/é漢").json["name"] == "é漢"
    client.post("/v2/workflows", WORKFLOW.replace("wf:", "'a/b':"))
    assert client.get("/v2/workflows/a%2Fb").json["name"] == "a/b"


def test_urls_may_end_in_a_bare_question_mark_or_ampersand(client: Client) -> None:
    client.post("/v2/workflows", WORKFLOW)
    for url in ("/v2/workflows?", "/v2/workflows?scope=private&", "/v2/workflows?&scope=private"):
        assert len(client.items(url)) == 1


@pytest.mark.spec("API66", "API67")
def test_where_tokens_are_needed_some_paths_need_none(as_project: Callable[[str], Client]) -> None:
    app = as_project("a").app

    def bare(path: str) -> tuple[int, dict[str, str]]:
        answer = as_project("a").run(call(app, "GET", path))
        return answer.status, dict(answer.headers)

    for path in ("/", "/v2", "/v2/"):
        assert bare(path)[0] == 200
    assert bare("/info")[0] == 400
    for path in ("/v2/workflows", "/v2/nope", "/maintenance"):
        status, headers = bare(path)
        assert status == 401
        assert headers["www-authenticate"]
        assert headers["server-error-message"]


@pytest.mark.spec("API75")
def test_without_authentication_identity_headers_change_nothing(client: Client) -> None:
    for roles in (None, "member", "admin"):
        headers = {"X-Project-Id": "evil"} if roles is None else {"X-Roles": roles}
        source = client.post(f"/v2/code_sources?name=s{roles}", "x = 1", headers)
        assert (source.status, source.json["project_id"]) == (201, "<default-project>")
        assert client.get("/v2/code_sources?all_projects=true", headers).status == 200
        posted = client.post("/v2/environments", {"name": f"e{roles}", "scope": "public"}, headers)
        assert posted.status == 201
        assert posted.json["project_id"] == "<default-project>"
        assert client.get("/v2/workflows?all_projects=true", headers).status == 200


def test_the_lifespan_of_the_server_is_followed(client: Client) -> None:
    async def live() -> list[str]:
        incoming = ["lifespan.startup", "lifespan.shutdown"]
        outgoing: list[str] = []

        async def receive() -> dict[str, str]:
            return {"type": incoming.pop(0)}

        async def send(message: dict[str, str]) -> None:
            outgoing.append(message["type"])

        await client.app({"type": "lifespan"}, receive, send)  # type: ignore[arg-type]
        return outgoing

    assert client.run(live()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_requests_can_be_answered_side_by_side(client: Client) -> None:
    async def many() -> list[int]:
        answers = await asyncio.gather(*(call(client.app, "GET", "/v2/workflows") for _ in range(20)))
        return [answer.status for answer in answers]

    assert client.run(many()) == [200] * 20


def test_the_character_nul_is_nowhere_taken(client: Client) -> None:
    for path in ("workflows", "environments", "actions", "executions", "tasks"):
        assert client.get(f"/v2/{path}/a%00b").status == 404
    assert client.get("/v2/workflows?name=a%00b").status == 400
    assert client.post("/v2/environments", {"name": "a\0b"}).status == 400
    assert client.post("/v2/environments", {"name": "e", "description": "a\0b"}).status == 400
    assert client.post("/v2/environments", {"name": "e", "variables": {"x": "a\0b"}}).status == 201
    assert client.post("/v2/environments", b'{"name": "\\ud800"}').status == 400


def test_while_the_database_is_away_clients_are_told_to_come_back(library: Library) -> None:
    class Away:
        async def fetch(self, *_: object) -> None:
            raise DatabaseUnavailableError("the database can't be reached")

        lookup = fetch

    client = library.client(reader=Away())
    for path in ("workflows", "workflows/wf", f"executions/{ANY_UUID}"):
        answer = client.get(f"/v2/{path}")
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert answer.json["faultcode"] == "Server"
        assert "the database can't be reached" in answer.fault


TARGET = {
    "X-Target-Auth-Uri": "https://other.example/v3",
    "X-Target-Auth-Token": "token of the other cloud",
    "X-Target-Project-Id": "p2",
    "X-Target-User-Id": "u2",
    "X-Target-User-Name": "somebody",
    "X-Target-Region-Name": "r2",
    "X-Target-Insecure": "True",
    "X-Target-Service-Catalog": base64.b64encode(b'[{"type": "compute"}]').decode(),
    "X-Target-User-Domain-Name": "ignored",
}


@pytest.mark.spec("API81")
def test_another_cloud_is_named_completely_or_not_at_all(client: Client) -> None:
    assert client.get("/v2/workflows", TARGET).status == 200
    least = {name: TARGET[name] for name in ("X-Target-Auth-Uri", "X-Target-Auth-Token")}
    assert client.get("/v2/workflows", least).status == 200
    for wrong in (
        {"X-Target-Auth-Token": ""},
        {"X-Target-Insecure": "zz"},
        {"X-Target-Insecure": "true"},
        {"X-Target-Service-Catalog": "no base64!"},
        {"X-Target-Service-Catalog": base64.b64encode(b"no JSON").decode()},
    ):
        answer = client.get("/v2/workflows", {**TARGET, **wrong})
        assert answer.status == 400, wrong
        assert next(iter(wrong)) in answer.fault
    without_token = {name: value for name, value in TARGET.items() if name != "X-Target-Auth-Token"}
    assert client.get("/v2/workflows", without_token).status == 400
    assert client.get("/v2/workflows", {"X-Target-Insecure": "zz"}).status == 200, "no other cloud is meant"


def test_what_runs_gets_the_other_clouds_credentials() -> None:
    caller = with_target(Caller("p"), {name.lower(): value for name, value in TARGET.items()})
    assert caller.project_id == "p", "objects belong to the caller's own project"
    context = ActionContext.from_map({"security": caller.security}).security
    assert (context.is_target, context.auth_uri) == (True, "https://other.example/v3")
    assert (context.auth_token, context.project_id) == ("token of the other cloud", "p2")
    assert (context.user_name, context.region_name) == ("somebody", "r2")
    assert (context.insecure, context.auth_cacert) == (True, None)
    assert context.service_catalog == [{"type": "compute"}]
    assert with_target(Caller("p"), {}).security is None
