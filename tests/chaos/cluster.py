"""Nodes as operators run them, and what may happen to them."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.cli import program

READY = re.compile(r"Tramontane is ready at (http://127\.0\.0\.1:\d+) ")
LEASE = 2.0
PATIENCE = 60.0
"""Seconds after which what should have happened counts as hanging."""

_SETTINGS = {
    "TRAMONTANE_HTTP_DENIED_CIDRS": "",
    "TRAMONTANE_HEARTBEAT_SECONDS": "0.2",
    "TRAMONTANE_LEASE_SECONDS": str(LEASE),
    "TRAMONTANE_SHUTDOWN_GRACE_SECONDS": "5",
    "TRAMONTANE_LOAD_ACTION_PLUGINS": "false",
}


@dataclass(eq=False)
class ServingNode:
    """A ``tramontane serve`` process and what it has logged."""

    process: subprocess.Popen[str]
    base: str
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


class Cluster:
    """Nodes on one database; calls go to any that is up."""

    def __init__(
        self, database: str, folder: Path, session: aiohttp.ClientSession, chance: random.Random
    ) -> None:
        self.database = database
        self.all: list[ServingNode] = []
        self.up: list[ServingNode] = []
        self._folder = folder
        self._session = session
        self._chance = chance

    async def add(self) -> ServingNode:
        """Start one more node and wait until it says that it is ready."""
        node = self._spawn()
        assert node.process.stdout is not None
        ready = READY.match(await asyncio.to_thread(node.process.stdout.readline))
        assert ready, node.said
        node.base = ready.group(1) + "/v2"
        self.up.append(node)
        return node

    def _spawn(self) -> ServingNode:
        log = self._folder / f"node-{len(self.all)}.log"
        with log.open("w", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                program.command("serve", "--port", "0", "--database", self.database),
                cwd=self._folder,
                env=program.environment(**_SETTINGS),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.all.append(ServingNode(process, "", log))
        return self.all[-1]

    def kill(self, node: ServingNode) -> None:
        self.up.remove(node)
        node.process.kill()
        node.process.wait()

    def freeze(self, node: ServingNode) -> None:
        self.up.remove(node)
        node.process.send_signal(signal.SIGSTOP)

    def thaw(self, node: ServingNode) -> None:
        node.process.send_signal(signal.SIGCONT)
        self.up.append(node)

    def close(self) -> None:
        for node in self.all:
            node.process.kill()
            node.process.wait()
            assert node.process.stdout is not None
            node.process.stdout.close()

    # -- calls ----------------------------------------------------------------------------

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Call any node, again at another one while there is no answer; give status and content."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._try(method, path, body, query)
                if answer is not None:
                    return answer
                await asyncio.sleep(0.05)

    async def _try(self, method: str, path: str, body: Any, query: dict[str, Any]) -> tuple[int, Any] | None:
        """One call; None when the node is gone or takes nothing now."""
        if not self.up:
            return None
        node = self._chance.choice(self.up)
        content = {"data": body} if isinstance(body, str) else {"json": body}
        limit = aiohttp.ClientTimeout(float(query.get("wait", 0)) + 5)
        try:
            async with self._session.request(
                method, node.base + path, params=query, timeout=limit, **content
            ) as answer:
                if answer.status == 503:
                    return None
                assert answer.status < 500, (method, path, answer.status, await answer.text())
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return None


@asynccontextmanager
async def a_cluster(database: str, folder: Path, size: int, chance: random.Random) -> AsyncIterator[Cluster]:
    async with aiohttp.ClientSession() as session:
        cluster = Cluster(database, folder, session, chance)
        try:
            for _ in range(size):
                await cluster.add()
            yield cluster
        finally:
            cluster.close()
