"""Comparing JSON values: equal, contained, and what differs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

_CONTEXT = 3


def same(expected: Any, actual: Any) -> bool:
    """Tell whether two values are equal as JSON: ``true`` isn't ``1``, ``1`` is ``1.0``."""
    if isinstance(expected, Mapping):
        return (
            isinstance(actual, Mapping)
            and expected.keys() == actual.keys()
            and all(same(value, actual[name]) for name, value in expected.items())
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(actual, (list, tuple))
            and len(expected) == len(actual)
            and all(map(same, expected, actual))
        )
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)


def contains(expected: Any, actual: Any) -> bool:
    """Tell whether all that is expected is there: maps may have further keys, at any depth."""
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(
            name in actual and contains(value, actual[name]) for name, value in expected.items()
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(actual, (list, tuple))
            and len(expected) == len(actual)
            and all(map(contains, expected, actual))
        )
    return same(expected, actual)


def narrowed(expected: Any, actual: Any) -> Any:
    """Give ``actual`` without the keys that nothing is expected of, to be shown beside ``expected``."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return {name: narrowed(value, actual[name]) for name, value in expected.items() if name in actual}
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return list(map(narrowed, expected, actual))
    return actual


def differences(expected: Any, actual: Any) -> Iterator[str]:
    """Yield lines that show two values beside each other: ``-`` expected, ``+`` actual, `` `` both."""
    lines = list(difflib.ndiff(_lines(expected), _lines(actual)))
    lines = [line for line in lines if not line.startswith("?")]
    changed = [number for number, line in enumerate(lines) if line[0] in "-+"]
    shown = {near for number in changed for near in range(number - _CONTEXT, number + _CONTEXT + 1)}
    skipped = False
    for number, line in enumerate(lines):
        if number in shown:
            skipped = False
            yield line
        elif not skipped:
            skipped = True
            yield "  …"


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=list).splitlines()
