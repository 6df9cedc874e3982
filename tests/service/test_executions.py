"""Use cases of executions and tasks, on real SQLite: who may see what, which checks come first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.service.harness import (
    ADMIN,
    ALICE,
    BOB,
    a_node,
    action,
    finished,
    play,
    read,
    run,
    start,
    stored,
    task,
    until,
    upload,
)

from tramontane.compose import OpenNode
from tramontane.core.state import Execution
from tramontane.errors import (
    BadRequestError,
    ConflictError,
    EvaluationError,
    IllegalStateError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    SizeLimitError,
)
from tramontane.service.definitions import UploadOptions
from tramontane.service.services import ExecutionChange, StartOrder
from tramontane.values import freeze

WAITING = "wf: {input: [{x: 1}], tasks: {a: {action: std.async_noop, on-success: b}, b: {action: std.noop}}}"
TREE = """
leaf: {tasks: {a: {action: std.async_noop}}}
tree: {tasks: {s: {workflow: leaf, on-success: z}, z: {action: std.noop}}}
"""


async def change(node: OpenNode, execution_id: str, caller: Any = ALICE, **what: Any) -> Execution:
    if what.get("env") is not None:
        what["env"] = freeze(what["env"])
    return await node.services.executions.change(caller, execution_id, ExecutionChange(**what))


# -- start ----------------------------------------------------------------------------------------


def test_an_unknown_workflow_is_not_found_and_foreign_ones_are_unknown(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            with pytest.raises(NotFoundError):
                await start(node, "nosuch")
            with pytest.raises(NotFoundError):
                await start(node, "wf", BOB)
            with pytest.raises(NotFoundError):
                await start(node, "wf", namespace="elsewhere")
            assert (await start(node, "wf", ADMIN)).project_id == "operators"

    run(test())


@pytest.mark.spec("API162")
def test_a_workflow_is_found_by_id_as_by_name(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            first = await start(node, "wf")
            assert first.workflow_id is not None
            second = await start(node, first.workflow_id)
            assert (second.workflow_name, second.spec_hash) == (first.workflow_name, first.spec_hash)

    run(test())


def test_a_definition_uploaded_a_moment_ago_is_found_and_a_changed_one_is_run(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            with pytest.raises(NotFoundError):
                await start(node, "wf")
            await upload(node, "wf: {output: {v: 1}, tasks: {a: {action: std.noop}}}")
            assert (await play(node, "wf")).output == {"v": 1}
            await node.services.workflows.update(
                ALICE,
                "version: '2.0'\nwf: {output: {v: 2}, tasks: {a: {action: std.noop}}}",
                UploadOptions(),
            )
            assert (await play(node, "wf")).output == {"v": 2}

    run(test())


@pytest.mark.spec("API172", "R260")
def test_an_id_of_ones_own_starts_once(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            order = StartOrder("wf", execution_id="mine", input=freeze({"x": 5}))
            both = await asyncio.gather(*(node.services.executions.start(ALICE, order) for _ in range(2)))
            assert sorted(each.is_new for each in both) == [False, True]
            again = await node.services.executions.start(ALICE, StartOrder("nosuch", execution_id="mine"))
            assert not again.is_new and again.execution.input == {"x": 5}

    run(test())


def test_an_id_that_another_project_uses_is_a_conflict(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            await upload(node, WAITING, BOB)
            await start(node, "wf", execution_id="mine")
            with pytest.raises(ConflictError):
                await start(node, "wf", BOB, execution_id="mine")

    run(test())


@pytest.mark.spec("API174", "API175")
def test_a_source_gives_workflow_input_and_params(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {input: [x, y], tasks: {a: {action: std.noop}}}")
            source = await play(node, "wf", input={"x": {"a": 1, "b": 2}, "y": 3}, params={"env": {"k": 1}})
            again = await node.services.executions.start(
                ALICE,
                StartOrder(
                    None, source_id=source.id, input=freeze({"x": {"b": 5}}), description="Once more."
                ),
            )
            assert again.execution.input == {"x": {"a": 1, "b": 5}, "y": 3}
            assert again.execution.params["env"] == {"k": 1}
            assert again.execution.description == f"Once more. Based on the execution '{source.id}'"
            bare = await node.services.executions.start(
                ALICE, StartOrder(None, source_id=source.id, description=None)
            )
            assert bare.execution.description == f"Based on the execution '{source.id}'"
            with pytest.raises(NotFoundError):
                await node.services.executions.start(BOB, StartOrder(None, source_id=source.id))

    run(test())


@pytest.mark.spec("API165", "API178", "R259", "R297")
def test_a_refused_start_leaves_no_execution(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url, field_size_limit_kb=1) as node:
            await upload(node, "wf: {input: [x], tasks: {a: {action: std.noop}}}")
            for kind, order in (
                (InvalidInputError, {"input": {}}),
                (InvalidInputError, {"input": {"x": 1, "y": 1}}),
                (SizeLimitError, {"input": {"x": "a" * 3000}}),
                (BadRequestError, {"input": {"x": 1}, "params": {"env": "nosuch"}}),
                (EvaluationError, {"input": {"x": 1}, "params": {"env": {"k": "<% 1/0 %>"}}}),
            ):
                with pytest.raises(kind):
                    await start(node, "wf", execution_id="never", **order)
            with pytest.raises(NotFoundError):
                await change(node, "never", state="PAUSED")
            assert node.engine.cached == 0

    run(test())


def test_waiting_ends_with_the_execution_or_with_the_time(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            execution = await start(node, "wf")
            await node.services.executions.wait(execution.id, 0.01)
            assert (await read(node, execution.id)).state == "RUNNING"
            waiting = asyncio.create_task(node.services.executions.wait(execution.id, 50))
            await change(node, execution.id, state="CANCELLED")
            await waiting
            await node.services.executions.wait("nosuch", 50)

    run(test())


# -- change ---------------------------------------------------------------------------------------


@pytest.mark.spec("API188", "API189", "API193", "API194", "R262", "R263", "R268")
def test_state_changes_follow_the_table(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            one = (await start(node, "wf")).id
            assert (await change(node, one, state="PAUSED")).state == "PAUSED"
            assert (await change(node, one, state="PAUSED")).state == "PAUSED"
            with pytest.raises(IllegalStateError):
                await change(node, one, state="SUCCESS")
            assert (await change(node, one, state="RUNNING", env={"k": 1})).params["env"] == {"k": 1}
            ended = await change(node, one, state="SUCCESS", state_info="enough")
            assert (ended.state, ended.state_info) == ("SUCCESS", "enough")
            for state in ("SUCCESS", "ERROR", "CANCELLED", "RUNNING"):
                assert (await change(node, one, state=state, state_info="no")).state_info == "enough"
            with pytest.raises(IllegalStateError):
                await change(node, one, state="PAUSED")
            two = (await start(node, "wf")).id
            await change(node, two, state="PAUSED")
            assert (await change(node, two, state="ERROR", state_info="why")).state_info == "why"

    run(test())


@pytest.mark.spec("API191", "API192", "R296")
def test_an_environment_changes_only_where_nothing_runs_and_takes_the_description_along(
    sqlite_url: str,
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            one = (await start(node, "wf", params={"env": {"a": {"b": 1}}})).id
            with pytest.raises(NotAllowedError):
                await change(node, one, env={"k": 1}, description="new")
            assert (await read(node, one)).description == ""
            await change(node, one, state="PAUSED")
            changed = await change(node, one, env={"a": {"c": 2}}, description="new")
            assert changed.params["env"] == {"a": {"b": 1, "c": 2}}
            assert (await read(node, one)).description == "new"

    run(test())


@pytest.mark.spec("API187")
def test_others_executions_are_not_found_whatever_is_asked(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, WAITING)
            one = (await start(node, "wf")).id
            for what in ({"state": "PAUSED"}, {"env": {"a": 1}}, {"description": "x"}):
                with pytest.raises(NotFoundError):
                    await change(node, one, BOB, **what)
            with pytest.raises(NotFoundError):
                await node.services.executions.delete(BOB, one, True)
            assert (await change(node, one, ADMIN, state="PAUSED")).state == "PAUSED"
            assert (await read(node, one)).project_id == "alice"

    run(test())


@pytest.mark.spec("API195", "R225", "R228")
def test_pause_resume_and_cancel_reach_sub_workflows(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, TREE)
            top = (await start(node, "tree")).id
            sub = (await stored(node, top)).subworkflows[0].id
            await until(node, sub, "RUNNING", "a")
            await change(node, top, state="PAUSED")
            await until(node, sub, "PAUSED")
            assert (await task(node, top, "s")).state == "PAUSED"
            await change(node, top, state="RUNNING")
            await until(node, sub, "RUNNING")
            await change(node, top, state="CANCELLED", state_info="mm")
            await until(node, sub, "CANCELLED")
            assert (await read(node, sub)).state_info == "mm"
            await until(node, top, "CANCELLED", "s")
            assert (await action(node, sub, "a")).state == "RUNNING"

    run(test())


@pytest.mark.spec("R226")
def test_a_pause_below_goes_up_and_a_resume_below_too(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, TREE)
            top = (await start(node, "tree")).id
            sub = (await stored(node, top)).subworkflows[0].id
            await until(node, sub, "RUNNING", "a")
            await change(node, sub, state="PAUSED")
            await until(node, top, "PAUSED")
            await change(node, sub, state="RUNNING")
            await until(node, top, "RUNNING")

    run(test())


# -- delete ---------------------------------------------------------------------------------------


@pytest.mark.spec("API197", "API198", "R295")
def test_a_running_execution_is_deleted_by_force_with_everything_below(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, TREE)
            top = (await start(node, "tree")).id
            sub = (await stored(node, top)).subworkflows[0].id
            await until(node, sub, "RUNNING", "a")
            running = (await action(node, sub, "a")).id
            with pytest.raises(NotAllowedError):
                await node.services.executions.delete(ALICE, top, False)
            await node.services.executions.delete(ALICE, top, True)
            for gone in (top, sub):
                with pytest.raises(NotFoundError):
                    await change(node, gone, state="PAUSED")
            with pytest.raises(NotFoundError):
                await node.services.action_executions.update(ALICE, running, "SUCCESS", None)
            with pytest.raises(NotFoundError):
                await node.services.executions.delete(ALICE, top, True)
            assert node.engine.cached == 0

    run(test())


def test_a_finished_execution_is_deleted_without_force(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.noop}}}")
            one = (await play(node, "wf")).id
            await node.services.executions.delete(ALICE, one, False)
            with pytest.raises(NotFoundError):
                await node.services.executions.delete(ALICE, one, False)

    run(test())


def test_deleting_a_running_sub_workflow_by_force_fails_the_task_that_waits_for_it(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, TREE)
            top = (await start(node, "tree")).id
            sub = (await stored(node, top)).subworkflows[0].id
            await until(node, sub, "RUNNING", "a")
            with pytest.raises(NotAllowedError):
                await node.services.executions.delete(ALICE, sub, False)
            await node.services.executions.delete(ALICE, sub, True)
            assert (await finished(node, top)).state == "ERROR"
            assert (await task(node, top, "s")).state == "ERROR"

    run(test())


# -- tasks ----------------------------------------------------------------------------------------


@pytest.mark.spec("API216", "API218", "API220", "R271", "R277", "R287")
def test_failed_tasks_are_run_again_or_skipped_by_those_who_may(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: std.fail, on-success: b}, b: {action: std.noop}}}")
            one = (await play(node, "wf")).id
            failed = (await task(node, one, "a")).id
            with pytest.raises(NotFoundError):
                await node.services.tasks.rerun(BOB, failed, True, None)
            with pytest.raises(NotFoundError):
                await node.services.tasks.rerun(ALICE, "nosuch", True, None)
            with pytest.raises(BadRequestError):
                await node.services.tasks.rerun(ALICE, failed, False, None)
            await node.services.tasks.rerun(ALICE, failed, True, None)
            assert (await finished(node, one)).state == "ERROR"
            assert len((await stored(node, one)).actions) == 2
            await node.services.tasks.skip(ALICE, failed, None)
            assert (await finished(node, one)).state == "SUCCESS"
            with pytest.raises(IllegalStateError):
                await node.services.tasks.rerun(ALICE, (await task(node, one, "b")).id, True, None)

    run(test())


@pytest.mark.spec("R272", "API219")
def test_an_environment_given_with_a_rerun_is_merged_first(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, "wf: {tasks: {a: {action: <% env().how %>}}}")
            one = (await play(node, "wf", params={"env": {"how": "std.fail", "k": 1}})).id
            await node.services.tasks.rerun(
                ALICE, (await task(node, one, "a")).id, True, freeze({"how": "std.noop"})
            )
            done = await finished(node, one)
            assert (done.state, done.params["env"]) == ("SUCCESS", {"how": "std.noop", "k": 1})

    run(test())
