"""What handlers work with: settings, reads, use cases, authentication."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tramontane.api.settings import ApiSettings
from tramontane.auth import Authenticator, NoAuthentication, PolicyRules, Rules
from tramontane.clock import Clock, SystemClock
from tramontane.service.services import Services
from tramontane.store.reads.objects import Reader

Readiness = Callable[[], Awaitable[Sequence[str]]]
"""Names what keeps the node from serving; nothing: it is ready."""


async def _always_ready() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Api:
    """Everything that answers requests. ``reader`` reads outside of any transaction; whatever changes
    something goes through ``services``."""

    reader: Reader
    services: Services
    settings: ApiSettings = field(default_factory=ApiSettings)
    authenticator: Authenticator = field(default_factory=NoAuthentication)
    rules: Rules = field(default_factory=PolicyRules)
    readiness: Readiness = _always_ready
    clock: Clock = field(default_factory=SystemClock)

    def now(self) -> int:
        """The present, in microseconds since 1970 UTC."""
        return int(self.clock.now().timestamp() * 1_000_000)
