"""Doing together what many ask for one by one: what comes during one go waits for the next.

Alone, nobody waits; under load a transaction is shared by as many as came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Calls ``do`` with what was put in since it was called last, one call at a time."""

    def __init__(self, do: Callable[[Sequence[T]], Awaitable[None]], most: int) -> None:
        """``most``: so many at once; what ``do`` raises goes to all of its call."""
        self._do = do
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, item: T) -> None:
        """Have something done with ``item``; returns when it is."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="together")
        await done

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await self._do([item for item, _ in batch])
            except Exception as error:
                _settle(batch, error)
            except BaseException:
                for _, done in [*batch, *self._waiting]:
                    done.cancel()
                raise
            else:
                _settle(batch, None)


def _settle(batch: Sequence[tuple[T, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
