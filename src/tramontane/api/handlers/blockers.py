"""Why an execution isn't moving."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from tramontane.api.blockers import diagnosis, waiting_joins
from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.request import Request
from tramontane.errors import NotFoundError
from tramontane.lang import WorkflowSpec
from tramontane.store.reads.blockers import read_open_work, read_sources
from tramontane.store.reads.objects import not_found, read_by_id
from tramontane.store.reads.queue import QueueFacts, read_queue
from tramontane.store.reads.resources import EXECUTIONS

_STATE: Final = (EXECUTIONS.by_name["state"],)


async def show_blockers(api: Api, request: Request) -> Response:
    """Tell what the execution and each of its open tasks wait for, of this execution alone."""
    request.allow_parameters()
    execution_id = request.arguments["id"]
    await read_by_id(api.reader, EXECUTIONS, _STATE, execution_id, request.caller)
    work = await read_open_work(api.reader, execution_id)
    if work is None:
        raise not_found(EXECUTIONS, execution_id)
    joins = waiting_joins(work)
    spec = await _spec(api, work.standing.spec_hash) if joins else None
    names = set()
    if spec is not None:
        names = {name for join in joins for name in spec.inbound.get(join.name, ())}
    sources = await read_sources(api.reader, execution_id, names)
    status = api.services.maintenance.status
    waiting = work.waiting_jobs
    queue = await read_queue(api.reader, waiting, request.caller) if waiting else QueueFacts()
    return answer(diagnosis(work, status, sources, spec, api.now(), queue))


async def _spec(api: Api, spec_hash: str) -> WorkflowSpec | None:
    try:
        return await api.specs(spec_hash)
    except NotFoundError:
        return None
