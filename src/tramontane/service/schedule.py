"""Cron patterns, and what a cron trigger's first occurrence is (service specification, sections 5.2 to 5.4).

All times are UTC. A pattern has five fields (minute, hour, day of month, month, day of week), six (seconds
last) or seven (year last), or is an alias such as ``@daily``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from tramontane.core.state import Micros
from tramontane.errors import BadRequestError

ONE_SHOT: Final = "0 0 30 2 0"
"""What a trigger without a pattern shows; it is never read as a pattern."""

LONGEST_PATTERN: Final = 100
_LEAD: Final = 60 * 1_000_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a trigger fires: ``next_time`` first, then as by the pattern, ``count`` times (None: always)."""

    pattern: str
    count: int | None
    first_time: Micros | None
    next_time: Micros


def plan(pattern: str | None, first_time: Micros | None, count: int | None, now: Micros) -> Schedule:
    """Work out a new trigger's schedule.

    Raises:
        BadRequestError: there is neither pattern nor time, the time is too near, the pattern can't be
            read or never occurs, a single time can't be several occurrences.
    """
    if not pattern and first_time is None:
        raise BadRequestError("Pattern or first_execution_time must be specified.")
    if first_time is not None and first_time < now + _LEAD:
        raise BadRequestError("first_execution_time must be at least 1 minute in the future (UTC).")
    if not pattern:
        assert first_time is not None
        if count is not None and count > 1:
            raise BadRequestError("Pattern must be provided if remaining_executions is greater than 1.")
        return Schedule(ONE_SHOT, 1, first_time, first_time)
    following = next_time(pattern, now if first_time is None else first_time)
    return Schedule(pattern, count, first_time, following if first_time is None else first_time)


def next_time(pattern: str, after: Micros) -> Micros:
    """The first occurrence of a pattern after a moment.

    Raises:
        BadRequestError: the pattern can't be read, or never occurs.
    """
    start = _EPOCH + after * _MICROSECOND
    try:
        found: dt.datetime = croniter(pattern, start, ret_type=dt.datetime).get_next()
    except CroniterBadDateError:
        raise BadRequestError(f"The specified pattern never occurs: {pattern}") from None
    except (CroniterError, ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
        raise BadRequestError(
            f"The specified pattern is not valid: {pattern} ({error}). It needs 5 fields (minute, hour, "
            "day of month, month, day of week), 6 (seconds last) or 7 (year last), or an alias like @daily."
        ) from None
    return (found - _EPOCH) // _MICROSECOND
