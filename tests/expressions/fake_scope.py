"""A scope for tests: data and engine functions given as plain values, and a record of what was read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from tramontane.errors import EvaluationError
from tramontane.expressions import Interrupt
from tramontane.values import freeze

DATA: dict[str, Any] = {
    "a": 1,
    "s": "str",
    "l": [1, 2, 3],
    "d": {"k": "v", "n": {"m": 5}},
    "n": None,
    "b": True,
    "f": 1.5,
    "un": "é",
    "ld": [{"x": 1}, {"x": 2}],
    "e": {},
    "exp": "<% $.a %>",
}
NOW = dt.datetime(2026, 11, 23, 17, 8, 28, 990142, tzinfo=dt.UTC)


class NeedsDataError(Interrupt):
    """What a scope raises when something has to be loaded first."""


class LazyMap(Mapping[str, Any]):
    """A map that is no dict, remembers which keys were asked for, and lacks some of its values."""

    def __init__(self, values: Mapping[str, Any], unloaded: frozenset[str] = frozenset()) -> None:
        self._values = {name: freeze(value) for name, value in values.items()}
        self._unloaded = unloaded
        self.touched: list[str] = []
        self.internals = "nobody may see this"

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        self.touched.append(key)
        if key in self._unloaded:
            raise NeedsDataError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class FakeFunctions:
    """Engine functions over values that the test sets."""

    def __init__(self) -> None:
        self.env_map: Mapping[str, Any] | None = None
        self.execution_map: Mapping[str, Any] | None = None
        self.current_task: Mapping[str, Any] | None = None
        self.task_maps: dict[str, Mapping[str, Any]] = {}
        self.execution_maps: list[Mapping[str, Any]] = []
        self.globals: dict[str, Any] = {}
        self.calls: list[tuple[Any, ...]] = []
        self._uuids = 0

    def env(self) -> Mapping[str, Any] | None:
        return self.env_map

    def execution(self) -> Mapping[str, Any]:
        if self.execution_map is None:
            raise EvaluationError("execution() is known inside a workflow only")
        return self.execution_map

    def executions(
        self,
        id: str | None = None,
        root_execution_id: str | None = None,
        state: str | None = None,
        from_time: str | None = None,
        to_time: str | None = None,
    ) -> list[Mapping[str, Any]]:
        self.calls.append((id, root_execution_id, state, from_time, to_time))
        return self.execution_maps

    def task(self, name: str | None = None) -> Mapping[str, Any] | None:
        return self.current_task if name is None else self.task_maps.get(name)

    def tasks(
        self,
        workflow_execution_id: str | None = None,
        recursive: bool = False,
        state: str | None = None,
        flat: bool = False,
    ) -> list[Mapping[str, Any]]:
        self.calls.append((workflow_execution_id, recursive, state, flat))
        return list(self.task_maps.values())

    def global_(self, name: str) -> Any:
        return self.globals.get(name)

    def uuid(self) -> str:
        self._uuids += 1
        return f"00000000-0000-4000-8000-{self._uuids:012d}"

    def now(self) -> dt.datetime:
        return NOW


class FakeScope:
    """A scope over the checklist's data (or other data)."""

    def __init__(self, data: Mapping[str, Any] | None = None, **more: Any) -> None:
        if isinstance(data, LazyMap):
            self._data: Mapping[str, Any] = data
        else:
            self._data = freeze({**(DATA if data is None else data), **more})
        self._functions = FakeFunctions()

    @property
    def data(self) -> Mapping[str, Any]:
        return self._data

    @property
    def functions(self) -> FakeFunctions:
        return self._functions
