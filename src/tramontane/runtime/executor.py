"""The executor, inside a node or in a process of its own: runs jobs on a bounded number of slots.

Jobs that commits of this node write are claimed by it right away while slots are free; the others
stay rows, and are claimed in batches when slots become free. A slot stays taken until the result
is durable, so results in memory are bounded by the slots. An action that nobody wants any more is
interrupted; one whose claim was lost to the judgement of another node is broken off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tramontane.actions.base import ActionContext
from tramontane.actions.registry import Descriptor, Registry
from tramontane.errors import TramontaneError, UnavailableError
from tramontane.results import Result
from tramontane.runtime.loop import Loop
from tramontane.service.credentials import Credentials, CredentialsError
from tramontane.service.ports import ActionInfo
from tramontane.service.work import ActionExecution, Claim, JobRow

log = logging.getLogger(__name__)


_CLAIM = 64
"""So many jobs are claimed at once."""

_ASK_AGAIN = 0.1
"""Seconds between questions whether a claim still holds."""


class Runner(Protocol):
    """Runs one action (:class:`tramontane.actions.runner.ActionRunner`)."""

    async def run_action(
        self,
        descriptor: Descriptor,
        given: Mapping[str, Any],
        context: ActionContext,
        timeout: float | None = None,  # noqa: ASYNC109 (the runner's own, see there)
    ) -> Result | None: ...


class CodeRunner(Protocol):
    """Runs uploaded code (:class:`tramontane.actions.uploaded.UploadedCode`)."""

    def is_code(self, name: str) -> bool:
        """Tell whether an action's name stands for uploaded code."""

    async def run(
        self,
        name: str,
        given: Mapping[str, Any],
        context: Mapping[str, Any],
        seconds: float | None,
        *,
        dry_run: bool = False,
    ) -> Result | None: ...


class JobSource(Protocol):
    """Where jobs come from and results go (:class:`tramontane.service.work.NodeWork` in a node)."""

    async def claim(self, pools: Collection[str], limit: int) -> Claim: ...
    def doubt(self, jobs: Sequence[JobRow]) -> None: ...
    async def settle_doubts(self) -> None: ...
    async def accept_verdict(self) -> None: ...
    async def report(self, job: JobRow, result: Result) -> None: ...
    async def hand_over(self, job: JobRow) -> None: ...
    async def give_back(self, job: JobRow) -> None: ...
    async def release_others(self, begun: Collection[tuple[str, int]]) -> None: ...
    async def still_held(self, jobs: Collection[tuple[str, int]]) -> frozenset[tuple[str, int]]: ...


class TooLateError(TramontaneError):
    """An action that a caller waits for didn't end in time; it was interrupted."""

    code = "time-limit"


@dataclass(slots=True)
class ExecutorStatistics:
    """Counters for metrics; they only ever grow."""

    begun: int = 0
    ended: int = 0
    interrupted: int = 0


@dataclass(slots=True, eq=False)
class _Running:
    job: JobRow
    task: asyncio.Task[None]
    has_result: bool = False  # it is being reported; whose the claim is doesn't matter any more


class Executor:
    """Implements :class:`tramontane.service.ports.Jobs`; give it its work with :meth:`connect`."""

    def __init__(
        self,
        registry: Registry,
        runner: Runner,
        *,
        slots: int,
        pools: Collection[str] = (),
        poll_seconds: float | Callable[[], float] = 1.0,
        caller_seconds: float = 60.0,
        code: CodeRunner | None = None,
        credentials: Credentials | None = None,
        for_anybody: bool = True,
    ) -> None:
        """``pools``: names for which jobs are taken besides those for anybody; ``caller_seconds``: how
        long a caller waits for an action that he runs himself; ``code`` None: no uploaded code is run;
        ``credentials``: what opens what contexts have sealed; ``for_anybody`` False: nothing but the pools'
        jobs is taken."""
        self._registry = registry
        self._runner = runner
        self._code = code
        self._credentials = credentials
        self._slots = slots
        self._taken = 0
        self._claiming = 0  # slots that a claim under way may fill
        self._pools = frozenset({"", *pools} if for_anybody else pools)
        self._caller_seconds = caller_seconds
        self._running: dict[str, _Running] = {}
        self._backlog = True  # there may be unclaimed jobs: newer ones have to queue behind them
        self._news = False  # unclaimed jobs were written since the last claim began
        self._held = False  # jobs wait for slots of limits, which the end of an action may set free
        self._tell_others: Callable[[], None] = _nobody
        self._is_sure: Callable[[], bool] = _always
        self._is_beating: Callable[[], bool] = _always
        self._verdicts = 0  # how often others have buried this process
        self._accepting = False
        self._work: JobSource | None = None
        self.claiming = Loop("executor", self._claim, poll_seconds)
        self.statistics = ExecutorStatistics()

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return self._taken

    @property
    def _free(self) -> int:
        """Slots that nobody has and nobody is about to get."""
        return max(0, self._slots - self._taken - self._claiming)

    @property
    def running(self) -> frozenset[tuple[str, int]]:
        """(action id, attempt) of the jobs that are run now."""
        return frozenset((each.job.action_id, each.job.attempt) for each in self._running.values())

    @property
    def tasks(self) -> dict[str, asyncio.Task[None]]:
        """What runs actions at this moment and reports their results, by action id."""
        return {action_id: each.task for action_id, each in self._running.items()}

    @property
    def has_backlog(self) -> bool:
        """Whether there may be unclaimed jobs that nobody has looked for yet."""
        return self._backlog and self._free > 0

    def connect(self, work: JobSource) -> None:
        self._work = work

    async def start(self) -> None:
        self._accepting = True
        await self.claiming.start()

    async def close(self) -> None:
        """Begin nothing more, and give back at once what was claimed and not begun."""
        self._accepting = False
        await self.claiming.stop()
        if self._work is not None:
            await self._work.release_others(self.running)
        self._tell_others()

    async def stop(self, seconds: float) -> None:
        """Begin nothing more; give running actions so many seconds, then interrupt them."""
        with contextlib.suppress(UnavailableError):
            await self.close()
        tasks = [each.task for each in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
        for each in list(self._running.values()):
            self._interrupt(each)
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- for the engine -------------------------------------------------------------------

    def reserve(self, pool: str) -> bool:
        if not self._accepting or self._backlog or pool not in self._pools or not self._free:
            return False
        self._taken += 1
        return True

    def release(self, count: int) -> None:
        self._taken -= count

    def begin(self, job: JobRow, action: ActionExecution, problem: str | None = None) -> None:
        """Run a claimed job; with a ``problem`` its result is that."""
        self.statistics.begun += 1
        earlier = self._running.get(job.action_id)
        if earlier is not None:
            self._interrupt(earlier)
        task = asyncio.create_task(
            self._run(job, action, problem, is_late=not self._accepting), name=f"action {job.action_id}"
        )
        self._running[job.action_id] = _Running(job, task)

    def doubt(self, jobs: Sequence[JobRow]) -> None:
        assert self._work is not None
        if jobs:
            self._work.doubt(jobs)
            self.claiming.wake()

    def wake(self) -> None:
        self.look()
        self._tell_others()

    def on_unclaimed(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` when this node wrote jobs that it hasn't claimed itself."""
        self._tell_others = tell

    def begin_if(self, is_sure: Callable[[], bool], is_beating: Callable[[], bool]) -> None:
        """Whenever ``is_sure`` says no, ask whether a claim still holds before its job is begun, and wait
        for that until ``is_beating`` says yes."""
        self._is_sure = is_sure
        self._is_beating = is_beating

    def look(self) -> None:
        """There may be unclaimed jobs: claim some, now or when a slot is free."""
        self._backlog = self._news = True
        if self._free:
            self.claiming.wake()

    def drop(self, action_id: str, interrupt: bool) -> None:
        running = self._running.get(action_id)
        if running is not None and interrupt:
            self._interrupt(running)

    async def run(
        self,
        info: ActionInfo,
        given: Mapping[str, Any],
        context: Mapping[str, Any],
        seconds: int | None,
    ) -> Result | None:
        if not self._accepting or self._taken >= self._slots:
            raise UnavailableError("All executor slots of this node are taken; nothing was run. Try again.")
        self._taken += 1
        try:
            async with asyncio.timeout(self._caller_seconds):
                return await self._perform(info.name, given, context, seconds)
        except TimeoutError:
            raise TooLateError(
                f"The action '{_title(info.name)}' took longer than the {self._caller_seconds:g} seconds "
                "that a caller waits; run it with save_result to get its result later."
            ) from None
        finally:
            self._slot_free()

    # -- jobs -----------------------------------------------------------------------------

    async def _run(self, job: JobRow, action: ActionExecution, problem: str | None, *, is_late: bool) -> None:
        """The life of one job: run, report, free the slot. ``is_late``: nothing is begun any more."""
        assert self._work is not None
        try:
            if is_late:
                await self._work.give_back(job)
                return
            if not await self._may_begin(job):
                log.warning(
                    "claim lost, action not begun action_id=%s attempt=%d", job.action_id, job.attempt
                )
                return
            result = await self._execute(job, action) if problem is None else Result(error=problem)
            self._note_result(job)
            if result is None:
                await self._work.hand_over(job)
            else:
                await self._work.report(job, result)
        except asyncio.CancelledError:
            self.statistics.interrupted += 1
            raise
        except UnavailableError as error:
            log.warning("result lost by the shutdown action_id=%s reason=%s", job.action_id, error.message)
        except Exception:
            log.exception("result not reported action_id=%s", job.action_id)
        finally:
            self.statistics.ended += 1
            running = self._running.get(job.action_id)
            if running is not None and running.task is asyncio.current_task():
                del self._running[job.action_id]
            self._slot_free()
            if job.lane or self._held:
                self._tell_others()

    def _note_result(self, job: JobRow) -> None:
        running = self._running.get(job.action_id)
        if running is not None and running.job is job:
            running.has_result = True

    async def _may_begin(self, job: JobRow) -> bool:
        """A process that was frozen between claim and begin may have lost the job to a verdict.

        It has to be in the register when it asks: only then nobody takes away what it still holds.
        """
        assert self._work is not None
        if self._is_sure():
            return True
        key = job.action_id, job.attempt
        while True:
            if self._is_beating():
                verdicts = self._verdicts
                try:
                    is_held = key in await self._work.still_held([key])
                except UnavailableError:
                    pass
                else:
                    if self._is_beating() and verdicts == self._verdicts:
                        return is_held
            await asyncio.sleep(_ASK_AGAIN)

    async def _execute(self, job: JobRow, action: ActionExecution) -> Result | None:
        return await self._perform(job.action_name, action.input, job.context, job.timeout, job.dry_run)

    async def _perform(
        self,
        name: str,
        given: Mapping[str, Any],
        context: Mapping[str, Any],
        seconds: int | None,
        dry_run: bool = False,
    ) -> Result | None:
        is_code = self._code is not None and self._code.is_code(name)
        descriptor = None if is_code else self._registry.find(name)
        if self._credentials is not None and (descriptor is None or descriptor.uses_security):
            try:
                context = await self._credentials.opened(context)
            except CredentialsError as error:
                return Result(error=error.message)
        if self._code is not None and is_code:
            return await self._code.run(name, given, context, seconds, dry_run=dry_run)
        if descriptor is None:
            return _unknown(name)
        known = ActionContext.from_map(context, dry_run=dry_run)
        return await self._runner.run_action(descriptor, given, known, seconds)

    def _interrupt(self, running: _Running) -> None:
        running.task.cancel()

    def _slot_free(self) -> None:
        self._taken -= 1
        if self._backlog or self._held:
            self.claiming.wake()

    async def _claim(self) -> float | None:
        """Claim as many jobs as there are free slots; the fewer come, the emptier is the queue."""
        assert self._work is not None
        await self._work.settle_doubts()
        while wanted := min(self._free, _CLAIM):
            self._claiming = wanted
            self._news = False
            try:
                claim = await self._work.claim(self._pools, wanted)
            finally:
                self._claiming = 0
            self._taken += len(claim.jobs)
            self._held = claim.is_held
            for each in claim.jobs:
                self.begin(each.job, each.action, each.problem)
            if len(claim.jobs) < wanted and not claim.may_be_more and not self._news:
                self._backlog = False
                break
        return None

    async def accept_verdict(self) -> None:
        """Others have judged this process dead: give up all claims, and break off what they were for."""
        assert self._work is not None
        self._verdicts += 1
        await self._work.accept_verdict()
        await self.check_claims()

    async def check_claims(self) -> None:
        """Break off what nobody wants from this process any more: it was cancelled through another node,
        or others have judged this one dead."""
        assert self._work is not None
        running = self.running
        if not running:
            return
        held = await self._work.still_held(running)
        for action_id, attempt in running - held:
            each = self._running.get(action_id)
            if each is not None and each.job.attempt == attempt and not each.has_result:
                log.warning("claim lost, action broken off action_id=%s attempt=%d", action_id, attempt)
                self._interrupt(each)


def _always() -> bool:
    return True


def _nobody() -> None:
    """Who is told of unclaimed jobs where there are no others."""


def _title(name: str) -> str:
    """An action's name for people: of uploaded code the class."""
    return name.rpartition(":")[2]


def _unknown(name: str) -> Result:
    title = _title(name)
    return Result(error=f"Failed to find action [action_name={title}]: it isn't installed on this node")
