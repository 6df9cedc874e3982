"""Concurrency limits as operators see and change them (docs/how-to/limits.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from tramontane.core.state import Micros
from tramontane.errors import BadRequestError, NotFoundError
from tramontane.store.limits import Kind, Limits, LimitUse

log = logging.getLogger(__name__)


class LimitUseCases:
    """Listing, setting and lifting limits."""

    def __init__(self, limits: Limits, now: Callable[[], Micros], changed: Callable[[], None]) -> None:
        """``changed`` is called when a limit is another than before."""
        self._limits = limits
        self._now = now
        self._changed = changed

    async def all(self) -> Sequence[LimitUse]:
        """All limits in force, by kind and name, and how far they are used up."""
        return await self._limits.used()

    async def set(self, kind: Kind, name: str, slots: int) -> LimitUse:
        """Limit a pool or an action, or change its limit; what runs comes to its end.

        Raises:
            BadRequestError: the limit can't be meant.
        """
        if not name.strip():
            raise BadRequestError("A limit needs the name of a pool or of an action.")
        if slots < 0:
            raise BadRequestError(f"A limit must be a whole number from 0 on, not {slots}.")
        await self._limits.set(kind, name, slots, self._now())
        log.info("limit set kind=%s name=%s slots=%d", kind, name, slots)
        self._changed()
        return next(each for each in await self._limits.used() if (each.kind, each.name) == (kind, name))

    async def lift(self, kind: Kind, name: str) -> None:
        """Take a limit away.

        Raises:
            NotFoundError: there is none.
        """
        if not await self._limits.lift(kind, name, self._now()):
            raise NotFoundError(f"There is no limit for the {kind} '{name}'.")
        log.info("limit lifted kind=%s name=%s", kind, name)
        self._changed()
