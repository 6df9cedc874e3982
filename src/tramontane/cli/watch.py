"""Following one execution through the REST API: what its tasks do, below each other, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tramontane.cli.rest import RestClient
from tramontane.states import IDLE, PAUSED, RUNNING, WAITING, is_completed
from tramontane.values import decode

_PAUSE: Final = 0.1  # seconds between two looks
_SHARE: Final = 4  # reading takes at most one part in so many and one of the time
_NOT_BEGUN: Final = frozenset({IDLE, WAITING})


@dataclass(frozen=True, slots=True)
class Step:
    """A task, or one of several executions that a task started, as one line of a view.

    ``detail`` names what it runs; ``items`` counts the done and all items of a ``with-items``
    (all: 0 while unknown); ``seconds`` since it was first seen at work until its end.
    """

    id: str
    depth: int
    path: str
    name: str
    state: str
    info: str
    detail: str
    seconds: float
    items: tuple[int, int] | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An execution at one moment."""

    name: str
    state: str
    info: str
    seconds: float
    steps: tuple[Step, ...]


class View(Protocol):
    """Shows snapshots one after the other."""

    def show(self, snapshot: Snapshot) -> None: ...


class Watch:
    """Turns reports of one execution into snapshots; times are those of this process."""

    def __init__(self, client: RestClient, execution_id: str) -> None:
        self._client = client
        self._id = execution_id
        self._begun = time.monotonic()
        self._spans: dict[str, tuple[float, float | None]] = {}
        self._totals: dict[str, int] = {}

    async def follow(self, view: View) -> Snapshot:
        """Show what happens until the execution is completed or paused; give its end."""
        while True:
            started = time.monotonic()
            snapshot = await self.look()
            view.show(snapshot)
            if is_completed(snapshot.state) or snapshot.state == PAUSED:
                return snapshot
            await asyncio.sleep(max(_PAUSE, _SHARE * (time.monotonic() - started)))

    async def look(self) -> Snapshot:
        """Read the execution as it is now."""
        report = await self._client.get(f"executions/{self._id}/report", errors_only="false")
        root = report["root_workflow_execution"]
        await self._count_items(root)
        seconds = self._seconds(root["id"], root["state"])
        return Snapshot(
            root["name"], root["state"], _text(root["state_info"]), seconds, tuple(self._steps(root))
        )

    async def _count_items(self, execution: dict[str, Any]) -> None:
        """Learn how many items each ``with-items`` task has, once per task."""
        tasks = execution.get("task_executions", [])
        if any(task["id"] not in self._totals and _has_many(task) for task in tasks):
            found = await self._client.get(f"executions/{execution['id']}/tasks", fields="id,runtime_context")
            for task in found["tasks"]:
                context = decode(task["runtime_context"] or "null") or {}
                self._totals[task["id"]] = int((context.get("with_items") or {}).get("count") or 0)
        for task in tasks:
            for child in task["workflow_executions"]:
                await self._count_items(child)

    def _steps(self, execution: dict[str, Any], depth: int = 0, path: str = "") -> Iterator[Step]:
        for task in execution.get("task_executions", []):
            here = f"{path}{task['name']}"
            runs = task["action_executions"] or task["workflow_executions"]
            yield Step(
                id=task["id"],
                depth=depth,
                path=here,
                name=task["name"],
                state=task["state"],
                info=_text(task["state_info"]),
                detail=runs[0]["name"] if runs else "",
                seconds=self._seconds(task["id"], task["state"]),
                items=self._items(task, runs),
                retries=task.get("retry_count", 0),
            )
            yield from self._called(task, depth + 1, here)

    def _called(self, task: dict[str, Any], depth: int, path: str) -> Iterator[Step]:
        """Yield what a task called: one sub-workflow's tasks right below, several with a line each."""
        children = task["workflow_executions"]
        if len(children) == 1:
            yield from self._steps(children[0], depth, f"{path}/")
            return
        for number, child in enumerate(children):
            name = f"[{number}]"
            yield Step(
                id=child["id"],
                depth=depth,
                path=f"{path}{name}",
                name=name,
                state=child["state"],
                info=_text(child["state_info"]),
                detail=child["name"],
                seconds=self._seconds(child["id"], child["state"]),
            )
            yield from self._steps(child, depth + 1, f"{path}{name}/")

    def _items(self, task: dict[str, Any], runs: list[dict[str, Any]]) -> tuple[int, int] | None:
        total = self._totals.get(task["id"], 0)
        if not total:
            return None
        return min(sum(is_completed(run["state"]) for run in runs), total), total

    def _seconds(self, identifier: str, state: str) -> float:
        now = time.monotonic()
        if state in _NOT_BEGUN:
            return 0.0
        begun, ended = self._spans.get(identifier, (self._begun if not self._spans else now, None))
        ended = (now if ended is None else ended) if is_completed(state) else None
        self._spans[identifier] = (begun, ended)
        return (now if ended is None else ended) - begun


def _has_many(task: dict[str, Any]) -> bool:
    return task["state"] == RUNNING and len(task["action_executions"]) + len(task["workflow_executions"]) > 1


def _text(state_info: str | None) -> str:
    return (state_info or "").strip()
