"""This process's own life: its row in the register, whose counter a thread of its own keeps moving.

The thread has an event loop and a connection of its own, so that a long computation, or an event loop
that is held up, doesn't make a living process look dead. It listens to the main event loop, too: one
that hasn't answered for a minute reports no result and breaks off no action, so nobody is told any more
that this process lives, and others judge it by their lease. Who was frozen, and is back, is *unsure* for
a while: what it claimed before may be others' by now, and is asked for before it is begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tramontane.errors import UnavailableError
from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.loop import Loop
from tramontane.runtime.recovery import LOCK_SECONDS
from tramontane.service.work import Micros
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_BEATS = 3
"""So many heartbeats that didn't get through make a process doubt; the lease is at least as long."""

_STUCK_SECONDS = 60.0
"""An event loop that hasn't run for so long counts as dead."""

_END_SECONDS = 5.0
"""So long the end of a process waits for a beat whose connection gives no answer."""


class Registered(Protocol):
    """This process in the register (:class:`tramontane.service.work.NodeWork` in a node)."""

    async def register(self, name: str, kind: str, info: FrozenDict) -> Micros: ...
    async def beat(self) -> Micros | None: ...


Pulse = Callable[[], Awaitable[Micros | None]]
"""Moves the counter; gives the database's time, or None: the process isn't in the register any more."""

OpenPulse = Callable[[], AbstractAsyncContextManager[Pulse]]
"""Connects for the sake of the pulse alone, in the event loop that it is called from."""


class Heartbeat:
    """Registers this process and keeps its counter moving."""

    def __init__(
        self,
        work: Registered,
        clock: DatabaseClock | None,
        *,
        name: str,
        kind: str = "node",
        info: FrozenDict,
        seconds: float,
        declared_dead: Callable[[], Awaitable[None]],
        pulse: OpenPulse | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``declared_dead`` is called when others have buried this process, before it goes on as new.

        ``pulse`` None: the main event loop beats itself; nobody judges this process by that.
        """
        self._work = work
        self._clock = clock
        self._name = name
        self._kind = kind
        self._info = info
        self._seconds = seconds
        self._declared_dead = declared_dead
        self._monotonic = monotonic
        self._doubtful_after = min(LOCK_SECONDS, seconds * _BEATS)
        self._beaten_at = -math.inf
        self._unsure_until = -math.inf
        self._is_buried = threading.Event()
        self._thread = None if pulse is None else _Thread(self, pulse, seconds)
        self.loop = Loop("heartbeat", self._look, seconds, at_once=False, longest_pause=seconds)

    async def start(self) -> None:
        await self._register()
        await self.loop.start()
        if self._thread is not None:
            self._thread.start()

    async def stop(self) -> None:
        await self.loop.stop()
        if self._thread is not None:
            await self._thread.stop()

    def is_sure(self) -> bool:
        """Tell whether this process has shown its life so lately that nobody can have buried it."""
        now = self._monotonic()
        return now - self._beaten_at <= self._doubtful_after and now >= self._unsure_until

    def is_beating(self) -> bool:
        """Tell whether this process is in the register and has shown its life lately."""
        is_late = self._monotonic() - self._beaten_at > self._doubtful_after
        return not is_late and not self._is_buried.is_set()

    def was_heard(self, began: float, now: Micros | None) -> None:
        """Take the answer to a beat that ``began`` then; in whatever thread."""
        if now is None:
            self._is_buried.set()
            return
        if began - self._beaten_at > self._doubtful_after:
            self._unsure_until = began + self._doubtful_after
        self._beaten_at = began
        self._correct(now)

    async def _register(self) -> None:
        began = self._monotonic()
        self._correct(await self._work.register(self._name, self._kind, self._info))
        self._beaten_at = began

    async def _look(self) -> float | None:
        if self._thread is None:
            began = self._monotonic()
            self.was_heard(began, await self._work.beat())
        else:
            self._thread.main_is_alive()
        if self._is_buried.is_set():
            log.error("this process was declared dead; it breaks off what it lost and goes on")
            await self._declared_dead()
            self._unsure_until = self._monotonic() + self._doubtful_after
            await self._register()
            self._is_buried.clear()
        return None

    def wake(self) -> None:
        """See at once that this process was buried."""
        self.loop.wake()

    def _correct(self, micros: int) -> None:
        if self._clock is not None:
            self._clock.correct(micros)

    @property
    def is_buried(self) -> bool:
        return self._is_buried.is_set()

    def now(self) -> float:
        return self._monotonic()


class _Thread:
    """Beats in a thread until it is stopped."""

    def __init__(self, heart: Heartbeat, pulse: OpenPulse, seconds: float) -> None:
        self._heart = heart
        self._pulse = pulse
        self._seconds = seconds
        self._patience = max(1.0, seconds * _BEATS)
        self._main: asyncio.AbstractEventLoop | None = None
        self._alive_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def start(self) -> None:
        self._main = asyncio.get_running_loop()
        self._is_stopping = False
        self.main_is_alive()
        self._thread = threading.Thread(target=self._enter, name="heartbeat", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; its connection is closed then, or when the process ends, if it doesn't answer."""
        self._is_stopping = True
        loop, thread = self._loop, self._thread
        if thread is None:
            return
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(self._cancel)
        await asyncio.get_running_loop().run_in_executor(None, thread.join, _END_SECONDS)
        self._thread = None

    def main_is_alive(self) -> None:
        """Note that the main event loop runs."""
        self._alive_at = self._heart.now()

    @property
    def _is_over(self) -> bool:
        """Told to stop, or the event loop is gone for which it beats."""
        return self._is_stopping or self._main is None or self._main.is_closed()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _enter(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        while not self._is_over:
            try:
                async with self._pulse() as pulse:
                    await self._beat_on(pulse)
            except UnavailableError as error:
                log.warning("heartbeat waits for the database: %s", error.message)
            except TimeoutError:
                # A connection may be dead without anybody having said so; a new one tells.
                log.warning("heartbeat got no answer for %g seconds, it connects anew", self._patience)
            except Exception:
                log.exception("heartbeat failed")
            await asyncio.sleep(self._seconds)

    async def _beat_on(self, pulse: Pulse) -> None:
        heart = self._heart
        is_stuck = False
        while not self._is_over:
            was_stuck, is_stuck = is_stuck, heart.now() - self._alive_at > _STUCK_SECONDS
            if is_stuck:
                if not was_stuck:
                    log.error(
                        "the event loop hasn't run for %g seconds: no sign of life any more", _STUCK_SECONDS
                    )
            elif not heart.is_buried:
                began = heart.now()
                async with asyncio.timeout(self._patience):
                    answer = await pulse()
                heart.was_heard(began, answer)
                if heart.is_buried and self._main is not None:
                    self._main.call_soon_threadsafe(heart.wake)
            await asyncio.sleep(self._seconds)
