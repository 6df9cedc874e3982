"""Running one action: in the event loop or a thread, with an end to it (action specification, section 8).

:class:`ActionRunner` takes a descriptor and input and gives back the result, whatever the action
does: exceptions, results that can't be stored, time limits and cancellation all end in a
:class:`Result`. It stores nothing and knows nothing of executions; executors call it.

Coroutines run in the caller's event loop. Everything of a plain class (its constructor, ``run``
and the conversion of its result) happens in a thread, since it may block. A thread can't be
stopped: when nobody waits for it any more, ``interrupted`` is set on the action, its slot is given
to the next one, and it is left to end by itself. Only a limited number may be left behind that
way; beyond it a slot stays taken until its thread really ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tramontane.actions.base import ActionContext, ActionError, failure_of, unusable_result_text
from tramontane.actions.masking import scrub, secrets_in
from tramontane.actions.registry import Descriptor, InstantiationError
from tramontane.actions.serialization import storable_result
from tramontane.results import Result
from tramontane.values import UnstorableValueError

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_GRACE = 1.0  # seconds that a cancelled coroutine gets for cleaning up


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """Plain code that returned an awaitable: the event loop has to go on with it."""

    awaitable: Awaitable[Any]


class ActionRunner:
    """Runs actions; ``threads`` bounds how many plain-Python ones run at the same time."""

    def __init__(self, threads: int = 32) -> None:
        self._slots = _ThreadSlots(threads)
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def run_action(
        self,
        descriptor: Descriptor,
        given: Mapping[str, Any],
        context: ActionContext,
        timeout: float | None = None,  # noqa: ASYNC109 - it must end actions that ignore cancellation too
    ) -> Result | None:
        """Run an action to its end and return its result, its content frozen.

        ``timeout`` counts seconds from the moment the action starts (not while it waits for a
        thread); None or 0 and below: no limit. With ``context.dry_run`` its ``test`` runs instead.

        Returns:
            The result; None for an asynchronous action that now waits for it to be reported.

        Raises:
            asyncio.CancelledError: when the caller was cancelled; the action is interrupted.
        """
        run = _Run(descriptor, given, context)
        if inspect.iscoroutinefunction(run.entry):
            return await self._limited(run, run.in_loop(), timeout)
        async with self._slots.free() as slot:
            return await self._limited(run, run.in_thread(slot), timeout)

    async def _limited(
        self, run: _Run, work: Awaitable[Result | None], seconds: float | None
    ) -> Result | None:
        task = asyncio.ensure_future(work)
        limit = seconds if seconds is not None and seconds > 0 else None
        try:
            await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            await self._abandon(run, task)
            raise
        if not task.done():
            await self._abandon(run, task)
            log.warning("action %s timed out after %s seconds [%s]", run.name, _number(limit), run.action_id)
            return Result(error=f"Timeout after {_number(limit)} seconds")
        if task.cancelled():
            return run.failed(asyncio.CancelledError("The action cancelled itself."))
        return task.result()

    async def _abandon(self, run: _Run, task: asyncio.Future[Any]) -> None:
        run.interrupt()
        if isinstance(task, asyncio.Task):
            self._abandoned.add(task)
            task.add_done_callback(self._forget)
        task.cancel()
        await asyncio.wait({task}, timeout=_GRACE)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio doesn't report it as never retrieved


class _Run:
    """One run: the action object once there is one, and the steps from input to result."""

    def __init__(self, descriptor: Descriptor, given: Mapping[str, Any], context: ActionContext) -> None:
        self._descriptor = descriptor
        self._given = given
        self._context = context
        self._action: Any = None
        self._interrupted = False

    @property
    def name(self) -> str:
        return self._descriptor.name

    @property
    def action_id(self) -> str | None:
        return self._context.execution.action_execution_id

    @property
    def entry(self) -> Callable[[Any], Any] | None:
        """The method of the class that does the work: ``run``, or ``test`` in a dry run."""
        method: Callable[[Any], Any] | None
        method = getattr(self._descriptor.action_class, "test" if self._context.dry_run else "run", None)
        return method

    def interrupt(self) -> None:
        self._interrupted = True
        if self._action is not None:
            with contextlib.suppress(Exception):  # a class may refuse the attribute
                self._action.interrupted = True

    async def in_loop(self) -> Result | None:
        try:
            outcome = self._call()
            if inspect.isawaitable(outcome):
                outcome = await outcome
            return self._result(outcome)
        except (Exception, SystemExit) as error:
            return self.failed(error)

    async def in_thread(self, slot: _Slot) -> Result | None:
        try:
            outcome = await slot.run(self._blocking)
            if isinstance(outcome, _Unfinished):
                return self._result(await outcome.awaitable)
            return outcome
        except (Exception, SystemExit) as error:
            return self.failed(error)

    def _blocking(self) -> Result | _Unfinished | None:
        try:
            outcome = self._call()
            return _Unfinished(outcome) if inspect.isawaitable(outcome) else self._result(outcome)
        except BaseException as error:  # nothing may get out of a thread that belongs to nobody
            return self.failed(error)

    def _call(self) -> Any:
        self._action = self._descriptor.instantiate(self._given)
        if self._interrupted:
            self.interrupt()
            return None
        method = getattr(self._action, "test" if self._context.dry_run else "run", None)
        return None if method is None else method(self._context)

    def _result(self, outcome: Any) -> Result | None:
        result = storable_result(outcome)
        is_error = result.error is not None and not result.cancel
        if self._context.dry_run or is_error or self._is_sync():
            return result
        return None

    def _is_sync(self) -> bool:
        method = getattr(self._action, "is_sync", None)
        return True if method is None else bool(method())

    def failed(self, error: BaseException) -> Result:
        """Turn an exception into the result, and log it without any secret of the input."""
        if isinstance(error, InstantiationError):
            log.warning("%s [%s]", error, self.action_id)
            return Result(error=str(error))
        self._log(error)
        if isinstance(error, UnstorableValueError):
            return Result(error=unusable_result_text(self.name, self.action_id, str(error)))
        result = failure_of(error, self.name, self.action_id)
        try:
            return storable_result(result)
        except UnstorableValueError as unstorable:
            return Result(error=unusable_result_text(self.name, self.action_id, str(unstorable)))

    def _log(self, error: BaseException) -> None:
        secrets = secrets_in(self._given) | secrets_in({"token": self._context.security.auth_token})
        if isinstance(error, ActionError):
            text = scrub(error.message, secrets)
        else:
            text = scrub("".join(traceback.format_exception(error)), secrets)
        log.warning("action %s failed [%s]: %s", self.name, self.action_id, text)


class _ThreadSlots:
    """Bounds the threads in use, and those left behind still running, to ``size`` each."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = asyncio.Semaphore(size)
        self._left_behind = 0

    @contextlib.asynccontextmanager
    async def free(self) -> AsyncIterator[_Slot]:
        """Wait for a slot; on leaving it is free again, unless its thread must first end."""
        await self._free.acquire()
        slot = _Slot()
        try:
            yield slot
        finally:
            self._leave(slot)

    def _leave(self, slot: _Slot) -> None:
        if slot.ended is None or slot.ended.done():
            self._free.release()
        elif self._left_behind < self._size:
            self._left_behind += 1
            slot.ended.add_done_callback(self._returned)
            self._free.release()
        else:
            slot.ended.add_done_callback(lambda _: self._free.release())

    def _returned(self, _: object) -> None:
        self._left_behind -= 1


class _Slot:
    """A place for one thread; ``ended`` is done when its code has come to its end."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[Any] | None = None

    async def run(self, code: Callable[[], _T]) -> _T:
        """Run code that raises nothing in a new thread. Cancelling the caller leaves it running."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[_T] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            outcome = context.run(code)
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(ended.set_result, outcome)

        # A daemon: a plug-in that never returns mustn't keep the process from ending.
        threading.Thread(target=work, name="action", daemon=True).start()
        self.ended = ended
        return await asyncio.shield(ended)


def _number(seconds: float | None) -> str:
    return str(int(seconds)) if seconds is not None and seconds == int(seconds) else str(seconds)
