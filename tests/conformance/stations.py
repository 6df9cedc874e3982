"""Fixtures: a station on each kind of database, for the whole session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.conformance.station import Station
from tests.databases import created
from tests.mariadb import MariaDBServer

_MEMORY = Path("/dev/shm")
"""Where files cost no writes to a disk, on systems that have it."""


@pytest.fixture(scope="session")
def sqlite_station(sqlite_template: Path) -> Iterator[Station]:
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tramontane-", dir=where) as directory:
        files = (Path(directory) / f"{number}.sqlite" for number in range(1000))

        def new_url() -> str:
            return f"sqlite:///{shutil.copyfile(sqlite_template, next(files))}"

        station = Station(new_url)
        yield station
        station.close()


@pytest.fixture(scope="session")
def postgresql_station(postgresql_server: str, postgresql_template: str) -> Iterator[Station]:
    with ExitStack() as databases:
        station = Station(lambda: databases.enter_context(created(postgresql_server, postgresql_template)))
        yield station
        station.close()


@pytest.fixture(scope="session")
def mariadb_station(mariadb_server: MariaDBServer) -> Iterator[Station]:
    with ExitStack() as databases:
        station = Station(lambda: databases.enter_context(mariadb_server.lent()))
        yield station
        station.close()
