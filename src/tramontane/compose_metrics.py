"""What a node tells a monitoring system: numbers in the text form that Prometheus reads.

Counters are this process's since its start. What is counted in the database is the same at every node
(``tramontane_executions``, ``tramontane_jobs_waiting``), and is read at most every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tramontane.runtime.node import Node
from tramontane.service.committer import Committer
from tramontane.service.engine import Engine
from tramontane.store.database import Database
from tramontane.store.jobs import Jobs
from tramontane.store.limits import Limits, LimitUse
from tramontane.store.work import Work

_FRESH_SECONDS = 5.0


class Metrics(Collector):
    """Collects from the parts of one node."""

    def __init__(self, database: Database, engine: Engine, committer: Committer, node: Node) -> None:
        self._work = Work(database)
        self._jobs = Jobs(database)
        self._engine = engine
        self._committer = committer
        self._node = node
        self._unfinished: Mapping[tuple[str, bool], int] = {}
        self._waiting: Mapping[str, int] = {}
        self._limits = Limits(database)
        self._used: Sequence[LimitUse] = ()
        self._read_at = float("-inf")
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    async def text(self) -> bytes:
        """Give all numbers as they are now.

        Raises:
            DatabaseUnavailableError
        """
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._unfinished = await self._work.unfinished()
            self._waiting = await self._jobs.waiting()
            self._used = await self._limits.used()
            self._read_at = time.monotonic()
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield from self._of_the_database()
        yield from self._gauges()
        yield from self._counters()

    def _of_the_database(self) -> Iterator[Metric]:
        executions = GaugeMetricFamily(
            "tramontane_executions", "Executions that have not ended, of all nodes.", labels=["state"]
        )
        states: dict[str, int] = {}
        for (state, _), count in self._unfinished.items():
            states[state] = states.get(state, 0) + count
        for state, count in sorted(states.items()):
            executions.add_metric([state], count)
        yield executions
        parked = sum(count for (_, is_parked), count in self._unfinished.items() if is_parked)
        yield GaugeMetricFamily(
            "tramontane_executions_parked", "Executions that nobody runs any more, of all nodes.", parked
        )
        waiting = GaugeMetricFamily(
            "tramontane_jobs_waiting", "Actions that nobody has claimed, of all nodes.", labels=["pool"]
        )
        for pool, count in sorted(self._waiting.items()):
            waiting.add_metric([pool], count)
        yield waiting
        yield from self._of_limits()

    def _of_limits(self) -> Iterator[Metric]:
        slots = GaugeMetricFamily(
            "tramontane_limit_slots", "How many actions a limit lets run.", labels=["kind", "name"]
        )
        taken = GaugeMetricFamily(
            "tramontane_limit_slots_taken", "How many of these run, on all nodes.", labels=["kind", "name"]
        )
        for each in self._used:
            slots.add_metric([each.kind, each.name], each.slots)
            taken.add_metric([each.kind, each.name], each.taken)
        yield slots
        yield taken

    def _gauges(self) -> Iterator[Metric]:
        engine = self._engine
        for name, text, value in (
            (
                "executions_stranded",
                "RUNNING executions of this node that nothing will move; each is a bug.",
                len(self._node.stranded.found),
            ),
            ("executions_cached", "Executions in this node's memory.", engine.cached),
            ("requests_waiting", "Requests accepted and not answered.", engine.waiting),
            ("commits_waiting", "Turns that wait for a batch.", self._committer.waiting),
            ("executor_slots_busy", "Actions that run, or are about to.", self._node.executor.busy),
        ):
            yield GaugeMetricFamily(f"tramontane_{name}", text, value)

    def _counters(self) -> Iterator[Metric]:
        turns, engine = self._engine.turn_statistics, self._engine.statistics
        delayed = self._engine.delayed_decisions
        commits, actions = self._committer.statistics, self._node.executor.statistics
        for name, text, value in (
            ("turns", "Turns decided.", turns.turns),
            ("events", "Events that turns have taken.", turns.events),
            ("executions_started", "Executions started by requests to this node.", turns.started),
            ("executions_completed", "Executions that ended on this node.", turns.completed),
            ("conflicts", "Turns that lost their race and were decided again.", engine.conflicts),
            ("failures", "Events and turns that a bug has failed.", engine.failures),
            ("parkings", "Executions that this node has parked.", engine.parked),
            ("delayed_decisions", "Decisions that had to wait for their turn.", delayed),
            ("slow_decisions", "Decisions that were moved to a thread.", self._engine.slow_decisions),
            ("commit_batches", "Transactions of turns.", commits.batches),
            ("commit_turns", "Turns in these transactions; over batches, the mean size.", commits.turns),
            ("commit_unknown", "Commits whose outcome had to be asked for.", commits.unknown),
            ("commit_unreachable", "Batches that the database did not take.", commits.unreachable),
            ("actions_begun", "Actions begun.", actions.begun),
            ("actions_ended", "Actions ended, whatever their result.", actions.ended),
            ("actions_interrupted", "Actions broken off.", actions.interrupted),
            ("burials", "Processes that this node has declared dead.", self._node.reaper.buried),
        ):
            yield CounterMetricFamily(f"tramontane_{name}", text, value)
