"""The tables. Columns carry the names of the records' fields (:mod:`tramontane.core.state`).

Three groups:

* *hot* tables, written by turns: ``heads`` is the fence and the narrow row that every commit
  touches, wide columns live in ``executions``, ``tasks`` and ``action_executions``; ``inbox``,
  ``timers`` and ``jobs`` hold what still has to happen. There are no foreign keys between them, and
  each row of a tree carries its ``root_id``.
* *definitions*: what people upload. Each change bumps the counter in ``catalog``.
* *registers*: nodes, triggers, shares, code, tokens.

JSON is text (``Column.info["json"]``), which may refer to ``big_values`` (``info["big"]``); times are
microseconds. Migrations only ever add.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tramontane.store.columns import (
    format_column,
    identifier,
    json_column,
    large_text,
    micros,
    name,
    value_column,
)

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NAME = 255
PROJECT = 80


def _column(column_name: str, kind: Any, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(column_name, kind, nullable=nullable)


def _key(column_name: str = "id") -> sa.Column[Any]:
    return sa.Column(column_name, identifier(), primary_key=True)


def _where(condition: str) -> dict[str, Any]:
    """Make an index partial where the database can."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


FAILED = "state IN ('ERROR', 'CANCELLED')"
NOT_SUCCEEDED = "state <> 'SUCCESS'"


def has_partial_indexes(dialect: str) -> bool:
    """Tell whether a database (by SQLAlchemy's name of it) can index some rows alone."""
    return dialect in ("sqlite", "postgresql")


def _rare(condition: str) -> Any:
    """Make an index of rows in rare states. Where it can't be partial it would hold almost all rows, and
    change with almost each of their changes; there is none there."""

    def is_here(*_: Any, dialect: Any, **__: Any) -> bool:
        return has_partial_indexes(dialect.name)

    return sa.Index(None, "state", "created_at", "id", **_where(condition)).ddl_if(callable_=is_here)


# -- executions -----------------------------------------------------------------------------------

heads = sa.Table(
    "heads",
    metadata,
    _key(),
    _column("root_id", identifier()),
    _column("version", sa.BigInteger()),
    # Random numbers of the commit that wrote the row last and of the one that inserted it: they
    # answer whether a commit whose outcome is unknown has happened.
    _column("token", sa.BigInteger()),
    _column("first_token", sa.BigInteger()),
    _column("node_id", identifier(), nullable=True),  # who ran it last; null once it is completed
    _column("state", name(10)),
    _column("seq", sa.BigInteger()),
    _column("run", sa.Integer()),
    sa.Column("takeovers", sa.Integer(), nullable=False, server_default="0"),
    _column("parked", large_text(), nullable=True),  # why nobody runs it any more
    format_column(),
    sa.Index(None, "node_id", "state", **_where("node_id IS NOT NULL")),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "70"},
)
"""The fence: one narrow row per execution; ``seq`` and ``run`` live here alone."""

executions = sa.Table(
    "executions",
    metadata,
    _key(),
    _column("root_id", identifier()),
    _column("project_id", name(PROJECT)),
    _column("workflow_name", name(NAME)),
    _column("workflow_namespace", name(NAME)),
    _column("workflow_id", identifier(), nullable=True),
    _column("spec_hash", name(64)),
    _column("created_at", micros()),
    _column("parent_id", identifier(), nullable=True),
    _column("parent_task_id", identifier(), nullable=True),
    _column("index", sa.Integer()),
    _column("workbook_name", name(NAME), nullable=True),
    _column("description", large_text(), nullable=True),
    json_column("tags"),
    value_column("input"),
    value_column("params"),
    _column("state", name(10)),
    _column("state_info", large_text(), nullable=True),
    value_column("output"),
    value_column("globals", kind="inside"),
    value_column("published_global", kind="inside"),
    json_column("backlog"),
    json_column("security"),
    _column("updated_at", micros(), nullable=True),
    _column("finished_at", micros(), nullable=True),
    sa.Column("parent_seq", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("env_seq", sa.BigInteger(), nullable=False, server_default="0"),
    format_column(),
    sa.Index(None, "project_id", "created_at", "id"),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "root_id", **_where("parent_id IS NOT NULL")),
    sa.Index(None, "parent_id", **_where("parent_id IS NOT NULL")),
    sa.Index(None, "parent_task_id", **_where("parent_task_id IS NOT NULL")),
    sa.Index(None, "workflow_id", "created_at"),
    sa.Index(None, "workflow_name", "created_at", "id"),
    _rare(FAILED),
)

tasks = sa.Table(
    "tasks",
    metadata,
    _key(),
    _column("execution_id", identifier()),
    _column("root_id", identifier()),
    _column("project_id", name(PROJECT)),
    _column("name", name(NAME)),
    _column("type", name(10)),
    _column("workflow_name", name(NAME)),
    _column("workflow_namespace", name(NAME)),
    _column("workflow_id", identifier(), nullable=True),
    _column("seq", sa.BigInteger()),
    _column("created_at", micros()),
    _column("state", name(10)),
    _column("state_info", large_text(), nullable=True),
    _column("phase", name(30)),
    json_column("tags"),
    _column("is_join", sa.Boolean()),
    _column("processed", sa.Boolean()),
    json_column("next_tasks"),
    _column("error_handled", sa.Boolean()),
    value_column("published"),
    value_column("published_global"),
    value_column("runtime_context"),
    json_column("causes"),
    _column("round_seq", sa.BigInteger()),
    _column("hits", sa.Integer()),
    _column("run", sa.Integer()),
    _column("generation", sa.Integer()),
    _column("retry_no", sa.Integer()),
    json_column("pending"),
    _column("item_count", sa.Integer(), nullable=True),
    _column("item_next", sa.Integer()),
    json_column("item_todo"),
    _column("concurrency", sa.Integer()),
    _column("completed_seq", sa.BigInteger()),
    _column("outlives_end", sa.Boolean()),
    _column("started_at", micros(), nullable=True),
    _column("finished_at", micros(), nullable=True),
    _column("updated_at", micros(), nullable=True),
    format_column(),
    sa.Index(None, "execution_id", "seq"),
    sa.Index(None, "project_id", "created_at", "id"),
    sa.Index(None, "created_at", "id"),
    _rare(NOT_SUCCEEDED),
)

action_executions = sa.Table(
    "action_executions",
    metadata,
    _key(),
    _column("execution_id", identifier(), nullable=True),
    _column("root_id", identifier(), nullable=True),
    _column("task_id", identifier(), nullable=True),
    _column("index", sa.Integer()),
    _column("generation", sa.Integer()),
    _column("seq", sa.BigInteger()),
    _column("state", name(10)),
    _column("accepted", sa.Boolean()),
    value_column("output"),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    _column("name", name(NAME)),
    _column("project_id", name(PROJECT)),
    _column("workflow_name", name(NAME), nullable=True),
    _column("workflow_namespace", name(NAME)),
    _column("task_name", name(NAME), nullable=True),
    _column("state_info", large_text(), nullable=True),
    _column("is_sync", sa.Boolean()),
    _column("safe_rerun", sa.Boolean()),
    _column("attempt", sa.Integer()),
    value_column("input"),
    json_column("adhoc"),
    _column("target", name(NAME), nullable=True),
    _column("timeout", sa.BigInteger(), nullable=True),
    _column("description", large_text(), nullable=True),
    _column("started_at", micros(), nullable=True),
    _column("finished_at", micros(), nullable=True),
    format_column(),
    sa.Index(None, "execution_id", "seq", **_where("execution_id IS NOT NULL")),
    sa.Index(None, "task_id", **_where("task_id IS NOT NULL")),
    sa.Index(None, "project_id", "created_at", "id"),
    sa.Index(None, "created_at", "id"),
    _rare(NOT_SUCCEEDED),
)

subworkflows = sa.Table(
    "subworkflows",
    metadata,
    _key(),  # the called execution's id
    _column("execution_id", identifier()),
    _column("root_id", identifier()),
    _column("task_id", identifier()),
    _column("index", sa.Integer()),
    _column("generation", sa.Integer()),
    _column("seq", sa.BigInteger()),
    _column("state", name(10)),
    _column("accepted", sa.Boolean()),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    _column("run", sa.Integer()),
    sa.Column("child_seq", sa.BigInteger(), nullable=False, server_default="0"),
    format_column(),
    sa.Index(None, "execution_id"),
)
"""Calls of sub-workflows as their caller sees them; the output is read from the called execution."""

past_runs = sa.Table(
    "past_runs",
    metadata,
    sa.Column("task_id", identifier(), primary_key=True),
    sa.Column("run", sa.Integer(), primary_key=True, autoincrement=False),
    _column("execution_id", identifier()),
    _column("root_id", identifier()),
    value_column("published"),
    json_column("causes"),
    format_column(),
    sa.Index(None, "execution_id"),
)

big_values = sa.Table(
    "big_values",
    metadata,
    sa.Column("root_id", identifier(), primary_key=True),
    sa.Column("hash", name(64), primary_key=True),
    _column("size", sa.BigInteger()),  # of the text, in bytes
    _column("place", name(255), nullable=True),  # where the text is, if it isn't here
    _column("data", large_text(), nullable=True),
    format_column(),
)
"""Texts of values too big for the rows that refer to them, once for each tree; a stand-alone action is
the root of its own. They are deleted with their root."""

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    _key("execution_id"),
    _column("root_id", identifier()),
    _column("seq", sa.BigInteger()),
    value_column("data", kind="slots"),
    format_column(),
)
"""From where long executions are loaded (:mod:`tramontane.core.checkpoint`)."""

# -- what still has to happen ---------------------------------------------------------------------

inbox = sa.Table(
    "inbox",
    metadata,
    _key(),
    _column("execution_id", identifier()),
    _column("root_id", identifier()),
    value_column("payload"),
    _column("created_at", micros()),
    format_column(),
    sa.Index(None, "execution_id"),
    sa.Index(None, "created_at"),
    sqlite_with_rowid=False,
)

timers = sa.Table(
    "timers",
    metadata,
    sa.Column("task_id", identifier(), primary_key=True),
    sa.Column("kind", name(20), primary_key=True),
    _column("execution_id", identifier()),
    _column("root_id", identifier()),
    _column("due_at", micros()),
    _column("generation", sa.Integer()),
    format_column(),
    sa.Index(None, "due_at"),
    sa.Index(None, "execution_id"),
    sqlite_with_rowid=False,
)

jobs = sa.Table(
    "jobs",
    metadata,
    _key("action_id"),
    _column("execution_id", identifier(), nullable=True),
    _column("root_id", identifier(), nullable=True),
    _column("project_id", name(PROJECT)),
    _column("action_name", name(NAME)),
    _column("pool", name(NAME)),
    _column("attempt", sa.Integer()),
    _column("safe_rerun", sa.Boolean()),
    _column("timeout", sa.BigInteger(), nullable=True),
    _column("dry_run", sa.Boolean()),
    json_column("context"),
    _column("claimed_by", identifier(), nullable=True),
    _column("created_at", micros()),
    # The queue: jobs of a limited action wait in a lane of their own; the more urgent come first, and
    # of equally urgent ones those with the lower place (service/fairness.py).
    sa.Column("lane", name(NAME), nullable=False, server_default=""),
    sa.Column("urgency", sa.SmallInteger(), nullable=False, server_default="0"),
    sa.Column("place", sa.BigInteger(), nullable=False, server_default="0"),
    format_column(),
    sa.Index(None, "pool", "lane", "urgency", "place", **_where("claimed_by IS NULL")),
    # In this order, so that no planner without statistics takes it for a way to the lowest place.
    sa.Index(None, "created_at", "pool", "lane", **_where("claimed_by IS NULL")),
    sa.Index(None, "claimed_by", **_where("claimed_by IS NOT NULL")),
    sa.Index(None, "execution_id"),
    sqlite_with_rowid=False,
)

# -- definitions ----------------------------------------------------------------------------------

workflow_definitions = sa.Table(
    "workflow_definitions",
    metadata,
    _key(),
    _column("name", name(NAME)),
    _column("namespace", name(NAME)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("definition", large_text()),
    _column("checksum", name(64), nullable=True),
    json_column("tags"),
    _column("is_system", sa.Boolean()),
    _column("spec_hash", name(64)),
    _column("input", large_text()),  # the declared input as people read it
    json_column("interface"),  # {"input": [...], "output": [...]}
    _column("workbook_name", name(NAME), nullable=True),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "namespace", "project_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)

workbooks = sa.Table(
    "workbooks",
    metadata,
    _key(),
    _column("name", name(NAME)),
    _column("namespace", name(NAME)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("definition", large_text()),
    _column("checksum", name(64), nullable=True),
    json_column("tags"),
    _column("spec_hash", name(64)),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "namespace", "project_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)

action_definitions = sa.Table(
    "action_definitions",
    metadata,
    _key(),
    _column("name", name(NAME)),
    _column("namespace", name(NAME)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("definition", large_text()),
    json_column("tags"),
    _column("is_system", sa.Boolean()),
    _column("spec_hash", name(64)),
    _column("input", large_text(), nullable=True),  # null: no input declared
    _column("description", large_text(), nullable=True),
    _column("workbook_name", name(NAME), nullable=True),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "namespace", "project_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)
"""Ad-hoc actions."""

specs = sa.Table(
    "specs",
    metadata,
    sa.Column("hash", name(64), primary_key=True),
    json_column("data", nullable=False),
    _column("created_at", micros()),
    format_column(),
)
"""Checked documents by content; executions and definitions point here, nothing is ever changed."""

environments = sa.Table(
    "environments",
    metadata,
    _key(),
    _column("name", name(200)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("description", large_text(), nullable=True),
    json_column("variables"),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "project_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)

catalog = sa.Table(
    "catalog",
    metadata,
    sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
    _column("version", sa.BigInteger()),
)
"""One row (id 1) whose counter moves with every change of a definition or environment."""

members = sa.Table(
    "members",
    metadata,
    _key(),
    _column("resource_id", identifier()),
    _column("resource_type", name(50)),
    _column("project_id", name(PROJECT)),
    _column("member_id", name(PROJECT)),
    _column("status", name(20)),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("resource_id", "resource_type", "member_id"),
    sa.Index(None, "member_id"),
)

code_sources = sa.Table(
    "code_sources",
    metadata,
    _key(),
    _column("name", name(NAME)),
    _column("namespace", name(NAME)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("content", large_text()),
    _column("version", sa.Integer()),
    json_column("tags"),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "namespace", "project_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)

dynamic_actions = sa.Table(
    "dynamic_actions",
    metadata,
    _key(),
    _column("name", name(NAME)),
    _column("namespace", name(NAME)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("code_source_id", identifier()),
    _column("code_source_name", name(NAME)),
    _column("class_name", name(NAME)),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "namespace", "project_id"),
    sa.Index(None, "project_id", "created_at", "id"),
    sa.Index(None, "code_source_id"),
)

# -- triggers, nodes ------------------------------------------------------------------------------

cron_triggers = sa.Table(
    "cron_triggers",
    metadata,
    _key(),
    _column("name", name(200)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("workflow_name", name(NAME)),
    _column("workflow_id", identifier()),
    json_column("workflow_input"),
    json_column("workflow_params"),
    _column("pattern", name(100)),
    _column("remaining_executions", sa.Integer(), nullable=True),
    _column("first_execution_time", micros(), nullable=True),
    _column("next_execution_time", micros(), nullable=True),
    # Hash of what may not repeat within a project; null where repeating is allowed.
    _column("sameness", name(64), nullable=True),
    _column("trust_id", name(PROJECT), nullable=True),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("name", "project_id"),
    sa.UniqueConstraint("sameness", "project_id"),
    sa.Index(None, "next_execution_time"),
    sa.Index(None, "workflow_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)

event_triggers = sa.Table(
    "event_triggers",
    metadata,
    _key(),
    _column("name", name(200)),
    _column("project_id", name(PROJECT)),
    _column("scope", name(PROJECT)),
    _column("workflow_id", identifier()),
    json_column("workflow_input"),
    json_column("workflow_params"),
    _column("exchange", name(80)),
    _column("topic", name(80)),
    _column("event", name(80)),
    _column("trust_id", name(PROJECT), nullable=True),
    _column("created_at", micros()),
    _column("updated_at", micros(), nullable=True),
    sa.UniqueConstraint("exchange", "topic", "event", "workflow_id", "project_id"),
    sa.Index(None, "workflow_id"),
    sa.Index(None, "project_id", "created_at", "id"),
)

nodes = sa.Table(
    "nodes",
    metadata,
    _key(),  # one per start of a process
    _column("name", name(NAME)),  # host and process, for people
    _column("kind", name(20)),  # node | executor
    json_column("info"),  # version, address, pools …
    _column("heartbeat", sa.BigInteger()),  # a counter; it moves as long as the process lives
    _column("heartbeat_at", micros()),
    _column("started_at", micros()),
    format_column(),
)

service_state = sa.Table(
    "service_state",
    metadata,
    sa.Column("name", name(50), primary_key=True),
    json_column("value"),
    _column("updated_at", micros()),
)
"""Settings that all nodes share and people change while the service runs (maintenance)."""

limits = sa.Table(
    "limits",
    metadata,
    sa.Column("kind", name(10), primary_key=True),  # pool | action
    sa.Column("name", name(NAME), primary_key=True),
    _column("slots", sa.Integer(), nullable=True),  # null: lifted; jobs may still wait in its lane
    _column("turns", sa.BigInteger()),  # each claim under the limit moves it, so that claims don't overlap
    _column("updated_at", micros()),
)
"""How many jobs of a pool, or of an action, may be claimed at the same time."""

tokens = sa.Table(
    "tokens",
    metadata,
    _key(),
    _column("hash", name(64)),  # SHA-256 of the token, in hexadecimal; the token itself is nowhere
    _column("name", name(NAME)),
    _column("project_id", name(PROJECT)),
    json_column("roles"),
    _column("created_at", micros()),
    _column("expires_at", micros(), nullable=True),  # null: never
    _column("revoked_at", micros(), nullable=True),
    _column("last_used_at", micros(), nullable=True),  # coarse: written when the last time is long ago
    sa.UniqueConstraint("hash"),
)
"""Tokens that the service issues itself."""
