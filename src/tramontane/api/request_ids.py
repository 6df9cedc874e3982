"""The id of a request: in its answer, and in every log line that it causes."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""Id of the request on whose behalf something runs; empty where there is none."""

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


def new_id() -> str:
    return f"req-{uuid.uuid4()}"


def given_id(headers: Mapping[str, str]) -> str | None:
    """The id that the client has given its request, if it can be used as one."""
    given = headers.get("x-request-id", "")
    return given if _ID.fullmatch(given) else None


class RequestIds(logging.Filter):
    """Gives log records the text ``request``: `` [id]``, or nothing outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = REQUEST_ID.get()
        record.request = f" [{request_id}]" if request_id else ""
        return True
