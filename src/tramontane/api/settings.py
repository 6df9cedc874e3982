"""What an operator may change about the API.

Source: configuration specification, sections [api], [cors], [healthcheck].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """``max_body_bytes`` bounds request bodies (413 beyond it); ``strict_definitions`` turns the
    warnings of every upload into errors, as ``?strict=true`` does for one."""

    max_limit: int = 1000
    max_body_bytes: int = 32 * 2**20
    validation_mode: Literal["enabled", "mandatory", "disabled"] = "mandatory"
    strict_definitions: bool = False
    allow_action_execution_deletion: bool = False
    info_file: Path | None = None  # None: /info is switched off
    healthcheck: bool = False
    trust_proxy_headers: bool = False
    cors_origins: tuple[str, ...] = ()
    max_wait_seconds: float = 60.0
