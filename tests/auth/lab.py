"""Small servers on loopback, and requests that carry tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from aiohttp import web

from tramontane.auth import Authenticator, Caller, NotAuthenticatedError

T = TypeVar("T")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Have every request to a port of its own answered by ``handler``; gives the URL."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def run(main: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(main)


def sent(token: str, **more: str) -> Mapping[str, str]:
    """Headers with a token; names in lower case, as the application has them."""
    return {"x-auth-token": token, **{name.replace("_", "-"): value for name, value in more.items()}}


async def caller_of(authenticator: Authenticator, token: str, **more: str) -> Caller:
    return await authenticator.authenticate(sent(token, **more))


async def refusal(authenticator: Authenticator, token: str, **more: str) -> str:
    """The reason why a token is refused."""
    with pytest.raises(NotAuthenticatedError) as caught:
        await authenticator.authenticate(sent(token, **more))
    return caught.value.message
