"""Nodes, executors and workers as operators run them, and what may happen to them."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from tests.chaos.balancer import Balancer, a_balancer
from tests.chaos.kit import ACTIONS
from tests.cli import program

LEASE: Final = 3.0
PATIENCE: Final = 120.0
"""Seconds after which what should have happened counts as hanging."""

POOL: Final = "blue"
_ANSWER: Final = 5.0

_SETTINGS: Final = {
    "TRAMONTANE_HTTP_DENIED_CIDRS": "",
    "TRAMONTANE_HEARTBEAT_SECONDS": "0.3",
    "TRAMONTANE_LEASE_SECONDS": str(LEASE),
    "TRAMONTANE_SHUTDOWN_GRACE_SECONDS": "5",
    "TRAMONTANE_LOAD_ACTION_PLUGINS": "false",
    "TRAMONTANE_EXECUTOR_SLOTS": "6",  # so few that some actions go elsewhere
}
_READY: Final = {
    "node": re.compile(r"Tramontane is ready at http://127\.0\.0\.1:(?P<port>\d+) "),
    "executor": re.compile(r"Tramontane runs actions "),
    "worker": re.compile(""),
}


@dataclass(frozen=True)
class Plan:
    """How a process is started. ``kind``: node, executor or worker; ``module``: what Python runs;
    ``database``: another way to the cluster's database than the others take."""

    kind: str
    arguments: tuple[str, ...] = ()
    module: str = "tramontane"
    database: str | None = None


@dataclass(eq=False)
class Process:
    """A process and what it has logged."""

    plan: Plan
    process: subprocess.Popen[str]
    log: Path
    port: int = 0
    was_frozen: bool = False

    @property
    def kind(self) -> str:
        return self.plan.kind

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


@dataclass(eq=False)
class Cluster:
    """Processes on one database; calls go to any node that is up."""

    database: str
    folder: Path
    session: aiohttp.ClientSession
    chance: random.Random
    balancer: Balancer | None = None
    hints: bool = True  # whether processes use the database's locks and notifications
    all: list[Process] = field(default_factory=list)
    up: list[Process] = field(default_factory=list)

    def of(self, kind: str) -> list[Process]:
        """Those of a kind that are up, in the order in which they came."""
        return [each for each in self.up if each.kind == kind]

    def ports(self) -> Sequence[int]:
        return [node.port for node in self.of("node")]

    async def add(self, plan: Plan) -> Process:
        """Start a process and wait until it says that it is ready."""
        process = self._spawn(plan)
        if plan.kind != "worker":
            assert process.process.stdout is not None
            ready = _READY[plan.kind].match(await asyncio.to_thread(process.process.stdout.readline))
            assert ready, process.said
            process.port = int(ready.groupdict().get("port") or 0)
        self.up.append(process)
        return process

    async def add_all(self, plans: Iterable[Plan]) -> None:
        await asyncio.gather(*(self.add(plan) for plan in plans))

    def _spawn(self, plan: Plan) -> Process:
        log = self.folder / f"{plan.kind}-{len(self.all)}.log"
        arguments = list(plan.arguments)
        if plan.kind == "worker":
            assert self.balancer is not None
            arguments += [self.balancer.url]
        else:
            arguments += ["--database", plan.database or self.database]
        environment = program.environment(**_SETTINGS, TRAMONTANE_DATABASE_HINTS=str(self.hints).lower())
        environment["PYTHONPATH"] = os.pathsep.join([str(program.ROOT), environment["PYTHONPATH"]])
        with log.open("w", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", plan.module, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.all.append(Process(plan, process, log))
        return self.all[-1]

    # -- what happens to processes ----------------------------------------------------------

    def kill(self, victim: Process) -> None:
        self.up.remove(victim)
        victim.process.kill()
        victim.process.wait()

    async def ask_to_stop(self, victim: Process) -> None:
        """SIGTERM; returns when the process has ended, as it should."""
        self.up.remove(victim)
        victim.process.terminate()
        async with asyncio.timeout(PATIENCE):
            status = await asyncio.to_thread(victim.process.wait)
        assert status == 0, victim.said

    def freeze(self, victim: Process) -> None:
        self.up.remove(victim)
        victim.was_frozen = True
        victim.process.send_signal(signal.SIGSTOP)

    def thaw(self, victim: Process) -> None:
        victim.process.send_signal(signal.SIGCONT)
        self.up.append(victim)

    def close(self) -> None:
        for each in self.all:
            each.process.kill()
            each.process.wait()
            assert each.process.stdout is not None
            each.process.stdout.close()

    # -- calls ----------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, Any]:
        """Call any node, again at another one while there is no answer; give status and content."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._try(method, path, body, headers or {}, query)
                if answer is not None:
                    return answer
                await asyncio.sleep(0.05)

    async def _try(
        self, method: str, path: str, body: Any, headers: Mapping[str, str], query: dict[str, Any]
    ) -> tuple[int, Any] | None:
        """One call; None when the node is gone or takes nothing now."""
        nodes = self.of("node")
        if not nodes:
            return None
        node = self.chance.choice(nodes)
        content = {"data": body} if isinstance(body, str) else {"json": body}
        limit = aiohttp.ClientTimeout(float(query.get("wait", 0)) + _ANSWER)
        try:
            async with self.session.request(
                method, node.base + path, params=query, headers=headers, timeout=limit, **content
            ) as answer:
                if answer.status == 503:
                    return None
                assert answer.status < 500, (method, path, answer.status, await answer.text())
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def workers_known(self, url: str) -> None:
        """Wait until the service knows the actions that workers bring; they may call ``url``."""
        async with asyncio.timeout(PATIENCE):
            for name in ACTIONS:
                body = {"name": name, "input": {"url": url}, "params": {"save_result": True}}
                while not await self._is_taken(body):  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.05)

    async def _is_taken(self, body: Mapping[str, Any]) -> bool:
        return (await self.call("POST", "/action_executions", body))[0] == 201


@asynccontextmanager
async def a_cluster(
    database: str, folder: Path, plans: Sequence[Plan], chance: random.Random, *, hints: bool = True
) -> AsyncIterator[Cluster]:
    """Have these processes run; ``hints``: whether they use the database's locks and notifications."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        cluster = Cluster(database, folder, session, chance, hints=hints)
        async with a_balancer(cluster.ports, chance) as balancer:
            cluster.balancer = balancer
            try:
                await cluster.add_all(plan for plan in plans if plan.kind != "worker")
                await cluster.add_all(plan for plan in plans if plan.kind == "worker")
                yield cluster
            finally:
                cluster.close()


CLOCKS: Final = "tests.chaos.clocks"

NODE: Final = Plan("node", ("serve", "--port", "0"))
JUMPING_NODE: Final = Plan("node", ("serve", "--port", "0"), CLOCKS)
EXECUTOR: Final = Plan("executor", ("executor", "--concurrency", "4"))
POOL_EXECUTOR: Final = Plan("executor", ("executor", "--pool", POOL, "--only-pool", "--concurrency", "4"))
WORKER: Final = Plan("worker", (), "tests.chaos.kit")
