"""Workers: processes in any language that run actions and talk HTTP (docs/reference/worker-protocol.md).

A worker is a process in the register like a node, kept alive by its calls; the reaper judges it by the
lease. It names itself, once per start. What it claimed and doesn't hold at its next poll was lost with
an answer, was never begun, and is free again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tramontane.actions.registry import Parameter, Signature
from tramontane.errors import BadRequestError
from tramontane.results import Result
from tramontane.service.caller import Caller
from tramontane.service.pools import WORKERS, pool_of
from tramontane.service.remote import ResultPosts
from tramontane.store.jobs import ClaimedJob, Jobs
from tramontane.store.limits import LimitBook
from tramontane.store.nodes import Nodes
from tramontane.store.served import Served
from tramontane.store.worker_polls import WorkerPolls
from tramontane.values import FrozenDict

LONGEST_NAME: Final = 200
_LOOK_SECONDS: Final = 0.5
_NAMESPACE: Final = uuid.UUID("5f0c4a53-6a0e-4a55-9d0a-3f6c1c6f7c11")

Attempt = tuple[str, int]
"""(action id, attempt)"""


@dataclass(frozen=True, slots=True)
class WorkerAction:
    """An action that workers bring (:class:`tramontane.core.decision.ActionInfo`)."""

    name: str
    title: str
    signature: Signature
    is_sync: bool = True

    def check_input(self, given: Mapping[str, Any]) -> str | None:
        return self.signature.check(given, self.title, "worker")

    def settle(self, given: Mapping[str, Any], action_id: str) -> Result | None:
        return None


@dataclass(frozen=True, slots=True)
class WorkerPoll:
    """What a worker takes.

    ``actions``: what it brings, with the parameters of each (None: any input); empty: it runs whatever
    is addressed to its pools. ``only_pools``: nothing without a target. ``number``: later polls have
    higher ones (None: this is the latest).
    """

    worker_id: str
    pools: tuple[str, ...] = ()
    actions: Mapping[str, Any] = FrozenDict()
    only_pools: bool = False
    held: frozenset[Attempt] = frozenset()
    limit: int = 1
    wait: float = 0.0
    number: int | None = None


@dataclass(frozen=True, slots=True)
class BroughtAction:
    """An action of workers as people see it; ``project_id`` ``""``: it is there for all projects."""

    name: str
    project_id: str
    signature: Signature


class WorkerActions:
    """Finds actions that workers bring (:class:`tramontane.service.catalog.WorkerActions`)."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def find(self, name: str, project_id: str) -> WorkerAction | None:
        described = await self._served.action(project_id, name)
        if described is None:
            return None
        return WorkerAction(f"{WORKERS}{name}", name, signature_of(described.get("parameters")))

    async def all(self, caller: Caller) -> Sequence[BroughtAction]:
        """List the actions that workers bring for the caller's project; an administrator sees all."""
        return [
            BroughtAction(name, project_id, signature_of(described.get("parameters")))
            for project_id, actions in (await self._served.actions()).items()
            if caller.is_admin or project_id in ("", caller.project_id)
            for name, described in actions.items()
        ]


def signature_of(parameters: Any) -> Signature:
    """Read parameters: names, or maps of one name to its default; None: any input is right.

    Raises:
        BadRequestError
    """
    if parameters is None:
        return Signature(others="input")
    if not isinstance(parameters, list):
        raise BadRequestError("'parameters' of an action must be a list.")
    found = []
    for each in parameters:
        if isinstance(each, str):
            found.append(Parameter(each))
        elif isinstance(each, Mapping) and len(each) == 1:
            found.extend(Parameter(name, default) for name, default in each.items())
        else:
            raise BadRequestError("A parameter must be a name, or an object of one name and its default.")
    return Signature(tuple(found))


class WorkerUseCases:
    """Poll, heartbeat, complete."""

    def __init__(
        self,
        jobs: Jobs,
        nodes: Nodes,
        polls: WorkerPolls,
        served: Served,
        posts: ResultPosts,
        changed: Callable[[], None],
        book: LimitBook,
        slot_free: Callable[[], None],
        *,
        lease_seconds: float,
        accepting: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``changed`` is called when the actions that workers bring are others than before, ``slot_free``
        when one has ended that held a slot of a limit."""
        self.lease_seconds = lease_seconds
        self._jobs = jobs
        self._nodes = nodes
        self._polls = polls
        self._served = served
        self._posts = posts
        self._changed = changed
        self._book = book
        self._slot_free = slot_free
        self._accepting = accepting
        self._monotonic = monotonic
        self._news: set[asyncio.Event] = set()

    def wake(self) -> None:
        """There may be unclaimed jobs."""
        for event in self._news:
            event.set()

    async def poll(self, caller: Caller, poll: WorkerPoll) -> Sequence[ClaimedJob]:
        """Claim jobs for a worker; when there are none, wait for some."""
        process_id = _process_id(caller, poll.worker_id)
        pools = _pools(poll)
        if poll.actions:
            await self._remember_actions(caller, poll.actions)
        info = {"pools": list(pools), "actions": sorted(poll.actions)}
        number = await self._polls.begin(process_id, poll.worker_id, info, poll.number, poll.held)
        if number is None:
            return ()
        names = [f"{WORKERS}{name}" for name in poll.actions] or None
        project_id = None if caller.is_admin else caller.project_id
        until = self._monotonic() + poll.wait
        renewed = self._monotonic()
        event = asyncio.Event()
        self._news.add(event)
        try:
            while True:
                event.clear()
                claim = await self._jobs.claim(
                    process_id, pools, poll.limit, names=names, project_id=project_id
                )
                found = await self._without_problems(process_id, claim.jobs)
                now = self._monotonic()
                if found or now >= until or not self._accepting():
                    return found
                if now - renewed > self.lease_seconds / 4:
                    if not await self._polls.go_on(process_id, number, poll.held):
                        return ()
                    renewed = now
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), min(_LOOK_SECONDS, until - now))
        finally:
            self._news.discard(event)

    async def _without_problems(self, process_id: str, found: Sequence[ClaimedJob]) -> Sequence[ClaimedJob]:
        """End the actions that can't be run, and give the others."""
        for each in found:
            if each.problem is not None:
                await self._posts.report(each.job, Result(error=each.problem))
                await self._jobs.finish(process_id, [each.job.action_id])
        return [each for each in found if each.problem is None]

    async def _remember_actions(self, caller: Caller, actions: Mapping[str, Any]) -> None:
        project_id = "" if caller.is_admin else caller.project_id
        described = {name: {"parameters": given} for name, given in actions.items()}
        if await self._served.remember_actions(project_id, described):
            self._changed()

    async def heartbeat(self, caller: Caller, worker_id: str, held: frozenset[Attempt]) -> frozenset[Attempt]:
        """Show that a worker lives; give those of its actions that nobody wants from it any more."""
        process_id = _process_id(caller, worker_id)
        if await self._nodes.beat(process_id) is None:
            return held  # it was buried, or never polled: what it had is lost
        return held - await self._jobs.still_held(process_id, held)

    async def complete(
        self, caller: Caller, worker_id: str, action_id: str, attempt: int, result: Result
    ) -> bool:
        """Take a result; returns when it is durable. False: nobody wants it from this worker (any more)."""
        process_id = _process_id(caller, worker_id)
        job = await self._jobs.claimed(process_id, action_id, attempt)
        if job is None:
            return False
        await self._posts.report(job, result)
        # The job is over before its execution knows: the worker's next poll must not free it.
        await self._jobs.finish(process_id, [action_id])
        if job.lane or self._book.caps(job.pool):
            self._slot_free()
        return True


def _process_id(caller: Caller, worker_id: str) -> str:
    """Give the id in the register: another project's worker of the same name is another."""
    whose = "" if caller.is_admin else caller.project_id
    return str(uuid.uuid5(_NAMESPACE, f"{whose}/{worker_id}"))


def _pools(poll: WorkerPoll) -> tuple[str, ...]:
    """Give the pools of jobs' rows that a worker takes.

    Raises:
        BadRequestError: it would take nothing.
    """
    if poll.actions:
        wanted = poll.pools if poll.only_pools else ("", *poll.pools)
        pools = tuple(pool_of(WORKERS, pool) for pool in wanted)
    else:
        pools = tuple(pool for pool in poll.pools if pool)
    if not pools:
        raise BadRequestError(
            "A worker must name the actions that it brings, or the pools whose actions it runs."
        )
    return pools


def action_title(name: str) -> str:
    """Give the name that a worker knows an action by."""
    return name.removeprefix(WORKERS)
