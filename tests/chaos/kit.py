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

worker = Worker(sys.argv[1], concurrency=4)


def _call(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_LIMIT) as answer:
        return json.load(answer)["said"]


@worker.action("chaos.once")
async def once(url: str) -> Any:
    return await asyncio.to_thread(_call, url)


@worker.action("chaos.safe")
async def safe(url: str) -> Any:
    return await asyncio.to_thread(_call, url)


if __name__ == "__main__":
    worker.run()
