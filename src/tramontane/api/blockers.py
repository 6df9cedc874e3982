"""Why an execution isn't moving: what it and each of its open tasks wait for, as facts and as a sentence.

Every blocker has a ``kind`` (:data:`KINDS`), a ``text`` for people and the facts that the text is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from tramontane.api.times import shown
from tramontane.lang import WorkflowSpec
from tramontane.states import COMPLETED, PAUSED, RUNNING, WAITING
from tramontane.store.reads.blockers import (
    OpenAction,
    OpenCall,
    OpenTask,
    OpenWork,
    Process,
    Source,
    Standing,
)
from tramontane.store.reads.queue import COUNTED, FullLimit, QueueFacts, limits_of

Blocker = dict[str, Any]

KINDS: Final[Mapping[str, str]] = {
    "parked": "The execution can't be run: handling one of its events failed again and again.",
    "maintenance": "The whole service is in maintenance.",
    "paused": "The execution is paused; nothing of it starts before it is resumed.",
    "parent-paused": "The execution that called this one is paused.",
    "inbox": "Events for the execution are stored and will be taken with its next turn.",
    "node-gone": "The node that ran the execution is gone; another one takes it over.",
    "nothing": "Nothing open is recorded. If that stays so, it is a defect of the service.",
    "start": "The task is about to start, with the next turn of its execution.",
    "pause-before": "`pause-before` holds the task until the execution is resumed.",
    "timer": "The task waits for a moment: `wait-before`, `wait-after` or the delay of a `retry`.",
    "deadline": "The task fails at that moment, by its `timeout`.",
    "join": "The join waits for tasks that lead to it.",
    "items": "Items wait for one of the slots that `concurrency` allows.",
    "job": "An action waits for a living executor of its pool with a free slot.",
    "limit": "An action waits for a slot of a concurrency limit, all of which are taken.",
    "action": "An executor runs the action.",
    "report": "The result of an asynchronous action hasn't been reported yet.",
    "action-paused": "The action is paused until somebody resumes or completes it.",
    "sub-workflow": "The called execution hasn't ended; its own blockers tell why.",
}
"""All kinds, and what each means."""


def diagnosis(
    work: OpenWork,
    maintenance: str,
    sources: Mapping[str, Source],
    spec: WorkflowSpec | None,
    now: int,
    queue: QueueFacts,
) -> dict[str, Any]:
    """Tell what an execution waits for; ``sources`` are the latest tasks that lead to waiting joins."""
    standing = work.standing
    tasks = [
        {
            "id": task.id,
            "name": task.name,
            "state": task.state,
            "blockers": list(_TaskBlockers(task, work, sources, spec, now, queue)),
        }
        for task in work.tasks
    ]
    blockers = [] if standing.state in COMPLETED else list(_of_execution(work, maintenance, now))
    if not blockers and not tasks and standing.state not in COMPLETED:
        blockers = [_blocker("nothing", "Nothing is recorded that would move the execution.")]
    answer: dict[str, Any] = {
        "id": standing.id,
        "workflow_name": standing.workflow_name,
        "state": standing.state,
        "blockers": blockers,
        "tasks": tasks,
    }
    if work.has_more:
        answer["more_tasks"] = True
    return answer


def waiting_joins(work: OpenWork) -> list[OpenTask]:
    """Find the joins that wait for others."""
    return [task for task in work.tasks if _is_waiting_join(task)]


def _is_waiting_join(task: OpenTask) -> bool:
    return task.state == WAITING and task.phase != "retry"


def _blocker(kind: str, text: str, **facts: Any) -> Blocker:
    assert kind in KINDS
    return {"kind": kind, "text": text, **facts}


def _of_execution(work: OpenWork, maintenance: str, now: int) -> Iterator[Blocker]:
    standing = work.standing
    if standing.parked is not None:
        yield _blocker(
            "parked", f"Nobody runs the execution any more: {standing.parked}", reason=standing.parked
        )
    if maintenance != RUNNING:
        yield _blocker("maintenance", f"The service is in maintenance ({maintenance}).", status=maintenance)
    if standing.state == PAUSED:
        yield _paused(standing)
    if standing.parent_state == PAUSED:
        yield _blocker(
            "parent-paused",
            f"The execution {standing.parent_id} that called this one is paused.",
            execution_id=standing.parent_id,
        )
    if work.inbox_rows:
        yield _blocker(
            "inbox",
            f"{_count(work.inbox_rows, 'event')} stored for the execution, the oldest "
            f"{_ago(work.inbox_since, now)}, will be taken with its next turn.",
            count=work.inbox_rows,
            since=shown(work.inbox_since),
            node=standing.node_name,
        )
    if standing.state == RUNNING and standing.node_id is not None and standing.node_name is None:
        yield _blocker(
            "node-gone",
            f"The node {standing.node_id} that ran the execution is gone; another one will take it over.",
            node_id=standing.node_id,
        )


def _paused(standing: Standing) -> Blocker:
    """A paused part of a tree is resumed at its root, since the parts above may be paused too."""
    reason = f" ({standing.state_info})" if standing.state_info else ""
    return _blocker(
        "paused",
        f"The execution is paused{reason}; it goes on when {standing.root_id} is resumed.",
        reason=standing.state_info,
        resume=standing.root_id,
    )


class _TaskBlockers:
    """What one task waits for; iterate over it."""

    def __init__(
        self,
        task: OpenTask,
        work: OpenWork,
        sources: Mapping[str, Source],
        spec: WorkflowSpec | None,
        now: int,
        queue: QueueFacts,
    ) -> None:
        self._task = task
        self._work = work
        self._sources = sources
        self._spec = spec
        self._now = now
        self._queue = queue

    def __iter__(self) -> Iterator[Blocker]:
        found = False
        for blocker in self._own():
            found = True
            yield blocker
        if not found:
            yield _blocker("nothing", "Nothing is recorded that would move the task.")
        yield from self._timers("timeout")

    def _own(self) -> Iterator[Blocker]:
        task = self._task
        if _is_waiting_join(task):
            yield self._join()
            return
        match task.phase:
            case "before":
                yield from self._timers("wait-before")
            case "after":
                yield from self._timers("wait-after")
            case "retry":
                yield from self._timers("retry")
            case "active":
                yield from self._active()
            case "held" if self._work.standing.state == PAUSED:
                yield _blocker(
                    "pause-before", "'pause-before' holds the task until the execution is resumed."
                )
            case _ if self._work.standing.state == PAUSED:
                yield _blocker("paused", "The task starts when the execution is resumed.")
            case _:
                yield _blocker("start", "The task starts with the next turn of the execution.")

    # -- time -----------------------------------------------------------------------------

    def _timers(self, kind: str) -> Iterator[Blocker]:
        for timer in self._work.timers.get(self._task.id, ()):
            if timer.kind == kind:
                yield self._timer(kind, timer.due_at)

    def _timer(self, kind: str, due_at: int) -> Blocker:
        until = shown(due_at)
        if kind == "timeout":
            return _blocker("deadline", f"The task fails at {until} (UTC) by its 'timeout'.", until=until)
        what = f"'{kind}'"
        if kind == "retry":
            what = f"the delay before retry {self._task.retry_no}"
        if due_at <= self._now:
            text = f"{what} ended at {until} (UTC); the task goes on with the execution's next turn."
        else:
            text = f"{what} holds the task until {until} (UTC)."
        return _blocker("timer", text[0].upper() + text[1:], timer=kind, until=until)

    # -- joins ----------------------------------------------------------------------------

    def _join(self) -> Blocker:
        task = self._task
        inbound: Sequence[str] = ()
        needed: int | None = None
        if self._spec is not None and task.name in self._spec.tasks:
            inbound = self._spec.inbound.get(task.name, ())
            wanted = self._spec.tasks[task.name].join
            needed = wanted if isinstance(wanted, int) else len(inbound)
        places: list[dict[str, Any]] = [self._source(name) for name in inbound]
        done = [place["name"] for place in places if place["leads_here"]]
        open_ = [place for place in places if place["leads_here"] is None]
        text = "The join waits for tasks that lead to it."
        if needed is not None:
            waits = ", ".join(f"{place['name']} ({place['state'] or 'not begun'})" for place in open_)
            came = f"{len(done)} of {len(inbound)} came" + (f" ({', '.join(done)})" if done else "")
            text = f"The join needs {needed}; {came}; it waits for {waits or 'its next turn'}."
        return _blocker("join", text, needs=needed, sources=places)

    def _source(self, name: str) -> dict[str, Any]:
        """An inbound task; ``leads_here`` null: it hasn't ended."""
        source = self._sources.get(name)
        leads_here = None
        if source is not None and source.state in COMPLETED:
            following = orjson.loads(source.next_tasks) if source.next_tasks else ()
            leads_here = any(target == self._task.name for target, _ in following)
        return {
            "name": name,
            "id": None if source is None else source.id,
            "state": None if source is None else source.state,
            "leads_here": leads_here,
        }

    # -- what it runs ---------------------------------------------------------------------

    def _active(self) -> Iterator[Blocker]:
        actions = self._work.actions.get(self._task.id, ())
        calls = self._work.calls.get(self._task.id, ())
        slots = self._slots(actions, calls)
        if slots is not None:
            yield slots
        for action in actions:
            yield self._action(action)
        for call in calls:
            yield self._call(call)

    def _slots(self, actions: Sequence[OpenAction], calls: Sequence[OpenCall]) -> Blocker | None:
        task = self._task
        if task.item_count is None:
            if actions or calls:
                return None
            return _blocker("start", "The items start with the next turn of the execution.")
        count = task.item_count if task.item_todo is None else len(orjson.loads(task.item_todo))
        left = count - task.item_next
        busy = actions[0].total if actions else calls[0].total if calls else 0
        if left <= 0:
            return None
        if task.concurrency and busy >= task.concurrency:
            return _blocker(
                "items",
                f"{_count(left, 'item')} of {count} wait for one of {_count(task.concurrency, 'slot')} "
                f"('concurrency'), all of which are taken.",
                left=left,
                count=count,
                concurrency=task.concurrency,
            )
        return _blocker("start", f"{_count(left, 'item')} of {count} start with the next turns.", left=left)

    def _action(self, action: OpenAction) -> Blocker:
        facts = {"action_execution_id": action.id, "action": action.name, **self._item(action.item)}
        if action.state == PAUSED:
            return self._more(
                _blocker("action-paused", f"The action {action.name} is paused.", **facts), action.total
            )
        if action.queued_at is None:
            text = f"{action.name} was begun {_ago(action.created_at, self._now)}; its report is awaited."
            return self._more(_blocker("report", text, since=shown(action.created_at), **facts), action.total)
        facts["since"] = shown(action.queued_at)
        if action.claimed_by is None:
            full = [self._queue.limits[key] for key in limits_of(action) if key in self._queue.limits]
            if full:
                return self._more(self._limit(action, action.queued_at, full[0], facts), action.total)
            return self._more(self._job(action, action.queued_at, facts), action.total)
        name = action.node_name or action.claimed_by
        text = f"{action.name}, queued {_ago(action.queued_at, self._now)}, is run by {name}"
        text += "." if action.node_name else ", which is gone: the claim is about to be lost."
        facts.update(claimed_by=name, is_alive=action.node_name is not None)
        return self._more(_blocker("action", text, **facts), action.total)

    def _job(self, action: OpenAction, queued_at: int, facts: Mapping[str, Any]) -> Blocker:
        pool = action.pool or ""
        serving = [process.name for process in self._work.processes if _serves(process, pool)]
        whose = f"an executor named '{pool}'" if pool else "an executor"
        text = f"{action.name}, queued {_ago(queued_at, self._now)}, waits for {whose}: "
        text += f"{len(serving)} alive, no slot free." if serving else "none is alive."
        before = self._queue.before.get(action.id)
        if before is not None:
            facts = {**facts, "before": before}
            text += f" {_jobs(before)} before it."
        return _blocker("job", text, **facts, pool=pool, executors=serving)

    def _limit(
        self, action: OpenAction, queued_at: int, full: FullLimit, facts: Mapping[str, Any]
    ) -> Blocker:
        """Who holds the slots is told of those whom the caller may see."""
        text = f"{action.name}, queued {_ago(queued_at, self._now)}, waits for a slot: the limit of the "
        text += f"{full.kind} '{full.name}' is {full.slots}, and {_count(full.taken, 'action')} of it "
        text += "runs" if full.taken == 1 else "run"
        shown_ids = ", ".join(each.action_id for each in full.holders)
        text += f": {shown_ids}" if full.holders else ""
        text += " …" if 0 < len(full.holders) < full.taken else "."
        holders = [
            {
                "action_execution_id": each.action_id,
                "workflow_execution_id": each.execution_id,
                "action": each.action,
                "claimed_by": each.process,
            }
            for each in full.holders
        ]
        limit = {"kind": full.kind, "name": full.name, "limit": full.slots, "taken": full.taken}
        return _blocker("limit", text, **facts, limit=limit, holders=holders)

    def _call(self, call: OpenCall) -> Blocker:
        name = call.workflow_name or "a sub-workflow"
        text = f"The sub-workflow {name} ({call.id}) is {call.state}."
        if call.state is None:
            text = f"The sub-workflow {call.id} doesn't exist any more; the task is about to be told."
        elif call.state in COMPLETED:
            text = f"The sub-workflow {name} ({call.id}) ended with {call.state}; the report is on its way."
        elif call.parked is not None:
            text = f"The sub-workflow {name} ({call.id}) is parked: {call.parked}"
        blocker = _blocker(
            "sub-workflow",
            text,
            execution_id=call.id,
            workflow_name=call.workflow_name,
            state=call.state,
            parked=call.parked,
            **self._item(call.item),
        )
        return self._more(blocker, call.total)

    def _item(self, item: int) -> dict[str, int]:
        return {} if self._task.item_count is None else {"item": item}

    def _more(self, blocker: Blocker, total: int) -> Blocker:
        """Note how many there are when only some of them are shown."""
        if total > 1:
            blocker["of"] = total
        return blocker


def _serves(process: Process, pool: str) -> bool:
    """Nodes take jobs for anybody, executors those that they have registered for."""
    return (not pool and process.kind == "node") or pool in orjson.loads(process.info).get("pools", ())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _jobs(number: int) -> str:
    if number > COUNTED:
        return f"More than {COUNTED:,} jobs are"
    return f"{_count(number, 'job')} {'is' if number == 1 else 'are'}"


_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def _ago(moment: int | None, now: int) -> str:
    seconds = 0 if moment is None else max(0, (now - moment) // 1_000_000)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"
