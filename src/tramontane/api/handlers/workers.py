"""Workers over HTTP: poll, heartbeat, complete (docs/reference/worker-protocol.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import JSON, answer
from tramontane.api.media import json_type, read_object
from tramontane.api.request import Request
from tramontane.api.values_in import Converter, anything, boolean, checked, positive, taking, text
from tramontane.errors import BadRequestError
from tramontane.results import Result
from tramontane.service.workers import (
    LONGEST_NAME,
    Attempt,
    WorkerPoll,
    action_title,
    signature_of,
)
from tramontane.store.jobs import ClaimedJob
from tramontane.values import encode, freeze

_MOST: Final = 100


_NAME: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
_ATTEMPT: Final = {
    "type": "object",
    "properties": {"action_id": {"type": "string"}, "attempt": {"type": "integer"}},
    "required": ["action_id", "attempt"],
}
_ACTION: Final = {
    "type": "object",
    "properties": {"name": _NAME, "parameters": {}},
    "required": ["name"],
}


@taking(_NAME)
def _name(name: str, value: Any) -> str:
    given = text(name, value)
    if not given or len(given) > LONGEST_NAME:
        raise BadRequestError(f"'{name}' must be a text of 1 to {LONGEST_NAME} characters.")
    return given


@taking({"type": "array", "items": _NAME})
def _names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadRequestError(f"'{name}' must be a list of texts, not {json_type(value)}.")
    return tuple(_name(name, each) for each in value)


@taking({"type": "array", "items": {"anyOf": [_NAME, _ACTION]}})
def _actions(name: str, value: Any) -> dict[str, Any]:
    """Actions with their parameters: names, or objects with ``name`` and ``parameters``."""
    if not isinstance(value, list):
        raise BadRequestError(f"'{name}' must be a list, not {json_type(value)}.")
    found = {}
    for each in value:
        described = {"name": each} if isinstance(each, str) else each
        if not isinstance(described, Mapping):
            raise BadRequestError(f"'{name}' must hold names, or objects with 'name' and 'parameters'.")
        parameters = freeze(described.get("parameters"))
        signature_of(parameters)
        found[_name(f"{name}.name", described.get("name"))] = parameters
    return found


@taking({"type": "array", "items": _ATTEMPT})
def _held(name: str, value: Any) -> frozenset[Attempt]:
    if not isinstance(value, list):
        raise BadRequestError(f"'{name}' must be a list, not {json_type(value)}.")
    return frozenset(_attempt(name, each) for each in value)


def _attempt(name: str, given: Any) -> Attempt:
    if isinstance(given, Mapping):
        action_id, attempt = given.get("action_id"), given.get("attempt")
        if isinstance(action_id, str) and isinstance(attempt, int) and not isinstance(attempt, bool):
            return action_id, attempt
    raise BadRequestError(f"'{name}' must hold objects with 'action_id' and 'attempt'.")


@taking({"type": "number", "minimum": 0})
def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadRequestError(f"'{name}' must be a number of seconds from 0 on, not {value!r}.")
    return float(value)


_WORKER: Final[dict[str, Converter]] = {"worker_id": _name}
POLL: Final[dict[str, Converter]] = {
    **_WORKER,
    "pools": _names,
    "actions": _actions,
    "only_pools": boolean,
    "held": _held,
    "limit": positive,
    "wait": _seconds,
    "poll": positive,
}
HEARTBEAT: Final[dict[str, Converter]] = {**_WORKER, "held": _held}
COMPLETE: Final[dict[str, Converter]] = {
    **_WORKER,
    "action_id": text,
    "attempt": anything,
    "data": anything,
    "error": anything,
}


async def _body(request: Request, model: Mapping[str, Converter], *needed: str) -> dict[str, Any]:
    request.allow_parameters()
    body = checked(read_object(request.headers, await request.body()), model)
    missing = [name for name in ("worker_id", *needed) if body.get(name) is None]
    if missing:
        raise BadRequestError(f"The request lacks {', '.join(missing)}.")
    return body


async def poll(api: Api, request: Request) -> Response:
    """Give a worker actions to run, as soon as there are some."""
    body = await _body(request, POLL)
    found = await api.services.workers.poll(
        request.caller,
        WorkerPoll(
            worker_id=body["worker_id"],
            pools=body.get("pools", ()),
            actions=body.get("actions", {}),
            only_pools=bool(body.get("only_pools")),
            held=body.get("held", frozenset()),
            limit=min(body.get("limit") or 1, _MOST),
            wait=min(body.get("wait", 0.0), api.settings.max_wait_seconds),
            number=body.get("poll"),
        ),
    )
    lease = api.services.workers.lease_seconds
    given = {"jobs": [_job(each) for each in found], "lease_seconds": lease}
    return Response(encode(freeze(given)), media_type=JSON)


def _job(claimed: ClaimedJob) -> dict[str, Any]:
    job = claimed.job
    return {
        "action_id": job.action_id,
        "attempt": job.attempt,
        "name": action_title(job.action_name),
        "input": claimed.action.input,
        # What the caller may do elsewhere (tokens) stays here.
        "context": job.context.get("execution"),
        "timeout": job.timeout,
        "dry_run": job.dry_run,
        "project_id": job.project_id,
    }


async def heartbeat(api: Api, request: Request) -> Response:
    """Keep a worker alive; tell it what to break off."""
    body = await _body(request, HEARTBEAT)
    cancelled = await api.services.workers.heartbeat(
        request.caller, body["worker_id"], body.get("held", frozenset())
    )
    told = [{"action_id": action_id, "attempt": attempt} for action_id, attempt in sorted(cancelled)]
    return answer({"cancelled": told, "lease_seconds": api.services.workers.lease_seconds})


async def complete(api: Api, request: Request) -> Response:
    """Take a result. One that nobody wants any more is no error."""
    body = await _body(request, COMPLETE, "action_id", "attempt")
    action_id, attempt = _attempt("attempt", body)
    accepted = await api.services.workers.complete(
        request.caller, body["worker_id"], action_id, attempt, _result(body)
    )
    return answer({"accepted": accepted})


def _result(body: Mapping[str, Any]) -> Result:
    error = body.get("error")
    if error is not None:
        if "data" in body:
            raise BadRequestError("Give either 'data' or 'error', not both.")
        return Result(error=freeze(error) or "Unknown error")
    return Result(data=freeze(body.get("data")))
