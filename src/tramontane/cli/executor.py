"""``tramontane executor``: a process that only runs actions."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import signal
from pathlib import Path
from typing import Any, Final

import click

from tramontane.cli import loop
from tramontane.cli.db import shown_url
from tramontane.cli.serve import LEVELS, set_up_logging
from tramontane.cli.settings import WrongCallError, read_settings, setting_options
from tramontane.compose_executor import open_executor
from tramontane.config import Settings
from tramontane.errors import TramontaneError

SETTINGS: Final = (
    "database",
    "big_values",
    "executor_threads",
    "load_action_plugins",
    "action_allowlist",
    "action_denylist",
    "http_timeout_seconds",
    "http_max_response_bytes",
    "http_allowed_hosts",
    "http_denied_cidrs",
    "log_request_bodies",
    "log_response_bodies",
    "sensitive_headers",
    "keystone_url",
    "keystone_username",
    "keystone_password",
    "keystone_project",
    "keystone_user_domain",
    "keystone_user_domain_id",
    "keystone_project_domain",
    "keystone_project_domain_id",
    "identity_ca_file",
    "identity_cert_file",
    "identity_key_file",
    "identity_insecure",
    "secret_keys",
    "field_size_limit_kb",
    "heartbeat_seconds",
    "lease_seconds",
    "shutdown_grace_seconds",
)
"""What matters to a process without engine and API."""


@click.command("executor")
@click.option("--pool", "pools", multiple=True, metavar="NAME", help="Take actions with this target, too.")
@click.option("--only-pool", is_flag=True, help="Leave actions without a target to others.")
@click.option(
    "--concurrency", type=click.IntRange(1), help="Actions that run at the same time.  [default: 256]"
)
@setting_options(SETTINGS)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", help="Least severity that is logged.")
def command(
    pools: tuple[str, ...],
    only_pool: bool,
    concurrency: int | None,
    config_file: Path | None,
    log_level: str,
    **given: Any,
) -> None:
    """Run actions for the service whose database this is, on any host.

    Several may run; each takes what it has free places for. SIGTERM and SIGINT: running actions get the
    time to end that --shutdown-grace-seconds gives them.
    """
    if only_pool and not pools:
        raise WrongCallError("--only-pool needs at least one --pool, or there is nothing to do")
    settings = read_settings(config_file, {**given, "executor_slots": concurrency})
    if not settings.executor_slots:
        # A settings file that is shared with nodes which run no actions themselves.
        settings = dataclasses.replace(settings, executor_slots=Settings.executor_slots)
    set_up_logging(log_level)
    try:
        loop.run(_run(settings, pools, only_pool))
    except TramontaneError as error:
        raise click.ClickException(error.message) from None


async def _run(settings: Settings, pools: tuple[str, ...], only_pool: bool) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with open_executor(settings, pools, for_anybody=not only_pool):
        gc.freeze()  # as in a node
        named = f", pools {', '.join(pools)}" if pools else ""
        click.echo(f"Tramontane runs actions (database {shown_url(settings.database)}{named})")
        await stopping.wait()
