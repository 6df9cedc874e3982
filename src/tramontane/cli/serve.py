"""``tramontane serve``: the whole service in one process."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any, Final

import click

from tramontane.api.request_ids import RequestIds
from tramontane.cli import loop
from tramontane.cli.db import shown_url
from tramontane.cli.listener import Server, bind, is_loopback, url_of
from tramontane.cli.settings import WrongCallError, read_settings, setting_options
from tramontane.compose import open_node
from tramontane.config import Settings
from tramontane.errors import TramontaneError

LEVELS: Final = ("debug", "info", "warning", "error")
_LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s:%(request)s %(message)s"
_INTERRUPTED: Final = 130


@click.command("serve")
@setting_options()
@click.option("--log-level", type=click.Choice(LEVELS), default="info", help="Least severity that is logged.")
@click.option(
    "--insecure-no-auth",
    is_flag=True,
    help="Listen on other interfaces than loopback without authentication.",
)
def command(config_file: Path | None, log_level: str, insecure_no_auth: bool, **given: Any) -> None:
    """Run the service: REST API, engine, executor and timers in one process.

    Every setting may also come from an environment variable, TRAMONTANE_ and the option's name, such
    as TRAMONTANE_PORT, or from a file. SIGTERM and SIGINT stop the service when what is under way is done.
    """
    settings = read_settings(config_file, given)
    if settings.auth == "none" and not insecure_no_auth and not is_loopback(settings.host):
        raise WrongCallError(
            f"whoever reaches {settings.host} would be the administrator of this service, because nobody is "
            "asked who they are; choose a way with --auth, listen on 127.0.0.1, or add --insecure-no-auth if "
            "the network is trusted"
        )
    set_up_logging(log_level)
    try:
        with bind(settings.host, settings.port) as listener:
            loop.run(_serve(settings, listener))
    except TramontaneError as error:
        raise click.ClickException(error.message) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(_INTERRUPTED) from None


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with open_node(settings) as node:
        drain_seconds = int(settings.shutdown_grace_seconds)
        server = Server(node.app(), listener, drain_seconds, node.signals.close)
        ready = f"Tramontane is ready at {url_of(listener)} (database {shown_url(settings.database)})"
        await server.run_until_stopped(lambda: click.echo(ready))


def set_up_logging(level: str) -> None:
    """Log to the standard error; libraries only what is worth a warning."""
    logging.basicConfig(level=level.upper(), format=_LOG_FORMAT)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RequestIds())
    for name in ("uvicorn", "alembic", "aiosqlite", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
