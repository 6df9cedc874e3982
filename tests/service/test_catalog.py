"""Lookups: whose definition is meant, what is kept in memory and when it is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.service.harness import run

from tramontane.actions.registry import Registry
from tramontane.actions.standard import EchoAction, NoopAction
from tramontane.core.decision import ActionKey, EnvironmentKey, ExecutionsKey, TasksKey, WorkflowKey
from tramontane.lang import load_action, load_workflow, parse_actions, parse_workflows
from tramontane.service.catalog import Catalog, Known
from tramontane.store.definition_records import DynamicEntry, WorkflowEntry
from tramontane.store.tenancy import Viewer, Visibility
from tramontane.values import FrozenDict, freeze


class Shelf:
    """Definitions in memory that count how often they are asked."""

    def __init__(self) -> None:
        self.workflows: dict[tuple[str, str], WorkflowEntry] = {}
        self.actions: dict[tuple[str, str], str] = {}
        self.environments: dict[str, FrozenDict] = {}
        self.specs: dict[str, FrozenDict] = {}
        self.changes = 0
        self.asked: list[tuple[str, str]] = []

    def add_workflow(self, name: str, namespace: str = "") -> None:
        data = (
            parse_workflows(f"version: '2.0'\n{name}: {{tasks: {{t: {{action: std.noop}}}}}}")
            .workflows[0]
            .data
        )
        self.specs[name] = data
        self.workflows[name, namespace] = WorkflowEntry(f"id-{name}", name, namespace, None, name)

    def add_action(self, name: str, namespace: str = "") -> None:
        self.specs[name] = parse_actions(f"version: '2.0'\n{name}: {{base: std.noop}}").actions[0].data
        self.actions[name, namespace] = name

    async def workflow(self, workflow_id: str, viewer: Viewer) -> WorkflowEntry | None:
        return next((each for each in self.workflows.values() if each.id == workflow_id), None)

    async def workflow_named(self, name: str, namespace: str, viewer: Viewer) -> WorkflowEntry | None:
        self.asked.append((name, namespace))
        return self.workflows.get((name, namespace))

    async def action_named(self, name: str, namespace: str, viewer: Viewer) -> str | None:
        self.asked.append((name, namespace))
        return self.actions.get((name, namespace))

    async def dynamic_action_named(self, name: str, namespace: str, viewer: Viewer) -> DynamicEntry | None:
        return None

    async def environment(self, name: str, viewer: Viewer) -> FrozenDict | None:
        self.asked.append((name, ""))
        return self.environments.get(name)

    async def spec(self, spec_hash: str) -> FrozenDict | None:
        return self.specs.get(spec_hash)

    async def version(self) -> int:
        return self.changes


class NoRecords:
    async def executions(self, key: ExecutionsKey, project_id: str) -> list[Any]:
        return [FrozenDict(id="e")]

    async def tasks(self, key: TasksKey, project_id: str, spec: Any) -> list[Any]:
        return []


def a_catalog() -> tuple[Catalog, Shelf]:
    registry = Registry()
    registry.register("std.noop", NoopAction)
    registry.register("std.echo", EchoAction)
    shelf = Shelf()
    return Catalog(shelf, NoRecords(), registry, load_workflow, load_action), shelf


async def name_of(catalog: Catalog, key: ActionKey | WorkflowKey) -> str | None:
    found = await catalog.look_up(key, "p")
    return None if found is None else str(found.name)


def test_an_action_is_looked_for_as_the_workbooks_own_then_ad_hoc_then_installed() -> None:
    async def test() -> None:
        catalog, shelf = a_catalog()
        key = ActionKey("std.echo", "ns", "wb")
        assert await name_of(catalog, key) == "std.echo"
        assert shelf.asked == [
            ("wb.std.echo", "ns"),
            ("wb.std.echo", ""),
            ("std.echo", "ns"),
            ("std.echo", ""),
        ]
        for name, namespace in (
            ("std.echo", ""),
            ("std.echo", "ns"),
            ("wb.std.echo", ""),
            ("wb.std.echo", "ns"),
        ):
            shelf.add_action(name, namespace)
            catalog.forget()
            assert await name_of(catalog, key) == name

    run(test())


def test_a_workflow_falls_back_to_the_empty_namespace_in_a_task_but_not_at_a_start() -> None:
    async def test() -> None:
        catalog, shelf = a_catalog()
        shelf.add_workflow("wf")
        assert await name_of(catalog, WorkflowKey("wf", "ns", None)) == "wf"
        assert await catalog.workflow_to_start("wf", "ns", Visibility("p")) is None
        assert await catalog.workflow_to_start("wf", "", Visibility("p")) is not None

    run(test())


def test_what_was_found_is_kept_until_something_changes() -> None:
    async def test() -> None:
        catalog, shelf = a_catalog()
        await catalog.refresh()
        shelf.environments["e"] = freeze({"v": 1})
        key = EnvironmentKey("e")
        assert await catalog.look_up(key, "p") == {"v": 1}
        shelf.environments["e"] = freeze({"v": 2})
        await catalog.refresh()
        assert await catalog.look_up(key, "p") == {"v": 1}
        assert await catalog.look_up(key, "another project") == {"v": 2}
        shelf.changes += 1
        await catalog.refresh()
        assert await catalog.look_up(key, "p") == {"v": 2}

    run(test())


def test_that_there_is_nothing_is_never_kept() -> None:
    async def test() -> None:
        catalog, shelf = a_catalog()
        key = WorkflowKey("wf", "", None)
        assert await catalog.look_up(key, "p") is None
        shelf.add_workflow("wf")
        assert await catalog.look_up(key, "p") is not None

    run(test())


def test_what_was_read_while_something_changed_is_used_but_not_kept() -> None:
    async def test() -> None:
        catalog, shelf = a_catalog()
        shelf.environments["e"] = freeze({"v": 1})
        read = shelf.environment

        async def overtaken(name: str, viewer: Viewer) -> FrozenDict | None:
            found = await read(name, viewer)
            catalog.forget()
            return found

        shelf.environment = overtaken  # type: ignore[method-assign]
        assert await catalog.look_up(EnvironmentKey("e"), "p") == {"v": 1}
        assert catalog.remembered(EnvironmentKey("e"), "p") is None

    run(test())


def test_a_turn_knows_what_memory_holds_without_waiting_and_learns_the_rest() -> None:
    async def test() -> None:
        catalog, shelf = a_catalog()
        key, missing = ActionKey("std.noop", "", None), ActionKey("nosuch", "", None)
        known: Mapping[Any, Any] = catalog.known("p")
        assert isinstance(known, Known) and key not in known
        await known.learn([key, missing])
        assert known[key].name == "std.noop" and known[missing] is None
        asked = len(shelf.asked)
        another = catalog.known("p")
        assert another[key].name == "std.noop" and missing not in another
        assert len(shelf.asked) == asked

    run(test())


def test_records_of_executions_are_read_anew_each_time() -> None:
    async def test() -> None:
        catalog, _ = a_catalog()
        assert await catalog.look_up(ExecutionsKey(), "p") == [{"id": "e"}]
        assert catalog.remembered(ExecutionsKey(), "p") is None

    run(test())
