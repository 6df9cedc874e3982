"""Compressed answers, for clients that take gzip: lists of executions shrink to a tenth."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

_WORTH_IT: Final = 1024
_LARGE: Final = 128 * 1024
"""From here on another thread compresses, since it takes longer than other requests should wait."""

_LEVEL: Final = 4


async def compress(response: Response, headers: Mapping[str, str]) -> None:
    """Compress the body of an answer if it is large enough and ``Accept-Encoding`` admits that."""
    body = getattr(response, "body", b"")
    if len(body) < _WORTH_IT or "content-encoding" in response.headers:
        return
    response.headers["vary"] = "Accept-Encoding"
    if not admits_gzip(headers.get("accept-encoding", "")):
        return
    if len(body) < _LARGE:
        response.body = _gzip(body)
    else:
        response.body = await asyncio.to_thread(_gzip, body)
    response.headers["content-encoding"] = "gzip"
    response.headers["content-length"] = str(len(response.body))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


def admits_gzip(accepted: str) -> bool:
    """Read an ``Accept-Encoding``: named codings count for more than ``*``; quality 0 is a no."""
    found = None
    for item in accepted.lower().split(","):
        name, _, parameters = item.strip().partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            return not _is_zero(parameters)
        if name.strip() == "*":
            found = not _is_zero(parameters)
    return bool(found)


def _is_zero(parameters: str) -> bool:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return False
    try:
        return float(value) == 0
    except ValueError:
        return False
