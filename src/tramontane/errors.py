"""The one tree of errors that users may see.

Every class carries a stable ``code``; the API maps classes to statuses in one table.
Messages say what is wrong, where, and what to do; they never hold a stack trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal


class TramontaneError(Exception):
    """Root of all errors that this service raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(TramontaneError):
    """The caller sent something that can't be taken (HTTP 400)."""

    code = "bad-request"


class InvalidInputError(BadRequestError):
    """Input of a workflow or action lacks a parameter or has an unknown one."""

    code = "invalid-input"


class IllegalStateError(BadRequestError):
    """The operation isn't possible in the object's present state (HTTP 400)."""

    code = "illegal-state"


class ExecutionParkedError(IllegalStateError):
    """Nobody runs the execution until it is resumed; the message says why."""

    code = "parked"


class SizeLimitError(BadRequestError):
    """A value is larger than the field size limit."""

    code = "size-limit"


class NotAllowedError(TramontaneError):
    """The caller may see the object but not do this to it (HTTP 403)."""

    code = "not-allowed"


class NotFoundError(TramontaneError):
    """No such object, or none that the caller may see (HTTP 404)."""

    code = "not-found"


class ConflictError(TramontaneError):
    """An object of this name or key exists already (HTTP 409)."""

    code = "conflict"


class UnavailableError(TramontaneError):
    """Nothing was accepted; try again later (HTTP 503 with Retry-After)."""

    code = "unavailable"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a document.

    ``line`` and ``column`` count from 1 and point into the uploaded text (0: unknown);
    ``path`` names the place in the document, such as ``wf.tasks.t.retry.count``.
    """

    message: str
    path: str = ""
    line: int = 0
    column: int = 0
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f" (line {self.line}, column {self.column})" if self.line else ""
        return f"{self.path}: {self.message}{place}" if self.path else f"{self.message}{place}"


class DefinitionError(BadRequestError):
    """A document breaks the language; ``problems`` lists everything that is wrong with it."""

    code = "invalid-definition"

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class EvaluationError(BadRequestError):
    """An expression could not be evaluated."""

    code = "evaluation"
