"""Fixtures of all parts."""

import pytest
from tests.conformance.stations import postgresql_station, sqlite_station
from tests.databases import (
    database_url,
    empty_postgresql_url,
    postgresql_server,
    postgresql_template,
    postgresql_url,
    sqlite_template,
    sqlite_url,
)

__all__ = [
    "database_url",
    "empty_postgresql_url",
    "postgresql_server",
    "postgresql_station",
    "postgresql_template",
    "postgresql_url",
    "sqlite_station",
    "sqlite_template",
    "sqlite_url",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--door",
        action="append",
        default=[],
        help="where tests of the engine run: kept, reloaded, rest-sqlite, rest-postgresql (all)",
    )
    parser.addoption(
        "--chaos-seed",
        action="append",
        type=int,
        default=[],
        help="a seed of the long form of tests/chaos; may be given several times",
    )
