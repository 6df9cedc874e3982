"""Fixtures of all parts."""

import pytest
from tests.conformance.stations import mariadb_station, postgresql_station, sqlite_station
from tests.databases import (
    database_url,
    empty_postgresql_url,
    empty_shared_url,
    postgresql_server,
    postgresql_template,
    postgresql_url,
    shared_url,
    sqlite_template,
    sqlite_url,
)
from tests.mariadb import empty_mariadb_url, mariadb_server, mariadb_url

__all__ = [
    "database_url",
    "empty_mariadb_url",
    "empty_postgresql_url",
    "empty_shared_url",
    "mariadb_server",
    "mariadb_station",
    "mariadb_url",
    "postgresql_server",
    "postgresql_station",
    "postgresql_template",
    "postgresql_url",
    "shared_url",
    "sqlite_station",
    "sqlite_template",
    "sqlite_url",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--door",
        action="append",
        default=[],
        help="where tests of the engine run: kept, reloaded, rest-sqlite, rest-postgresql, rest-mariadb "
        "(all of them; of the last one a part)",
    )
    parser.addoption(
        "--seed",
        action="append",
        type=int,
        default=[],
        help="a seed of tests/protocol to be played alone; may be given several times",
    )
    parser.addoption(
        "--chaos-seed",
        action="append",
        type=int,
        default=[],
        help="a seed of the long form of tests/chaos; may be given several times",
    )
