"""A worker of the cluster: ``python -m tests.chaos.kit URL``. What it does is counted outside."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from typing import Any

from tramontane.worker import Worker

ACTIONS = ("chaos.once", "chaos.safe")
_LIMIT = 30.0


def _call(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_LIMIT) as answer:
        return json.load(answer)["said"]


async def call(url: str) -> Any:
    return await asyncio.to_thread(_call, url)


def main(service: str) -> None:
    worker = Worker(service, concurrency=4)
    for name in ACTIONS:
        worker.action(name)(call)
    worker.run()


if __name__ == "__main__":
    main(sys.argv[1])
