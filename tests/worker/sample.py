"""A worker as people write one, run by the tests as a process: ``python -m tests.worker.sample URL``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from tramontane.worker import ActionFailed, Worker

worker = Worker(sys.argv[1], concurrency=2)


@dataclass
class Size:
    width: int
    height: int


@worker.action("img.area")
def area(size: Size, scale: int = 1) -> int:
    return size.width * size.height * scale


@worker.action("img.refuse")
async def refuse(code: int) -> None:
    raise ActionFailed({"code": code})


@worker.action("img.hang")
async def hang() -> None:
    print("hanging", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)


if __name__ == "__main__":
    worker.run()
