"""Starts under a key: however often such a request arrives, one execution starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import Answer, Client, call
from tests.api.running import Running

WAITING = """version: '2.0'
waiting:
  input: [a, {b: 2}]
  tasks:
    ask: {action: std.async_noop}
quick:
  tasks:
    t: {action: std.noop}
"""


def start(client: Client, key: str, workflow: str = "waiting", url: str = "", **body: Any) -> Answer:
    if workflow == "waiting":
        body = {"input": {"a": 1}, **body}
    sent = {"workflow_name": workflow, **body}
    return client.post(f"/v2/executions{url}", sent, {"Idempotency-Key": key})


def test_the_same_key_answers_with_the_first_execution(service: Running) -> None:
    service.define(WAITING)
    first = start(service, "order 7")
    assert first.status == 201
    again = start(service, "order 7")
    assert again.status == 201
    assert again.json["id"] == first.json["id"]
    assert len(service.items("/v2/executions")) == 1


def test_other_keys_start_other_executions(service: Running) -> None:
    service.define(WAITING)
    ids = {start(service, key).json["id"] for key in ("a", "b", "A", '"a"')}
    assert len(ids) == 4


def test_starts_with_one_key_at_the_same_moment_are_one_start(service: Running) -> None:
    service.define(WAITING)

    async def all_at_once() -> list[Answer]:
        body = b'{"workflow_name": "waiting", "input": {"a": 1}}'
        headers = {"idempotency-key": "k"}
        work = [call(service.app, "POST", "/v2/executions", body, headers) for _ in range(8)]
        return await asyncio.gather(*work)

    answers = service.run(all_at_once())
    assert [answer.status for answer in answers] == [201] * 8
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(service.items("/v2/executions")) == 1


def test_projects_do_not_share_keys(as_caller: Callable[[str], Client]) -> None:
    ids = set()
    for project in ("one", "two"):
        client = as_caller(project)
        assert client.post("/v2/workflows", WAITING).status == 201
        answer = start(client, "k")
        assert answer.status == 201
        ids.add(answer.json["id"])
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"workflow": "quick"}, "another workflow"),
        ({"input": {"a": 2}}, "another input"),
        ({"input": {"a": 1, "b": 3}}, "another input"),
        ({"params": {"note": "x"}}, "other params"),
    ],
)
def test_a_key_that_comes_with_another_request_is_refused(
    service: Running, other: dict[str, Any], difference: str
) -> None:
    service.define(WAITING)
    first = start(service, "k").json["id"]
    refused = start(service, "k", **other)
    assert refused.status == 409
    assert refused.json["code"] == "idempotency-key-reused"
    assert difference in refused.fault
    assert first in refused.fault


def test_a_refused_start_leaves_its_key_unused(service: Running) -> None:
    service.define(WAITING)
    assert start(service, "k", input={}).status == 400
    assert start(service, "k").status == 201


def test_a_key_lives_as_long_as_its_execution(service: Running) -> None:
    service.define(WAITING)
    first = start(service, "k", "quick", "?wait=20").json
    assert first["state"] == "SUCCESS"
    assert start(service, "k", "quick").json["state"] == "SUCCESS"
    assert service.delete(f"/v2/executions/{first['id']}").status == 204
    assert service.get(f"/v2/executions/{first['id']}").status == 404
    anew = start(service, "k", url="?wait=0")
    assert anew.status == 201
    assert service.execution(anew.json["id"])["workflow_name"] == "waiting"


def test_a_repeated_start_may_wait_for_the_end_too(service: Running) -> None:
    service.define(WAITING)
    execution_id = start(service, "k").json["id"]

    async def ended_meanwhile() -> Answer:
        body = b'{"workflow_name": "waiting", "input": {"a": 1}}'
        waiting = asyncio.create_task(
            call(service.app, "POST", "/v2/executions?wait=20", body, {"idempotency-key": "k"})
        )
        await asyncio.sleep(0)
        url = f"/v2/executions/{execution_id}"
        await call(service.app, "PUT", url, b'{"state": "CANCELLED"}')
        return await waiting

    assert service.run(ended_meanwhile()).json["state"] == "CANCELLED"


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "é", "a\tb"])
def test_a_key_is_visible_text_of_bounded_length(service: Running, key: str) -> None:
    service.define(WAITING)
    refused = service.post(
        "/v2/executions",
        {"workflow_name": "quick"},
        {"Idempotency-Key": key.encode().decode("latin-1")},
    )
    assert refused.status == 400
    assert "Idempotency-Key" in refused.fault


def test_an_id_and_a_key_together_are_refused(service: Running) -> None:
    service.define(WAITING)
    assert start(service, "k", "quick", id="mine").status == 400
