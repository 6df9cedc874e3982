"""What an action is, what it gets to know and how it fails (action specification, sections 1, 7, 8).

An action is a class. Its constructor takes the inputs and keeps plain data only; ``run(context)``
does the work, as a coroutine in the event loop or as plain code in a thread. Nothing here runs
anything: that is :mod:`tramontane.actions.runner`'s part.
"""

from __future__ import annotations

import abc
import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tramontane.errors import TramontaneError
from tramontane.results import Result

CALLBACK_PATH = "/v2/action_executions/"


class ActionError(TramontaneError):
    """A failure that an action expects; ``data``, or the text without it, becomes the error."""

    code = "action"

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.data = data


class InputRefusedError(ActionError):
    """A constructor can't use its input.

    Its text is shown and logged, so it names parameters and says what they must be, and never
    quotes what was given.
    """

    code = "action-input"


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """On whose behalf the action runs; what the caller's token or trust says."""

    auth_uri: str | None = None
    auth_cacert: str | None = None
    insecure: bool | None = None
    service_catalog: Any = field(default=None, repr=False)
    region_name: str | None = None
    is_trust_scoped: bool | None = None
    redelivered: bool | None = None
    expires_at: str | None = None
    trust_id: str | None = None
    is_target: bool | None = None
    project_id: str | None = None
    project_name: str | None = None
    user_name: str | None = None
    auth_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Which run of what this is; everything is None for a run outside a workflow that isn't stored.

    ``callback_url`` is the path that completes the action, without a host. ``headers`` holds those
    of the start request that the operator lets through.
    """

    workflow_execution_id: str | None = None
    task_execution_id: str | None = None
    action_execution_id: str | None = None
    workflow_name: str | None = None
    task_name: str | None = None
    callback_url: str | None = None
    with_items_index: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def task_id(self) -> str | None:
        """Deprecated name of ``task_execution_id``."""
        warnings.warn("use 'task_execution_id' instead of 'task_id'", DeprecationWarning, stacklevel=2)
        return self.task_execution_id


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What ``run(context)`` receives. ``dry_run``: ``test(context)`` was called instead of ``run``."""

    security: SecurityContext = SecurityContext()
    execution: ExecutionContext = ExecutionContext()
    dry_run: bool = False

    def __getattr__(self, name: str) -> Any:
        """Read a security attribute the old way, directly on the context."""
        if name.startswith("_") or name not in _SECURITY_NAMES:
            raise AttributeError(f"an action's context has no attribute '{name}'")
        warnings.warn(
            f"use 'context.security.{name}' instead of 'context.{name}'", DeprecationWarning, stacklevel=2
        )
        return getattr(self.security, name)

    @classmethod
    def from_map(cls, data: Mapping[str, Any] | None, *, dry_run: bool = False) -> ActionContext:
        """Build a context from ``{"execution": {…}, "security": {…}}``; unknown keys are left out.

        The callback path follows from the action execution's id when the map doesn't give it.
        """
        data = data or {}
        execution = _known_fields(ExecutionContext, data.get("execution"))
        action_id = execution.get("action_execution_id")
        if action_id and not execution.get("callback_url"):
            execution["callback_url"] = CALLBACK_PATH + action_id
        security = _known_fields(SecurityContext, data.get("security"))
        return cls(SecurityContext(**security), ExecutionContext(**execution), dry_run)


def _known_fields(kind: type[Any], data: Mapping[str, Any] | None) -> dict[str, Any]:
    names = {item.name for item in dataclasses.fields(kind)}
    return {name: value for name, value in (data or {}).items() if name in names}


_SECURITY_NAMES = frozenset(item.name for item in dataclasses.fields(SecurityContext))


class Action(abc.ABC):
    """Base of actions written for this service; any class with such methods will do.

    A subclass may also define ``test(context)``, which a dry run calls instead of ``run``;
    without it a dry run gives null. ``interrupted`` becomes True when nobody wants the result any
    more (cancelled, timed out): code that runs long in a thread should look at it and return.
    ``uses_security`` False: it does nothing on anybody's behalf, and gets no token.
    """

    interrupted: bool = False
    uses_security: ClassVar[bool] = True

    @abc.abstractmethod
    def run(self, context: ActionContext) -> Any:
        """Do the work; return data or a :class:`Result`, or raise. May be ``async def``."""

    def is_sync(self) -> bool:
        """False: what ``run`` returns isn't the result (unless it is an error); a client reports it."""
        return True


class PureAction(Action):
    """An action whose result follows from its input alone, so that the engine may compute it itself."""

    uses_security = False

    @abc.abstractmethod
    def is_immediate(self) -> bool:
        """Tell whether the result takes neither waiting nor much work."""

    @abc.abstractmethod
    def compute(self) -> Any:
        """Return what ``run`` would, at once and without touching anything."""


def raised_text(action_name: str, action_id: str | None, message: str) -> str:
    """Word the error of an action whose ``run`` raised (section 8.3)."""
    return f"The action raised an exception [action={action_name}, action_ex_id={action_id}, msg='{message}']"


def unusable_result_text(action_name: str, action_id: str | None, cause: str) -> str:
    """Word the error of an action whose result can't be stored (section 8.3)."""
    return (
        "Failed to complete action due to a Mistral exception "
        f"[action={action_name}, action_ex_id={action_id}]: {cause}"
    )


def failure_of(error: BaseException, action_name: str, action_id: str | None) -> Result:
    """Turn what ``run`` raised into the action's result.

    Expected failures speak for themselves, anything else is wrapped in the text that says so.
    """
    if isinstance(error, ActionError):
        return Result(error=error.message if error.data is None else error.data)
    message = str(error) or type(error).__name__
    return Result(error=raised_text(action_name, action_id, message))
