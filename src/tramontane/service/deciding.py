"""Asking the core: one decision from event to outcome, however often data is missing or time is short.

Decisions are made on the event loop. One that evaluates an expression for longer than the soft limit
is made again in a thread, where it delays nobody; one that lacks data is made again when the catalog
has looked it up; one that may end the process is made in another.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tramontane.clock import Clock
from tramontane.core.commands import Continue
from tramontane.core.decide import create, decide
from tramontane.core.decision import CoreSettings, Decision, Env, Needs, StartRequest
from tramontane.core.events import AnyEvent
from tramontane.core.memory import ExecutionState
from tramontane.core.state import HistoryKey, Micros
from tramontane.expressions.api import TooSlow
from tramontane.lang.spec import WorkflowSpec
from tramontane.service.apart import run_apart
from tramontane.service.catalog import Known
from tramontane.service.ids import SortableIds

_FEWEST_STEPS = 50

_ROUNDS = 100
"""How often one decision may ask for data; more means that it asks for the same in circles."""


@dataclass(frozen=True, slots=True)
class DecidingLimits:
    """``soft_seconds``: one evaluation on the event loop; ``max_steps``: one decision, the rest
    follows in the next; ``shared_seconds``: about how long one decision may take while others want to decide,
    too; ``threads``: slow decisions at the same time."""

    soft_seconds: float = 0.02
    max_steps: int = 500
    shared_seconds: float = 0.008
    threads: int = 2


Recall = Callable[[Sequence[HistoryKey]], Awaitable[None]]
"""Brings records back into the state that a decision is made over."""


class Ids:
    """Ids of one turn: a repetition gets the same ones again, as far as it needs them."""

    def __init__(self, source: Callable[[], str]) -> None:
        self._source = source
        self._given: list[str] = []
        self._next = 0

    def rewind(self) -> None:
        self._next = 0

    @property
    def given(self) -> tuple[list[str], int]:
        """The ids that were made, and how many of them this repetition has used."""
        return self._given, self._next

    def take(self, given: list[str], used: int) -> None:
        """Go on where another process has got to."""
        self._given, self._next = given, used

    def make_from(self, source: Callable[[], str]) -> None:
        """Make further ids by another source."""
        self._source = source

    def __call__(self) -> str:
        if self._next == len(self._given):
            self._given.append(self._source())
        self._next += 1
        return self._given[self._next - 1]


class Decider:
    """Makes decisions; has no state but its threads."""

    def __init__(self, clock: Clock, settings: CoreSettings, limits: DecidingLimits) -> None:
        self._clock = clock
        self._settings = settings
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="decide")
        self._seconds_per_step = 0.0
        self.slow_decisions = 0
        self.decisions_apart = 0

    @property
    def settings(self) -> CoreSettings:
        return self._settings

    def now(self) -> Micros:
        """The present moment in microseconds."""
        return round(self._clock.now().timestamp() * 1_000_000)

    async def create(self, request: StartRequest, known: Known, ids: Ids) -> Decision:
        """Decide a start.

        Raises:
            TramontaneError: it is refused.
        """
        return await self._settle(lambda env: create(request, env), known, ids)

    async def decide(
        self,
        spec: WorkflowSpec,
        state: ExecutionState,
        event: AnyEvent,
        known: Known,
        ids: Ids,
        recall: Recall,
        *,
        is_alone: bool = True,
        apart: bool = False,
    ) -> Decision:
        """Decide what an event changes; ``state`` must be left alone meanwhile, but for what ``recall``
        brings back into it. ``apart``: decide elsewhere.

        ``is_alone``: nobody else wants to decide, so it may go on for longer.

        Raises:
            TramontaneError: the event is refused.
            ProcessDiedError: that process ended without an answer.
        """
        steps = self._limits.max_steps if is_alone else self._shared_steps()
        return await self._settle(
            lambda env: decide(spec, state, event, env), known, ids, steps, apart, recall
        )

    def _shared_steps(self) -> int:
        """How many steps fit into the time that a decision has when others wait."""
        most = self._limits.max_steps
        if not self._seconds_per_step:
            return most
        return min(most, max(_FEWEST_STEPS, round(self._limits.shared_seconds / self._seconds_per_step)))

    def _learn(self, decision: Decision, steps: int, seconds: float) -> None:
        """See from a decision that used its budget up how long a step takes."""
        if any(isinstance(command, Continue) for command in decision.commands):
            each = seconds / steps
            self._seconds_per_step += (each - self._seconds_per_step) / (4 if self._seconds_per_step else 1)

    async def _settle(
        self,
        ask: Callable[[Env], Decision | Needs],
        known: Known,
        ids: Ids,
        steps: int | None = None,
        apart: bool = False,
        recall: Recall | None = None,
    ) -> Decision:
        loop = asyncio.get_running_loop()
        steps = steps or self._limits.max_steps
        soft_seconds: float | None = None if apart else self._limits.soft_seconds
        for _ in range(_ROUNDS):
            env = Env(
                now=self.now(),
                new_id=ids,
                new_uuid=_random_uuid,
                known=known,
                settings=self._settings,
                soft_seconds=soft_seconds,
                max_steps=steps,
            )
            began = loop.time()
            outcome: Decision | Needs
            if apart:
                outcome = await self._ask_apart(ask, env, ids)
            elif soft_seconds is None:
                outcome = await loop.run_in_executor(self._threads, ask, env)
            else:
                try:
                    outcome = ask(env)
                except TooSlow:
                    self.slow_decisions += 1
                    soft_seconds = None
                    continue
            if isinstance(outcome, Decision):
                if not apart:
                    self._learn(outcome, steps, loop.time() - began)
                return outcome
            history = [key for key in outcome.keys if isinstance(key, HistoryKey)]
            if history:
                assert recall is not None, "a new execution has no history"
                await recall(history)
            await known.learn([key for key in outcome.keys if not isinstance(key, HistoryKey)])
        raise RuntimeError("a decision keeps asking for data")

    async def _ask_apart(
        self, ask: Callable[[Env], Decision | Needs], env: Env, ids: Ids
    ) -> Decision | Needs:
        def work() -> tuple[Decision | Needs, list[str], int]:
            ids.make_from(SortableIds(self._clock))  # the source here is a copy, and would repeat itself
            outcome = ask(env)
            if isinstance(outcome, Decision):
                outcome.contexts.clear()  # only memory of what can be worked out again
                outcome.items.clear()
            return outcome, *ids.given

        outcome, given, used = await run_apart(work)
        ids.take(given, used)
        self.decisions_apart += 1
        decided: Decision | Needs = outcome
        return decided

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _random_uuid() -> str:
    return str(uuid.uuid4())
