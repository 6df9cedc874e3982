"""What an execution consists of: records that are read and written as they are, one row each.

Records never change; a new version replaces an old one. Times are whole microseconds since
1970-01-01 UTC; ids are text that sorts in order of creation; JSON fields hold frozen values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tramontane.results import Result
from tramontane.states import COMPLETED
from tramontane.values import EMPTY, FrozenDict

Micros = int
Json = Any


class Cause(msgspec.Struct, frozen=True, array_like=True):
    """A task run whose data another task inherits."""

    task_id: str
    run: int


class Execution(msgspec.Struct, frozen=True):
    """One workflow execution.

    ``root_id`` is its own id for a root. ``parent_id``, ``parent_task_id`` and ``index`` tell who
    called a sub-workflow. ``globals`` holds ``vars`` and everything published globally since (the
    *workflow context*); ``published_global`` the latter alone. ``backlog`` holds what stood behind a
    ``pause`` command: ``[task id of the list, [[name, event, message], …]]`` items.
    """

    id: str
    root_id: str
    project_id: str
    workflow_name: str
    workflow_namespace: str
    workflow_id: str | None
    spec_hash: str
    created_at: Micros
    parent_id: str | None = None
    parent_task_id: str | None = None
    index: int = 0
    workbook_name: str | None = None
    description: str | None = ""
    tags: tuple[str, ...] = ()
    input: Json = EMPTY
    params: Json = EMPTY
    state: str = "IDLE"
    state_info: str | None = None
    output: Json = EMPTY
    globals: Json = EMPTY
    published_global: Json = EMPTY
    backlog: Json = ()
    security: Json = None
    updated_at: Micros | None = None
    finished_at: Micros | None = None
    seq: int = 0  # the execution's own counter: creations and completions in order
    run: int = 0  # how often it was revived after an end; a child's reports carry it
    parent_seq: int = 0  # counter of the parent at the newest pause, resume or stop that came from it
    env_seq: int = 0  # the same for the newest environment

    @property
    def is_root(self) -> bool:
        return self.id == self.root_id

    @property
    def is_completed(self) -> bool:
        return self.state in COMPLETED


class Task(msgspec.Struct, frozen=True):
    """One task execution.

    ``phase`` says what the task is held by or busy with: ``new`` (nothing began), ``held`` (by
    pause-before), ``before`` and ``after`` (the waits), ``ready`` and ``again`` (a wait or the delay of
    a retry is over), ``active`` (its action part), ``retry`` (the delay), ``done``.
    ``run`` counts starts from scratch (re-runs, a join in a cycle), ``generation`` every start of its
    action part (retry iterations too), so that timers and reports of an earlier one are recognised.
    ``causes`` are the task runs whose data it inherits. ``pending`` keeps the outcome
    ``[state, state_info]`` during wait-after. ``item_count``/``item_next`` drive with-items:
    indexes below ``item_next`` have been started in this generation, ``item_todo`` (if not None)
    lists the only indexes to start.
    """

    id: str
    execution_id: str
    root_id: str
    project_id: str
    name: str
    type: str
    workflow_name: str
    workflow_namespace: str
    workflow_id: str | None
    seq: int
    created_at: Micros
    state: str = "IDLE"
    state_info: str | None = None
    phase: str = "new"
    tags: tuple[str, ...] = ()
    is_join: bool = False
    processed: bool = False
    next_tasks: Json = None  # ((name, event), …) or None
    error_handled: bool = False
    published: Json = EMPTY
    published_global: Json = EMPTY
    runtime_context: Json = EMPTY
    causes: tuple[Cause, ...] = ()
    round_seq: int = 0  # joins: completions up to here belong to earlier rounds
    hits: int = 0  # joins: triggers so far in this round
    run: int = 0
    generation: int = 0
    retry_no: int = 0
    pending: Json = None
    item_count: int | None = None
    item_next: int = 0
    item_todo: Json = None
    concurrency: int = 0
    completed_seq: int = 0
    outlives_end: bool = False  # created by the list that paused or ended the workflow: starts all the same
    started_at: Micros | None = None
    finished_at: Micros | None = None
    updated_at: Micros | None = None

    @property
    def is_completed(self) -> bool:
        return self.state in COMPLETED


class PastRun(msgspec.Struct, frozen=True):
    """Data of an earlier run of a task whose followers still inherit from it."""

    task_id: str
    run: int
    execution_id: str
    root_id: str
    published: Json
    causes: tuple[Cause, ...]


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """What an action execution and a call of a sub-workflow have in common for their task.

    ``generation`` is the task's at the start; ``output`` is ``{"result": value}`` for an action, the
    whole output for a sub-workflow, null while unfinished.
    """

    id: str
    execution_id: str | None
    root_id: str | None
    task_id: str | None
    index: int = 0
    generation: int = 0
    seq: int = 0
    state: str = "RUNNING"
    accepted: bool = False
    output: Json = None
    created_at: Micros = 0
    updated_at: Micros | None = None

    @property
    def is_completed(self) -> bool:
        return self.state in COMPLETED


class ActionExecution(Child, frozen=True, kw_only=True):
    """One run of an action; ``attempt`` counts its dispatches (``safe-rerun`` sends it again).

    ``adhoc`` lists the ad-hoc definitions around the real action, outermost first, as
    ``[name, has output, output, base]``: their outputs are applied to its result.
    """

    name: str
    project_id: str
    workflow_name: str | None = None
    workflow_namespace: str = ""
    task_name: str | None = None
    state_info: str | None = None
    is_sync: bool = True
    safe_rerun: bool = False
    attempt: int = 0
    input: Json = EMPTY
    adhoc: Json = ()
    target: str | None = None
    timeout: int | None = None
    description: str | None = None
    started_at: Micros | None = None
    finished_at: Micros | None = None

    @property
    def result(self) -> Json:
        return None if self.output is None else self.output.get("result")


class SubWorkflow(Child, frozen=True, kw_only=True):
    """One call of a sub-workflow; its id is the called execution's."""

    run: int = 0
    child_seq: int = 0  # the called execution's counter at the newest pause or resume that it told of

    @property
    def result(self) -> Json:
        return self.output


AnyChild = ActionExecution | SubWorkflow


class Timer(msgspec.Struct, frozen=True):
    """A moment at which an execution goes on. One per (task, kind): a later one replaces it."""

    task_id: str
    kind: str  # wait-before | wait-after | retry | timeout
    execution_id: str
    root_id: str
    due_at: Micros
    generation: int


class HistoryKey(msgspec.Struct, frozen=True):
    """Records of an execution that aren't in memory (:mod:`tramontane.core.checkpoint`), to be recalled.

    ``task``: one by its id, with its children, and the newest of its name; ``child``: the same for the
    task of this child; ``named``: the newest execution of the task ``name``; ``children`` of the task;
    ``counting``: those of them that are accepted or incomplete; ``all``: everything.
    """

    what: Literal["task", "child", "named", "children", "counting", "all"]
    name: str = ""


class Recalled(msgspec.Struct):
    """What a :class:`HistoryKey` stands for."""

    tasks: Sequence[Task] = ()
    actions: Sequence[ActionExecution] = ()
    subworkflows: Sequence[SubWorkflow] = ()
    past_runs: Sequence[PastRun] = ()


def result_of(child: ActionExecution) -> Result:
    """Give back the result of a completed action."""
    if child.state == "CANCELLED":
        return Result(error=child.result, cancel=True)
    if child.state == "ERROR":
        return Result(error=child.result)
    return Result(data=child.result)


__all__ = [
    "EMPTY",
    "ActionExecution",
    "AnyChild",
    "Cause",
    "Child",
    "Execution",
    "FrozenDict",
    "HistoryKey",
    "Json",
    "Micros",
    "PastRun",
    "Recalled",
    "SubWorkflow",
    "Task",
    "Timer",
    "result_of",
]
