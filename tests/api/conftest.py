"""An API over an empty database, once for the administrator of the default project, once for others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.api.lab import Client, call
from tramontane.actions.http_client import HttpSettings
from tramontane.actions.pack import standard_registry
from tramontane.api.app import create_app
from tramontane.api.context import Api
from tramontane.api.settings import ApiSettings
from tramontane.auth import Caller, NotAuthenticatedError
from tramontane.clock import ManualClock
from tramontane.compose import OpenNode, open_node
from tramontane.config import Settings
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


class Running(Client):
    """A client of a running node, whose caller is the administrator of the default project."""

    def __init__(self, runner: asyncio.Runner, node: OpenNode) -> None:
        super().__init__(runner, node.app())
        self.node = node

    def changed(self, **settings: Any) -> Client:
        """A client of the same node whose API has other settings."""
        api = self.node.api()
        return Client(self._runner, create_app(replace(api, settings=replace(api.settings, **settings))))

    def define(self, document: str, query: str = "") -> list[dict[str, Any]]:
        """Upload workflows."""
        answer = self.post(f"/v2/workflows{query}", document)
        assert answer.status == 201, answer
        workflows = answer.json["workflows"]
        assert isinstance(workflows, list)
        return workflows

    def start(self, workflow: str, wait: float = 0, **body: Any) -> dict[str, Any]:
        """Start a workflow by name; with ``wait`` it is completed afterwards."""
        url = f"/v2/executions?wait={wait}" if wait else "/v2/executions"
        answer = self.post(url, {"workflow_name": workflow, **body})
        assert answer.status == 201, answer
        data = answer.json
        assert isinstance(data, dict)
        return data

    def finish(self, execution_id: str) -> dict[str, Any]:
        """Wait until an execution is completed."""
        data = self.get(f"/v2/executions/{execution_id}?wait=20").json
        assert data["state"] in ("SUCCESS", "ERROR", "CANCELLED"), data
        assert isinstance(data, dict)
        return data

    def execution(self, execution_id: str) -> dict[str, Any]:
        data = self.get(f"/v2/executions/{execution_id}").json
        assert isinstance(data, dict)
        return data

    def tasks(self, execution_id: str) -> dict[str, dict[str, Any]]:
        """The tasks of an execution by name."""
        return {item["name"]: item for item in self.items(f"/v2/executions/{execution_id}/tasks")}

    def task(self, execution_id: str, name: str) -> dict[str, Any]:
        """One task, as its single read shows it."""
        data = self.get(f"/v2/tasks/{self.tasks(execution_id)[name]['id']}").json
        assert isinstance(data, dict)
        return data

    def actions(self, task_id: str) -> list[dict[str, Any]]:
        return self.items(f"/v2/tasks/{task_id}/action_executions")

    def until(self, url: str, holds: Callable[[Any], bool]) -> Any:
        """Read a URL again and again until what it shows is as it should be."""

        async def poll() -> Any:
            async with asyncio.timeout(20):
                while True:
                    answer = await call(self.app, "GET", url)
                    if holds(answer.json):
                        return answer.json
                    await asyncio.sleep(0.005)

        return self.run(poll())


@pytest.fixture
def service(sqlite_url: str) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        context = open_node(Settings(database=sqlite_url, load_action_plugins=False))
        yield Running(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))
