"""How tests of the engine run workflows: in a world of their own, with two scripted actions.

``job`` takes any input and gives what the script says, ``ajob`` is asynchronous. The world is in memory,
or a project of a real node that is spoken to over REST, which offers the same (``tests.conformance``):
``conftest`` runs each test in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from tests.conformance.rest import RestWorld
from tests.conformance.station import Station
from tests.core.texts import document, filled

from tramontane.actions.pack import standard_registry
from tramontane.core.decision import CoreSettings
from tramontane.rehearsal import FakeAction, Run, World
from tramontane.rehearsal.queues import Choice
from tramontane.rehearsal.script import Scripted

REGISTRY = standard_registry(plugins=[])


@dataclass
class Limits:
    """How hard the worlds of a test are made, and where: see ``conftest``."""

    max_steps: int = 500
    forgets: bool = False
    station: Station | None = None
    """Where nodes run that the test's worlds are projects of; None: they are in memory."""
    rest_worlds: list[RestWorld] = field(default_factory=list)


LIMITS = Limits()
FAKES = (FakeAction("job"), FakeAction("ajob", is_sync=False))


def world(
    text: str | None = None,
    script: Mapping[str, Scripted] | None = None,
    *,
    environments: Mapping[str, Mapping[str, Any]] | None = None,
    settings: CoreSettings | None = None,
    max_steps: int = 500,
    choose: Choice | None = None,
) -> World:
    """Make a world that knows the workflows of ``text`` (a document without its version)."""
    completed = None if text is None else document(text)
    if LIMITS.station is not None:
        made = RestWorld(
            LIMITS.station, completed, script=script, environments=environments, settings=settings
        )
        LIMITS.rest_worlds.append(made)
        return cast(World, made)
    return World(
        completed,
        script=script,
        registry=REGISTRY,
        fakes=FAKES,
        environments=environments,
        settings=settings,
        max_steps=min(max_steps, LIMITS.max_steps),
        settles=True,
        choose=choose,
        forgets=LIMITS.forgets,
    )


def begin(
    text: str,
    input: Mapping[str, Any] | None = None,
    script: Mapping[str, Scripted] | None = None,
    *,
    env: Any = None,
    settings: CoreSettings | None = None,
    max_steps: int = 500,
    environments: Mapping[str, Mapping[str, Any]] | None = None,
    **params: Any,
) -> Run:
    """Start workflow ``wf`` of ``text`` and do what is to be done at once, without letting time pass."""
    made = world(text, script, settings=settings, max_steps=max_steps, environments=environments)
    run = made.start("wf", input, env=env, **params)
    made.settle()
    return run


def play(
    text: str,
    input: Mapping[str, Any] | None = None,
    script: Mapping[str, Scripted] | None = None,
    *,
    env: Any = None,
    settings: CoreSettings | None = None,
    max_steps: int = 500,
    environments: Mapping[str, Mapping[str, Any]] | None = None,
    **params: Any,
) -> Run:
    """Start workflow ``wf`` of ``text`` and let it go on until nothing happens by itself."""
    run = begin(
        text,
        input,
        script,
        env=env,
        settings=settings,
        max_steps=max_steps,
        environments=environments,
        **params,
    )
    run.world.run()
    return run


def events_of(run: Run, task: str) -> list[tuple[str, str]]:
    """Return (task name, event) of what triggered a task."""
    names = {each.id: each.name for each in run.all_tasks()}
    context = run.task(task).runtime_context
    return [(names[entry["task_id"]], entry["event"]) for entry in context.get("triggered_by", ())]


def second(run: Run, moment: int | None) -> float:
    """Return a moment as seconds since the execution was created."""
    assert moment is not None
    return (moment - run.execution.created_at) / 1e6


__all__ = [
    "FAKES",
    "LIMITS",
    "REGISTRY",
    "begin",
    "document",
    "events_of",
    "filled",
    "play",
    "second",
    "world",
]
