"""Concurrency limits of pools and actions."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.media import read_object
from tramontane.api.request import Request
from tramontane.api.times import shown
from tramontane.api.values_in import Converter, checked, one_of, short_text, taking
from tramontane.errors import BadRequestError
from tramontane.store.limits import KINDS, LimitUse

_MOST: Final = 2**31 - 1


@taking({"type": ["integer", "null"], "minimum": 0, "maximum": _MOST})
def _slots(name: str, value: Any) -> int | None:
    """How many at the same time; null: as many as there are slots."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise BadRequestError(f"'{name}' must be a whole number from 0 on, or null, not {value!r}.")
    return value


MODEL: Final[dict[str, Converter]] = {"kind": one_of(*KINDS), "name": short_text(255), "limit": _slots}


async def list_limits(api: Api, request: Request) -> Response:
    """Show all limits, and how far they are used up."""
    request.allow_parameters()
    return answer({"limits": [_shown(each) for each in await api.services.limits.all()]})


async def change_limit(api: Api, request: Request) -> Response:
    """Set a limit, or take it away with null; show those that are in force then."""
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), MODEL)
    kind, name = body.get("kind"), body.get("name")
    if kind is None or not name or "limit" not in body:
        raise BadRequestError("A limit needs a 'kind' (pool or action), a 'name' and a 'limit'.")
    if body["limit"] is None:
        await api.services.limits.lift(kind, name)
    else:
        await api.services.limits.set(kind, name, body["limit"])
    return answer({"limits": [_shown(each) for each in await api.services.limits.all()]})


def _shown(use: LimitUse) -> dict[str, Any]:
    return {
        "kind": use.kind,
        "name": use.name,
        "limit": use.slots,
        "taken": use.taken,
        "waiting": use.waiting,
        "updated_at": shown(use.updated_at),
    }
