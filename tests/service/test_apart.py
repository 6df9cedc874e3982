"""Work in a process of its own: its result, its errors, its death."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest

from tramontane.errors import NotFoundError, TramontaneError
from tramontane.service import apart
from tramontane.service.apart import ProcessDiedError, run_apart
from tramontane.values import freeze


def refuse() -> None:
    raise NotFoundError("there is none")


def break_down() -> None:
    raise ZeroDivisionError("a bug")


def sleep() -> None:
    threading.Event().wait()


def test_it_gives_what_the_work_gives_and_changes_nothing_here() -> None:
    here: list[int] = []

    def work() -> Any:
        here.append(os.getpid())
        return freeze({"list": [1, 2]}), os.getpid()

    value, pid = asyncio.run(run_apart(work))
    assert (value, here) == ({"list": [1, 2]}, [])
    assert pid != os.getpid()


def test_errors_come_back_and_those_that_nobody_foresaw_as_text() -> None:
    with pytest.raises(NotFoundError, match="there is none"):
        asyncio.run(run_apart(refuse))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        asyncio.run(run_apart(break_down))
    with pytest.raises(RuntimeError, match="pickle"):
        asyncio.run(run_apart(lambda: threading.Lock()))


@pytest.mark.parametrize(
    ("death", "how"),
    [
        (os.abort, "by signal 6"),
        (lambda: os._exit(7), "with status 7"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "by signal 9"),
    ],
    ids=["abort", "exit", "kill"],
)
def test_its_death_is_told(death: Any, how: str) -> None:
    with pytest.raises(ProcessDiedError, match=how):
        asyncio.run(run_apart(death))


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_SECONDS", 0.1)
    with pytest.raises(ProcessDiedError, match=r"did not answer within 0\.1 seconds"):
        asyncio.run(run_apart(sleep))


def test_memory_without_end_ends_the_work_not_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_MEMORY", 64 * 2**20)
    with pytest.raises(RuntimeError, match="MemoryError"):
        asyncio.run(run_apart(lambda: len(bytearray(2**30))))


def test_connections_are_not_kept_open_by_it() -> None:
    reading, writing = os.pipe()
    try:

        def work() -> str:
            try:
                os.fstat(writing)
            except OSError:
                return "closed"
            return "open"

        assert asyncio.run(run_apart(work)) == "closed"
    finally:
        os.close(reading)
        os.close(writing)


def test_an_error_that_can_not_travel_leaves_its_text() -> None:
    class Local(TramontaneError):
        pass

    def work() -> None:
        raise Local("cannot be pickled")

    with pytest.raises(TramontaneError, match="cannot be pickled"):
        asyncio.run(run_apart(work))
