"""Workers as processes that talk to a service: the Python kit, and the example in JavaScript."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli import program
from tests.cli.test_serve import service

from tramontane.worker.functions import Function

QUICK = ("--heartbeat-seconds", "0.1", "--lease-seconds", "1.5", "--shutdown-grace-seconds", "1")
PATIENCE = 60.0


def call(url: str, path: str, body: Any = None, method: str | None = None) -> Any:
    """Call the service; a text is a definition."""
    data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    kind = "text/plain" if isinstance(body, str) else "application/json"
    request = urllib.request.Request(f"{url}{path}", data, {"content-type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


@contextmanager
def running(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end of the block if it still runs."""
    environment = program.environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(program.ROOT), environment["PYTHONPATH"]])
    with subprocess.Popen(
        [str(word) for word in words], cwd=program.ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def sample(url: str) -> Any:
    return running(sys.executable, "-m", "tests.worker.sample", url)


def run_task(url: str, task: str, **policies: Any) -> str:
    """Start a workflow of one task; give the execution's id."""
    more = "".join(f", {name}: {value}" for name, value in policies.items())
    (workflow,) = call(
        url, "/v2/workflows", f"version: '2.0'\nwf{time.monotonic_ns()}: {{tasks: {{a: {{{task}{more}}}}}}}"
    )["workflows"]
    execution_id = call(url, "/v2/executions", {"workflow_id": workflow["id"]})["id"]
    assert isinstance(execution_id, str)
    return execution_id


def end(url: str, execution_id: str) -> tuple[str, Any]:
    """Wait for the end of the workflow; give its state and its action's result."""
    state = call(url, f"/v2/executions/{execution_id}?wait=50")["state"]
    (task,) = call(url, f"/v2/executions/{execution_id}/tasks")["tasks"]
    actions = call(url, f"/v2/tasks/{task['id']}/action_executions")["action_executions"]
    output = call(url, f"/v2/action_executions/{actions[0]['id']}")["output"]
    return state, json.loads(output)["result"]


def until_brought(url: str, name: str, given: dict[str, Any]) -> Any:
    """Run an action as soon as some worker has told of it; give its stored execution."""
    deadline = time.monotonic() + PATIENCE
    while True:
        body = {"name": name, "input": given, "params": {"save_result": True}}
        try:
            return call(url, "/v2/action_executions", body)
        except urllib.error.HTTPError as error:
            assert error.code == 400
            assert time.monotonic() < deadline, error.read()
            error.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with service(tmp_path, "--log-level", "error", *QUICK) as (_, address):
        yield address


def test_a_function_with_typed_input_is_an_action(url: str) -> None:
    with sample(url):
        until_brought(url, "img.area", {"size": {"width": 1, "height": 1}})
        execution = run_task(url, "action: img.area, input: {size: {width: 2, height: 3}, scale: 2}")
        assert end(url, execution) == ("SUCCESS", 12)
        execution = run_task(url, "action: img.area, input: {size: {width: two, height: 3}}")
        state, result = end(url, execution)
        assert state == "ERROR"
        assert "Expected `int`, got `str` - at `$.width`" in result


def test_data_of_a_failure_is_the_error(url: str) -> None:
    with sample(url):
        until_brought(url, "img.refuse", {"code": 1})
        assert end(url, run_task(url, "action: img.refuse code=7")) == ("ERROR", {"code": 7})


@pytest.mark.spec("ACT70")
def test_the_work_of_a_killed_worker_is_given_to_another_if_that_is_safe(url: str) -> None:
    with sample(url) as first:
        assert first.stdout is not None
        until_brought(url, "img.hang", {})
        first.stdout.readline()
        execution = run_task(url, "action: img.hang", **{"safe-rerun": "true"})
        first.stdout.readline()
        first.kill()
        with sample(url) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "hanging\n"
            (task,) = call(url, f"/v2/executions/{execution}/tasks")["tasks"]
            assert task["state"] == "RUNNING"


@pytest.mark.spec("ACT70")
def test_the_work_of_a_killed_worker_fails_if_it_may_not_run_twice(url: str) -> None:
    with sample(url) as first:
        assert first.stdout is not None
        until_brought(url, "img.hang", {})
        first.stdout.readline()
        execution = run_task(url, "action: img.hang")
        first.stdout.readline()
        first.kill()
    state, result = end(url, execution)
    assert state == "ERROR"
    assert "cannot be re-run safely" in result


def test_an_action_that_nobody_wants_is_cancelled_in_the_worker(url: str) -> None:
    with sample(url) as process:
        assert process.stdout is not None
        action = until_brought(url, "img.hang", {})
        assert process.stdout.readline() == "hanging\n"
        call(url, f"/v2/action_executions/{action['id']}", {"state": "CANCELLED"}, method="PUT")
        assert process.stdout.readline() == "cancelled\n"


def test_a_worker_that_is_asked_to_stop_ends(url: str) -> None:
    with sample(url) as process:
        until_brought(url, "img.area", {"size": {"width": 1, "height": 1}})
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_the_example_in_javascript_is_a_worker(url: str) -> None:
    with running("node", program.ROOT / "examples/workers/worker.mjs", url):
        until_brought(url, "text.shout", {"text": "a"})
        execution = run_task(url, "action: text.shout, input: {text: hello, times: 2}")
        assert end(url, execution) == ("SUCCESS", {"said": "HELLO!HELLO!"})


def test_a_function_whose_parameters_have_no_names_is_refused() -> None:
    def call_me(*everything: int) -> None: ...

    with pytest.raises(TypeError, match="'everything' of action 'x'"):
        Function.of("x", call_me)
