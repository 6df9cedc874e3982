"""Errors: their codes are documented and stable; ids of requests; compressed answers."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import io
import logging
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.library import Library
from tests.api.running import Running

import tramontane
from tramontane.api.compression import admits_gzip
from tramontane.api.faults import HTTP_CODES, HttpError, status_of
from tramontane.api.request_ids import REQUEST_ID, RequestIds
from tramontane.errors import TramontaneError

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/errors.md"
LARGE = "version: '2.0'\nwf:\n  description: " + "x" * 5000 + "\n  tasks: {t: {action: std.noop}}\n"


def classes(base: type[TramontaneError] = TramontaneError) -> Iterator[type[TramontaneError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from classes(cls)


def reachable() -> dict[str, int]:
    """The codes that answers may carry, with their statuses."""
    for module in pkgutil.walk_packages(tramontane.__path__, "tramontane."):
        if not module.name.endswith(("__main__", "migrations.env")):
            importlib.import_module(module.name)
    codes = {code: status for status, code in HTTP_CODES.items()}
    for cls in classes():
        if cls is not HttpError and cls.__module__.startswith("tramontane."):
            error = cls.__new__(cls)
            # What has no status of its own stops the service before it can answer, but for these two.
            if status_of(error) != 500 or cls.code in ("internal", "time-limit"):
                codes[cls.code] = status_of(error)
    return codes


def test_every_code_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {code: int(status) for code, status in rows} == reachable()


def test_what_the_transport_refuses_has_codes_of_its_own(client: Client) -> None:
    for method, url, headers, code in (
        ("GET", "/nowhere", {}, "no-route"),
        ("PATCH", "/v2/workflows", {}, "method-not-allowed"),
        ("GET", "/v2/workflows", {"accept": "image/png"}, "not-acceptable"),
        ("POST", "/v2/workflows", {"content-type": "text/xml"}, "unsupported-media"),
    ):
        answer = client.call(method, url, headers=headers)
        assert answer.json["code"] == code
        assert HTTP_CODES[answer.status] == code


# -- ids of requests -------------------------------------------------------------------------------


def test_a_client_may_give_its_request_an_id(client: Client) -> None:
    answer = client.get("/v2/workflows", {"x-request-id": "trace:7.a_b-C"})
    assert answer.headers["x-request-id"] == "trace:7.a_b-C"
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("given", [None, "", "a b", "é", "x" * 129, "a\r\nb"])
def test_what_is_no_id_is_replaced_by_one(client: Client, given: str | None) -> None:
    answer = client.get("/v2/workflows", {} if given is None else {"x-request-id": given})
    assert answer.headers["x-request-id"] == answer.headers["x-openstack-request-id"]
    assert answer.headers["x-request-id"].startswith("req-")


def test_log_lines_carry_the_id_of_the_request_that_caused_them(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s:%(request)s %(message)s"))
    handler.addFilter(RequestIds())
    log = logging.getLogger("tramontane")
    log.addHandler(handler)
    try:
        monkeypatch.setattr(library.api.services.workflows, "delete", None)
        answer = library.client().call("DELETE", "/v2/workflows/x", headers={"x-request-id": "abc"})
        assert (answer.status, answer.json["code"]) == (500, "internal")
        log.error("nobody asked for this")
    finally:
        log.removeHandler(handler)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "tramontane.api.faults: [abc] request failed unexpectedly"
    assert lines[-1] == "tramontane: nobody asked for this"


def test_requests_side_by_side_keep_their_ids_apart(service: Running) -> None:
    seen: dict[str, str] = {}

    async def both() -> None:
        async def one(name: str) -> None:
            REQUEST_ID.set(name)
            await asyncio.sleep(0)
            seen[name] = REQUEST_ID.get()

        await asyncio.gather(one("a"), one("b"))

    service.run(both())
    assert seen == {"a": "a", "b": "b"}


# -- compression -----------------------------------------------------------------------------------


def test_large_answers_are_compressed_for_those_who_take_it(client: Client) -> None:
    client.post("/v2/workflows", LARGE)
    plain = client.get("/v2/workflows/wf")
    assert "content-encoding" not in plain.headers
    packed = client.get("/v2/workflows/wf", {"accept-encoding": "deflate, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(packed.headers["content-length"]) == len(packed.body) < 500
    assert gzip.decompress(packed.body) == plain.body


def test_very_large_answers_are_compressed_too(client: Client) -> None:
    client.post("/v2/workflows", LARGE.replace("x" * 5000, "y" * 300_000))
    packed = client.get("/v2/workflows/wf", {"accept-encoding": "gzip"})
    assert len(gzip.decompress(packed.body)) > 300_000
    assert int(packed.headers["content-length"]) == len(packed.body)


def test_small_answers_stay_as_they_are(client: Client) -> None:
    answer = client.get("/v2", {"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.json


@pytest.mark.parametrize(
    ("accepted", "admitted"),
    [
        ("", False),
        ("gzip", True),
        ("br, GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.0", False),
        ("gzip;q=x", True),
        ("gzip;level=9", True),
        ("br", False),
        ("identity", False),
        (";;,,", False),
    ],
)
def test_what_a_client_takes_is_read_from_its_header(accepted: str, admitted: bool) -> None:
    assert admits_gzip(accepted) is admitted


def test_events_are_never_compressed(service: Running) -> None:
    service.define("version: '2.0'\nwf: {tasks: {t: {action: std.noop}}}")
    execution: dict[str, Any] = service.start("wf", wait=20)
    answer = service.get(f"/v2/executions/{execution['id']}/events", {"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
