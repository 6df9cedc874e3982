"""Texts that users see and grep for (runtime specification, section 1.7), in one place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tramontane.errors import SizeLimitError
from tramontane.values import encode, size_of

STATE_INFO_LIMIT = 65_500

WAITING = "Task is waiting."
SKIPPED = "Task was skipped."
PAUSED_BEFORE = "Set by 'pause-before' policy"
FAILED_ON = "Failed by 'fail-on' policy"
ITEMS_FAILED = "One or more actions had failed."
ITEMS_CANCELLED = "One or more actions was cancelled."
FAILED_TASKS = "Failure caused by error in tasks: "


def delayed(policy: str, seconds: int) -> str:
    return f"Delayed by '{policy}' policy [delay={seconds}]"


def timed_out(seconds: int) -> str:
    return f"Task timed out [timeout(s)={seconds}]."


def failed_by(names: Iterable[str]) -> str:
    return f"Failed by tasks: {list(names)!r}"


def run_failed(error: object, workflow: str, task: str) -> str:
    return f"Failed to run task [error={error}, wf={workflow}, task={task}]:"


def completion_failed(error: object, workflow: str, task: str, action: str) -> str:
    return f"Failed to handle action completion [error={error}, wf={workflow}, task={task}, action={action}]:"


def task_completion_failed(error: object, workflow: str, task: str) -> str:
    return f"Failed to complete task [error={error}, wf={workflow}, task={task}]:"


def check_failed(execution_id: str, workflow: str, error: object) -> str:
    return f"Failed to check and complete [wf_ex_id={execution_id}, wf_name={workflow}]: {error}"


def output_on_error_failed(spec: Any, error: object, cause: str | None) -> str:
    return (
        "Failed to evaluate expression in output-on-error! "
        f"(output-on-error: '{plain(spec)}', exception: '{error}' Cause: '{cause}'"
    )


def illegal_change(current: str, wanted: str, workflow: str, execution_id: str) -> str:
    return (
        f"Can't change workflow execution state from {current} to {wanted}. "
        f"[workflow={workflow}, execution_id={execution_id}]"
    )


def plain(value: Any) -> str:
    """Text form of a value in messages: text as it is, everything else as JSON with spaces."""
    if isinstance(value, str):
        return value
    if size_of(value) > STATE_INFO_LIMIT:
        return encode(value)  # nobody will see all of it, and this is quick
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def info(value: Any) -> str | None:
    """``state_info`` of a result: null when it is empty."""
    if value is None or value == "" or value == {} or value == []:
        return None
    return cut(plain(value))


def message(value: Any) -> str | None:
    """``msg`` of an engine command as text; null stays null."""
    return None if value is None else cut(plain(value))


def cut(text: str, limit: int = STATE_INFO_LIMIT) -> str:
    return text if len(text) <= limit else text[:limit] + "..."


def invalid_input(
    name: str, class_name: str, missing: Iterable[str] = (), unexpected: Iterable[str] = ()
) -> str:
    """The text for wrong input; lists that are empty are left out."""
    parts = [f"name={name}", f"class={class_name}"]
    for label, names in (("missing", list(missing)), ("unexpected", list(unexpected))):
        if names:
            parts.append(f"{label}={names!r}")
    return f"Invalid input [{', '.join(parts)}]"


def check_size(value: Any, limit_kb: int, class_name: str, field: str) -> None:
    """Refuse a value beyond the field size limit (runtime specification, section 11).

    Raises:
        SizeLimitError: naming the field, its size and the limit.
    """
    if limit_kb < 0 or not isinstance(value, (str, Mapping, list)):
        return
    size = size_of(value) // 1024
    if size > limit_kb:
        raise SizeLimitError(
            f"Field size limit exceeded [class={class_name}, field={field}, "
            f"size={size}KB, limit={limit_kb}KB]"
        )
