"""Statements of the runtime checklist that need requests of their own (the others: ``tests/core``)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.lab import Client
from tests.conformance.project import Project

from tramontane.compose import open_node
from tramontane.config import load_settings
from tramontane.errors import NotAllowedError

WAITING = "wf: {input: [i: 0], tasks: {a: {action: ajob, on-success: b}, b: {}}}"


@pytest.mark.spec("R260")
def test_an_id_that_exists_gives_the_first_execution(project: Project) -> None:
    project.define(WAITING)
    chosen = "my-own-id"
    first = project.request(
        "POST", "/v2/executions", {"workflow_name": "wf", "id": chosen, "input": {"i": 1}}
    )
    again = project.request(
        "POST", "/v2/executions", {"workflow_name": "wf", "id": chosen, "input": {"i": 2}}
    )
    assert (first["id"], again["id"], json.loads(again["input"])) == (chosen, chosen, {"i": 1})
    assert [run.id for run in project.runs()] == [chosen]
    project.delete(chosen, force=True)


@pytest.mark.spec("R296")
def test_the_environment_changes_in_a_pause_only(project: Project) -> None:
    run = project.begin(WAITING, env={"x": {"k": 1}})
    with pytest.raises(NotAllowedError, match="Updating env to workflow execution is only permitted"):
        run.change_env({"x": {"m": 2}})
    assert run.execution.params["env"] == {"x": {"k": 1}}
    run.pause()
    run.change_env({"x": {"m": 2}})
    assert (run.state, run.execution.params["env"]) == ("PAUSED", {"x": {"k": 1, "m": 2}})


@pytest.mark.spec("R306")
def test_of_two_reports_at_once_one_is_accepted(project: Project) -> None:
    run = project.begin(WAITING)
    url = f"/v2/action_executions/{run.action('a').id}"

    async def both() -> list[Any]:
        reports = (
            project.service.call(project.project, "PUT", url, {"state": "SUCCESS", "output": str(number)})
            for number in (1, 2)
        )
        return await asyncio.gather(*reports)

    answers = project.service.run(both())
    assert sorted(answer.status for answer in answers) == [200, 400]
    (refused,) = [answer for answer in answers if answer.status == 400]
    assert refused.fault == f"Action {run.action('a').id} is already completed"
    project.settle()
    (accepted,) = [number for number, answer in enumerate(answers, 1) if answer.status == 200]
    assert (run.result("a"), run.names(), run.state) == (accepted, ["a", "b"], "SUCCESS")


BY_MESSAGE = """
version: '2.0'
wf: {tasks: {a: {workflow: sub, on-error: b}, b: {action: std.noop}}}
sub: {input: [p], tasks: {t: {action: std.noop}}}
"""


@pytest.mark.spec("R329")
def test_missing_input_fails_the_task_however_sub_workflows_are_started(
    database_url: str, tmp_path: Path
) -> None:
    conf = tmp_path / "mistral.conf"
    conf.write_text(
        f"[database]\nconnection = {database_url}\n[engine]\nstart_subworkflows_via_rpc = true\n"
        "[legacy_action_provider]\nload_action_plugins = false\n"
    )
    with asyncio.Runner() as runner:
        context = open_node(load_settings(conf, {}))
        node = runner.run(context.__aenter__())
        try:
            client = Client(runner, node.app())
            assert client.post("/v2/workflows", BY_MESSAGE).status == 201
            started = client.post("/v2/executions?wait=20", {"workflow_name": "wf"}).json
            tasks = {item["name"]: item for item in client.items(f"/v2/executions/{started['id']}/tasks")}
            assert started["state"] == "SUCCESS"
            assert {name: item["state"] for name, item in tasks.items()} == {"a": "ERROR", "b": "SUCCESS"}
            assert tasks["a"]["state_info"] == (
                "Invalid input [name=sub, class=DirectWorkflowSpec, missing=['p']]"
            )
            assert len(client.items("/v2/executions")) == 1
        finally:
            runner.run(context.__aexit__(None, None, None))
