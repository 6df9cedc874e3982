"""The live stream of an execution: what feeds it.

Each event is a row as it is now: an execution, task or action with its state. Rows are read when the
node says that something has changed, and once a second in any case, since other nodes' turns aren't
heard of here; so the stream is the same at every node, and a reader who can't keep up sees fewer
steps, never an old state last.

A position in the stream is the time of the latest change that was sent. Turns of different executions
may become visible in another order than their times, so each look goes back some seconds before that
position, and what was sent already is left out; a client that comes back gets some events twice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Final

from tramontane.api.context import Api
from tramontane.api.event_stream import Write, event
from tramontane.api.times import shown
from tramontane.states import COMPLETED
from tramontane.store.reads.changes import PAGE, Change, Mark, read_changes, read_mark

_SECOND: Final = 1_000_000
OVERLAP: Final = 5 * _SECOND
RESUME_OVERLAP: Final = 10 * _SECOND
_REMEMBERED: Final = 20_000
_POLL: Final = 1.0
_POLL_BUSY: Final = 0.25
"""Seconds between looks while something happens that this node doesn't hear of."""
_CALM: Final = 10.0
"""Seconds without news after which nothing happens."""
_LEAST_PAUSE: Final = 0.05
_SHARE: Final = 4  # reading takes at most one part in so many and one of the time
HEARTBEAT: Final = 15.0
LONGEST: Final = 3600.0
"""Seconds after which a stream ends, so that its client is asked again who it is."""

ENDED: Final = ".end"
"""Ends the id of the last event: a client that comes back with it has seen everything."""


class ChangeFeed:
    """Writes the events of one execution (``recursive``: of everything below, too) from a moment on."""

    def __init__(self, api: Api, execution_id: str, root_id: str, *, recursive: bool, after: int) -> None:
        """``after``: the time of the latest change that the client has seen; 0: everything is news."""
        self._api = api
        self._id = execution_id
        self._root_id = root_id
        self._recursive = recursive
        self._low = max(0, after - RESUME_OVERLAP)
        self._high = after
        self._sent: OrderedDict[str, tuple[Any, ...]] = OrderedDict()
        self._mark: Mark | None = None
        self._quiet_since = 0.0
        self._news_at = 0.0

    async def __call__(self, write: Write) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST
        self._quiet_since = loop.time()
        signals = self._api.signals
        with signals.watching(self._root_id) as changed:
            await write(b"retry: 2000\n\n")
            while loop.time() < until and not signals.is_closed:
                changed.clear()
                started = loop.time()
                if await self._look(write):
                    return
                await asyncio.sleep(max(_LEAST_PAUSE, _SHARE * (loop.time() - started)))
                await self._wait(changed, write)

    async def _look(self, write: Write) -> bool:
        """Send what is new; tell whether that was all there will ever be."""
        mark = await read_mark(self._api.reader, self._id, recursive=self._recursive)
        if mark is None:
            await write(event("end", {"id": self._id, "reason": "deleted"}, f"{self._high}{ENDED}"))
            return True
        if mark != self._mark:
            await self._send_changes(write)
            await self._send_parked(mark, write)
            self._mark = mark
            self._news_at = asyncio.get_running_loop().time()
        # Read before the changes were: whatever it counts as ended has been sent.
        if mark.state not in COMPLETED or mark.unfinished:
            return False
        data = {"id": self._id, "reason": "completed", "state": mark.state}
        await write(event("end", data, f"{self._high}{ENDED}"))
        return True

    async def _send_changes(self, write: Write) -> None:
        position = (self._low, "")
        while True:
            rows = await read_changes(self._api.reader, self._id, position, recursive=self._recursive)
            chunk = b"".join(self._event(row) for row in rows if self._is_news(row))
            if chunk:
                self._quiet_since = asyncio.get_running_loop().time()
                await write(chunk)
            if len(rows) < PAGE:
                break
            position = (rows[-1].at, rows[-1].id)
        self._low = max(self._low, self._high - OVERLAP)
        self._forget()

    def _is_news(self, row: Change) -> bool:
        seen = (row.at, row.state, row.accepted)
        if self._sent.get(row.id) == seen:
            return False
        self._sent[row.id] = seen
        self._sent.move_to_end(row.id)
        self._high = max(self._high, row.at)
        return True

    def _forget(self) -> None:
        """Forget rows that won't be read again; of too many the oldest, which are sent twice then."""
        while self._sent:
            row_id, (at, *_) = next(iter(self._sent.items()))
            if at >= self._low and len(self._sent) <= _REMEMBERED:
                break
            del self._sent[row_id]

    def _event(self, row: Change) -> bytes:
        return event(row.kind, change_data(row), str(self._high))

    async def _send_parked(self, mark: Mark, write: Write) -> None:
        before = None if self._mark is None else self._mark.parked
        if mark.parked != before:
            await write(event("parked", {"id": self._id, "parked": mark.parked}, str(self._high)))

    async def _wait(self, changed: asyncio.Event, write: Write) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_POLL_BUSY if loop.time() - self._news_at < _CALM else _POLL):
                await changed.wait()
        except TimeoutError:
            if loop.time() - self._quiet_since >= HEARTBEAT:
                self._quiet_since = loop.time()
                await write(b": heartbeat\n\n")


def change_data(row: Change) -> dict[str, Any]:
    """A row as clients see it, by the names that its own resource has for the attributes."""
    times = {"created_at": shown(row.created_at), "updated_at": shown(row.updated_at)}
    state = {"state": row.state, "state_info": row.state_info}
    match row.kind:
        case "execution":
            return {
                "id": row.id,
                "workflow_name": row.name,
                "root_execution_id": None if row.owner_id == row.id else row.owner_id,
                "task_execution_id": row.task_id,
                **state,
                **times,
            }
        case "task":
            return {"id": row.id, "name": row.name, "workflow_execution_id": row.owner_id, **state, **times}
        case _:
            return {
                "id": row.id,
                "name": row.name,
                "workflow_execution_id": row.owner_id,
                "task_execution_id": row.task_id,
                **state,
                "accepted": bool(row.accepted),
                **times,
            }
