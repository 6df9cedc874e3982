"""Commits that were written, and of which the heads tell nothing, because others have written since."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.service.harness import ALICE, a_node, finished, run, start, stored, upload

from tramontane import compose
from tramontane.service.services import RunOrder
from tramontane.store.commit import CommitOutcome
from tramontane.store.errors import OutcomeUnknownError
from tramontane.store.executions import Executions
from tramontane.store.records import JobRow, TurnWrite
from tramontane.store.single_records import SingleRecords
from tramontane.values import freeze

FLOW = """
wf:
  tasks:
    a: {action: std.sleep seconds=0, on-success: b}
    b: {action: std.sleep seconds=0}
"""


class Doubtful(Executions):
    """Writes, and gives a token that no head has: as if another node had written over it at once."""

    doubtful = 0

    async def commit(self, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
        outcomes = await super().commit(turns, node_id)
        if type(self).doubtful:
            type(self).doubtful -= 1
            raise OutcomeUnknownError("the connection broke", -1)
        return outcomes


@pytest.mark.parametrize("after", [0, 1])
def test_a_job_that_such_a_commit_has_claimed_is_run(
    sqlite_url: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Store(Doubtful):
        pass

    monkeypatch.setattr(compose, "Executions", Store)

    async def test() -> None:
        async with a_node(sqlite_url) as node:
            await upload(node, FLOW)
            if after == 0:
                Store.doubtful = 1
            else:
                node.engine.watch(lambda turn: setattr(Store, "doubtful", int(turn.version == 0)))
            execution = await start(node, "wf")
            assert (await finished(node, execution.id)).state == "SUCCESS"
            names = [each.name for each in (await stored(node, execution.id)).tasks]
            assert sorted(names) == ["a", "b"]

    run(test())


def test_an_action_on_its_own_that_may_be_stored_is_run_if_it_is(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_action = SingleRecords.add_action

    async def broken(self: SingleRecords, action: object, job: JobRow | None) -> None:
        await add_action(self, action, job)  # type: ignore[arg-type]
        raise OutcomeUnknownError("the connection broke", -1)

    async def test() -> None:
        async with a_node(sqlite_url) as node:
            with monkeypatch.context() as patch:
                patch.setattr(SingleRecords, "add_action", broken)
                order = RunOrder("std.sleep", input=freeze({"seconds": 0}), save_result=True)
                with pytest.raises(OutcomeUnknownError):
                    await node.services.action_executions.run(ALICE, order)
            ended = node.runtime.executor.statistics.ended
            while node.runtime.executor.statistics.ended == ended:
                await node.runtime.executor.claiming.next_round()

    run(test())
