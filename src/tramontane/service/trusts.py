"""Trusts: how a trigger may act later on behalf of whoever created it (REST specification, section 6.5).

What is stored with a trigger is the trust's id alone; it is never shown.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from tramontane.errors import TramontaneError
from tramontane.service.caller import Caller

log = logging.getLogger(__name__)


class Trusts(Protocol):
    """Implemented where an identity service is in use."""

    async def create(self, caller: Caller) -> str | None:
        """Have the caller trust the service; give the trust's id (None: none is needed)."""

    async def delete(self, trust_id: str) -> None:
        """End a trust."""


class NoTrusts:
    """Without an identity service everything runs on the service's own behalf."""

    async def create(self, caller: Caller) -> str | None:
        return None

    async def delete(self, trust_id: str) -> None:
        return None


@contextlib.asynccontextmanager
async def trusted(trusts: Trusts, caller: Caller) -> AsyncIterator[str | None]:
    """Have a trust that stays if the block ends well, and is ended again if it doesn't."""
    trust_id = await trusts.create(caller)
    try:
        yield trust_id
    except BaseException:
        await end(trusts, trust_id)
        raise


async def end(trusts: Trusts, trust_id: str | None) -> None:
    """End a trust, if there is one; that it can't be ended is only logged."""
    if trust_id is None:
        return
    try:
        await trusts.delete(trust_id)
    except TramontaneError as error:
        log.warning("trust not deleted trust_id=%s error=%s", trust_id, error.message)
