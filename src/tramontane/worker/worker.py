"""The worker's side of the protocol: polls for actions, runs them, beats, reports.

Its id is made anew at each start, since what an earlier process had begun isn't known to the next. What
it runs stays in ``held`` until the result was taken. A service that can't be reached is tried again; an
action that nobody wants any more is cancelled (one in a thread runs on, and its result is thrown away).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import aiohttp

from tramontane.worker.functions import Function

log = logging.getLogger(__name__)

_PAUSE: Final = 1.0
_WAIT: Final = 20.0
_LEASE: Final = 3.0
"""Until the service has told the real one, so many seconds are taken for it."""

_ANSWER: Final = 10.0
"""Seconds after which a node that hasn't answered is taken for one that won't: another one is asked."""

Call = TypeVar("Call", bound=Callable[..., Any])
Attempt = tuple[str, int]


class ActionFailed(Exception):
    """Raise it in an action to make ``data`` (any JSON value) the error, instead of the exception's text."""

    def __init__(self, data: Any) -> None:
        super().__init__(str(data))
        self.data = data


class RefusedError(Exception):
    """The service doesn't take a call: trying again won't help."""


class Worker:
    """Runs functions as actions of the service at ``url``."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        pools: Sequence[str] = (),
        only_pools: bool = False,
        concurrency: int = 8,
    ) -> None:
        """``token`` is sent as ``X-Auth-Token``; ``pools``: also take actions with these targets;
        ``only_pools``: and no others; ``concurrency``: how many actions run at the same time."""
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._url = url.rstrip("/")
        self._headers = {} if token is None else {"X-Auth-Token": token}
        self._pools = list(pools)
        self._only_pools = only_pools
        self._concurrency = concurrency
        self._functions: dict[str, Function] = {}
        self._running: dict[Attempt, asyncio.Task[None]] = {}
        self._lease = _LEASE
        self._polls = 0
        self._place_free = asyncio.Event()

    def action(self, name: str) -> Callable[[Call], Call]:
        """Make a function the action of this name; its input is what the function's parameters take."""

        def decorate(call: Call) -> Call:
            self._functions[name] = Function.of(name, call)
            return call

        return decorate

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; actions that run then are finished first."""
        asyncio.run(self._until_signal())

    async def _until_signal(self) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await self.work(stopping)

    async def work(self, stopping: asyncio.Event) -> None:
        """Work until ``stopping`` is set; then finish what runs.

        Raises:
            RefusedError: the service doesn't let this worker in.
        """
        async with aiohttp.ClientSession(headers=self._headers) as session:
            beating = asyncio.create_task(self._beat(session))
            polling = asyncio.create_task(self._poll_on_and_on(session))
            stopped = asyncio.create_task(stopping.wait())
            try:
                await asyncio.wait({polling, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if polling.done():
                    polling.result()
                await _end(polling)
                await asyncio.gather(*self._running.values(), return_exceptions=True)
            finally:
                for task in (polling, stopped, beating, *self._running.values()):
                    await _end(task)

    # -- calls ----------------------------------------------------------------------------

    async def _call(self, session: aiohttp.ClientSession, what: str, **body: Any) -> Any:
        """Call the service until it answers.

        Raises:
            RefusedError
        """
        while True:
            answer = await self._try(session, what, _ANSWER, **body)
            if answer is not None:
                return answer
            await asyncio.sleep(_PAUSE)

    async def _try(
        self, session: aiohttp.ClientSession, what: str, seconds: float, **body: Any
    ) -> Any | None:
        """One call; None: it has to be made again.

        Raises:
            RefusedError
        """
        try:
            async with session.post(
                f"{self._url}/v2/workers/{what}",
                json={"worker_id": self.id, **body},
                timeout=aiohttp.ClientTimeout(seconds),
            ) as answer:
                if answer.status == 200:
                    return await answer.json()
                if answer.status < 500 and answer.status != 429:
                    raise RefusedError(f"{answer.status} {await answer.text()}")
                log.warning("the service answers %d, trying again", answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the service can't be reached, trying again: %s", error or "no answer in time")
        return None

    def _held(self) -> list[dict[str, Any]]:
        return [{"action_id": action_id, "attempt": attempt} for action_id, attempt in self._running]

    async def _poll_on_and_on(self, session: aiohttp.ClientSession) -> None:
        actions = [function.described for function in self._functions.values()]
        while True:
            self._place_free.clear()
            free = self._concurrency - len(self._running)
            if free <= 0:
                await self._place_free.wait()
                continue
            answer = await self._poll(session, actions, free)
            self._lease = answer["lease_seconds"]
            for job in answer["jobs"]:
                attempt = (job["action_id"], job["attempt"])
                self._running[attempt] = asyncio.create_task(self._life(session, attempt, job))

    async def _poll(self, session: aiohttp.ClientSession, actions: Sequence[Any], free: int) -> Any:
        """Ask for work until there is an answer. Each try has a number of its own, so that one which was
        given up, and arrives after all, takes nothing away."""
        while True:
            self._polls += 1
            wait = min(_WAIT, self._lease)
            answer = await self._try(
                session,
                "poll",
                wait + _ANSWER,
                pools=self._pools,
                only_pools=self._only_pools,
                actions=actions,
                held=self._held(),
                limit=free,
                wait=wait,
                poll=self._polls,
            )
            if answer is not None:
                return answer
            await asyncio.sleep(_PAUSE)

    async def _beat(self, session: aiohttp.ClientSession) -> None:
        while True:
            await asyncio.sleep(self._lease / 4)
            with contextlib.suppress(RefusedError):
                # A beat that isn't answered is given up when the next one is due.
                answer = await self._try(session, "heartbeat", self._lease / 4, held=self._held())
                for each in () if answer is None else answer["cancelled"]:
                    task = self._running.get((each["action_id"], each["attempt"]))
                    if task is not None:
                        log.info("action cancelled action_id=%s", each["action_id"])
                        task.cancel()

    # -- actions --------------------------------------------------------------------------

    async def _life(self, session: aiohttp.ClientSession, attempt: Attempt, job: dict[str, Any]) -> None:
        """The life of one action: run, report, free the place."""
        try:
            outcome = await self._outcome(job)
            await self._call(session, "complete", action_id=attempt[0], attempt=attempt[1], **outcome)
        except RefusedError as error:
            log.error("result refused action_id=%s reason=%s", attempt[0], error)
        finally:
            del self._running[attempt]
            self._place_free.set()

    async def _outcome(self, job: dict[str, Any]) -> dict[str, Any]:
        if job["dry_run"]:
            return {"data": None}
        try:
            async with asyncio.timeout(job["timeout"]):
                return {"data": await self._functions[job["name"]].run(job["input"])}
        except TimeoutError:
            return {"error": f"Timeout after {job['timeout']} seconds"}
        except ActionFailed as failure:
            return {"error": failure.data}
        except Exception as error:
            log.warning("action failed name=%s", job["name"], exc_info=True)
            return {"error": f"The action raised an exception [action={job['name']}, msg='{error}']"}


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, RefusedError):
        await task
