from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tramontane.cli.rest import RestClient, RestError, send_to_app


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the request itself, or as its path says."""
    request = Request(scope, receive)
    response: Response
    if request.url.path == "/v2/refused":
        response = JSONResponse({"faultstring": "not like this"}, 400)
    elif request.url.path == "/v2/broken":
        response = PlainTextResponse("boom", 500)
    elif request.method == "PUT":
        response = Response(status_code=204)
    else:
        content = {
            "method": request.method,
            "path": request.url.path,
            "query": dict(request.query_params),
            "type": request.headers.get("content-type"),
            "body": (await request.body()).decode(),
        }
        response = JSONResponse(content)
    await response(scope, receive, send)


CLIENT = RestClient(send_to_app(echo))


def call(method: str, *arguments: Any, **query: str) -> Any:
    return asyncio.run(getattr(CLIENT, method)(*arguments, **query))


def test_a_query_goes_into_the_url() -> None:
    answer = call("get", "executions/a b", fields="id,name")
    assert answer["path"] == "/v2/executions/a b"
    assert answer["query"] == {"fields": "id,name"}


def test_bodies_are_json() -> None:
    answer = call("post", "executions", {"name": "é"})
    assert answer["body"] == '{"name":"é"}'
    assert answer["type"] == "application/json; charset=utf-8"


def test_definitions_are_text() -> None:
    answer = call("upload", "workflows", "version: '2.0'")
    assert (answer["body"], answer["type"]) == ("version: '2.0'", "text/plain; charset=utf-8")


def test_an_empty_answer_is_none() -> None:
    assert call("put", "x", {}) is None


def test_errors_carry_the_text_for_users() -> None:
    with pytest.raises(RestError) as caught:
        call("get", "refused")
    assert (caught.value.status, caught.value.message) == (400, "not like this")


def test_errors_without_such_a_text_show_the_answer() -> None:
    with pytest.raises(RestError, match="status 500: boom"):
        call("get", "broken")
