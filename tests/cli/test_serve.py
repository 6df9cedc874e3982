"""``tramontane serve`` as operators see it: its ready line, its refusals, its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli import program
from tests.cli.program import assert_one_clear_line

from tramontane.cli.db import shown_url
from tramontane.cli.listener import bind

READY = re.compile(r"Tramontane is ready at (http://127\.0\.0\.1:\d+) \(database (.+)\)\n")
FLOW = "version: '2.0'\ngreet:\n  tasks:\n    say: {action: std.noop}\n"


@contextmanager
def service(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a service on a free port with a database in ``folder``; gives the process and the URL."""
    arguments = ["serve", "--port", "0", "--database", "sqlite:///state.sqlite", *options]  # the last counts
    with program.started(arguments, folder) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready = READY.fullmatch(line)
        assert ready, line + program.ended(process).err
        yield process, ready.group(1)


def call(url: str, text: str | None = None, kind: str = "text/plain") -> Any:
    data = None if text is None else text.encode()
    request = urllib.request.Request(url, data, {"content-type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["server"] is None
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_when_asked_to(tmp_path: Path, number: int) -> None:
    with service(tmp_path) as (process, url):
        assert call(f"{url}/v2")
        process.send_signal(number)
        end = program.ended(process)
    assert end.status == 0
    assert "Traceback" not in end.err
    assert (tmp_path / "state.sqlite").exists()


def test_what_was_answered_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    with service(tmp_path) as (process, url):
        call(f"{url}/v2/workflows", FLOW)
        process.kill()
        process.wait()
    with service(tmp_path) as (_, url):
        assert call(f"{url}/v2/workflows/greet")["name"] == "greet"


def test_a_database_of_a_server_is_made_ready_and_served(empty_mariadb_url: str, tmp_path: Path) -> None:
    made = program.run("db", "upgrade", "--database", empty_mariadb_url, cwd=tmp_path)
    assert (made.status, made.err) == (0, "")
    with service(tmp_path, "--database", empty_mariadb_url) as (process, url):
        call(f"{url}/v2/workflows", FLOW)
        started = call(f"{url}/v2/executions", json.dumps({"workflow_name": "greet"}), "application/json")
        process.kill()
        process.wait()
    with service(tmp_path, "--database", empty_mariadb_url) as (process, url):
        assert call(f"{url}/v2/executions/{started['id']}?wait=30")["state"] == "SUCCESS"
        process.send_signal(signal.SIGTERM)
        end = program.ended(process)
    assert end.status == 0
    assert "Traceback" not in end.err


def test_requests_are_not_logged_and_nothing_but_the_ready_line_is_printed(tmp_path: Path) -> None:
    with service(tmp_path) as (process, url):
        call(f"{url}/v2/workflows")
        process.terminate()
        end = program.ended(process)
    assert end.out == ""
    assert "GET" not in end.err


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        end = program.run("serve", "--port", str(port), cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)
    assert f"127.0.0.1:{port}: Address already in use" in end.err
    assert not any(tmp_path.iterdir()), "a database was made by a service that can't serve"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "no database URL"),
        ("oracle://db/x", "'oracle' aren't supported"),
        ("sqlite:////no/such/folder/x.sqlite", "can't be opened"),
        ("postgresql://me:secret@127.0.0.1:1/x", "can't be opened"),
    ],
)
def test_a_database_that_can_not_be_used_is_one_line(tmp_path: Path, url: str, words: str) -> None:
    end = program.run("serve", "--port", "0", "--database", url, cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)
    assert words in end.err
    assert "secret" not in end.err


@pytest.mark.parametrize("content", [b"this is no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_one_line_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(content)
    end = program.run("serve", "--port", "0", "--database", f"sqlite:///{path}", cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)
    assert str(path) in end.err
    assert path.read_bytes() == content


def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with service(tmp_path):
        end = program.run("serve", "--port", "0", "--database", "sqlite:///state.sqlite", cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)


def test_others_than_this_machine_are_not_served_without_authentication(tmp_path: Path) -> None:
    end = program.run("serve", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert end.status == 2
    assert_one_clear_line(end.err)
    assert "--insecure-no-auth" in end.err


def test_unless_the_operator_insists(tmp_path: Path) -> None:
    arguments = ["serve", "--host", "0.0.0.0", "--port", "0", "--insecure-no-auth", "--database", "sqlite://"]
    with program.started(arguments, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Tramontane is ready at http://0.0.0.0:")


def test_a_setting_that_can_not_be_used_names_where_it_was_given(tmp_path: Path) -> None:
    end = program.run("serve", cwd=tmp_path, TRAMONTANE_PORT="many")
    assert end.status == 2
    assert "TRAMONTANE_PORT" in end.err
    assert "Traceback" not in end.err


def test_an_option_beats_the_environment_and_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        'port = 1\ndatabase = "sqlite:///state.sqlite"\n', encoding="utf-8"
    )
    arguments = ["serve", "--config-file", "settings.toml", "--port", "0"]
    with program.started(arguments, tmp_path, TRAMONTANE_PORT="2") as process:
        assert process.stdout is not None
        ready = READY.fullmatch(process.stdout.readline())
    assert ready is not None
    assert ready.group(2) == "sqlite:///state.sqlite"


def test_the_database_is_shown_without_its_password() -> None:
    assert shown_url("postgresql://me:secret@db/x") == "postgresql://me:***@db/x"


def test_db_upgrade_makes_the_tables_and_may_be_repeated(tmp_path: Path) -> None:
    first = program.run("db", "upgrade", "--database", "sqlite:///state.sqlite", cwd=tmp_path)
    assert (first.status, first.err) == (0, "")
    assert program.run("db", "upgrade", "--database", "sqlite:///state.sqlite", cwd=tmp_path) == first


def test_db_upgrade_of_nonsense_is_one_line(tmp_path: Path) -> None:
    end = program.run("db", "upgrade", "--database", "nonsense", cwd=tmp_path)
    assert end.status == 1
    assert_one_clear_line(end.err)


def test_an_open_event_stream_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    waiting = "version: '2.0'\nwf: {tasks: {t: {action: std.async_noop}}}\n"
    with service(tmp_path, "--shutdown-grace-seconds", "1000") as (process, url):
        call(f"{url}/v2/workflows", waiting)
        start = urllib.request.Request(
            f"{url}/v2/executions", b'{"workflow_name": "wf"}', {"content-type": "application/json"}
        )
        with urllib.request.urlopen(start, timeout=60) as answer:
            execution_id = json.load(answer)["id"]
        with urllib.request.urlopen(f"{url}/v2/executions/{execution_id}/events", timeout=60) as stream:
            assert stream.readline() == b"retry: 2000\n"
            process.send_signal(signal.SIGTERM)
            assert b"event: end" not in stream.read()
        assert program.ended(process).status == 0
