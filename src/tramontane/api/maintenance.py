"""What may still be asked during maintenance (REST endpoints, section 2)."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from tramontane.api.context import Api
from tramontane.api.faults import HttpError
from tramontane.api.request import Request
from tramontane.states import CANCELLED


async def refuse_in_maintenance(api: Api, request: Request, segments: Sequence[str]) -> None:
    """Let everything pass while the service runs; otherwise reading, and what lets work come to its end.

    Raises:
        HttpError: 423.
    """
    if request.method == "GET" or api.services.maintenance.status == "RUNNING":
        return
    if await _is_allowed(api, request, segments):
        return
    raise HttpError(
        423,
        f"The service is in maintenance ({api.services.maintenance.status}); "
        f"the method {request.method} isn't allowed now.",
        announced=True,
    )


async def _is_allowed(api: Api, request: Request, segments: Sequence[str]) -> bool:
    match [request.method, *segments]:
        case ["PUT", "maintenance"]:
            return True
        case ["POST", "v2", "workers", _]:  # who runs actions has to bring them to their end
            return True
        case ["PUT", "v2", "action_executions", _]:
            return api.services.maintenance.status == "PAUSING"
        case ["PUT", "v2", "executions", _]:
            return _asks_for(await request.body(), CANCELLED)
        case _:
            return False


def _asks_for(body: bytes, state: str) -> bool:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(asked, dict) and asked.get("state") == state
