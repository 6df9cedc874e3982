"""A client of a running node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.api.lab import Client, call

from tramontane.api.app import create_app
from tramontane.compose import OpenNode


class Running(Client):
    """A client of a running node, whose caller is the administrator of the default project, or whoever
    ``headers`` say where the node asks."""

    def __init__(
        self, runner: asyncio.Runner, node: OpenNode, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(runner, node.app(), headers)
        self.node = node

    def changed(self, **parts: Any) -> Client:
        """A client of the same node whose API differs in some parts or settings."""
        api = self.node.api()
        settings = {name: parts.pop(name) for name in tuple(parts) if hasattr(api.settings, name)}
        parts["settings"] = replace(api.settings, **settings)
        return Client(self._runner, create_app(replace(api, **parts)))

    def define(self, document: str, query: str = "") -> list[dict[str, Any]]:
        """Upload workflows."""
        answer = self.post(f"/v2/workflows{query}", document)
        assert answer.status == 201, answer
        workflows = answer.json["workflows"]
        assert isinstance(workflows, list)
        return workflows

    def start(self, workflow: str, wait: float = 0, **body: Any) -> dict[str, Any]:
        """Start a workflow by name; with ``wait`` it is completed afterwards."""
        url = f"/v2/executions?wait={wait}" if wait else "/v2/executions"
        answer = self.post(url, {"workflow_name": workflow, **body})
        assert answer.status == 201, answer
        data = answer.json
        assert isinstance(data, dict)
        return data

    def finish(self, execution_id: str) -> dict[str, Any]:
        """Wait until an execution is completed."""
        data = self.get(f"/v2/executions/{execution_id}?wait=20").json
        assert data["state"] in ("SUCCESS", "ERROR", "CANCELLED"), data
        assert isinstance(data, dict)
        return data

    def execution(self, execution_id: str) -> dict[str, Any]:
        data = self.get(f"/v2/executions/{execution_id}").json
        assert isinstance(data, dict)
        return data

    def tasks(self, execution_id: str) -> dict[str, dict[str, Any]]:
        """The tasks of an execution by name."""
        return {item["name"]: item for item in self.items(f"/v2/executions/{execution_id}/tasks")}

    def task(self, execution_id: str, name: str) -> dict[str, Any]:
        """One task, as its single read shows it."""
        data = self.get(f"/v2/tasks/{self.tasks(execution_id)[name]['id']}").json
        assert isinstance(data, dict)
        return data

    def actions(self, task_id: str) -> list[dict[str, Any]]:
        return self.items(f"/v2/tasks/{task_id}/action_executions")

    def until(self, url: str, holds: Callable[[Any], bool]) -> Any:
        """Read a URL again and again until what it shows is as it should be."""

        async def poll() -> Any:
            async with asyncio.timeout(20):
                while True:
                    answer = await call(self.app, "GET", url, headers=self._headers)
                    if holds(answer.json):
                        return answer.json
                    await asyncio.sleep(0.005)

        return self.run(poll())
