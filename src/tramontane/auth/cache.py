"""What tokens turned out to be worth, remembered for a short while.

Keys are hashes of tokens, so that a dump of the memory holds fewer secrets. Requests that come with the
same unknown token at the same time ask once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from tramontane.clock import Clock

T = TypeVar("T")

_MOST: Final = 10_000


def hash_of(token: str) -> str:
    """SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


class Cache(Generic[T]):
    """Values by key, each until a moment of its own (seconds since 1970); the oldest make room."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, T]] = {}
        self._asking: dict[str, asyncio.Future[T]] = {}

    def now(self) -> float:
        return self._clock.now().timestamp()

    async def get(self, key: str, ask: Callable[[], Awaitable[tuple[T, float]]]) -> T:
        """Give the value of a key; ``ask`` finds it out, with the moment until which it holds.

        What ``ask`` raises is raised here, and nothing is remembered.
        """
        found = self._known.get(key)
        if found is not None:
            if self.now() < found[0]:
                return found[1]
            self._known.pop(key, None)
        asking = self._asking.get(key)
        if asking is None:
            # A task of its own: a client that goes away must not take the answer from the others.
            asking = asyncio.ensure_future(self._ask(key, ask))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asking)

    def forget(self, key: str) -> None:
        self._known.pop(key, None)

    async def _ask(self, key: str, ask: Callable[[], Awaitable[tuple[T, float]]]) -> T:
        value, until = await ask()
        if len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = (until, value)
        return value

    def _answered(self, key: str, done: asyncio.Future[T]) -> None:
        del self._asking[key]
        if not done.cancelled():
            done.exception()  # looked at here, in case that nobody waits any more
