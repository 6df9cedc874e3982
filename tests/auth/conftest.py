"""A Keystone for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.auth.keystone import Keystone, running


@pytest.fixture(scope="session")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    """A real Keystone with a project ``shop`` (alice: member, root: admin) and the account of the service."""
    with running(tmp_path_factory.mktemp("keystone")) as found:
        shop, service = found.project("shop"), found.project("service")
        found.user("alice", shop, "member")
        found.user("root", shop, "admin")
        found.user("tramontane", service, "service")
        found.user("nova", service, "service", "member")
        yield found
