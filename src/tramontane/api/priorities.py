"""Priorities in requests: what they may be, and who may give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.api.context import Api
from tramontane.api.request import Request
from tramontane.auth.policy import enforce
from tramontane.errors import BadRequestError
from tramontane.service.queueing import HIGHEST


def read_priority(api: Api, request: Request, params: Mapping[str, Any] | None) -> int | None:
    """Read ``params.priority``; None: none is given. One above 0 goes before what others have waiting.

    Raises:
        BadRequestError: it is none.
        NotAllowedError: the caller may not go before others.
    """
    priority = None if params is None else params.get("priority")
    if priority is None:
        return None
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > HIGHEST:
        raise BadRequestError(
            f"'params.priority' must be a whole number from {-HIGHEST} to {HIGHEST}, not {priority!r}."
        )
    if priority > 0:
        enforce(api.rules, "executions:prioritize", request.caller)
    return priority
