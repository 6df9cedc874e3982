"""Running uploaded Python: each run in a process of its own (action specification, section 12).

The process gets the module, the input and the context over its standard input, and gives back the
result (:mod:`tramontane.actions.uploaded_process`). It knows nothing else of the service: an empty
folder that is deleted afterwards, an environment without the service's variables, limits on memory,
files and open descriptors, a session of its own, so that it ends with everything that it started.
It is no sandbox, though: the code has the rights of the user that the service runs as, which is why
only administrators may upload any.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tramontane.results import Result
from tramontane.values import decode, encode, freeze

log = logging.getLogger(__name__)

PREFIX: Final = "python:"
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")

_IMPORTED_FROM: Final = tuple(str(Path(path).absolute()) for path in sys.path if path)

Load = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""Gives ``{"module": name, "code": text}`` by the hash of it; None: it isn't there."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """``processes`` at the same time; ``memory`` and ``file`` in bytes, ``result`` as JSON text."""

    processes: int = 8
    memory: int = 4 * 2**30
    file: int = 2**30
    open_files: int = 256
    result: int = 64 * 2**20


class UploadedCode:
    """Runs classes of uploaded modules, named ``python:<hash>:<class>``."""

    def __init__(self, load: Load, limits: ProcessLimits = ProcessLimits()) -> None:
        self._load = load
        self._limits = limits
        self._free = asyncio.Semaphore(limits.processes)

    @staticmethod
    def is_code(name: str) -> bool:
        """Tell whether an action's name stands for uploaded code."""
        return name.startswith(PREFIX)

    async def run(
        self,
        name: str,
        given: Mapping[str, Any],
        context: Mapping[str, Any],
        seconds: float | None,
        *,
        dry_run: bool = False,
    ) -> Result | None:
        """Run an action to its end; ``seconds`` count from the start of its process.

        Returns:
            The result; None for an asynchronous action that now waits for it to be reported.

        Raises:
            asyncio.CancelledError: when the caller was cancelled; the process is ended.
        """
        spec_hash, _, class_name = name.removeprefix(PREFIX).partition(":")
        module = await self._load(spec_hash)
        if module is None:
            return Result(error=f"The code of the action isn't stored any more [class={class_name}]")
        order = {
            "module": module["module"],
            "code": module["code"],
            "class": class_name,
            "input": given,
            "context": context,
            "dry_run": dry_run,
            "limits": [self._limits.memory, self._limits.file, self._limits.open_files],
        }
        async with self._free:
            limit = seconds if seconds is not None and seconds > 0 else None
            try:
                async with asyncio.timeout(limit):
                    answer = await self._ask(encode(order).encode())
            except TimeoutError:
                return Result(error=f"Timeout after {limit:g} seconds")
        return _result(answer, class_name)

    async def _ask(self, order: bytes) -> bytes | int:
        """Have a process do it: what it answers, or how it ended without an answer."""
        with tempfile.TemporaryDirectory(prefix="tramontane-action-", ignore_cleanup_errors=True) as folder:
            process = await _start(folder)
            try:
                return await self._talk(process, order)
            finally:
                await _end(process)

    async def _talk(self, process: Process, order: bytes) -> bytes | int:
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(ConnectionError):  # it ended before it read: its status tells
            process.stdin.write(order)
            await process.stdin.drain()
            process.stdin.close()
        answer = bytearray()
        while piece := await process.stdout.read(2**16):
            answer += piece
            if len(answer) > self._limits.result:
                return encode({"error": "The action's result is too large."}).encode()
        status = await process.wait()
        return bytes(answer) if status == 0 else status


async def _start(folder: str) -> Process:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment["HOME"] = environment["TMPDIR"] = folder
    environment["PYTHONPATH"] = os.pathsep.join(_IMPORTED_FROM)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-B", "-P", "-s", "-m", "tramontane.actions.uploaded_process"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


async def _end(process: Process) -> None:
    """End the process with everything that it started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _result(answer: bytes | int, class_name: str) -> Result | None:
    if isinstance(answer, int):
        log.warning("process of uploaded code ended class=%s status=%d", class_name, answer)
        how = f"by signal {-answer}" if answer < 0 else f"with status {answer}"
        return Result(error=f"The process of the action ended {how} [class={class_name}]")
    try:
        data = decode(answer.decode())
    except ValueError:
        return Result(error=f"The process of the action gave no result [class={class_name}]")
    if data is None:
        return None
    return Result(freeze(data.get("data")), freeze(data.get("error")), bool(data.get("cancel")))
