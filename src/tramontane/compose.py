"""The one place where everything is wired: from settings to a running node, and to what serves its API."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

import tramontane
from tramontane.actions.http_client import HttpSettings
from tramontane.actions.pack import NameFilter, standard_registry
from tramontane.actions.registry import Registry
from tramontane.actions.runner import ActionRunner
from tramontane.actions.uploaded import UploadedCode
from tramontane.api.app import create_app
from tramontane.api.context import Api
from tramontane.api.settings import ApiSettings
from tramontane.auth import Authenticator, Rules
from tramontane.clock import Clock, SystemClock
from tramontane.compose_auth import Identity, open_identity, policy_rules, secrets_of
from tramontane.compose_metrics import Metrics
from tramontane.config import Settings
from tramontane.core.decision import CoreSettings
from tramontane.expressions import load_plugins
from tramontane.lang import load_action, load_workflow
from tramontane.runtime.clock import DatabaseClock
from tramontane.runtime.executor import Executor, Runner
from tramontane.runtime.heartbeat import Heartbeat
from tramontane.runtime.inbox import InboxPoll
from tramontane.runtime.loop import Loop, Pace
from tramontane.runtime.maintenance import MaintenanceWatch
from tramontane.runtime.node import Node
from tramontane.runtime.recovery import Reaper, TargetWatch
from tramontane.runtime.stranded import StrandedWatch
from tramontane.runtime.timers import TimerService
from tramontane.runtime.wakeups import Wakeups
from tramontane.runtime.watch import CatalogWatch, QueueWatch
from tramontane.service.action_executions import ActionExecutionUseCases
from tramontane.service.actions import Actions
from tramontane.service.catalog import Catalog
from tramontane.service.checking import Checker
from tramontane.service.code import CodeSources, DynamicActions
from tramontane.service.committer import Committer
from tramontane.service.credentials import Credentials
from tramontane.service.cron_triggers import CronTriggers
from tramontane.service.definitions import Surroundings, Workflows
from tramontane.service.engine import Engine, EngineLimits
from tramontane.service.environments import Environments
from tramontane.service.event_triggers import EventTriggers
from tramontane.service.executions import ExecutionUseCases
from tramontane.service.forks import ForkUseCases
from tramontane.service.ids import SortableIds
from tramontane.service.limits import LimitUseCases
from tramontane.service.lookups import StoredRecords
from tramontane.service.maintenance import Maintenance
from tramontane.service.members import Members
from tramontane.service.queueing import JobQueue
from tramontane.service.remote import ResultPosts
from tramontane.service.services import Services
from tramontane.service.signals import ChangeSignals
from tramontane.service.standalone import OutsideWorkflow, StandAloneResults
from tramontane.service.tasks import TaskUseCases
from tramontane.service.work import NodeWork
from tramontane.service.workbooks import Workbooks
from tramontane.service.workers import WorkerActions, WorkerUseCases
from tramontane.store.database import Database, open_database
from tramontane.store.definitions import Definitions
from tramontane.store.executions import Executions
from tramontane.store.jobs import Jobs
from tramontane.store.limits import LimitBook, Limits
from tramontane.store.maintenance import MaintenanceStore
from tramontane.store.nodes import Nodes, open_pulse
from tramontane.store.reads.reader import DatabaseReader
from tramontane.store.served import Served
from tramontane.store.single_records import SingleRecords
from tramontane.store.work import Work
from tramontane.store.worker_polls import WorkerPolls
from tramontane.values import freeze

log = logging.getLogger(__name__)

_RECORDS_OF_EACH = 40
"""Tasks and actions for each execution that may be cached; a few large ones may have them all."""


@dataclass(frozen=True, slots=True)
class OpenNode:
    """A running node and what belongs to it."""

    settings: Settings
    database: Database
    reader: DatabaseReader
    registry: Registry
    catalog: Catalog
    engine: Engine
    committer: Committer
    services: Services
    signals: ChangeSignals
    runtime: Node
    clock: Clock
    authenticator: Authenticator
    rules: Rules

    @property
    def id(self) -> str:
        return self.engine.node_id

    def app(self) -> ASGIApp:
        """Build the ASGI application of the REST API."""
        return create_app(self.api())

    def api(self) -> Api:
        return Api(
            reader=self.reader,
            services=self.services,
            settings=_api_settings(self.settings),
            authenticator=self.authenticator,
            rules=self.rules,
            readiness=self.readiness,
            specs=self.catalog.spec,
            signals=self.signals,
            clock=self.clock,
            metrics=Metrics(self.database, self.engine, self.committer, self.runtime).text,
        )

    async def hand_over(self) -> None:
        """Begin to end: refuse requests, leave nobody waiting, give executions to the other nodes."""
        self.engine.refuse()
        self.signals.close()
        self.services.workers.wake()
        await self.runtime.hand_over()

    async def readiness(self) -> Sequence[str]:
        """Name what keeps this node from serving; nothing: it is ready."""
        reasons = []
        if not self.engine.is_accepting:
            reasons.append("the node is shutting down")
        if self.committer.is_full:
            reasons.append("too many changes wait to be written")
        return reasons


@asynccontextmanager
async def open_node(
    settings: Settings, *, clock: Clock | None = None, runner: Runner | None = None
) -> AsyncIterator[OpenNode]:
    """Open the database and run a node on it for the length of the block.

    ``clock`` takes the place of real time, ``runner`` that of what runs actions. Leaving the block
    stops the node gracefully.

    Raises:
        DatabaseSetupError, SchemaError: the database can't be used as it is.
        PolicyFileError, IdentitySetupError: files that settings name can't be used.
    """
    rules = policy_rules(settings)
    for problem in load_plugins() if settings.load_action_plugins else ():
        log.warning("plug-in not loaded: %s", problem)
    async with AsyncExitStack() as stack:
        database = await open_database(
            settings.database, hints=settings.database_hints, big_values=settings.big_values
        )
        stack.push_async_callback(database.close)
        registry = action_registry(settings)
        stack.push_async_callback(registry.close)
        checker = Checker()
        stack.push_async_callback(checker.close)
        runner = runner or ActionRunner(settings.executor_threads)
        identity = open_identity(settings, database, clock or SystemClock(), stack)
        node = _wire(settings, database, registry, checker, runner, clock, identity, rules)
        stack.push_async_callback(node.runtime.stop)
        await node.runtime.start()
        yield node


def action_registry(settings: Settings) -> Registry:
    """Give the actions that a process of these settings runs."""
    http = HttpSettings(
        default_timeout=settings.http_timeout_seconds,
        max_response_bytes=settings.http_max_response_bytes,
        allowed_hosts=settings.http_allowed_hosts,
        denied_cidrs=settings.http_denied_cidrs,
        hide_request_body=not settings.log_request_bodies,
        hide_response_body=not settings.log_response_bodies,
        sensitive_headers=settings.sensitive_headers,
    )
    names = NameFilter(settings.action_allowlist, settings.action_denylist)
    return standard_registry(http, names=names, plugins=None if settings.load_action_plugins else ())


def _wire(
    settings: Settings,
    database: Database,
    registry: Registry,
    checker: Checker,
    runner: Runner,
    given: Clock | None,
    identity: Identity,
    rules: Rules,
) -> OpenNode:
    exclusive = database.name == "sqlite"
    shared_clock = DatabaseClock() if given is None and not exclusive else None
    clock: Clock = given or shared_clock or SystemClock()
    new_id = SortableIds(clock)
    node_id = new_id()
    store = Executions(database)
    records = SingleRecords(database)
    definitions = Definitions(database)
    reader = DatabaseReader(database)
    served = Served(database)
    brought = WorkerActions(served)
    catalog = Catalog(
        definitions,
        StoredRecords(reader, store),
        registry,
        load_workflow,
        load_action,
        brought,
    )
    committer = Committer(store, node_id)
    credentials = Credentials(secrets_of(settings), identity.trusts)
    pools = (settings.executor_name,) if settings.executor_name else ()
    book = LimitBook()
    jobs = Jobs(database, book)
    queue = JobQueue(book, lambda: round(clock.now().timestamp() * 1_000_000))
    pace = Pace(busy=1.0, idle=1.0) if exclusive else Pace()
    executor = Executor(
        registry,
        runner,
        slots=settings.executor_slots,
        pools=pools,
        poll_seconds=pace,
        caller_seconds=settings.caller_seconds,
        code=UploadedCode(definitions.spec),
        credentials=credentials,
    )
    timers = TimerService()
    engine = Engine(
        node_id=node_id,
        store=store,
        catalog=catalog,
        committer=committer,
        clock=clock,
        new_id=new_id,
        jobs=executor,
        queue=queue,
        timers=timers,
        settings=CoreSettings(
            settings.field_size_limit_kb, settings.merge_strategy, settings.context_versioning
        ),
        limits=EngineLimits(
            settings.max_waiting_requests,
            executions=settings.cached_executions,
            records=_RECORDS_OF_EACH * settings.cached_executions,
        ),
        exclusive=exclusive,
    )
    alone = ActionExecutionUseCases(
        engine,
        catalog,
        records,
        executor,
        queue,
        jobs,
        clock,
        credentials,
        field_size_limit_kb=settings.field_size_limit_kb,
        allow_deletion=settings.allow_action_execution_deletion,
    )
    posts = ResultPosts(
        store,
        StandAloneResults(records, OutsideWorkflow(clock), engine.now, settings.field_size_limit_kb),
        new_id,
        engine.now,
        lambda _: inbox_written(),
    )
    work = NodeWork(engine, alone, jobs, Work(database), Nodes(database), posts, queue)
    executor.connect(work)
    timers.connect(work)
    inbox = InboxPoll(work, poll_seconds=pace)
    watch = CatalogWatch(catalog.refresh)
    wakeups = Wakeups(
        database.dialect.say,
        {
            "inbox": inbox.wake,
            "jobs": lambda: jobs_heard(),
            "catalog": watch.loop.wake,
            "given": lambda: executions_came(),
        },
    )
    database.dialect.listen(wakeups.hear)

    def definitions_changed() -> None:
        catalog.forget()
        wakeups.tell("catalog")

    def inbox_written() -> None:
        inbox.wake()
        wakeups.tell("inbox")

    def executions_came() -> None:
        inbox.wake()
        timers.refresh()

    workers = WorkerUseCases(
        jobs,
        Nodes(database),
        WorkerPolls(database),
        served,
        posts,
        definitions_changed,
        book,
        lambda: jobs_free(),
        lease_seconds=settings.lease_seconds,
        accepting=lambda: engine.is_accepting,
    )

    def jobs_heard() -> None:
        executor.look()
        workers.wake()

    def jobs_free() -> None:
        jobs_heard()
        wakeups.tell("jobs")

    def limits_changed() -> None:
        book.forget()
        jobs_free()

    def jobs_written() -> None:
        workers.wake()
        wakeups.tell("jobs")

    around = Surroundings(definitions, checker, engine.now, new_id, definitions_changed)
    maintenance = Maintenance(engine, MaintenanceStore(database), exclusive=exclusive)
    services = Services(
        checker=checker,
        registry=registry,
        workflows=Workflows(around),
        workbooks=Workbooks(around),
        actions=Actions(around, registry),
        environments=Environments(around),
        members=Members(around),
        code_sources=CodeSources(around),
        dynamic_actions=DynamicActions(around),
        cron_triggers=CronTriggers(around, catalog, identity.trusts),
        event_triggers=EventTriggers(around, catalog, identity.trusts),
        maintenance=maintenance,
        executions=ExecutionUseCases(engine, catalog, store, records, credentials, jobs),
        forks=ForkUseCases(engine, catalog, store, records, credentials),
        tasks=TaskUseCases(engine, records),
        action_executions=alone,
        workers=workers,
        limits=LimitUseCases(Limits(database), engine.now, limits_changed),
        brought=brought,
    )
    runtime = Node(
        engine=engine,
        committer=committer,
        work=work,
        executor=executor,
        timers=timers,
        inbox=inbox,
        watch=watch,
        queue=QueueWatch(work),
        maintenance=MaintenanceWatch(maintenance),
        heartbeat=Heartbeat(
            work,
            shared_clock,
            name=f"{socket.gethostname()}:{os.getpid()}",
            info=freeze({"version": tramontane.__version__, "pools": pools}),
            seconds=settings.heartbeat_seconds,
            declared_dead=executor.accept_verdict,
            pulse=None if exclusive else lambda: open_pulse(settings.database, node_id),
        ),
        reaper=Reaper(work, lease_seconds=settings.lease_seconds, exclusive=exclusive, taken=executions_came),
        targets=TargetWatch(work, pools=pools, anywhere=settings.ignore_unknown_targets),
        wakeups=wakeups,
        stranded=StrandedWatch(work),
        claims=None if exclusive else Loop("claims", executor.check_claims, settings.heartbeat_seconds),
        grace_seconds=settings.shutdown_grace_seconds,
        on_jobs=jobs_written,
    )
    signals = ChangeSignals()
    engine.watch(signals)
    engine.watch(lambda _: pace.note())
    return OpenNode(
        settings=settings,
        database=database,
        reader=reader,
        registry=registry,
        catalog=catalog,
        engine=engine,
        committer=committer,
        services=services,
        signals=signals,
        runtime=runtime,
        clock=clock,
        authenticator=identity.authenticator,
        rules=rules,
    )


def _api_settings(settings: Settings) -> ApiSettings:
    return ApiSettings(
        max_limit=settings.max_limit,
        max_body_bytes=settings.max_body_bytes,
        validation_mode=settings.validation_mode,
        strict_definitions=settings.strict_definitions,
        allow_action_execution_deletion=settings.allow_action_execution_deletion,
        info_file=settings.info_file,
        healthcheck=settings.healthcheck,
        trust_proxy_headers=settings.trust_proxy_headers,
        cors_origins=settings.cors_origins,
        max_wait_seconds=settings.max_wait_seconds,
    )
