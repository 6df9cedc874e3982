"""Looks for executions that nothing will move: there must be none, so each is a bug that shows here.

The look goes over this node's RUNNING executions by their index, a part at a time, and is a statement per
part: what it sees is of one moment. An execution counts when two looks in a row have found it.
"""

from __future__ import annotations

import asyncio
import logging

from tramontane.runtime.loop import Loop
from tramontane.service.work import NodeWork

log = logging.getLogger(__name__)

_PART = 1000
_BREATH = 0.1
"""Seconds between parts."""


class StrandedWatch:
    """Counts stranded executions and names them in the log."""

    def __init__(self, work: NodeWork, *, seconds: float = 60.0) -> None:
        self._work = work
        self._suspects: frozenset[str] = frozenset()
        self.found: frozenset[str] = frozenset()
        self.loop = Loop("stranded", self._look, seconds, at_once=False)

    async def start(self) -> None:
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()

    async def _look(self) -> float | None:
        seen: set[str] = set()
        after = ""
        while part := await self._work.stranded(after, _PART):
            seen.update(execution_id for execution_id, is_stranded in part if is_stranded)
            after = part[-1][0]
            await asyncio.sleep(_BREATH)
        found = frozenset(seen & self._suspects)
        for execution_id in sorted(found - self.found):
            log.error("execution is stranded, nothing will move it execution_id=%s", execution_id)
        self._suspects, self.found = frozenset(seen), found
        return None
