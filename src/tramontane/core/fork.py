"""Forking: a new execution that begins with what an ended one has done already.

The tasks that are run again, and everything that follows from them, are left out; all other completed
tasks are taken over with their results and what they published. :func:`plan_fork` decides which is
which over the records of the source; :func:`begin` puts the plan into effect in the new execution.

What follows from a task: whatever inherits its data, however indirectly, and every join that it could
reach and that has not started without it. Routes that tasks have taken stay as they were, also
where a newer definition would take others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tramontane.core import joins_state, reverse, routing
from tramontane.core.commands import StartSubWorkflow
from tramontane.core.draft import Draft
from tramontane.core.state import ActionExecution, Cause, Execution, PastRun, SubWorkflow, Task
from tramontane.core.texts import FAILED_TASKS
from tramontane.errors import BadRequestError, IllegalStateError, NotFoundError
from tramontane.lang.spec import WorkflowSpec
from tramontane.states import CANCELLED, ERROR, SUCCESS
from tramontane.values import EMPTY, FrozenDict, FrozenList, deep_merge

SOURCE = "source_execution_id"
FORKED_AT = "forked_at"
"""Names in the params of a fork: its source, and the tasks at which it leaves it."""


@dataclass(frozen=True, slots=True)
class ForkSource:
    """An ended execution with all its records, and the definition that it ran."""

    execution: Execution
    spec: WorkflowSpec
    tasks: Sequence[Task]
    actions: Sequence[ActionExecution] = ()
    subworkflows: Sequence[SubWorkflow] = ()
    past_runs: Sequence[PastRun] = ()


@dataclass(frozen=True, slots=True)
class ForkPlan:
    """What becomes of each task of the source, all in order of creation.

    ``asked`` and ``unfinished`` run again at once; ``follows`` ran in the source and may run again.
    Of the names in ``joins`` the joins wait anew for what triggers them. ``starts`` are first tasks
    that only the new definition has; ``cut_short`` are reused tasks that ended after the source, so
    that what follows them hasn't been worked out yet. ``changed`` names reused tasks that the new
    definition defines differently. ``called`` are the sub-workflow executions of reused tasks.
    """

    source: ForkSource
    asked: tuple[Task, ...]
    unfinished: tuple[Task, ...]
    follows: tuple[Task, ...]
    reused: tuple[Task, ...]
    joins: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    cut_short: frozenset[str] = frozenset()
    changed: tuple[str, ...] = ()
    called: Mapping[str, Execution] = field(default_factory=dict)

    @property
    def calls(self) -> list[str]:
        """Ids of the sub-workflow executions whose results are taken over."""
        kept = {task.id for task in self.reused}
        return [call.id for call in self.source.subworkflows if call.task_id in kept and call.accepted]

    @property
    def failed(self) -> list[Task]:
        """Reused tasks because of which the new execution can't end in SUCCESS."""
        return [
            task
            for task in self.reused
            if task.state == CANCELLED or (task.state == ERROR and not task.error_handled)
        ]


# -- planning -----------------------------------------------------------------------------


def plan_fork(source: ForkSource, spec: WorkflowSpec, wanted: Collection[str]) -> ForkPlan:
    """Plan the fork of ``source`` at the tasks ``wanted`` (ids or names) under the definition ``spec``.

    Raises:
        NotFoundError: the source has no such task.
        IllegalStateError: the source has not ended, or is part of another execution.
        BadRequestError: a name means several tasks; the definition doesn't fit; a task can't be
            taken out of its loop.
    """
    _check_source(source, spec)
    asked = {task.id: task for name in wanted for task in [_find(source, name)]}
    missing = [task.name for task in asked.values() if task.name not in spec.tasks]
    if missing:
        raise BadRequestError(
            f"The definition of '{spec.name}' has no task {_quoted(missing)}; fork at a task that it has."
        )
    # A task that hadn't ended has no result to take over; a join that hadn't begun waits anew.
    unfinished = {
        task.id: task
        for task in source.tasks
        if task.id not in asked and (not task.is_completed or _was_cut_off(source, task))
    }
    dropped = _closure(source, spec, [*asked.values(), *unfinished.values()])
    again = [
        task
        for task in source.tasks
        if (task.id in asked or task.id in unfinished)
        and (task.is_join or not any(cause.task_id in dropped for cause in task.causes))
    ]
    _refuse_loops(asked.values(), _closure(source, spec, again))
    reused = tuple(task for task in source.tasks if task.id not in dropped)
    _check_reused(reused, spec)
    again = [task for task in again if task.name in spec.tasks]
    begun = {task.id for task in again}
    names = {task.name for task in (*reused, *again)}
    return ForkPlan(
        source=source,
        asked=tuple(task for task in again if task.id in asked),
        unfinished=tuple(task for task in again if task.id in unfinished),
        follows=tuple(task for task in source.tasks if task.id in dropped - begun),
        reused=reused,
        joins=_waiting_joins(source, spec, dropped, asked),
        starts=tuple(name for name in spec.start_tasks if name not in names),
        cut_short=frozenset(task.id for task in reused if _was_cut_short(source, task)),
        changed=tuple(dict.fromkeys(task.name for task in reused if _differs(source.spec, spec, task.name))),
    )


def _check_source(source: ForkSource, spec: WorkflowSpec) -> None:
    execution = source.execution
    if not execution.is_root:
        raise IllegalStateError(
            "Only an execution that isn't part of another one can be forked "
            f"[id={execution.id}, root_execution_id={execution.root_id}]"
        )
    if not execution.is_completed:
        raise IllegalStateError(
            f"Only an execution that has ended can be forked; this one is {execution.state}: "
            f"wait for its end, or stop it first [id={execution.id}]"
        )
    if spec.type != source.spec.type:
        raise BadRequestError(
            f"The execution ran a {source.spec.type} workflow; the definition of '{spec.name}' is a "
            f"{spec.type} one."
        )


def _find(source: ForkSource, wanted: str) -> Task:
    found = [task for task in source.tasks if wanted in (task.id, task.name)]
    if not found:
        ran = _quoted(dict.fromkeys(task.name for task in source.tasks)) or "none"
        raise NotFoundError(f"The execution has no task '{wanted}'; its tasks: {ran}")
    if len(found) > 1:
        raise BadRequestError(
            f"The task '{wanted}' was executed {len(found)} times; give the id of one of them: "
            + ", ".join(task.id for task in found)
        )
    return found[0]


def _closure(source: ForkSource, spec: WorkflowSpec, roots: Iterable[Task]) -> frozenset[str]:
    """Ids of the roots and of everything that follows from them."""
    followers: dict[str, set[str]] = {}
    inherited = [(task.id, task.causes) for task in source.tasks]
    inherited += [(past.task_id, past.causes) for past in source.past_runs]
    for follower, causes in inherited:
        for cause in causes:
            followers.setdefault(cause.task_id, set()).add(follower)
    unstarted = {task.name: task.id for task in source.tasks if task.is_join and task.started_at is None}
    reachable: dict[str, frozenset[str]] = {}
    names = {task.id: task.name for task in source.tasks}
    found: set[str] = set()
    todo = [task.id for task in roots]
    while todo:
        current = todo.pop()
        if current in found:
            continue
        found.add(current)
        todo.extend(followers.get(current, ()))
        name = names[current]
        if unstarted and name not in reachable:
            reachable[name] = _reachable(source.spec, name) | _reachable(spec, name)
            todo.extend(unstarted[join] for join in reachable[name] if join in unstarted)
    return frozenset(found)


def _reachable(spec: WorkflowSpec, name: str) -> frozenset[str]:
    return joins_state.reachable_joins(spec.tasks, name) if name in spec.tasks else frozenset()


def _refuse_loops(asked: Iterable[Task], again: frozenset[str]) -> None:
    """A task whose cause is run again only because of it has no beginning outside of its loop."""
    for task in asked:
        if task.id not in again:
            raise BadRequestError(
                f"The task '{task.name}' is part of a loop through a join that has gone on since; "
                f"fork at the first task of the loop [task_ex_id={task.id}]"
            )


def _check_reused(reused: Iterable[Task], spec: WorkflowSpec) -> None:
    missing = list(dict.fromkeys(task.name for task in reused if task.name not in spec.tasks))
    if missing:
        raise BadRequestError(
            f"The definition of '{spec.name}' lacks tasks whose results would be taken over: "
            f"{_quoted(missing)}. Fork at a task before them, or keep them in the definition."
        )


def _waiting_joins(
    source: ForkSource, spec: WorkflowSpec, dropped: Collection[str], asked: Collection[str]
) -> tuple[str, ...]:
    """Names of tasks left out that reused tasks have triggered already, or that are asked for as joins."""
    left_out = {task.name: task.id for task in source.tasks if task.is_join and task.id in dropped}
    triggered = {
        name
        for task in source.tasks
        if task.id not in dropped
        for name, _ in task.next_tasks or ()
        if name in left_out
    }
    return tuple(
        name
        for name, task_id in left_out.items()
        if name in spec.tasks and (name in triggered or task_id in asked)
    )


def _was_cut_short(source: ForkSource, task: Task) -> bool:
    """Tell whether the task completed when the source had ended: nothing was to follow then."""
    end = source.execution
    if task.next_tasks is None or task.next_tasks or task.finished_at is None or end.finished_at is None:
        return False
    if task.finished_at == end.finished_at:  # in one decision, perhaps; then its own end was the last
        return not (end.state_info or "").startswith(FAILED_TASKS)
    return task.finished_at > end.finished_at


def _was_cut_off(source: ForkSource, task: Task) -> bool:
    """Tell whether it was cut short before it was known to be the task's last run, or whether it failed."""
    if not _was_cut_short(source, task) or task.name not in source.spec.tasks:
        return False
    policies = source.spec.tasks[task.name].policies
    if policies.fail_on is not None and task.state == SUCCESS:
        return True
    return policies.retry is not None and (task.state == ERROR or policies.retry.continue_on is not None)


def _differs(old: WorkflowSpec, new: WorkflowSpec, name: str) -> bool:
    defaults = "task-defaults"
    if old.data.get(defaults) != new.data.get(defaults):
        return True
    return name not in old.tasks or old.tasks[name].data != new.tasks[name].data


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# -- the new execution --------------------------------------------------------------------


def begin(draft: Draft, plan: ForkPlan) -> None:
    """Put the reused records into a new execution without tasks, and queue what runs again."""
    ids = {task.id: draft.env.new_id() for task in plan.reused}
    _take_globals(draft, plan)
    draft.execution = replace(draft.execution, seq=plan.source.execution.seq)
    for task in plan.reused:
        draft.put_task(_copied_task(draft, task, ids))
    for past in plan.source.past_runs:
        if past.task_id in ids:
            draft.past_runs.append(_copied_past_run(draft, past, ids))
    _copy_children(draft, plan, ids)
    if draft.spec.type == "reverse":
        for name, causes in reverse.ready_tasks(draft):
            routing.create_task(draft, name, causes)
    else:
        _begin_tasks(draft, plan, ids)
    draft.later("check")


def _take_globals(draft: Draft, plan: ForkPlan) -> None:
    """Workflow variables as at the start of the source, then what the reused tasks published.

    A variable whose expression is the same keeps its value: it may hold a random id or a time.
    """
    source, execution = plan.source, draft.execution
    kept = {}
    if source.execution.input == execution.input and _env(source.execution) == _env(execution):
        old, new = _variables(source.spec), _variables(draft.spec)
        for name in execution.globals:
            untouched = name not in source.execution.published_global and name in source.execution.globals
            if untouched and name in old and old[name] == new.get(name):
                kept[name] = source.execution.globals[name]
    published = EMPTY
    for task in sorted(plan.reused, key=lambda each: each.completed_seq):
        published = deep_merge(published, task.published_global)
    variables = FrozenDict({**execution.globals, **kept})
    draft.execution = replace(execution, globals=deep_merge(variables, published), published_global=published)


def _variables(spec: WorkflowSpec) -> Mapping[str, Any]:
    """The expressions of the workflow's variables, by name."""
    found = spec.data.get("vars")
    return found if isinstance(found, Mapping) else {}


def _env(execution: Execution) -> Any:
    return execution.params.get("env")


def _copied_task(draft: Draft, task: Task, ids: Mapping[str, str]) -> Task:
    execution = draft.execution
    return replace(
        task,
        id=ids[task.id],
        execution_id=execution.id,
        root_id=execution.root_id,
        project_id=execution.project_id,
        workflow_name=execution.workflow_name,
        workflow_namespace=execution.workflow_namespace,
        workflow_id=execution.workflow_id,
        causes=_copied_causes(task.causes, ids),
        runtime_context=_copied_context(task.runtime_context, ids),
        processed=True,
        outlives_end=False,
    )


def _copied_causes(causes: Iterable[Cause], ids: Mapping[str, str]) -> tuple[Cause, ...]:
    return tuple(Cause(ids[cause.task_id], cause.run) for cause in causes)


def _copied_context(context: FrozenDict, ids: Mapping[str, str]) -> FrozenDict:
    if "triggered_by" not in context:
        return context
    entries = [
        FrozenDict({**entry, "task_id": ids[entry["task_id"]]})
        for entry in context["triggered_by"]
        if entry["task_id"] in ids
    ]
    return FrozenDict({**context, "triggered_by": FrozenList(entries)})


def _copied_past_run(draft: Draft, past: PastRun, ids: Mapping[str, str]) -> PastRun:
    return replace(
        past,
        task_id=ids[past.task_id],
        execution_id=draft.execution.id,
        root_id=draft.execution.root_id,
        causes=_copied_causes(past.causes, ids),
    )


def _copy_children(draft: Draft, plan: ForkPlan, ids: Mapping[str, str]) -> None:
    """Copy the results that count: attempts that were replaced stay with the source."""
    execution, source = draft.execution, plan.source
    place = {"execution_id": execution.id, "root_id": execution.root_id}
    for action in source.actions:
        task_id = ids.get(action.task_id or "")
        if task_id is not None and action.accepted:
            task = draft.task(task_id)
            draft.put_child(
                replace(
                    action,
                    id=draft.env.new_id(),
                    task_id=task.id,
                    project_id=execution.project_id,
                    workflow_name=task.workflow_name,
                    workflow_namespace=task.workflow_namespace,
                    **place,
                )
            )
    for call in source.subworkflows:
        task_id = ids.get(call.task_id or "")
        if task_id is not None and call.accepted:
            child = _copied_child(draft, plan.called[call.id], task_id)
            draft.put_child(replace(call, id=child.id, task_id=task_id, **place))
            draft.commands.append(StartSubWorkflow(child))


def _copied_child(draft: Draft, child: Execution, task_id: str) -> Execution:
    """A sub-workflow's execution as it ended; its tasks are those of the execution that it names."""
    execution = draft.execution
    params = {
        **child.params,
        "root_execution_id": execution.id,
        "task_execution_id": task_id,
        SOURCE: child.params.get(SOURCE, child.id),
    }
    return replace(
        child,
        id=draft.env.new_id(),
        root_id=execution.id,
        parent_id=execution.id,
        parent_task_id=task_id,
        project_id=execution.project_id,
        security=execution.security,
        params=FrozenDict(params),
    )


def _begin_tasks(draft: Draft, plan: ForkPlan, ids: Mapping[str, str]) -> None:
    waiting = {name: _triggers(plan, name, ids) for name in plan.joins}
    for task in (*plan.asked, *plan.unfinished):
        if task.is_join or task.name in waiting:
            continue
        causes = _copied_causes((cause for cause in task.causes if cause.task_id in ids), ids)
        if draft.spec.tasks[task.name].join is not None:
            waiting[task.name] = [(cause.task_id, None) for cause in causes]
            continue
        context = _copied_context(task.runtime_context, ids)
        kept = {name: context[name] for name in ("triggered_by",) if name in context}
        routing.create_task(draft, task.name, causes, FrozenDict(kept))
    for name in plan.starts:
        routing.create_task(draft, name)
    for name, triggers in waiting.items():
        _wait_anew(draft, name, triggers)
    for task in plan.reused:
        if task.id in plan.cut_short:
            _follow_late(draft, draft.task(ids[task.id]))


def _triggers(plan: ForkPlan, name: str, ids: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """New ids of the reused tasks that lead to ``name``, with the clauses by which they do."""
    return [
        (ids[task.id], event)
        for task in plan.reused
        for following, event in task.next_tasks or ()
        if following == name
    ]


def _wait_anew(draft: Draft, name: str, triggers: Sequence[tuple[str, str | None]]) -> None:
    """Put a join back to where the reused tasks have brought it (it may be a plain task by now)."""
    if draft.spec.tasks[name].join is not None:
        join = joins_state.new_task(draft, name, (), EMPTY)
        # Which triggers are still to come can't be told beforehand: each is looked at.
        draft.put_task(replace(join, hits=joins_state.needed(draft, name)))
        draft.later("join", join.id)
        return
    for task_id, _ in triggers:
        routing.create_task(draft, name, (Cause(task_id, draft.task(task_id).run),))


def _follow_late(draft: Draft, task: Task) -> None:
    """Work out what follows a task that completed when the source had ended already.

    Commands that end or pause a workflow are left out: the source has had its end.

    Raises:
        EvaluationError: a guard can't be evaluated.
    """
    commands = routing.next_commands(draft, task)
    task = routing.record(draft, task, commands)
    routing.follow_up(draft, task, [each for each in commands if each.is_task])
