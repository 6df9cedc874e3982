"""An execution that ends every process that runs it is parked; the others go on."""

from __future__ import annotations

import contextlib
import urllib.error
from pathlib import Path

import pytest
from tests.runtime.processes import a_node

# The crash is a real one, in an expression, which an installed package brings.
_CODE = "import os\n\ndef crash():\n    os.abort()\n"
_ENTRY = "[mistral.expression.functions]\ncrash = crashing:crash\n"

FLOWS = """
fine:
  tasks: {a: {action: std.noop, wait-before: 1, on-success: b}, b: {action: std.noop}}
by_timer:
  tasks:
    a: {action: std.noop, wait-before: 1, publish: {x: <% crash() %>}}
by_action:
  tasks:
    a: {action: std.sleep seconds=0.2, safe-rerun: true, publish: {x: <% crash() %>}}
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    info = folder / "crashing-1.dist-info"
    info.mkdir(parents=True)
    (folder / "crashing.py").write_text(_CODE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(_ENTRY, encoding="utf-8")
    return folder


@pytest.mark.parametrize("flow", ["by_timer", "by_action"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_execution_that_kills_every_node_is_parked_and_the_others_go_on(
    kind: str, flow: str, plugins: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database: str = request.getfixturevalue(f"{kind}_url")
    bad = fine = ""
    for death in range(3):
        with a_node(tmp_path, database, plugins=plugins) as node:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):  # it may die too soon
                if not death:
                    node.upload(FLOWS)
                    fine = node.start("fine")
                    bad = node.start(flow)
            assert node.process.wait(60) == -6
    with a_node(tmp_path, database, plugins=plugins) as node:
        assert node.ended(fine) == "SUCCESS"
        while "parked" not in (execution := node.execution(bad)):
            assert node.process.poll() is None
        assert execution["state"] == "RUNNING"
        assert "Nodes ended three times while they had the execution" in execution["parked"]
        assert "ended by signal 6" in execution["parked"]
        status, answer = node.call("PUT", f"/executions/{bad}", {"state": "PAUSED"})
        assert (status, answer["code"]) == (400, "parked")
        assert node.ended(node.start("fine")) == "SUCCESS"
