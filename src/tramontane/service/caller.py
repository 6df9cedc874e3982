"""On whose behalf a use case runs, and what that caller may see (REST specification, section 7)."""

from __future__ import annotations

from typing import Any, Protocol


class Caller(Protocol):
    """Whoever asks; what authenticates requests provides such objects.

    ``security`` is what actions may later need of the request (tokens, another cloud's address),
    ``identity`` what is known of the caller's own.
    """

    @property
    def project_id(self) -> str: ...
    @property
    def is_admin(self) -> bool: ...
    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def security(self) -> Any: ...
    @property
    def identity(self) -> Any: ...


def may_see(caller: Caller, project_id: str) -> bool:
    """Tell whether the caller may see a private object of this project."""
    return caller.is_admin or caller.project_id == project_id
