"""An API over an empty database, once for the administrator of the default project, once for others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.api.lab import Client
from tramontane.actions.http_client import HttpSettings
from tramontane.actions.pack import standard_registry
from tramontane.api.app import create_app
from tramontane.api.context import Api
from tramontane.api.settings import ApiSettings
from tramontane.auth import Caller, NotAuthenticatedError
from tramontane.clock import ManualClock
from tramontane.service.actions import Actions
from tramontane.service.checking import Checker
from tramontane.service.definitions import Surroundings, Workflows
from tramontane.service.environments import Environments
from tramontane.service.ids import SortableIds
from tramontane.service.services import Services
from tramontane.service.workbooks import Workbooks
from tramontane.store.database import Database, open_database
from tramontane.store.definitions import Definitions
from tramontane.store.reads.reader import DatabaseReader


class TokenProjects:
    """Authentication for tests: the token is the project, ``admin`` at its end makes an administrator."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("x-auth-token")
        if token is None:
            raise NotAuthenticatedError("The request has no token.")
        project, _, role = token.partition("/")
        return Caller(project, is_admin=role == "admin")


class Library:
    """A client of an API that has definitions but runs nothing, and what is behind it."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self.runner = runner
        self.database: Database = runner.run(open_database(url))
        self.clock = ManualClock()
        self.changes = 0
        self.checker = Checker()
        registry = standard_registry(HttpSettings(), plugins=())
        around = Surroundings(
            definitions=Definitions(self.database),
            checker=self.checker,
            now=lambda: int(self.clock.now().timestamp() * 1_000_000),
            new_id=SortableIds(self.clock),
            changed=self._changed,
        )
        nothing: Any = None
        self.api = Api(
            reader=DatabaseReader(self.database),
            services=Services(
                checker=self.checker,
                registry=registry,
                workflows=Workflows(around),
                workbooks=Workbooks(around),
                actions=Actions(around, registry),
                environments=Environments(around),
                executions=nothing,
                tasks=nothing,
                action_executions=nothing,
            ),
            clock=self.clock,
        )

    def _changed(self) -> None:
        self.changes += 1

    def client(self, settings: ApiSettings | None = None, **changes: Any) -> Client:
        """A client of an API that differs in some settings or parts."""
        api = replace(self.api, **({"settings": settings} if settings else {}), **changes)
        return Client(self.runner, create_app(api))

    def close(self) -> None:
        self.runner.run(self.checker.close())
        self.runner.run(self.database.close())


@pytest.fixture
def library(sqlite_url: str) -> Iterator[Library]:
    with asyncio.Runner() as runner:
        library = Library(runner, sqlite_url)
        yield library
        library.close()


@pytest.fixture
def client(library: Library) -> Client:
    """A client whose caller is the administrator of the default project."""
    return library.client()


@pytest.fixture
def as_project(library: Library) -> Callable[[str], Client]:
    """Makes clients of the same database for a project, such as ``a`` or ``a/admin``."""

    def make(token: str) -> Client:
        client = library.client(authenticator=TokenProjects())
        plain = client.call

        def call(method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> Any:
            return plain(method, url, body, {"x-auth-token": token, **(headers or {})}, **more)

        client.call = call  # type: ignore[method-assign]
        return client

    return make
