"""Errors as clients see them: one table from class to status, one shape of body.

The shape is upstream's (``faultcode``, ``faultstring``, ``debuginfo``) with two keys more: ``code``,
which programs can rely on, and ``problems``, the findings about a document one by one. What nobody
foresaw is logged and answered with a bare 500; a stack trace never leaves the process.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from tramontane.auth import NotAuthenticatedError
from tramontane.errors import (
    BadRequestError,
    ConflictError,
    DefinitionError,
    NotAllowedError,
    NotFoundError,
    Problem,
    TramontaneError,
    UnavailableError,
)
from tramontane.store.errors import LostValueError
from tramontane.values import encode

log = logging.getLogger(__name__)

STATUSES: Final[dict[type[TramontaneError], int]] = {
    BadRequestError: 400,
    NotAuthenticatedError: 401,
    NotAllowedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    UnavailableError: 503,
    LostValueError: 503,  # an operator may bring it back
}


HTTP_CODES: Final[dict[int, str]] = {
    404: "no-route",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media",
    423: "maintenance",
}
"""Codes of what the transport refuses, by status."""


class HttpError(TramontaneError):
    """An error of the transport itself: routes, methods, media types, sizes.

    ``headers`` are sent along; with ``announced`` the reason is repeated in ``Server-Error-Message``,
    which clients read before the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        announced: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        if announced:
            self.headers["Server-Error-Message"] = message


def status_of(error: TramontaneError) -> int:
    """Look the status up by the nearest class that has one; an error without any is a 500."""
    if isinstance(error, HttpError):
        return error.status
    for cls in type(error).__mro__:
        if cls in STATUSES:
            return STATUSES[cls]
    return 500


def code_of(error: TramontaneError) -> str:
    """The stable code that programs can rely on."""
    return HTTP_CODES[error.status] if isinstance(error, HttpError) else error.code


def answer_error(error: Exception) -> Response:
    """Turn an exception into the answer that reports it."""
    if not isinstance(error, TramontaneError):
        log.error("request failed unexpectedly", exc_info=error)
        return fault(500, "The service met an unexpected error; its log has the details.", "internal")
    status = status_of(error)
    if status == 500:
        log.error("request failed", exc_info=error)
    problems = error.problems if isinstance(error, DefinitionError) else ()
    return fault(status, error.message, code_of(error), _headers(error), problems)


def fault(
    status: int,
    message: str,
    code: str,
    headers: Mapping[str, str] | None = None,
    problems: tuple[Problem, ...] = (),
) -> Response:
    body: dict[str, Any] = {
        "faultcode": "Client" if status < 500 else "Server",
        "faultstring": message,
        "debuginfo": None,
        "code": code,
    }
    if problems:
        body["problems"] = [problem_data(problem) for problem in problems]
    return Response(encode(body), status, headers, "application/json")


def problem_data(problem: Problem) -> dict[str, Any]:
    """A finding as JSON: its place both in the document's terms and in lines and columns."""
    return {
        "severity": problem.severity,
        "message": problem.message,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
    }


def _headers(error: TramontaneError) -> dict[str, str]:
    if isinstance(error, HttpError):
        return error.headers
    if isinstance(error, NotAuthenticatedError):
        reason = header_text(error.message)
        return {"WWW-Authenticate": reason, "Server-Error-Message": reason}
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(error.retry_after)}
    return {}


def header_text(text: str) -> str:
    """Make a text fit into a header: one line, Latin-1."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")
