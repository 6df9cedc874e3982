from __future__ import annotations

import sys

import pytest


@pytest.fixture(scope="session")
def stdlib() -> frozenset[str]:
    return frozenset(sys.stdlib_module_names)
