"""A Galera cluster for the tests of this part."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from tests.galera.servers import GaleraCluster, a_galera_cluster, missing

from tramontane.store.migrations import upgrade


@pytest.fixture(scope="session")
def galera() -> Iterator[GaleraCluster]:
    """Three servers; :func:`galera_database` sees to it that all are up when a test begins."""
    absent = missing()
    if absent is not None:
        pytest.skip(f"no Galera cluster can be started here: {absent} is missing")
    with a_galera_cluster() as cluster:
        yield cluster


@pytest.fixture
def galera_database(galera: GaleraCluster) -> Iterator[str]:
    """Name of a new database on the cluster, with its tables."""
    name = f"tramontane_{uuid.uuid4().hex}"
    asyncio.run(galera.mend())
    asyncio.run(galera.execute(galera.servers[0], f"CREATE DATABASE {name}"))
    asyncio.run(upgrade(galera.url(name)))
    yield name
