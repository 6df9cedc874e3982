"""An API over an empty database: with definitions only, or as a whole node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from tests.api.lab import Client
from tests.api.library import Library, TokenProjects, opened
from tests.api.running import Running

from tramontane.compose import open_node
from tramontane.config import Settings


@pytest.fixture
def library(sqlite_url: str) -> Iterator[Library]:
    yield from opened(sqlite_url)


@pytest.fixture
def client(library: Library) -> Client:
    """A client whose caller is the administrator of the default project."""
    return library.client()


@pytest.fixture
def as_project(library: Library) -> Callable[[str], Client]:
    """Makes clients of the library for a project, such as ``a`` or ``a/admin``."""
    return lambda token: library.client(authenticator=TokenProjects()).with_headers({"x-auth-token": token})


@pytest.fixture
def service(sqlite_url: str) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        context = open_node(Settings(database=sqlite_url, load_action_plugins=False))
        yield Running(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def as_caller(service: Running) -> Callable[[str], Client]:
    """Makes clients of the running node for a project, such as ``a`` or ``a/admin``."""
    return lambda token: service.changed(authenticator=TokenProjects()).with_headers({"x-auth-token": token})
