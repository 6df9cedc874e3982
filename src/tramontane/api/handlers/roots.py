"""Versions, build information, and how the node is (REST endpoints, section 1)."""

# ruff: noqa: ARG001 (handlers have one signature, whatever they need of it)
from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
from starlette.responses import Response

from tramontane.api.context import Api
from tramontane.api.encoding import answer
from tramontane.api.faults import HttpError
from tramontane.api.request import Request
from tramontane.errors import BadRequestError, UnavailableError


async def versions(api: Api, request: Request) -> Response:
    link = {"href": f"{request.base_url}/v2", "target": "v2", "rel": "self"}
    return answer({"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]})


async def version(api: Api, request: Request) -> Response:
    return answer({"uri": f"{request.base_url}/v2"})


async def info(api: Api, request: Request) -> Response:
    """Show the operator's file about this installation."""
    if api.settings.info_file is None:
        raise BadRequestError("Info endpoint disabled.")
    try:
        content = await asyncio.to_thread(_read_json, api.settings.info_file)
    except (OSError, orjson.JSONDecodeError):
        raise BadRequestError("Info file not found or not valid JSON.") from None
    return Response(content, media_type="application/json")


def _read_json(path: Path) -> bytes:
    content = path.read_bytes()
    orjson.loads(content)
    return content


async def healthcheck(api: Api, request: Request) -> Response:
    """Say that the process answers, in the form that load balancers of OpenStack ask for."""
    if not api.settings.healthcheck:
        raise HttpError(404, "There is nothing at '/healthcheck'.")
    return Response(b"", media_type="text/plain")


async def metrics(api: Api, request: Request) -> Response:
    """Show this node's numbers as Prometheus reads them."""
    request.allow_parameters()
    return Response(await api.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def alive(api: Api, request: Request) -> Response:
    return answer({"status": "ok"})


async def ready(api: Api, request: Request) -> Response:
    """Say whether the node can do its work; if not, why."""
    reasons = await api.readiness()
    if reasons:
        raise UnavailableError(f"Not ready: {'; '.join(reasons)}.")
    return answer({"status": "ready"})
