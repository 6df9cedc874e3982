"""On whose behalf something is read or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRIVATE: Final = "private"
PUBLIC: Final = "public"


@dataclass(frozen=True, slots=True)
class Visibility:
    """A project's view: its own objects, public ones, and what is shared with it; admins see all."""

    project_id: str
    is_admin: bool = False
