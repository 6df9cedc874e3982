"""A real server for benchmarks: its own process, its own database, spoken to over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp


class Server:
    """A running ``tramontane serve`` and a client session for it."""

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, session: aiohttp.ClientSession
    ) -> None:
        self.process = process
        self.session = session
        self.base = f"http://127.0.0.1:{port}/v2"

    async def upload(self, text: str) -> None:
        """Create the workflows of a document."""
        async with self.session.post(f"{self.base}/workflows", data=text) as answer:
            if answer.status != 201:
                raise RuntimeError(f"upload refused: {await answer.text()}")
            await answer.read()

    async def run(self, workflow: str, wait: int = 120, **body: Any) -> dict[str, Any]:
        """Start an execution and wait for its end; return the execution."""
        url = f"{self.base}/executions?wait={wait}"
        async with self.session.post(url, json={"workflow_name": workflow, **body}) as answer:
            execution: dict[str, Any] = await answer.json()
        if answer.status != 201 or execution.get("state") != "SUCCESS":
            raise RuntimeError(f"{workflow} ended badly: {str(execution)[:2000]}")
        return execution

    async def start(self, workflow: str, **body: Any) -> str:
        """Start an execution; return its id."""
        url = f"{self.base}/executions"
        async with self.session.post(url, json={"workflow_name": workflow, **body}) as answer:
            execution: dict[str, Any] = await answer.json()
        if answer.status != 201:
            raise RuntimeError(f"{workflow} was not started: {str(execution)[:2000]}")
        return str(execution["id"])

    async def wait_for(self, execution_id: str) -> None:
        """Wait until an execution ends well."""
        url = f"{self.base}/executions/{execution_id}?fields=state,state_info"
        while True:
            async with self.session.get(url) as answer:
                execution: dict[str, Any] = await answer.json()
            if execution.get("state") == "SUCCESS":
                return
            if execution.get("state") != "RUNNING":
                raise RuntimeError(f"the execution ended badly: {str(execution)[:2000]}")
            await asyncio.sleep(0.05)

    async def complete(self, action_id: str) -> None:
        """Report the result of an asynchronous action."""
        body = {"state": "SUCCESS", "output": '"done"'}
        async with self.session.put(f"{self.base}/action_executions/{action_id}", json=body) as answer:
            if answer.status != 200:
                raise RuntimeError(f"the result was not taken: {await answer.text()}")
            await answer.read()

    async def stop(self, execution_id: str) -> None:
        """Stop an execution."""
        body = {"state": "CANCELLED"}
        async with self.session.put(f"{self.base}/executions/{execution_id}", json=body) as answer:
            if answer.status != 200:
                raise RuntimeError(f"the execution was not stopped: {await answer.text()}")
            await answer.read()

    async def all_ids(self, path: str, **conditions: str) -> list[str]:
        """Give the ids of a list, page by page."""
        name = path.rpartition("/")[2]
        query = {"fields": "id", "limit": "1000", "sort_keys": "id", **conditions}
        found: list[str] = []
        while True:
            async with self.session.get(f"{self.base}/{path}", params=query) as answer:
                page: dict[str, Any] = await answer.json()
            found += [each["id"] for each in page[name]]
            if not page.get("next"):
                return found
            query["marker"] = found[-1]

    async def ready(self) -> None:
        """Wait until the server serves."""
        url = self.base.removesuffix("/v2") + "/readyz"
        for _ in range(300):
            if self.process.returncode is not None:
                raise RuntimeError("the server ended at once; see its message above")
            with contextlib.suppress(aiohttp.ClientError):
                async with self.session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
        raise RuntimeError("the server did not become ready within 30 seconds")

    def resident_megabytes(self) -> float:
        """Resident memory of the server and its children."""
        return sum(_resident(pid) for pid in _family(self.process.pid))


def _family(pid: int) -> list[int]:
    found = [pid]
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found += _family(int(entry.parent.name))
    return found


def _resident(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def serving(database: str | None = None, **settings: str) -> AsyncIterator[tuple[Server, Path | None]]:
    """Run a server on ``database`` (None: a SQLite file in a temporary directory).

    ``settings`` are environment variables of the server.

    Yields:
        the server and the path of its SQLite file, if it has one.
    """
    with tempfile.TemporaryDirectory(prefix="tramontane-bench-") as folder:
        file = None if database else Path(folder) / "bench.db"
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tramontane", "serve", "--port", str(port),
            "--database", database or f"sqlite:///{file}",
            stdout=asyncio.subprocess.DEVNULL, env=os.environ | settings,
        )  # fmt: skip
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            server = Server(process, port, session)
            try:
                await server.ready()
                yield server, file
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()
