"""Policies of a task: evaluating them and checking their types (runtime specification, section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tramontane.core.draft import Draft
from tramontane.core.scope import DataScope, evaluate, outbound_scope, task_scope
from tramontane.core.state import Task
from tramontane.errors import BadRequestError
from tramontane.expressions import CompiledStructure
from tramontane.lang.spec import Policies, RetrySpec


class PolicyError(BadRequestError):
    """A policy evaluated to a value of the wrong type."""

    code = "policy"


@dataclass(frozen=True, slots=True)
class BeforePolicies:
    """Values of the policies that act before the first run; zero or false: off."""

    pause: bool = False
    wait: int = 0
    timeout: int = 0
    concurrency: int = 0


@dataclass(frozen=True, slots=True)
class Retry:
    count: int
    delay: int


_NONE = BeforePolicies()


def before_policies(draft: Draft, task: Task, policies: Policies) -> BeforePolicies:
    """Evaluate what counts before a run. wait-after and retry are evaluated too: a bad one
    prevents the start.

    Raises:
        EvaluationError, PolicyError: which make a structural error.
    """
    if policies == _NO_POLICIES:
        return _NONE
    where = task_scope(draft, task)
    values = BeforePolicies(
        pause=_boolean(draft, policies.pause_before, where, "PauseBeforePolicy"),
        wait=_integer(draft, policies.wait_before, where, "WaitBeforePolicy"),
        timeout=_integer(draft, policies.timeout, where, "TimeoutPolicy"),
        concurrency=_integer(draft, policies.concurrency, where, "ConcurrencyPolicy"),
    )
    _integer(draft, policies.wait_after, where, "WaitAfterPolicy")
    if policies.retry is not None:
        _retry(draft, policies.retry, where)
    return values


_NO_POLICIES = Policies()


def wait_after(draft: Draft, task: Task, policies: Policies) -> int:
    """Seconds to wait after the action part; 0: none."""
    return _integer(draft, policies.wait_after, task_scope(draft, task), "WaitAfterPolicy")


def timeout(draft: Draft, task: Task, policies: Policies) -> int:
    return _integer(draft, policies.timeout, task_scope(draft, task), "TimeoutPolicy")


def fails_on(draft: Draft, task: Task, policies: Policies) -> bool:
    if policies.fail_on is None:
        return False
    return bool(evaluate(draft, policies.fail_on, task_scope(draft, task)))


def retry(draft: Draft, task: Task, policy: RetrySpec) -> Retry:
    return _retry(draft, policy, task_scope(draft, task))


def wants_retry(draft: Draft, task: Task, policy: RetrySpec) -> bool:
    """Tell whether conditions ask for another iteration (runtime specification, section 6.3)."""
    where = outbound_scope(draft, task)
    stop = policy.break_on is not None and bool(evaluate(draft, policy.break_on, where))
    go_on = policy.continue_on is None or bool(evaluate(draft, policy.continue_on, where))
    if task.state == "ERROR":
        return go_on and not stop
    return policy.continue_on is not None and go_on


def _retry(draft: Draft, policy: RetrySpec, where: DataScope) -> Retry:
    return Retry(
        count=_integer(draft, policy.count, where, "RetryPolicy"),
        delay=_integer(draft, policy.delay, where, "RetryPolicy"),
    )


def _integer(draft: Draft, structure: CompiledStructure | None, where: DataScope, policy: str) -> int:
    if structure is None:
        return 0
    value = evaluate(draft, structure, where)
    if isinstance(value, float) and structure.constant and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong_type(policy, value, "a whole number, 0 or greater")
    return value


def _boolean(draft: Draft, structure: CompiledStructure | None, where: DataScope, policy: str) -> bool:
    if structure is None:
        return False
    value = evaluate(draft, structure, where)
    if not isinstance(value, bool):
        raise _wrong_type(policy, value, "true or false")
    return value


def _wrong_type(policy: str, value: Any, expected: str) -> PolicyError:
    return PolicyError(
        f"Invalid data type in {policy}: {expected} is expected, but the value is of type "
        f"'{type(value).__name__}' or out of range"
    )
