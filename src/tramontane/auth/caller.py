"""The caller of a request, as everything behind authentication sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_PROJECT: Final = "<default-project>"
"""Project of every object while authentication is off (REST specification, section 6.3)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is.

    ``security`` is what actions of this request may later need (tokens, service catalogue, another
    cloud's address), stored with an execution; None when there is nothing of the kind.
    """

    project_id: str
    user_id: str | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    is_admin: bool = False
    security: Any = None
