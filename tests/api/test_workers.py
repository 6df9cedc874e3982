"""The protocol of workers: polls, heartbeats, results."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.running import Running

RESIZE = {"name": "img.resize", "parameters": ["image", {"width": 100}]}
FLOW = """
version: '2.0'
wf:
  tasks:
    a: {action: img.resize image=<% 7 %>, publish: {got: <% task().result %>}}
  output: {got: <% $.got %>}
"""


def poll(client: Running, worker: str, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/v2/workers/poll", {"worker_id": worker, "actions": [RESIZE], **body})
    assert answer.status == 200, answer
    jobs = answer.json["jobs"]
    assert isinstance(jobs, list)
    return jobs


def held(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"action_id": job["action_id"], "attempt": job["attempt"]}]


def complete(client: Running, worker: str, job: dict[str, Any], **outcome: Any) -> bool:
    answer = client.post("/v2/workers/complete", {"worker_id": worker, **held(job)[0], **outcome})
    assert answer.status == 200, answer
    accepted = answer.json["accepted"]
    assert isinstance(accepted, bool)
    return accepted


def test_an_action_that_only_a_worker_brings_runs_there(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    execution = service.start("wf")
    (job,) = poll(service, "w", wait=10)
    assert (job["name"], job["input"], job["timeout"]) == ("img.resize", {"image": 7}, None)
    assert job["context"]["action_execution_id"] == job["action_id"]
    assert complete(service, "w", job, data={"size": 3})
    end = service.finish(execution["id"])
    assert (end["state"], end["output"]) == ("SUCCESS", '{"got":{"size":3}}')


def test_an_error_of_a_worker_is_the_error_of_the_action(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    execution = service.start("wf")
    (job,) = poll(service, "w", wait=10)
    assert complete(service, "w", job, error="no such image")
    end = service.finish(execution["id"])
    assert end["state"] == "ERROR"
    assert "no such image" in end["state_info"]


def test_a_result_counts_once(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    execution = service.start("wf")
    (job,) = poll(service, "w", wait=10)
    assert complete(service, "w", job, data=1)
    assert not complete(service, "w", job, data=2)
    assert service.finish(execution["id"])["output"] == '{"got":1}'


def test_nobody_reports_for_another(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    service.start("wf")
    (job,) = poll(service, "w", wait=10)
    assert not complete(service, "thief", job, data=2)


def test_input_that_a_worker_does_not_take_is_refused_by_the_task(service: Running) -> None:
    poll(service, "w")
    service.define("version: '2.0'\nwf: {tasks: {a: {action: img.resize height=1}}}")
    end = service.finish(service.start("wf")["id"])
    assert end["state"] == "ERROR"
    assert "Invalid input [name=img.resize, class=worker, missing=['image']" in end["state_info"]


def test_an_action_that_no_worker_brought_is_unknown(service: Running) -> None:
    service.define("version: '2.0'\nwf: {tasks: {a: {action: img.turn}}}")
    end = service.finish(service.start("wf")["id"])
    assert "Failed to find action [action_name=img.turn" in end["state_info"]


def test_a_worker_is_told_what_nobody_wants_any_more(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    service.start("wf")
    (job,) = poll(service, "w", wait=10)
    beat = {"worker_id": "w", "held": held(job)}
    assert service.post("/v2/workers/heartbeat", beat).json["cancelled"] == []
    service.put(f"/v2/action_executions/{job['action_id']}", {"state": "CANCELLED"})
    assert service.post("/v2/workers/heartbeat", beat).json["cancelled"] == held(job)


def test_what_got_lost_with_an_answer_is_given_again(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    service.start("wf")
    (job,) = poll(service, "w", wait=10)
    assert poll(service, "w", held=held(job)) == []
    assert poll(service, "w", held=[]) == [job]


def test_a_poll_that_comes_after_a_later_one_takes_nothing_away(service: Running) -> None:
    poll(service, "w", poll=1)
    service.define(FLOW)
    execution = service.start("wf")
    (job,) = poll(service, "w", poll=3, wait=10)
    for number in (2, 3):  # given up by the worker, on their way for long; or come twice
        assert poll(service, "w", poll=number, held=[]) == []
        assert poll(service, "other", poll=number) == []
    assert complete(service, "w", job, data=1)
    assert service.finish(execution["id"])["output"] == '{"got":1}'


def test_a_pool_of_workers_takes_what_is_addressed_to_it(service: Running) -> None:
    service.define("version: '2.0'\nwf: {tasks: {a: {action: std.http, input: {url: x}, target: lab}}}")
    service.start("wf")
    answer = service.post("/v2/workers/poll", {"worker_id": "w", "pools": ["lab"], "wait": 10})
    (job,) = answer.json["jobs"]
    assert job["name"] == "std.http"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"worker_id": "w"},
        {"worker_id": "w", "actions": [{"name": "a", "parameters": 1}]},
        {"worker_id": "w", "actions": [1]},
        {"worker_id": "w", "pools": ["a"], "held": ["x"]},
        {"worker_id": "w", "pools": ["a"], "wait": -1},
        {"worker_id": "w", "pools": ["a"], "other": 1},
    ],
)
def test_a_wrong_poll_is_refused_with_words(service: Running, body: dict[str, Any]) -> None:
    answer = service.post("/v2/workers/poll", body)
    assert answer.status == 400
    assert answer.fault


def test_a_worker_gets_the_jobs_of_its_own_project_and_brings_actions_for_it_alone(
    as_caller: Callable[[str], Client],
) -> None:
    ours, theirs = as_caller("a"), as_caller("b")
    brought = {"worker_id": "w", "actions": [RESIZE]}
    answer = ours.post("/v2/workers/poll", brought)
    assert answer.status == 200, answer
    order = {"name": "img.resize", "input": {"image": 1}, "params": {"save_result": True}}
    assert "Failed to find action" in theirs.post("/v2/action_executions", order).fault
    assert theirs.post("/v2/workers/poll", brought).json["jobs"] == []
    started = ours.post("/v2/action_executions", order).json
    assert theirs.post("/v2/workers/poll", brought).json["jobs"] == []
    (job,) = ours.post("/v2/workers/poll", {**brought, "wait": 10}).json["jobs"]
    assert job["action_id"] == started["id"]
    report = {"worker_id": "w", **held(job)[0], "data": 1}
    assert theirs.post("/v2/workers/complete", report).json == {"accepted": False}
    assert ours.post("/v2/workers/complete", report).json == {"accepted": True}
    assert ours.get(f"/v2/action_executions/{started['id']}").json["state"] == "SUCCESS"


def test_a_result_that_is_durable_shows_before_its_workflow_takes_it(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    execution = service.start("wf")
    (job,) = poll(service, "w", wait=10)
    service.run(service.node.runtime.inbox.stop())
    url = f"/v2/action_executions/{job['action_id']}"
    task = service.tasks(execution["id"])["a"]
    assert service.get(url).json["state"] == "RUNNING"
    assert complete(service, "w", job, data={"size": 3})
    assert not complete(service, "w", job, data={"size": 4})
    nested = f"/v2/tasks/{task['id']}/action_executions"
    for shown in (
        service.get(url).json,
        service.get(f"{nested}/{job['action_id']}").json,
        service.items("/v2/action_executions?include_output=true")[0],
        service.items(f"{nested}?include_output=true")[0],
    ):
        assert (shown["state"], shown["output"]) == ("SUCCESS", '{"result":{"size":3}}')
        assert shown["accepted"] is True
        assert shown["updated_at"] is not None
    assert service.get(f"{url}?fields=name,state").json == {
        "id": job["action_id"],
        "name": "img.resize",
        "state": "SUCCESS",
    }
    assert "output" not in service.items("/v2/action_executions")[0]
    # A page that was chosen by the state shows what it was chosen by.
    (running,) = service.items("/v2/action_executions?state=RUNNING")
    assert running["state"] == "RUNNING"
    assert service.execution(execution["id"])["state"] == "RUNNING"
    service.run(service.node.runtime.inbox.start())
    assert service.finish(execution["id"])["output"] == '{"got":{"size":3}}'
    assert service.get(url).json["state"] == "SUCCESS"


@pytest.mark.parametrize("error", ["no such image", "x" * 100_000])
def test_an_error_that_waits_shows_as_one(service: Running, error: str) -> None:
    poll(service, "w")
    service.define(FLOW)
    service.start("wf")
    (job,) = poll(service, "w", wait=10)
    service.run(service.node.runtime.inbox.stop())
    assert complete(service, "w", job, error=error)
    shown = service.get(f"/v2/action_executions/{job['action_id']}").json
    assert (shown["state"], json.loads(shown["output"])) == ("ERROR", {"result": error})


def test_what_workers_bring_is_listed_for_whom_it_is_there(
    service: Running, as_caller: Callable[[str], Client]
) -> None:
    poll(service, "w")
    as_caller("shop").post("/v2/workers/poll", {"worker_id": "v", "actions": ["shop.sell", "std.echo"]})
    shop, bank = as_caller("shop"), as_caller("bank")
    shown = shop.get("/v2/actions/img.resize").json
    assert (shown["name"], shown["input"], shown["is_system"]) == ("img.resize", "image, width=100", False)
    assert (shown["scope"], shown["project_id"]) == ("public", None)
    (own,) = shop.items("/v2/actions?name=shop.sell")
    assert (own["scope"], own["project_id"], own["input"]) == ("private", "shop", "**input")
    assert bank.items("/v2/actions?name=in:shop.sell,img.resize") == [shown]
    assert bank.get("/v2/actions/shop.sell").status == 404
    (echo,) = shop.items("/v2/actions?name=std.echo")
    assert echo["is_system"] is True, "what is installed comes first"
    names = [item["name"] for item in service.items("/v2/actions?limit=1000")]
    assert {"img.resize", "shop.sell"} <= set(names)


@pytest.mark.spec("API203")
def test_a_report_tells_when_whoever_runs_an_action_was_last_seen(service: Running) -> None:
    poll(service, "w")
    service.define(FLOW)
    execution = service.start("wf")
    url = f"/v2/executions/{execution['id']}/report"

    def heartbeat() -> str | None:
        (task,) = service.get(url).json["root_workflow_execution"]["task_executions"]
        (action,) = task["action_executions"]
        seen = action["last_heartbeat"]
        assert seen is None or isinstance(seen, str)
        return seen

    service.tasks(execution["id"])
    assert heartbeat() is None, "it waits for a worker"
    (job,) = poll(service, "w", wait=10)
    seen = heartbeat()
    assert seen is not None and len(seen) == len("2026-01-01 00:00:00")
    assert complete(service, "w", job, data=1)
    service.finish(execution["id"])
    assert heartbeat() is None
