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
from tests.api.served import served_with_tokens
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
SIMPLE = "version: '2.0'\nsimple: {input: [{a: 1}], tasks: {t: {action: std.noop}}}\n"
MODULE = """class Twice:
    def __init__(self, n):
        self.n = n

    def run(self, context):
        return %s
"""
TIME = len("2026-01-01 00:00:00")

RUN = "from mistralclient.shell import main; raise SystemExit(main())"
KEEP_TOKEN = """
from mistralclient import auth
class Kept:
    def authenticate(self, request, session=None):
        return {}
auth.get_auth_handler = lambda kind: Kept()
"""

Rows = list[dict[str, Any]]


class Mistral:
    """Runs the command in a folder; commands that fail raise."""

    def __init__(self, url: str, folder: Path, token: str | None = None) -> None:
        """``token``: what is sent as token; it is taken as it is instead of asking Keystone for one."""
        self._start = [
            sys.executable,
            "-c",
            RUN if token is None else KEEP_TOKEN + RUN,
            "--os-mistral-url",
            url,
        ]
        if token is not None:
            self._start += ["--os-auth-url", "http://nobody.invalid/v3", "--os-auth-token", token]
            self._start += ["--os-project-id", token.partition("/")[0]]
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
    arguments.append("--allow-action-execution-deletion")
    with program.started(arguments, folder) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready at " in line, line + program.ended(process).err
        yield line.split("ready at ")[1].split()[0] + "/v2"


@pytest.fixture
def mistral(server: str, tmp_path: Path) -> Mistral:
    return Mistral(server, tmp_path)


@pytest.mark.spec("API291")
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


@pytest.mark.spec("API291", "API298")
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


@pytest.mark.spec("API291", "API297")
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


@pytest.mark.spec("API291", "API296")
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


@pytest.mark.spec("API291", "API295")
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


@pytest.mark.spec("API291", "API300")
def test_running_a_task_again(mistral: Mistral) -> None:
    mistral("workflow-create", mistral.file("f.yaml", FAILING))
    execution = mistral.row("execution-create", "failing")["ID"]
    mistral.until(lambda: mistral.row("execution-get", execution)["State"] == "ERROR")
    (task,) = mistral.rows("task-list", execution)
    assert mistral.row("task-rerun", task["ID"])["ID"] == task["ID"]
    mistral.until(lambda: len(mistral.rows("action-execution-list", task["ID"])) == 2)


@pytest.mark.spec("API291")
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


@pytest.mark.spec("API291", "API299")
def test_running_an_action(mistral: Mistral) -> None:
    assert json.loads(mistral("run-action", "std.echo", '{"output": "x"}')) == {"result": "x"}
    saved = mistral.row("run-action", "-s", "std.echo", '{"output": "x"}')
    assert (saved["Name"], saved["Task name"]) == ("std.echo", None)
    mistral.until(lambda: mistral.row("action-execution-get", saved["ID"])["State"] == "SUCCESS")


@pytest.mark.spec("API291")
def test_cron_triggers(mistral: Mistral) -> None:
    (workflow,) = mistral.rows(
        "workflow-create", mistral.file("s.yaml", SIMPLE.replace("simple", "scheduled"))
    )
    created = mistral.row(
        *("cron-trigger-create", "daily", "scheduled", '{"a": 2}', "--params", '{"env": {"k": 1}}'),
        *("--pattern", "0 12 * * *", "--count", "3"),
    )
    assert (created["Name"], created["Workflow"], created["Pattern"]) == ("daily", "scheduled", "0 12 * * *")
    assert created["Remaining executions"] == 3
    assert created["Next execution time"].endswith("12:00:00")
    assert json.loads(created["Params"]) == {"env": {"k": 1}}
    assert created["Updated at"] is None
    once = mistral.row(
        *("cron-trigger-create", "once", workflow["ID"], "--first-time", "4242-12-25 13:37", "--utc")
    )
    assert (once["Next execution time"], once["Remaining executions"]) == ("4242-12-25 13:37:00", 1)
    assert [item["Name"] for item in mistral.rows("cron-trigger-list")] == ["daily", "once"]
    assert [item["Name"] for item in mistral.rows("cron-trigger-list", "--filter", "name=once")] == ["once"]
    assert mistral.row("cron-trigger-get", "daily")["Pattern"] == "0 12 * * *"
    refused = mistral.ended("cron-trigger-create", "bad", "scheduled", "--pattern", "88 * * * *")
    assert refused.returncode != 0
    assert "pattern is not valid" in refused.stderr
    assert "triggers associated" in mistral.ended("workflow-delete", "scheduled").stdout
    mistral("cron-trigger-delete", "daily", "once")
    assert mistral.rows("cron-trigger-list") == []


@pytest.mark.spec("API291")
def test_event_triggers(mistral: Mistral) -> None:
    (workflow,) = mistral.rows(
        "workflow-create", mistral.file("s.yaml", SIMPLE.replace("simple", "awaiting"))
    )
    created = mistral.row(
        *("event-trigger-create", "created", workflow["ID"], "nova", "notifications"),
        *("compute.instance.create.end", '{"a": 2}', "--params", '{"env": {}}'),
    )
    assert (created["Name"], created["Workflow ID"], created["Exchange"]) == (
        "created",
        workflow["ID"],
        "nova",
    )
    assert created["Event"] == "compute.instance.create.end"
    assert [item["ID"] for item in mistral.rows("event-trigger-list")] == [created["ID"]]
    assert mistral.rows("event-trigger-list", "--filter", "topic=other") == []
    assert mistral.row("event-trigger-get", created["ID"])["Topic"] == "notifications"
    mistral("event-trigger-delete", created["ID"])
    assert mistral.rows("event-trigger-list") == []


@pytest.mark.spec("API291", "API281", "API282")
def test_uploaded_code(mistral: Mistral) -> None:
    source = mistral.row("code-source-create", "module", mistral.file("m.py", MODULE % "self.n * 2"))
    assert (source["Name"], source["Scope"], source["Updated at"]) == ("module", "private", None)
    assert [item["ID"] for item in mistral.rows("code-source-list")] == [source["ID"]]
    assert mistral.row("code-source-get", "module")["ID"] == source["ID"]
    assert mistral("code-source-get-content", "module").strip() == (MODULE % "self.n * 2").strip()
    created = mistral.row("dynamic-action-create", "twice", "Twice", "module")
    assert (created["Name"], created["Class"], created["Code source name"]) == ("twice", "Twice", "module")
    assert [item["Name"] for item in mistral.rows("dynamic-action-list")] == ["twice"]
    assert mistral.row("dynamic-action-get", "twice")["ID"] == created["ID"]
    assert mistral.row("action-get", "twice")["Input"] == "n"
    assert "twice" in [item["Name"] for item in mistral.rows("action-list")]
    assert json.loads(mistral("run-action", "twice", '{"n": 21}')) == {"result": 42}
    changed = mistral.row("code-source-update", "module", mistral.file("m.py", MODULE % "self.n + 2"))
    assert len(changed["Updated at"]) == TIME
    assert json.loads(mistral("run-action", "twice", '{"n": 21}')) == {"result": 23}
    mistral.row("code-source-create", "other", mistral.file("o.py", MODULE % "'other'"))
    updated = mistral.row("dynamic-action-update", "twice", "--code-source", "other")
    assert (updated["Code source name"], updated["Class"]) == ("other", "Twice")
    assert json.loads(mistral("run-action", "twice", '{"n": 21}')) == {"result": "other"}
    mistral("dynamic-action-delete", "twice")
    assert mistral.rows("dynamic-action-list") == []
    mistral("code-source-delete", "module", "other")
    assert mistral.rows("code-source-list") == []


@pytest.mark.spec("API291", "API130", "API136")
def test_members(mistral: Mistral, sqlite_url: str, tmp_path: Path) -> None:
    (workflow,) = mistral.rows("workflow-create", mistral.file("s.yaml", SIMPLE.replace("simple", "kept")))
    for refused in (
        ("member-create", workflow["ID"], "workflow", "b"),
        ("member-list", workflow["ID"], "workflow"),
    ):
        assert "needs authentication" in mistral.ended(*refused).stderr
    with served_with_tokens(sqlite_url) as url:
        owner, member = Mistral(url, tmp_path, "a"), Mistral(url, tmp_path, "b")
        (workflow,) = owner.rows("workflow-create", owner.file("s.yaml", SIMPLE))
        shared = owner.row("member-create", workflow["ID"], "workflow", "b")
        assert (shared["Resource ID"], shared["Member ID"], shared["Status"]) == (
            workflow["ID"],
            "b",
            "pending",
        )
        assert member.rows("workflow-list") == []
        assert member.row("member-get", workflow["ID"], "workflow")["Status"] == "pending"
        accepted = member.row("member-update", workflow["ID"], "workflow", "-s", "accepted")
        assert accepted["Status"] == "accepted"
        assert [item["Member ID"] for item in owner.rows("member-list", workflow["ID"], "workflow")] == ["b"]
        (listed,) = member.rows("workflow-list")
        assert (listed["ID"], listed["Project ID"]) == (workflow["ID"], "a")
        assert member.row("execution-create", "simple")["State"] == "RUNNING"
        owner("member-delete", workflow["ID"], "workflow", "b")
        assert member.rows("workflow-list") == []


@pytest.mark.spec("API291", "API243")
def test_deleting_an_action_execution(mistral: Mistral) -> None:
    saved = mistral.row("run-action", "-s", "std.echo", '{"output": 1}')["ID"]
    mistral.until(lambda: mistral.row("action-execution-get", saved)["State"] == "SUCCESS")
    mistral("action-execution-delete", saved)
    assert mistral.ended("action-execution-get", saved).returncode != 0


@pytest.mark.spec("API291")
def test_every_command_of_the_client_is_run_here(mistral: Mistral) -> None:
    names = set(mistral("bash-completion").split())
    commands = {name for name in names if not name.startswith("-")} - {"complete", "help"}
    assert {"workflow-create", "task-rerun", "member-update"} <= commands
    assert len(commands) > 70
    text = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in commands if f'"{name}"' not in text} == set()


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
