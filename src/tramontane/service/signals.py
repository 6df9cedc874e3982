"""Waking those who watch executions when a turn of this node became durable.

A signal says only that something below a root has changed: what, the watcher reads from the rows.
So signals may be lost or come twice, and a slow watcher costs nothing but its own delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tramontane.errors import UnavailableError
from tramontane.store.records import TurnWrite


class ChangeSignals:
    """A witness of the engine (:class:`tramontane.service.ports.Witness`) that many can listen to."""

    def __init__(self, most: int = 1000) -> None:
        """``most``: so many watchers at the same time."""
        self._most = most
        self._count = 0
        self._of_root: dict[str, set[asyncio.Event]] = {}
        self._is_closed = False

    def __call__(self, turn: TurnWrite) -> None:
        for event in self._of_root.get(turn.execution.root_id, ()):
            event.set()

    @property
    def watchers(self) -> int:
        return self._count

    @property
    def is_closed(self) -> bool:
        """The node stops: watchers are to end."""
        return self._is_closed

    def require_room(self) -> None:
        """Check that one more may watch.

        Raises:
            UnavailableError: there are too many watchers, or the node stops.
        """
        if self._is_closed:
            raise UnavailableError("The node is shutting down; watch at another one.")
        if self._count >= self._most:
            raise UnavailableError("Too many clients watch executions at this node; try again later.")

    @contextmanager
    def watching(self, root_id: str) -> Iterator[asyncio.Event]:
        """Have an event set whenever something below this root changes, or the node stops.

        Raises:
            UnavailableError: as :meth:`require_room`
        """
        self.require_room()
        event = asyncio.Event()
        self._count += 1
        self._of_root.setdefault(root_id, set()).add(event)
        try:
            yield event
        finally:
            self._count -= 1
            events = self._of_root[root_id]
            events.discard(event)
            if not events:
                del self._of_root[root_id]

    def close(self) -> None:
        """Send all watchers away, for good."""
        self._is_closed = True
        for events in self._of_root.values():
            for event in events:
                event.set()
