"""URLs that name several servers of one cluster."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from tests.store import records as make

from tramontane.store.database import Database
from tramontane.store.errors import DatabaseSetupError
from tramontane.store.executions import Executions
from tramontane.store.servers import Servers, parse

SECRET = "s3cret,w%40rd"


@pytest.mark.parametrize(
    ("servers", "places"),
    [
        ("db", [("db", None)]),
        ("db1,db2", [("db1", None), ("db2", None)]),
        ("db1:3307,db2,10.0.0.3:3306", [("db1", 3307), ("db2", None), ("10.0.0.3", 3306)]),
        ("[::1]:3307,[fe80::2]", [("::1", 3307), ("fe80::2", None)]),
    ],
)
def test_each_server_gets_the_rest_of_the_url(servers: str, places: list[tuple[str, int | None]]) -> None:
    url = parse(f"mariadb://user:{SECRET}@{servers}/state?unix_socket=no")
    assert [(each.host, each.port) for each in url.urls] == places
    assert {(each.username, each.password, each.database) for each in url.urls} == {
        ("user", "s3cret,w@rd", "state")
    }
    assert url.shown() == f"mariadb://user:***@{servers}/state?unix_socket=no"
    assert parse(f"postgresql://{servers}/state").shown() == f"postgresql://{servers}/state"


@pytest.mark.parametrize("url", ["mariadb://db1,/state", "mariadb://,db2/state", "mariadb://db1:x,db2/state"])
def test_a_server_without_name_or_with_a_strange_port_is_no_url(url: str) -> None:
    with pytest.raises(DatabaseSetupError, match="no database URL"):
        make.with_database(url, lambda _: asyncio.sleep(0))


def test_files_have_commas_in_their_names() -> None:
    assert parse("sqlite:////var/lib/a,b.sqlite").first.database == "/var/lib/a,b.sqlite"


def test_servers_are_tried_in_turn_from_the_one_that_answered_last() -> None:
    down: set[str] = {"a"}
    tried: list[str] = []

    async def connect(url: sa.URL) -> str:
        tried.append(str(url.host))
        if url.host in down:
            raise ConnectionError(url.host)
        return str(url.host)

    async def test() -> None:
        servers = Servers(parse("mariadb://a,b,c/state"), (OSError,))
        assert await servers.open(connect) == "b"
        down.update("bc")
        down.remove("a")
        assert await servers.open(connect) == "a"
        down.add("a")
        with pytest.raises(OSError, match="a: a; b: b; c: c"):
            await servers.open(connect)
        assert "".join(tried) == "ab" + "bca" + "abc"

    asyncio.run(test())


def test_a_cluster_is_opened_whose_first_server_is_down(shared_url: str) -> None:
    there = sa.make_url(shared_url)
    if there.host is None:
        pytest.skip("this server listens on no port")
    text = shared_url.replace(f"{there.host}:{there.port}", f"127.0.0.1:1,{there.host}:{there.port}")

    async def test(database: Database) -> None:
        await make.start(Executions(database), make.execution("e1"))
        assert await Executions(database).load("e1") is not None
        assert await Executions(database).is_used("e1")

    make.with_database(text, test)
