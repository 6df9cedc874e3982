from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ipaddress
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientTimeout, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.actions.lab import Handler, Standard, context_of, serving
from tests.actions.test_egress import Names

from tramontane.actions.http import HttpAction
from tramontane.actions.http_client import HttpClient, HttpSettings
from tramontane.actions.registry import describe
from tramontane.actions.runner import ActionRunner
from tramontane.results import Result

KEYS = {"content", "status", "headers", "url", "history", "encoding", "reason", "cookies", "elapsed"}


def answering(**options: Any) -> Handler:
    """A handler that gives the same response to everything."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(**options)

    return handler


async def reflecting(request: web.Request) -> web.StreamResponse:
    """Answer with what was received."""
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": dict(request.headers.items()),
            "body": (await request.read()).decode(),
        }
    )


def fetched(
    handler: Handler, path: str = "/", settings: dict[str, Any] | None = None, **given: Any
) -> Result:
    """Run std.http against a server; a given text may name it as ``{base}``."""

    async def scenario() -> Result:
        async with serving(handler) as base, Standard(**(settings or {})) as standard:
            return await standard.result("std.http", url=base + path, **given)

    return asyncio.run(scenario())


def refused(url: str = "http://127.0.0.1:1/", **given: Any) -> str:
    """Run std.http where no server is; gives the error."""

    async def scenario() -> Result:
        async with Standard() as standard:
            return await standard.result("std.http", url=url, **given)

    error = asyncio.run(scenario()).error
    assert isinstance(error, str)
    return error


@pytest.mark.spec("ACT11")
def test_the_result_has_nine_keys() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        response = web.json_response({"a": [1, None]}, headers={"X-Own": "yes"})
        response.set_cookie("session", "s1")
        return response

    result = fetched(handler, "/p?q=1")
    assert result.state == "SUCCESS"
    assert set(result.data) == KEYS
    assert result.data["content"] == {"a": [1, None]}
    assert result.data["status"] == 200
    assert result.data["headers"]["X-Own"] == "yes"
    assert result.data["url"].endswith("/p?q=1")
    assert result.data["history"] == []
    assert result.data["encoding"] == "utf-8"
    assert result.data["reason"] == "OK"
    assert result.data["cookies"] == {"session": "s1"}
    assert isinstance(result.data["elapsed"], float)


@pytest.mark.spec("ACT12")
def test_a_404_is_an_error_that_holds_the_response() -> None:
    result = fetched(answering(status=404, text="not here"))
    assert result.state == "ERROR"
    assert set(result.error) == KEYS
    assert result.error["status"] == 404
    assert result.error["content"] == "not here"


@pytest.mark.spec("ACT13")
def test_a_redirect_is_not_followed_unless_asked_for() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/next"}, text="moved")

    result = fetched(handler, "/first")
    assert result.state == "SUCCESS"
    assert (result.data["status"], result.data["content"]) == (302, "moved")
    assert seen == ["/first"]


@pytest.mark.spec("ACT14")
@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "SUCCESS"), (204, "SUCCESS"), (304, "SUCCESS"), (307, "ERROR"), (500, "ERROR")],
)
def test_the_status_decides_on_success(status: int, state: str) -> None:
    assert fetched(answering(status=status)).state == state


@pytest.mark.spec("ACT15")
def test_body_and_json_together_are_refused_before_any_request() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response()

    result = fetched(handler, body="topsecret", json={"a": "topsecret"})
    assert result.error == (
        "Failed to instantiate an action [action_desc=std.http]: "
        "'body' and 'json' can't be given together; use one of them"
    )
    assert seen == []


@pytest.mark.spec("ACT16")
def test_a_map_as_body_is_sent_as_json_text_without_content_type() -> None:
    data = fetched(reflecting, method="POST", body={"a": 1, "b": [True]}).data["content"]
    assert data["body"] == '{"a": 1, "b": [true]}'
    assert "Content-Type" not in data["headers"]
    assert data["method"] == "POST"


@pytest.mark.parametrize(
    ("given", "body", "content_type"),
    [
        ({"body": "täxt"}, "täxt", None),
        ({"json": {"a": 1}}, '{"a": 1}', "application/json"),
        ({"json": []}, "[]", "application/json"),
        ({"json": 0}, "0", "application/json"),
        ({"json": {"a": 1}, "headers": {"content-type": "x/y"}}, '{"a": 1}', "x/y"),
        ({"body": "", "json": [1]}, "[1]", "application/json"),
        ({"body": "x", "headers": {"Content-Type": "text/xml"}}, "x", "text/xml"),
        ({}, "", None),
    ],
)
def test_what_is_sent_follows_from_body_and_json(
    given: dict[str, Any], body: str, content_type: str | None
) -> None:
    data = fetched(reflecting, method="put", **given).data["content"]
    headers = {name.lower(): value for name, value in data["headers"].items()}
    assert (data["method"], data["body"], headers.get("content-type")) == ("PUT", body, content_type)


@pytest.mark.parametrize(
    ("params", "path"),
    [
        (None, "/p?x=1"),
        ({"a": "b c", "n": 2, "none": None, "list": [1, 2]}, "/p?x=1&a=b+c&n=2&list=1&list=2"),
        ("raw=%20&y", "/p?x=1&raw=%20&y"),
        ({}, "/p?x=1"),
    ],
)
def test_params_are_added_to_the_query(params: Any, path: str) -> None:
    assert fetched(reflecting, "/p?x=1", params=params).data["content"]["path"] == path


@pytest.mark.spec("ACT17")
@pytest.mark.parametrize(
    ("auth", "sent"),
    [("u:p", "u:p"), ("u:p:w", "u:p:w"), (["u", "p"], "u:p"), ("u:", "u:"), ("u:ł", "u:ł")],
)
def test_credentials_are_sent_as_basic_authentication(auth: Any, sent: str) -> None:
    scheme, _, text = (
        fetched(reflecting, auth=auth).data["content"]["headers"]["Authorization"].partition(" ")
    )
    assert scheme == "Basic"
    assert base64.b64decode(text).decode() == sent


@pytest.mark.spec("ACT17", "L19")
def test_the_log_shows_the_user_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        response = web.json_response({"answer": "SECRET-answer"})
        response.set_cookie("session", "SECRET-set-cookie")
        return response

    with caplog.at_level(logging.DEBUG):
        fetched(
            handler,
            "/?api_key=SECRET-url",
            method="POST",
            auth="u:SECRET-auth",
            json={"name": "SECRET-json"},
            headers={"x-auth-token": "SECRET-header", "X-My-Secret": "SECRET-own", "X-Plain": "shown"},
            cookies={"c": "SECRET-cookie"},
            params={"password": "SECRET-param", "plain": "visible"},
        )
    assert "('u', '***')" in caplog.text
    assert "shown" in caplog.text
    assert "visible" in caplog.text
    assert "x-auth-token" not in caplog.text
    assert "SECRET" not in caplog.text


@pytest.mark.spec("L19")
def test_bodies_are_logged_when_the_operator_wants_it(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"hide_request_body": False, "hide_response_body": False}
    with caplog.at_level(logging.INFO):
        fetched(
            answering(text="the answer"), settings=settings, json={"name": "the question", "token": "SECRET"}
        )
    assert "the question" in caplog.text
    assert "the answer" in caplog.text
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("auth", ["no-colon", ["one"], 7])
def test_credentials_of_no_known_form_are_refused(auth: Any) -> None:
    assert "'auth' must be 'user:password'" in refused(auth=auth)


@pytest.mark.spec("ACT18")
def test_numbers_and_booleans_are_sent_as_header_text() -> None:
    headers = {"X-Int": 5, "X-Float": 1.5, "X-Bool": True, "X-Text": "t", "X-None": None}
    sent = fetched(reflecting, headers=headers).data["content"]["headers"]
    assert (sent["X-Int"], sent["X-Float"], sent["X-Bool"], sent["X-Text"]) == ("5", "1.5", "True", "t")
    assert "X-None" not in sent


@pytest.mark.parametrize("headers", [{"X-List": [1]}, {"X-Bad": "a\r\nX-Other: b"}, {"X Bad": "a\n"}])
def test_headers_that_cannot_be_sent_fail_the_request(headers: Any) -> None:
    assert refused(headers=headers).startswith("Failed to send HTTP request:")


def test_cookies_are_sent_and_not_kept() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.json_response({"cookie": request.headers.get("Cookie")})
        response.set_cookie("server", "s")
        return response

    async def scenario() -> list[Any]:
        async with serving(handler) as base, Standard() as standard:
            first = await standard.result("std.http", url=base, cookies={"a": "1", "b": 2})
            second = await standard.result("std.http", url=base)
            return [first.data["content"]["cookie"], second.data["content"]["cookie"]]

    assert asyncio.run(scenario()) == ["a=1; b=2", None]


@pytest.mark.spec("ACT19")
def test_other_schemes_are_refused() -> None:
    assert refused("file:///etc/passwd") == "URL scheme 'file' is not allowed; use http or https."


async def with_client(settings: HttpSettings, names: dict[str, list[str]], **given: Any) -> Result:
    """Run std.http with a name service of its own."""
    client = HttpClient(settings, new_resolver=lambda: Names(names))
    descriptor = describe("std.http", HttpAction, shared={"client": client}, takes_frozen=True)
    try:
        result = await ActionRunner().run_action(descriptor, given, context_of("ae-1"))
    finally:
        await client.close()
    assert result is not None
    return result


@pytest.mark.spec("ACT20")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "localhost",
        "sneaky",
    ],
)
def test_this_machine_is_refused_by_default(host: str) -> None:
    names = {"localhost": ["127.0.0.1"], "sneaky": ["10.0.0.1", "169.254.169.254"]}
    result = asyncio.run(with_client(HttpSettings(), names, url=f"http://{host}:1/"))
    assert result.state == "ERROR"
    assert "blocked address" in result.error
    assert "Failed to send" not in result.error


@pytest.mark.spec("ACT21")
def test_this_machine_is_allowed_without_denied_networks() -> None:
    async def scenario() -> Result:
        async with serving(answering(text="hello")) as base:
            url = base.replace("127.0.0.1", "here")
            return await with_client(HttpSettings(denied_cidrs=()), {"here": ["127.0.0.1"]}, url=url)

    assert asyncio.run(scenario()).data["content"] == "hello"


@pytest.mark.spec("ACT22")
def test_hosts_that_are_not_allowed_are_refused() -> None:
    settings = {"allowed_hosts": ("good.example",)}
    result = fetched(answering(), settings=settings)
    assert result.error == "Host '127.0.0.1' is not in the list of allowed hosts."
    assert fetched(answering(), settings={"allowed_hosts": ("127.0.0.1",)}).state == "SUCCESS"


@pytest.mark.spec("ACT23")
def test_a_host_that_does_not_resolve_is_a_transport_error() -> None:
    result = asyncio.run(with_client(HttpSettings(), {}, url="http://nowhere.invalid/"))
    assert result.error.startswith("Failed to send HTTP request:")
    assert "nowhere.invalid" in result.error


def test_a_refused_connection_is_a_transport_error() -> None:
    assert refused().startswith("Failed to send HTTP request: Cannot connect to host 127.0.0.1:1")


@pytest.mark.parametrize("url", ["http://host:port/", "http://1.2.3.4.5/"])
def test_a_url_that_cannot_be_read_is_a_transport_error(url: str) -> None:
    assert refused(url).startswith("Failed to send HTTP request:")


@pytest.mark.spec("ACT24")
@pytest.mark.parametrize(
    ("default", "given", "expected"),
    [(60, None, 60.0), (60, 5, 5.0), (60, "2.5", 2.5), (0, None, None), (0, 3, 3.0), (60, 0, None)],
)
def test_the_time_limit_is_the_given_one_or_the_default(
    default: float, given: Any, expected: float | None
) -> None:
    action = HttpAction(
        "http://host/", timeout=given, client=HttpClient(HttpSettings(default_timeout=default))
    )
    assert action.timeout == expected


@pytest.mark.spec("ACT24")
def test_the_default_limit_is_a_minute() -> None:
    assert HttpSettings().default_timeout == 60


@pytest.mark.parametrize("timeout", ["soon", -1, [1], float("nan")])
def test_a_time_limit_that_is_none_is_refused(timeout: Any) -> None:
    assert "'timeout' must be a number of seconds" in refused(timeout=timeout)


@pytest.mark.spec("ACT24")
@pytest.mark.parametrize("starts", [True, False])
def test_a_server_that_stops_answering_fails_the_request(starts: bool) -> None:
    async def scenario() -> Result:
        release = asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            if starts:
                await response.prepare(request)
                await response.write(b"part")
            await release.wait()
            return response

        async with serving(handler) as base, Standard() as standard:
            result = await standard.result("std.http", url=base, timeout=0.05)
            release.set()
            return result

    result = asyncio.run(scenario())
    assert result.error.startswith("Failed to send HTTP request: ")
    assert "imeout" in result.error


def test_the_limits_are_given_to_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ClientTimeout] = []

    async def request(*_: Any, **options: Any) -> Any:
        seen.append(options["timeout"])
        raise OSError("stop here")

    monkeypatch.setattr("aiohttp.ClientSession.request", request)
    refused(timeout=7)
    assert (seen[0].total, seen[0].connect, seen[0].sock_read) == (None, 7.0, 7.0)


@pytest.mark.spec("ACT25")
def test_a_response_that_declares_too_much_is_refused() -> None:
    result = fetched(answering(body=b"x" * 101), settings={"max_response_bytes": 100})
    assert result.error == "HTTP response is too large (Content-Length=101, limit=100 bytes)."
    assert fetched(answering(body=b"x" * 100), settings={"max_response_bytes": 100}).state == "SUCCESS"
    assert fetched(answering(body=b"x" * 101), settings={"max_response_bytes": 0}).state == "SUCCESS"


@pytest.mark.spec("ACT25")
def test_a_response_without_length_is_read_no_further_than_the_limit() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)

    result = fetched(endless, settings={"max_response_bytes": 5000})
    assert result.error == "HTTP response is too large (no end after the limit, limit=5000 bytes)."


@pytest.mark.spec("ACT25")
def test_a_compressed_response_counts_by_what_it_expands_to() -> None:
    async def bomb(_: web.Request) -> web.StreamResponse:
        response = web.Response(body=b"\0" * 1_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    result = fetched(bomb, settings={"max_response_bytes": 50_000})
    assert result.error == "HTTP response is too large (no end after the limit, limit=50000 bytes)."


def test_the_length_of_a_body_that_is_not_sent_is_no_matter() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 1000)

    result = fetched(handler, method="HEAD", settings={"max_response_bytes": 100})
    assert (result.state, result.data["content"]) == ("SUCCESS", "")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody but its owner trusts, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return certificate, context


@pytest.mark.spec("ACT26")
@pytest.mark.parametrize(
    ("verify", "passes"), [(None, False), (True, False), (False, True), ("bundle", True), ("missing", False)]
)
def test_a_certificate_is_verified_unless_told_otherwise(
    verify: Any, passes: bool, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    path, context = certificate
    chosen = {"bundle": str(path), "missing": str(path) + ".missing"}.get(verify, verify)

    async def scenario() -> Result:
        async with serving(answering(text="hello"), context) as base, Standard() as standard:
            return await standard.result("std.http", url=base, verify=chosen)

    result = asyncio.run(scenario())
    if passes:
        assert result.data["content"] == "hello"
    else:
        assert result.error.startswith("Failed to send HTTP request:")
        assert ("CA bundle" if verify == "missing" else "certificate verify failed") in result.error


def redirecting(status: int, to: Callable[[web.Request], str]) -> tuple[Handler, list[Any]]:
    """A server whose ``/start`` leads elsewhere; lists what else it is asked."""
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/start":
            response = web.Response(status=status, headers={"Location": to(request)})
            response.set_cookie("step", "1")
            return response
        seen.append((request.method, request.path, await request.text(), dict(request.headers)))
        return web.Response(text="arrived")

    return handler, seen


@pytest.mark.parametrize(
    ("status", "method", "followed_by", "body"),
    [
        (301, "POST", "GET", ""),
        (302, "PUT", "GET", ""),
        (303, "DELETE", "GET", ""),
        (301, "PUT", "PUT", "data"),
        (307, "POST", "POST", "data"),
        (308, "PUT", "PUT", "data"),
    ],
)
def test_redirects_are_followed_when_asked_for(status: int, method: str, followed_by: str, body: str) -> None:
    handler, seen = redirecting(status, lambda _: "/end")
    given: dict[str, Any] = {"method": method, "body": "data", "auth": "u:p", "cookies": {"c": "1"}}
    result = fetched(handler, "/start", allow_redirects=True, **given)
    assert result.data["content"] == "arrived"
    assert result.data["url"].endswith("/end")
    assert [item["status"] for item in result.data["history"]] == [status]
    assert [item[:3] for item in seen] == [(followed_by, "/end", body)]
    assert seen[0][3]["Cookie"] == "c=1; step=1"
    assert "Authorization" in seen[0][3]


def test_a_redirect_to_another_place_goes_without_credentials() -> None:
    async def scenario() -> tuple[Result, list[Any]]:
        end, seen = redirecting(200, str)
        async with serving(end) as other:
            start, _ = redirecting(307, lambda _: other + "/end")
            async with serving(start) as base, Standard() as standard:
                headers = {"X-Auth-Token": "t", "X-Plain": "p"}
                given = {"headers": headers, "auth": "u:p", "cookies": {"c": "1"}, "allow_redirects": True}
                return await standard.result("std.http", url=base + "/start", **given), seen

    result, seen = asyncio.run(scenario())
    assert result.state == "SUCCESS"
    sent = seen[0][3]
    assert sent["X-Plain"] == "p"
    assert {"Authorization", "X-Auth-Token"}.isdisjoint(sent)
    assert "c=1" not in sent.get("Cookie", "")


@pytest.mark.spec("ACT20", "ACT22")
@pytest.mark.parametrize(
    ("location", "settings"),
    [
        ("http://169.254.169.254/latest", {"denied_cidrs": ("169.254.0.0/16",)}),
        ("file:///etc/passwd", {}),
        ("http://other.example/", {"allowed_hosts": ("127.0.0.1",)}),
    ],
)
def test_the_target_of_a_redirect_is_checked_too(location: str, settings: dict[str, Any]) -> None:
    handler, seen = redirecting(302, lambda _: location)
    result = fetched(handler, "/start", settings=settings, allow_redirects=True)
    assert result.state == "ERROR"
    assert any(text in result.error for text in ("blocked address", "not allowed", "allowed hosts"))
    assert seen == []


def test_redirects_come_to_an_end() -> None:
    handler, _ = redirecting(302, lambda _: "/start")
    assert fetched(handler, "/start", allow_redirects=True).error == (
        "Failed to send HTTP request: exceeded 30 redirects."
    )


def through_proxy(settings: HttpSettings, url: str, scheme: str = "http") -> tuple[Result, list[str]]:
    seen: list[str] = []

    async def proxy(request: web.Request) -> web.StreamResponse:
        seen.append(str(request.raw_path))
        return web.Response(text="by proxy")

    async def scenario() -> Result:
        async with serving(proxy) as base:
            names = {"inside.example": ["169.254.1.1"]}
            return await with_client(settings, names, url=url, proxies={scheme: base.removeprefix("http://")})

    return asyncio.run(scenario()), seen


def test_a_proxy_gets_the_request() -> None:
    result, seen = through_proxy(HttpSettings(denied_cidrs=()), "http://target.example/p")
    assert result.data["content"] == "by proxy"
    assert seen == ["http://target.example/p"]


@pytest.mark.spec("ACT20", "ACT22")
@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (HttpSettings(), "http://target.example/"),
        (HttpSettings(denied_cidrs=("169.254.0.0/16",)), "http://169.254.1.1/"),
        (HttpSettings(denied_cidrs=("169.254.0.0/16",)), "http://inside.example/"),
        (HttpSettings(denied_cidrs=(), allowed_hosts=("target.example",)), "http://target.example/"),
        (HttpSettings(denied_cidrs=(), allowed_hosts=("127.0.0.1",)), "http://target.example/"),
    ],
)
def test_neither_proxy_nor_target_may_be_refused_by_the_policy(settings: HttpSettings, url: str) -> None:
    result, seen = through_proxy(settings, url)
    assert result.state == "ERROR"
    assert any(text in result.error for text in ("blocked address", "allowed hosts"))
    assert seen == []


@pytest.mark.parametrize(
    ("options", "content", "encoding"),
    [
        ({"body": b'{"a": 1}', "content_type": "text/plain"}, {"a": 1}, "ISO-8859-1"),
        ({"body": b"17"}, 17, None),
        ({"body": "ü".encode(), "content_type": "text/plain"}, "ü", "ISO-8859-1"),
        ({"body": b"\xfc", "content_type": "text/plain"}, "ü", "ISO-8859-1"),
        ({"body": b"\xfc", "content_type": "text/plain", "charset": "latin-1"}, "ü", "latin-1"),
        ({"body": "ü".encode("utf-16"), "content_type": "text/plain", "charset": "utf-16"}, "ü", "utf-16"),
        ({"body": b"\xef\xbb\xbf[1]", "content_type": "application/json"}, [1], "utf-8"),
        ({"body": b""}, "", None),
        ({"body": b"123456789012345678901234567890"}, 123456789012345678901234567890, None),
        ({"body": b'["' + b"x" * 300_000 + b'"]'}, ["x" * 300_000], None),
    ],
)
def test_the_body_is_read_as_json_or_text(
    options: dict[str, Any], content: Any, encoding: str | None
) -> None:
    data = fetched(answering(**options)).data
    assert (data["content"], data["encoding"]) == (content, encoding)


@pytest.mark.parametrize(
    "options",
    [{"body": b"\xff\xfe\xfd"}, {"body": b"\xff", "content_type": "text/plain", "charset": "utf-8"}],
)
def test_a_body_that_is_neither_json_nor_text_fails_the_action(options: dict[str, Any]) -> None:
    error = fetched(answering(**options)).error
    assert error.startswith("Failed to complete action due to a Mistral exception [action=std.http,")


def test_repeated_response_headers_are_joined() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        response = web.Response()
        response.headers.add("X-Many", "1")
        response.headers.add("x-many", "2")
        return response

    assert fetched(handler).data["headers"]["X-Many"] == "1, 2"


def test_hundreds_of_requests_wait_at_the_same_time_without_threads() -> None:
    count = 200

    async def scenario() -> list[Result]:
        barrier = asyncio.Barrier(count)

        async def handler(_: web.Request) -> web.StreamResponse:
            await barrier.wait()
            return web.Response(text="all here")

        async with serving(handler) as base, Standard() as standard:
            runs: list[Awaitable[Result]] = [standard.result("std.http", url=base) for _ in range(count)]
            return list(await asyncio.gather(*runs))

    assert [result.data["content"] for result in asyncio.run(scenario())] == ["all here"] * count


@pytest.mark.spec("L5")
def test_a_dry_run_sends_nothing() -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response()

    async def scenario() -> Result | None:
        async with serving(handler) as base, Standard() as standard:
            context = context_of("ae-1", dry_run=True)
            return await standard.runner.run_action(standard.named("std.http"), {"url": base}, context)

    assert asyncio.run(scenario()) == Result(None)
    assert seen == []


@pytest.mark.spec("ACT68")
def test_a_request_ends_at_the_time_limit_of_its_task() -> None:
    async def scenario() -> Result:
        release = asyncio.Event()

        async def handler(_: web.Request) -> web.StreamResponse:
            await release.wait()
            return web.Response()

        async with serving(handler) as base, Standard() as standard:
            result = await standard.result("std.http", 0.05, url=base)
            release.set()
            return result

    assert asyncio.run(scenario()) == Result(error="Timeout after 0.05 seconds")
