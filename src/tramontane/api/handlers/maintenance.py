"""Maintenance: pausing the whole service (REST endpoints, section 2)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.media import read_object
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, checked, one_of
from tramontane.errors import BadRequestError

MODEL: Final[dict[str, Converter]] = {"status": one_of("RUNNING", "PAUSED")}


async def show_maintenance(api: Api, request: Request) -> Response:
    request.allow_parameters()
    return answer(await _shown(api, await api.services.maintenance.read()))


async def change_maintenance(api: Api, request: Request) -> Response:
    request.allow_parameters()
    wanted = checked(read_object(request.headers, await request.body()), MODEL).get("status")
    if wanted is None:
        raise BadRequestError("'status' must be RUNNING or PAUSED.")
    return answer(await _shown(api, await api.services.maintenance.change(wanted)))


async def _shown(api: Api, status: str) -> dict[str, Any]:
    """The status; on the way to PAUSED also how many tasks are still waited for."""
    if status != "PAUSING":
        return {"status": status}
    running = await api.services.maintenance.running_tasks()
    return {"status": status, "number_of_running_tasks": running}
