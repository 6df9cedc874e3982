"""Standard actions that need nothing from outside (action specification, sections 2.1 to 2.5)."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from tramontane.actions.base import ActionContext, ActionError, InputRefusedError, PureAction
from tramontane.results import Result
from tramontane.values import encode

_LARGEST_TEST_DICT = 16 * 2**20  # characters of JSON; more would never fit into a stored field
_IMMEDIATE_TEST_DICT = 64 * 2**10


class NoopAction(PureAction):
    """Does nothing and succeeds."""

    def is_immediate(self) -> bool:
        return True

    def compute(self) -> None:
        return None

    async def run(self, context: ActionContext) -> None:
        return None


class AsyncNoopAction(NoopAction):
    """Does nothing and stays running until a client reports its result."""

    def is_sync(self) -> bool:
        return False

    def is_immediate(self) -> bool:
        return False


class EchoAction(PureAction):
    """Returns its input 'output', after 'delay' seconds."""

    def __init__(self, output: Any, delay: Any = 0) -> None:
        self.output = output
        self.delay = _delay_seconds(delay)

    def is_immediate(self) -> bool:
        return self.delay == 0

    def compute(self) -> Any:
        return self.output

    async def run(self, context: ActionContext) -> Any:
        await asyncio.sleep(self.delay)
        return self.output

    def test(self, context: ActionContext) -> Any:
        return self.output


class FailAction(PureAction):
    """Always fails: with 'error_data' as the error when it is given."""

    def __init__(self, error_data: Any = None) -> None:
        self.error_data = error_data

    def is_immediate(self) -> bool:
        return True

    def compute(self) -> Result:
        if self.error_data:
            return Result(error=self.error_data)
        raise _FailExpectedError("Fail action expected exception.")

    async def run(self, context: ActionContext) -> Result:
        return self.compute()


class _FailExpectedError(Exception):
    """What std.fail raises; reported like the exception of any action (section 2.3)."""


class SleepAction(PureAction):
    """Waits for 'seconds' seconds."""

    def __init__(self, seconds: Any = 1) -> None:
        self.seconds = _whole_seconds(seconds)

    def is_immediate(self) -> bool:
        return False

    def compute(self) -> None:
        return None

    async def run(self, context: ActionContext) -> None:
        await asyncio.sleep(self.seconds)


class TestDictAction(PureAction):
    """Returns a map of 'size' entries: 'key_prefix' and a number as key, 'val' as each value."""

    __test__ = False  # not a test class, whatever its name suggests to a collector

    def __init__(self, size: Any = 0, key_prefix: Any = "", val: Any = "") -> None:
        self.size = size
        self.key_prefix = key_prefix
        self.val = val

    def is_immediate(self) -> bool:
        return not isinstance(self.size, int) or self._weight() <= _IMMEDIATE_TEST_DICT

    def compute(self) -> dict[str, Any]:
        if isinstance(self.size, int) and self._weight() > _LARGEST_TEST_DICT:
            raise ActionError(
                f"The map would be larger than {_LARGEST_TEST_DICT} characters; "
                "ask for fewer or shorter entries."
            )
        return {f"{self.key_prefix}{index}": self.val for index in range(self.size)}

    def run(self, context: ActionContext) -> dict[str, Any]:
        return self.compute()

    def _weight(self) -> int:
        """Estimate the length of the result as JSON text."""
        size = min(max(self.size, 0), 10**15)
        weight: int = size * (len(str(self.key_prefix)) + len(str(size)) + len(encode(self.val)) + 4)
        return weight


def _delay_seconds(given: Any) -> float:
    """Read the delay of std.echo: text that is no number means none, null and containers are refused."""
    try:
        seconds = float(given)
    except ValueError:
        return 0.0
    except (TypeError, OverflowError):
        raise InputRefusedError("'delay' must be a number of seconds") from None
    if math.isinf(seconds) and seconds > 0:
        raise InputRefusedError("'delay' must be a finite number of seconds")
    return seconds if seconds > 0 else 0.0


def _whole_seconds(given: Any) -> int:
    """Read the seconds of std.sleep: text that is no whole number means none, null is refused."""
    try:
        return max(int(given), 0)
    except ValueError:
        return 0
    except (TypeError, OverflowError):
        raise InputRefusedError("'seconds' must be a finite number") from None
