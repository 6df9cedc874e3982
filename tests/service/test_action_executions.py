"""Running actions without workflows, and reporting on them from outside."""

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
    run,
    start,
    still,
    task,
    until,
    upload,
)

from tramontane.compose import OpenNode
from tramontane.core.state import ActionExecution
from tramontane.errors import BadRequestError, IllegalStateError, NotAllowedError, NotFoundError
from tramontane.results import Result
from tramontane.service.definitions import UploadOptions
from tramontane.service.services import RunOrder
from tramontane.values import freeze


async def order(node: OpenNode, name: str, caller: Any = ALICE, **what: Any) -> ActionExecution | Result:
    if "input" in what:
        what["input"] = freeze(what["input"])
    return await node.services.action_executions.run(caller, RunOrder(name, **what))


async def stored(node: OpenNode, name: str, **what: Any) -> ActionExecution:
    ran = await order(node, name, **what)
    assert isinstance(ran, ActionExecution)
    return ran


async def ended(node: OpenNode, action_id: str) -> ActionExecution:
    """Wait for the end of an action that a caller had stored."""
    while True:
        found = await node.services.action_executions._visible(ADMIN, action_id)  # type: ignore[attr-defined]
        assert isinstance(found, ActionExecution)
        if found.is_completed:
            return found
        await asyncio.sleep(0.005)


@pytest.mark.spec("API227", "API230")
def test_by_default_an_action_runs_now_and_nothing_is_stored(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            assert await order(node, "std.echo", input={"output": {"a": 1}}) == Result({"a": 1})
            assert await order(node, "std.sleep", input={"seconds": 0}) == Result()
            failed = await order(node, "std.fail")
            assert isinstance(failed, Result) and failed.state == "ERROR"
            assert node.runtime.executor.busy == 0

    run(test())


@pytest.mark.spec("API228", "API229")
def test_a_stored_run_is_answered_at_once_and_a_stored_synchronous_one_when_it_is_over(
    sqlite_url: str,
) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            later = await stored(node, "std.sleep", input={"seconds": 0}, save_result=True, description="d")
            assert (later.state, later.output, later.accepted) == ("RUNNING", None, False)
            done = await ended(node, later.id)
            assert (done.state, done.accepted, done.description) == ("SUCCESS", True, "d")
            now = await stored(node, "std.echo", input={"output": 5}, save_result=True, run_sync=True)
            assert (now.state, now.output, now.accepted) == ("SUCCESS", {"result": 5}, True)
            assert (await ended(node, now.id)).output == {"result": 5}

    run(test())


@pytest.mark.spec("API231", "API232", "API234")
def test_what_can_t_be_run_is_refused(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            for name, what in (
                ("nosuch", {}),
                ("std.echo", {}),
                ("std.echo", {"input": {"output": 1, "other": 2}}),
                ("std.async_noop", {"run_sync": True}),
            ):
                with pytest.raises(BadRequestError):
                    await order(node, name, **what)
            waiting = await stored(node, "std.async_noop")
            assert waiting.state == "RUNNING"

    run(test())


ADHOC = """
version: '2.0'
twice:
  base: inner
  base-input: {value: <% $.x %>}
  input: [x]
  output: {outer: <% $ %>}
inner:
  base: std.echo output=<% $.value + $.value %>
  input: [value]
  output: {inner: <% $ %>}
"""


def test_ad_hoc_actions_go_down_to_the_real_one_and_back(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await node.services.actions.create(ALICE, ADHOC, UploadOptions())
            assert await order(node, "twice", input={"x": 2}) == Result({"outer": {"inner": 4}})
            saved = await stored(node, "twice", input={"x": 3}, save_result=True)
            assert (await ended(node, saved.id)).output == {"result": {"outer": {"inner": 6}}}
            with pytest.raises(BadRequestError):
                await order(node, "twice", BOB, input={"x": 2})
            with pytest.raises(BadRequestError):
                await order(node, "twice")

    run(test())


@pytest.mark.spec("API235", "API236", "API237", "API240")
def test_results_are_reported_from_outside_once(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            update = node.services.action_executions.update
            for state, output, result in (
                ("SUCCESS", {"a": 1}, {"a": 1}),
                ("SUCCESS", 5, 5),
                ("ERROR", None, "Unknown error"),
                ("ERROR", "why", "why"),
                ("CANCELLED", {"a": 1}, None),
            ):
                waiting = await stored(node, "std.async_noop")
                done = await update(ALICE, waiting.id, state, freeze(output))  # type: ignore[arg-type]
                assert (done.state, done.output, done.accepted) == (state, {"result": result}, True)
                with pytest.raises(IllegalStateError, match="already completed"):
                    await update(ALICE, waiting.id, "SUCCESS", None)
            with pytest.raises(NotFoundError):
                await update(BOB, waiting.id, "SUCCESS", None)
            with pytest.raises(NotFoundError):
                await update(ALICE, "nosuch", "SUCCESS", None)

    run(test())


@pytest.mark.spec("API238", "R239")
def test_only_asynchronous_actions_are_paused(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            update = node.services.action_executions.update
            waiting = await stored(node, "std.async_noop")
            assert (await update(ALICE, waiting.id, "PAUSED", None)).state == "PAUSED"
            assert (await update(ALICE, waiting.id, "RUNNING", None)).state == "RUNNING"
            sync = await stored(node, "std.sleep", input={"seconds": 3600}, save_result=True)
            with pytest.raises(IllegalStateError, match="only supported for asynchronous"):
                await update(ALICE, sync.id, "PAUSED", None)
            assert (await update(ALICE, sync.id, "CANCELLED", None)).state == "CANCELLED"
            await still(lambda: node.runtime.executor.busy > 0)

    run(test())


@pytest.mark.spec("API241", "R236", "R237", "R238", "R306")
def test_a_workflow_follows_what_is_reported_of_its_action(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(
                node,
                "wf: {output: {r: <% task(a).result %>}, tasks: {a: {action: std.async_noop, on-success: b},"
                " b: {action: std.noop}}}",
            )
            update = node.services.action_executions.update
            one = (await start(node, "wf")).id
            waiting = (await action(node, one, "a")).id
            await update(ALICE, waiting, "PAUSED", None)
            await until(node, one, "PAUSED")
            assert (await task(node, one, "a")).state == "PAUSED"
            await update(ALICE, waiting, "RUNNING", None)
            await until(node, one, "RUNNING")
            reports = await asyncio.gather(
                *(update(ALICE, waiting, "SUCCESS", each) for each in (1, 2)), return_exceptions=True
            )
            assert sum(isinstance(each, IllegalStateError) for each in reports) == 1
            done = await finished(node, one)
            assert done.state == "SUCCESS" and done.output["r"] in (1, 2)
            with pytest.raises(NotFoundError):
                await update(BOB, waiting, "SUCCESS", None)

    run(test())


@pytest.mark.spec("API243")
def test_the_rules_of_deletion_in_their_order(sqlite_url: str) -> None:
    async def test() -> None:
        async with a_node(sqlite_url) as node:
            delete = node.services.action_executions.delete
            with pytest.raises(NotFoundError):
                await delete(ALICE, "nosuch")
            kept = await stored(node, "std.echo", input={"output": 1}, save_result=True, run_sync=True)
            with pytest.raises(NotAllowedError, match="not allowed"):
                await delete(ALICE, kept.id)

    async def test_switched_on() -> None:
        async with a_node(sqlite_url, allow_action_execution_deletion=True) as node:
            delete = node.services.action_executions.delete
            await upload(node, "wf: {tasks: {a: {action: std.async_noop}}}")
            of_task = (await action(node, (await start(node, "wf")).id, "a")).id
            with pytest.raises(NotAllowedError, match="Only ad-hoc"):
                await delete(ALICE, of_task)
            running = await stored(node, "std.async_noop")
            with pytest.raises(NotAllowedError, match="Only completed"):
                await delete(ALICE, running.id)
            done = await stored(node, "std.echo", input={"output": 1}, save_result=True, run_sync=True)
            with pytest.raises(NotFoundError):
                await delete(BOB, done.id)
            await delete(ALICE, done.id)
            with pytest.raises(NotFoundError):
                await delete(ALICE, done.id)

    run(test())
    run(test_switched_on())
