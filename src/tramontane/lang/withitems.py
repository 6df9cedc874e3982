"""The text of ``with-items``: ``variable in list`` (language spec, section 4.2)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tramontane.lang.oneline import is_shallow

_PATTERN = re.compile(r"\s*([\w\-]+)\s*in\s*(\[.*\]|\{\{.*?\}\}|<%.*?%>)")


class WithItemsError(ValueError):
    """The text isn't of the form ``variable in list``; the message shows the form."""


@dataclass(frozen=True, slots=True)
class Items:
    """One variable; ``values`` is a list or the text of an expression, ``extra`` what stands behind."""

    variable: str
    values: Any
    extra: str


def parse_items(text: str) -> Items:
    """Parse one entry of ``with-items``.

    Raises:
        WithItemsError: when the text has another form, or its list is no JSON.
    """
    match = _PATTERN.match(text)
    if match is None:
        raise WithItemsError(
            "Wrong format of 'with-items' property. Please use format "
            f"'var in {{[some, list] | <% $.array %> | {{{{ _.array }}}} }}': {text[:200]}"
        )
    variable, values = match.groups()
    extra = text[match.end() :].strip()
    if not values.startswith("["):
        return Items(variable, values, extra)
    try:
        items = json.loads(values)
    except (ValueError, RecursionError) as error:
        raise WithItemsError(
            f"Invalid array in 'with-items' clause: {values[:200]}, error: {error}; "
            "a literal list is written as JSON, text in double quotes"
        ) from None
    if not is_shallow(items):
        raise WithItemsError(f"Invalid array in 'with-items' clause: {values[:40]}…, nested too deeply")
    return Items(variable, items, extra)


def entries(value: Any) -> list[Any]:
    """Return the entries of a ``with-items`` attribute: it is one text or a list of them."""
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list) else []
