"""The resources that can be listed, attribute by attribute, in the order in which clients see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

from sqlalchemy import Boolean, ColumnElement, Table, func, literal_column, null, select

from tramontane.states import CANCELLED, COMPLETED, ERROR, SUCCESS, State
from tramontane.store.reads.fields import Field, Resource
from tramontane.store.reads.sql import in_partial_index
from tramontane.store.schema import (
    FAILED,
    NOT_SUCCEEDED,
    action_definitions,
    action_executions,
    code_sources,
    cron_triggers,
    dynamic_actions,
    environments,
    event_triggers,
    executions,
    heads,
    tasks,
    workbooks,
    workflow_definitions,
)


def _time(column: ColumnElement[Any], name: str, *, nullable: bool = True, is_filter: bool = True) -> Field:
    return Field(name, column, "time", nullable=nullable, is_filter=is_filter)


def _stamps(table: Table) -> tuple[Field, Field]:
    """When a row was created (ids sort in the order of creation) and when it changed last."""
    created = Field("created_at", table.c.created_at, "time", nullable=False, then=table.c.id)
    return created, _time(table.c.updated_at, "updated_at")


def _id(table: Table) -> Field:
    return Field("id", table.c.id, nullable=False, is_filter=False)


def _text(table: Table, name: str, *, nullable: bool = False, is_filter: bool = True) -> Field:
    return Field(name, table.c[name], nullable=nullable, is_filter=is_filter)


def _json(table: Table, name: str, *, in_lists: bool = True, is_filter: bool = True) -> Field:
    return Field(name, table.c[name], "json", in_lists=in_lists, is_filter=is_filter)


_wb = workbooks
WORKBOOKS: Final = Resource(
    "workbook",
    _wb,
    (
        _id(_wb),
        _text(_wb, "name"),
        _text(_wb, "namespace"),
        _text(_wb, "definition"),
        Field("tags", _wb.c.tags, "tags"),
        _text(_wb, "scope"),
        _text(_wb, "project_id", is_filter=False),
        *_stamps(_wb),
    ),
    _wb.c.project_id,
    _wb.c.scope,
)

_wf = workflow_definitions
WORKFLOWS: Final = Resource(
    "workflow",
    _wf,
    (
        _id(_wf),
        _text(_wf, "name"),
        _text(_wf, "namespace"),
        _text(_wf, "input"),
        _json(_wf, "interface", is_filter=False),
        _text(_wf, "definition"),
        _text(_wf, "checksum", nullable=True, is_filter=False),
        Field("tags", _wf.c.tags, "tags"),
        _text(_wf, "scope"),
        Field("project_id", _wf.c.project_id, "uuid", nullable=False),
        *_stamps(_wf),
    ),
    _wf.c.project_id,
    _wf.c.scope,
)

_ac = action_definitions
ACTIONS: Final = Resource(
    "action",
    _ac,
    (
        _id(_ac),
        _text(_ac, "name"),
        Field("is_system", _ac.c.is_system, "bool", nullable=False),
        _text(_ac, "input", nullable=True),
        _text(_ac, "description", nullable=True),
        Field("tags", _ac.c.tags, "tags"),
        _text(_ac, "definition"),
        _text(_ac, "scope"),
        _text(_ac, "project_id", is_filter=False),
        *_stamps(_ac),
        _text(_ac, "namespace"),
    ),
    _ac.c.project_id,
    _ac.c.scope,
)

_ev = environments
ENVIRONMENTS: Final = Resource(
    "environment",
    _ev,
    (
        _id(_ev),
        _text(_ev, "name"),
        _text(_ev, "description", nullable=True),
        _json(_ev, "variables"),
        _text(_ev, "scope"),
        _text(_ev, "project_id", is_filter=False),
        *_stamps(_ev),
    ),
    _ev.c.project_id,
    _ev.c.scope,
)

_cs = code_sources
CODE_SOURCES: Final = Resource(
    "code source",
    _cs,
    (
        _id(_cs),
        _text(_cs, "name"),
        _text(_cs, "namespace"),
        _text(_cs, "content", is_filter=False),
        Field("version", _cs.c.version, "int", is_filter=False, nullable=False),
        Field("project_id", _cs.c.project_id, "uuid", nullable=False),
        _text(_cs, "scope"),
        *_stamps(_cs),
        Field("tags", _cs.c.tags, "tags", in_lists=False),
    ),
    _cs.c.project_id,
    _cs.c.scope,
)

_da = dynamic_actions
DYNAMIC_ACTIONS: Final = Resource(
    "dynamic action",
    _da,
    (
        _id(_da),
        _text(_da, "name"),
        _text(_da, "namespace"),
        _text(_da, "code_source_id", is_filter=False),
        _text(_da, "code_source_name", is_filter=False),
        _text(_da, "class_name", is_filter=False),
        Field("project_id", _da.c.project_id, "uuid", nullable=False),
        _text(_da, "scope"),
        *_stamps(_da),
    ),
    _da.c.project_id,
    _da.c.scope,
)

CODE_ACTIONS: Final = Resource(
    "action",
    _da.join(_cs, _cs.c.id == _da.c.code_source_id),
    (
        _text(_da, "name"),
        _text(_da, "class_name"),
        _text(_da, "code_source_id"),
        _text(_da, "code_source_name"),
        Field("code_version", _cs.c.version, "int", nullable=False),
        _text(_da, "project_id"),
        _text(_da, "scope"),
        _text(_da, "namespace"),
        _time(_da.c.created_at, "created_at", nullable=False),
    ),
    _da.c.project_id,
    _da.c.scope,
)
"""Dynamic actions with the version of their code, for the list of all actions."""

_ct = cron_triggers
CRON_TRIGGERS: Final = Resource(
    "cron trigger",
    _ct,
    (
        _id(_ct),
        _text(_ct, "name"),
        _text(_ct, "workflow_name"),
        Field("workflow_id", _ct.c.workflow_id, "uuid", nullable=False),
        _json(_ct, "workflow_input"),
        _json(_ct, "workflow_params"),
        Field("project_id", _ct.c.project_id, "uuid", nullable=False),
        _text(_ct, "scope"),
        _text(_ct, "pattern"),
        Field("remaining_executions", _ct.c.remaining_executions, "int"),
        _time(_ct.c.first_execution_time, "first_execution_time"),
        _time(_ct.c.next_execution_time, "next_execution_time"),
        *_stamps(_ct),
    ),
    _ct.c.project_id,
    _ct.c.scope,
)

_et = event_triggers
EVENT_TRIGGERS: Final = Resource(
    "event trigger",
    _et,
    (
        _id(_et),
        *_stamps(_et),
        Field("project_id", _et.c.project_id, "uuid", nullable=False),
        _text(_et, "name"),
        Field("workflow_id", _et.c.workflow_id, "uuid", nullable=False),
        _json(_et, "workflow_input"),
        _json(_et, "workflow_params"),
        _text(_et, "exchange"),
        _text(_et, "topic"),
        _text(_et, "event"),
        _text(_et, "scope"),
    ),
    _et.c.project_id,
    _et.c.scope,
)

_ex = executions
STATES: Final = frozenset[str](get_args(State))


def _indexed(table: Table, condition: str) -> ColumnElement[bool]:
    return in_partial_index(literal_column(f"{table.name}.{condition}", Boolean()))


def _rare_executions(states: tuple[str, ...]) -> ColumnElement[bool] | None:
    """Find unfinished executions by an index of heads that holds no others, failed ones by one of theirs."""
    if {ERROR, CANCELLED}.issuperset(states):
        return _indexed(_ex, FAILED)
    if not COMPLETED.isdisjoint(states):
        return None
    found = select(heads.c.id).where(heads.c.node_id.is_not(None), heads.c.state.in_(states))
    return _ex.c.id.in_(found)


def _not_succeeded(table: Table) -> Callable[[tuple[str, ...]], ColumnElement[bool] | None]:
    """Find what failed or hasn't ended by an index that holds nothing else."""
    found = _indexed(table, NOT_SUCCEEDED)
    return lambda states: None if SUCCESS in states else found


EXECUTIONS: Final = Resource(
    "execution",
    _ex,
    (
        _id(_ex),
        Field("workflow_id", _ex.c.workflow_id, "uuid"),
        _text(_ex, "workflow_name"),
        _text(_ex, "workflow_namespace", is_filter=False),
        _text(_ex, "description", nullable=True),
        Field("tags", _ex.c.tags, "tags"),
        _json(_ex, "params"),
        Field("task_execution_id", _ex.c.parent_task_id, "uuid"),
        Field("root_execution_id", _ex.c.root_id, "uuid", present=_ex.c.parent_id.is_not(None)),
        Field("state", _ex.c.state, nullable=False, narrow=_rare_executions, in_plans=STATES),
        _text(_ex, "state_info", nullable=True),
        _json(_ex, "input"),
        _json(_ex, "output", in_lists=False),
        *_stamps(_ex),
        Field("project_id", _ex.c.project_id, "uuid", nullable=False),
        _json(_ex, "published_global", in_lists=False, is_filter=False),
    ),
    _ex.c.project_id,
    root=_ex.c.root_id,
)

_ta = tasks
TASKS: Final = Resource(
    "task",
    _ta,
    (
        _id(_ta),
        _text(_ta, "name"),
        _text(_ta, "type", is_filter=False),
        _text(_ta, "workflow_name"),
        _text(_ta, "workflow_namespace", is_filter=False),
        Field("workflow_id", _ta.c.workflow_id, "uuid"),
        Field("workflow_execution_id", _ta.c.execution_id, "uuid", nullable=False),
        Field("tags", _ta.c.tags, "tags"),
        Field("state", _ta.c.state, nullable=False, narrow=_not_succeeded(_ta), in_plans=STATES),
        _text(_ta, "state_info", nullable=True),
        _text(_ta, "project_id", is_filter=False),
        _json(_ta, "runtime_context", is_filter=False),
        _json(_ta, "published"),
        _json(_ta, "published_global", in_lists=False, is_filter=False),
        Field("processed", _ta.c.processed, "bool", nullable=False),
        *_stamps(_ta),
        _time(_ta.c.started_at, "started_at", is_filter=False),
        _time(_ta.c.finished_at, "finished_at", is_filter=False),
    ),
    _ta.c.project_id,
    root=_ta.c.root_id,
)

_ae = action_executions
ACTION_EXECUTIONS: Final = Resource(
    "action execution",
    _ae,
    (
        _id(_ae),
        _text(_ae, "workflow_name", nullable=True),
        _text(_ae, "workflow_namespace", is_filter=False),
        _text(_ae, "task_name", nullable=True),
        Field("task_execution_id", _ae.c.task_id, "uuid"),
        Field("state", _ae.c.state, nullable=False, narrow=_not_succeeded(_ae), in_plans=STATES),
        _text(_ae, "state_info", nullable=True),
        Field("tags", null(), "text", is_filter=False),
        _text(_ae, "name"),
        _text(_ae, "description", nullable=True),
        _text(_ae, "project_id", is_filter=False),
        Field("accepted", _ae.c.accepted, "bool", nullable=False),
        _json(_ae, "input"),
        _json(_ae, "output", in_lists=False),
        *_stamps(_ae),
    ),
    _ae.c.project_id,
    root=func.coalesce(_ae.c.root_id, _ae.c.id),
)
