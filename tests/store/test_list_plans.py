"""Lists by rare states and by names are found by an index, however many other rows there are."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from tests.store import records as make

from tramontane.store.database import Database
from tramontane.store.reads.fields import Resource
from tramontane.store.reads.listing import Condition, ListQuery, SortKey, page_select
from tramontane.store.reads.resources import ACTION_EXECUTIONS, EXECUTIONS, TASKS

RARE = "state_created_at_id"


class explained(sa.Executable, sa.ClauseElement):
    """A statement whose plan is asked for, with parameters as it has them."""

    inherit_cache = False

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement


@compiles(explained)
def _explained(element: explained, compiler: SQLCompiler, **kw: Any) -> str:
    words = "EXPLAIN QUERY PLAN" if compiler.dialect.name == "sqlite" else "EXPLAIN"
    return f"{words} {compiler.process(element.statement, **kw)}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(found, str)
    return found


async def plan(database: Database, resource: Resource, field: str, *values: str) -> str:
    """How the database finds the newest 100 with these values; whatever it would rather do with few rows."""
    query = ListQuery(
        (resource.id,),
        (Condition(resource.by_name[field], "in", values),),
        sort=(SortKey(resource.by_name["created_at"], descending=True), SortKey(resource.id)),
        limit=100,
    )
    async with database.read() as connection:
        if database.name == "postgresql":
            await connection.execute(sa.text("SET enable_seqscan = off"))
            await connection.execute(sa.text("SET enable_bitmapscan = off"))
        rows = await connection.execute(explained(page_select(resource, query, (), None)))
        return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize(
    ("resource", "field", "values", "index"),
    [
        (EXECUTIONS, "state", ("ERROR",), f"ix_executions_{RARE}"),
        (EXECUTIONS, "state", ("CANCELLED",), f"ix_executions_{RARE}"),
        (EXECUTIONS, "state", ("PAUSED",), "ix_heads_node_id_state"),
        (EXECUTIONS, "state", ("RUNNING", "PAUSED"), "ix_heads_node_id_state"),
        (EXECUTIONS, "workflow_name", ("deploy",), "ix_executions_workflow_name_created_at_id"),
        (TASKS, "state", ("ERROR",), f"ix_tasks_{RARE}"),
        (TASKS, "state", ("DELAYED",), f"ix_tasks_{RARE}"),
        (ACTION_EXECUTIONS, "state", ("RUNNING",), f"ix_action_executions_{RARE}"),
        (ACTION_EXECUTIONS, "state", ("CANCELLED",), f"ix_action_executions_{RARE}"),
    ],
)
def test_the_index_is_used(
    url: str, resource: Resource, field: str, values: tuple[str, ...], index: str
) -> None:
    async def test(database: Database) -> None:
        assert index in await plan(database, resource, field, *values)

    make.with_database(url, test)


def test_what_almost_all_rows_are_is_read_in_the_list_s_order(url: str) -> None:
    async def test(database: Database) -> None:
        for resource in (EXECUTIONS, TASKS, ACTION_EXECUTIONS):
            assert RARE not in await plan(database, resource, "state", "SUCCESS")

    make.with_database(url, test)


@pytest.mark.parametrize(
    "values", [("ERROR",), ("SUCCESS",), ("RUNNING", "ERROR"), ("PAUSED",), ("NONSENSE", "x'y"), ("",)]
)
def test_every_database_takes_lists_by_states(database_url: str, values: tuple[str, ...]) -> None:
    async def test(database: Database) -> None:
        for resource in (EXECUTIONS, TASKS, ACTION_EXECUTIONS):
            for operator in ("in", "nin"):
                query = ListQuery(
                    (resource.id,),
                    (Condition(resource.by_name["state"], operator, values),),
                    sort=(SortKey(resource.by_name["created_at"]), SortKey(resource.id)),
                    limit=100,
                )
                async with database.read() as connection:
                    found = await connection.execute(page_select(resource, query, (), None))
                    assert found.all() == []

    make.with_database(database_url, test)
