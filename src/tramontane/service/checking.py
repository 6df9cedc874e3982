"""Where documents are checked: small ones in a thread, large ones in a process of their own.

Checking is pure computation and may take seconds for the largest documents; in a process of its own it
delays nothing else. That process is started when it is first needed and ends after a while without
work, because an idle service should be small. It is a plain child that is spoken to over its standard
input and output (:mod:`tramontane.service.checking_process`), one document at a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import struct
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from typing import Final

from tramontane.errors import BadRequestError, DefinitionError, UnavailableError
from tramontane.lang import CheckOptions
from tramontane.service.documents import Checked, Kind, check

log = logging.getLogger(__name__)

LENGTH: Final = struct.Struct(">Q")
"""Head of each message between the two processes: how many bytes follow."""


@dataclass(frozen=True, slots=True)
class CheckingLimits:
    """``thread_bytes``: documents up to this size are checked in a thread; ``seconds``: time for one
    document; ``idle_seconds``: without work for so long the process ends."""

    thread_bytes: int = 8 * 1024
    seconds: float = 120.0
    idle_seconds: float = 60.0
    waiting: int = 32


class Checker:
    """Checks documents without delaying the event loop; close it when done."""

    def __init__(self, limits: CheckingLimits = CheckingLimits()) -> None:
        self._limits = limits
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._end: asyncio.TimerHandle | None = None

    @property
    def has_process(self) -> bool:
        return self._process is not None

    async def check(self, kind: Kind, text: str, options: CheckOptions) -> Checked:
        """Check a document and prepare it for storing.

        Raises:
            DefinitionError: with everything that is wrong with it.
            UnavailableError: too many documents are waiting.
        """
        if len(text) <= self._limits.thread_bytes:
            return await asyncio.to_thread(check, kind, text, options)
        if self._waiting >= self._limits.waiting:
            raise UnavailableError("Too many large documents are waiting to be checked; try again later.", 5)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._check_apart(kind, text, options)
        finally:
            self._waiting -= 1

    async def _check_apart(self, kind: Kind, text: str, options: CheckOptions) -> Checked:
        if self._end is not None:
            self._end.cancel()
            self._end = None
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer = await self._ask(pickle.dumps((kind, text, options)))
        except TimeoutError:
            await self._stop()
            raise BadRequestError(
                f"Checking the document takes longer than {self._limits.seconds:g} seconds."
            ) from None
        except (ConnectionError, asyncio.IncompleteReadError, OSError) as error:
            await self._stop()
            log.warning("the process that checks documents ended", exc_info=error)
            raise BadRequestError("Checking the document needs more resources than there are.") from None
        except BaseException:
            await self._stop()
            raise
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(self._limits.idle_seconds, self._end_idle)
        return _opened(answer)

    async def _ask(self, message: bytes) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await _start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(LENGTH.pack(len(message)))
        process.stdin.write(message)
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        return await process.stdout.readexactly(length)

    def _end_idle(self) -> None:
        """Close the process's input, which makes it end; nobody is using it."""
        self._end = None
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._end is not None:
            self._end.cancel()
        await self._stop()


async def _start() -> Process:
    """Start the process; it finds the package wherever this one found it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tramontane.service.checking_process",
        stdin=PIPE,
        stdout=PIPE,
        env=environment,
        limit=2**20,
    )


def _opened(answer: bytes) -> Checked:
    outcome = pickle.loads(answer)
    if isinstance(outcome, Checked):
        return outcome
    message, problems = outcome
    raise DefinitionError(message, problems)
