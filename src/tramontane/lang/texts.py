"""What clients see of a stored definition besides its text (language spec, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def input_text(data: Mapping[str, Any]) -> str:
    """Return the declared input of a workflow as one line, such as ``a, b="1", c="None"``."""
    return _joined(data, lambda default: f'"{default}"')


def action_input_text(data: Mapping[str, Any]) -> str:
    """Return the declared input of an ad-hoc action as one line, such as ``a, b=1, c=null``."""
    return _joined(data, json.dumps)


def interface(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declared input of a workflow as written, and the names of its output."""
    output = data.get("output")
    return {"input": data.get("input") or [], "output": list(output) if isinstance(output, Mapping) else []}


def _joined(data: Mapping[str, Any], write: Callable[[Any], str]) -> str:
    return ", ".join(
        name if not defaults else f"{name}={write(defaults[0])}" for name, *defaults in _entries(data)
    )


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    entries = data.get("input")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield from entry.items()
        else:
            yield (str(entry),)
