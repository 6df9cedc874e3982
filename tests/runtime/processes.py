"""``tramontane serve`` in processes of their own, which may be of another version, or have plug-ins."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli import program
from tests.service.harness import PATIENCE

READY = re.compile(r"Tramontane is ready at (http://127\.0\.0\.1:\d+) ")

_SETTINGS = {
    "TRAMONTANE_HTTP_DENIED_CIDRS": "",
    "TRAMONTANE_HEARTBEAT_SECONDS": "0.2",
    "TRAMONTANE_LEASE_SECONDS": "3",
    "TRAMONTANE_SHUTDOWN_GRACE_SECONDS": "5",
}
_COMMAND = "from tramontane.cli import main\nmain()\n"


@dataclass(eq=False)
class Served:
    """A node; ``call`` gives status and content."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        kind = "text/plain" if isinstance(body, str) else "application/json"
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v2{path}", data, {"content-type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {**json.load(error), "retry-after": error.headers.get("retry-after")}

    def upload(self, text: str) -> None:
        status, answer = self.call("POST", "/workflows", "version: '2.0'\n" + text)
        assert status == 201, answer

    def start(self, workflow: str, **body: Any) -> str:
        status, answer = self.call("POST", "/executions", {"workflow_name": workflow, **body})
        assert status == 201, answer
        return str(answer["id"])

    def execution(self, execution_id: str) -> dict[str, Any]:
        status, answer = self.call("GET", f"/executions/{execution_id}")
        assert status == 200, answer
        found: dict[str, Any] = answer
        return found

    def ended(self, execution_id: str) -> str:
        """Wait for the end of an execution; give its state."""
        eventually(lambda: self.execution(execution_id)["state"] not in ("RUNNING", "PAUSED"))
        return str(self.execution(execution_id)["state"])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def a_node(
    folder: Path, database: str, *, before: str = "", plugins: Path | None = None, **settings: str
) -> Iterator[Served]:
    """Run a node; ``before`` is Python that makes it another version, ``plugins`` a folder of packages."""
    number = len(list(folder.glob("node-*.log")))
    log = folder / f"node-{number}.log"
    environment = program.environment(**_SETTINGS | settings)
    environment["TRAMONTANE_LOAD_ACTION_PLUGINS"] = "false" if plugins is None else "true"
    if plugins is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(plugins), environment["PYTHONPATH"]])
    options = ["serve", "--port", "0", "--database", database]
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", before + _COMMAND, *options],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    try:
        ready = READY.match(process.stdout.readline())
        assert ready, log.read_text(encoding="utf-8")
        yield Served(process, ready.group(1), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that no event tells of."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it doesn't happen"
        time.sleep(0.02)
