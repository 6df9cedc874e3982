"""The real ``mistral`` command against a real server, as its users run it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli import program

pytest.importorskip("mistralclient")

TIMEOUT = 60
WORKFLOW = """version: '2.0'
wf:
  input: [a, {b: 2}]
  tags: [x]
  output: {r: <% $.x %>}
  tasks:
    t1:
      action: std.echo output=<% $.a %>
      publish: {x: <% task().result %>}
      on-success:
        publish: {global: {g: 5}}
        next: t2
    t2: {workflow: sub}
sub: {tasks: {s: {action: std.noop}}}
"""
FAILING = "version: '2.0'\nfailing: {tasks: {t: {action: std.fail}}}\n"
ASKING = "version: '2.0'\nasking: {tasks: {ask: {action: std.async_noop}}}\n"
WORKBOOK = """version: '2.0'
name: wb
workflows:
  w1: {tasks: {t: {action: std.noop}}}
actions:
  a1: {base: std.noop}
"""
CALLER = """version: '2.0'
caller: {tasks: {t: {workflow: quick}}}
quick: {tasks: {t: {action: std.noop}}}
"""
ACTION = "version: '2.0'\nplain: {base: std.noop}\n"

Rows = list[dict[str, Any]]


class Mistral:
    """Runs the command in a folder; commands that fail raise."""

    def __init__(self, url: str, folder: Path) -> None:
        self._start = [
            sys.executable,
            "-c",
            "from mistralclient.shell import main; raise SystemExit(main())",
            "--os-mistral-url",
            url,
        ]
        self._folder = folder

    def ended(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._start, *arguments],
            cwd=self._folder,
            env=program.environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def __call__(self, *arguments: str) -> str:
        """What a command prints."""
        ended = self.ended(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def rows(self, *arguments: str) -> Rows:
        """The rows of a table; an empty one is shown with one row of empty texts."""
        rows = json.loads(self(*arguments, "-f", "json"))
        return [row for row in rows if any(row.values())]

    def row(self, *arguments: str) -> dict[str, Any]:
        """One object, attribute by attribute."""
        row = json.loads(self(*arguments, "-f", "json"))
        assert isinstance(row, dict)
        return row

    def file(self, name: str, content: str) -> str:
        (self._folder / name).write_text(content)
        return name

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask until something holds."""
        for _ in range(100):
            if holds():
                return
        raise AssertionError("it never came about")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that the tests share."""
    with served(tmp_path_factory.mktemp("server")) as url:
        yield url


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run a server with an empty database; gives its URL."""
    arguments = ["serve", "--port", "0", "--database", "sqlite:///state.sqlite", "--log-level", "error"]
    with program.started(arguments, folder) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready at " in line, line + program.ended(process).err
        yield line.split("ready at ")[1].split()[0] + "/v2"


@pytest.fixture
def mistral(server: str, tmp_path: Path) -> Mistral:
    return Mistral(server, tmp_path)


def test_workflows(mistral: Mistral) -> None:
    file = mistral.file("wf.yaml", WORKFLOW)
    created = mistral.rows("workflow-create", file, "--namespace", "one")
    assert [item["Name"] for item in created] == ["wf", "sub"]
    assert created[0]["Input"] == 'a, b="2"'
    assert created[0]["Updated at"] is None
    listed = mistral.rows("workflow-list", "--filter", "namespace=one", "--filter", "name=in:wf,sub")
    assert {item["ID"] for item in listed} == {item["ID"] for item in created}
    assert mistral.row("workflow-get", created[0]["ID"])["Tags"] == "x"
    assert mistral.row("workflow-get", "wf", "--namespace", "one")["ID"] == created[0]["ID"]
    assert "version: '2.0'" in mistral("workflow-get-definition", created[0]["ID"])
    updated = mistral.rows("workflow-update", file, "--namespace", "one")
    assert len(updated[0]["Updated at"]) == len("2026-01-01 00:00:00")
    single = mistral.file("single.yaml", FAILING.replace("failing", "renamed"))
    (renamed,) = mistral.rows("workflow-update", single, "--id", created[0]["ID"])
    assert (renamed["ID"], renamed["Name"]) == (created[0]["ID"], "renamed")
    assert mistral.row("workflow-validate", file)["Valid"] is True
    broken = mistral.row("workflow-validate", mistral.file("broken.yaml", "version: '2.0'\nx: {}\n"))
    assert broken["Valid"] is False
    assert broken["Error"]
    mistral("workflow-delete", created[0]["ID"])
    mistral("workflow-delete", "sub", "--namespace", "one")
    assert mistral.rows("workflow-list", "--filter", "namespace=one") == []


@pytest.mark.spec("API298")
def test_workbooks(mistral: Mistral) -> None:
    file = mistral.file("wb.yaml", WORKBOOK)
    created = mistral.row("workbook-create", file)
    assert (created["Name"], created["Updated at"]) == ("wb", None)
    assert [item["Name"] for item in mistral.rows("workbook-list")] == ["wb"]
    same = mistral.row("workbook-update", file)
    assert same["Updated at"] == mistral.row("workbook-get", "wb")["Updated at"]
    changed = mistral.file("wb.yaml", WORKBOOK.replace("w1:", "w2:"))
    assert mistral.row("workbook-update", changed)["Updated at"] not in (None, "<none>")
    assert "w2" in mistral("workbook-get-definition", "wb")
    assert mistral.row("workbook-validate", file)["Valid"] is True
    mistral("workbook-delete", "wb")
    assert mistral.rows("workbook-list") == []


@pytest.mark.spec("API297")
def test_actions(mistral: Mistral) -> None:
    file = mistral.file("a.yaml", ACTION)
    (created,) = mistral.rows("action-create", file)
    assert (created["Name"], created["Input"]) == ("plain", None)
    names = [item["Name"] for item in mistral.rows("action-list")]
    assert {"plain", "std.echo"} <= set(names)
    assert mistral.row("action-get", "std.echo")["Is system"] is True
    assert mistral.row("action-get", "plain")["ID"] == created["ID"]
    (updated,) = mistral.rows("action-update", file)
    assert updated["Updated at"] not in (None, "<none>")
    assert mistral("action-get-definition", "plain").strip() == ACTION.strip()
    assert mistral.row("action-validate", file)["Valid"] is True
    mistral("action-delete", "plain")
    assert "plain" not in [item["Name"] for item in mistral.rows("action-list")]


@pytest.mark.spec("API296")
def test_environments(mistral: Mistral) -> None:
    file = mistral.file("env.json", json.dumps({"name": "e", "variables": {"x": [1, 2]}}))
    created = mistral.row("environment-create", file)
    assert (created["Name"], created["Updated at"], created["Description"]) == ("e", None, None)
    assert json.loads(created["Variables"]) == {"x": [1, 2]}
    assert [item["Name"] for item in mistral.rows("environment-list")] == ["e"]
    updated = mistral.row("environment-update", file)
    assert len(updated["Updated at"]) == len("2026-01-01 00:00:00")
    assert mistral.row("environment-get", "e")["Scope"] == "private"
    exported = mistral.row("environment-get", "e", "--export")
    assert json.loads(exported["variables"]) == {"x": [1, 2]}
    mistral("environment-delete", "e")
    assert mistral.rows("environment-list") == []


@pytest.mark.spec("API295")
def test_executions_and_tasks(mistral: Mistral) -> None:
    mistral("workflow-create", mistral.file("wf.yaml", WORKFLOW))
    created = mistral.row("execution-create", "wf", '{"a": 7}', '{"env": {"k": 1}}', "-d", "mine")
    assert (created["State"], created["Description"]) == ("RUNNING", "mine")
    execution = created["ID"]
    mistral.until(lambda: mistral.row("execution-get", execution)["State"] == "SUCCESS")
    assert json.loads(mistral("execution-get-input", execution)) == {"a": 7, "b": 2}
    assert json.loads(mistral("execution-get-output", execution)) == {"r": 7}
    assert json.loads(mistral("execution-get-published", execution)) == {"g": 5}
    assert mistral.row("execution-update", execution, "-d", "other")["Description"] == "other"
    assert len(mistral.rows("execution-list", "--filter", "workflow_name=in:wf,sub")) == 2
    assert len(mistral.rows("execution-list", "--filter", "workflow_name=in:wf,sub", "--rootsonly")) == 1
    assert "wf" in mistral("execution-get-report", execution)
    assert len(mistral.rows("execution-get-sub-executions", execution)) == 2

    tasks = mistral.rows("task-list", execution)
    assert [item["Name"] for item in tasks] == ["t1", "t2"]
    assert tasks[0]["State"] == "SUCCESS"
    task = tasks[0]["ID"]
    assert mistral.row("task-get", task)["Name"] == "t1"
    assert mistral("task-get-result", task).strip() == "7"
    assert "5" in mistral("task-get-published", task)
    assert len(mistral.rows("task-get-sub-executions", tasks[1]["ID"])) == 1
    (called,) = mistral.rows("execution-list", "--task", tasks[1]["ID"])
    assert called["Workflow name"] == "sub"

    (action,) = mistral.rows("action-execution-list", task)
    assert (action["Name"], action["Task name"]) == ("std.echo", "t1")
    assert mistral.row("action-execution-get", action["ID"])["State"] == "SUCCESS"
    assert json.loads(mistral("action-execution-get-input", action["ID"])) == {"output": 7}
    assert json.loads(mistral("action-execution-get-output", action["ID"])) == {"result": 7}
    again = mistral.row("execution-create", "-s", execution)
    assert again["Description"] == f"Based on the execution '{execution}'"
    mistral("execution-delete", execution, "--force")
    assert mistral.ended("execution-get", execution).returncode != 0


@pytest.mark.spec("API300")
def test_running_a_task_again(mistral: Mistral) -> None:
    mistral("workflow-create", mistral.file("f.yaml", FAILING))
    execution = mistral.row("execution-create", "failing")["ID"]
    mistral.until(lambda: mistral.row("execution-get", execution)["State"] == "ERROR")
    (task,) = mistral.rows("task-list", execution)
    assert mistral.row("task-rerun", task["ID"])["ID"] == task["ID"]
    mistral.until(lambda: len(mistral.rows("action-execution-list", task["ID"])) == 2)


def test_pausing_and_reporting_results(mistral: Mistral) -> None:
    mistral("workflow-create", mistral.file("a.yaml", ASKING))
    execution = mistral.row("execution-create", "asking")["ID"]
    mistral.until(lambda: len(mistral.rows("task-list", execution)) == 1)
    for state in ("PAUSED", "RUNNING"):
        assert mistral.row("execution-update", execution, "-s", state)["State"] == state
    (task,) = mistral.rows("task-list", execution)
    (action,) = mistral.rows("action-execution-list", task["ID"])
    done = mistral.row("action-execution-update", action["ID"], "--state", "SUCCESS", "--output", '{"r": 1}')
    assert (done["State"], done["Accepted"]) == ("SUCCESS", True)
    mistral.until(lambda: mistral.row("execution-get", execution)["State"] == "SUCCESS")
    assert mistral("task-get-result", task["ID"]).split() == ["{", '"r":', "1", "}"]


@pytest.mark.spec("API299")
def test_running_an_action(mistral: Mistral) -> None:
    assert json.loads(mistral("run-action", "std.echo", '{"output": "x"}')) == {"result": "x"}
    saved = mistral.row("run-action", "-s", "std.echo", '{"output": "x"}')
    assert (saved["Name"], saved["Task name"]) == ("std.echo", None)
    mistral.until(lambda: mistral.row("action-execution-get", saved["ID"])["State"] == "SUCCESS")


@pytest.mark.spec("API301")
def test_errors_print_the_reason(mistral: Mistral) -> None:
    ended = mistral.ended(
        "workflow-create", mistral.file("bad.yaml", "version: '2.0'\nx: {tasks: {t: {nonsense: 1}}}\n")
    )
    assert ended.returncode != 0
    assert "nonsense" in ended.stderr
    assert "There is no workflow 'nope'" in mistral.ended("workflow-get", "nope").stderr


@pytest.mark.spec("API292", "API293", "API294")
def test_the_newest_executions_are_listed_oldest_first(tmp_path: Path) -> None:
    with served(tmp_path) as url:
        mistral = Mistral(url, tmp_path)
        assert mistral.rows("execution-list") == []
        mistral("workflow-create", mistral.file("wf.yaml", CALLER))
        first = mistral.row("execution-create", "quick", "-d", "000")["ID"]
        assert [item["ID"] for item in mistral.rows("execution-list")] == [first]
        ids = [first, *(start(url, f"{number:03}") for number in range(1, 150))]
        assert [item["ID"] for item in mistral.rows("execution-list")] == ids[50:]
        ordered = ("--sort_keys", "Description", "--sort_dirs=desc", "--limit", "3")
        descriptions = [item["Description"] for item in mistral.rows("execution-list", *ordered)]
        assert descriptions == ["149", "148", "147"]
        page = mistral.rows("execution-list", "--marker", ids[10], "--limit", "2")
        assert [item["ID"] for item in page] == ids[11:13]
        caller = mistral.row("execution-create", "caller")["ID"]
        mistral.until(lambda: mistral.row("execution-get", caller)["State"] == "SUCCESS")
        newest = mistral.rows("execution-list", "--limit", "2")
        assert newest[1]["Root Execution ID"] == caller
        roots = mistral.rows("execution-list", "--limit", "1", "--rootsonly")
        assert [item["ID"] for item in roots] == [caller]


def start(url: str, description: str) -> str:
    """Start the quick workflow the short way."""
    body = json.dumps({"workflow_name": "quick", "description": description}).encode()
    request = urllib.request.Request(f"{url}/executions?wait=20", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return str(json.load(answer)["id"])
