"""What an expression sees and how it is bounded: the contract between the languages and the engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol


class Interrupt(BaseException):
    """Raised by a scope (missing data) or a budget (too slow for the event loop) to leave an
    evaluation; never converted into an evaluation error, always passed on to the caller as it is."""


class TooSlow(Interrupt):
    """The evaluation used up its *soft* time: the caller repeats it where it delays nobody."""


class Functions(Protocol):
    """Engine functions behind ``env()``, ``task()`` and the others (expression spec, section 6).

    Every method returns JSON-like data (maps may be lazy ``Mapping`` objects) or raises
    :class:`tramontane.errors.EvaluationError`, or :class:`Interrupt` when data must be loaded first.
    """

    def env(self) -> Mapping[str, Any] | None: ...
    def execution(self) -> Mapping[str, Any]: ...
    def executions(
        self,
        id: str | None = None,
        root_execution_id: str | None = None,
        state: str | None = None,
        from_time: str | None = None,
        to_time: str | None = None,
    ) -> list[Mapping[str, Any]]: ...
    def task(self, name: str | None = None) -> Mapping[str, Any] | None: ...
    def tasks(
        self,
        workflow_execution_id: str | None = None,
        recursive: bool = False,
        state: str | None = None,
        flat: bool = False,
    ) -> list[Mapping[str, Any]]: ...
    def global_(self, name: str) -> Any: ...
    def uuid(self) -> str: ...
    def now(self) -> dt.datetime: ...


class Scope(Protocol):
    """Data and functions of one evaluation."""

    @property
    def data(self) -> Mapping[str, Any]:
        """What ``$`` and ``_`` stand for: a read-only map, possibly layered over several stores.
        Values inside are frozen (:mod:`tramontane.values`); reading one key must not touch others."""

    @property
    def functions(self) -> Functions: ...
