"""Every test of this part runs on all databases, as a project of a real node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conformance.project import Project


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project of its own on a node of the session."""
    project = Project(request.getfixturevalue(f"{request.param}_station"))
    yield project
    project.close()
