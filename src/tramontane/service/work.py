"""What the loops of a node do to executions: claim and report jobs, fire timers, read inboxes, take
over from the dead. The loops themselves, and when they run, are :mod:`tramontane.runtime`'s part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

from tramontane.core.events import ActionCompleted, TimerFired
from tramontane.core.state import ActionExecution, Micros, Timer
from tramontane.errors import TramontaneError, UnavailableError
from tramontane.results import Result
from tramontane.service.action_executions import ActionExecutionUseCases
from tramontane.service.claims import Doubts, lose_claims, release_others
from tramontane.service.engine import Engine
from tramontane.service.pools import pool_of
from tramontane.service.queueing import JobQueue
from tramontane.service.remote import ResultPosts
from tramontane.service.together import Together
from tramontane.store.jobs import Claim, ClaimedJob, Jobs
from tramontane.store.nodes import LEAVING, LEFT, NodeRow, Nodes
from tramontane.store.records import JobRow
from tramontane.store.work import Work
from tramontane.values import FrozenDict

log = logging.getLogger(__name__)

_PAUSE = 0.5
_BATCH = 500
_HANDED = 100
"""So many executions change their node in one transaction."""


class NodeWork:
    """The node's side of the queues in the database."""

    def __init__(
        self,
        engine: Engine,
        alone: ActionExecutionUseCases,
        jobs: Jobs,
        queues: Work,
        nodes: Nodes,
        posts: ResultPosts,
        queue: JobQueue,
    ) -> None:
        """``posts`` take results once the executions are other nodes' (:meth:`pass_results_on`)."""
        self._posts = posts
        self._passes_results_on = False
        self._engine = engine
        self._alone = alone
        self._jobs = jobs
        self._queues = queues
        self._nodes = nodes
        self._queue = queue
        self._over: Together[str] = Together(self._finish, _BATCH)
        self._doubts = Doubts(jobs, engine.node_id)

    @property
    def node_id(self) -> str:
        return self._engine.node_id

    def now(self) -> Micros:
        return self._engine.now()

    # -- jobs -----------------------------------------------------------------------------

    async def claim(self, pools: Collection[str], limit: int) -> Claim:
        """Claim unclaimed jobs of these pools for this node, in fair order."""
        claim = await self._doubts.note(self._jobs.claim(self.node_id, pools, limit))
        self._queue.serve(each.job for each in claim.jobs)
        return claim

    async def look_at_queue(self) -> None:
        """See how far the queues are that this node has put jobs into."""
        await self._queue.look(self._jobs)

    def doubt(self, jobs: Sequence[JobRow]) -> None:
        """These may be claimed by this node, which doesn't run them."""
        self._doubts.add((job.action_id, job.attempt) for job in jobs)

    async def settle_doubts(self) -> None:
        """Give back jobs that this node may have claimed without getting to know it."""
        await self._doubts.settle()

    async def report(self, job: JobRow, result: Result) -> None:
        """Bring the result of a job; returns when it is durable, or when nobody wants it any more."""
        if self._passes_results_on:
            await self._posts.report(job, result)
            return
        if job.execution_id is None:
            await self._report_alone(job, result)
            return
        event = ActionCompleted(job.action_id, result.data, result.error, result.cancel, job.attempt)
        try:
            await self._engine.report(job.execution_id, event)
        except UnavailableError:
            raise
        except TramontaneError as refusal:
            log.info("result not taken action_id=%s reason=%s", job.action_id, refusal.message)

    async def _report_alone(self, job: JobRow, result: Result) -> None:
        while True:
            try:
                await self._alone.complete(job.action_id, job.attempt, result)
                return
            except UnavailableError as error:
                log.warning("result not stored yet action_id=%s error=%s", job.action_id, error.message)
            await asyncio.sleep(_PAUSE)

    async def hand_over(self, job: JobRow) -> None:
        """An asynchronous action was begun: its result comes from outside, the job is over."""
        await self._over.put(job.action_id)

    async def _finish(self, action_ids: Sequence[str]) -> None:
        """Remove jobs that are over, as long as it takes."""
        while True:
            try:
                await self._jobs.finish(self.node_id, action_ids)
                return
            except UnavailableError as error:
                log.warning("jobs not removed yet count=%d error=%s", len(action_ids), error.message)
            await asyncio.sleep(_PAUSE)

    async def give_back(self, job: JobRow) -> None:
        """Let others run a job that was claimed and not begun."""
        await self._jobs.release(self.node_id, [job.action_id])

    async def release_others(self, begun: Collection[tuple[str, int]]) -> None:
        """Let others run every job that this node has claimed, but those that it has ``begun``."""
        await release_others(self._jobs, self.node_id, begun)

    async def still_held(self, jobs: Collection[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        """Of these (action id, attempt) pairs, those that this node may go on running."""
        return await self._jobs.still_held(self.node_id, jobs)

    async def end_unserved(self, own: Collection[str], seconds: float, *, anywhere: bool = False) -> int:
        """End jobs that have waited so long for a pool that nobody ever served; return how many.

        Those of a pool whose executors are all away wait for one. ``own``: pools that are served by
        declaration; ``anywhere``: they are for anybody from now on, instead of ending.
        """
        served = {"", *own, *await self._nodes.known_pools()}
        jobs = await self._jobs.unserved(served, self.now() - round(seconds * 1_000_000))
        if anywhere:
            for pool in {pool_of(job.action_name, None) for job in jobs}:
                ids = [job.action_id for job in jobs if pool_of(job.action_name, None) == pool]
                await self._jobs.readdress(ids, pool)
            return len(jobs)
        for job in jobs:
            text = (
                f"No executor has the name '{job.pool}' that the action's target asks for; "
                f"none came within {seconds:g} seconds [action_ex_id={job.action_id}]"
            )
            await self.report(job, Result(error=text))
        return len(jobs)

    async def lose_claims(self, process_id: str, *, only_absent: bool = False) -> int:
        """Take away all claims of a process that is over: its actions were lost, or are sent again.

        ``only_absent``: unless it has come back.
        """
        return await lose_claims(
            self._jobs,
            process_id,
            self._engine.new_id,
            self._engine.now,
            self._engine.look,
            only_absent=only_absent,
        )

    async def accept_verdict(self) -> None:
        """Others have buried this node: give up what it had claimed, before it enters the register again."""
        await self.lose_claims(self.node_id)

    # -- timers ---------------------------------------------------------------------------

    async def fire(self, timer: Timer) -> None:
        """Tell an execution that a timer is due; its turn deletes the timer."""
        event = TimerFired(timer.task_id, timer.kind, timer.generation)
        try:
            await self._engine.report(timer.execution_id, event)
        except UnavailableError:
            raise
        except TramontaneError as refusal:
            log.info("timer not taken task_id=%s reason=%s", timer.task_id, refusal.message)

    async def due_timers(self) -> list[Timer]:
        """Timers that are due now, oldest first; their executions are this node's."""
        due = await self._queues.due_timers(self.node_id, self.now(), limit=_BATCH)
        missing = await self._adopt({each.timer.execution_id: each.node_id for each in due})
        return [each.timer for each in due if each.timer.execution_id not in missing]

    async def _adopt(self, owners: Mapping[str, str | None]) -> frozenset[str]:
        """Take executions over whose nodes do nothing about them; give those that stay others'."""
        foreign = {each for each, owner in owners.items() if owner is not None and owner != self.node_id}
        if not foreign:
            return frozenset()
        adopted = await self._queues.adopt(self.node_id, sorted(foreign))
        self._engine.doubt(adopted)
        return frozenset(foreign.difference(adopted))

    async def coming_timers(self, seconds: float) -> list[Timer]:
        """This node's timers of so many seconds to come."""
        return await self._queues.timers_of(self.node_id, self.now() + round(seconds * 1_000_000))

    # -- inboxes --------------------------------------------------------------------------

    async def look_at_inboxes(self, grace: float) -> int:
        """Wake executions whose inbox rows are older than ``grace`` seconds, and at once those that
        nobody is running now; return how many."""
        waiting = await self._queues.waiting_executions(
            self.node_id, self.now(), round(grace * 1_000_000), _BATCH
        )
        missing = await self._adopt({each.id: each.node_id for each in waiting})
        for each in waiting:
            if each.id not in missing:
                self._engine.look(each.id)
        return len(waiting)

    async def stranded(self, after: str, limit: int) -> list[tuple[str, bool]]:
        """This node's RUNNING executions beyond an id, and whether nothing will move each."""
        return await self._queues.stranded(self.node_id, after, limit)

    # -- nodes ----------------------------------------------------------------------------

    async def register(self, name: str, kind: str, info: FrozenDict) -> Micros:
        """Enter this node into the register, and see who else is in it; return the database's time."""
        now = await self._nodes.register(self.node_id, name, kind, info)
        await self._nodes.all()
        return now

    async def beat(self) -> Micros | None:
        """Show that this node lives; None: it was declared dead."""
        return await self._nodes.beat(self.node_id)

    async def hold(self) -> bool:
        """Keep the session lock that shows this node's life; False: there was a break, or there is none."""
        return await self._nodes.hold(self.node_id)

    async def alive(self, process_ids: Sequence[str]) -> frozenset[str] | None:
        """Processes whose session lock is held; None: nobody can tell."""
        return await self._nodes.alive(process_ids)

    async def leave(self) -> None:
        """Take this node out of the register; while executions name it, it stays as one that left."""
        if await self._queues.executions_of(self.node_id, 1):
            await self._nodes.mark(self.node_id, LEFT)
        else:
            await self._nodes.remove(self.node_id)

    # -- handing over -----------------------------------------------------------------------

    async def prepare_to_leave(self) -> None:
        """Tell the others that this node is about to end: nobody hands anything to it any more."""
        await self._nodes.mark(self.node_id, LEAVING)

    def pass_results_on(self) -> None:
        """Bring results to the inboxes of executions from now on: they are other nodes'."""
        self._passes_results_on = True

    async def hand_executions_to(self, node_ids: Sequence[str]) -> int:
        """Make this node's executions others', in equal parts; return how many."""
        found = await self._queues.all_executions_of(self.node_id)
        given = 0
        for start in range(0, len(found), _HANDED):
            receiver = node_ids[start // _HANDED % len(node_ids)]
            given += await self._queues.give(self.node_id, receiver, found[start : start + _HANDED])
        return given

    async def others(self) -> list[NodeRow]:
        """All processes in the register but this one."""
        return [node for node in await self._nodes.all() if node.id != self.node_id]

    async def absent(self) -> set[str]:
        """Ids of processes that hold claims or executions and aren't in the register."""
        # In this order: a process enters the register before it takes anything.
        named = {*await self._jobs.claimants(), *await self._queues.nodes_with_executions()}
        present = {node.id for node in await self._nodes.all()} | {self.node_id}
        return named - present

    async def bury(self, process_id: str, *, in_order: bool = False) -> None:
        """Carry on what a dead process left: its claims, and its executions from where they stopped.

        ``in_order``: it ended as it should, so its executions aren't to blame.
        """
        await self._nodes.remove(process_id)
        # In this order: an execution that hears of its loss must know how often it was taken over.
        taken = await self.take_executions(process_id, in_order=in_order)
        lost = await self.lose_claims(process_id, only_absent=True)
        log.info("took over node_id=%s lost_claims=%d executions=%d", process_id, lost, taken)

    async def take_executions(self, process_id: str, *, in_order: bool = False) -> int:
        """Make the executions of another process this node's; return how many. Its claims stay its own."""
        taken = 0
        while found := await self._queues.take_over(self.node_id, [process_id], _BATCH, counted=not in_order):
            self._engine.doubt([each.id for each in found])
            taken += len(found)
        return taken


__all__ = [
    "LEFT",
    "ActionExecution",
    "Claim",
    "ClaimedJob",
    "JobRow",
    "Micros",
    "NodeRow",
    "NodeWork",
    "Timer",
]
