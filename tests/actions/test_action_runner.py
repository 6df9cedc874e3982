from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.actions.lab import context_of, run_class

from tramontane.actions.base import Action, ActionContext, ActionError
from tramontane.actions.registry import describe
from tramontane.actions.runner import ActionRunner
from tramontane.results import Result
from tramontane.values import FrozenDict


class Returns:
    """Returns its input, from a thread."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def run(self, context: Any) -> Any:
        return self.value


class ReturnsInLoop(Returns):
    async def run(self, context: Any) -> Any:
        return self.value


class Raises:
    def __init__(self, error: Any = None, password: str = "") -> None:
        self.error = error
        self.password = password

    def run(self, context: Any) -> Any:
        raise self.error

    def __repr__(self) -> str:
        return f"Raises({self.password})"


class RaisesInLoop(Raises):
    async def run(self, context: Any) -> Any:
        raise self.error


class Broken(Exception):
    """An error that survives the copying of inputs."""


BOTH = pytest.mark.parametrize("kind", [Raises, RaisesInLoop])
RETURNING = pytest.mark.parametrize("kind", [Returns, ReturnsInLoop])


def result_of(action_class: type[Any], given: dict[str, Any] | None = None, **options: Any) -> Result | None:
    return asyncio.run(run_class(action_class, given, **options))


@RETURNING
def test_what_an_action_returns_is_its_result_frozen(kind: type[Any]) -> None:
    result = result_of(kind, {"value": {"a": [1]}})
    assert result == Result({"a": [1]})
    assert type(result.data) is FrozenDict


@RETURNING
@pytest.mark.parametrize(
    "expected", [Result(1), Result(error={"x": 1}), Result(error=""), Result(cancel=True)]
)
def test_a_result_is_taken_as_it_is(kind: type[Any], expected: Result) -> None:
    assert result_of(kind, {"value": expected}) == expected


@pytest.mark.spec("ACT45")
def test_a_cancelled_result_cancels_the_action() -> None:
    result = result_of(Returns, {"value": Result(data=1, error=2, cancel=True)})
    assert result is not None
    assert result.state == "CANCELLED"


def test_a_result_of_another_library_is_understood() -> None:
    class Foreign:
        def __init__(self) -> None:
            self.data, self.error, self.cancel = None, {"code": 7}, False

    assert result_of(Returns, {"value": Foreign()}) == Result(error={"code": 7})


def test_plain_code_that_returns_a_coroutine_is_awaited() -> None:
    class Mixed:
        def run(self, context: Any) -> Any:
            async def later() -> str:
                return "later"

            return later()

    assert result_of(Mixed) == Result("later")


@BOTH
@pytest.mark.spec("ACT43")
def test_an_exception_becomes_an_error_that_quotes_it(kind: type[Any]) -> None:
    assert result_of(kind, {"error": Broken("it broke")}) == Result(
        error="The action raised an exception [action=my.action, action_ex_id=ae-1, msg='it broke']"
    )


@BOTH
def test_an_exception_without_text_is_named(kind: type[Any]) -> None:
    result = result_of(kind, {"error": KeyError()})
    assert result is not None
    assert "msg='KeyError'" in result.error


@BOTH
def test_leaving_the_process_is_only_an_error(kind: type[Any]) -> None:
    result = result_of(kind, {"error": SystemExit(3)})
    assert result is not None
    assert "msg='3'" in result.error


@BOTH
@pytest.mark.parametrize(
    ("error", "expected"),
    [(ActionError("No such server."), "No such server."), (ActionError("No", {"code": [4]}), {"code": [4]})],
)
def test_an_expected_failure_speaks_for_itself(kind: type[Any], error: ActionError, expected: Any) -> None:
    assert result_of(kind, {"error": error}) == Result(error=expected)


def test_an_action_that_cancels_itself_has_failed() -> None:
    result = result_of(RaisesInLoop, {"error": asyncio.CancelledError()})
    assert result is not None
    assert "msg='The action cancelled itself.'" in result.error


@pytest.mark.spec("ACT44")
@BOTH
def test_the_log_of_a_failure_holds_no_secret_of_the_input(
    kind: type[Any], caplog: pytest.LogCaptureFixture
) -> None:
    error = Broken("refused for hunter2 at http://me:hunter2@host/?token=abcdef")
    with caplog.at_level(logging.DEBUG):
        result_of(kind, {"error": error, "password": "hunter2"})
    assert "my.action failed" in caplog.text
    assert "refused for ***" in caplog.text
    assert "hunter2" not in caplog.text
    assert "abcdef" not in caplog.text


@pytest.mark.spec("ACT44")
def test_text_and_log_of_an_instantiation_error_hold_no_input(caplog: pytest.LogCaptureFixture) -> None:
    class Picky:
        def __init__(self, size: str) -> None:
            self.size = int(size)

        def run(self, context: Any) -> Any:
            return None

    with caplog.at_level(logging.DEBUG):
        result = result_of(Picky, {"size": "topsecret"})
    assert result == Result(error="Failed to instantiate an action [action_desc=my.action]: ValueError")
    assert "Failed to instantiate" in caplog.text
    assert "topsecret" not in caplog.text


@pytest.mark.spec("PLG5")
def test_sets_dates_generators_and_objects_become_json() -> None:
    class Server:
        def __init__(self, depth: int) -> None:
            self.depth = depth
            self.parent = Server(depth - 1) if depth else None
            self._private = "x"

    class Rare:
        def run(self, context: Any) -> Any:
            def counting() -> Iterator[int]:
                yield from range(3)

            return {
                "set": {3, 1},
                "date": dt.date(2026, 1, 2),
                "generator": counting(),
                "bytes": b"abc",
                "object": Server(4),
            }

    assert result_of(Rare) == Result(
        {
            "set": [1, 3],
            "date": "2026-01-02",
            "generator": [0, 1, 2],
            "bytes": "abc",
            "object": {"depth": 4, "parent": {"depth": 3, "parent": {"depth": 2, "parent": None}}},
        }
    )


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("make", [lambda: print, lambda: b"\xff", object, lambda: Action, endless])
def test_a_result_that_cannot_be_stored_fails_the_action(make: Any) -> None:
    class Odd:
        def run(self, context: Any) -> Any:
            return make()

    result = result_of(Odd)
    assert result is not None
    prefix = "Failed to complete action due to a Mistral exception [action=my.action, action_ex_id=ae-1]: "
    assert result.error.startswith(prefix)
    assert len(result.error) > len(prefix)


@pytest.mark.spec("PLG6")
@pytest.mark.parametrize(
    ("returned", "expected"),
    [(1, None), (Result(1), None), (Result(error="no"), Result(error="no")), (Result(cancel=True), None)],
)
def test_an_asynchronous_action_completes_only_by_an_error(returned: Any, expected: Result | None) -> None:
    class Asynchronous(Returns):
        def is_sync(self) -> bool:
            return False

    assert result_of(Asynchronous, {"value": returned}) == expected


def test_an_asynchronous_action_that_raises_has_failed() -> None:
    class Asynchronous(Raises):
        def is_sync(self) -> bool:
            return False

    result = result_of(Asynchronous, {"error": Broken("no")})
    assert result is not None
    assert result.state == "ERROR"


@pytest.mark.spec("L11", "ACT68")
def test_a_coroutine_ends_at_its_time_limit() -> None:
    ended: list[str] = []

    class Endless(Action):
        async def run(self, context: ActionContext) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cleaned up")

    assert result_of(Endless, seconds=0.01) == Result(error="Timeout after 0.01 seconds")
    assert ended == ["cleaned up"]


def test_an_action_that_times_out_by_itself_is_told_from_the_limit() -> None:
    result = result_of(RaisesInLoop, {"error": TimeoutError("own limit")}, seconds=60)
    assert result is not None
    assert "msg='own limit'" in result.error


@pytest.mark.parametrize("seconds", [None, 0, -1])
def test_no_limit_is_no_limit(seconds: float | None) -> None:
    assert result_of(ReturnsInLoop, {"value": 1}, seconds=seconds) == Result(1)


def test_a_coroutine_that_ignores_its_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tramontane.actions.runner._GRACE", 0)

    class Stubborn(Action):
        async def run(self, context: ActionContext) -> str:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return "too late"

    async def scenario() -> Result | None:
        runner = ActionRunner()
        result = await run_class(Stubborn, seconds=0.01, runner=runner)
        release.set()
        await asyncio.gather(*runner._abandoned)
        return result

    release = asyncio.Event()
    assert asyncio.run(scenario()) == Result(error="Timeout after 0.01 seconds")


class Polls(Action):
    """Plain code that runs until it is interrupted."""

    started = threading.Event()
    stopped = threading.Event()

    def run(self, context: ActionContext) -> None:
        self.started.set()
        while not self.interrupted:
            pass
        self.stopped.set()


@pytest.fixture
def polls() -> type[Polls]:
    Polls.started, Polls.stopped = threading.Event(), threading.Event()
    return Polls


@pytest.mark.spec("L8", "L11")
def test_plain_code_is_interrupted_at_its_time_limit(polls: type[Polls]) -> None:
    assert result_of(polls, seconds=0.01) == Result(error="Timeout after 0.01 seconds")
    assert polls.stopped.wait(10)


@pytest.mark.spec("L8")
def test_plain_code_is_interrupted_when_its_caller_is_cancelled(polls: type[Polls]) -> None:
    async def scenario() -> None:
        task = asyncio.ensure_future(run_class(polls))
        await asyncio.to_thread(polls.started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert polls.stopped.wait(10)


@pytest.mark.spec("L8")
def test_a_coroutine_is_cancelled_with_its_caller() -> None:
    seen: list[str] = []

    class Endless(Action):
        async def run(self, context: ActionContext) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    async def scenario() -> None:
        task = asyncio.ensure_future(run_class(Endless))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = asyncio.Event()
    asyncio.run(scenario())
    assert seen == ["cancelled"]


class Blocks(Action):
    """Plain code that doesn't look whether it is interrupted."""

    gate = threading.Event()

    def run(self, context: ActionContext) -> str:
        self.gate.wait(30)
        return "done"


@pytest.fixture
def blocks() -> Iterator[type[Blocks]]:
    Blocks.gate = threading.Event()
    yield Blocks
    Blocks.gate.set()


@pytest.mark.spec("ACT68")
def test_a_slot_is_free_again_although_the_thread_goes_on(blocks: type[Blocks]) -> None:
    async def scenario() -> list[Result | None]:
        runner = ActionRunner(threads=1)
        return [
            await run_class(blocks, seconds=0.01, runner=runner),
            await run_class(Returns, {"value": 1}, runner=runner),
        ]

    assert asyncio.run(scenario()) == [Result(error="Timeout after 0.01 seconds"), Result(1)]


def test_threads_left_behind_are_bounded(blocks: type[Blocks]) -> None:
    async def scenario() -> None:
        runner = ActionRunner(threads=1)
        for _ in range(2):  # one may be left behind, the second keeps the only slot
            await run_class(blocks, seconds=0.01, runner=runner)
        waiting = asyncio.ensure_future(run_class(Returns, {"value": 1}, runner=runner))
        await asyncio.wait({waiting}, timeout=0.05)
        assert not waiting.done()
        blocks.gate.set()
        assert await waiting == Result(1)

    asyncio.run(scenario())


def test_the_limit_does_not_count_while_waiting_for_a_thread(blocks: type[Blocks]) -> None:
    async def scenario() -> tuple[Result | None, Result | None]:
        runner = ActionRunner(threads=1)
        first = asyncio.ensure_future(run_class(blocks, runner=runner))
        second = asyncio.ensure_future(run_class(Returns, {"value": 1}, seconds=1, runner=runner))
        await asyncio.wait({second}, timeout=1.05)
        assert not second.done()
        blocks.gate.set()
        return await first, await second

    assert asyncio.run(scenario()) == (Result("done"), Result(1))


class Rehearsed(Action):
    def run(self, context: ActionContext) -> str:
        raise AssertionError("a dry run must not do the work")

    def test(self, context: ActionContext) -> Any:
        return {"dry": context.dry_run}


@pytest.mark.spec("L5")
def test_a_dry_run_calls_test_instead_of_run() -> None:
    assert result_of(Rehearsed, dry_run=True) == Result({"dry": True})


@pytest.mark.spec("L5")
def test_a_dry_run_of_an_action_without_test_gives_null() -> None:
    assert result_of(Raises, {"error": Broken()}, dry_run=True) == Result(None)


@pytest.mark.spec("L5")
def test_a_dry_run_of_an_asynchronous_action_completes_it() -> None:
    class Asynchronous(Rehearsed):
        def is_sync(self) -> bool:
            return False

    assert result_of(Asynchronous, dry_run=True) == Result({"dry": True})


def test_the_context_of_a_dry_run_may_be_awaited() -> None:
    class Awaited(Rehearsed):
        async def test(self, context: ActionContext) -> Any:
            return "awaited"

    assert result_of(Awaited, dry_run=True) == Result("awaited")


@pytest.mark.spec("ACT72", "PLG13")
def test_the_context_holds_the_ids_and_the_callback_path() -> None:
    context = ActionContext.from_map(
        {
            "execution": {
                "workflow_execution_id": "we",
                "task_execution_id": "te",
                "action_execution_id": "ae",
                "workflow_name": "wf",
                "unknown": 1,
            },
            "security": {"project_id": "p", "auth_token": "topsecret"},
        }
    )
    execution = context.execution
    assert (execution.workflow_execution_id, execution.task_execution_id) == ("we", "te")
    assert (execution.action_execution_id, execution.workflow_name) == ("ae", "wf")
    assert execution.callback_url == "/v2/action_executions/ae"
    assert execution.with_items_index == 0
    assert context.security.project_id == "p"
    assert "topsecret" not in repr(context)
    with pytest.warns(DeprecationWarning, match="task_execution_id"):
        assert execution.task_id == "te"
    with pytest.warns(DeprecationWarning, match="context.security.auth_token"):
        assert context.auth_token == "topsecret"
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = context.colour


def test_many_actions_run_at_the_same_time() -> None:
    class Meets(Action):
        async def run(self, context: ActionContext) -> str:
            await barrier.wait()
            return "met"

    async def scenario() -> list[Result | None]:
        runner = ActionRunner()
        descriptor = describe("my.action", Meets)
        runs = [runner.run_action(descriptor, {}, context_of(str(n)), 30) for n in range(200)]
        return await asyncio.gather(*runs)

    barrier = asyncio.Barrier(200)
    assert asyncio.run(scenario()) == [Result("met")] * 200
