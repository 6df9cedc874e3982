"""One shape for background work: rounds, a pause between them, a wake-up that cuts the pause short."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable

from tramontane.errors import UnavailableError

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 30.0
_AWAY_PAUSE = 2.0
"""When the database is back, work must go on soon."""


class Pace:
    """How often to look for what others may have written: often while something goes on, else seldom.

    Wake-ups make others look at once; this is what a lost one costs.
    """

    def __init__(
        self,
        busy: float = 0.1,
        idle: float = 0.5,
        calm: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Seconds between looks; ``calm``: so long after the last sign of work it is idle again."""
        self._busy = busy
        self._idle = idle
        self._calm = calm
        self._monotonic = monotonic
        self._worked_at = -math.inf

    def note(self) -> None:
        """Something goes on."""
        self._worked_at = self._monotonic()

    def __call__(self) -> float:
        return self._busy if self._monotonic() - self._worked_at < self._calm else self._idle


class Loop:
    """Calls ``work`` in rounds; what it returns is the pause before the next, None the usual one.

    A round that fails is logged and tried again, after pauses that grow.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[float | None]],
        pause: float | Callable[[], float],
        *,
        at_once: bool = True,
        longest_pause: float | None = None,
    ) -> None:
        """``pause``: seconds, or what gives them after each round; ``at_once``: the first round begins with
        the start, not a pause later; ``longest_pause``: between tries while the database
        is away (two seconds, or the usual pause if that is longer)."""
        self.name = name
        self._work = work
        self._usual = pause
        self._at_once = at_once
        self._longest_pause = max(self._pause, _AWAY_PAUSE) if longest_pause is None else longest_pause
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._round_over = asyncio.Event()

    @property
    def _pause(self) -> float:
        return self._usual() if callable(self._usual) else self._usual

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Break off the round that is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def wake(self) -> None:
        """Have a round begin now, or once more when one is under way."""
        self._woken.set()

    async def next_round(self) -> None:
        """Wait for the end of the round that begins after this call (or of the one under way)."""
        self._round_over.clear()
        self.wake()
        await self._round_over.wait()

    async def _run(self) -> None:
        failures = 0
        pause = 0.0 if self._at_once else self._pause
        while True:
            await self._rest(pause)
            try:
                wanted = await self._work()
                failures = 0
                pause = self._pause if wanted is None else wanted
            except UnavailableError as error:
                failures += 1
                pause = min(self._longest_pause, self._pause * 2 ** min(failures, 10))
                log.warning("loop %s waits for the database: %s", self.name, error.message)
            except Exception:
                failures += 1
                pause = min(_LONGEST_PAUSE, max(1.0, self._pause) * 2 ** min(failures, 10))
                log.exception("loop %s failed; next try in %.1f s", self.name, pause)
            self._round_over.set()

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)
        else:
            await asyncio.sleep(0)
        self._woken.clear()
