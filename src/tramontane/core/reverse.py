"""Reverse workflows: a target and what it requires (runtime specification, section 9)."""

from __future__ import annotations

from tramontane.core.draft import Draft
from tramontane.core.state import Cause, Task
from tramontane.errors import BadRequestError
from tramontane.lang.spec import WorkflowSpec
from tramontane.states import SKIPPED, SUCCESS

_SATISFYING = (SUCCESS, SKIPPED)


def check_target(spec: WorkflowSpec, task_name: object) -> None:
    """Refuse a start without a valid target, or one that depends on itself.

    Raises:
        BadRequestError: naming the target or the cycle.
    """
    if not isinstance(task_name, str) or task_name not in spec.tasks:
        raise BadRequestError(f"Invalid task name [wf_spec={spec.name}, task_name={task_name}]")
    cycle = _find_cycle(spec, task_name)
    if cycle:
        raise BadRequestError(
            f"Invalid task name [wf_spec={spec.name}, task_name={task_name}]: "
            f"it depends on a cycle of 'requires': {' -> '.join(cycle)}"
        )


def closure(spec: WorkflowSpec, target: str) -> list[str]:
    """The target and everything that it requires, in document order."""
    seen = {target}
    stack = [target]
    while stack:
        for name in spec.tasks[stack.pop()].requires:
            if name not in seen:
                seen.add(name)
                stack.append(name)
    return [name for name in spec.tasks if name in seen]


def target_task(draft: Draft) -> Task | None:
    return draft.newest(draft.execution.params.get("task_name", ""))


def ready_tasks(draft: Draft, after: str | None = None) -> list[tuple[str, tuple[Cause, ...]]]:
    """Tasks that can start now, with the runs whose data they inherit.

    ``after`` limits the search to tasks that require this one; None looks at all of the closure.
    """
    names = closure(draft.spec, draft.execution.params["task_name"])
    ready = []
    for name in names:
        requires = draft.spec.tasks[name].requires
        if (after is not None and after not in requires) or draft.newest(name) is not None:
            continue
        required = [draft.newest(each) for each in requires]
        if all(task is not None and task.state in _SATISFYING for task in required):
            done = sorted((task for task in required if task), key=lambda task: task.completed_seq)
            ready.append((name, tuple(Cause(task.id, task.run) for task in done)))
    return ready


def _find_cycle(spec: WorkflowSpec, start: str) -> list[str]:
    """Walk what ``start`` requires depth first; return the names along a cycle, or nothing."""
    on_path: list[str] = []
    done: set[str] = set()
    stack: list[tuple[str, bool]] = [(start, True)]
    while stack:
        name, entering = stack.pop()
        if not entering:
            done.add(on_path.pop())
            continue
        if name in on_path:
            return [*on_path[on_path.index(name) :], name]
        if name in done:
            continue
        on_path.append(name)
        stack.append((name, False))
        stack.extend((each, True) for each in spec.tasks[name].requires)
    return []
