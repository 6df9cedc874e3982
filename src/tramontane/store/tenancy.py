"""On whose behalf something is read or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

PRIVATE: Final = "private"
PUBLIC: Final = "public"


class Viewer(Protocol):
    """A project's view: its own objects, public ones, and what is shared with it; admins see all."""

    @property
    def project_id(self) -> str: ...
    @property
    def is_admin(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Visibility:
    """The plainest :class:`Viewer`."""

    project_id: str
    is_admin: bool = False
