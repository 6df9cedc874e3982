"""Nodes under test: real ones on a real database, whose time and actions the test holds in its hands."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

from starlette.types import ASGIApp
from tests.api.lab import Answer, call
from tests.conformance.actions import AsyncJobAction, JobAction, ScriptedRunner, Stage

from tramontane.api.app import create_app
from tramontane.auth import Caller, NotAuthenticatedError
from tramontane.clock import ManualClock
from tramontane.compose import OpenNode, open_node
from tramontane.config import Settings
from tramontane.core.decision import CoreSettings
from tramontane.core.state import Micros, Timer
from tramontane.values import encode, freeze

T = TypeVar("T")

_LONG = 60.0
"""Real seconds after which a test that waits for something is broken, not slow."""
_AGES = 10**9


class ProjectByHeader:
    """Authentication for tests: the token is the project of which the caller is a member."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("x-auth-token")
        if token is None:
            raise NotAuthenticatedError("The request has no token.")
        return Caller(token, roles=frozenset({"member"}))


class Service:
    """One node, its REST API, its clock, and the stages that are played on it."""

    def __init__(self, runner: asyncio.Runner, url: str, settings: CoreSettings) -> None:
        self.settings = settings
        self._runner = runner
        self._stack = AsyncExitStack()
        self.clock = ManualClock()
        self.moved = asyncio.Event()
        """Set when an action has begun to wait for the test's time."""
        self.waiting: set[str] = set()
        """Ids of the actions that wait for the test's time."""
        self.stages: dict[str, Stage] = {}
        self._actions = ScriptedRunner(self.stages.get)
        self.node: OpenNode = self.run(self._open(url, settings))
        self.app = self.api()

    async def _open(self, url: str, settings: CoreSettings) -> OpenNode:
        """Open the node; on SQLite it forgets what it isn't busy with, so that nearly every turn loads."""
        chosen = Settings(
            database=url,
            load_action_plugins=False,
            executor_slots=100_000,
            cached_executions=1 if url.startswith("sqlite") else 5_000,
            shutdown_grace_seconds=0.0,
            field_size_limit_kb=settings.field_size_limit_kb,
            merge_strategy="merge" if settings.merge_strategy == "merge" else "replace",
            context_versioning=settings.context_versioning,
            allow_action_execution_deletion=True,
        )
        context = open_node(chosen, clock=self.clock, runner=self._actions)
        node = await self._stack.enter_async_context(context)
        node.registry.register("job", JobAction, takes_frozen=True)
        node.registry.register("ajob", AsyncJobAction, takes_frozen=True)
        node.engine.watch(self._actions.witness)
        return node

    def api(self, **settings: Any) -> ASGIApp:
        """The node's API with some settings changed."""
        api = self.node.api()
        changed = replace(api.settings, **settings)
        return create_app(replace(api, settings=changed, authenticator=ProjectByHeader()))

    def close(self) -> None:
        """End the worlds that are played here, then the node."""
        for stage in list(self.stages.values()):
            stage.close()
        self.run(self._stack.aclose())

    def run(self, work: Awaitable[T]) -> T:
        return self._runner.run(_bounded(work))

    # -- requests -------------------------------------------------------------------------

    async def call(self, project: str, method: str, url: str, body: Any = None) -> Answer:
        """Send a request of a project; a text as body is a document."""
        headers = {"x-auth-token": project}
        content = b""
        if isinstance(body, str):
            content = body.encode()
        elif body is not None:
            headers["content-type"] = "application/json"
            content = encode(freeze(body)).encode()
        return await call(self.app, method, url, content, headers)

    # -- time -----------------------------------------------------------------------------

    @property
    def now(self) -> Micros:
        return self.node.engine.now()

    def begin_second(self) -> None:
        """Go to the next whole second, which is all that answers show of times."""
        rest = self.clock.now().microsecond
        self.clock.advance((1_000_000 - rest) / 1e6)

    async def move_to(self, moment: Micros) -> None:
        """Let it be that moment; timers that fall due are fired."""
        self.clock.advance(max(0, moment - self.now) / 1e6)
        await self.node.runtime.timers.polling.next_round()

    async def next_timer(self, roots: frozenset[str]) -> Micros | None:
        """When the next timer of these trees of executions is due."""
        coming: list[Timer] = await self.node.runtime.work.coming_timers(_AGES)
        return min((timer.due_at for timer in coming if timer.root_id in roots), default=None)

    async def settle(self) -> None:
        """Wait until the node has done everything that is to be done at this moment."""
        runtime = self.node.runtime
        while True:
            self.moved.clear()
            if busy := self._busy():
                await self._any_of(busy)
            elif runtime.executor.has_backlog:
                await runtime.executor.claiming.next_round()
            elif runtime.timers.has_due:
                await runtime.timers.ticking.next_round()
            elif not (self._may_lose_wakeups and await runtime.work.look_at_inboxes(0)):
                return

    def _busy(self) -> list[asyncio.Task[None]]:
        actions = self.node.runtime.executor.tasks.items()
        return [
            *self.node.engine.turns,
            *(task for action_id, task in actions if action_id not in self.waiting),
            *self.node.runtime.timers.tasks,
        ]

    async def _any_of(self, busy: list[asyncio.Task[None]]) -> None:
        moved = asyncio.ensure_future(self.moved.wait())
        try:
            await asyncio.wait([*busy, moved], return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()

    @property
    def _may_lose_wakeups(self) -> bool:
        """Where other nodes might be, an execution that this one has forgotten is found by polling."""
        return self.node.database.name != "sqlite"


class Station:
    """Two nodes on one kind of database: one with the usual settings, one with those of a test.

    The second is opened when a test needs it, and again, on the same database, for other settings.
    """

    def __init__(self, new_url: Callable[[], str]) -> None:
        self._new_url = new_url
        self._runner = asyncio.Runner()
        self._urls: dict[bool, str] = {}
        self._services: dict[bool, Service] = {}
        self._numbers = itertools.count(1)

    def service(self, settings: CoreSettings) -> Service:
        is_usual = settings == CoreSettings()
        found = self._services.get(is_usual)
        if found is not None and found.settings == settings:
            return found
        if found is not None:
            found.close()
        if is_usual not in self._urls:
            self._urls[is_usual] = self._new_url()
        opened = self._services[is_usual] = Service(self._runner, self._urls[is_usual], settings)
        return opened

    def new_project(self) -> str:
        return str(uuid.UUID(int=next(self._numbers)))

    def close(self) -> None:
        for service in self._services.values():
            service.close()
        self._runner.close()


async def _bounded(work: Awaitable[T]) -> T:
    async with asyncio.timeout(_LONG):
        return await work
