"""Which actions there are and what they take: descriptors, and the registry that holds them.

The only module of this package that the service layer imports. It knows classes, never runs
them: running is :mod:`tramontane.actions.runner`'s part. What is in the registry comes from
:mod:`tramontane.actions.pack`.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from tramontane.actions.base import InputRefusedError, PureAction, failure_of, unusable_result_text
from tramontane.results import Result
from tramontane.values import UnstorableValueError, freeze

log = logging.getLogger(__name__)


@final
class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""Stands for the default of a parameter that must be given."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of an action; ``default`` is :data:`REQUIRED` when there is none."""

    name: str
    default: Any = REQUIRED

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED

    @property
    def text(self) -> str | None:
        """The parameter as the API writes it; None when its default has no JSON form."""
        if self.is_required:
            return self.name
        try:
            return f"{self.name}={json.dumps(self.default)}"
        except (TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of an action class; ``others`` names its ``**`` parameter, which takes anything."""

    parameters: tuple[Parameter, ...] = ()
    others: str | None = None

    @classmethod
    def of(cls, action_class: type[Any]) -> Signature:
        """Read the signature of a class's constructor.

        Keyword-only parameters aren't inputs: they are how the pack hands in what actions share.
        """
        constructor = action_class.__init__
        if constructor is object.__init__:
            return cls()
        found: list[Parameter] = []
        others = None
        for given in list(inspect.signature(constructor).parameters.values())[1:]:
            if given.kind is given.VAR_KEYWORD:
                others = given.name
            elif given.kind in (given.POSITIONAL_ONLY, given.POSITIONAL_OR_KEYWORD):
                default = REQUIRED if given.default is given.empty else given.default
                found.append(Parameter(given.name, default))
        return cls(tuple(found), others)

    @property
    def text(self) -> str:
        """The inputs as the API lists them, such as ``output, delay=0`` or ``a, b=null, **others``."""
        parts = [text for parameter in self.parameters if (text := parameter.text) is not None]
        if self.others is not None:
            parts.append(f"**{self.others}")
        return ", ".join(parts)

    def check(self, given: Collection[str], name: str, class_path: str) -> str | None:
        """Say which inputs are missing or unknown (section 5); None when the names are right."""
        if self.others is not None:
            return None
        known = {parameter.name for parameter in self.parameters}
        missing = [item.name for item in self.parameters if item.is_required and item.name not in given]
        unexpected = [each for each in given if each not in known]
        if not missing and not unexpected:
            return None
        parts = [f"name={name}", f"class={class_path}"]
        if missing:
            parts.append(f"missing={missing}")
        if unexpected:
            parts.append(f"unexpected={unexpected}")
        return f"Invalid input [{', '.join(parts)}]"


class InstantiationError(Exception):
    """An action object couldn't be made of its input. The text never holds any of the input."""


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """An action by name: what it takes, its class, and how to make an object of it.

    ``shared`` is passed to the constructor besides the input. ``takes_frozen`` tells that the class
    leaves the containers in its input alone, so that it needn't get copies of its own.
    """

    name: str
    action_class: type[Any]
    description: str = ""
    signature: Signature = Signature()
    is_sync: bool = True
    shared: Mapping[str, Any] = field(default_factory=dict, repr=False)
    takes_frozen: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.signature.parameters

    @property
    def uses_security(self) -> bool:
        """Tell whether the action may need its caller's token."""
        return bool(getattr(self.action_class, "uses_security", True))

    @property
    def accepts_any(self) -> bool:
        return self.signature.others is not None

    @property
    def class_path(self) -> str:
        return f"{self.action_class.__module__}.{self.action_class.__qualname__}"

    @property
    def is_pure(self) -> bool:
        """Tell whether the result follows from the input alone, without any effect outside."""
        return issubclass(self.action_class, PureAction)

    @property
    def input_text(self) -> str:
        return self.signature.text

    def check_input(self, given: Collection[str]) -> str | None:
        """Say which inputs are missing or unknown; None when the names are right."""
        return self.signature.check(given, self.name, self.class_path)

    def instantiate(self, given: Mapping[str, Any]) -> Any:
        """Make the action object.

        Raises:
            InstantiationError: for whatever goes wrong; the cause isn't chained, it may quote input.
        """
        try:
            own = given if self.takes_frozen else {name: _thaw(value) for name, value in given.items()}
            return self.action_class(**own, **self.shared)
        except InputRefusedError as refused:
            reason = refused.message
        except Exception as error:
            reason = type(error).__name__
        raise InstantiationError(f"Failed to instantiate an action [action_desc={self.name}]: {reason}")

    def settle(self, given: Mapping[str, Any], action_id: str | None, dry_run: bool = False) -> Result | None:
        """Compute the result at once, if the action needs no executor; None for all other actions.

        Pure: the same input and id give the same result. In a dry run nothing fails and nothing
        is computed but what ``test`` gives.
        """
        if not issubclass(self.action_class, PureAction):
            return None
        try:
            action: PureAction = self.instantiate(given)
        except InstantiationError as error:
            return Result(error=str(error))
        if not dry_run and not action.is_immediate():
            return None
        try:
            outcome = _rehearse(action) if dry_run else action.compute()
        except Exception as error:
            return failure_of(error, self.name, action_id)
        try:
            if isinstance(outcome, Result):
                return Result(freeze(outcome.data), freeze(outcome.error), outcome.cancel)
            return Result(freeze(outcome))
        except UnstorableValueError as error:
            return Result(error=unusable_result_text(self.name, action_id, str(error)))


def _rehearse(action: PureAction) -> Any:
    test = getattr(action, "test", None)
    return None if test is None else test(None)


def _thaw(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _thaw(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_thaw(item) for item in value]
    return value


def describe(
    name: str,
    action_class: type[Any],
    *,
    shared: Mapping[str, Any] | None = None,
    takes_frozen: bool = False,
) -> Descriptor:
    """Build the descriptor of a class: its inputs from the constructor, its text from the docstring.

    Raises:
        TypeError: when it isn't a class with a ``run`` method.
    """
    if not isinstance(action_class, type) or not callable(getattr(action_class, "run", None)):
        raise TypeError(f"action '{name}' must be a class with a method run(context)")
    return Descriptor(
        name=name,
        action_class=action_class,
        description=inspect.cleandoc(action_class.__doc__ or ""),
        signature=Signature.of(action_class),
        is_sync=_is_sync(action_class),
        shared=dict(shared or {}),
        takes_frozen=takes_frozen,
    )


def _is_sync(action_class: type[Any]) -> bool:
    # Asked of an object that never saw its constructor: whether somebody must wait for an outside
    # result has to be known before there is any input.
    method = getattr(action_class, "is_sync", None)
    if method is None:
        return True
    try:
        return bool(method(object.__new__(action_class)))
    except Exception:
        return True


class Registry:
    """The actions of this process, by name. Filled once at start, only read afterwards."""

    def __init__(self) -> None:
        self._descriptors: dict[str, Descriptor] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def register(
        self,
        name: str,
        action_class: type[Any],
        *,
        shared: Mapping[str, Any] | None = None,
        takes_frozen: bool = False,
    ) -> Descriptor:
        """Add an action; a name registered again replaces the earlier one, with a warning.

        Raises:
            TypeError: when it isn't a class with a ``run`` method.
        """
        descriptor = describe(name, action_class, shared=shared, takes_frozen=takes_frozen)
        earlier = self._descriptors.get(name)
        if earlier is not None:
            log.warning(
                "action %s is registered twice: %s replaces %s",
                name,
                descriptor.class_path,
                earlier.class_path,
            )
        self._descriptors[name] = descriptor
        return descriptor

    def find(self, name: str) -> Descriptor | None:
        """Look an action up by its full name."""
        return self._descriptors.get(name)

    def all(self) -> tuple[Descriptor, ...]:
        """Return every action, sorted by name."""
        return tuple(self._descriptors[name] for name in sorted(self._descriptors))

    def on_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Remember what must be released when the registry is closed."""
        self._closers.append(closer)

    async def close(self) -> None:
        """Release what the actions share (network sessions)."""
        while self._closers:
            await self._closers.pop()()
