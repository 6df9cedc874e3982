"""``tramontane serve``: the whole service in one process, or in several beside each other."""

from __future__ import annotations

import dataclasses
import gc
import logging
import secrets
import socket
from pathlib import Path
from typing import Any, Final

import click

from tramontane.api.request_ids import RequestIds
from tramontane.cli import loop
from tramontane.cli.db import shown_url
from tramontane.cli.listener import Server, bind, is_loopback, url_of
from tramontane.cli.settings import WrongCallError, read_settings, setting_options
from tramontane.cli.workers import Workers
from tramontane.compose import open_node
from tramontane.compose_auth import secrets_of
from tramontane.config import Settings
from tramontane.errors import TramontaneError

LEVELS: Final = ("debug", "info", "warning", "error")
_LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s {worker}%(name)s:%(request)s %(message)s"
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
    """Run the service: REST API, engine, executor and timers, in one process or in several (--workers).

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
            if settings.workers > 1:
                status = _serve_by_workers(settings, listener, log_level)
            else:
                status = loop.run(_serve(settings, listener))
    except TramontaneError as error:
        raise click.ClickException(error.message) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(_INTERRUPTED) from None
    raise click.exceptions.Exit(status)


async def _serve(settings: Settings, listener: socket.socket, leash: socket.socket | None = None) -> int:
    """Run a node until it is told to stop; ``leash``: on behalf of a parent, who tells it by this."""
    async with open_node(settings) as node:
        drain_seconds = int(settings.shutdown_grace_seconds)
        server = Server(node.app(), listener, drain_seconds, node.hand_over, leash)
        # What is there now stays: looking through it again and again for cycles would stop everything for
        # a tenth of a second each time.
        gc.freeze()
        await server.run_until_stopped(
            (lambda: _tell_ready(settings, listener)) if leash is None else server.tell_parent
        )
    return 0


def _serve_by_workers(settings: Settings, listener: socket.socket, log_level: str) -> int:
    if not secrets_of(settings):
        # What one of them seals the others must be able to open.
        settings = dataclasses.replace(settings, secret_keys=(secrets.token_urlsafe(32),))

    def serve(number: int, leash: socket.socket) -> int:
        set_up_logging(log_level, worker=number)
        try:
            return loop.run(_serve(settings, listener, leash))
        except TramontaneError as error:
            click.ClickException(error.message).show()
            return 1

    return Workers(settings.workers, serve, lambda: _tell_ready(settings, listener)).run()


def _tell_ready(settings: Settings, listener: socket.socket) -> None:
    workers = f", {settings.workers} workers" if settings.workers > 1 else ""
    click.echo(
        f"Tramontane is ready at {url_of(listener)} (database {shown_url(settings.database)}{workers})"
    )


def set_up_logging(level: str, worker: int | None = None) -> None:
    """Log to the standard error; libraries only what is worth a warning."""
    shown = "" if worker is None else f"worker={worker} "
    logging.basicConfig(level=level.upper(), format=_LOG_FORMAT.format(worker=shown), force=True)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RequestIds())
    for name in ("uvicorn", "alembic", "aiosqlite", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
