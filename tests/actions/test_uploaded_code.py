"""Uploaded code in its process: what it gets, what it gives, and how it is ended."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tramontane.actions.uploaded import ProcessLimits, UploadedCode
from tramontane.results import Result
from tramontane.values import FrozenDict, freeze

HEAD = "import asyncio, dataclasses, datetime, os, subprocess, sys, threading, time\n"
CONSTRUCTOR = "class A:\n    def __init__(self, **given):\n        self.given = given\n"


def code(text: str, limits: ProcessLimits) -> UploadedCode:
    async def load(name: str) -> Mapping[str, Any] | None:
        return FrozenDict(module="module", code=HEAD + text) if name == "hash" else None

    return UploadedCode(load, limits)


async def run(text: str, given: Mapping[str, Any] | None = None, **more: Any) -> Result | None:
    context = freeze(more.pop("context", {}))
    limits = more.pop("limits", ProcessLimits())
    return await code(text, limits).run(
        "python:hash:A", freeze(given or {}), context, more.pop("seconds", None), **more
    )


def outcome(text: str, given: Mapping[str, Any] | None = None, **more: Any) -> Result | None:
    return asyncio.run(run(text, given, **more))


def body(*lines: str) -> str:
    """A class whose ``run`` consists of these lines."""
    inner = "\n".join(f"        {line}" for line in lines)
    return f"{CONSTRUCTOR}    def run(self, context):\n{inner}\n"


def test_it_gets_its_input_and_gives_its_result() -> None:
    given = {"x": [1, {"y": "é"}], "n": None}
    assert outcome(body("self.given['x'].append(2)", "return self.given"), given) == Result(
        freeze({"x": [1, {"y": "é"}, 2], "n": None})
    )


def test_results_are_turned_into_json_as_with_other_actions() -> None:
    assert outcome(body("return datetime.datetime(2026, 1, 2, 3, 4, 5)")) == Result("2026-01-02T03:04:05")
    assert outcome(body("return (i for i in range(3))")) == Result(freeze([0, 1, 2]))


def test_it_may_be_a_coroutine() -> None:
    text = "class A:\n    async def run(self, context):\n        await asyncio.sleep(0)\n        return 7\n"
    assert outcome(text) == Result(7)


def test_it_knows_what_it_runs_for() -> None:
    text = body("return [context.execution.task_name, context.security.project_id, context.dry_run]")
    context = {"execution": {"task_name": "t"}, "security": {"project_id": "p"}}
    assert outcome(text, context=context) == Result(freeze(["t", "p", False]))


def test_an_asynchronous_one_waits_for_its_report() -> None:
    assert outcome(body("return 1") + "    def is_sync(self):\n        return False\n") is None


def test_a_dry_run_calls_test() -> None:
    text = "class A:\n    def run(self, context):\n        return 'run'\n"
    assert outcome(text, dry_run=True) == Result(None)
    assert outcome(text + "    def test(self, context):\n        return 'test'\n", dry_run=True) == Result(
        "test"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (body("raise ValueError('no such thing')"), "no such thing"),
        (body("sys.exit(3)"), "3"),
        ("class B: pass\n", "no class 'A'"),
        ("A = 7\n", "must be a class"),
        ("class A: pass\n", "method run"),
        ("raise RuntimeError('at the top')\n", "at the top"),
        ("import no_such_module_anywhere\n", "no_such_module_anywhere"),
        ("class A(:\n", "SyntaxError"),
        (body("return object"), "can't be stored"),
        (body("os.abort()"), "by signal 6"),
        (body("os._exit(5)"), "with status 5"),
        (body("os._exit(0)"), "no result"),
    ],
)
def test_whatever_goes_wrong_is_the_actions_error(text: str, expected: str) -> None:
    result = outcome(text)
    assert result is not None
    assert result.state == "ERROR"
    assert expected in result.error


def test_wrong_input_is_not_repeated_in_the_error() -> None:
    result = outcome(
        "class A:\n    def __init__(self, a):\n        int(a)\n    def run(self, c):\n        pass\n",
        {"a": "secret"},
    )
    assert result is not None
    assert result.state == "ERROR"
    assert "secret" not in result.error


def test_what_is_printed_is_no_part_of_the_result() -> None:
    text = body(
        "print('noise')", "os.write(1, b'more noise')", "subprocess.run(['echo', 'noise'])", "return 1"
    )
    assert outcome(text) == Result(1)


def test_the_services_variables_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAMONTANE_DATABASE", "postgresql://user:password@host/db")
    result = outcome(body("return sorted(os.environ)"))
    assert result is not None
    assert "TRAMONTANE_DATABASE" not in result.data
    assert "HOME" in result.data


def test_it_works_in_a_folder_of_its_own_that_is_gone_afterwards() -> None:
    result = outcome(body("open('file', 'w').write('x')", "return [os.getcwd(), os.listdir('.')]"))
    assert result is not None
    folder, files = result.data
    assert files == ["file"]
    assert not Path(folder).exists()


def test_it_ends_at_its_time_limit() -> None:
    assert outcome(body("time.sleep(600)"), seconds=0.5) == Result(error="Timeout after 0.5 seconds")


def test_with_it_ends_what_it_has_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    lines = (
        "child = subprocess.Popen(['sleep', '600'])",
        f"open({str(pid)!r}, 'w').write(str(child.pid))",
        "threading.Thread(target=time.sleep, args=(600,)).start()",
        "return 'done'",
    )
    assert outcome(body(*lines)) == Result("done")
    assert ended(int(pid.read_text()))


def test_a_run_that_nobody_wants_any_more_is_ended(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    lines = (f"open({str(begun)!r}, 'w').write(str(os.getpid()))", "time.sleep(600)")

    async def cancel() -> int:
        running = asyncio.create_task(run(body(*lines)))
        pid = await asyncio.to_thread(begun.read_text)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return int(pid)

    assert ended(asyncio.run(cancel()))


def ended(pid: int) -> bool:
    """Wait for the end of a process that was killed."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(process):
        return bool(select.select([process], [], [], 60)[0])


def test_memory_and_results_are_bounded() -> None:
    small = ProcessLimits(memory=2**30, result=1000)
    greedy = outcome(body("x = bytearray(2 ** 31)", "return len(x)"), limits=small)
    assert greedy is not None
    assert greedy.state == "ERROR"
    assert outcome(body("return 'x' * 2000"), limits=small) == Result(
        error="The action's result is too large."
    )


def test_no_more_processes_run_than_allowed(tmp_path: Path) -> None:
    lines = (
        f"mine = os.path.join({str(tmp_path)!r}, str(os.getpid()))",
        "open(mine, 'w').close()",
        f"seen = len(os.listdir({str(tmp_path)!r}))",
        "os.remove(mine)",
        "return seen",
    )

    async def many() -> list[Result | None]:
        runner = code(body(*lines), ProcessLimits(processes=1))
        runs = [runner.run("python:hash:A", FrozenDict(), FrozenDict(), None) for _ in range(3)]
        return await asyncio.gather(*runs)

    assert asyncio.run(many()) == [Result(1)] * 3


def test_code_that_is_not_stored_any_more_is_told() -> None:
    result = asyncio.run(code("", ProcessLimits()).run("python:gone:A", FrozenDict(), FrozenDict(), None))
    assert result is not None
    assert "isn't stored any more" in result.error


def test_dataclasses_work() -> None:
    text = "@dataclasses.dataclass\nclass A:\n    x: int\n    def run(self, context): return self.x + 1\n"
    assert outcome(text, {"x": 1}) == Result(2)
