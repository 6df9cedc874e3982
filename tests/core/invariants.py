"""What must hold after every turn of every execution, whatever happened in which order."""

from __future__ import annotations

from collections import Counter

from tramontane.core.decision import Decision
from tramontane.core.draft import Draft
from tramontane.core.events import ActionLost, Continued, Started
from tramontane.core.memory import NO_PROGRESS, ExecutionState
from tramontane.core.state import ActionExecution, Task
from tramontane.rehearsal.records import rebuilt
from tramontane.rehearsal.world import Before, World

GOES_ON = (Continued, Started)
HELD_BY_TIMER = {"before": "wait-before", "after": "wait-after", "retry": "retry"}


def check_turn(world: World, before: Before, decision: Decision) -> None:
    """Check the execution that was decided about."""
    execution = decision.execution
    state = world.states[execution.id]
    _check_ends(before, decision)
    for task in decision.tasks.values():
        _check_task(before.tasks.get(task.id), task)
        _check_children(state, task)
    _check_jobs(world, state)
    check_movers(world, state)


def _check_ends(before: Before, decision: Decision) -> None:
    """A final execution stays as it is, except by a re-run or a skip."""
    old, new = before.execution, decision.execution
    if old is new:  # nothing changed, or the decision that started it
        return
    if old.is_completed and new.run == old.run:
        assert (new.state, new.state_info, new.output) == (old.state, old.state_info, old.output)
        created = [task.name for task in decision.tasks.values() if before.tasks.get(task.id) is None]
        assert not created, f"tasks created in a final workflow: {created}"
    if new.state == "SUCCESS" and not old.is_completed and new.state_info is None:
        assert new.finished_at is not None


def _check_task(old: Task | None, new: Task) -> None:
    if old is None:
        return
    assert (old.id, old.name, old.seq, old.created_at) == (new.id, new.name, new.seq, new.created_at)
    assert new.run >= old.run and new.generation >= old.generation
    if old.is_completed and new.run == old.run:
        is_structural = new.state == "ERROR" and (new.state_info or "").startswith("Failed to ")
        assert new.state == old.state or is_structural, f"{old.name} completed twice"
        assert new.completed_seq == old.completed_seq
    if new.state == "SKIPPED":
        assert old.state in ("ERROR", "SKIPPED")


def _check_children(state: ExecutionState, task: Task) -> None:
    """An item starts at most once in a generation, and never more of them than there are slots."""
    children = [state.child(each) for each in state.children.get(task.id, ())]
    starts = Counter(
        (child.generation, child.index)
        for child in children
        if child is not None and (child.accepted or not child.is_completed)
    )
    assert all(count == 1 for count in starts.values()), f"{task.name} started twice: {starts}"
    if task.concurrency:
        running = [
            child
            for child in children
            if child is not None and not child.is_completed and child.generation == task.generation
            # A re-run inside a sub-workflow waits for no slot.
            if getattr(child, "run", 0) == 0
        ]
        assert len(running) <= task.concurrency


def _check_jobs(world: World, state: ExecutionState) -> None:
    """What runs by itself has a job, or word that it was lost is under way; what ended has none."""
    inbox = world.queues.inboxes.get(state.execution.id, ())
    lost = {each.event.action_id for each in inbox if isinstance(each.event, ActionLost)}
    for action in state.actions.values():
        if action.is_completed:
            assert action.id not in world.queues.jobs
        elif action.is_sync:
            assert action.id in world.queues.jobs or action.id in lost, f"{action.task_name} has no job"


def check_movers(world: World, state: ExecutionState) -> None:
    """Every incomplete task of a RUNNING execution has something that will take it further."""
    execution = state.execution
    inbox = world.queues.inboxes.get(execution.id, ())
    if execution.state != "RUNNING" or any(isinstance(each.event, GOES_ON) for each in inbox):
        return
    incomplete = [state.tasks[each] for each in state.incomplete]
    assert incomplete, "nothing is left to do, and the workflow has not ended"
    for task in incomplete:
        assert _is_moved(world, state, task), f"nothing moves {task}"
    assert any(task.state != "WAITING" or task.phase == "retry" for task in incomplete)


def _is_moved(world: World, state: ExecutionState, task: Task) -> bool:
    timer = HELD_BY_TIMER.get(task.phase)
    if timer is not None:
        return (task.id, timer) in world.queues.timers
    if task.state == "WAITING":
        return task.phase in ("new", "again")
    if task.phase != "active":
        return False
    return any(
        not child.is_completed and child.generation == task.generation
        for child_id in state.children.get(task.id, ())
        if (child := state.child(child_id)) is not None
    )


def check_indexes(world: World, state: ExecutionState) -> None:
    """Indexes and memos say the same as the records."""
    root = world.states[state.execution.root_id].execution
    fresh = rebuilt(state, root.params["env"])
    assert fresh.named == state.named
    assert fresh.incomplete == state.incomplete
    assert fresh.waiting_joins == state.waiting_joins
    assert fresh.children == state.children
    for task_id in state.tasks:
        ours, theirs = (each.progress.get(task_id, NO_PROGRESS) for each in (state, fresh))
        assert ours == theirs, f"children of {state.tasks[task_id].name}: {ours} is not {theirs}"
    spec = world.specs[state.execution.id]
    kept, loaded = Draft(spec, state, world.env()), Draft(spec, fresh, world.env())
    for task in state.tasks.values():
        assert kept.inherited(task).to_dict() == loaded.inherited(task).to_dict()


def awaited(state: ExecutionState) -> list[ActionExecution]:
    """Actions that only a report from outside ends."""
    return [action for action in state.actions.values() if not action.is_sync and not action.is_completed]
