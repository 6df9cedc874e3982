"""Every test of the engine runs in memory, as it is and under the hardest conditions, and over REST."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.core.lab import LIMITS

IN_MEMORY = ("kept", "reloaded")
OVER_REST = ("rest-sqlite", "rest-postgresql", "rest-mariadb")
IN_PART = {"rest-mariadb": ("test_r_items", "test_r_limits", "test_r_reverse", "test_r_subworkflows")}
"""What of a door is in a run that names none: modules that between them write every kind of row."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    if not module.startswith("test_r_"):
        return  # it makes worlds of its own
    usual = [door for door in (*IN_MEMORY, *OVER_REST) if module in IN_PART.get(door, (module,))]
    chosen = metafunc.config.getoption("door") or usual
    excluded = {door for mark in metafunc.definition.iter_markers("not_at") for door in mark.args}
    if metafunc.definition.get_closest_marker("world_only"):
        excluded.update(OVER_REST)
    metafunc.parametrize("_door", [door for door in chosen if door not in excluded], indirect=True)


@pytest.fixture(autouse=True)
def _door(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the test's worlds are.

    In memory with a large budget (``kept``); then loaded from rows before each turn, one step a turn
    (``reloaded``); then as projects of a node, its definitions uploaded, its executions started and
    their outcome read over REST, on each database.
    """
    door: str = getattr(request, "param", "kept")
    if door == "reloaded":
        LIMITS.max_steps, LIMITS.forgets = 1, True
    elif door.startswith("rest-"):
        LIMITS.station = request.getfixturevalue(f"{door.removeprefix('rest-')}_station")
    try:
        yield
    finally:
        for world in LIMITS.rest_worlds:
            world.close()
        LIMITS.max_steps, LIMITS.forgets, LIMITS.station = 500, False, None
        LIMITS.rest_worlds.clear()
