"""How long the tests of this part run."""

from __future__ import annotations

import pytest


@pytest.fixture
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether all faults happen, not a selection: when seeds are given."""
    return bool(request.config.getoption("chaos_seed"))
