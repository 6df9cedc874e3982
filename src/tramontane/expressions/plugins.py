"""Functions that installed packages add to expressions."""

from __future__ import annotations

import functools
import importlib.metadata

from tramontane.expressions import jinja_engine, yaql_engine
from tramontane.expressions.functions import registry

ENTRY_POINT_GROUP = "mistral.expression.functions"


@functools.cache
def installed_names() -> frozenset[str]:
    """Return the names of the functions that installed packages offer, loaded or not."""
    return frozenset(point.name for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))


def load_plugins() -> list[str]:
    """Register the functions of all installed packages and get both languages ready.

    Called once, before the first evaluation. Returns why some functions could not be loaded.
    """
    problems = []
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            registry.register(entry_point.name, entry_point.load())
        except Exception as error:
            problems.append(f"expression function '{entry_point.name}' ({entry_point.value}): {error}")
    yaql_engine.parse("null")
    yaql_engine.root()
    jinja_engine.environment()
    return problems
