"""``tramontane serve --workers``: several nodes on one address, looked after by their parent."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.cli import program
from tests.cli.program import assert_one_clear_line
from tests.service.harness import PATIENCE, run

READY = re.compile(r"Tramontane is ready at (http://127\.0\.0\.1:\d+) \(database .+, 2 workers\)\n")
FLOW = (
    "version: '2.0'\nwf: {tasks: {a: {action: std.sleep seconds=0, on-success: b}, b: {action: std.noop}}}\n"
)

QUICK = """
import tramontane.cli.workers as workers
workers._FIRST_PAUSE, workers._LONGEST_PAUSE, workers._MOST_DEATHS = 0.01, 0.02, 3
from tramontane.cli import main
main()
"""
"""The command with less patience for workers that die."""


@contextmanager
def service(
    folder: Path, database: str, code: str | None = None, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """Two workers on a free port; gives the parent, the URL and the log."""
    log = folder / "log"
    options = ["serve", "--workers", "2", "--port", "0", "--database", database, "--no-load-action-plugins"]
    command = program.command(*options) if code is None else [sys.executable, "-c", code, *options]
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=program.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        ready = READY.fullmatch(process.stdout.readline())
        assert ready, log.read_text(encoding="utf-8")
        yield process, ready.group(1), log
    finally:
        for pid in [process.pid, *children(process.pid)]:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it doesn't happen"
        time.sleep(0.02)


def call(url: str, body: Any = None) -> Any:
    data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    kind = "text/plain" if isinstance(body, str) else "application/json"
    with urllib.request.urlopen(
        urllib.request.Request(url, data, {"content-type": kind}), timeout=60
    ) as answer:
        return json.load(answer)


def nodes(database: str) -> Counter[str]:
    """The processes in the register, by kind."""

    async def read() -> Counter[str]:
        connection = await asyncpg.connect(database)
        try:
            return Counter(row[0] for row in await connection.fetch("SELECT kind FROM nodes"))
        finally:
            await connection.close()

    return run(read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_are_nodes_of_one_cluster_and_all_end_with_their_parent(
    number: int, postgresql_url: str, tmp_path: Path
) -> None:
    with service(tmp_path, postgresql_url) as (process, url, log):
        assert nodes(postgresql_url) == {"node": 2}
        call(f"{url}/v2/workflows", FLOW)
        for _ in range(6):
            assert call(f"{url}/v2/executions?wait=60", {"workflow_name": "wf"})["state"] == "SUCCESS"
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to all of them
        else:
            process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        said = log.read_text(encoding="utf-8")
        assert nodes(postgresql_url) == {}
    for worker in (1, 2):
        assert re.search(rf"worker={worker} .*node stopped", said), said
    assert "Traceback" not in said
    assert " ERROR " not in said


def test_a_worker_that_dies_is_replaced(postgresql_url: str, tmp_path: Path) -> None:
    with service(tmp_path, postgresql_url, TRAMONTANE_LEASE_SECONDS="2") as (process, url, log):
        before = children(process.pid)
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: len(children(process.pid)) == 2 and before[0] not in children(process.pid))
        assert "worker ended and is started again worker=1 status=-9" in log.read_text(encoding="utf-8")
        eventually(lambda: nodes(postgresql_url) == {"node": 2})
        call(f"{url}/v2/workflows", FLOW)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_worker_that_dies_again_and_again_ends_the_service_with_its_reason(
    postgresql_url: str, tmp_path: Path
) -> None:
    with service(tmp_path, postgresql_url, QUICK) as (process, _, log):
        while process.poll() is None:
            if len(found := children(process.pid)) == 2:
                os.kill(max(found), signal.SIGKILL)  # the one that was started last
            time.sleep(0.02)
        assert process.wait(PATIENCE) == 1
        assert "worker ended again and again, the service stops worker=2 deaths=3" in log.read_text(
            encoding="utf-8"
        )


def test_workers_end_when_their_parent_is_gone(postgresql_url: str, tmp_path: Path) -> None:
    with service(tmp_path, postgresql_url) as (process, _, _log):
        workers = children(process.pid)
        process.kill()
        eventually(lambda: not any(map(is_running, workers)))
        assert nodes(postgresql_url) == {}


def test_several_on_one_file_are_refused(tmp_path: Path) -> None:
    end = program.run("serve", "--workers", "2", "--port", "0", cwd=tmp_path)
    assert end.status == 2
    assert_one_clear_line(end.err)
    assert "belongs to one process" in end.err
    assert not any(tmp_path.iterdir())


def test_a_database_that_can_not_be_used_is_told_once(tmp_path: Path) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/x"
    end = program.run("serve", "--workers", "3", "--port", "0", "--database", url, "--log-level", "error",
                      cwd=tmp_path)  # fmt: skip
    assert end.status == 1
    assert_one_clear_line(end.err)
    assert "can't be opened" in end.err
