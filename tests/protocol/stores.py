"""The store's classes over the database in memory: the same methods, the same answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from tests.protocol.memory import BrokenError, MemoryDatabase, Record, Transaction, insert, read

from tramontane.core.state import ActionExecution, Execution, Micros, Timer
from tramontane.errors import NotAllowedError
from tramontane.states import COMPLETED, ERROR, PAUSED, RUNNING
from tramontane.store import codec, commit, statements
from tramontane.store.commit import CommitOutcome
from tramontane.store.errors import ClaimUnknownError, ContentionError, DatabaseUnavailableError
from tramontane.store.executions import Executions
from tramontane.store.jobs import Claim, ClaimedJob, Jobs, LostClaims
from tramontane.store.limits import LimitBook
from tramontane.store.nodes import NodeRow, Nodes
from tramontane.store.records import InboxRow, JobRow, StoredExecution, TaskPlace, TurnWrite
from tramontane.store.single_records import SingleRecords
from tramontane.store.work import DueTimer, TakenOver, Waiting, Work
from tramontane.values import FrozenDict


class MemoryExecutions(Executions):
    def __init__(self, database: Any) -> None:
        self._memory: MemoryDatabase = database

    @property
    def written_format(self) -> int:
        return self._memory.formats.written

    async def commit(self, turns: Sequence[TurnWrite], node_id: str | None) -> list[CommitOutcome]:
        return await commit.commit(self._memory, turns, node_id)  # type: ignore[arg-type]

    async def prepare(self, turns: Sequence[TurnWrite]) -> int:
        return await commit.prepare(self._memory, turns)  # type: ignore[arg-type]

    async def committed(self, execution_ids: Sequence[str], token: int) -> frozenset[str]:
        memory = self._memory

        def serve() -> frozenset[str]:
            memory.wait_for("heads", execution_ids)
            heads = memory.tables["heads"]
            found = [heads[each] for each in execution_ids if each in heads]
            return frozenset(head["id"] for head in found if token in (head["token"], head["first_token"]))

        try:
            return await memory.atomically(serve)
        except ContentionError as error:
            raise DatabaseUnavailableError(f"the database is too busy: {error}") from error

    async def post(self, rows: Sequence[InboxRow]) -> None:
        await commit.write_rows(
            self._memory,  # type: ignore[arg-type]
            [
                (statements.INBOX, (*codec.write_inbox(each, self._memory.big_values.packing()), 1))
                for each in rows
            ],
        )

    async def discard_all(self, execution_id: str) -> None:
        inbox = self._memory.tables["inbox"]

        def serve() -> None:
            for key in [key for key, row in inbox.items() if row["execution_id"] == execution_id]:
                del inbox[key]

        await self._memory.atomically(serve)

    async def _set_parked(self, execution_id: str, reason: str | None) -> None:
        memory = self._memory

        def serve() -> None:
            memory.wait_for("heads", [execution_id])
            if (head := memory.tables["heads"].get(execution_id)) is not None:
                head.update(parked=reason, takeovers=0)

        await memory.atomically(serve)

    async def load_many(self, execution_ids: Sequence[str]) -> dict[str, StoredExecution]:
        def serve() -> dict[str, StoredExecution]:
            heads = self._memory.tables["heads"]
            return {each: self._stored(each) for each in execution_ids if each in heads}

        return await self._memory.atomically(serve)

    async def load_open(self, execution_id: str) -> StoredExecution | None:
        return await self.load(execution_id)  # nothing here is long enough for a checkpoint

    def _stored(self, execution_id: str) -> StoredExecution:
        memory = self._memory
        head, executions = memory.tables["heads"][execution_id], memory.tables["executions"]
        stored = StoredExecution(
            execution_of(memory, execution_id),
            head["version"],
            parked=head["parked"],
            takeovers=head["takeovers"],
        )
        for table, reader, records in (
            ("tasks", codec.read_task, stored.tasks),
            ("action_executions", codec.read_action, stored.actions),
            ("past_runs", codec.read_past_run, stored.past_runs),
            ("timers", codec.read_timer, stored.timers),
            ("inbox", codec.read_inbox, stored.inbox),
        ):
            records.extend(read(reader, row) for row in memory.of_execution(table, execution_id))
        for row in memory.of_execution("subworkflows", execution_id):
            child = executions.get(row["id"])
            output = child["output"] if child is not None and row["state"] in COMPLETED else None
            stored.subworkflows.append(read(codec.read_subworkflow, row, output=output))
        stored.tasks.sort(key=lambda each: each.seq)
        stored.actions.sort(key=lambda each: each.seq)
        stored.subworkflows.sort(key=lambda each: each.seq)
        stored.past_runs.sort(key=lambda each: (each.task_id, each.run))
        stored.timers.sort(key=lambda each: each.due_at)
        stored.inbox.sort(key=lambda each: (each.created_at, each.id))
        if head["root_id"] != execution_id and head["root_id"] in executions:
            stored.root_params = codec.json_value(executions[head["root_id"]]["params"])
        return stored

    async def root_params(self, root_id: str) -> Any:
        row = await self._memory.atomically(lambda: self._memory.tables["executions"].get(root_id))
        return None if row is None else codec.json_value(row["params"])

    async def is_used(self, execution_id: str) -> bool:
        return await self._memory.atomically(lambda: execution_id in self._memory.tables["heads"])

    async def delete(
        self, execution_id: str, *, only_completed: bool = False, inbox: Sequence[InboxRow] = ()
    ) -> list[str]:
        memory = self._memory

        def serve() -> list[str]:
            head = memory.tables["heads"].get(execution_id)
            if head is not None and only_completed and head["state"] not in COMPLETED:
                raise NotAllowedError(
                    f"Only completed executions can be deleted. Use force to delete this one "
                    f"[id={execution_id}, state={head['state']}]"
                )
            gone = memory.drop_tree(execution_id)
            if gone:
                _post(memory, inbox)
            return gone

        return await memory.atomically(serve)


class MemoryJobs(Jobs):
    """Without limits: there is one lane."""

    def __init__(self, database: Any, book: LimitBook | None = None) -> None:
        self._memory: MemoryDatabase = database
        self._book = book or LimitBook()

    @property
    def _jobs(self) -> dict[str, Record]:
        return self._memory.tables["jobs"]

    def _oldest(self, wanted: Callable[[Record], bool], limit: int) -> list[Record]:
        """Rows that nobody has locked, in the order of their places."""
        memory = self._memory
        found = [row for row in self._jobs.values() if wanted(row)]
        free = [row for row in found if not memory.is_locked("jobs", row["action_id"])]
        return sorted(free, key=lambda row: (row["urgency"], row["place"]))[:limit]

    async def claim(
        self,
        process_id: str,
        pools: Collection[str],
        limit: int,
        *,
        names: Collection[str] | None = None,
        project_id: str | None = None,
    ) -> Claim:
        memory = self._memory
        self._book.note([], self._book.now())

        def wanted(row: Record) -> bool:
            return (
                row["claimed_by"] is None
                and row["pool"] in pools
                and (names is None or row["action_name"] in names)
                and project_id in (None, row["project_id"])
            )

        def select(transaction: Transaction) -> list[JobRow]:
            rows = self._oldest(wanted, limit)
            transaction.locks.update(("jobs", row["action_id"]) for row in rows)
            return [read(codec.read_job, row) for row in rows]

        def update(transaction: Transaction) -> Claim:
            claimed = []
            for action_id in [job.action_id for job in found]:
                action = memory.tables["action_executions"].get(action_id)
                if action is None:
                    del self._jobs[action_id]
                    continue
                row = self._jobs[action_id]
                row["claimed_by"] = process_id
                claimed.append(ClaimedJob(read(codec.read_job, row), read(codec.read_action, action)))
            memory.end(transaction)
            return Claim(claimed, may_be_more=len(claimed) == limit)

        found: list[JobRow] = []
        async with memory.transaction() as transaction:
            try:
                found = await memory.ask(transaction, lambda: select(transaction))
                return await memory.ask(transaction, lambda: update(transaction), commits=True)
            except BrokenError as error:
                if found:
                    attempts = [(job.action_id, job.attempt) for job in found]
                    raise ClaimUnknownError(str(error), attempts) from error
                raise DatabaseUnavailableError(str(error)) from error

    async def give_back(self, process_id: str, attempts: Sequence[tuple[str, int]]) -> None:
        def serve() -> None:
            for row in self._held(process_id, [action_id for action_id, _ in attempts]):
                if (row["action_id"], row["attempt"]) in attempts:
                    row["claimed_by"] = None

        await self._memory.atomically(serve)

    async def release(self, process_id: str, action_ids: Sequence[str]) -> None:
        def serve() -> None:
            for row in self._held(process_id, action_ids):
                waiting = self._memory.of_execution("inbox", row["execution_id"] or "")
                if not any(row["action_id"] in event["payload"] for event in waiting):
                    row["claimed_by"] = None

        await self._memory.atomically(serve)

    async def finish(self, process_id: str, action_ids: Sequence[str]) -> None:
        def serve() -> None:
            held = self._held(process_id, action_ids)
            for row in held:
                del self._jobs[row["action_id"]]
            self._memory.changed(row["execution_id"] for row in held)

        await self._memory.atomically(serve)

    def _held(self, process_id: str, action_ids: Sequence[str]) -> list[Record]:
        self._memory.wait_for("jobs", action_ids)
        found = (self._jobs.get(each) for each in action_ids)
        return [row for row in found if row is not None and row["claimed_by"] == process_id]

    async def still_held(
        self, process_id: str, attempts: Collection[tuple[str, int]]
    ) -> frozenset[tuple[str, int]]:
        def serve() -> frozenset[tuple[str, int]]:
            return frozenset(
                (action_id, attempt)
                for action_id, attempt in attempts
                if (row := self._jobs.get(action_id)) is not None
                and (row["attempt"], row["claimed_by"]) == (attempt, process_id)
            )

        return await self._memory.atomically(serve)

    async def claims_of(self, process_id: str) -> list[JobRow]:
        return await self._rows(lambda row: row["claimed_by"] == process_id)

    async def _rows(self, wanted: Callable[[Record], bool]) -> list[JobRow]:
        return await self._memory.atomically(
            lambda: [read(codec.read_job, row) for row in self._jobs.values() if wanted(row)]
        )

    async def claimed(self, process_id: str, action_id: str, attempt: int) -> JobRow | None:
        key = (action_id, attempt, process_id)
        found = await self._rows(lambda row: (row["action_id"], row["attempt"], row["claimed_by"]) == key)
        return found[0] if found else None

    async def claimants(self) -> list[str]:
        claimed = await self._rows(lambda row: row["claimed_by"] is not None)
        return list(dict.fromkeys(job.claimed_by for job in claimed if job.claimed_by is not None))

    async def unserved(self, pools: Collection[str], before: Micros, limit: int = 500) -> list[JobRow]:
        found = await self._rows(
            lambda row: row["claimed_by"] is None and row["pool"] not in pools and row["created_at"] < before
        )
        return sorted(found, key=lambda job: job.created_at)[:limit]

    async def in_service(self) -> list[tuple[str, str, str, int, int]]:
        last: dict[tuple[str, str, str, int], int] = {}
        for job in await self._rows(lambda row: row["claimed_by"] is not None):
            key = (job.pool, job.lane, job.action_name, job.urgency)
            last[key] = max(job.place, last.get(key, job.place))
        return [(*key, place) for key, place in last.items()]

    async def has_waiting(self, pool: str, lane: str, urgency: int) -> bool:
        key = (None, pool, lane, urgency)
        return bool(
            await self._rows(lambda row: (row["claimed_by"], row["pool"], row["lane"], row["urgency"]) == key)
        )

    async def waiting(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for job in await self._rows(lambda row: row["claimed_by"] is None):
            counts[job.pool] = counts.get(job.pool, 0) + 1
        return counts

    async def lose_claims(
        self,
        process_id: str,
        describe: Callable[[JobRow], Any],
        new_id: Callable[[], str],
        now: Micros,
        limit: int = 500,
        *,
        only_absent: bool = False,
    ) -> LostClaims:
        def serve() -> LostClaims:
            lost = LostClaims([], [], [])
            if only_absent and process_id in self._memory.tables["nodes"]:
                return lost
            claims = self._oldest(lambda row: row["claimed_by"] == process_id, limit)
            for row in sorted(claims, key=lambda row: row["action_id"]):
                job: JobRow = read(codec.read_job, row)
                self._memory.lost_claims.add((job.action_id, job.attempt))
                if job.execution_id is not None and job.root_id is not None:
                    lost.reported.append(job)
                    event = InboxRow(new_id(), job.execution_id, job.root_id, describe(job), now)
                    _post(self._memory, [event])
                    del self._jobs[job.action_id]
                elif job.safe_rerun:
                    lost.repeated.append(job)
                    row.update(claimed_by=None, attempt=job.attempt + 1)
                    self._memory.tables["action_executions"][job.action_id]["attempt"] += 1
                else:
                    lost.failed.append(job)
                    del self._jobs[job.action_id]
                    self._fail(job.action_id, now)
            self._memory.changed(job.execution_id for job in lost.reported)
            return lost

        return await self._memory.atomically(serve)

    def _fail(self, action_id: str, now: Micros) -> None:
        text = "The executor that ran the action is gone; whether it did its work isn't known."
        self._memory.tables["action_executions"][action_id].update(
            state=ERROR,
            accepted=True,
            output=codec.json_text(FrozenDict({"result": text})),
            updated_at=now,
            finished_at=now,
        )


class MemoryWork(Work):
    def __init__(self, database: Any) -> None:
        self._memory: MemoryDatabase = database

    def _may_take(self, execution_id: str, node_id: str, is_old: bool, *, gone: bool) -> bool:
        """Whether rows of an execution are a node's: its own, nobody's, or old ones of another's."""
        head = self._memory.tables["heads"].get(execution_id)
        if head is None:
            return gone
        return head["parked"] is None and (head["node_id"] in (None, node_id) or is_old)

    async def waiting_executions(
        self, node_id: str, now: Micros, grace: Micros = 1_000_000, limit: int = 500
    ) -> list[Waiting]:
        heads = self._memory.tables["heads"]

        def serve() -> list[Waiting]:
            oldest: dict[str, Micros] = {}
            for row in self._memory.rows("inbox"):
                if self._may_take(row["execution_id"], node_id, row["created_at"] <= now - grace, gone=True):
                    known = oldest.get(row["execution_id"], row["created_at"])
                    oldest[row["execution_id"]] = min(known, row["created_at"])
            found = sorted(oldest, key=oldest.__getitem__)[:limit]
            return [Waiting(each, heads.get(each, {}).get("node_id")) for each in found]

        return await self._memory.atomically(serve)

    async def due_timers(
        self, node_id: str, now: Micros, grace: Micros = 1_000_000, limit: int = 500
    ) -> list[DueTimer]:
        heads = self._memory.tables["heads"]

        def wanted(row: Record) -> bool:
            is_old = row["due_at"] <= now - grace
            return row["due_at"] <= now and self._may_take(row["execution_id"], node_id, is_old, gone=False)

        found = await self._timers(wanted, limit)
        return [DueTimer(each, heads.get(each.execution_id, {}).get("node_id")) for each in found]

    async def timers_of(self, node_id: str, until: Micros, limit: int = 10_000) -> list[Timer]:
        heads = self._memory.tables["heads"]
        return await self._timers(
            lambda row: (
                row["due_at"] <= until and heads.get(row["execution_id"], {}).get("node_id") == node_id
            ),
            limit,
        )

    async def _timers(self, wanted: Callable[[Record], bool], limit: int) -> list[Timer]:
        def serve() -> list[Timer]:
            rows = sorted(filter(wanted, self._memory.rows("timers")), key=lambda row: row["due_at"])
            return [read(codec.read_timer, row) for row in rows[:limit]]

        return await self._memory.atomically(serve)

    def _of_nodes(self, node_ids: Sequence[str]) -> list[str]:
        return sorted(
            head["id"]
            for head in self._memory.rows("heads")
            if head["node_id"] in node_ids and head["state"] != PAUSED and head["parked"] is None
        )

    async def executions_of(self, node_id: str, limit: int = 10_000) -> list[str]:
        return await self._memory.atomically(lambda: self._of_nodes([node_id])[:limit])

    async def nodes_with_executions(self) -> list[str]:
        return await self._memory.atomically(
            lambda: list(
                dict.fromkeys(
                    head["node_id"]
                    for head in self._memory.rows("heads")
                    if head["node_id"] is not None and head["state"] != PAUSED and head["parked"] is None
                )
            )
        )

    async def all_executions_of(self, node_id: str) -> list[str]:
        return await self._memory.atomically(
            lambda: sorted(row["id"] for row in self._memory.rows("heads") if row["node_id"] == node_id)
        )

    async def give(self, node_id: str, receiver: str, execution_ids: Sequence[str]) -> int:
        memory = self._memory

        def serve() -> int:
            heads = [memory.tables["heads"].get(each) for each in execution_ids]
            free = [
                head
                for head in heads
                if head is not None
                and head["node_id"] == node_id
                and not memory.is_locked("heads", head["id"])
            ]
            for head in free:
                head["node_id"] = receiver
            return len(free)

        return await memory.atomically(serve)

    async def take_over(
        self, node_id: str, from_nodes: Sequence[str], limit: int = 500, *, counted: bool = True
    ) -> list[TakenOver]:
        memory = self._memory
        heads = memory.tables["heads"]
        async with memory.transaction() as transaction:

            def lock() -> list[TakenOver]:
                free = [each for each in self._of_nodes(from_nodes) if not memory.is_locked("heads", each)]
                transaction.locks.update(("heads", each) for each in free[:limit])
                return [TakenOver(each, heads[each]["takeovers"] + counted) for each in free[:limit]]

            def write() -> None:
                for each in taken:
                    heads[each.id].update(node_id=node_id, takeovers=each.takeovers)
                memory.end(transaction)

            try:
                taken = await memory.ask(transaction, lock)
                await memory.ask(transaction, write, commits=True)
            except BrokenError as error:
                raise DatabaseUnavailableError(str(error)) from error
        return taken

    async def stranded(self, node_id: str, after: str = "", limit: int = 1000) -> list[tuple[str, bool]]:
        def serve() -> list[tuple[str, bool]]:
            ids = sorted(
                head["id"]
                for head in self._memory.rows("heads")
                if head["node_id"] == node_id
                and head["state"] == RUNNING
                and head["parked"] is None
                and head["id"] > after
            )
            return [(each, not self._is_moved(each)) for each in ids[:limit]]

        return await self._memory.atomically(serve)

    def _is_moved(self, execution_id: str) -> bool:
        memory = self._memory
        heads = memory.tables["heads"]
        calls = [row["id"] for row in memory.of_execution("subworkflows", execution_id)]
        return (
            any(memory.of_execution(table, execution_id) for table in ("inbox", "timers", "jobs"))
            or any(each in heads and heads[each]["state"] not in COMPLETED for each in calls)
            or any(
                not row["is_sync"] and row["state"] not in COMPLETED
                for row in memory.of_execution("action_executions", execution_id)
            )
        )

    async def unfinished(self) -> dict[tuple[str, bool], int]:
        def serve() -> dict[tuple[str, bool], int]:
            counts: dict[tuple[str, bool], int] = {}
            for head in self._memory.rows("heads"):
                if head["node_id"] is not None:
                    key = (head["state"], head["parked"] is not None)
                    counts[key] = counts.get(key, 0) + 1
            return counts

        return await self._memory.atomically(serve)

    async def adopt(self, node_id: str, execution_ids: Sequence[str]) -> list[str]:
        memory = self._memory
        heads = memory.tables["heads"]

        def serve() -> list[str]:
            found = [
                each
                for each in sorted(execution_ids)
                if each in heads
                and heads[each]["node_id"] not in (None, node_id)
                and not memory.is_locked("heads", each)
            ]
            for each in found:
                heads[each].update(node_id=node_id, takeovers=heads[each]["takeovers"] + 1)
            return found

        return await memory.atomically(serve)

    async def is_open(self, execution_id: str) -> bool:
        tables = ("inbox", "timers", "jobs")
        return await self._memory.atomically(
            lambda: any(self._memory.of_execution(table, execution_id) for table in tables)
        )


class MemoryNodes(Nodes):
    """``start`` is the moment from which the database's clock counts."""

    def __init__(self, database: Any, start: Micros = 1_767_225_600_000_000) -> None:
        self._memory: MemoryDatabase = database
        self._start = start

    def _moment(self) -> Micros:
        return self._start + round(self._memory.wire.now() * 1_000_000)

    async def register(self, node_id: str, name: str, kind: str, info: Any) -> Micros:
        def serve() -> Micros:
            now = self._moment()
            self._memory.pools.update(info.get("pools") or ())
            self._memory.tables["nodes"][node_id] = {
                "id": node_id,
                "name": name,
                "kind": kind,
                "info": info,
                "heartbeat": 0,
                "heartbeat_at": now,
                "started_at": now,
            }
            return now

        return await self._memory.atomically(serve)

    async def beat(self, node_id: str) -> Micros | None:
        def serve() -> Micros | None:
            row = self._memory.tables["nodes"].get(node_id)
            if row is None:
                return None
            now = self._moment()
            row.update(heartbeat=row["heartbeat"] + 1, heartbeat_at=now)
            return now

        return await self._memory.atomically(serve)

    async def known_pools(self) -> frozenset[str]:
        return frozenset(self._memory.pools)

    async def all(self) -> list[NodeRow]:
        def serve() -> list[NodeRow]:
            rows = sorted(self._memory.rows("nodes"), key=lambda row: (row["started_at"], row["id"]))
            return [NodeRow(**row) for row in rows]

        return await self._memory.atomically(serve)

    async def remove(self, node_id: str) -> bool:
        return await self._memory.atomically(
            lambda: self._memory.tables["nodes"].pop(node_id, None) is not None
        )

    async def mark(self, node_id: str, kind: str) -> None:
        def serve() -> None:
            if node_id in self._memory.tables["nodes"]:
                self._memory.tables["nodes"][node_id]["kind"] = kind

        await self._memory.atomically(serve)

    async def now(self) -> Micros:
        return await self._memory.atomically(self._moment)


class MemoryRecords(SingleRecords):
    def __init__(self, database: Any) -> None:
        self._memory: MemoryDatabase = database
        self._executions = MemoryExecutions(database)

    async def execution(self, execution_id: str) -> Execution | None:
        memory = self._memory
        return await memory.atomically(
            lambda: execution_of(memory, execution_id) if execution_id in memory.tables["heads"] else None
        )

    async def task_place(self, task_id: str) -> TaskPlace | None:
        row = await self._memory.atomically(lambda: self._memory.tables["tasks"].get(task_id))
        return None if row is None else TaskPlace(row["execution_id"], row["project_id"])

    async def action(self, action_id: str) -> ActionExecution | None:
        actions = self._memory.tables["action_executions"]
        found: ActionExecution | None = await self._memory.atomically(
            lambda: read(codec.read_action, actions[action_id]) if action_id in actions else None
        )
        return found

    async def add_action(self, action: ActionExecution, job: JobRow | None) -> None:
        rows = [(statements.ACTIONS_NEW, codec.write_action(action, self._memory.big_values.packing()))]
        if job is not None:
            rows.append((statements.JOBS, (*codec.write_job(job, self._memory.big_values.packing()), 1)))
        await commit.write_rows(self._memory, rows)  # type: ignore[arg-type]

    async def change_action(self, before: ActionExecution, after: ActionExecution, drop_job: bool) -> bool:
        def serve() -> bool:
            row = self._memory.tables["action_executions"].get(before.id)
            was = (None, before.state, before.attempt)
            if row is None or (row["execution_id"], row["state"], row["attempt"]) != was:
                return False
            row.update(
                insert(
                    statements.ACTIONS, codec.write_action_changes(after, self._memory.big_values.packing())
                )[1]
            )
            if drop_job:
                self._memory.tables["jobs"].pop(before.id, None)
            return True

        return await self._memory.atomically(serve)

    async def delete_action(self, action_id: str) -> bool:
        def serve() -> bool:
            actions = self._memory.tables["action_executions"]
            row = actions.get(action_id)
            if row is None or row["execution_id"] is not None or row["state"] not in COMPLETED:
                return False
            del actions[action_id]
            return True

        return await self._memory.atomically(serve)


def execution_of(memory: MemoryDatabase, execution_id: str) -> Execution:
    head = memory.tables["heads"][execution_id]
    found: Execution = read(
        codec.read_execution, memory.tables["executions"][execution_id], seq=head["seq"], run=head["run"]
    )
    return found


def _post(memory: MemoryDatabase, rows: Sequence[InboxRow]) -> None:
    for row in rows:
        key, record = insert(statements.INBOX, (*codec.write_inbox(row, memory.big_values.packing()), 1))
        memory.tables["inbox"].setdefault(key, record)
