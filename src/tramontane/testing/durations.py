"""Spans of time in test files: plain seconds, or texts such as ``90s``, ``1h30m`` and ``2d``."""

from __future__ import annotations

import re
from typing import Any, Final

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|[smhd])")

EXPECTED: Final = "seconds, or a text such as 90s, 1h30m or 2d"
"""Completes «expected …» for a span that can't be read."""


def seconds_of(value: Any) -> float | None:
    """Read a span; None: it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if 0 <= value < float("inf") else None
    if not isinstance(value, str):
        return None
    total, place = 0.0, 0
    while part := _PART.match(value, place):
        total += float(part[1]) * _UNITS[part[2]]
        place = part.end()
    return total if place and not value[place:].strip() else None


def span_text(seconds: float) -> str:
    """Write a span the way people do: ``1h30m``, ``2.5s``."""
    if seconds < 60:
        return f"{seconds:g}s"
    left, parts = round(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
