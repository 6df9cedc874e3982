"""Executors in processes of their own: pools, concurrency, their end and their death."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.cli import program
from tests.service.harness import ALICE, a_node, finished, run, start, stored, upload
from tests.service.test_engine import left_over

from tramontane.compose import OpenNode
from tramontane.core.state import ActionExecution
from tramontane.service.services import RunOrder
from tramontane.store import schema
from tramontane.store.jobs import Jobs
from tramontane.store.nodes import Nodes
from tramontane.store.single_records import SingleRecords
from tramontane.values import FrozenDict

QUICK = ("--heartbeat-seconds", "0.1", "--lease-seconds", "2", "--shutdown-grace-seconds", "1")


@asynccontextmanager
async def an_executor(url: str, *options: str) -> AsyncIterator[Process]:
    """An executor that is ready; it is killed at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *program.command("executor", "--database", url, "--no-load-action-plugins",
                         "--http-denied-cidrs", "", "--log-level", "warning", *QUICK, *options),
        stdout=PIPE, env=program.environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"Tramontane runs actions")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def an_engine(url: str) -> AsyncIterator[OpenNode]:
    """A node that runs no actions itself."""
    async with a_node(url, executor_slots=0, heartbeat_seconds=0.1, lease_seconds=2.0) as node:
        yield node


@asynccontextmanager
async def a_door() -> AsyncIterator[tuple[str, asyncio.Queue[None], asyncio.Event]]:
    """A web server: its URL, a queue that each request is put in, and what has them answered."""
    asked: asyncio.Queue[None] = asyncio.Queue()
    is_open = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            asked.put_nowait(None)
            await is_open.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the process that asked was killed
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", asked, is_open
    finally:
        is_open.set()
        server.close()


async def claimant(node: OpenNode) -> tuple[str, ...]:
    """The pools of the one process that holds claims."""
    (process_id,) = await Jobs(node.database).claimants()
    (info,) = [each.info for each in await Nodes(node.database).all() if each.id == process_id]
    return tuple(info["pools"])


async def action_of(node: OpenNode, execution_id: str) -> ActionExecution:
    (found,) = (await stored(node, execution_id)).actions
    return found


async def held_jobs(node: OpenNode) -> int:
    jobs = schema.jobs
    async with node.database.read() as connection:
        statement = sa.select(sa.func.count()).where(jobs.c.claimed_by.is_not(None))
        return int(await connection.scalar(statement) or 0)


@pytest.mark.spec("ACT70")
def test_an_action_that_is_safe_to_rerun_runs_again_when_its_executor_was_killed(shared_url: str) -> None:
    async def test() -> None:
        async with an_engine(shared_url) as node, a_door() as (url, asked, is_open):
            await upload(
                node, f'wf: {{tasks: {{a: {{action: std.http, input: {{url: "{url}"}}, safe-rerun: true}}}}}}'
            )
            async with an_executor(shared_url) as first:
                execution = await start(node, "wf")
                await asked.get()
                async with an_executor(shared_url):
                    first.kill()
                    await asked.get()
                    is_open.set()
                    assert (await finished(node, execution.id)).state == "SUCCESS"
            assert (await action_of(node, execution.id)).attempt == 1
            assert await left_over(node) == {"inbox": 0, "timers": 0, "jobs": 0}

    run(test())


@pytest.mark.spec("ACT70")
def test_an_action_that_is_not_safe_to_rerun_fails_when_its_executor_was_killed(shared_url: str) -> None:
    async def test() -> None:
        async with an_engine(shared_url) as node, a_door() as (url, asked, _):
            await upload(node, f'wf: {{tasks: {{a: {{action: std.http, input: {{url: "{url}"}}}}}}}}')
            async with an_executor(shared_url), an_executor(shared_url):
                execution = await start(node, "wf")
                await asked.get()
                await _kill_claimant(node)
                assert (await finished(node, execution.id)).state == "ERROR"
            text = (await action_of(node, execution.id)).output["result"]
            assert text.startswith(
                "Request to run an action was redelivered, but it cannot be re-run safely."
            )
            assert asked.empty()

    run(test())


async def _kill_claimant(node: OpenNode) -> None:
    """Kill the process that runs the action, whichever of the two took it."""
    (process_id,) = await Jobs(node.database).claimants()
    (name,) = [each.name for each in await Nodes(node.database).all() if each.id == process_id]
    os.kill(int(name.rpartition(":")[2]), signal.SIGKILL)


@pytest.mark.spec("ACT69")
def test_a_target_is_reached_in_its_pool_alone(postgresql_url: str) -> None:
    async def test() -> None:
        async with an_engine(postgresql_url) as node, a_door() as (url, asked, is_open):
            await upload(
                node, f'wf: {{tasks: {{a: {{action: std.http, input: {{url: "{url}"}}, target: gpu}}}}}}'
            )
            async with an_executor(postgresql_url), an_executor(postgresql_url, "--pool", "gpu"):
                execution = await start(node, "wf")
                await asked.get()
                assert "gpu" in await claimant(node)
                is_open.set()
                assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_a_full_pool_does_not_hold_up_another(shared_url: str) -> None:
    async def test() -> None:
        async with an_engine(shared_url) as node:
            await upload(
                node,
                "slow: {tasks: {a: {with-items: i in <% range(5) %>, action: std.sleep seconds=3600,"
                " target: slow}}}\n"
                "quick: {tasks: {a: {action: std.sleep seconds=0}}}",
            )
            async with (
                an_executor(shared_url, "--pool", "slow", "--only-pool", "--concurrency", "2"),
                an_executor(shared_url),
            ):
                await start(node, "slow")
                execution = await start(node, "quick")
                assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_an_executor_takes_no_more_than_it_has_places_for(postgresql_url: str) -> None:
    async def test() -> None:
        async with an_engine(postgresql_url) as node, a_door() as (url, asked, is_open):
            await upload(
                node,
                f"wf: {{tasks: {{a: {{with-items: i in <% range(5) %>, action: std.http, "
                f'input: {{url: "{url}"}}}}}}}}',
            )
            async with an_executor(postgresql_url, "--concurrency", "2"):
                execution = await start(node, "wf")
                await asked.get()
                await asked.get()
                assert await held_jobs(node) == 2
                is_open.set()
                assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_an_action_that_nobody_wants_any_more_is_interrupted(postgresql_url: str) -> None:
    async def test() -> None:
        async with an_engine(postgresql_url) as node, a_door() as (url, asked, is_open):
            await upload(
                node,
                f'blocked: {{tasks: {{a: {{action: std.http, input: {{url: "{url}"}}}}}}}}\n'
                "quick: {tasks: {a: {action: std.sleep seconds=0}}}",
            )
            async with an_executor(postgresql_url, "--concurrency", "1"):
                execution = await start(node, "blocked")
                await asked.get()
                action = await action_of(node, execution.id)
                await node.services.action_executions.update(ALICE, action.id, "CANCELLED", None)
                # The only place is free again although the action would have gone on for ever.
                quick = await start(node, "quick")
                assert (await finished(node, quick.id)).state == "SUCCESS"
                assert not is_open.is_set()

    run(test())


def test_actions_on_their_own_are_run_too_and_asynchronous_ones_handed_over(postgresql_url: str) -> None:
    async def test() -> None:
        async with an_engine(postgresql_url) as node, an_executor(postgresql_url):
            await upload(node, "wf: {tasks: {a: {action: std.async_noop}}}")
            order = RunOrder("std.sleep", input=FrozenDict({"seconds": 0}), save_result=True)
            alone = await node.services.action_executions.run(ALICE, order)
            assert isinstance(alone, ActionExecution)
            execution = await start(node, "wf")
            while (await left_over(node))["jobs"]:  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.01)
            done = await SingleRecords(node.database).action(alone.id)
            assert done is not None
            assert done.state == "SUCCESS"
            action = await action_of(node, execution.id)
            assert action.state == "RUNNING"
            await node.services.action_executions.update(ALICE, action.id, "SUCCESS", 7)
            assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_an_executor_that_is_asked_to_stop_ends_what_it_runs(postgresql_url: str) -> None:
    async def test() -> None:
        async with an_engine(postgresql_url) as node, a_door() as (url, asked, is_open):
            await upload(node, f'wf: {{tasks: {{a: {{action: std.http, input: {{url: "{url}"}}}}}}}}')
            async with an_executor(postgresql_url, "--shutdown-grace-seconds", "60") as process:
                execution = await start(node, "wf")
                await asked.get()
                process.send_signal(signal.SIGTERM)
                is_open.set()
                assert await process.wait() == 0
            assert (await finished(node, execution.id)).state == "SUCCESS"
            assert [each.kind for each in await Nodes(node.database).all()] == ["node"]

    run(test())


def test_what_does_not_end_in_time_is_given_to_another(postgresql_url: str) -> None:
    async def test() -> None:
        async with an_engine(postgresql_url) as node, a_door() as (url, asked, is_open):
            await upload(
                node, f'wf: {{tasks: {{a: {{action: std.http, input: {{url: "{url}"}}, safe-rerun: true}}}}}}'
            )
            async with an_executor(postgresql_url, "--shutdown-grace-seconds", "0") as process:
                execution = await start(node, "wf")
                await asked.get()
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            async with an_executor(postgresql_url):
                await asked.get()
                is_open.set()
                assert (await finished(node, execution.id)).state == "SUCCESS"

    run(test())


def test_a_database_that_one_process_owns_is_refused_in_one_line(sqlite_url: str) -> None:
    ended = program.run("executor", "--database", sqlite_url)
    assert ended.status == 1
    program.assert_one_clear_line(ended.err)
    assert "one process owns a SQLite database" in ended.err


def test_an_executor_reads_and_writes_big_values_where_the_nodes_keep_them(
    postgresql_url: str, tmp_path: Path
) -> None:
    received: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        received.append(len(await reader.readexactly(length)))
        body = b'{"made": "' + b"y" * 50_000 + b'"}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async def test() -> None:
        values = tmp_path / "values"
        outside = f"file://{values}"
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        engine = a_node(
            postgresql_url, executor_slots=0, heartbeat_seconds=0.1, lease_seconds=2.0, big_values=outside
        )
        async with engine as node, an_executor(postgresql_url, "--big-values", outside):
            await upload(
                node,
                "wf: {input: [v], output: {o: <% $.o %>}, tasks: {a: {action: std.http, input: "
                f'{{url: "{url}", method: POST, body: <% $.v %>}}, '
                "publish: {o: <% task().result.content.made %>}}}}",
            )
            execution = await start(node, "wf", input=FrozenDict({"v": "x" * 100_000}))
            end = await finished(node, execution.id)
            assert end.output == {"o": "y" * 50_000}, end.state_info
        server.close()
        assert received == [100_000]
        assert {each.stat().st_size for each in values.glob("*/*")} == {100_002, 50_002}

    run(test())
