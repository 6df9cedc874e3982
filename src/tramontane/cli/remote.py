"""Commands that ask a running service: where it is, who asks, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import aiohttp
import click

from tramontane.cli import loop
from tramontane.cli.rest import RestClient, RestError, connect
from tramontane.cli.settings import WrongCallError

DEFAULT_URL: Final = "http://127.0.0.1:8989/v2"

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


def service_options(function: Function) -> Function:
    """Add ``--url`` and ``--token``, which Mistral's client reads from the environment too."""
    function = click.option(
        "--token",
        metavar="TEXT",
        envvar="OS_AUTH_TOKEN",
        help="Token that the service wants.  [OS_AUTH_TOKEN]",
    )(function)
    return click.option(
        "--url",
        metavar="URL",
        envvar="OS_MISTRAL_URL",
        default=DEFAULT_URL,
        help=f"Address of the service.  [OS_MISTRAL_URL; default: {DEFAULT_URL}]",
    )(function)


def ask(url: str, token: str | None, work: Callable[[RestClient], Coroutine[Any, Any, T]]) -> T:
    """Do ``work`` with a client of the service.

    Raises:
        click.ClickException: the service can't be reached, or refuses.
    """
    base = url.rstrip("/").removesuffix("/v2")
    if not base.startswith(("http://", "https://")):
        raise WrongCallError(f"'{url}' is no address of a service; it looks like {DEFAULT_URL}")

    async def connected() -> T:
        async with connect(base, {"x-auth-token": token} if token else {}) as client:
            return await work(client)

    try:
        return loop.run(connected())
    except RestError as error:
        raise click.ClickException(error.message) from None
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise click.ClickException(f"the service at {url} can't be reached: {error}") from None
