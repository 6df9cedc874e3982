"""Several nodes of one machine on one address: a small parent that starts them and looks after them.

The parent listens, forks the workers and takes no call itself: whichever worker is idle takes the next
connection, and one that ends leaves none behind that it hasn't taken. Workers share the memory of what was
imported. Parent and worker are joined by a pair of sockets: the worker says that it is ready, the parent
says when to stop, and who finds the other end closed knows that the other is gone. A worker that dies is
started again, after pauses that grow; one that dies again and again ends the service.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

log = logging.getLogger(__name__)

STOP: Final = b"s"
STOP_AT_ONCE: Final = b"f"
READY: Final = b"r"

_STEADY_SECONDS: Final = 60.0
"""A worker that has lived for so long starts with a clean sheet when it dies."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_MOST_DEATHS: Final = 10
"""So many deaths in a row, each soon after the start, and the parent gives up."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

Serve = Callable[[int, socket.socket], int]
"""What a worker does, by its number and its end of the pair; gives the exit status."""


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    pid: int = 0
    line: socket.socket | None = None  # None: it doesn't run
    started_at: float = 0.0
    was_ready: bool = False
    deaths: int = 0  # in a row
    due_at: float = 0.0
    status: int = 0

    @property
    def is_running(self) -> bool:
        return self.line is not None


@dataclass(slots=True)
class Workers:
    """``serve`` runs in each of ``count`` processes; ``when_ready`` is called once all of them serve."""

    count: int
    serve: Serve
    when_ready: Callable[[], None]
    _all: list[_Worker] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _wake: socket.socket = field(init=False)
    _woken: socket.socket = field(init=False)
    _is_announced: bool = False
    _stops: int = 0
    _failed: bool = False

    def __post_init__(self) -> None:
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def run(self) -> int:
        """Run all to their end; 0: they ended because they were asked to, and as they should."""
        gc.freeze()  # what was imported stays in pages that the workers share
        self._all = [_Worker(number) for number in range(1, self.count + 1)]
        self._selector.register(self._woken, selectors.EVENT_READ)
        with self._signals():
            while True:
                self._start_due()
                if not any(worker.is_running for worker in self._all) and self._is_over:
                    break
                for key, _ in self._selector.select(self._pause()):
                    self._hear(key.data)
                self._bury()
        return 1 if self._failed else max(worker.status for worker in self._all)

    @property
    def _is_over(self) -> bool:
        return self._stops > 0 or self._failed

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def note(number: int, _frame: object) -> None:
            if number != signal.SIGCHLD:
                self._stops += 1

        earlier = {number: signal.signal(number, note) for number in _SIGNALS}
        before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in earlier.items():
                signal.signal(number, handler)

    # -- starting -------------------------------------------------------------------------

    def _start_due(self) -> None:
        """Start who should run and doesn't: the first alone, because it may find that nobody can."""
        if self._is_over:
            return
        first = self._all[0]
        wanted = self._all if self._is_announced or first.was_ready else self._all[:1]
        now = time.monotonic()
        for worker in wanted:
            if not worker.is_running and worker.due_at <= now:
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        others = [each.line for each in self._all if each.line is not None]
        pid = os.fork()
        if pid == 0:
            self._become(worker, theirs, [ours, self._wake, self._woken, *others])
        theirs.close()
        ours.setblocking(False)
        worker.pid, worker.line, worker.started_at = pid, ours, time.monotonic()
        self._selector.register(ours, selectors.EVENT_READ, worker)
        log.info("worker started worker=%d pid=%d", worker.number, pid)

    def _become(self, worker: _Worker, line: socket.socket, foreign: Sequence[socket.socket]) -> NoReturn:
        """Be the worker: this is its process."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            for each in foreign:
                each.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent tells
            status = self.serve(worker.number, line)
        except BaseException:
            log.exception("worker failed worker=%d", worker.number)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    # -- hearing --------------------------------------------------------------------------

    def _pause(self) -> float | None:
        """Seconds until somebody is to be started; None: until something happens."""
        if self._is_over:
            return None
        now = time.monotonic()
        due = [worker.due_at - now for worker in self._all if not worker.is_running and worker.deaths]
        return max(0.0, min(due)) if due else None

    def _hear(self, worker: _Worker | None) -> None:
        if worker is None:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            if self._stops:
                self._tell_all(STOP if self._stops == 1 else STOP_AT_ONCE)
            return
        assert worker.line is not None
        with contextlib.suppress(OSError):
            if worker.line.recv(16) == READY:
                worker.was_ready = True
                self._announce()
                return
        self._selector.unregister(worker.line)  # its end is closed: it is about to end

    def _announce(self) -> None:
        if not self._is_announced and all(worker.was_ready for worker in self._all):
            self._is_announced = True
            self.when_ready()

    def _tell_all(self, word: bytes) -> None:
        for worker in self._all:
            if worker.line is not None:
                with contextlib.suppress(OSError):
                    worker.line.send(word)

    # -- ends -----------------------------------------------------------------------------

    def _bury(self) -> None:
        for worker in self._all:
            if worker.is_running:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: _Worker, status: int) -> None:
        assert worker.line is not None
        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.line)
        worker.line.close()
        worker.line = None
        worker.status = status if status >= 0 else 128 - status
        if self._is_over:
            log.info("worker ended worker=%d status=%d", worker.number, status)
        elif not self._is_announced and not worker.was_ready and worker is self._all[0]:
            self._failed = True  # it has said why it can't start; no other one could
        else:
            self._plan_again(worker, status)

    def _plan_again(self, worker: _Worker, status: int) -> None:
        now = time.monotonic()
        lived = now - worker.started_at
        worker.deaths = 1 if lived > _STEADY_SECONDS else worker.deaths + 1
        if worker.deaths >= _MOST_DEATHS:
            self._failed = True
            log.error(
                "worker ended again and again, the service stops worker=%d deaths=%d status=%d: see the log "
                "before each of its ends",
                worker.number,
                worker.deaths,
                status,
            )
            self._tell_all(STOP)
            return
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (worker.deaths - 1))
        worker.due_at = now + pause
        log.error(
            "worker ended and is started again worker=%d status=%d after=%.1f s pause=%.1f s",
            worker.number,
            status,
            lived,
            pause,
        )
