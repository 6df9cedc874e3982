"""The wiring of a process that only runs actions."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import tramontane
from tramontane.actions.registry import Registry
from tramontane.actions.runner import ActionRunner
from tramontane.actions.uploaded import UploadedCode
from tramontane.clock import SystemClock
from tramontane.compose import action_registry
from tramontane.compose_auth import open_trusts, secrets_of
from tramontane.config import Settings
from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.executor import Executor
from tramontane.runtime.executor_process import ExecutorProcess
from tramontane.runtime.heartbeat import Heartbeat
from tramontane.runtime.wakeups import Wakeups
from tramontane.service.credentials import Credentials
from tramontane.service.ids import SortableIds
from tramontane.service.remote import ExecutorWork, ResultPosts
from tramontane.service.standalone import OutsideWorkflow, StandAloneResults
from tramontane.store.database import Database, open_database
from tramontane.store.definitions import Definitions
from tramontane.store.errors import DatabaseSetupError
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.limits import LimitBook
from tramontane.store.nodes import Nodes, open_pulse
from tramontane.store.single_records import SingleRecords
from tramontane.values import freeze

_POLL_SECONDS = 0.25
"""How long a job waits for an executor with a free place that wasn't told of it."""


@asynccontextmanager
async def open_executor(
    settings: Settings, pools: Sequence[str], *, for_anybody: bool = True
) -> AsyncIterator[ExecutorProcess]:
    """Run actions of ``pools`` (and, ``for_anybody``, those without a target) for the length of the block.

    Raises:
        DatabaseSetupError, SchemaError: the database can't be used as it is, or by one process only.
    """
    async with AsyncExitStack() as stack:
        if settings.database.startswith("sqlite"):
            raise DatabaseSetupError(
                "one process owns a SQLite database, and runs its actions; executors of their own need "
                "--database postgresql://… or mariadb://…"
            )
        database = await open_database(
            settings.database, hints=settings.database_hints, big_values=settings.big_values
        )
        stack.push_async_callback(database.close)
        registry = action_registry(settings)
        stack.push_async_callback(registry.close)
        credentials = Credentials(secrets_of(settings), open_trusts(settings, SystemClock(), stack))
        process = _wire(settings, database, registry, credentials, pools, for_anybody)
        stack.push_async_callback(process.stop)
        await process.start()
        yield process


def _wire(
    settings: Settings,
    database: Database,
    registry: Registry,
    credentials: Credentials,
    pools: Sequence[str],
    for_anybody: bool,
) -> ExecutorProcess:
    clock = DatabaseClock()
    new_id = SortableIds(clock)
    book = LimitBook()
    jobs = Jobs(database, book)
    executor = Executor(
        registry,
        ActionRunner(settings.executor_threads),
        slots=settings.executor_slots,
        pools=pools,
        poll_seconds=_POLL_SECONDS,
        code=UploadedCode(Definitions(database).spec),
        credentials=credentials,
        for_anybody=for_anybody,
    )
    wakeups = Wakeups(database.dialect.say, {"jobs": executor.look})
    database.dialect.listen(wakeups.hear)

    executor.on_unclaimed(lambda: wakeups.tell("jobs"))

    def told(_: str) -> None:
        wakeups.tell("inbox")

    def now() -> int:
        return int(clock.now().timestamp() * 1_000_000)

    alone = StandAloneResults(
        SingleRecords(database), OutsideWorkflow(clock), now, settings.field_size_limit_kb
    )
    posts = ResultPosts(Executions(database), alone, new_id, now, told)
    work = ExecutorWork(new_id(), jobs, book, Nodes(database), posts, new_id, now, told)
    executor.connect(work)
    served = (*pools, "") if for_anybody else tuple(pools)
    return ExecutorProcess(
        work=work,
        executor=executor,
        heartbeat=Heartbeat(
            work,
            clock,
            name=f"{socket.gethostname()}:{os.getpid()}",
            kind="executor",
            info=freeze({"version": tramontane.__version__, "pools": served}),
            seconds=settings.heartbeat_seconds,
            declared_dead=executor.accept_verdict,
            pulse=lambda: open_pulse(settings.database, work.process_id),
        ),
        wakeups=wakeups,
        grace_seconds=settings.shutdown_grace_seconds,
        look_seconds=settings.heartbeat_seconds,
    )
