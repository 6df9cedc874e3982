"""The live stream of an execution: what happens shows, nothing is lost, nobody is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.lab import Client, call
from tests.api.running import Running
from tests.api.streaming import Event, Stream, events_of, opened
from tests.api.test_blockers import start

from tramontane.api import changes, event_stream
from tramontane.service.signals import ChangeSignals
from tramontane.store.executions import Executions

ASKING = "wf: {tasks: {ask: {action: std.async_noop, on-success: after}, after: {action: std.noop}}}"
NESTED = "outer: {tasks: {call: {workflow: inner}}}\ninner: {tasks: {ask: {action: std.async_noop}}}\n"


def url_of(execution_id: str, query: str = "") -> str:
    return f"/v2/executions/{execution_id}/events{query}"


def latest(events: list[Event]) -> dict[tuple[str, str], str]:
    """The last state of each thing, by kind and name."""
    states = {}
    for event in events:
        name = event.data.get("name") or event.data.get("workflow_name")
        if name:
            states[event.name, name] = event.state
    return states


async def report(service: Running, action_id: str) -> None:
    answer = await call(
        service.app, "PUT", f"/v2/action_executions/{action_id}", b'{"state": "SUCCESS", "output": {}}'
    )
    assert answer.status == 200, answer


async def until(stream: Stream, holds: Callable[[Event], bool]) -> Event:
    async for event in stream:
        if holds(event):
            return event
    raise AssertionError("the stream ended")


def is_open_action(event: Event) -> bool:
    return event.name == "action" and event.state == "RUNNING"


def test_changes_are_sent_as_they_happen_and_the_end_ends_the_stream(service: Running) -> None:
    execution_id = start(service, ASKING)

    async def watch() -> list[Event]:
        async with opened(service.app, url_of(execution_id)) as stream:
            assert stream.status == 200
            assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert stream.headers["cache-control"] == "no-store"
            assert "content-length" not in stream.headers
            action = await until(stream, is_open_action)
            assert action.data["workflow_execution_id"] == execution_id
            await report(service, action.data["id"])
            return [event async for event in stream]

    events = service.run(watch())
    assert latest(events) == {
        ("execution", "wf"): "SUCCESS",
        ("task", "ask"): "SUCCESS",
        ("task", "after"): "SUCCESS",
        ("action", "std.async_noop"): "SUCCESS",
        ("action", "std.noop"): "SUCCESS",
    }
    assert events[-1].name == "end"
    assert events[-1].data == {"id": execution_id, "reason": "completed", "state": "SUCCESS"}


def test_a_new_stream_of_an_ended_execution_tells_everything_once(service: Running) -> None:
    service.define(
        "version: '2.0'\nwf: {tasks: {a: {action: std.noop, on-success: b}, b: {action: std.noop}}}"
    )
    execution_id = service.start("wf", wait=20)["id"]
    events = service.run(events_of(service.app, url_of(execution_id)))
    assert sorted(event.name for event in events) == ["action", "action", "end", "execution", "task", "task"]
    assert {event.state for event in events} == {"SUCCESS"}
    shown = {event.data["id"]: event.data for event in events if event.name == "task"}
    for task in service.items(f"/v2/executions/{execution_id}/tasks"):
        data = shown[task["id"]]
        assert data == {name: task[name] for name in data}


def test_sub_workflows_are_told_of_when_asked_for(service: Running) -> None:
    execution_id = start(service, NESTED)

    async def watch(query: str) -> list[Event]:
        seen = []
        async with opened(service.app, url_of(execution_id, query)) as stream:
            async for event in stream:
                seen.append(event)
                if is_open_action(event):
                    await report(service, event.data["id"])
        return seen

    events = service.run(watch("?recursive=true"))
    assert latest(events) == {
        ("execution", "outer"): "SUCCESS",
        ("task", "call"): "SUCCESS",
        ("execution", "inner"): "SUCCESS",
        ("task", "ask"): "SUCCESS",
        ("action", "std.async_noop"): "SUCCESS",
    }
    (call_task,) = {event.data["id"] for event in events if event.data.get("name") == "call"}
    inner = next(event.data for event in events if event.data.get("workflow_name") == "inner")
    assert (inner["root_execution_id"], inner["task_execution_id"]) == (execution_id, call_task)
    alone = service.run(events_of(service.app, url_of(execution_id)))
    assert set(latest(alone)) == {("execution", "outer"), ("task", "call")}


def test_a_sub_workflow_can_be_watched_by_itself(service: Running) -> None:
    execution_id = start(service, NESTED)
    inner = service.until("/v2/executions?workflow_name=inner", lambda data: len(data["executions"]) == 1)[
        "executions"
    ][0]["id"]

    async def watch() -> list[Event]:
        async with opened(service.app, url_of(inner, "?recursive=1")) as stream:
            await report(service, (await until(stream, is_open_action)).data["id"])
            return [event async for event in stream]

    events = service.run(watch())
    assert ("execution", "outer") not in latest(events)
    assert events[-1].data["id"] == inner
    assert service.finish(execution_id)["state"] == "SUCCESS"


def test_a_stream_goes_on_where_it_broke_off(service: Running) -> None:
    execution_id = start(service, ASKING)

    async def watch() -> tuple[Event, list[Event]]:
        async with opened(service.app, url_of(execution_id)) as stream:
            last = await until(stream, is_open_action)
        await report(service, last.data["id"])
        await call(service.app, "GET", f"/v2/executions/{execution_id}?wait=20")
        return last, await events_of(service.app, url_of(execution_id), {"last-event-id": last.id})

    last, events = service.run(watch())
    assert latest(events)["task", "after"] == "SUCCESS"
    assert latest(events)["action", "std.async_noop"] == "SUCCESS"
    assert all(int(event.id.removesuffix(".end")) >= int(last.id) for event in events)


def test_what_is_long_past_is_not_sent_again(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "RESUME_OVERLAP", 0)
    service.define("version: '2.0'\nwf: {tasks: {a: {action: std.noop}}}")
    execution_id = service.start("wf", wait=20)["id"]
    first = service.run(events_of(service.app, url_of(execution_id)))
    position = str(int(first[-2].id) + 1)
    events = service.run(events_of(service.app, url_of(execution_id, f"?last_event_id={position}")))
    assert [event.name for event in events] == ["end"]


def test_who_has_seen_the_end_is_told_that_there_is_no_more(service: Running) -> None:
    service.define("version: '2.0'\nwf: {tasks: {a: {action: std.fail}}}")
    execution_id = service.start("wf", wait=20)["id"]
    end = service.run(events_of(service.app, url_of(execution_id)))[-1]
    again = service.get(url_of(execution_id), {"last-event-id": end.id, "accept": "text/event-stream"})
    assert (again.status, again.body) == (204, b"")
    task_id = service.tasks(execution_id)["a"]["id"]
    assert service.put(f"/v2/tasks/{task_id}", {"state": "RUNNING", "reset": True}).status == 200
    service.finish(execution_id)
    events = service.run(events_of(service.app, url_of(execution_id), {"last-event-id": end.id}))
    assert latest(events)["task", "a"] == "ERROR"


def test_a_deleted_execution_ends_its_stream(service: Running) -> None:
    execution_id = start(service, ASKING)

    async def watch() -> list[Event]:
        async with opened(service.app, url_of(execution_id)) as stream:
            await until(stream, is_open_action)
            await call(service.app, "DELETE", f"/v2/executions/{execution_id}?force=true")
            return [event async for event in stream]

    assert service.run(watch())[-1].data == {"id": execution_id, "reason": "deleted"}


def test_a_parked_execution_is_told_of(service: Running) -> None:
    execution_id = start(service, ASKING)

    async def watch() -> Event:
        async with opened(service.app, url_of(execution_id)) as stream:
            await until(stream, is_open_action)
            await Executions(service.node.database).park(execution_id, "a bug")
            return await until(stream, lambda event: event.name == "parked")

    assert service.run(watch()).data == {"id": execution_id, "parked": "a bug"}


def test_what_other_nodes_do_is_found_by_looking(service: Running) -> None:
    """A node that hears of no turn sends the same: signals only make it quicker."""
    execution_id = start(service, ASKING)
    deaf = service.changed(signals=ChangeSignals())

    async def watch() -> list[Event]:
        async with opened(deaf.app, url_of(execution_id)) as stream:
            await report(service, (await until(stream, is_open_action)).data["id"])
            return [event async for event in stream]

    assert latest(service.run(watch()))["task", "after"] == "SUCCESS"


def test_silence_is_broken_by_heartbeats(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "HEARTBEAT", 0.0)
    monkeypatch.setattr(changes, "_POLL", 0.01)
    execution_id = start(service, ASKING)

    async def watch() -> None:
        async with opened(service.app, url_of(execution_id)) as stream:
            await until(stream, is_open_action)
            await stream.until(b": heartbeat")

    service.run(watch())


def test_a_client_that_takes_nothing_is_sent_away(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_STUCK", 0.01)
    execution_id = start(service, ASKING)

    async def watch() -> None:
        async with opened(service.app, url_of(execution_id)) as stream:
            action = await until(stream, is_open_action)
            stream.stop_taking()
            await report(service, action.data["id"])
            await asyncio.wait_for(stream.answered.wait(), 20)
            assert not stream.is_over

    service.run(watch())


def test_who_leaves_is_forgotten(service: Running) -> None:
    execution_id = start(service, ASKING)

    async def watch() -> None:
        async with opened(service.app, url_of(execution_id)) as stream:
            await until(stream, is_open_action)
            assert service.node.signals.watchers == 1
        assert service.node.signals.watchers == 0

    service.run(watch())


def test_a_node_that_stops_sends_its_watchers_away(service: Running) -> None:
    execution_id = start(service, ASKING)

    async def watch() -> list[Event]:
        async with opened(service.app, url_of(execution_id)) as stream:
            await until(stream, is_open_action)
            service.node.signals.close()
            return [event async for event in stream]

    assert all(event.name != "end" for event in service.run(watch()))
    refused = service.get(url_of(execution_id), {"accept": "text/event-stream"})
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")


def test_there_is_room_for_so_many_watchers_only(service: Running) -> None:
    execution_id = start(service, ASKING)
    small = service.changed(signals=ChangeSignals(most=1))

    async def watch() -> int:
        async with opened(small.app, url_of(execution_id)) as stream:
            await until(stream, is_open_action)
            return (await call(small.app, "GET", url_of(execution_id), b"")).status

    assert service.run(watch()) == 503


def test_a_stream_does_not_outlive_its_permission(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LONGEST", 0.0)
    execution_id = start(service, ASKING)
    assert service.run(events_of(service.app, url_of(execution_id))) == []


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?recursive=maybe", {}, 400),
        ("?x=1", {}, 400),
        ("?last_event_id=yesterday", {}, 400),
        ("", {"last-event-id": "-1"}, 400),
        ("", {"accept": "image/png"}, 406),
    ],
)
def test_bad_requests_are_refused_before_the_stream_begins(
    service: Running, query: str, headers: dict[str, Any], status: int
) -> None:
    execution_id = start(service, ASKING)
    assert service.get(url_of(execution_id, query), headers).status == status


def test_others_see_nothing(service: Running, as_caller: Callable[[str], Client]) -> None:
    execution_id = start(service, ASKING)
    assert as_caller("other").get(url_of(execution_id)).status == 404
