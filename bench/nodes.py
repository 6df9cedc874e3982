"""Several nodes on one PostgreSQL database of their own, for benchmarks of availability."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import asyncpg

from bench.server import Server, free_port
from tramontane.store.migrations import upgrade


class Nodes:
    """Starts nodes and does to them what machines do."""

    def __init__(
        self, database: str, session: aiohttp.ClientSession, settings: Mapping[str, str], log: Any
    ) -> None:
        self.database = database
        self.session = session
        self.all: list[Server] = []
        self._environment = os.environ | settings
        self._log = log

    async def add(self) -> Server:
        """Start a node and wait until it is ready."""
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tramontane", "serve", "--port", str(port), "--database", self.database,
            stdout=asyncio.subprocess.DEVNULL, stderr=self._log, env=self._environment,
        )  # fmt: skip
        server = Server(process, port, self.session)
        self.all.append(server)
        await server.ready()
        return server

    async def end(self, server: Server, number: signal.Signals) -> None:
        """Send a signal that ends a node, if it hasn't ended yet, and wait for its end."""
        self.all.remove(server)
        with contextlib.suppress(ProcessLookupError):
            server.process.send_signal(number)
        await server.process.wait()

    async def close(self) -> None:
        for server in list(self.all):
            await self.end(server, signal.SIGKILL)


@contextlib.asynccontextmanager
async def cluster(maintenance: str, **settings: str) -> AsyncIterator[Nodes]:
    """Nodes on a new database of the server that ``maintenance`` leads to; it is dropped at the end.

    ``settings`` are environment variables of the nodes.
    """
    name = f"tramontane_bench_{uuid.uuid4().hex[:12]}"
    await _administer(maintenance, f'CREATE DATABASE "{name}"')
    database = maintenance.rpartition("/")[0] + f"/{name}"
    try:
        await upgrade(database)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            nodes = Nodes(database, session, settings, asyncio.subprocess.DEVNULL)
            try:
                yield nodes
            finally:
                await nodes.close()
    finally:
        await _administer(maintenance, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
