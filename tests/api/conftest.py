"""An API over an empty database: with definitions only, or as a whole node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.api.lab import Client
from tests.api.library import Library, TokenProjects
from tests.api.running import Running

from tramontane.compose import open_node
from tramontane.config import Settings


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


@pytest.fixture
def service(sqlite_url: str) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        context = open_node(Settings(database=sqlite_url, load_action_plugins=False))
        yield Running(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))
