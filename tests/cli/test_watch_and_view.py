"""What a running execution looks like: reports of the REST API in, lines and tables out."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tramontane.cli.rest import RestClient
from tramontane.cli.view import LineView, LiveView, failed, fitting, open_view
from tramontane.cli.watch import Snapshot, Step, Watch
from tramontane.values import encode


def action(name: str, state: str) -> dict[str, Any]:
    return {"name": name, "state": state}


def task(name: str, state: str, *runs: Any, info: str | None = None, **more: Any) -> dict[str, Any]:
    workflows = [run for run in runs if "task_executions" in run]
    actions = [run for run in runs if "task_executions" not in run]
    return {
        "id": f"id of {name}",
        "name": name,
        "state": state,
        "state_info": info,
        "action_executions": actions,
        "workflow_executions": workflows,
        **more,
    }


def execution(name: str, state: str, *tasks: Any, number: int = 0) -> dict[str, Any]:
    return {
        "id": f"id of {name} {number}",
        "name": name,
        "state": state,
        "state_info": None,
        "task_executions": list(tasks),
    }


class Script:
    """Answers report after report; ``counts`` gives the items of tasks."""

    def __init__(self, *reports: Any, counts: Mapping[str, int] | None = None) -> None:
        self.reports = list(reports)
        self.counts = dict(counts or {})
        self.asked: list[str] = []

    async def __call__(self, method: str, target: str, _headers: Any, _body: bytes) -> tuple[int, bytes]:
        self.asked.append(f"{method} {target}")
        if "/tasks" in target:
            rows = [
                {"id": f"id of {name}", "runtime_context": encode({"with_items": {"count": count}})}
                for name, count in self.counts.items()
            ]
            return 200, encode({"tasks": rows}).encode()
        report = self.reports.pop(0)
        return 200, encode({"root_workflow_execution": report}).encode()


class Collected:
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    def show(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


def follow(script: Script) -> list[Snapshot]:
    view = Collected()
    end = asyncio.run(Watch(RestClient(script), "e1").follow(view))
    assert end is view.snapshots[-1]
    return view.snapshots


def lines_of(*reports: Any, counts: Mapping[str, int] | None = None) -> list[str]:
    """What the plain view writes for a series of reports, without the times."""
    lines: list[str] = []
    view = LineView(lines.append)
    for snapshot in follow(Script(*reports, counts=counts)):
        view.show(snapshot)
    return [line[10:] for line in lines]


def step(name: str, state: str, path: str = "", info: str = "") -> Step:
    return Step(name, 0, path or name, name, state, info, "std.echo", 0.0)


def test_an_execution_is_followed_until_it_is_completed() -> None:
    running, ended = execution("flow", "RUNNING", task("a", "RUNNING")), execution("flow", "SUCCESS")
    assert [one.state for one in follow(Script(running, running, ended))] == ["RUNNING", "RUNNING", "SUCCESS"]


def test_a_paused_execution_is_not_waited_for() -> None:
    assert follow(Script(execution("flow", "PAUSED")))[-1].state == "PAUSED"


def test_each_change_of_state_is_one_line() -> None:
    assert lines_of(
        execution("flow", "RUNNING", task("a", "RUNNING", action("std.http", "RUNNING"))),
        execution("flow", "RUNNING", task("a", "RUNNING", action("std.http", "RUNNING"))),
        execution(
            "flow", "SUCCESS", task("a", "SUCCESS", action("std.http", "SUCCESS")), task("b", "SUCCESS")
        ),
    ) == ["RUNNING   a (std.http)", "SUCCESS   a (std.http)", "SUCCESS   b", "SUCCESS   flow"]


def test_a_failure_tells_its_reason_and_how_often_it_was_tried_again() -> None:
    failing = task("a", "ERROR", action("std.http", "ERROR"), info="no answer", retry_count=2)
    assert lines_of(execution("flow", "ERROR", failing)) == [
        "ERROR     a (std.http, retry 2): no answer",
        "ERROR     flow",
    ]


def test_an_end_that_no_task_explains_tells_its_own_reason() -> None:
    ended = execution("flow", "CANCELLED", task("a", "CANCELLED"))
    ended["state_info"] = "asked to"
    assert lines_of(ended) == ["CANCELLED a", "CANCELLED flow: asked to"]
    assert "asked to" in drawn(80, 24, follow(Script(ended))[-1])


def test_a_sub_workflow_is_shown_below_its_task() -> None:
    child = execution("child", "SUCCESS", task("inner", "SUCCESS", action("std.noop", "SUCCESS")))
    assert lines_of(execution("flow", "SUCCESS", task("outer", "SUCCESS", child))) == [
        "SUCCESS   outer (child)",
        "SUCCESS   outer/inner (std.noop)",
        "SUCCESS   flow",
    ]


def test_sub_workflows_of_items_have_numbers() -> None:
    children = [execution("child", "SUCCESS", task("inner", "SUCCESS"), number=n) for n in range(2)]
    for number, child in enumerate(children):
        child["task_executions"][0]["id"] += f" {number}"
    assert lines_of(execution("flow", "SUCCESS", task("outer", "SUCCESS", *children))) == [
        "SUCCESS   outer (child)",
        "SUCCESS   outer[0] (child)",
        "SUCCESS   outer[0]/inner",
        "SUCCESS   outer[1] (child)",
        "SUCCESS   outer[1]/inner",
        "SUCCESS   flow",
    ]


def test_items_are_counted_against_all_that_there_will_be() -> None:
    runs = [action("std.echo", "SUCCESS"), action("std.echo", "RUNNING")]
    script = Script(
        execution("flow", "RUNNING", task("a", "RUNNING", *runs)),
        execution("flow", "RUNNING", task("a", "RUNNING", *runs)),
        execution("flow", "SUCCESS", task("a", "SUCCESS", *runs)),
        counts={"a": 5},
    )
    assert follow(script)[0].steps[0].items == (1, 5)
    assert sum("/tasks" in asked for asked in script.asked) == 1, "the number of items is asked for once"


def drawn(width: int, height: int, *snapshots: Snapshot) -> str:
    """What is left on a terminal of this size after the snapshots."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=width, height=height, color_system=None)
    with LiveView(console) as view:
        for snapshot in snapshots:
            view.show(snapshot)
    return written.getvalue()


def test_the_live_table_ends_with_every_task_and_the_reason_of_the_failure() -> None:
    steps = (step("fetch", "SUCCESS"), step("store", "ERROR", info="disk full"))
    text = drawn(
        80, 24, Snapshot("flow", "RUNNING", "", 0.0, steps), Snapshot("flow", "ERROR", "", 1.0, steps)
    )
    last = text[text.rindex("flow ERROR 1.0s") :]
    assert "✓ fetch" in last
    assert "✗ store" in last
    assert "store: disk full" in last


def test_a_small_terminal_shows_busy_and_failed_tasks_before_the_done() -> None:
    steps = (*tuple(step(f"t{n}", "SUCCESS") for n in range(10)), step("x", "ERROR"), step("y", "RUNNING"))
    assert [one.name for one in fitting(steps, 4)] == ["t8", "t9", "x", "y"]
    assert fitting(steps, 12) == list(steps)
    assert len(fitting(tuple(step(f"r{n}", "RUNNING") for n in range(10)), 4)) == 4


def test_a_failure_is_explained_where_it_happened_only() -> None:
    outer, inner = step("outer", "ERROR", info="child failed"), step("inner", "ERROR", "outer/inner", "no")
    other = step("other", "ERROR", "outerother", "bad")
    found = failed(Snapshot("flow", "ERROR", "", 0.0, (outer, inner, other)))
    assert [one.name for one in found] == ["inner", "other"]


def test_text_of_users_is_no_markup() -> None:
    written = io.StringIO()
    console = Console(file=written, width=200)
    with open_view(console) as view:
        view.show(Snapshot("flow", "ERROR", "", 0.0, (step("a", "ERROR", info="[red]x[/red]"),)))
    assert "[red]x[/red]" in written.getvalue()
