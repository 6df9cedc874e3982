"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from tramontane.store.columns import identifier, large_text, name

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _heads()
    _executions()
    _tasks()
    _action_executions()
    _subworkflows()
    _past_runs()
    _inbox()
    _timers()
    _jobs()
    _workflow_definitions()
    _workbooks()
    _action_definitions()
    _specs()
    _environments()
    _catalog()
    _members()
    _code_sources()
    _dynamic_actions()
    _cron_triggers()
    _event_triggers()
    _nodes()
    _service_state()
    op.execute("INSERT INTO catalog (id, version) VALUES (1, 0)")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _heads() -> None:
    op.create_table(
        "heads",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("first_token", sa.BigInteger(), nullable=False),
        sa.Column("node_id", identifier(), nullable=True),
        sa.Column("state", name(10), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("takeovers", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("parked", large_text(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_heads"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_heads_node_id_state", "heads", ["node_id", "state"], **_where("node_id IS NOT NULL"))


def _executions() -> None:
    op.create_table(
        "executions",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("workflow_name", name(255), nullable=False),
        sa.Column("workflow_namespace", name(255), nullable=False),
        sa.Column("workflow_id", identifier(), nullable=True),
        sa.Column("spec_hash", name(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", identifier(), nullable=True),
        sa.Column("parent_task_id", identifier(), nullable=True),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("workbook_name", name(255), nullable=True),
        sa.Column("description", large_text(), nullable=True),
        sa.Column("tags", large_text(), nullable=True),
        sa.Column("input", large_text(), nullable=True),
        sa.Column("params", large_text(), nullable=True),
        sa.Column("state", name(10), nullable=False),
        sa.Column("state_info", large_text(), nullable=True),
        sa.Column("output", large_text(), nullable=True),
        sa.Column("globals", large_text(), nullable=True),
        sa.Column("published_global", large_text(), nullable=True),
        sa.Column("backlog", large_text(), nullable=True),
        sa.Column("security", large_text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_executions"),
    )
    op.create_index("ix_executions_created_at_id", "executions", ["created_at", "id"])
    op.create_index("ix_executions_parent_id", "executions", ["parent_id"], **_where("parent_id IS NOT NULL"))
    op.create_index(
        "ix_executions_parent_task_id",
        "executions",
        ["parent_task_id"],
        **_where("parent_task_id IS NOT NULL"),
    )
    op.create_index(
        "ix_executions_project_id_created_at_id", "executions", ["project_id", "created_at", "id"]
    )
    op.create_index("ix_executions_root_id", "executions", ["root_id"], **_where("parent_id IS NOT NULL"))
    op.create_index("ix_executions_workflow_id_created_at", "executions", ["workflow_id", "created_at"])


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("execution_id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("type", name(10), nullable=False),
        sa.Column("workflow_name", name(255), nullable=False),
        sa.Column("workflow_namespace", name(255), nullable=False),
        sa.Column("workflow_id", identifier(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", name(10), nullable=False),
        sa.Column("state_info", large_text(), nullable=True),
        sa.Column("phase", name(30), nullable=False),
        sa.Column("tags", large_text(), nullable=True),
        sa.Column("is_join", sa.Boolean(), nullable=False),
        sa.Column("processed", sa.Boolean(), nullable=False),
        sa.Column("next_tasks", large_text(), nullable=True),
        sa.Column("error_handled", sa.Boolean(), nullable=False),
        sa.Column("published", large_text(), nullable=True),
        sa.Column("published_global", large_text(), nullable=True),
        sa.Column("runtime_context", large_text(), nullable=True),
        sa.Column("causes", large_text(), nullable=True),
        sa.Column("round_seq", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("retry_no", sa.Integer(), nullable=False),
        sa.Column("pending", large_text(), nullable=True),
        sa.Column("item_count", sa.Integer(), nullable=True),
        sa.Column("item_next", sa.Integer(), nullable=False),
        sa.Column("item_todo", large_text(), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("completed_seq", sa.BigInteger(), nullable=False),
        sa.Column("outlives_end", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_created_at_id", "tasks", ["created_at", "id"])
    op.create_index("ix_tasks_execution_id", "tasks", ["execution_id"])
    op.create_index("ix_tasks_project_id_created_at_id", "tasks", ["project_id", "created_at", "id"])


def _action_executions() -> None:
    op.create_table(
        "action_executions",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("execution_id", identifier(), nullable=True),
        sa.Column("root_id", identifier(), nullable=True),
        sa.Column("task_id", identifier(), nullable=True),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", name(10), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("output", large_text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("name", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("workflow_name", name(255), nullable=True),
        sa.Column("workflow_namespace", name(255), nullable=False),
        sa.Column("task_name", name(255), nullable=True),
        sa.Column("state_info", large_text(), nullable=True),
        sa.Column("is_sync", sa.Boolean(), nullable=False),
        sa.Column("safe_rerun", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("input", large_text(), nullable=True),
        sa.Column("adhoc", large_text(), nullable=True),
        sa.Column("target", name(255), nullable=True),
        sa.Column("timeout", sa.BigInteger(), nullable=True),
        sa.Column("description", large_text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_action_executions"),
    )
    op.create_index("ix_action_executions_created_at_id", "action_executions", ["created_at", "id"])
    op.create_index(
        "ix_action_executions_execution_id",
        "action_executions",
        ["execution_id"],
        **_where("execution_id IS NOT NULL"),
    )
    op.create_index(
        "ix_action_executions_project_id_created_at_id",
        "action_executions",
        ["project_id", "created_at", "id"],
    )
    op.create_index(
        "ix_action_executions_task_id", "action_executions", ["task_id"], **_where("task_id IS NOT NULL")
    )


def _subworkflows() -> None:
    op.create_table(
        "subworkflows",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("execution_id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("task_id", identifier(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", name(10), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_subworkflows"),
    )
    op.create_index("ix_subworkflows_execution_id", "subworkflows", ["execution_id"])


def _past_runs() -> None:
    op.create_table(
        "past_runs",
        sa.Column("task_id", identifier(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("execution_id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("published", large_text(), nullable=True),
        sa.Column("causes", large_text(), nullable=True),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("task_id", "run", name="pk_past_runs"),
    )
    op.create_index("ix_past_runs_execution_id", "past_runs", ["execution_id"])


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("execution_id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("payload", large_text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_inbox_created_at", "inbox", ["created_at"])
    op.create_index("ix_inbox_execution_id", "inbox", ["execution_id"])


def _timers() -> None:
    op.create_table(
        "timers",
        sa.Column("task_id", identifier(), nullable=False),
        sa.Column("kind", name(20), nullable=False),
        sa.Column("execution_id", identifier(), nullable=False),
        sa.Column("root_id", identifier(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("task_id", "kind", name="pk_timers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_timers_due_at", "timers", ["due_at"])
    op.create_index("ix_timers_execution_id", "timers", ["execution_id"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("action_id", identifier(), nullable=False),
        sa.Column("execution_id", identifier(), nullable=True),
        sa.Column("root_id", identifier(), nullable=True),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("action_name", name(255), nullable=False),
        sa.Column("pool", name(255), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("safe_rerun", sa.Boolean(), nullable=False),
        sa.Column("timeout", sa.BigInteger(), nullable=True),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("context", large_text(), nullable=True),
        sa.Column("claimed_by", identifier(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("action_id", name="pk_jobs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_jobs_claimed_by", "jobs", ["claimed_by"], **_where("claimed_by IS NOT NULL"))
    op.create_index("ix_jobs_execution_id", "jobs", ["execution_id"])
    op.create_index("ix_jobs_pool_created_at", "jobs", ["pool", "created_at"], **_where("claimed_by IS NULL"))


def _workflow_definitions() -> None:
    op.create_table(
        "workflow_definitions",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("namespace", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("definition", large_text(), nullable=False),
        sa.Column("checksum", name(64), nullable=True),
        sa.Column("tags", large_text(), nullable=True),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("spec_hash", name(64), nullable=False),
        sa.Column("input", large_text(), nullable=False),
        sa.Column("interface", large_text(), nullable=True),
        sa.Column("workbook_name", name(255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_definitions"),
        sa.UniqueConstraint(
            "name", "namespace", "project_id", name="uq_workflow_definitions_name_namespace_project_id"
        ),
    )
    op.create_index(
        "ix_workflow_definitions_project_id_created_at_id",
        "workflow_definitions",
        ["project_id", "created_at", "id"],
    )


def _workbooks() -> None:
    op.create_table(
        "workbooks",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("namespace", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("definition", large_text(), nullable=False),
        sa.Column("checksum", name(64), nullable=True),
        sa.Column("tags", large_text(), nullable=True),
        sa.Column("spec_hash", name(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workbooks"),
        sa.UniqueConstraint("name", "namespace", "project_id", name="uq_workbooks_name_namespace_project_id"),
    )
    op.create_index("ix_workbooks_project_id_created_at_id", "workbooks", ["project_id", "created_at", "id"])


def _action_definitions() -> None:
    op.create_table(
        "action_definitions",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("namespace", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("definition", large_text(), nullable=False),
        sa.Column("tags", large_text(), nullable=True),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("spec_hash", name(64), nullable=False),
        sa.Column("input", large_text(), nullable=True),
        sa.Column("description", large_text(), nullable=True),
        sa.Column("workbook_name", name(255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_action_definitions"),
        sa.UniqueConstraint(
            "name", "namespace", "project_id", name="uq_action_definitions_name_namespace_project_id"
        ),
    )
    op.create_index(
        "ix_action_definitions_project_id_created_at_id",
        "action_definitions",
        ["project_id", "created_at", "id"],
    )


def _specs() -> None:
    op.create_table(
        "specs",
        sa.Column("hash", name(64), nullable=False),
        sa.Column("data", large_text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("hash", name="pk_specs"),
    )


def _environments() -> None:
    op.create_table(
        "environments",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(200), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("description", large_text(), nullable=True),
        sa.Column("variables", large_text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_environments"),
        sa.UniqueConstraint("name", "project_id", name="uq_environments_name_project_id"),
    )
    op.create_index(
        "ix_environments_project_id_created_at_id", "environments", ["project_id", "created_at", "id"]
    )


def _catalog() -> None:
    op.create_table(
        "catalog",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalog"),
    )


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("resource_id", identifier(), nullable=False),
        sa.Column("resource_type", name(50), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("member_id", name(80), nullable=False),
        sa.Column("status", name(20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_members"),
        sa.UniqueConstraint(
            "resource_id", "resource_type", "member_id", name="uq_members_resource_id_resource_type_member_id"
        ),
    )
    op.create_index("ix_members_member_id", "members", ["member_id"])


def _code_sources() -> None:
    op.create_table(
        "code_sources",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("namespace", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("content", large_text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tags", large_text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_code_sources"),
        sa.UniqueConstraint(
            "name", "namespace", "project_id", name="uq_code_sources_name_namespace_project_id"
        ),
    )
    op.create_index(
        "ix_code_sources_project_id_created_at_id", "code_sources", ["project_id", "created_at", "id"]
    )


def _dynamic_actions() -> None:
    op.create_table(
        "dynamic_actions",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("namespace", name(255), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("code_source_id", identifier(), nullable=False),
        sa.Column("code_source_name", name(255), nullable=False),
        sa.Column("class_name", name(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_dynamic_actions"),
        sa.UniqueConstraint(
            "name", "namespace", "project_id", name="uq_dynamic_actions_name_namespace_project_id"
        ),
    )
    op.create_index("ix_dynamic_actions_code_source_id", "dynamic_actions", ["code_source_id"])
    op.create_index(
        "ix_dynamic_actions_project_id_created_at_id", "dynamic_actions", ["project_id", "created_at", "id"]
    )


def _cron_triggers() -> None:
    op.create_table(
        "cron_triggers",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(200), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("workflow_name", name(255), nullable=False),
        sa.Column("workflow_id", identifier(), nullable=False),
        sa.Column("workflow_input", large_text(), nullable=True),
        sa.Column("workflow_params", large_text(), nullable=True),
        sa.Column("pattern", name(100), nullable=False),
        sa.Column("remaining_executions", sa.Integer(), nullable=True),
        sa.Column("first_execution_time", sa.BigInteger(), nullable=True),
        sa.Column("next_execution_time", sa.BigInteger(), nullable=True),
        sa.Column("sameness", name(64), nullable=True),
        sa.Column("trust_id", name(80), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_cron_triggers"),
        sa.UniqueConstraint("name", "project_id", name="uq_cron_triggers_name_project_id"),
        sa.UniqueConstraint("sameness", "project_id", name="uq_cron_triggers_sameness_project_id"),
    )
    op.create_index("ix_cron_triggers_next_execution_time", "cron_triggers", ["next_execution_time"])
    op.create_index(
        "ix_cron_triggers_project_id_created_at_id", "cron_triggers", ["project_id", "created_at", "id"]
    )
    op.create_index("ix_cron_triggers_workflow_id", "cron_triggers", ["workflow_id"])


def _event_triggers() -> None:
    op.create_table(
        "event_triggers",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(200), nullable=False),
        sa.Column("project_id", name(80), nullable=False),
        sa.Column("scope", name(80), nullable=False),
        sa.Column("workflow_id", identifier(), nullable=False),
        sa.Column("workflow_input", large_text(), nullable=True),
        sa.Column("workflow_params", large_text(), nullable=True),
        sa.Column("exchange", name(80), nullable=False),
        sa.Column("topic", name(80), nullable=False),
        sa.Column("event", name(80), nullable=False),
        sa.Column("trust_id", name(80), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event_triggers"),
        sa.UniqueConstraint(
            "exchange",
            "topic",
            "event",
            "workflow_id",
            "project_id",
            name="uq_event_triggers_exchange_topic_event_workflow_id_project_id",
        ),
    )
    op.create_index(
        "ix_event_triggers_project_id_created_at_id", "event_triggers", ["project_id", "created_at", "id"]
    )
    op.create_index("ix_event_triggers_workflow_id", "event_triggers", ["workflow_id"])


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", identifier(), nullable=False),
        sa.Column("name", name(255), nullable=False),
        sa.Column("kind", name(20), nullable=False),
        sa.Column("info", large_text(), nullable=True),
        sa.Column("heartbeat", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
    )


def _service_state() -> None:
    op.create_table(
        "service_state",
        sa.Column("name", name(50), nullable=False),
        sa.Column("value", large_text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_service_state"),
    )
