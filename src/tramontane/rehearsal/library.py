"""Definitions, actions and environments of a rehearsal: what the engine looks up while it decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tramontane.actions.registry import Descriptor, Registry
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
from tramontane.lang import load_action, load_workflow, parse_actions, parse_workbook, parse_workflows
from tramontane.lang.document import WorkflowDocument
from tramontane.lang.spec import AdhocActionSpec
from tramontane.results import Result
from tramontane.values import FrozenDict, encode, freeze


@dataclass(frozen=True, slots=True)
class QueuedAction:
    """A real action that always goes through a job, so that a script can say what it gives."""

    descriptor: Descriptor

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def is_sync(self) -> bool:
        return self.descriptor.is_sync

    def check_input(self, given: Mapping[str, Any]) -> str | None:
        return self.descriptor.check_input(given)

    def settle(self, given: Mapping[str, Any], action_id: str) -> Result | None:
        return None


class Library:
    """Finds workflows, actions and environments by name."""

    def __init__(self, registry: Registry, fakes: Iterable[ActionInfo], *, settles: bool) -> None:
        self._registry = registry
        self._fakes = {fake.name: fake for fake in fakes}
        self._settles = settles
        self._workflows: dict[tuple[str, str], FoundWorkflow] = {}
        self._adhoc: dict[tuple[str, str], AdhocActionSpec] = {}
        self._environments: dict[str, FrozenDict] = {}

    @property
    def task_names(self) -> set[str]:
        return {name for found in self._workflows.values() for name in found.spec.tasks}

    def add_workflows(self, text: str, namespace: str = "") -> None:
        """Upload a document of workflows; one of the same name is replaced."""
        for document in parse_workflows(text).workflows:
            self._add(document, namespace, None)

    def add_workbook(self, text: str, namespace: str = "") -> None:
        """Upload a workbook; its members are named ``<workbook>.<member>``."""
        book = parse_workbook(text).workbook
        assert book is not None
        for document in book.workflows:
            self._add(document, namespace, book.name)
        for action in book.actions:
            self._adhoc[action.name, namespace] = load_action(action.data)

    def add_actions(self, text: str, namespace: str = "") -> None:
        """Upload a document of ad-hoc actions."""
        for action in parse_actions(text).actions:
            self._adhoc[action.name, namespace] = load_action(action.data)

    def add_environment(self, name: str, variables: Mapping[str, Any]) -> None:
        self._environments[name] = freeze(variables)

    def remove_workflow(self, name: str, namespace: str = "") -> None:
        del self._workflows[name, namespace]

    def _add(self, document: WorkflowDocument, namespace: str, workbook: str | None) -> None:
        digest = sha256(encode(document.data).encode()).hexdigest()
        self._workflows[document.name, namespace] = FoundWorkflow(
            id=f"workflow-{document.name}",
            name=document.name,
            namespace=namespace,
            workbook_name=workbook,
            spec_hash=digest,
            spec=load_workflow(document.data),
        )

    def workflow(self, name: str, namespace: str = "") -> FoundWorkflow | None:
        return self._workflows.get((name, namespace))

    def answer(self, key: Key) -> Any:
        """Look up what a decision needs; None: there is no such thing."""
        match key:
            case WorkflowKey(name, namespace, workbook):
                return _first(self._workflows, name, namespace, workbook)
            case ActionKey(name, namespace, workbook):
                return _first(self._adhoc, name, namespace, workbook) or self._action(name)
            case EnvironmentKey(name):
                return self._environments.get(name)
            case ExecutionsKey() | TasksKey():
                return []

    def _action(self, name: str) -> ActionInfo | None:
        if name in self._fakes:
            return self._fakes[name]
        descriptor = self._registry.find(name)
        if descriptor is None or self._settles:
            return descriptor
        return QueuedAction(descriptor)

    def descriptor(self, name: str) -> Descriptor | None:
        return None if name in self._fakes else self._registry.find(name)


def _first(table: Mapping[tuple[str, str], Any], name: str, namespace: str, workbook: str | None) -> Any:
    names = [name] if workbook is None else [f"{workbook}.{name}", name]
    spaces = [namespace] if namespace == "" else [namespace, ""]
    places = ((each, space) for each in names for space in spaces)
    return next((table[place] for place in places if place in table), None)
