"""Decisions in a process of their own: of executions that may have ended the processes that ran them.

The process is forked, because a decision needs what only this one has in memory (compiled definitions, what
was looked up), and gives back nothing but its outcome. The child has one thread, closes every connection
that it inherited, touches no event loop, and ends when it has answered. Whatever happens in it, to memory,
in C code, by its own exit, happens to the child alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tramontane.errors import TramontaneError

if sys.platform != "win32":
    import resource

_SECONDS = 60.0
"""Evaluations have limits of their own; a process that takes longer hangs."""

_MEMORY = 2 * 2**30
"""So much may the child take beyond what the node has."""

_TRIES = 2
"""A child may hang because of what another thread was doing at its birth; hardly twice."""


class ProcessDiedError(Exception):
    """The process of a decision ended without an answer; the message says how."""


async def run_apart(work: Callable[[], Any]) -> Any:
    """Give what ``work`` returns, or raise what it raises, in a process of its own.

    Both have to survive pickling; of an error that doesn't, the text is left.

    Raises:
        ProcessDiedError
    """
    for _ in range(_TRIES):
        pid, answers = _fork(work)
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await asyncio.to_thread(_read, answers)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if not isinstance(error, TimeoutError):
                raise
            continue
        finally:
            status = await _end(pid)
        if not answer:
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise ProcessDiedError(f"the process that decided ended {how}")
        outcome, refusal = pickle.loads(answer)
        if refusal is not None:
            raise refusal
        return outcome
    raise ProcessDiedError(f"the process that decided did not answer within {_SECONDS:g} seconds")


def _fork(work: Callable[[], Any]) -> tuple[int, int]:
    """Start the child; give its pid and where its answer is to be read."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: see above
        pid = os.fork()
    if pid == 0:
        _answer(work, writing)
    os.close(writing)
    return pid, reading


def _answer(work: Callable[[], Any], writing: int) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(int(_SECONDS) + 1)  # should nobody be left to end it
        os.closerange(3, writing)
        os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
        _limit()
        answer = _outcome(work)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        status = 0
    finally:
        os._exit(status)


def _outcome(work: Callable[[], Any]) -> bytes:
    try:
        return pickle.dumps((work(), None))
    except TramontaneError as error:
        return _pickled_error(error)
    except Exception as error:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _pickled_error(error: TramontaneError) -> bytes:
    try:
        pickled = pickle.dumps((None, error))
        pickle.loads(pickled)
    except Exception:
        return pickle.dumps((None, TramontaneError(error.message)))
    return pickled


def _limit() -> None:
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _read(answers: int) -> bytes:
    with os.fdopen(answers, "rb") as pipe:
        return pipe.read()


async def _end(pid: int) -> int:
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    return os.waitstatus_to_exitcode(status)
