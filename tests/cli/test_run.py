"""``tramontane run``: what it prints where, and what its exit status says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.cli import program
from tests.cli.program import assert_one_clear_line

from tramontane.cli import main
from tramontane.cli.rest import RestClient
from tramontane.cli.run import cancelled_by_signals

pytestmark = pytest.mark.usefixtures("folder")

ECHO = """version: '2.0'
greet:
  input: [who, {times: 1}]
  output: {said: <% $.said %>}
  tasks:
    say:
      action: std.echo output="hi <% $.who %>"
      publish: {said: <% task().result %>}
"""
FAILING = """version: '2.0'
broken:
  tasks:
    try_it: {action: std.fail}
"""
WAITING = """version: '2.0'
patient:
  tasks:
    wait_for_it: {action: std.async_noop}
"""
PAUSING = """version: '2.0'
pausing:
  tasks:
    first: {action: std.noop, on-success: pause}
"""
REVERSE = """version: '2.0'
back:
  type: reverse
  tasks:
    a: {action: std.noop}
    b: {requires: [a]}
    c: {action: std.noop}
"""
CALLING = """version: '2.0'
outer:
  tasks:
    call: {workflow: greet who='you'}
"""


def run(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)], input=stdin)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file per definition, which is the current one."""
    texts = {"echo": ECHO, "failing": FAILING, "pausing": PAUSING, "calling": CALLING, "waiting": WAITING}
    texts["several"] = ECHO + FAILING.partition("\n")[2]
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_output_goes_to_stdout_and_the_progress_to_stderr() -> None:
    end = run("echo.yaml", "-i", "who=you")
    assert end.exit_code == 0
    assert json.loads(end.stdout) == {"said": "hi you"}
    assert [line.split(maxsplit=1)[1] for line in end.stderr.splitlines()] == [
        "SUCCESS   say (std.echo)",
        "SUCCESS   greet",
    ]


def test_a_failure_gives_status_1_and_its_reason() -> None:
    end = run("failing.yaml")
    assert end.exit_code == 1
    assert "ERROR     try_it (std.fail): " in end.stderr
    assert "Traceback" not in end.stderr


def test_a_paused_execution_gives_status_3() -> None:
    end = run("pausing.yaml")
    assert end.exit_code == 3
    assert "nobody can resume it here" in end.stderr


def test_json_is_all_that_is_printed() -> None:
    end = run("--json", "failing.yaml")
    assert end.exit_code == 1
    assert end.stderr == ""
    shown = json.loads(end.stdout)
    assert (shown["workflow_name"], shown["state"], shown["input"]) == ("broken", "ERROR", {})
    assert [task["name"] for task in shown["tasks"]] == ["try_it"]


def test_a_file_with_several_workflows_says_which() -> None:
    end = run("several.yaml")
    assert end.exit_code == 2
    assert "several.yaml holds greet, broken" in end.stderr


def test_one_of_several_can_be_named() -> None:
    assert run("several.yaml", "--workflow", "greet", "-i", "who=you").exit_code == 0


def test_an_unknown_workflow_is_refused_with_those_that_exist() -> None:
    end = run("several.yaml", "--workflow", "great")
    assert end.exit_code == 2
    assert "no workflow 'great'; it holds greet, broken" in end.stderr


def test_missing_input_is_one_line() -> None:
    end = run("echo.yaml")
    assert end.exit_code == 1
    assert_one_clear_line(end.stderr)
    assert "who" in end.stderr


def test_a_definition_with_errors_is_shown_like_by_validate_and_not_run() -> None:
    end = run("-", stdin=ECHO.replace("action:", "actoin:"))
    assert end.exit_code == 1
    assert "<stdin>:7:7: error: " in end.stderr
    assert end.stdout == ""


def test_the_definition_may_come_from_the_standard_input() -> None:
    assert run("-", "-i", '{"who": "you"}', stdin=ECHO).exit_code == 0


def test_a_file_that_is_not_there_is_one_line() -> None:
    end = run("nothing.yaml")
    assert end.exit_code == 1
    assert_one_clear_line(end.stderr)


def test_sub_workflows_may_come_from_other_files() -> None:
    end = run("calling.yaml", "--also", "echo.yaml")
    assert end.exit_code == 0
    assert "SUCCESS   call/say (std.echo)" in end.stderr
    assert run("calling.yaml").exit_code == 1


def test_variables_of_the_environment_are_passed_on() -> None:
    text = ECHO.replace("<% $.who %>", "<% env().name %>").replace("[who, {times: 1}]", "[{who: 1}]")
    end = run("-", "--env", "name=env", stdin=text)
    assert json.loads(end.stdout) == {"said": "hi env"}


def test_a_reverse_workflow_gets_its_goal_as_a_parameter() -> None:
    shown = json.loads(run("--json", "-", "--param", "task_name=b", stdin=REVERSE).stdout)
    assert [task["name"] for task in shown["tasks"]] == ["a", "b"]


def test_this_machine_is_reached_only_when_that_is_allowed() -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    text = "version: '2.0'\nask:\n  input: [url]\n  tasks:\n    ask: {action: std.http url=<% $.url %>}\n"
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"url=http://127.0.0.1:{server.server_address[1]}/"
            refused = run("-", "-i", url, stdin=text)
            allowed = run("-", "-i", url, "--allow-loopback", stdin=text)
        finally:
            server.shutdown()
            thread.join()
    assert refused.exit_code == 1
    assert "blocked" in refused.stderr
    assert allowed.exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_execution(folder: Path, number: int) -> None:
    with program.started(["run", "waiting.yaml"], folder) as process:
        assert process.stderr is not None
        assert "RUNNING   wait_for_it" in process.stderr.readline()
        process.send_signal(number)
        end = program.ended(process)
    assert end.status == 3
    assert "CANCELLED patient: Interrupted." in end.err
    assert "Traceback" not in end.err
    assert json.loads(end.out) == {"result": "Interrupted."}


def test_a_second_signal_does_not_wait_for_the_end() -> None:
    asked: list[str] = []
    was_asked = asyncio.Event()

    async def never(method: str, target: str, _headers: Any, _body: bytes) -> tuple[int, bytes]:
        asked.append(f"{method} {target}")
        was_asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing answers")

    async def wait() -> None:
        with cancelled_by_signals(RestClient(never), "e1"):
            os.kill(os.getpid(), signal.SIGINT)
            await was_asked.wait()
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(wait())
    assert asked == ["PUT /v2/executions/e1"]
