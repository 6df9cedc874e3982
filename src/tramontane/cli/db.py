"""``tramontane db``: what operators do to the database before and between runs of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tramontane.cli import loop
from tramontane.cli.settings import read_settings, setting_options
from tramontane.config import Settings
from tramontane.errors import TramontaneError
from tramontane.store.big_values import Swept
from tramontane.store.database import open_database
from tramontane.store.migrations import upgrade
from tramontane.store.servers import parse


@click.group("db")
def command() -> None:
    """Look after the database."""


@command.command("upgrade")
@setting_options(["database"])
def upgrade_database(config_file: Path | None, **given: Any) -> None:
    """Create the tables, or bring those of an older version to this one.

    Make a backup first. Nodes of the version before may go on running meanwhile.
    """
    url = read_settings(config_file, given).database
    try:
        revision = loop.run(upgrade(url))
    except TramontaneError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"The tables of {shown_url(url)} are at revision {revision}.")


@command.command("sweep")
@setting_options(["database", "big_values"])
@click.option("--dry-run", is_flag=True, help="Delete nothing, only count.")
def sweep_values(config_file: Path | None, dry_run: bool, **given: Any) -> None:
    """Delete big values that nothing refers to any more.

    Deletions of executions and crashes may leave some over. The service may run meanwhile, unless it has
    a SQLite file.
    """
    settings = read_settings(config_file, given)
    try:
        swept = loop.run(_sweep(settings, dry_run))
    except TramontaneError as error:
        raise click.ClickException(error.message) from None
    done = "would be deleted" if dry_run else "deleted"
    click.echo(f"Left-overs {done}: {swept.rows} in the database, {swept.texts} outside.")


async def _sweep(settings: Settings, only_count: bool) -> Swept:
    database = await open_database(settings.database, big_values=settings.big_values)
    try:
        return await database.big_values.sweep(only_count=only_count)
    finally:
        await database.close()


def shown_url(url: str) -> str:
    """Write a database URL without its password."""
    return parse(url).shown()
