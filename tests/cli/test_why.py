"""``tramontane why``: what an execution of a running service waits for."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from click.testing import CliRunner, Result
from tests.cli.test_serve import service

from tramontane.cli import main

FLOW = b"""version: '2.0'
outer:
  tasks:
    call: {workflow: inner, on-success: meet}
    other: {action: std.noop, on-success: meet}
    meet: {join: all}
inner:
  tasks:
    far:
      with-items: i in <% range(30) %>
      action: std.async_noop
      target: mars
"""


def post(url: str, body: bytes, kind: str = "text/plain") -> str:
    request = urllib.request.Request(url, body, {"content-type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def why(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["why", *arguments])


def test_it_names_what_is_waited_for_down_to_the_bottom(tmp_path: Path) -> None:
    with service(tmp_path) as (_, url):
        post(f"{url}/v2/workflows", FLOW)
        started = post(f"{url}/v2/executions", b'{"workflow_name": "outer"}', "application/json")
        execution_id = json.loads(started)["id"]
        shown = why(execution_id, "--url", url)
        while "mars" not in shown.output:  # the sub-workflow has its first turn after the answer
            shown = why(execution_id, "--url", url)
        assert shown.exit_code == 0
        lines = [line.strip() for line in shown.output.splitlines()]
        assert lines[0] == f"outer {execution_id} RUNNING"
        assert any(line.startswith("The join needs 2; 1 of 2 came (other)") for line in lines)
        inner = next(place for place, line in enumerate(lines) if line.startswith("inner "))
        assert lines[inner - 1].startswith("The sub-workflow inner (")
        assert "waits for an executor named 'mars': none is alive." in lines[inner + 2]
        assert "… and 20 more." in lines
        data = json.loads(why(execution_id, "--json", "--url", f"{url}/v2").output)
        assert [each["workflow_name"] for each in data] == ["outer", "inner"]

        missing = why("none", "--url", url)
        assert (missing.exit_code, missing.output.count("\n")) == (1, 1)
        assert "There is no" in missing.output


def test_an_ended_execution_is_said_to_have_ended(tmp_path: Path) -> None:
    with service(tmp_path) as (_, url):
        post(f"{url}/v2/workflows", b"version: '2.0'\nwf: {tasks: {t: {action: std.noop}}}\n")
        ended = post(f"{url}/v2/executions?wait=30", b'{"workflow_name": "wf"}', "application/json")
        shown = why(json.loads(ended)["id"], "--url", url)
    assert shown.exit_code == 0
    assert "It has ended" in shown.output
