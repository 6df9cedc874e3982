"""The command with a wall clock that jumps: ``python -m tests.chaos.clocks serve …``.

A signal sets the clock of the process, as an administrator sets that of a machine: the monotonic clock
goes on.
"""

from __future__ import annotations

import datetime as dt
import runpy
import signal
from typing import Final

import time_machine

JUMPS: Final = {signal.SIGUSR1: dt.timedelta(hours=2), signal.SIGUSR2: dt.timedelta(hours=-3)}


def main() -> None:
    traveller = time_machine.travel(dt.datetime.now(dt.UTC), tick=True).start()
    for number in JUMPS:
        signal.signal(number, lambda received, _: traveller.shift(JUMPS[signal.Signals(received)]))
    runpy.run_module("tramontane", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
