"""How long the tests of this part run."""

from __future__ import annotations

import pytest


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often each client plays every workflow, and each fault happens: more when seeds are given."""
    return 3 if request.config.getoption("chaos_seed") else 1
