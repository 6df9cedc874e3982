"""What decisions look up: actions, workflows, environments, records of other executions.

Of actions, ad-hoc ones come first, then dynamic ones, then those that are installed. Definitions are
kept in memory by key and project, specs by content. What is kept is thrown away when this node writes
a definition, and when the database's catalog counter has moved, which :mod:`tramontane.runtime.watch`
asks about once a second. That something does *not* exist is never kept. A lookup that memory can answer
doesn't wait for anything.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, assert_never

from tramontane.core.decision import (
    ActionInfo,
    ActionKey,
    EnvironmentKey,
    ExecutionsKey,
    FoundWorkflow,
    Key,
    TasksKey,
    WorkflowKey,
)
from tramontane.errors import NotFoundError
from tramontane.lang.spec import AdhocActionSpec, WorkflowSpec
from tramontane.service.uploaded_code import CodeAction, action_of
from tramontane.store.definition_records import DynamicEntry, WorkflowEntry
from tramontane.store.tenancy import Viewer, Visibility
from tramontane.values import FrozenDict

V = TypeVar("V")

_DEFINITIONS = 20_000
_SPECS = 1_000


class Definitions(Protocol):
    """Stored definitions, as a viewer sees them: own ones first, then public and shared ones."""

    async def workflow(self, workflow_id: str, viewer: Viewer) -> WorkflowEntry | None: ...
    async def workflow_named(self, name: str, namespace: str, viewer: Viewer) -> WorkflowEntry | None: ...
    async def action_named(self, name: str, namespace: str, viewer: Viewer) -> str | None:
        """Give the spec hash of an ad-hoc action in exactly this namespace."""

    async def dynamic_action_named(self, name: str, namespace: str, viewer: Viewer) -> DynamicEntry | None:
        """Give the class and code of a dynamic action in exactly this namespace."""

    async def environment(self, name: str, viewer: Viewer) -> FrozenDict | None: ...
    async def spec(self, spec_hash: str) -> FrozenDict | None: ...
    async def version(self) -> int:
        """Give a counter that moves with every change of a definition."""


class Records(Protocol):
    """What ``executions(…)`` and ``tasks(…)`` read of a project's other executions."""

    async def executions(self, key: ExecutionsKey, project_id: str) -> list[Any]: ...
    async def tasks(
        self, key: TasksKey, project_id: str, spec: Callable[[str], Awaitable[WorkflowSpec]]
    ) -> list[Any]: ...


class ActionRegistry(Protocol):
    """The actions that are installed (:class:`tramontane.actions.registry.Registry`)."""

    def find(self, name: str) -> ActionInfo | None: ...


class ActionFinder(Protocol):
    """Actions that workers bring (:class:`tramontane.service.workers.WorkerActions`)."""

    async def find(self, name: str, project_id: str) -> ActionInfo | None: ...


class Recent(Generic[V]):
    """A map of bounded size that forgets what was not used for longest."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: OrderedDict[Any, V] = OrderedDict()

    def get(self, key: Any) -> V | None:
        item = self._items.get(key)
        if item is not None:
            self._items.move_to_end(key)
        return item

    def put(self, key: Any, item: V) -> None:
        self._items[key] = item
        self._items.move_to_end(key)
        if len(self._items) > self._capacity:
            self._items.popitem(last=False)

    def clear(self) -> None:
        self._items.clear()


class Catalog:
    """Lookups with a memory."""

    def __init__(
        self,
        definitions: Definitions,
        records: Records,
        registry: ActionRegistry,
        load_workflow: Callable[[FrozenDict], WorkflowSpec],
        load_action: Callable[[FrozenDict], AdhocActionSpec],
        brought: ActionFinder | None = None,
    ) -> None:
        """``load_*`` rebuild specs from their stored data (:mod:`tramontane.lang`); ``brought`` finds what
        is neither defined nor installed."""
        self._definitions = definitions
        self._records = records
        self._registry = registry
        self._load_workflow = load_workflow
        self._load_action = load_action
        self._brought = brought
        self._found: Recent[Any] = Recent(_DEFINITIONS)
        self._workflows: Recent[WorkflowSpec] = Recent(_SPECS)
        self._actions: Recent[AdhocActionSpec] = Recent(_SPECS)
        self._epoch = 0
        self._version: int | None = None

    # -- for decisions --------------------------------------------------------------------

    def known(self, project_id: str) -> Known:
        """Give what one turn of an execution of this project may look up without waiting."""
        return Known(self, project_id)

    def remembered(self, key: Key, project_id: str) -> Any:
        """Give what memory holds for ``key``; None: it must be looked up."""
        return self._found.get((key, project_id, False))

    async def look_up(self, key: Key, project_id: str) -> Any:
        """Give what ``key`` stands for; None: there is no such thing."""
        viewer = Visibility(project_id)
        match key:
            case ActionKey():
                return await self._kept(key, viewer, lambda: self._action(key, viewer))
            case WorkflowKey():
                return await self._kept(key, viewer, lambda: self._workflow(key, viewer))
            case EnvironmentKey(name=name):
                return await self._kept(key, viewer, lambda: self._definitions.environment(name, viewer))
            case ExecutionsKey():
                return await self._records.executions(key, project_id)
            case TasksKey():
                return await self._records.tasks(key, project_id, self.spec)
            case _:
                assert_never(key)

    async def spec(self, spec_hash: str) -> WorkflowSpec:
        """Give a workflow's spec by its content.

        Raises:
            NotFoundError: the database has lost it.
        """
        spec = self._workflows.get(spec_hash)
        if spec is None:
            spec = self._load_workflow(await self._spec_data(spec_hash))
            self._workflows.put(spec_hash, spec)
        return spec

    # -- for use cases --------------------------------------------------------------------

    async def workflow_to_start(
        self, identifier: str, namespace: str, viewer: Viewer
    ) -> FoundWorkflow | None:
        """Find a workflow by its id, or by name in exactly this namespace."""
        key = ("start", identifier, namespace)
        return await self._kept(key, viewer, lambda: self._workflow_to_start(identifier, namespace, viewer))

    # -- memory ---------------------------------------------------------------------------

    def forget(self) -> None:
        """Forget all definitions: this node has changed one."""
        self._epoch += 1
        self._found.clear()

    async def refresh(self) -> None:
        """Forget all definitions if somebody has changed one since the last time."""
        version = await self._definitions.version()
        if version != self._version:
            self._version = version
            self.forget()

    async def _kept(self, key: Any, viewer: Viewer, find: Callable[[], Awaitable[V | None]]) -> V | None:
        remembered: V | None = self._found.get((key, viewer.project_id, viewer.is_admin))
        if remembered is not None:
            return remembered
        epoch = self._epoch
        found = await find()
        # What was read before a change became known may be older than it: used, but not kept.
        if found is not None and epoch == self._epoch:
            self._found.put((key, viewer.project_id, viewer.is_admin), found)
        return found

    # -- lookups --------------------------------------------------------------------------

    async def _action(self, key: ActionKey, viewer: Viewer) -> AdhocActionSpec | ActionInfo | None:
        for name in _names(key.name, key.workbook):
            for namespace in _namespaces(key.namespace):
                spec_hash = await self._definitions.action_named(name, namespace, viewer)
                if spec_hash is not None:
                    return await self._action_spec(spec_hash)
            installed = await self._dynamic_action(name, key.namespace, viewer) or self._registry.find(name)
            if installed is not None:
                return installed
        return None if self._brought is None else await self._brought.find(key.name, viewer.project_id)

    async def _dynamic_action(self, name: str, namespace: str, viewer: Viewer) -> CodeAction | None:
        for place in _namespaces(namespace):
            entry = await self._definitions.dynamic_action_named(name, place, viewer)
            if entry is not None:
                return await asyncio.to_thread(action_of, name, entry)
        return None

    async def _action_spec(self, spec_hash: str) -> AdhocActionSpec:
        spec = self._actions.get(spec_hash)
        if spec is None:
            spec = self._load_action(await self._spec_data(spec_hash))
            self._actions.put(spec_hash, spec)
        return spec

    async def _workflow(self, key: WorkflowKey, viewer: Viewer) -> FoundWorkflow | None:
        for name in _names(key.name, key.workbook):
            for namespace in _namespaces(key.namespace):
                entry = await self._definitions.workflow_named(name, namespace, viewer)
                if entry is not None:
                    return await self._ready(entry)
        return None

    async def _workflow_to_start(
        self, identifier: str, namespace: str, viewer: Viewer
    ) -> FoundWorkflow | None:
        entry = None
        if _is_uuid(identifier):
            entry = await self._definitions.workflow(identifier, viewer)
        if entry is None:
            entry = await self._definitions.workflow_named(identifier, namespace, viewer)
        return None if entry is None else await self._ready(entry)

    async def _ready(self, entry: WorkflowEntry) -> FoundWorkflow:
        return FoundWorkflow(
            id=entry.id,
            name=entry.name,
            namespace=entry.namespace,
            workbook_name=entry.workbook_name,
            spec_hash=entry.spec_hash,
            spec=await self.spec(entry.spec_hash),
        )

    async def _spec_data(self, spec_hash: str) -> FrozenDict:
        data = await self._definitions.spec(spec_hash)
        if data is None:
            raise NotFoundError(f"The stored definition is missing [hash={spec_hash}]")
        return data


class Known(Mapping[Key, Any]):
    """What the decisions of one turn know: the catalog's memory, and what was learned for this turn."""

    def __init__(self, catalog: Catalog, project_id: str) -> None:
        self._catalog = catalog
        self._project_id = project_id
        self._learned: dict[Key, Any] = {}

    def __getitem__(self, key: Key) -> Any:
        if key in self._learned:
            return self._learned[key]
        found = self._catalog.remembered(key, self._project_id)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[Key]:
        return iter(self._learned)

    def __len__(self) -> int:
        return len(self._learned)

    async def learn(self, keys: Sequence[Key]) -> None:
        """Look keys up, so that the next decision finds them (also that there is nothing)."""
        for key in keys:
            self._learned[key] = await self._catalog.look_up(key, self._project_id)


def _names(name: str, workbook: str | None) -> tuple[str, ...]:
    return (name,) if workbook is None else (f"{workbook}.{name}", name)


def _namespaces(namespace: str) -> tuple[str, ...]:
    return (namespace, "") if namespace else ("",)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
