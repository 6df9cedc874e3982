"""Counts what turns write, by standing between a node and its database."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.server import free_port
from tramontane.auth import Caller
from tramontane.compose import open_node
from tramontane.config import Settings
from tramontane.service.definitions import UploadOptions
from tramontane.service.services import StartOrder
from tramontane.store.batch import Batch
from tramontane.store.dialect import Dialect
from tramontane.values import freeze


@dataclass(slots=True)
class Cost:
    """What one task costs on average; ``big``: bytes of all that is big, written once."""

    statements: float
    rows: float
    bytes: float
    big: int


class Meter:
    """Counts what a dialect is told to write."""

    def __init__(self, dialect: Dialect) -> None:
        self.statements = self.rows = self.bytes = 0
        self.big: dict[str, int] = {}
        self._write = dialect.write
        dialect.write = self._counted  # type: ignore[method-assign]  # the way through is the meter

    async def _counted(self, batch: Batch, taken: frozenset[str]) -> frozenset[str]:
        kinds = set()
        for turn in batch.turns:
            self.rows += 1 + len(turn.children) + len(turn.rows)
            self.big.update((found.big.hash, found.big.size) for found in turn.found.values())
            for statement, row in turn.rows:
                kinds.add(statement)
                self.bytes += sum(len(value) if isinstance(value, str) else 8 for value in row)
        self.statements += 1 + 1 + len(kinds)  # the heads are locked, then written
        return await self._write(batch, taken)


async def costs(database: str | None, shape: Callable[[str, int], str], tasks: int, payload: int = 0) -> Cost:
    """Run one execution of ``shape`` on a node in this process; give what a task costs."""
    caller = Caller("bench", roles=frozenset({"member"}))
    with tempfile.TemporaryDirectory(prefix="tramontane-bench-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'bench.db'}"
        async with open_node(Settings(database=url, port=free_port())) as node:
            name = f"cost_{tasks}_{payload}_{free_port()}"
            await node.services.workflows.create(caller, shape(name, tasks), UploadOptions())
            given: dict[str, Any] = {"x": "x" * payload} if payload else {}
            meter = Meter(node.database.dialect)
            started = await node.services.executions.start(caller, StartOrder(name, input=freeze(given)))
            await node.services.executions.wait(started.execution.id, 600)
            return Cost(
                meter.statements / tasks, meter.rows / tasks, meter.bytes / tasks, sum(meter.big.values())
            )
