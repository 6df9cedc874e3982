"""From a database URL to the module that speaks to that kind of database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import ArgumentError

from tramontane.store.dialect import Dialect
from tramontane.store.errors import DatabaseSetupError
from tramontane.store.postgresql import PostgreSQL
from tramontane.store.servers import ServerURL, parse
from tramontane.store.sqlite import SQLite

URL_FORMS = (
    "sqlite:///relative/file, sqlite:////absolute/file, sqlite:// (in memory), "
    "postgresql://user:password@host:port/database or mariadb://user:password@host:port/database "
    "(instead of host:port also several servers of one cluster: host1:port,host2:port)"
)


async def connect(url: str, *, beside: bool = False, hints: bool = True) -> Dialect:
    """Connect without looking at the tables.

    ``beside``: even to a file that another process owns; ``hints`` False: without locks of sessions and
    notifications.
    """
    try:
        parsed = parse(url)
    except (ArgumentError, ValueError):
        raise DatabaseSetupError(f"this is no database URL; write {URL_FORMS}") from None
    match parsed.first.drivername:
        case "sqlite":
            path = parsed.first.database
            return SQLite(None if path in (None, "", ":memory:") else Path(str(path)), beside=beside)
        case "postgresql" | "postgres":
            return await PostgreSQL.connect(parsed, hints=hints)
        case "mariadb" | "mysql":
            return await _mariadb(parsed, hints)
        case scheme:
            raise DatabaseSetupError(f"databases of the kind '{scheme}' aren't supported; write {URL_FORMS}")


async def _mariadb(url: ServerURL, hints: bool) -> Dialect:
    """Connect by a driver that only those install who use it."""
    try:
        from tramontane.store.mariadb import MariaDB  # noqa: PLC0415 (an optional dependency)
    except ImportError:
        raise DatabaseSetupError(
            "the driver for MariaDB isn't installed; install it with: pip install 'tramontane[mariadb]'"
        ) from None
    return await MariaDB.connect(url, hints=hints)
