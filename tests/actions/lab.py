"""What the tests of actions share: the standard pack ready to run, and a web server in their event loop."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tramontane.actions.base import ActionContext
from tramontane.actions.http_client import HttpSettings
from tramontane.actions.pack import standard_registry
from tramontane.actions.registry import Descriptor, describe
from tramontane.actions.runner import ActionRunner
from tramontane.results import Result

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve every request by ``handler`` on a free port of 127.0.0.1; gives the base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Standard:
    """The standard pack without plug-ins, its network open to loopback unless told otherwise."""

    def __init__(self, **settings: Any) -> None:
        self.registry = standard_registry(HttpSettings(**{"denied_cidrs": (), **settings}), plugins=())
        self.runner = ActionRunner(threads=4)

    async def __aenter__(self) -> Standard:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.registry.close()

    def named(self, name: str) -> Descriptor:
        descriptor = self.registry.find(name)
        assert descriptor is not None
        return descriptor

    async def result(self, name: str, seconds: float | None = None, /, **given: Any) -> Result:
        """Run an action whose input is right and which doesn't wait for an outside result."""
        descriptor = self.named(name)
        assert descriptor.check_input(given) is None
        result = await self.runner.run_action(descriptor, given, context_of("ae-1"), seconds)
        assert result is not None
        return result


async def run_class(
    action_class: type[Any],
    given: Mapping[str, Any] | None = None,
    *,
    seconds: float | None = None,
    dry_run: bool = False,
    runner: ActionRunner | None = None,
) -> Result | None:
    """Run a class that is in no registry."""
    runner = runner or ActionRunner(threads=2)
    context = context_of("ae-1", dry_run=dry_run)
    return await runner.run_action(describe("my.action", action_class), given or {}, context, seconds)


def context_of(action_id: str, *, dry_run: bool = False, **security: Any) -> ActionContext:
    data = {"execution": {"action_execution_id": action_id}, "security": security}
    return ActionContext.from_map(data, dry_run=dry_run)
