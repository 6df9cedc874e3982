"""The caller of a request, as everything behind authentication sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tramontane.values import FrozenDict

DEFAULT_PROJECT: Final = "<default-project>"
"""Project of every object while authentication is off (REST specification, section 6.3)."""

ADMIN_ROLE: Final = "admin"
"""Whoever has a role of exactly this name is an administrator (section 6.1)."""

LONGEST_PROJECT: Final = 80


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is.

    ``security`` is what actions of this request may later need (tokens, service catalogue, another
    cloud's address), stored with an execution; None when there is nothing of the kind. Its names are
    those of :class:`tramontane.actions.base.SecurityContext`. ``identity`` is what the token says of the
    caller, in the same names, even where ``security`` is about another cloud.
    """

    project_id: str
    user_id: str | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    is_admin: bool = False
    security: Any = field(default=None, repr=False)
    identity: Any = field(default=None, repr=False)


def authenticated(
    project_id: str, user_id: str | None, user_name: str | None, roles: Iterable[str], **security: Any
) -> Caller:
    """Give the caller that a token stands for; ``security`` is added to who it is."""
    names = frozenset(roles)
    known = FrozenDict(
        {
            "project_id": project_id,
            "user_id": user_id,
            "user_name": user_name,
            "is_target": False,
            **security,
        }
    )
    return Caller(project_id, user_id, names, ADMIN_ROLE in names, known, known)
