"""Typed, immutable specifications: what a checked document means.

Built by :mod:`tramontane.lang` only. ``data`` of each spec is the stored form that clients and
expressions see (language specification, section 9.2); everything else is derived from it, so a
spec can be stored as ``data`` and rebuilt without parsing YAML or checking anything again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tramontane.expressions import CompiledStructure
from tramontane.values import FrozenDict

WorkflowType = Literal["direct", "reverse"]
Command = Literal["noop", "fail", "succeed", "pause"]
Clause = Literal["on-success", "on-error", "on-complete", "on-skip"]

COMMANDS = frozenset({"noop", "fail", "succeed", "pause"})
REQUIRED = object()
"""Marks an input parameter without a default."""


@dataclass(frozen=True, slots=True)
class InputParameter:
    name: str
    default: Any = REQUIRED  # a frozen value; never evaluated

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Target:
    """One item of an on-clause: a task or an engine command, maybe guarded."""

    name: str
    guard: CompiledStructure | None = None
    parameters: CompiledStructure | None = None  # evaluates to a map; only ``msg`` has an effect

    @property
    def is_command(self) -> bool:
        return self.name in COMMANDS


@dataclass(frozen=True, slots=True)
class Publish:
    """Variables of one publish, by scope; ``raw`` maps, since they are merged before evaluation."""

    branch: FrozenDict = field(default_factory=FrozenDict)
    global_: FrozenDict = field(default_factory=FrozenDict)


@dataclass(frozen=True, slots=True)
class OnClause:
    targets: tuple[Target, ...] = ()
    publish: Publish | None = None


@dataclass(frozen=True, slots=True)
class RetrySpec:
    count: CompiledStructure
    delay: CompiledStructure
    break_on: CompiledStructure | None = None
    continue_on: CompiledStructure | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """Policies after merging with ``task-defaults``; ``None``: switched off.

    Literals and expressions alike are compiled structures (literals: ``constant``).
    """

    retry: RetrySpec | None = None
    wait_before: CompiledStructure | None = None
    wait_after: CompiledStructure | None = None
    timeout: CompiledStructure | None = None
    pause_before: CompiledStructure | None = None
    concurrency: CompiledStructure | None = None
    fail_on: CompiledStructure | None = None


@dataclass(frozen=True, slots=True)
class WithItems:
    """Variables of a ``with-items`` and the compiled expression (or literal list) of each."""

    variables: tuple[tuple[str, CompiledStructure], ...]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task, with ``task-defaults`` applied (runtime specification, section 2.4)."""

    name: str
    data: FrozenDict
    tags: tuple[str, ...]
    action: CompiledStructure | None  # name or expression; None together with workflow None: std.noop
    action_text: str | None  # the literal name as written, for __actions of the environment
    workflow: CompiledStructure | None
    input: CompiledStructure  # a map, or one expression that must give a map (inline not merged then)
    inline_input: CompiledStructure | None  # inline parameters beside a string ``input``: they win
    with_items: WithItems | None
    policies: Policies
    publish: FrozenDict  # raw maps of the plain attributes
    publish_on_error: FrozenDict
    publish_on_skip: FrozenDict
    on_success: OnClause
    on_error: OnClause
    on_complete: OnClause
    on_skip: OnClause
    join: Literal["all"] | int | None  # "one" is stored as 1
    requires: tuple[str, ...]  # reverse: own and default ones, without the task itself
    target: CompiledStructure | None
    keep_result: CompiledStructure | None  # None: kept
    safe_rerun: CompiledStructure | None  # None: false
    dry_run: CompiledStructure | None
    safe_input: CompiledStructure | None
    async_heartbeats: CompiledStructure | None = None  # large-users.md, L10; None: false

    @property
    def type(self) -> Literal["ACTION", "WORKFLOW"]:
        return "WORKFLOW" if self.workflow is not None else "ACTION"

    def clause(self, name: Clause) -> OnClause:
        return {
            "on-success": self.on_success,
            "on-error": self.on_error,
            "on-complete": self.on_complete,
            "on-skip": self.on_skip,
        }[name]


@dataclass(frozen=True, slots=True)
class WorkflowSpec:
    name: str
    type: WorkflowType
    data: FrozenDict
    tags: tuple[str, ...]
    input: tuple[InputParameter, ...]
    vars: CompiledStructure | None
    output: CompiledStructure | None
    output_on_error: CompiledStructure | None
    output_on_error_data: Any  # as written, quoted in the message when it can't be evaluated
    tasks: Mapping[str, TaskSpec]  # in document order; each is built when it is first asked for
    start_tasks: tuple[str, ...]  # direct: tasks without inbound transition, in document order
    inbound: dict[str, tuple[str, ...]]  # task -> tasks that name it in a clause, document order, distinct

    @property
    def class_name(self) -> str:
        """Upstream's class name, which texts for users quote."""
        return "DirectWorkflowSpec" if self.type == "direct" else "ReverseWorkflowSpec"


@dataclass(frozen=True, slots=True)
class AdhocActionSpec:
    name: str
    data: FrozenDict
    base: str
    base_input: CompiledStructure
    input: tuple[InputParameter, ...]
    output: CompiledStructure | None  # None: not given (result unchanged)
    description: str | None
    tags: tuple[str, ...]
