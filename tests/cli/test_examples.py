"""The examples do what they say, and nobody has to know anything to run them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.cli.program import ROOT

from tramontane.cli import main

FILES = sorted((ROOT / "examples").rglob("*.yaml"))
EXAMPLES = [path for path in FILES if not path.name.endswith(".test.yaml")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", *arguments])


def run_example(name: str, *arguments: str) -> tuple[int, Any]:
    end = run(str(ROOT / "examples" / name), *arguments)
    return end.exit_code, json.loads(end.stdout)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_passes_strict_checking(path: Path) -> None:
    end = CliRunner().invoke(main, ["validate", "--strict", str(path)])
    assert end.exit_code == 0, end.output


def test_hello_greets() -> None:
    assert run_example("hello.yaml", "-i", "who=world") == (0, {"said": "Hello, world!"})


def test_the_rolling_update_reaches_every_server() -> None:
    status, output = run_example("rolling_update.yaml", "-w", "rolling_update", "-i", "release=2.4")
    assert (status, output) == (0, {"updated": ["web1", "web2", "web3", "web4"]})


def test_the_rolling_update_reports_what_it_rolled_back() -> None:
    options = ["-w", "rolling_update", "-i", "release=2.4", "-i", 'broken=["web3"]']
    status, output = run_example("rolling_update.yaml", *options)
    assert status == 1
    assert output["rolled_back"] == ["web3"]


def test_the_trip_is_booked() -> None:
    status, output = run_example("trip.yaml", "-i", "city=Marseille")
    assert (status, len(output["booked"])) == (0, 3)


@pytest.mark.parametrize(
    ("sold_out", "cancelled"),
    [("car", ["hotel in Marseille", "flight to Marseille"]), ("hotel", ["flight to Marseille"])],
)
def test_the_trip_takes_back_what_was_booked_before_the_failure(sold_out: str, cancelled: list[str]) -> None:
    status, output = run_example("trip.yaml", "-i", "city=Marseille", "-i", f"sold_out={sold_out}")
    assert status == 1
    assert output == {"result": "The trip could not be booked.", "cancelled": cancelled}


def test_the_backup_does_what_its_goal_requires() -> None:
    options = ["--param", "task_name=prune", "-i", "database=shop"]
    assert run_example("backup.yaml", *options) == (0, {"kept": 7, "stored": "backups/shop.sql.gz"})


def test_the_site_check_tells_which_are_down() -> None:
    urls = '["http://127.0.0.1:1/"]'
    status, output = run_example(
        "site_check.yaml", "-w", "site_check", "-i", f"urls={urls}", "-i", "attempts=1"
    )
    assert (status, output["down"]) == (0, ["http://127.0.0.1:1/"])


def test_the_workbook_creates_a_server() -> None:
    status, output = run_example("servers.yaml", "--workflow", "create", "-i", "name=db1")
    assert (status, output) == (0, {"server": "vm-db1", "volumes": ["vm-db1/system", "vm-db1/data"]})


def test_every_example_shows_a_command_that_runs_it() -> None:
    for path in EXAMPLES:
        if path.parent.name == "demo":
            continue
        shown = re.findall(
            r"^# +tramontane (run examples/.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert shown, path
        for line in shown:
            words = shlex.split(line)
            assert words[1] == str(path.relative_to(ROOT))
            command = main.get_command(
                main.make_context("tramontane", ["run"], resilient_parsing=True), "run"
            )
            assert command is not None
            command.make_context("run", words[1:])
