"""Trusts: how a trigger may act later on behalf of whoever created it (REST specification, section 6.5).

What is stored with a trigger is the trust's id alone; it is never shown. What it starts runs as
:func:`owner_of` says, and its actions get their tokens when they begin
(:mod:`tramontane.service.credentials`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from tramontane.errors import TramontaneError
from tramontane.service.caller import Caller
from tramontane.store.definition_records import CronTriggerRow, EventTriggerRow
from tramontane.store.definitions import Definitions
from tramontane.values import EMPTY, FrozenDict

log = logging.getLogger(__name__)


class Trusts(Protocol):
    """Implemented where an identity service is in use."""

    async def create(self, caller: Caller) -> str | None:
        """Have the caller trust the service; give the trust's id (None: none is needed)."""

    async def delete(self, trust_id: str) -> None:
        """End a trust."""

    async def credentials(self, trust_id: str) -> FrozenDict:
        """Give what an action needs to act for whoever gave the trust, a token that is good for a while
        included; by the names of :class:`tramontane.actions.base.SecurityContext`.

        Raises:
            NotFoundError: the trust was ended, as it is with its trigger.
        """


class NoTrusts:
    """Without an identity service everything runs on the service's own behalf."""

    async def create(self, caller: Caller) -> str | None:
        return None

    async def delete(self, trust_id: str) -> None:
        return None

    async def credentials(self, trust_id: str) -> FrozenDict:
        return EMPTY


@dataclass(frozen=True, slots=True)
class TriggerOwner:
    """Whose executions those of a trigger are (:class:`tramontane.service.caller.Caller`)."""

    project_id: str
    security: Any
    is_admin: bool = False
    roles: frozenset[str] = frozenset()
    identity: Any = None


def owner_of(trigger: CronTriggerRow | EventTriggerRow) -> TriggerOwner:
    """Give the caller on whose behalf a trigger starts its workflow.

    That takes no word with the identity service: the execution keeps the trust's id, and no token.
    """
    if trigger.trust_id is None:
        return TriggerOwner(trigger.project_id, None)
    known = {
        "project_id": trigger.project_id,
        "trust_id": trigger.trust_id,
        "is_trust_scoped": True,
        "is_target": False,
    }
    return TriggerOwner(trigger.project_id, FrozenDict(known))


@contextlib.asynccontextmanager
async def trusted(trusts: Trusts, definitions: Definitions, caller: Caller) -> AsyncIterator[str | None]:
    """Have a trust for a trigger that the block stores; if it doesn't, the trust is ended again."""
    trust_id = await trusts.create(caller)
    try:
        yield trust_id
    except BaseException:
        await end(trusts, definitions, trust_id)
        raise


async def end(trusts: Trusts, definitions: Definitions, trust_id: str | None) -> None:
    """End a trust, if there is one that no trigger has any more; that it can't be ended is only logged.

    Triggers made by what a trigger has started share its trust. And a trigger may be stored although its
    transaction seemed to fail, when the connection broke meanwhile.
    """
    if trust_id is None:
        return
    try:
        if not await definitions.has_trust(trust_id):
            await trusts.delete(trust_id)
    except TramontaneError as error:
        log.warning("trust not deleted trust_id=%s error=%s", trust_id, error.message)
