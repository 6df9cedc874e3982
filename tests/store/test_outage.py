"""The server goes away and comes back: nothing hangs, everything says so, work goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import sqlalchemy as sa
from tests.store import records as make

from tramontane.errors import UnavailableError
from tramontane.store.database import open_database
from tramontane.store.definitions import Definitions
from tramontane.store.errors import DatabaseUnavailableError
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.records import TurnWrite

SECRET = "s3cret-word"
_PORTS = {"postgresql": 5432, "mariadb": 3306}


class Gate:
    """A way to the server that can be closed, or breaks when a certain word goes through it."""

    def __init__(self, url: str) -> None:
        self.breaks_at: bytes | None = None
        self._target = sa.make_url(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        through = self._target.set(host="127.0.0.1", port=self._port, query={})
        if through.drivername == "postgresql":
            through = through.set(password=SECRET)  # the server trusts whoever comes
        return through.render_as_string(hide_password=False)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._break()
        await asyncio.sleep(0)

    def _break(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        directory = self._target.query.get("host")
        if isinstance(directory, str):
            there = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.5432")
        else:
            there = await asyncio.open_connection(
                self._target.host, self._target.port or _PORTS[self._target.drivername]
            )
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    if self.breaks_at is not None and self.breaks_at in data:
                        self.breaks_at = None
                        self._break()
                    writer.write(data)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def gate_to(url: str) -> AsyncIterator[Gate]:
    gate = Gate(url)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.close()


def test_while_the_server_is_away_every_entrance_says_so_and_afterwards_all_work(shared_url: str) -> None:
    async def test() -> None:
        async with gate_to(shared_url) as gate:
            database = await open_database(gate.url)
            store = Executions(database)
            await make.start(store, make.execution("e1"))
            assert await store.load("e1") is not None
            assert await store.is_used("e1")
            await gate.close()
            for attempt in (
                make.start(store, make.execution("e2")),
                store.load("e1"),
                store.is_used("e1"),
                store.committed(["e1"], 1),
                Definitions(database).version(),
                Jobs(database).claim("n1", [""], 1),
            ):
                with pytest.raises(DatabaseUnavailableError) as caught:
                    await attempt
                assert isinstance(caught.value, UnavailableError)
                assert SECRET not in caught.value.message
            await gate.open()
            await make.start(store, make.execution("e2"))
            assert await store.load("e2") is not None
            assert await store.is_used("e2")
            assert await Definitions(database).version() == 0
            await database.close()

    asyncio.run(test())


def test_a_connection_that_breaks_while_a_transaction_is_taken_back_changes_nothing(shared_url: str) -> None:
    async def test() -> None:
        async with gate_to(shared_url) as gate:
            database = await open_database(gate.url)
            store = Executions(database)
            await make.start(store, make.execution("e1"))
            gate.breaks_at = b"ROLLBACK"
            again = TurnWrite(make.execution("e1"), None, 0)
            assert [outcome.status for outcome in await store.commit([again], "n1")] == ["lost"]
            assert gate.breaks_at is None
            await database.close()

    asyncio.run(test())


def test_a_query_that_is_wrong_is_no_outage(database_url: str) -> None:
    async def test() -> None:
        database = await open_database(database_url)
        try:
            with pytest.raises(Exception) as raised:
                await Executions(database).load(["no id"])  # type: ignore[arg-type]
            assert not isinstance(raised.value, UnavailableError)
        finally:
            await database.close()

    asyncio.run(test())
