"""A real Keystone for tests: installed from the package index into an environment of its own, on SQLite.

The environment is ``.venv-keystone`` of the checkout, made at the first need and kept, or the one that the
variable TRAMONTANE_TEST_KEYSTONE names. Where it can't be made, tests that need it are skipped.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import urllib.request
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "TRAMONTANE_TEST_KEYSTONE"
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("keystone>=29,<31",)
INSTALL_SECONDS = 600
COMMAND_SECONDS = 120
PASSWORD = "s3cret of the administrator"

_SETTINGS = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{folder}/keystone.sqlite
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/receipts
[credential]
key_repository = {folder}/credential
[identity]
password_hash_algorithm = scrypt
"""

_SERVE = """
import logging
from werkzeug.serving import make_server
from keystone.server.wsgi import initialize_public_application
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, initialize_public_application(), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


def programs() -> Path:
    """The environment's folder of programs; made if it isn't there."""
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else ROOT / ".venv-keystone"
    if not given:
        _install(folder)
    return folder / "bin"


def _install(folder: Path) -> None:
    stamp = folder / ".installed"
    with (ROOT / ".venv-keystone.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == repr(PACKAGES):
            return
        try:
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *PACKAGES]
            subprocess.run(pip, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"no Keystone: it can't be installed ({error}); set {VARIABLE} to where it is")
        stamp.write_text(repr(PACKAGES))


@dataclass(frozen=True)
class Keystone:
    """A running Keystone and its administrator's token."""

    url: str
    admin: str

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, subject: str = ""
    ) -> tuple[Mapping[str, str], Any]:
        """Send a request, maybe about the token ``subject``; gives headers and JSON."""
        headers = {"Content-Type": "application/json", "X-Auth-Token": token or self.admin}
        if subject:
            headers["X-Subject-Token"] = subject
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v3{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=COMMAND_SECONDS) as answer:
            content = answer.read()
            return answer.headers, json.loads(content) if content else None

    def project(self, name: str) -> str:
        """Make a project; gives its id."""
        return str(self.call("POST", "/projects", {"project": {"name": name}})[1]["project"]["id"])

    def user(self, name: str, project_id: str, *roles: str) -> str:
        """Make a user with roles in a project, whose password is ``pw``; gives its id."""
        user = self.call("POST", "/users", {"user": {"name": name, "password": "pw"}})[1]["user"]["id"]
        known = {role["name"]: role["id"] for role in self.call("GET", "/roles")[1]["roles"]}
        for role in roles:
            self.call("PUT", f"/projects/{project_id}/users/{user}/roles/{known[role]}")
        return str(user)

    def token(self, user: str, project: str | None, password: str = "pw") -> str:
        """A token of a user for a project (None: bound to none)."""
        return sign_in(self.url, user, project, password)


def sign_in(url: str, user: str, project: str | None, password: str) -> str:
    domain = {"id": "default"}
    who = {"name": user, "domain": domain, "password": password}
    scope = "unscoped" if project is None else {"project": {"name": project, "domain": domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}
    headers, _ = Keystone(url, "").call("POST", "/auth/tokens", body, token="-")
    return headers["X-Subject-Token"]


@contextmanager
def running(folder: Path) -> Iterator[Keystone]:
    """Set up a Keystone in ``folder`` and run it."""
    found = programs()
    (folder / "keystone.conf").write_text(_SETTINGS.format(folder=folder))
    environment = {**os.environ, "OS_KEYSTONE_CONFIG_DIR": str(folder)}
    environment.pop("PYTHONPATH", None)
    whose = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
    for words in (
        ["db_sync"],
        ["fernet_setup", *whose],
        ["bootstrap", "--bootstrap-password", PASSWORD],
    ):
        command = [str(found / "keystone-manage"), "--config-file", str(folder / "keystone.conf"), *words]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [str(found / "python"), "-c", _SERVE], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    )
    with log, server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, (folder / "log").read_text()
            url = f"http://127.0.0.1:{port}"
            yield Keystone(url, sign_in(url, "admin", "admin", PASSWORD))
        finally:
            server.kill()
