"""Times as clients write and read them (REST specification, sections 4.3 and 5.4)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from tramontane.errors import BadRequestError

_EPOCH: Final = dt.datetime(1970, 1, 1)
_SECOND: Final = 1_000_000
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_FORM: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|\+00:00)?)?", re.ASCII)


def shown(micros: int | None) -> str | None:
    """Write a stored time the way clients read it: UTC, whole seconds, a space between date and time."""
    if micros is None:
        return None
    return (_EPOCH + dt.timedelta(seconds=micros // _SECOND)).isoformat(" ")


def read(name: str, given: str) -> int:
    """Read a time of a filter, in microseconds since 1970; a date alone is its midnight.

    Raises:
        BadRequestError: for any other form, or a date that doesn't exist.
    """
    match = _FORM.fullmatch(given.strip())
    if match is None:
        raise _unreadable(name, given)
    day, clock, fraction = match.group(1), match.group(2) or "00:00:00", match.group(3) or ""
    try:
        moment = dt.datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise _unreadable(name, given) from None
    return (moment - _EPOCH) // _MICROSECOND + int(fraction[1:].ljust(6, "0") or 0)


def _unreadable(name: str, given: str) -> BadRequestError:
    return BadRequestError(
        f"'{name}' must be a time such as 2026-01-31 or 2026-01-31 23:59:59 (UTC), not '{given}'."
    )
