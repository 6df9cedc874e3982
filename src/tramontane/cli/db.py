"""``tramontane db``: what operators do to the database before and between runs of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tramontane.cli import loop
from tramontane.cli.settings import read_settings, setting_options
from tramontane.errors import TramontaneError
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


def shown_url(url: str) -> str:
    """Write a database URL without its password."""
    return parse(url).shown()
