"""Transactions that are run again when others were in the way.

A deadlock, and on a Galera cluster a commit that failed at its certification because another server was
faster, costs another try and nothing else.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from tramontane.store.errors import DatabaseBusyError

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 8


def again_when_busy(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a function again whose only transaction others were in the way of; it must do nothing before."""

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, _TRIES):
            try:
                return await function(*args, **kwargs)
            except DatabaseBusyError:
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        return await function(*args, **kwargs)

    return run
