"""Two servers of a Galera cluster at once: neither sees the other's locks, and nothing happens twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncmy
import msgspec
import pytest
import sqlalchemy as sa
from tests.galera.servers import GaleraCluster, GaleraServer
from tests.store import records as make

from tramontane.store import schema
from tramontane.store.again import again_when_busy
from tramontane.store.database import Database, open_database
from tramontane.store.definitions import Definitions
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.limits import Limits
from tramontane.store.maintenance import MaintenanceStore
from tramontane.store.nodes import Nodes
from tramontane.store.records import TurnWrite
from tramontane.store.served import Served
from tramontane.store.single_records import SingleRecords
from tramontane.store.work import Work
from tramontane.values import FrozenDict, freeze

_COUNT = 60

Test = Callable[[Database, Database], Awaitable[None]]


@pytest.fixture
def on_two_servers(galera: GaleraCluster, galera_database: str) -> Callable[[Test], None]:
    """Runs a test with one database as two servers show it."""

    async def run(test: Test) -> None:
        async with AsyncExitStack() as stack:
            opened = []
            for server in galera.servers[:2]:
                database = await open_database(galera.url(galera_database, server))
                stack.push_async_callback(database.close)
                opened.append(database)
            await test(*opened)

    return lambda test: asyncio.run(run(test))


async def both(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    return list(await asyncio.gather(*work))


@asynccontextmanager
async def paused(server: GaleraServer) -> AsyncIterator[None]:
    """Keep a server from applying what the others commit."""
    connection = await asyncmy.connect(host="127.0.0.1", port=server.port, user="root")
    try:
        async with connection.cursor() as cursor:
            await cursor.execute("FLUSH TABLES WITH READ LOCK")
            yield
            await cursor.execute("UNLOCK TABLES")
    finally:
        await connection.ensure_closed()


async def rows(database: Database, table: sa.Table) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def enqueue(database: Database, count: int, *, claimed_by: str | None = None) -> list[str]:
    """Start an execution with so many jobs; give the ids of their actions."""
    owner = make.execution("e1")
    await make.start(Executions(database), owner)
    actions = [make.action(owner, f"a{number:03}") for number in range(count)]
    jobs = tuple(make.job(action, claimed_by=claimed_by, created_at=1) for action in actions)
    turn = TurnWrite(msgspec.structs.replace(owner, seq=2), owner, 1, actions=tuple(actions), jobs=jobs)
    (outcome,) = await Executions(database).commit([turn], "n1")
    assert outcome.is_committed
    return [action.id for action in actions]


def test_no_job_is_claimed_through_both_servers(
    on_two_servers: Callable[[Test], None], galera: GaleraCluster
) -> None:
    async def test(one: Database, two: Database) -> None:
        ids = await enqueue(one, _COUNT)
        before = await galera.conflicts()
        claimed: Counter[str] = Counter()

        async def worker(database: Database, name: str) -> None:
            while found := (await Jobs(database).claim(name, [""], 3)).jobs:
                claimed.update(each.job.action_id for each in found)
                assert all(each.job.claimed_by == name for each in found)

        await both(worker(one, "p1"), worker(two, "p2"))
        assert claimed == Counter(ids)
        assert await galera.conflicts() > before, "they never met"

    on_two_servers(test)


def test_a_limit_holds_for_claims_through_both_servers(on_two_servers: Callable[[Test], None]) -> None:
    async def test(one: Database, two: Database) -> None:
        ids = await enqueue(one, _COUNT)
        await Limits(one).set("pool", "", 3, 1)
        queues = Jobs(one), Jobs(two)
        ran: list[str] = []
        while len(ran) < len(ids):
            claims = await both(queues[0].claim("p1", [""], 2), queues[1].claim("p2", [""], 2))
            assert 1 <= sum(len(claim.jobs) for claim in claims) <= 3
            for queue, name, claim in zip(queues, ("p1", "p2"), claims, strict=True):
                held = [each.job.action_id for each in claim.jobs]
                ran += held
                await queue.finish(name, held)
        assert sorted(ran) == ids

    on_two_servers(test)


def test_of_two_commits_of_one_execution_one_is_lost(
    on_two_servers: Callable[[Test], None], galera: GaleraCluster
) -> None:
    async def test(one: Database, two: Database) -> None:
        before = await galera.conflicts()
        stores = Executions(one), Executions(two)
        owners = [make.execution(f"e{number}") for number in range(_COUNT)]
        await make.start(stores[0], *owners)

        async def write(store: Executions, owner: Any, name: str) -> str:
            task = make.task(owner, f"{owner.id}-{name}")
            turn = TurnWrite(msgspec.structs.replace(owner, seq=2), owner, 1, tasks=(task,))
            (outcome,) = await store.commit([turn], name)
            return outcome.status

        for owner in owners:
            statuses = await both(
                *(write(store, owner, name) for store, name in zip(stores, "xy", strict=True))
            )
            assert sorted(statuses) == ["committed", "lost"]
        loaded = await stores[1].load_many([owner.id for owner in owners])
        assert {(each.version, len(each.tasks)) for each in loaded.values()} == {(2, 1)}
        assert await galera.conflicts() > before, "they never met"

    on_two_servers(test)


def test_what_the_cluster_takes_at_no_time_is_refused_alone(
    on_two_servers: Callable[[Test], None], galera: GaleraCluster
) -> None:
    async def test(one: Database, two: Database) -> None:
        new = [make.execution(f"e{number}", input=freeze({"v": "x" * 10_000})) for number in range(8)]
        new.append(make.execution("big", input=freeze({"v": "x" * 200_000})))
        await galera.execute(galera.servers[0], "SET GLOBAL wsrep_max_ws_size=100000")
        try:
            outcomes = await Executions(one).commit([TurnWrite(each, None, 0) for each in new], "n1")
        finally:
            await galera.execute(galera.servers[0], "SET GLOBAL wsrep_max_ws_size=2147483647")
        assert [outcome.status for outcome in outcomes] == ["committed"] * 8 + ["failed"]
        assert "writeset size exceeded" in str(outcomes[-1].reason)
        assert len(await Executions(two).load_many([each.id for each in new])) == 8

    on_two_servers(test)


def test_an_id_is_started_once(on_two_servers: Callable[[Test], None], galera: GaleraCluster) -> None:
    async def test(one: Database, two: Database) -> None:
        before = await galera.conflicts()

        async def begin(database: Database, name: str, project: str) -> str:
            new = make.execution(name, project_id=project)
            (outcome,) = await Executions(database).commit([TurnWrite(new, None, 0)], project)
            return outcome.status

        for number in range(_COUNT):
            name = f"e{number}"
            statuses = await both(begin(one, name, "p1"), begin(two, name, "p2"))
            assert sorted(statuses) == ["committed", "lost"]
            stored = await Executions(two).load(name)
            assert stored is not None
            assert stored.execution.project_id == ("p1" if statuses[0] == "committed" else "p2")
        assert await galera.conflicts() > before, "they never met"

    on_two_servers(test)


def test_two_judges_tell_of_each_lost_claim_once(
    on_two_servers: Callable[[Test], None], galera: GaleraCluster
) -> None:
    async def test(one: Database, two: Database) -> None:
        before = await galera.conflicts()
        await enqueue(one, _COUNT, claimed_by="dead")
        ids = map(str, itertools.count())

        async def bury(database: Database) -> int:
            count = 0
            while True:
                lost = await Jobs(database).lose_claims("dead", lambda _: FrozenDict(), ids.__next__, 1, 5)
                count += len(lost.reported)
                if not lost.reported:
                    return count

        assert sum(await both(bury(one), bury(two))) == _COUNT
        assert (await rows(two, schema.inbox), await rows(two, schema.jobs)) == (_COUNT, 0)
        assert await galera.conflicts() > before, "they never met"

    on_two_servers(test)


def test_a_dead_nodes_executions_are_taken_over_once(
    on_two_servers: Callable[[Test], None], galera: GaleraCluster
) -> None:
    async def test(one: Database, two: Database) -> None:
        before = await galera.conflicts()
        owners = [make.execution(f"e{number:03}") for number in range(_COUNT)]
        await make.start(Executions(one), *owners, node_id="dead")

        async def take(database: Database, name: str) -> list[str]:
            taken: list[str] = []
            while found := await Work(database).take_over(name, ["dead"], 4):
                taken += [each.id for each in found]
                assert {each.takeovers for each in found} == {1}
            return taken

        ours, theirs = await both(take(one, "n1"), take(two, "n2"))
        assert sorted(ours + theirs) == [owner.id for owner in owners]
        assert await Work(two).executions_of("n1") == sorted(ours)
        assert await galera.conflicts() > before, "they never met"

    on_two_servers(test)


def test_a_tree_is_deleted_whole_while_it_grows_elsewhere(on_two_servers: Callable[[Test], None]) -> None:
    async def test(one: Database, two: Database) -> None:
        for number in range(_COUNT // 3):
            top = make.execution(f"e{number}")
            await make.start(Executions(one), top)
            child = make.child(top, f"c{number}")
            grown = msgspec.structs.replace(top, seq=2)
            turn = TurnWrite(grown, top, 1, children=(child,), tasks=(make.task(top, f"t{number}"),))
            deleted, (outcome,) = await both(
                Executions(one).delete(top.id), Executions(two).commit([turn], "n2")
            )
            assert sorted(deleted) == sorted([top.id, child.id] if outcome.is_committed else [top.id])
        for table in (schema.heads, schema.executions, schema.tasks):
            assert await rows(two, table) == 0, table.name

    on_two_servers(test)


def test_a_stand_alone_action_ends_once(on_two_servers: Callable[[Test], None]) -> None:
    async def test(one: Database, two: Database) -> None:
        for number in range(_COUNT):
            action = make.action(None, f"a{number}", state="RUNNING")
            await SingleRecords(one).add_action(action, make.job(action))
            ended = [
                msgspec.structs.replace(action, state=state, updated_at=2) for state in ("SUCCESS", "ERROR")
            ]
            changed = await both(
                *(
                    SingleRecords(database).change_action(action, after, drop_job=True)
                    for database, after in zip((one, two), ended, strict=True)
                )
            )
            assert sorted(changed) == [False, True]
            stored = await SingleRecords(two).action(action.id)
            assert stored is not None
            assert stored.state == ended[changed.index(True)].state
        assert await rows(one, schema.jobs) == 0

    on_two_servers(test)


def test_what_all_share_changes_once_for_each_change(on_two_servers: Callable[[Test], None]) -> None:
    async def test(one: Database, two: Database) -> None:
        stores = MaintenanceStore(one), MaintenanceStore(two)
        assert sorted(await both(*(each.change("RUNNING", "PAUSING", 1) for each in stores))) == [False, True]
        assert sorted(await both(*(each.change("PAUSING", "PAUSED", 2) for each in stores))) == [False, True]
        for number in range(_COUNT // 3):
            await both(Served(one).remember_pools([f"a{number}"]), Served(two).remember_pools([f"b{number}"]))
        assert len(await Served(two).pools()) == 2 * (_COUNT // 3)

        async def change(database: Database) -> None:
            for _ in range(_COUNT // 3):
                await _count_up(database)

        await both(change(one), change(two))
        assert await Definitions(one).version() == 2 * (_COUNT // 3)

    on_two_servers(test)


@again_when_busy
async def _count_up(database: Database) -> None:
    async with Definitions(database).change():
        pass


def test_a_beat_and_a_verdict_at_once_end_in_one_of_both(on_two_servers: Callable[[Test], None]) -> None:
    async def test(one: Database, two: Database) -> None:
        for number in range(_COUNT // 3):
            name = f"n{number}"
            await Nodes(one).register(name, name, "node", FrozenDict())
            _, removed = await both(Nodes(one).beat(name), Nodes(two).remove(name))
            assert removed
            assert await Nodes(one).beat(name) is None

    on_two_servers(test)


def test_a_server_that_lags_behind_shows_nothing_old(
    on_two_servers: Callable[[Test], None], galera: GaleraCluster
) -> None:
    async def test(one: Database, two: Database) -> None:
        await Executions(two).load("e1")  # opens the connections: a paused server takes none
        await SingleRecords(two).action("a000")
        await Jobs(two).claimed("p1", "a000", 0)
        async with paused(galera.servers[1]):
            await enqueue(one, 1, claimed_by="p1")
            reads = [
                asyncio.ensure_future(read)
                for read in (
                    Executions(two).load("e1"),
                    SingleRecords(two).action("a000"),
                    Jobs(two).claimed("p1", "a000", 0),
                )
            ]
            done, _ = await asyncio.wait(reads, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            assert not done
        assert all(found is not None for found in await asyncio.gather(*reads))

    on_two_servers(test)
