"""``tramontane token``: tokens for ``auth = token``, issued, listed and revoked right on the database.

The service may run meanwhile: it keeps no token in memory for longer than two seconds.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tramontane.auth.cache import hash_of
from tramontane.auth.issued import new_token
from tramontane.cli import loop
from tramontane.cli.settings import WrongCallError, read_settings, setting_options
from tramontane.cli.tables import columns
from tramontane.clock import SystemClock
from tramontane.errors import TramontaneError
from tramontane.service.ids import SortableIds
from tramontane.store.database import open_database
from tramontane.store.tokens import TokenRow, Tokens

T = TypeVar("T")

_LONGEST: Final = {"project": 80, "name": 255}
_TITLES: Final = ("ID", "PROJECT", "ROLES", "CREATED", "EXPIRES", "LAST USED", "STATE", "NAME")
_UNITS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN: Final = re.compile(r"([1-9]\d{0,5})([mhdw])")


@click.group("token")
def command() -> None:
    """Issue tokens, list them, revoke them.

    They are for a service that is run with --auth token, and are worth something on its database alone.
    """


@command.command("create")
@setting_options(["database"])
@click.option("--project", required=True, help="Project whose objects the token reaches.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("member",),
    help="Role of whoever has the token; may be given several times. 'admin' reaches all projects.  "
    "[default: member]",
)
@click.option("--name", default="", help="What the token is for, for those who list them.")
@click.option(
    "--expires",
    metavar="SPAN",
    help="How long the token is valid, such as 90d, 12h or 30m; for ever if not given.",
)
def create(
    config_file: Path | None,
    project: str,
    roles: tuple[str, ...],
    name: str,
    expires: str | None,
    **given: Any,
) -> None:
    """Issue a token. It is printed once, alone on a line, and can't be shown again."""
    for option, value in (("project", project), ("name", name)):
        if len(value) > _LONGEST[option]:
            raise WrongCallError(f"--{option} takes at most {_LONGEST[option]} characters")
    if not project.strip():
        raise WrongCallError("--project must not be empty")
    now = _now()
    token = new_token()
    row = TokenRow(
        id=SortableIds(SystemClock())(),
        hash=hash_of(token),
        name=name,
        project_id=project,
        roles=tuple(dict.fromkeys(roles)),
        created_at=now,
        expires_at=None if expires is None else now + _span(expires) * 1_000_000,
    )
    _on_tokens(config_file, given, lambda tokens: tokens.add(row))
    click.echo(token)


@command.command("list")
@setting_options(["database"])
@click.option("--all", "with_past", is_flag=True, help="Those that are revoked or expired, too.")
def list_tokens(config_file: Path | None, with_past: bool, **given: Any) -> None:
    """List the tokens that are valid; the tokens themselves are stored nowhere."""
    now = _now()
    rows = _on_tokens(config_file, given, lambda tokens: tokens.all())
    shown = [
        (
            row.id,
            row.project_id,
            ",".join(row.roles),
            *(_minute(moment) for moment in (row.created_at, row.expires_at, row.last_used_at)),
            _state(row, now),
            row.name,
        )
        for row in rows
        if with_past or row.is_valid(now)
    ]
    for line in columns([_TITLES, *shown]):
        click.echo(line)


@command.command("revoke")
@setting_options(["database"])
@click.argument("token_id", metavar="ID")
def revoke(config_file: Path | None, token_id: str, **given: Any) -> None:
    """Make the token with this ID worthless, within seconds on all nodes."""

    async def work(tokens: Tokens) -> TokenRow | None:
        row = await tokens.get(token_id)
        if row is not None:
            await tokens.revoke(token_id, _now())
        return row

    row = _on_tokens(config_file, given, work)
    if row is None:
        raise click.ClickException(
            f"there is no token with the id '{token_id}'; 'tramontane token list' shows them"
        )
    click.echo(f"{token_id} is revoked{'' if row.revoked_at is None else ' already'}.")


def _on_tokens(config_file: Path | None, given: dict[str, Any], work: Callable[[Tokens], Awaitable[T]]) -> T:
    """Do something with the register of the database that the settings name."""
    url = read_settings(config_file, given).database

    async def run() -> T:
        database = await open_database(url, beside=True)
        try:
            return await work(Tokens(database))
        finally:
            await database.close()

    try:
        return loop.run(run())
    except TramontaneError as error:
        raise click.ClickException(error.message) from None


def _now() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000)


def _span(text: str) -> int:
    """Read a span of time into seconds."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise WrongCallError(f"--expires takes a span such as 90d, 12h, 30m or 4w, not '{text}'")
    return int(found[1]) * _UNITS[found[2]]


def _minute(moment: int | None) -> str:
    """Write a moment in UTC, to the minute."""
    if moment is None:
        return "–"
    return dt.datetime.fromtimestamp(moment / 1_000_000, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def _state(row: TokenRow, now: int) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "valid" if row.is_valid(now) else "expired"
