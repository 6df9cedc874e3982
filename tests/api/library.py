"""An API over a database that holds definitions but runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.api.lab import Client

from tramontane.actions.http_client import HttpSettings
from tramontane.actions.pack import standard_registry
from tramontane.api.app import create_app
from tramontane.api.context import Api
from tramontane.api.settings import ApiSettings
from tramontane.auth import Caller, NotAuthenticatedError
from tramontane.clock import ManualClock
from tramontane.lang import load_action, load_workflow
from tramontane.service.actions import Actions
from tramontane.service.caller import Caller as AnyCaller
from tramontane.service.catalog import Catalog
from tramontane.service.checking import Checker
from tramontane.service.code import CodeSources, DynamicActions
from tramontane.service.cron_triggers import CronTriggers
from tramontane.service.definitions import Surroundings, Workflows
from tramontane.service.environments import Environments
from tramontane.service.event_triggers import EventTriggers
from tramontane.service.ids import SortableIds
from tramontane.service.maintenance import Maintenance
from tramontane.service.members import Members
from tramontane.service.services import Services
from tramontane.service.workbooks import Workbooks
from tramontane.service.workers import WorkerActions
from tramontane.store.database import Database, open_database
from tramontane.store.definitions import Definitions
from tramontane.store.maintenance import MaintenanceStore
from tramontane.store.reads.reader import DatabaseReader
from tramontane.store.served import Served
from tramontane.values import FrozenDict


class TokenProjects:
    """Authentication for tests: the token is the project, ``admin`` at its end makes an administrator."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("x-auth-token")
        if token is None:
            raise NotAuthenticatedError("The request has no token.")
        project, _, role = token.partition("/")
        return Caller(project, is_admin=role == "admin")


class Trusted:
    """Trusts that are only counted: ``given`` are those that nobody has ended."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.ended: list[str] = []

    async def create(self, caller: AnyCaller) -> str | None:
        self.given.append(f"trust of {caller.project_id} {len(self.given) + len(self.ended)}")
        return self.given[-1]

    async def delete(self, trust_id: str) -> None:
        self.given.remove(trust_id)
        self.ended.append(trust_id)

    async def credentials(self, trust_id: str) -> FrozenDict:
        raise AssertionError("nothing runs here")


class Library:
    """A client of an API that has definitions but runs nothing, and what is behind it."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self.runner = runner
        self.database: Database = runner.run(open_database(url))
        self.clock = ManualClock()
        self.changes = 0
        self.checker = Checker()
        registry = standard_registry(HttpSettings(), plugins=())
        self.trusts = Trusted()
        definitions = Definitions(self.database)
        nothing: Any = None
        self.catalog = Catalog(definitions, nothing, registry, load_workflow, load_action)
        around = Surroundings(
            definitions=definitions,
            checker=self.checker,
            now=lambda: int(self.clock.now().timestamp() * 1_000_000),
            new_id=SortableIds(self.clock),
            changed=self._changed,
        )
        self.api = Api(
            reader=DatabaseReader(self.database),
            services=Services(
                checker=self.checker,
                registry=registry,
                workflows=Workflows(around),
                workbooks=Workbooks(around),
                actions=Actions(around, registry),
                environments=Environments(around),
                members=Members(around),
                code_sources=CodeSources(around),
                dynamic_actions=DynamicActions(around),
                cron_triggers=CronTriggers(around, self.catalog, self.trusts),
                event_triggers=EventTriggers(around, self.catalog, self.trusts),
                maintenance=Maintenance(nothing, MaintenanceStore(self.database), exclusive=True),
                executions=nothing,
                forks=nothing,
                tasks=nothing,
                action_executions=nothing,
                workers=nothing,
                limits=nothing,
                brought=WorkerActions(Served(self.database)),
            ),
            clock=self.clock,
        )

    def _changed(self) -> None:
        self.changes += 1
        self.catalog.forget()

    def client(self, settings: ApiSettings | None = None, **changes: Any) -> Client:
        """A client of an API that differs in some settings or parts."""
        parts: dict[str, Any] = {"settings": settings or self.api.settings, **changes}
        api = replace(self.api, **parts)
        return Client(self.runner, create_app(api))

    def close(self) -> None:
        self.runner.run(self.checker.close())
        self.runner.run(self.database.close())


def opened(url: str) -> Iterator[Library]:
    """Have a library for as long as a test takes."""
    with asyncio.Runner() as runner:
        library = Library(runner, url)
        yield library
        library.close()
