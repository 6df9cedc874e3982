"""``tramontane limit``: how many actions of a pool, or of a name, run at the same time on all nodes.

Works right on the database; the service may run meanwhile, it looks every second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tramontane.cli import loop
from tramontane.cli.settings import WrongCallError, read_settings, setting_options
from tramontane.cli.tables import columns
from tramontane.clock import SystemClock
from tramontane.errors import TramontaneError
from tramontane.service.limits import LimitUseCases
from tramontane.store.database import open_database
from tramontane.store.limits import Kind, Limits

T = TypeVar("T")

_TITLES = ("KIND", "LIMIT", "TAKEN", "WAITING", "NAME")


@click.group("limit")
def command() -> None:
    """Limit how many actions run at the same time, on all nodes, executors and workers together."""


def _subject(function: Callable[..., Any]) -> Callable[..., Any]:
    action = click.option("--action", metavar="NAME", help="An action, by the name in definitions.")
    pool = click.option("--pool", metavar="NAME", help="A pool: actions whose task has this target.")
    return pool(action(function))


def _named(pool: str | None, action: str | None) -> tuple[Kind, str]:
    if (pool is None) == (action is None):
        raise WrongCallError("give either --pool NAME or --action NAME")
    return ("pool", pool) if pool is not None else ("action", str(action))


@command.command("set")
@setting_options(["database"])
@_subject
@click.argument("number", type=click.IntRange(min=0), metavar="NUMBER")
def set_limit(
    config_file: Path | None, pool: str | None, action: str | None, number: int, **given: Any
) -> None:
    """Let NUMBER actions run at the same time. What runs now comes to its end."""
    kind, name = _named(pool, action)
    _on_limits(config_file, given, lambda limits: limits.set(kind, name, number))
    click.echo(f"{kind} {name}: {number} at the same time.")


@command.command("list")
@setting_options(["database"])
def list_limits(config_file: Path | None, **given: Any) -> None:
    """List the limits, and how far they are used up."""
    found = _on_limits(config_file, given, lambda limits: limits.all())
    rows = [(each.kind, str(each.slots), str(each.taken), str(each.waiting), each.name) for each in found]
    for line in columns([_TITLES, *rows]):
        click.echo(line)


@command.command("remove")
@setting_options(["database"])
@_subject
def remove(config_file: Path | None, pool: str | None, action: str | None, **given: Any) -> None:
    """Take a limit away."""
    kind, name = _named(pool, action)
    _on_limits(config_file, given, lambda limits: limits.lift(kind, name))
    click.echo(f"{kind} {name}: no limit any more.")


def _on_limits(
    config_file: Path | None, given: dict[str, Any], work: Callable[[LimitUseCases], Awaitable[T]]
) -> T:
    """Do something with the register of the database that the settings name."""
    url = read_settings(config_file, given).database

    async def run() -> T:
        database = await open_database(url, beside=True)
        try:
            return await work(LimitUseCases(Limits(database), _now, _nobody))
        finally:
            await database.close()

    try:
        return loop.run(run())
    except TramontaneError as error:
        raise click.ClickException(error.message) from None


def _now() -> int:
    return int(SystemClock().now().timestamp() * 1_000_000)


def _nobody() -> None:
    """The service looks for itself."""
