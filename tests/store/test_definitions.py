"""Definitions: who sees which, changes that happen whole, the catalog's counter."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.store import records as make

from tramontane.errors import ConflictError
from tramontane.store import schema
from tramontane.store.database import Database
from tramontane.store.definition_records import (
    ActionRow,
    EnvironmentRow,
    TriggerUse,
    WorkbookRow,
    WorkflowEntry,
    WorkflowRow,
)
from tramontane.store.definitions import Definitions
from tramontane.store.tenancy import Visibility
from tramontane.values import freeze

OURS = Visibility("ours")
ADMIN = Visibility("admins", is_admin=True)


def workflow(workflow_id: str, name: str = "wf", **fields: Any) -> WorkflowRow:
    values: dict[str, Any] = {
        "id": workflow_id,
        "name": name,
        "namespace": "",
        "project_id": "ours",
        "scope": "private",
        "definition": "version: '2.0'",
        "checksum": "c",
        "tags": ("a", "é"),
        "is_system": False,
        "spec_hash": "h",
        "input": 'x, y="5"',
        "interface": '{"input":[]}',
        "workbook_name": None,
        "created_at": 1,
    }
    return WorkflowRow(**(values | fields))


def environment(environment_id: str, name: str = "env", **fields: Any) -> EnvironmentRow:
    values: dict[str, Any] = {
        "id": environment_id,
        "name": name,
        "project_id": "ours",
        "scope": "private",
        "description": None,
        "variables": freeze({"x": [1, None]}),
        "created_at": 1,
    }
    return EnvironmentRow(**(values | fields))


WORKBOOK = WorkbookRow(
    id="b1",
    name="wb",
    namespace="n",
    project_id="ours",
    scope="public",
    definition="text",
    checksum=None,
    tags=(),
    spec_hash="h",
    created_at=1,
)
ACTION = ActionRow(
    id="x1",
    name="act",
    namespace="",
    project_id="ours",
    scope="private",
    definition="text",
    tags=("t",),
    is_system=False,
    spec_hash="hash of act",
    input=None,
    description="does it",
    workbook_name="wb",
    created_at=1,
    updated_at=2,
)


async def insert(database: Database, *rows: Any) -> None:
    async with Definitions(database).change() as change:
        await change.insert(*rows)


def test_every_kind_of_definition_comes_back_as_it_was_written(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        nothing = environment("v2", "empty", variables=None)
        await insert(database, workflow("w1"), WORKBOOK, ACTION, environment("v1"), nothing)
        assert await definitions.find_workflow("w1", "elsewhere", OURS) == workflow("w1")
        assert await definitions.find_workflow("wf", "", OURS) == workflow("w1")
        assert await definitions.find_workbook("wb", "n", OURS) == WORKBOOK
        assert await definitions.find_workbook("wb", "", OURS) is None
        assert await definitions.find_action("act", "", OURS) == ACTION
        assert await definitions.find_action("x1", "", OURS) == ACTION
        assert await definitions.find_environment("env", OURS) == environment("v1")
        assert await definitions.environment("env", OURS) == {"x": [1, None]}
        assert await definitions.environment("empty", OURS) == {}
        assert await definitions.environment("none", OURS) is None
        assert await definitions.action_named("act", "", OURS) == "hash of act"
        assert await definitions.action_named("act", "n", OURS) is None
        entry = WorkflowEntry("w1", "wf", "", None, "h")
        assert await definitions.workflow("w1", OURS) == entry
        assert await definitions.workflow_named("wf", "", OURS) == entry

    make.with_database(database_url, test)


def test_an_id_longer_than_any_id_is_looked_up_as_a_name(database_url: str) -> None:
    async def test(database: Database) -> None:
        long_name = "w" * 200
        await insert(database, workflow("w1", long_name))
        found = await Definitions(database).find_workflow(long_name, "", OURS)
        assert found is not None
        assert found.id == "w1"

    make.with_database(database_url, test)


def test_the_own_definition_comes_before_a_public_one_and_others_stay_hidden(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        await insert(
            database,
            workflow("private", project_id="a", created_at=1),
            workflow("public", project_id="b", scope="public", created_at=3),
            workflow("hidden", "hidden", project_id="a"),
        )
        found = await definitions.workflow_named("wf", "", OURS)
        assert found is not None
        assert found.id == "public"
        assert await definitions.workflow_named("hidden", "", OURS) is None
        assert await definitions.workflow("hidden", OURS) is None
        await insert(database, workflow("own", created_at=9))
        found = await definitions.workflow_named("wf", "", OURS)
        assert found is not None
        assert found.id == "own"

    make.with_database(database_url, test)


def test_an_administrator_finds_own_then_public_then_the_oldest(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        rows = [
            workflow("young", project_id="a", created_at=8),
            workflow("old", project_id="b", created_at=2),
            workflow("public", project_id="c", scope="public", created_at=9),
            workflow("own", project_id="admins", created_at=10),
        ]
        seen = []
        for row in rows:
            await insert(database, row)
            found = await definitions.workflow_named("wf", "", ADMIN)
            assert found is not None
            seen.append(found.id)
        assert seen == ["young", "old", "public", "own"]

    make.with_database(database_url, test)


def test_a_shared_workflow_is_seen_once_it_was_accepted(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions, members = Definitions(database), schema.members
        await insert(database, workflow("w1", project_id="a"))
        values = {
            "id": "m1",
            "resource_id": "w1",
            "resource_type": "workflow",
            "project_id": "a",
            "member_id": "ours",
            "created_at": 1,
        }
        seen = []
        for status in ("pending", "accepted", "rejected"):
            async with database.write() as connection:
                await connection.execute(sa.delete(members))
                await connection.execute(sa.insert(members).values(values | {"status": status}))
            seen.append(await definitions.workflow("w1", OURS) is not None)
        assert seen == [False, True, False]
        async with definitions.change() as change:
            await change.delete(workflow("w1", project_id="a"))
        async with database.read() as connection:
            assert await connection.scalar(sa.select(sa.func.count()).select_from(members)) == 0

    make.with_database(database_url, test)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (workflow("2"), "WorkflowDefinition ['name', 'namespace', 'project_id']: wf, , ours"),
        (replace(WORKBOOK, id="2"), "Workbook ['name', 'namespace', 'project_id']: wb, n, ours"),
        (replace(ACTION, id="2"), "ActionDefinition ['name', 'namespace', 'project_id']: act, , ours"),
        (environment("2"), "Environment ['name', 'project_id']: env, ours"),
    ],
)
def test_a_list_with_one_name_that_is_used_changes_nothing(database_url: str, row: Any, text: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        await insert(database, workflow("w1"), WORKBOOK, ACTION, environment("v1"))
        version = await definitions.version()
        with pytest.raises(ConflictError) as caught:
            await insert(database, workflow("w5", "five"), row, workflow("w6", "six"))
        assert caught.value.message == f"Duplicate entry for {text}"
        assert await definitions.find_workflow("w5", "", OURS) is None
        assert await definitions.version() == version

    make.with_database(database_url, test)


def test_names_may_repeat_in_other_namespaces_and_projects(database_url: str) -> None:
    async def test(database: Database) -> None:
        rows = [workflow("w1"), workflow("w2", namespace="n"), workflow("w3", project_id="b")]
        await insert(database, *rows)
        await insert(database, environment("v1"), environment("v2", project_id="b"))
        async with Definitions(database).change() as change:
            assert await change.own(WorkflowRow, "wf", "n", "ours") == rows[1]
            assert await change.own(WorkflowRow, "wf", "n", "b") is None
            assert await change.own(EnvironmentRow, "env", "", "b") == environment("v2", project_id="b")

    make.with_database(database_url, test)


def test_an_update_keeps_the_id_and_may_rename_but_not_to_a_name_that_is_used(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        await insert(database, workflow("w1"), workflow("w2", "other"))
        renamed = workflow("w1", "renamed", tags=(), updated_at=5)
        async with definitions.change() as change:
            found = await change.find_workflow("wf", "", OURS)
            assert found == workflow("w1")
            await change.update(renamed)
            assert await change.find_workflow("renamed", "", OURS) == renamed
        assert await definitions.find_workflow("w1", "", OURS) == renamed
        with pytest.raises(ConflictError, match="Duplicate entry"):
            async with definitions.change() as change:
                await change.update(workflow("w1", "other"))
        assert await definitions.find_workflow("w1", "", OURS) == renamed

    make.with_database(database_url, test)


def test_every_change_moves_the_counter_and_a_failed_one_does_not(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        versions = [await definitions.version()]
        await insert(database, workflow("w1"))
        versions.append(await definitions.version())
        async with definitions.change() as change:
            await change.delete(workflow("w1"))
        versions.append(await definitions.version())
        with pytest.raises(ZeroDivisionError):
            async with definitions.change() as change:
                await change.insert(workflow("w2"))
                raise ZeroDivisionError
        versions.append(await definitions.version())
        assert versions == [0, 1, 2, 2]
        assert await definitions.workflow("w2", OURS) is None

    make.with_database(database_url, test)


def test_a_spec_is_stored_once_per_content(database_url: str) -> None:
    async def test(database: Database) -> None:
        definitions = Definitions(database)
        data = freeze({"name": "wf", "tasks": {"t": {"action": "std.noop"}}})
        async with definitions.change() as change:
            first = await change.put_spec(data, now=1)
            assert await change.put_spec(data, now=2) == first
            await change.put_spec_text("given", '{"a":1}', now=3)
        text = '{"name":"wf","tasks":{"t":{"action":"std.noop"}}}'
        assert first == hashlib.sha256(text.encode()).hexdigest()
        assert await definitions.spec(first) == data
        assert await definitions.spec("given") == {"a": 1}
        assert await definitions.spec("none") is None

    make.with_database(database_url, test)


def test_triggers_of_all_projects_that_use_a_workflow_are_found(database_url: str) -> None:
    async def test(database: Database) -> None:
        common = {"name": "t", "scope": "private", "workflow_id": "w1", "created_at": 1}
        cron = common | {"id": "c1", "project_id": "a", "workflow_name": "wf", "pattern": "* * * * *"}
        event = common | {"id": "v1", "project_id": "b", "exchange": "x", "topic": "y", "event": "z"}
        async with database.write() as connection:
            await connection.execute(sa.insert(schema.cron_triggers).values(cron))
            await connection.execute(sa.insert(schema.event_triggers).values(event))
        async with Definitions(database).change() as change:
            assert await change.triggers_of("w1") == [
                TriggerUse("c1", "cron", "a"),
                TriggerUse("v1", "event", "b"),
            ]
            assert await change.triggers_of("w2") == []

    make.with_database(database_url, test)
