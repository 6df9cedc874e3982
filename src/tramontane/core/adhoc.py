"""Ad-hoc actions: from a name and input to the real action, and back through their outputs.

Source: action specification, section 11. Used by the engine for tasks and by the service for
actions run on their own; ``look_up`` and ``evaluate`` are handed in, so nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tramontane.core.decision import ActionInfo, ActionKey
from tramontane.core.texts import invalid_input
from tramontane.errors import BadRequestError, InvalidInputError
from tramontane.expressions import CompiledStructure, compile_structure
from tramontane.lang.spec import AdhocActionSpec
from tramontane.values import FrozenDict, FrozenList

Found = AdhocActionSpec | ActionInfo | None


class ActionProblem(BadRequestError):
    """The action can't be run as asked; for a task an ordinary error, not a structural one."""

    code = "action"


@dataclass(frozen=True, slots=True)
class ResolvedAction:
    """The real action, what it gets, and the ad-hoc definitions around it, outermost first."""

    info: ActionInfo
    name: str
    input: FrozenDict
    adhoc: FrozenList


def resolve(
    key: ActionKey,
    given: FrozenDict,
    look_up: Callable[[ActionKey], Found],
    evaluate: Callable[[CompiledStructure, FrozenDict], Any],
) -> ResolvedAction:
    """Find the action, check the input, and go down to the real one.

    ``evaluate`` evaluates a ``base-input`` with the ad-hoc action's input as the strongest store.

    Raises:
        ActionProblem: not found, or a cycle of ad-hoc actions.
        InvalidInputError: parameters are missing or unexpected.
        EvaluationError: a ``base-input`` failed.
    """
    name = key.name
    around: list[FrozenList] = []
    seen: list[str] = []
    while True:
        found = look_up(key)
        if found is None:
            raise ActionProblem(f"Failed to find action [action_name={key.name}, namespace={key.namespace}]")
        if not isinstance(found, AdhocActionSpec):
            problem = found.check_input(given)
            if problem is not None:
                raise InvalidInputError(problem)
            if found.name != key.name:  # executors know it by another name (uploaded code)
                around.append(FrozenList([key.name, False, None, found.name]))
            return ResolvedAction(found, name, given, FrozenList(around))
        if found.name in seen:
            raise ActionProblem(f"Ad-hoc actions form a cycle: {' -> '.join([*seen, found.name])}")
        seen.append(found.name)
        given = _with_defaults(found, given)
        around.append(
            FrozenList([found.name, found.output is not None, found.data.get("output"), found.base])
        )
        given = FrozenDict(evaluate(found.base_input, given))
        key = ActionKey(found.base, key.namespace, None)


def _with_defaults(spec: AdhocActionSpec, given: Mapping[str, Any]) -> FrozenDict:
    declared = {parameter.name: parameter for parameter in spec.input}
    missing = [name for name, each in declared.items() if each.is_required and name not in given]
    unexpected = [name for name in given if name not in declared]
    if missing or unexpected:
        raise InvalidInputError(invalid_input(spec.name, "AdhocActionDescriptor", missing, unexpected))
    defaults = {name: each.default for name, each in declared.items() if not each.is_required}
    return FrozenDict({**defaults, **given})


def transform(adhoc: Sequence[Any], data: Any, evaluate: Callable[[CompiledStructure, Any], Any]) -> Any:
    """Apply the outputs of the ad-hoc actions to a successful result, innermost first.

    Raises:
        EvaluationError: an ``output`` failed.
    """
    for _, has_output, output, _ in reversed(adhoc):
        if has_output:
            data = evaluate(compile_structure(output), data)
    return data


def real_name(name: str, adhoc: Sequence[Any]) -> str:
    """Give the name of the real action behind ``name``, which is what executors run."""
    return str(adhoc[-1][3]) if adhoc else name
