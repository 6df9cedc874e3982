"""OpenStack's own tests of Mistral's API, from its plugin for tempest, pass here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.api.served import served_with_tokens
from tests.cli import program

PREINSTALLED = """version: '2.0'
create_instance: {tasks: {t: {action: std.noop}}}
delete_instance: {tasks: {t: {action: std.noop}}}
"""
TIMEOUT = 600
SKIPPED_BY_THE_PLUGIN = {
    "test_delete_standard_action",
    "test_delete_wf_with_trigger_associate_in_other_tenant",
    "test_get_list_actions_greater_than_equal_to_filter",
    "test_get_list_actions_less_than_equal_to_filter",
    "test_get_list_actions_less_than_filter",
    "test_get_list_actions_with_pagination",
}


@pytest.mark.spec("API302")
@pytest.mark.skipif(
    importlib.util.find_spec("mistral_tempest_tests") is None, reason="mistral-tempest-tests isn't installed"
)
def test_the_plugins_api_tests_pass(sqlite_url: str, tmp_path: Path) -> None:
    with served_with_tokens(sqlite_url) as url:
        upload = urllib.request.Request(
            f"{url}/workflows?scope=public", PREINSTALLED.encode(), {"X-Auth-Token": "service/admin"}
        )
        with urllib.request.urlopen(upload) as answer:
            assert answer.status == 201
        script = Path(__file__).with_name("tempest_run.py")
        ended = subprocess.run(
            [sys.executable, str(script), url, str(tmp_path)],
            cwd=tmp_path,
            env=program.environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    results = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert [(item["test"], item["why"]) for item in results if item["how"] == "failed"] == []
    skipped = {item["test"].rpartition(".")[2] for item in results if item["how"] == "skipped"}
    assert {name for name in skipped if "std_http" not in name} == SKIPPED_BY_THE_PLUGIN
    assert sum(item["how"] == "passed" for item in results) > 100
