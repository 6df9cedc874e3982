"""The protocol of leases, fence and inbox, explored: thousands of clusters on which everything goes wrong.

Each seed is one story (:mod:`tests.protocol.simulation`); the same seed is the same story. A broken one
is played again by ``pytest tests/protocol --seed N``; ``TRAMONTANE_STORIES`` says how many there are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from tests.protocol.simulation import tell

STORIES = int(os.environ.get("TRAMONTANE_STORIES", "2000"))
_PART = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        given: Sequence[int] = metafunc.config.getoption("seed")
        parts = [given] if given else [range(at, at + _PART) for at in range(0, STORIES, _PART)]
        metafunc.parametrize("seeds", parts, ids=lambda part: f"{part[0]}-{part[-1]}")


def test_whatever_goes_wrong_every_promise_holds(seeds: Sequence[int]) -> None:
    broken = [str(story) for story in map(tell, seeds) if story.broken]
    assert not broken, "\n".join(broken)


def test_a_seed_is_always_the_same_story() -> None:
    program = (
        "from tests.protocol.simulation import tell\n"
        "for seed in range(6):\n    print(tell(seed), tell(seed).steps, tell(seed).seconds)"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hashing, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hashing in ("1", "2")
    }
    assert len(told) == 1
