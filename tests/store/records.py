"""Records for the store's tests: plain ones, and generated ones with every field filled."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from tramontane.core.state import ActionExecution, Cause, Execution, PastRun, SubWorkflow, Task, Timer
from tramontane.store.database import Database, open_database
from tramontane.store.executions import Executions
from tramontane.store.records import InboxRow, JobRow, TurnWrite
from tramontane.values import EMPTY, FrozenDict, freeze

T = TypeVar("T")


def with_database(url: str, test: Callable[[Database], Awaitable[T]]) -> T:
    """Run ``test`` with the open database."""

    async def run() -> T:
        database = await open_database(url)
        try:
            return await test(database)
        finally:
            await database.close()

    return asyncio.run(run())


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a program in a process of its own that finds the same modules; its pipes are open."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def execution(execution_id: str = "e1", **fields: Any) -> Execution:
    values: dict[str, Any] = {
        "id": execution_id,
        "root_id": execution_id,
        "project_id": "p",
        "workflow_name": "wf",
        "workflow_namespace": "",
        "workflow_id": "w1",
        "spec_hash": "h",
        "created_at": 1,
        "state": "RUNNING",
    }
    return Execution(**(values | fields))


def child(parent: Execution, child_id: str, **fields: Any) -> Execution:
    return execution(child_id, root_id=parent.root_id, parent_id=parent.id, parent_task_id="t1", **fields)


def task(owner: Execution, task_id: str = "t1", seq: int = 1, **fields: Any) -> Task:
    values: dict[str, Any] = {
        "id": task_id,
        "execution_id": owner.id,
        "root_id": owner.root_id,
        "project_id": "p",
        "name": "task",
        "type": "ACTION",
        "workflow_name": "wf",
        "workflow_namespace": "",
        "workflow_id": "w1",
        "seq": seq,
        "created_at": 1,
    }
    return Task(**(values | fields))


def action(owner: Execution | None, action_id: str = "a1", seq: int = 2, **fields: Any) -> ActionExecution:
    values: dict[str, Any] = {
        "id": action_id,
        "execution_id": None if owner is None else owner.id,
        "root_id": None if owner is None else owner.root_id,
        "task_id": None if owner is None else "t1",
        "name": "std.echo",
        "project_id": "p",
        "seq": seq,
    }
    return ActionExecution(**(values | fields))


def call(owner: Execution, child_id: str, seq: int = 2, **fields: Any) -> SubWorkflow:
    values: dict[str, Any] = {
        "id": child_id,
        "execution_id": owner.id,
        "root_id": owner.root_id,
        "task_id": "t1",
        "seq": seq,
    }
    return SubWorkflow(**(values | fields))


def timer(owner: Execution, due_at: int = 100, kind: str = "retry", **fields: Any) -> Timer:
    values: dict[str, Any] = {
        "task_id": "t1",
        "kind": kind,
        "execution_id": owner.id,
        "root_id": owner.root_id,
        "due_at": due_at,
        "generation": 1,
    }
    return Timer(**(values | fields))


def event(owner: Execution, row_id: str = "i1", created_at: int = 1, payload: Any = EMPTY) -> InboxRow:
    return InboxRow(row_id, owner.id, owner.root_id, payload, created_at)


def job(of: ActionExecution, **fields: Any) -> JobRow:
    values: dict[str, Any] = {
        "action_id": of.id,
        "execution_id": of.execution_id,
        "root_id": of.root_id,
        "project_id": "p",
        "action_name": of.name,
        "pool": "",
        "attempt": of.attempt,
        "safe_rerun": of.safe_rerun,
        "timeout": None,
        "dry_run": False,
        "context": EMPTY,
        "claimed_by": None,
        "created_at": 1,
    }
    return JobRow(**(values | fields))


async def start(store: Executions, *new: Execution, node_id: str | None = "n1") -> None:
    """Write new executions without anything in them."""
    outcomes = await store.commit([TurnWrite(each, None, 0) for each in new], node_id)
    assert all(outcome.is_committed for outcome in outcomes), outcomes


# -- generated values -----------------------------------------------------------------------------

# Lone surrogates and NUL are text in JSON; a database may refuse them only outside of it.
_any_text = st.text(st.characters(codec=None), max_size=20)
_plain_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-é漢", min_size=1, max_size=36)
_numbers = st.integers(0, 2**31 - 1)
_micros = st.integers(-(2**62), 2**62)


def json_values() -> st.SearchStrategy[Any]:
    """Frozen JSON values, among them what encoders like to refuse."""
    scalars = (
        st.none() | st.booleans() | st.integers() | st.integers(-(2**90), 2**90) | st.floats() | _any_text
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_any_text, inner, max_size=4),
        max_leaves=12,
    ).map(freeze)


def json_maps() -> st.SearchStrategy[FrozenDict]:
    return st.dictionaries(_any_text, json_values(), max_size=4).map(freeze)


_nested_tuples = st.lists(st.tuples(_any_text, st.lists(_any_text, max_size=3).map(tuple)), max_size=3).map(
    tuple
)
_causes = st.lists(st.builds(Cause, _ids, _numbers), max_size=3).map(tuple)
_tags = st.lists(_any_text, max_size=3).map(tuple)


def executions() -> st.SearchStrategy[Execution]:
    return st.builds(
        execution,
        parent_task_id=st.none() | _ids,
        index=_numbers,
        workbook_name=st.none() | _plain_text,
        description=st.none() | _plain_text,
        tags=_tags,
        input=json_values(),
        params=json_maps(),
        state=st.sampled_from(["RUNNING", "SUCCESS", "CANCELLED"]),
        state_info=st.none() | _plain_text,
        output=json_values(),
        globals=json_maps(),
        published_global=json_maps(),
        backlog=_nested_tuples,
        security=json_values(),
        updated_at=st.none() | _micros,
        finished_at=st.none() | _micros,
        created_at=_micros,
        seq=_micros,
        run=_numbers,
        workflow_id=st.none() | _ids,
    )


def tasks(owner: Execution) -> st.SearchStrategy[Task]:
    return st.builds(
        task,
        st.just(owner),
        state_info=st.none() | _plain_text,
        tags=_tags,
        is_join=st.booleans(),
        processed=st.booleans(),
        next_tasks=st.none() | _nested_tuples,
        error_handled=st.booleans(),
        published=json_values(),
        published_global=json_values(),
        runtime_context=json_values(),
        causes=_causes,
        round_seq=_micros,
        hits=_numbers,
        run=_numbers,
        generation=_numbers,
        retry_no=_numbers,
        pending=st.none() | st.tuples(_any_text, st.none() | _any_text),
        item_count=st.none() | _numbers,
        item_next=_numbers,
        item_todo=st.none() | st.lists(_numbers, max_size=4).map(tuple),
        concurrency=_numbers,
        completed_seq=_micros,
        outlives_end=st.booleans(),
        started_at=st.none() | _micros,
        finished_at=st.none() | _micros,
        updated_at=st.none() | _micros,
    )


def actions(owner: Execution) -> st.SearchStrategy[ActionExecution]:
    return st.builds(
        action,
        st.just(owner),
        index=_numbers,
        generation=_numbers,
        state=st.sampled_from(["RUNNING", "ERROR"]),
        accepted=st.booleans(),
        output=json_values(),
        state_info=st.none() | _plain_text,
        task_name=st.none() | _plain_text,
        is_sync=st.booleans(),
        safe_rerun=st.booleans(),
        attempt=_numbers,
        input=json_values(),
        adhoc=st.lists(st.tuples(_any_text, json_maps()), max_size=2).map(tuple),
        target=st.none() | _plain_text,
        timeout=st.none() | _numbers,
        description=st.none() | _plain_text,
        started_at=st.none() | _micros,
        finished_at=st.none() | _micros,
        created_at=_micros,
        updated_at=st.none() | _micros,
    )


def past_runs(owner: Execution) -> st.SearchStrategy[PastRun]:
    return st.builds(
        PastRun, st.just("t1"), _numbers, st.just(owner.id), st.just(owner.root_id), json_values(), _causes
    )


def jobs(of: ActionExecution) -> st.SearchStrategy[JobRow]:
    return st.builds(
        job,
        st.just(of),
        pool=_plain_text,
        attempt=_numbers,
        safe_rerun=st.booleans(),
        timeout=st.none() | _numbers,
        dry_run=st.booleans(),
        context=json_values(),
        claimed_by=st.just("n1"),
        created_at=_micros,
    )
