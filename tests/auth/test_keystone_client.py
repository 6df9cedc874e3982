"""The unmodified command line client, signing in at a real Keystone, against a service that asks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.auth.keystone import Keystone
from tests.cli import program
from tests.cli.test_serve import service

RUN = "from mistralclient.shell import main; raise SystemExit(main())"
WORKFLOW = "version: '2.0'\nwf:\n  tasks:\n    t: {action: std.noop}\n"
CONF = """
[keystone_authtoken]
auth_url = {url}
username = tramontane
password = pw
user_domain_id = default
project_name = service
project_domain_id = default
"""
SECONDS = 120


class Mistral:
    """The command as one user of one project calls it."""

    def __init__(self, folder: Path, url: str, keystone: Keystone, user: str, project: str) -> None:
        self._folder = folder
        self._start = [sys.executable, "-c", RUN, "--os-mistral-url", f"{url}/v2"]
        self._start += ["--os-auth-url", f"{keystone.url}/v3", "--os-username", user]
        self._start += ["--os-password", "pw", "--os-project-name", project]
        self._start += ["--os-user-domain-name", "Default", "--os-project-domain-name", "Default"]

    def ended(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._start, *arguments],
            cwd=self._folder,
            env=program.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        ended = self.ended(*arguments, "-f", "json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.mark.spec("API258")
def test_the_client_signs_in_at_keystone_shares_and_makes_triggers(
    keystone: Keystone, tmp_path: Path
) -> None:
    bank = keystone.project("bank")
    keystone.user("bob", bank, "member")
    (tmp_path / "wf.yaml").write_text(WORKFLOW)
    (tmp_path / "mistral.conf").write_text(CONF.format(url=keystone.url))
    with service(tmp_path, "--config-file", "mistral.conf") as (_, url):
        alice = Mistral(tmp_path, url, keystone, "alice", "shop")
        bob = Mistral(tmp_path, url, keystone, "bob", "bank")
        (workflow,) = alice.json("workflow-create", "wf.yaml")
        assert not any(row["Name"] == "wf" for row in bob.json("workflow-list"))
        alice.json("member-create", workflow["ID"], "workflow", bank)
        bob.json("member-update", workflow["ID"], "workflow", "-m", bank, "-s", "accepted")
        assert [row["Name"] for row in bob.json("workflow-list")] == ["wf"]
        assert alice.json("execution-create", "wf")["Workflow name"] == "wf"
        assert not any(row["ID"] for row in bob.json("execution-list"))
        alice.json("cron-trigger-create", "nightly", "wf", "--pattern", "0 3 * * *")
        (trust,) = keystone.call("GET", "/OS-TRUST/trusts")[1]["trusts"]
        assert trust["project_id"] == workflow["Project ID"]
        assert alice.ended("cron-trigger-delete", "nightly").returncode == 0
        assert keystone.call("GET", "/OS-TRUST/trusts")[1]["trusts"] == []
        stranger = Mistral(tmp_path, url, keystone, "alice", "bank")
        assert stranger.ended("workflow-list").returncode != 0
