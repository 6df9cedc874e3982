"""What handlers work with: settings, reads, use cases, authentication."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tramontane.api.settings import ApiSettings
from tramontane.auth import Authenticator, NoAuthentication, PolicyRules, Rules
from tramontane.clock import Clock, SystemClock
from tramontane.errors import NotFoundError
from tramontane.lang import WorkflowSpec
from tramontane.service.services import Services
from tramontane.service.signals import ChangeSignals
from tramontane.store.reads.objects import Reader

Readiness = Callable[[], Awaitable[Sequence[str]]]
"""Names what keeps the node from serving; nothing: it is ready."""


Specs = Callable[[str], Awaitable[WorkflowSpec]]
"""Gives what an execution runs by the hash of its content; NotFoundError: that is lost."""


async def _always_ready() -> Sequence[str]:
    return ()


Metrics = Callable[[], Awaitable[bytes]]
"""Gives this node's numbers in Prometheus' text form."""


async def _no_metrics() -> bytes:
    return b""


async def _no_specs(spec_hash: str) -> WorkflowSpec:
    raise NotFoundError(f"There are no stored definitions here [hash={spec_hash}]")


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
    specs: Specs = _no_specs
    signals: ChangeSignals = field(default_factory=ChangeSignals)
    clock: Clock = field(default_factory=SystemClock)
    metrics: Metrics = _no_metrics

    def now(self) -> int:
        """The present, in microseconds since 1970 UTC."""
        return int(self.clock.now().timestamp() * 1_000_000)
