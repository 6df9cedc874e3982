"""An event loop of many simulated processes, with virtual time and a seeded choice of what runs next.

Each process is a *lane*: what is ready in it runs in its order, as in a process of its own; which lane
goes next is chosen by chance. A lane can be frozen (its clock goes on, it does nothing) and killed
(nothing of it ever runs again). Time moves only when nothing is ready.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

_LANE: contextvars.ContextVar[Lane] = contextvars.ContextVar("lane")


class Lane:
    """One simulated process, as the loop sees it."""

    def __init__(self, name: str, loop: LaneLoop) -> None:
        self.name = name
        self.ready: deque[asyncio.Handle] = deque()
        self.is_frozen = False
        self.is_dead = False
        self._loop = loop
        self._context = contextvars.copy_context()
        self._context.run(_LANE.set, self)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin something in this process."""
        return self._loop.create_task(work, context=self._context.copy())

    def at(self, when: float, call: Callable[..., Any], *given: Any) -> None:
        """Call something in this process at a moment."""
        self._loop.call_at(when, call, *given, context=self._context)

    def freeze(self) -> None:
        self.is_frozen = True
        self._loop.rest(self)

    def thaw(self) -> None:
        self.is_frozen = False
        self._loop.stir(self)

    def kill(self) -> None:
        """Have nothing of it run any more."""
        self.is_dead = True
        self.ready.clear()
        self._loop.rest(self)


def current_lane() -> Lane:
    """The process that runs at this moment."""
    return _LANE.get()


class LaneLoop:
    """The loop (:class:`asyncio.AbstractEventLoop`), as far as tasks and asyncio's primitives need one."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.steps = 0
        self.errors: list[BaseException] = []
        self._now = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._stirring: list[Lane] = []  # lanes with something ready that aren't frozen
        self._tasks: dict[asyncio.Task[Any], Lane] = {}

    # -- for the simulation ---------------------------------------------------------------

    def lane(self, name: str) -> Lane:
        return Lane(name, self)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the thread's running loop."""
        asyncio._set_running_loop(cast(Any, self))
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def run(self, is_over: Callable[[], bool], until: float) -> bool:
        """Go on until something holds (True), or until a moment."""
        while not is_over():
            if not self._step(until):
                return is_over()
        return True

    def stir(self, lane: Lane) -> None:
        if lane.ready and not lane.is_frozen and lane not in self._stirring:
            self._stirring.append(lane)

    def rest(self, lane: Lane) -> None:
        if lane in self._stirring:
            self._stirring.remove(lane)

    def _step(self, until: float) -> bool:
        """Run one thing; False: nothing is left to run before ``until``."""
        stirring = self._stirring
        if not stirring and not self._pass_time(until):
            return False
        place = int(self.chance.random() * len(stirring)) if len(stirring) > 1 else 0
        lane = stirring[place]
        handle = lane.ready.popleft()
        if not lane.ready:
            stirring.pop(place)
        if not handle.cancelled():
            self.steps += 1
            handle._run()
        return True

    def _pass_time(self, until: float) -> bool:
        """Go to the next moment at which something can run."""
        due = self._due
        while due and not self._stirring:
            when, _, timer = heapq.heappop(due)
            if timer.cancelled() or (lane := _lane_of(timer)).is_dead:
                continue
            if when > until:
                heapq.heappush(due, (when, next(self._numbers), timer))
                return False
            self._now = max(self._now, when)
            self._make_ready(lane, timer)
        return bool(self._stirring)

    def _make_ready(self, lane: Lane, handle: asyncio.Handle) -> None:
        if lane.is_dead:
            return
        lane.ready.append(handle)
        if len(lane.ready) == 1 and not lane.is_frozen:
            self._stirring.append(lane)

    def end(self) -> None:
        """Cancel whatever is still under way, so that nothing is left behind."""
        for task, lane in list(self._tasks.items()):
            if not task.done():
                lane.is_dead = lane.is_frozen = False
                self.stir(lane)
                task.cancel()
        self.run(lambda: all(task.done() for task in self._tasks), self._now + 60)

    # -- for asyncio ----------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, cast(Any, self), context)
        self._make_ready(context[_LANE], handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        context = contextvars.copy_context() if context is None else context
        timer = asyncio.TimerHandle(when, callback, args, cast(Any, self), context)
        heapq.heappush(self._due, (when, next(self._numbers), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the heap until its time."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast(Any, self))

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        context = contextvars.copy_context() if context is None else context
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=cast(Any, self), name=name, context=context)
        self._tasks[task] = context[_LANE]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self.errors.append(error)


def _lane_of(handle: asyncio.Handle) -> Lane:
    return cast(Lane, cast(Any, handle)._context[_LANE])
