"""``tramontane fork``, ``export`` and ``test --replay`` on a running service."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.cli.program import ended
from tests.cli.test_serve import service

from tramontane.cli import main

FLOW = """version: '2.0'
flow:
  input: [n, limit: 5]
  output: {r: <% $.r %>}
  tasks:
    first:
      with-items: 'i in [1, 2]'
      action: std.async_noop
      publish: {first: <% task().result %>}
      on-success: call
    call: {workflow: helper, publish: {h: <% task().result.h %>}, on-success: last}
    last:
      action: std.echo output=<% $.h %>
      fail-on: <% $.n > $.limit %>
      publish:
        r: <% [$.first, task().result] %>
helper:
  output: {h: <% task(h).result %>}
  tasks: {h: {action: std.async_noop}}
"""


class Place:
    """A running service with an execution that has failed at its last task."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.file = folder / "flow.yaml"
        self.file.write_text(FLOW, encoding="utf-8")
        self.request("POST", "workflows", FLOW.encode(), "text/plain")
        self.source = self.json("POST", "executions", {"workflow_name": "flow", "input": {"n": 7}})["id"]
        for number, task in enumerate(("first", "first", "h")):
            self.report(task, f"result {number}")
        assert self.json("GET", f"executions/{self.source}?wait=30")["state"] == "ERROR"

    def request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> Any:
        request = urllib.request.Request(f"{self.url}/v2/{path}", body, {"content-type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def json(self, method: str, path: str, body: Any = None) -> Any:
        return self.request(method, path, None if body is None else json.dumps(body).encode())

    def report(self, task: str, result: str) -> None:
        """Complete the oldest action of a task that runs."""
        path = f"action_executions?task_name={task}&state=RUNNING&sort_keys=id"
        found: list[dict[str, str]] = []
        while not found:
            found = self.json("GET", path)["action_executions"]
        body = {"state": "SUCCESS", "output": json.dumps(result)}
        self.json("PUT", f"action_executions/{found[0]['id']}", body)

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--url", f"{self.url}/v2"])

    def changed(self, old: str, new: str) -> str:
        """A file with another version of the definition."""
        path = self.folder / "newer.yaml"
        assert old in FLOW
        path.write_text(FLOW.replace(old, new), encoding="utf-8")
        return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("service")
    with service(folder) as (process, url):
        yield Place(url, folder)
        process.terminate()
        ended(process)


def test_a_preview_shows_what_a_fork_would_do(place: Place) -> None:
    shown = place.call("fork", place.source, "--task", "call", "--preview")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines() == [
        f"flow, the same definition, from {place.source}",
        "  taken over  first SUCCESS",
        "  runs again  call, last (follows)",
    ]


def test_a_fork_prints_the_id_of_the_new_execution(place: Place) -> None:
    shown = place.call("fork", place.source, "--task", "last", "-i", "limit=9")
    assert shown.exit_code == 0, shown.output
    (new,) = shown.stdout.splitlines()
    found = place.json("GET", f"executions/{new}?wait=30")
    assert found["state"] == "SUCCESS"
    assert json.loads(found["output"]) == {"r": [["result 0", "result 1"], "result 2"]}
    assert "taken over  first SUCCESS, call SUCCESS" in shown.stderr


def test_a_fork_answers_in_json_when_asked_to(place: Place) -> None:
    shown = place.call("fork", place.source, "--task", "last", "--json")
    assert json.loads(shown.stdout)["source_execution_id"] == place.source


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--task", "nope"], 1, "Error: The execution has no task 'nope'"),
        (["--task", "last", "--workflow", "nope"], 1, "Error: Workflow not found"),
        ([], 2, "Missing option '--task'"),
    ],
)
def test_a_refused_fork_is_one_line(place: Place, arguments: list[str], status: int, message: str) -> None:
    shown = place.call("fork", place.source, *arguments)
    assert (shown.exit_code, shown.stdout) == (status, "")
    assert message in shown.stderr


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [("http://127.0.0.1:1/v2", 1, "can't be reached"), ("nonsense", 2, "is no address of a service")],
)
def test_a_service_that_is_not_there_is_one_line(url: str, status: int, message: str) -> None:
    shown = CliRunner().invoke(main, ["fork", "x", "--task", "y", "--url", url])
    assert shown.exit_code == status
    assert message in shown.output and len(shown.output.splitlines()) == 1


def test_a_token_reaches_the_service(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_TOKEN", "secret")
    monkeypatch.setenv("OS_MISTRAL_URL", f"{place.url}/v2")
    shown = CliRunner().invoke(main, ["fork", place.source, "--task", "last", "--preview"])
    assert shown.exit_code == 0, shown.output


def test_a_replay_under_the_same_definition_differs_in_nothing(place: Place) -> None:
    shown = place.call("test", "--replay", place.source, str(place.file))
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == [
        f"flow {place.source}: ERROR then, ERROR now",
        "  as before: first, call, last, call/h",
        "nothing goes differently",
    ]


def test_a_replay_shows_what_goes_differently(place: Place) -> None:
    shown = place.call("test", "--replay", place.source, place.changed("$.n > $.limit", "$.n > 9"))
    assert shown.exit_code == 1
    for part in ("ERROR then, SUCCESS now", "the state of last", "- ERROR", "+ SUCCESS", "as before: first"):
        assert part in shown.output


def test_an_exported_execution_is_replayed_from_its_file(place: Place) -> None:
    file = place.folder / "kept.json"
    assert place.call("export", place.source, "-o", str(file)).exit_code == 0
    shown = CliRunner().invoke(main, ["test", "--replay", str(file), str(place.file)])
    assert shown.exit_code == 0, shown.output
    assert json.loads(place.call("export", place.source).stdout) == json.loads(
        file.read_text(encoding="utf-8")
    )
    assert place.call("export", place.source, "-o", str(place.folder / "no" / "x")).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replay", "{source}"], "--replay takes the definitions as FILE"),
        (["--replay", "{source}", "{file}", "-k", "x"], "neither -k nor --junit"),
        (["{file}", "--workflow", "x"], "belong to --replay"),
        (["--replay", "no.json", "{file}"], "no.json can't be read"),
        (["--replay", "{file}", "{file}"], "this is no exported execution"),
        (["--replay", "0000", "{file}"], "There is no execution '0000'"),
        (["--replay", "{source}", "{file}", "-w", "nope"], "hold no workflow 'nope'; they hold flow, helper"),
        (
            ["--replay", "{source}", "{file}", "--database", "sqlite:////no/such.sqlite"],
            "there is no database",
        ),
    ],
)
def test_a_replay_that_can_not_be_had_ends_with_status_2(
    place: Place, arguments: list[str], message: str
) -> None:
    filled = [each.format(source=place.source, file=place.file) for each in arguments]
    shown = place.call("test", *filled)
    assert shown.exit_code == 2, shown.output
    assert message in shown.output


def test_a_definition_with_mistakes_ends_a_replay_with_status_2(place: Place) -> None:
    shown = place.call(
        "test", "--replay", place.source, place.changed("action: std.echo", "actoin: std.echo")
    )
    assert shown.exit_code == 2
    assert "unknown attribute of a task 'actoin'" in shown.output


def test_a_database_is_read_without_a_service(tmp_path: Path) -> None:
    with service(tmp_path) as (process, url):
        place = Place(url, tmp_path)
        process.terminate()
        ended(process)
    database = f"sqlite:///{tmp_path}/state.sqlite"
    for source, status in ((place.source, 0), ("0000", 2)):
        shown = CliRunner().invoke(
            main, ["test", "--replay", source, str(place.file), "--database", database]
        )
        assert shown.exit_code == status, shown.output
    exported = CliRunner().invoke(main, ["export", place.source, "--database", database])
    tasks = json.loads(exported.stdout)["execution"]["tasks"]
    assert [run["index"] for run in tasks[0]["runs"]] == [0, 1]
    assert tasks[1]["calls"][0]["execution"]["tasks"][0]["name"] == "h"
