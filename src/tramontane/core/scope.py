"""What expressions of an execution see: layered stores of data, and the engine's functions.

Source: runtime specification, section 3.1 (which stores, strongest first), and expression
specification, sections 3 and 6.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from tramontane.core.decision import ExecutionsKey, TasksKey
from tramontane.core.state import Task
from tramontane.core.views import TaskView, execution_view, list_executions, list_tasks
from tramontane.errors import EvaluationError
from tramontane.expressions import Budget, CompiledStructure
from tramontane.values import EMPTY, FrozenDict, deep_merge

if TYPE_CHECKING:
    from tramontane.core.draft import Draft

_MISSING = object()


class Layer(Protocol):
    def get(self, name: str, default: Any = None, /) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...


class LayeredData(Mapping[str, Any]):
    """Several stores read as one map: the first that has a key wins.

    With ``deep`` (``merge_strategy = merge``) maps of the same name are merged, stronger over weaker.
    """

    __slots__ = ("_deep", "_layers")

    def __init__(self, layers: tuple[Layer, ...], deep: bool = False) -> None:
        self._layers = layers
        self._deep = deep

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, _MISSING)
        if value is _MISSING:
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        found = _MISSING
        for layer in self._layers:
            value = layer.get(name, _MISSING)
            if value is _MISSING:
                continue
            if found is _MISSING:
                found = value
                if not self._deep:
                    return found
            elif isinstance(found, Mapping) and isinstance(value, Mapping):
                found = deep_merge(value, found)
            if not isinstance(found, Mapping):
                return found
        return default if found is _MISSING else found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, _MISSING) is not _MISSING

    def __iter__(self) -> Iterator[str]:
        names: dict[str, None] = {}
        for layer in self._layers:
            for name in layer:
                names[name] = None
        return iter(names)

    def __len__(self) -> int:
        return len(list(iter(self)))


class EngineFunctions:
    """The functions behind ``task()``, ``env()`` and the others, for one evaluation."""

    __slots__ = ("_draft", "_task_id")

    def __init__(self, draft: Draft, task_id: str | None) -> None:
        self._draft = draft
        self._task_id = task_id

    def env(self) -> Mapping[str, Any]:
        return self._draft.root_env

    def execution(self) -> Mapping[str, Any]:
        return execution_view(self._draft.execution, self._draft.spec.data)

    def executions(
        self,
        id: str | None = None,
        root_execution_id: str | None = None,
        state: str | None = None,
        from_time: str | None = None,
        to_time: str | None = None,
    ) -> list[Mapping[str, Any]]:
        return list_executions(self._draft, ExecutionsKey(id, root_execution_id, state, from_time, to_time))

    def task(self, name: str | None = None) -> Mapping[str, Any] | None:
        draft = self._draft
        current = None if self._task_id is None else draft.task(self._task_id)
        if name is None:
            return None if current is None else TaskView(draft, current)
        if not isinstance(name, str):
            raise EvaluationError("task() takes the name of a task as text")
        if current is not None and current.name == name:
            return TaskView(draft, current)
        found = draft.newest(name)
        return None if found is None else TaskView(draft, found)

    def tasks(
        self,
        workflow_execution_id: str | None = None,
        recursive: bool = False,
        state: str | None = None,
        flat: bool = False,
    ) -> list[Mapping[str, Any]]:
        return list_tasks(self._draft, TasksKey(workflow_execution_id, bool(recursive), state, bool(flat)))

    def global_(self, name: str) -> Any:
        return self._draft.execution.globals.get(name)

    def uuid(self) -> str:
        return self._draft.env.new_uuid()

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._draft.env.now / 1e6, dt.UTC)


class DataScope:
    """Data and functions of one evaluation (:class:`tramontane.expressions.api.Scope`)."""

    __slots__ = ("data", "functions")

    def __init__(self, data: Any, functions: EngineFunctions) -> None:
        self.data = data
        self.functions = functions


def scope(draft: Draft, task: Task | None, *layers: Layer) -> DataScope:
    """Build a scope: internal names, then ``layers``, then workflow context and input."""
    internal: dict[str, Any] = {"__env": draft.root_env, "__execution": _execution_id(draft)}
    if task is not None:
        internal["__task_execution"] = FrozenDict({"id": task.id, "name": task.name})
    execution = draft.execution
    if execution.security is not None:
        internal["openstack"] = _without_secrets(execution.security)
    data = LayeredData(
        (internal, *layers, execution.globals, execution.input),
        deep=draft.env.settings.merge_strategy == "merge",
    )
    return DataScope(data, EngineFunctions(draft, None if task is None else task.id))


_SECRETS: Final = ("auth_token", "service_catalog")


def _without_secrets(security: FrozenDict) -> FrozenDict:
    """On whose behalf an execution runs, as expressions may see it."""
    return FrozenDict({**security, **{name: "***" for name in _SECRETS if security.get(name)}})


def task_scope(draft: Draft, task: Task, items: FrozenDict = EMPTY) -> DataScope:
    """For input, names, policies, with-items and publish: item variables and inherited data."""
    inherited = draft.inherited(task)
    if items:
        return scope(draft, task, items, inherited)
    return scope(draft, task, inherited)


def outbound_scope(draft: Draft, task: Task) -> DataScope:
    """For guards, messages, break-on and continue-on: what was just published is seen."""
    return scope(draft, task, draft.outbound(task))


def _execution_id(draft: Draft) -> FrozenDict:
    return FrozenDict({"id": draft.execution.id})


def evaluate(draft: Draft, structure: CompiledStructure, where: DataScope) -> Any:
    """Evaluate within the limits of this decision.

    Raises:
        EvaluationError: the expression failed or exceeded a limit.
    """
    return structure.evaluate(where, Budget(soft_seconds=draft.env.soft_seconds))
