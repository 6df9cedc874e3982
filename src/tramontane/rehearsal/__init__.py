"""Running workflows in memory: no database, no clock, no executors, only the engine's decisions.

:class:`~tramontane.rehearsal.world.World` holds definitions and trees of executions; a script says
what actions give, time jumps to whatever is due next. Definitions can be tried out this way in
milliseconds, and the engine itself is driven through every order of events.
"""

from tramontane.rehearsal.run import Run
from tramontane.rehearsal.script import (
    FakeAction,
    Job,
    Outcome,
    cancels,
    fails,
    gives,
    waits,
)
from tramontane.rehearsal.world import World

__all__ = ["FakeAction", "Job", "Outcome", "Run", "World", "cancels", "fails", "gives", "waits"]
