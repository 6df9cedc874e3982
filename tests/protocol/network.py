"""The way between simulated processes and the database: slow, broken, cut at any moment.

What a process asks reaches the server some time later, and is done there at one moment, whatever has
become of the process meanwhile; the answer takes its time too. A cut loses what is under way in either
direction: a COMMIT may have happened, may still happen, or never will.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from tests.protocol.loop import Lane, LaneLoop, current_lane
from tests.protocol.memory import LOCK_SECONDS, Blocked, BrokenError, Transaction

from tramontane.store.errors import ContentionError, DatabaseUnavailableError

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Request:
    serve: Callable[[], Any]
    transaction: Transaction | None
    commits: bool
    lane: Lane
    answer: asyncio.Future[Any]
    until: float
    is_done: bool = False  # by the server
    is_dropped: bool = False  # it never arrives


class Network:
    """A wire (:class:`tests.protocol.memory.Wire`) for many processes."""

    def __init__(self, loop: LaneLoop, chance: Random, end: Callable[[Transaction], None]) -> None:
        self.away = False  # the server is down
        self.slowness = 1.0
        self.contention = 0.0
        self.breaks = 0.0  # how often a connection breaks in the middle of what is asked
        self._loop = loop
        self._chance = chance
        self._end = end
        self._server = loop.lane("server")
        self._under_way: dict[_Request, None] = {}
        self._sessions: dict[Transaction, Lane] = {}
        self._late: dict[_Request, None] = {}  # they arrive although their connection is gone

    def now(self) -> float:
        return self._loop.time()

    async def ask(
        self, serve: Callable[[], T], transaction: Transaction | None = None, *, commits: bool = False
    ) -> T:
        if self.away or (transaction is not None and transaction.is_over):
            raise DatabaseUnavailableError("the database can't be reached; nothing was stored")
        if transaction is not None and not commits and self._chance.random() < self.contention:
            raise ContentionError("a deadlock, for example")
        lane = current_lane()
        latency = self._latency()
        answer = self._loop.create_future()
        request = _Request(
            serve, transaction, commits, lane, answer, self._loop.time() + latency + LOCK_SECONDS
        )
        if transaction is not None:
            self._sessions[transaction] = lane
        self._under_way[request] = None
        self._server.at(self._loop.time() + latency, self._arrive, request)
        if self.breaks and self._chance.random() < self.breaks:
            moment = self._loop.time() + 2 * latency * self._chance.random()
            self._server.at(moment, self._break_if_under_way, request)
        return await answer  # type: ignore[no-any-return]

    def _latency(self) -> float:
        return (0.0002 + 0.002 * self._chance.random() ** 4) * self.slowness

    def _arrive(self, request: _Request) -> None:
        if request.is_dropped:
            return
        result: Any = None
        error: Exception | None = None
        try:
            result = request.serve()
        except Blocked:
            if self._loop.time() < request.until:
                self._server.at(self._loop.time() + 0.01, self._arrive, request)
                return
            error = ContentionError("lock timeout")
        except Exception as raised:
            error = raised
        request.is_done = True
        self._server.at(self._loop.time() + self._latency(), self._reply, request, result, error)

    def _reply(self, request: _Request, result: Any, error: Exception | None) -> None:
        self._under_way.pop(request, None)
        if request.answer.done():
            return
        if error is None:
            request.answer.set_result(result)
        else:
            request.answer.set_exception(error)

    # -- trouble --------------------------------------------------------------------------

    def cut(self, lane: Lane | None = None) -> None:
        """Break the connections of a process, or all."""
        self._sessions = {each: owner for each, owner in self._sessions.items() if not each.is_over}
        for request in [each for each in self._under_way if lane in (None, each.lane)]:
            del self._under_way[request]
            self._break(request)
        for transaction, owner in list(self._sessions.items()):
            if lane in (None, owner) and not self._is_asked(transaction):
                self._end(transaction)
                del self._sessions[transaction]

    def _break_if_under_way(self, request: _Request) -> None:
        if request in self._under_way:
            del self._under_way[request]
            self._break(request)

    def _break(self, request: _Request) -> None:
        arrives = request.commits or request.transaction is None
        if not request.is_done and not (arrives and self._chance.random() < 0.5):
            request.is_dropped = True
            if request.transaction is not None:
                self._end(request.transaction)
        elif not request.is_done:
            self._late[request] = None
        if not request.answer.done():
            request.answer.set_exception(BrokenError("the connection broke"))

    def _is_asked(self, transaction: Transaction) -> bool:
        """Whether a COMMIT is on its way to the server, although the connection is gone."""
        return any(each.transaction is transaction and not each.is_done for each in self._late)
